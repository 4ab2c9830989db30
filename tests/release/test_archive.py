"""Archives of releases."""

import gzip
import io
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from dirbridge.contract import release as releases
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.release import MANIFEST, Release, here
from dirbridge.release import archive
from tests.fixtures.releases import Publisher, agent_contents

RELEASE = Release("1.0.0", *here())


def written(folder: Path, *members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    """An archive by hand; the kind is that of its last member."""
    file = folder / releases.target_name(RELEASE)
    with tarfile.open(file, "w:gz") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            if (name, data) == members[-1] and kind != tarfile.REGTYPE:
                member.type, member.linkname, member.size = kind, "/etc/passwd", 0
            tar.addfile(member, io.BytesIO(data))
    return file


def test_the_same_packages_give_the_same_bytes(tmp_path: Path) -> None:
    """Whoever packs them, whenever: so that others can compare."""
    file = tmp_path / "module.py"
    file.write_bytes(b"1")
    first = archive.pack(tmp_path, RELEASE, {"lib/b.py": b"2", "lib/a.py": file}).read_bytes()
    file.touch(0o600)
    second = archive.pack(tmp_path, RELEASE, {"lib/a.py": b"1", "lib/b.py": b"2"})
    assert second.read_bytes() == first
    assert archive.examine(second) == RELEASE
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


MANIFEST_OF_IT = (MANIFEST, releases.write(RELEASE))


@pytest.mark.parametrize(
    ("members", "kind", "why"),
    [
        ([("lib/a.py", b"")], tarfile.REGTYPE, "does not begin with release.json"),
        ([(MANIFEST, b"{}")], tarfile.REGTYPE, "does not describe a release"),
        ([(MANIFEST, b" " * 100_000)], tarfile.REGTYPE, "does not begin with release.json"),
        ([MANIFEST_OF_IT, ("lib/../../etc/cron.d/x", b"")], tarfile.REGTYPE, "is not a plain file"),
        ([MANIFEST_OF_IT, ("/lib/x", b"")], tarfile.REGTYPE, "is not a plain file"),
        ([MANIFEST_OF_IT, ("bin/x", b"")], tarfile.REGTYPE, "is not a plain file"),
        ([MANIFEST_OF_IT, ("lib/./x", b"")], tarfile.REGTYPE, "is not a plain file"),
        ([MANIFEST_OF_IT, ("lib/x", b"")], tarfile.SYMTYPE, "is not a plain file"),
        ([MANIFEST_OF_IT, ("lib/x", b"")], tarfile.LNKTYPE, "is not a plain file"),
        ([MANIFEST_OF_IT, ("lib/x", b"")], tarfile.CHRTYPE, "is not a plain file"),
        ([MANIFEST_OF_IT, ("lib/x", b"1"), ("lib/x", b"2")], tarfile.REGTYPE, "twice"),
        ([(MANIFEST, releases.write(Release("2.0.0", *here())))], tarfile.REGTYPE, "its name must be"),
    ],
)
def test_what_is_no_release_is_refused(tmp_path: Path, members: list[tuple[str, bytes]], kind: bytes, why: str) -> None:
    """Before anybody signs it, and said why."""
    with pytest.raises(ConfigurationError, match=why) as refused:
        archive.examine(written(tmp_path, *members, kind=kind))
    assert refused.value.code == "ReleaseUnfit"


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "missing", "bits"])
def test_damaged_archives_are_refused(tmp_path: Path, damage: str) -> None:
    """Each in one sentence, whichever library met it."""
    file = archive.pack(tmp_path, RELEASE, {"lib/a.py": bytes(range(256)) * 100})
    whole = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(whole[:-200])
        case "text":
            file.write_text("<html>")
        case "empty":
            file.write_bytes(gzip.compress(b""))
        case "missing":
            file.unlink()
        case "bits":
            file.write_bytes(whole[:60] + bytes(255 - byte for byte in whole[60:90]) + whole[90:])
    with pytest.raises(ConfigurationError) as refused:
        archive.examine(file)
    assert refused.value.code == "ReleaseUnfit"


def test_the_agent_runs_from_a_release(tmp_path: Path) -> None:
    """With nothing but the host's Python: the packages of the release are enough, and it knows its version."""
    publisher = Publisher(tmp_path)
    file = publisher.pack("7.8.9", agent_contents("7.8.9"))
    assert archive.examine(file).version == "7.8.9"
    with tarfile.open(file) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    lib = tmp_path / "unpacked" / "lib"
    assert (lib / "dirbridge/agent/updater/root.json").read_bytes() == publisher.root
    run = (
        f"import sys; sys.path.insert(0, {str(lib)!r})\n"
        "import dirbridge, dirbridge.agent.runner\nfrom dirbridge.cli.main import main\nmain(['--version'])"
    )
    said = subprocess.run(
        [sys.executable, "-I", "-S", "-c", run], capture_output=True, text=True, timeout=60, check=False
    )
    assert (said.stdout.strip(), said.stderr) == ("dirbridge, version 7.8.9", "")
