"""Building a release out of a folder of installed packages."""

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dirbridge.contract.errors import ConfigurationError
from dirbridge.release import archive, build
from tests.fixtures.releases import Publisher, agent_contents


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as an installer leaves it."""
    folder = tmp_path_factory.mktemp("installed")
    for name, content in agent_contents("3.2.1").items():
        file = folder / name.removeprefix("lib/")
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            shutil.copyfile(content, file)
    for name in ("bin/dirbridge", "dirbridge/__pycache__/x.pyc", "dirbridge-3.2.1.dist-info/direct_url.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("of this machine")
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed root."""
    publisher = Publisher(tmp_path_factory.mktemp("publisher"))
    return publisher.repository.metadata / "1.root.json"


def test_an_installed_agent_becomes_a_release(installed: Path, root: Path, tmp_path: Path) -> None:
    """It runs from it, carries the root, and nothing of the machine that built it."""
    made = build.build(installed, root, tmp_path, level=1)
    assert archive.examine(made).version == "3.2.1"
    with tarfile.open(made) as tar:
        names = set(tar.getnames())
        carried = tar.extractfile("lib/dirbridge/agent/updater/root.json")
        assert carried is not None
        assert carried.read() == root.read_bytes()
    assert {"lib/dirbridge/cli/main.py", "lib/dirbridge-3.2.1.dist-info/METADATA"} <= names
    assert [name for name in names if "/bin/" in name or name.endswith((".pyc", "/direct_url.json"))] == []


def _nothing(folder: Path) -> None:
    shutil.rmtree(folder / "dirbridge-3.2.1.dist-info")


def _editable(folder: Path) -> None:
    shutil.rmtree(folder / "dirbridge")


def _twice(folder: Path) -> None:
    shutil.copytree(folder / "dirbridge-3.2.1.dist-info", folder / "dirbridge-3.2.2.dist-info")


def _incomplete(folder: Path) -> None:
    shutil.rmtree(folder / "msgspec")


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_nothing, "holds no installed dirbridge"),
        (_editable, "exactly one is expected, not editable"),
        (_twice, "holds 2 installed dirbridge"),
        (_incomplete, "does not run from .*: ModuleNotFoundError: No module named 'msgspec'"),
    ],
)
def test_what_does_not_run_is_no_release(
    installed: Path, root: Path, tmp_path: Path, damage: Callable[[Path], None], why: str
) -> None:
    """Found out here, and not on the hosts; nothing is left."""
    folder = tmp_path / "packages"
    shutil.copytree(installed, folder)
    damage(folder)
    with pytest.raises(ConfigurationError, match=why) as refused:
        build.build(folder, root, tmp_path, level=1)
    assert refused.value.code == "ReleaseUnfit"
    assert list(tmp_path.glob("*.tar.gz")) == []


@pytest.mark.parametrize("content", [None, b"", b"{}", "another role", "unsigned"])
def test_only_a_signed_root_is_carried(
    installed: Path, root: Path, tmp_path: Path, content: bytes | str | None
) -> None:
    """Hosts begin with it: one that is none would make them refuse everything."""
    file = tmp_path / "root.json"
    match content:
        case "another role":
            file.write_bytes((root.parent / "timestamp.json").read_bytes())
        case "unsigned":
            signed = json.loads(root.read_bytes())
            file.write_bytes(json.dumps({**signed, "signatures": []}).encode())
        case bytes():
            file.write_bytes(content)
    with pytest.raises(ConfigurationError) as refused:
        build.build(installed, file, tmp_path, level=1)
    assert refused.value.code == "FileUnreadable"
