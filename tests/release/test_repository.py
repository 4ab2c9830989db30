"""The repository of releases: what counts once enough holders of keys have signed it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.release import Release, here, target_name
from dirbridge.release.repository import LIFETIMES, ROLES, Holders, Repository
from tests.fixtures.releases import Publisher

NOW = datetime.now(UTC)


class Folder(FetcherInterface):
    """Takes files from a repository's folder, as a server would hand them out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _fetch(self, url: str) -> Any:
        from tuf.api.exceptions import DownloadHTTPError

        file = self.folder / url.removeprefix("https://releases.test/")
        if not file.exists():
            raise DownloadHTTPError(f"{url} is not there", 404)
        return iter([file.read_bytes()])


def client(publisher: Publisher, folder: Path) -> Updater:
    """The reference implementation's client, of a host that begins with the first root."""
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    at = "https://releases.test"
    return Updater(
        str(folder),
        f"{at}/metadata/",
        str(folder / "targets"),
        f"{at}/targets/",
        Folder(publisher.repository.folder),
        bootstrap=publisher.root,
    )


def test_a_host_gets_what_was_released(tmp_path: Path) -> None:
    """From the first root on, over lists that grow, to the bytes of the archive."""
    publisher = Publisher(tmp_path / "publisher")
    stored = [publisher.release("1.0.0"), publisher.release("1.1.0")]
    host = client(publisher, tmp_path / "host")
    for version, file in zip(("1.0.0", "1.1.0"), stored, strict=True):
        name = target_name(Release(version, *here()))
        target = host.get_targetinfo(name)
        assert target is not None
        assert target.custom["version"] == version
        assert Path(host.download_target(target)).read_bytes() == file.read_bytes()


def test_nothing_counts_before_the_last_signature(tmp_path: Path) -> None:
    """Two of three must sign the root, and each key signs where it has a part."""
    keys = [CryptoSigner.generate_ed25519() for _ in range(4)]
    holders = {role: Holders((keys[3].public_key,)) for role in ROLES}
    holders["root"] = Holders(tuple(key.public_key for key in keys[:3]), 2)
    repository = Repository.create(tmp_path / "repository", holders, lambda: NOW)
    repository.sign([keys[3]])
    root, *others = repository.state()
    assert (root.missing, root.waiting) == (2, tuple(sorted(key.public_key.keyid for key in keys[:3])))
    assert [state.missing for state in others] == [0, 0, 0]
    repository.sign([keys[0]])
    repository.sign([keys[0]])  # once more is not one more
    assert repository.state()[0].missing == 1
    with pytest.raises(ConfigurationError) as refused:
        repository.files()
    assert refused.value.code == "NotSigned"
    repository.sign([keys[2]])
    assert not any(state.is_staged for state in repository.state())
    assert repository.files().keys() == {"1.root.json", "1.targets.json", "1.snapshot.json", "timestamp.json"}


def test_a_change_after_a_signature_needs_it_again(tmp_path: Path) -> None:
    """Whoever signed had seen another list."""
    publisher = Publisher(tmp_path)
    repository = publisher.repository
    repository.add(publisher.pack("1.0.0"))
    repository.sign([publisher.keys["targets"]])
    repository.add(publisher.pack("1.1.0"))
    assert {state.role: state.missing for state in repository.state()} == {
        "root": 0,
        "targets": 1,
        "snapshot": 1,
        "timestamp": 1,
    }
    assert repository.releases(counting=True) == {}
    publisher.sign()
    assert {release.version for release in repository.releases(counting=True).values()} == {"1.0.0", "1.1.0"}
    assert (repository.metadata / "2.targets.json").exists()  # one list for both


def test_a_stranger_cannot_sign(tmp_path: Path) -> None:
    """A key without a part in what is prepared is refused, and so is signing nothing."""
    publisher = Publisher(tmp_path)
    with pytest.raises(ConfigurationError) as nothing:
        publisher.repository.sign([publisher.keys["root"]])
    publisher.repository.renew()
    for key in (CryptoSigner.generate_ed25519(), publisher.keys["targets"]):
        with pytest.raises(ConfigurationError) as stranger:
            publisher.repository.sign([key])
        assert stranger.value.code == "KeyHasNoRole"
    assert nothing.value.code == "NothingStaged"


def test_a_release_is_never_replaced(tmp_path: Path) -> None:
    """The same archive twice is nothing new; another one under its name is refused."""
    publisher = Publisher(tmp_path)
    publisher.release("1.0.0")
    publisher.release("1.0.0")
    with pytest.raises(ConfigurationError) as refused:
        publisher.repository.add(publisher.pack("1.0.0", {"lib/dirbridge/__init__.py": b"other"}))
    assert refused.value.code == "ReleaseExists"


def test_withdrawn_is_not_offered(tmp_path: Path) -> None:
    """And one that was never there cannot be withdrawn."""
    publisher = Publisher(tmp_path)
    publisher.release("1.0.0")
    publisher.release("1.1.0")
    name = target_name(Release("1.1.0", *here()))
    assert publisher.repository.withdraw("1.1.0") == [name]
    publisher.sign()
    host = client(publisher, tmp_path / "host")
    assert host.get_targetinfo(name) is None
    assert host.get_targetinfo(name.replace("1.1.0", "1.0.0")) is not None
    with pytest.raises(ConfigurationError) as refused:
        publisher.repository.withdraw("1.1.0")
    assert refused.value.code == "ReleaseUnknown"


@pytest.mark.parametrize("role", ROLES)
def test_keys_are_rotated_under_way(tmp_path: Path, role: str) -> None:
    """A host of the first root follows; the old key counts for nothing from then on."""
    publisher = Publisher(tmp_path)
    publisher.release("1.0.0")
    old, new = publisher.keys[role], CryptoSigner.generate_ed25519()
    publisher.repository.rotate(role, add=[new.public_key], remove=[old.public_key.keyid[:10]])
    if role == "root":
        publisher.repository.sign([new])
        assert publisher.repository.state()[0].missing == 1  # the old holder has to agree
        publisher.repository.sign([old])
    publisher.keys = {**publisher.keys, role: new}
    if role != "root":
        publisher.sign()
    publisher.release("1.1.0")
    host = client(publisher, tmp_path / "host")
    assert host.get_targetinfo(target_name(Release("1.1.0", *here()))) is not None
    publisher.repository.renew(ROLES)
    with pytest.raises(ConfigurationError) as refused:
        publisher.repository.sign([old])
    assert refused.value.code == "KeyHasNoRole"


def test_thresholds_can_be_reached(tmp_path: Path) -> None:
    """A role keeps as many keys as must sign."""
    publisher = Publisher(tmp_path)
    only = publisher.keys["root"].public_key.keyid
    for change in ({"remove": [only]}, {"threshold": 2}):
        with pytest.raises(ConfigurationError) as refused:
            publisher.repository.rotate("root", **change)
        assert refused.value.code == "ThresholdUnreachable"
    with pytest.raises(ConfigurationError) as unknown:
        publisher.repository.rotate("root", remove=["no key"])
    assert unknown.value.code == "KeyUnknown"
    assert not any(state.is_staged for state in publisher.repository.state())


def test_renewing_counts_from_now(tmp_path: Path) -> None:
    """A timestamp of yesterday expires a day before one of today; nothing else changes."""
    clock = [NOW - timedelta(days=1)]
    publisher = Publisher(tmp_path, lambda: clock[0])
    before = {state.role: (state.version, state.expires) for state in publisher.repository.state()}
    clock[0] = NOW
    publisher.repository.renew()
    publisher.sign()
    after = {state.role: (state.version, state.expires) for state in publisher.repository.state()}
    assert after.pop("timestamp") == (2, NOW.replace(microsecond=0) + LIFETIMES["timestamp"])
    before.pop("timestamp")
    assert after == before


def test_a_cut_at_the_last_step_is_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine stops while what is signed begins to count: signing once more finishes it."""
    publisher = Publisher(tmp_path)
    repository = publisher.repository
    repository.add(publisher.pack("1.0.0"))
    replace = Path.replace

    def cut(self: Path, target: Path) -> Path:
        if target == repository.metadata / "2.snapshot.json":
            raise OSError("power")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", cut)
    with pytest.raises(OSError, match="power"):
        publisher.sign()
    monkeypatch.undo()
    repository.sign([publisher.keys["timestamp"]])
    assert not any(state.is_staged for state in repository.state())
    timestamp = Metadata.from_bytes(repository.files()["timestamp.json"])
    assert timestamp.signed.snapshot_meta.version == 2


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    """Named as what it is, and one that is there is not begun anew."""
    with pytest.raises(ConfigurationError) as none:
        Repository(tmp_path, lambda: NOW)
    assert none.value.code == "NoRepository"
    publisher = Publisher(tmp_path)
    holders = {role: Holders((key.public_key,)) for role, key in publisher.keys.items()}
    with pytest.raises(ConfigurationError) as there:
        Repository.create(publisher.repository.folder, holders, lambda: NOW)
    assert there.value.code == "RepositoryExists"
    (publisher.repository.metadata / "timestamp.json").write_bytes(b"{")
    with pytest.raises(ConfigurationError) as broken:
        publisher.repository.files()
    assert broken.value.code == "RepositoryUnreadable"
