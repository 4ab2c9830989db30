"""Keys that sign releases."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dirbridge.contract.errors import ConfigurationError
from dirbridge.release import keys


@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_a_key_is_made_and_read(tmp_path: Path, passphrase: str | None) -> None:
    """For its holder alone; its public half has the same id."""
    file = tmp_path / "root.key"
    made = keys.make(file, passphrase)
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys.is_encrypted(file) == (passphrase is not None)
    assert keys.load(file, passphrase).public_key.keyid == made.keyid
    assert keys.load_public(keys.public_file(file)).keyid == made.keyid


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    """Neither half."""
    file = tmp_path / "root.key"
    keys.make(file, None)
    before = file.read_bytes()
    with pytest.raises(ConfigurationError) as refused:
        keys.make(file, None)
    assert refused.value.code == "KeyExists"
    assert file.read_bytes() == before


ELLIPTIC = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9
q9UU8I5mEovUf86QZ7kOBIjJwqnzD1omageEHWwHdBO6B+dFabmdT9POxg==
-----END PUBLIC KEY-----
"""


@pytest.mark.parametrize(
    "use",
    [
        lambda folder: keys.load(folder / "locked.key", "wrong"),
        lambda folder: keys.load(folder / "locked.key", None),
        lambda folder: keys.load(folder / "nothing.key", None),
        lambda folder: keys.load(folder / "locked.key.pub", None),
        lambda folder: keys.load_public(folder / "locked.key"),
        lambda folder: keys.load_public(folder / "other.pub"),
        lambda folder: keys.is_encrypted(folder / "nothing.key"),
        lambda folder: keys.make(folder / "no folder" / "x.key", None),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, use: Callable[[Path], object]) -> None:
    """With the file, and never with the passphrase."""
    keys.make(tmp_path / "locked.key", "open sesame")
    (tmp_path / "other.pub").write_text(ELLIPTIC)
    with pytest.raises(ConfigurationError) as refused:
        use(tmp_path)
    assert refused.value.code == "KeyUnusable"
    assert str(tmp_path) in str(refused.value)
    assert "wrong" not in refused.value.reason
