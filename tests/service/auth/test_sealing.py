"""What is sealed opens with its key, in its place, unaltered, and in no other way."""

import base64
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth.sealing import Sealing

PLAIN = b"-----BEGIN PRIVATE KEY-----"


def line(key: bytes) -> str:
    return base64.b64encode(key).decode() + "\n"


def test_sealed_text_opens_in_its_place_and_tells_nothing(tmp_path: Path) -> None:
    """Sealing the same twice gives two texts, neither of which shows the plain one."""
    sealing = Sealing.create(tmp_path / "sealing.key")
    first, second = (sealing.seal(PLAIN, "keys/a/ca/1") for _ in range(2))
    assert first != second
    assert b"PRIVATE" not in first
    assert sealing.unseal(first, "keys/a/ca/1") == PLAIN


def test_key_file_is_private_and_stays(tmp_path: Path) -> None:
    """A second start reads the key that the first one made."""
    file = tmp_path / "sealing.key"
    sealed = Sealing.create(file).seal(PLAIN, "x")
    assert file.stat().st_mode & 0o777 == 0o600
    assert Sealing.create(file).unseal(sealed, "x") == PLAIN
    assert [each.name for each in tmp_path.iterdir()] == ["sealing.key"]


def test_processes_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    """Whoever is second uses the first one's key."""
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Sealing.create(tmp_path / "sealing.key"), range(8)))
    sealed = made[0].seal(PLAIN, "x")
    assert all(each.unseal(sealed, "x") == PLAIN for each in made)


def test_text_moved_to_another_row_does_not_open(tmp_path: Path) -> None:
    """The place is part of the seal."""
    sealing = Sealing.create(tmp_path / "sealing.key")
    with pytest.raises(ConfigurationError) as caught:
        sealing.unseal(sealing.seal(PLAIN, "keys/a/ca/1"), "keys/b/ca/1")
    assert caught.value.code == "SealedTextDamaged"


@pytest.mark.parametrize("position", [9, 25, -1])
def test_altered_text_does_not_open(tmp_path: Path, position: int) -> None:
    """One changed bit in nonce, text or tag is noticed."""
    sealing = Sealing.create(tmp_path / "sealing.key")
    sealed = bytearray(sealing.seal(PLAIN, "x"))
    sealed[position] ^= 1
    with pytest.raises(ConfigurationError) as caught:
        sealing.unseal(bytes(sealed), "x")
    assert caught.value.code == "SealedTextDamaged"


def test_rotated_key_still_opens_what_the_old_one_sealed(tmp_path: Path) -> None:
    """A new line on top seals from now on; the old one below opens."""
    file = tmp_path / "sealing.key"
    old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    file.touch(0o600)
    file.write_text(line(old))
    sealed_before = Sealing.open(file).seal(PLAIN, "x")
    file.write_text(line(new) + line(old))
    rotated = Sealing.open(file)
    sealed_after = rotated.seal(PLAIN, "x")
    assert rotated.unseal(sealed_before, "x") == PLAIN
    file.write_text(line(new))
    assert Sealing.open(file).unseal(sealed_after, "x") == PLAIN
    with pytest.raises(ConfigurationError, match="which the sealing key file does not hold") as caught:
        Sealing.open(file).unseal(sealed_before, "x")
    assert caught.value.code == "SealingKeyWrong"


@pytest.mark.parametrize(
    ("text", "mode", "code"),
    [
        (None, 0o600, "SealingKeyMissing"),
        ("", 0o600, "SealingKeyUnreadable"),
        ("AAAA\n", 0o600, "SealingKeyUnreadable"),
        ("not base64!\n", 0o600, "SealingKeyUnreadable"),
        (line(bytes(32)), 0o640, "SealingKeyExposed"),
    ],
)
def test_unfit_key_file_is_named_with_the_remedy(tmp_path: Path, text: str | None, mode: int, code: str) -> None:
    """The error names the file and what to do."""
    file = tmp_path / "sealing.key"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    with pytest.raises(ConfigurationError) as caught:
        Sealing.open(file)
    assert caught.value.code == code
    assert str(file) in caught.value.reason
    assert caught.value.recommended_action
