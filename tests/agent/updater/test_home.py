"""Versions lie side by side; one is current; whatever is cut off leaves what was there."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirbridge.agent.updater.home import Home, Trial
from dirbridge.contract.errors import ConfigurationError, DirbridgeError
from dirbridge.contract.release import Release, here
from tests.agent.updater.signing import archive, packed

VERSION = "1.2.0"
RELEASE = Release(VERSION, *here())
MAIN = {
    "dirbridge/__init__.py": "",
    "dirbridge/cli/__init__.py": "",
    "dirbridge/cli/main.py": "import sys\ndef main(): print(sys.argv, __file__); print(sys.path); sys.exit(7)\n",
}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path / "the home")
    made.versions.mkdir(parents=True)
    made.own.mkdir()
    return made


def add(home: Home, content: bytes, release: Release = RELEASE) -> None:
    file = home.folder.parent / "release.tar.gz"
    file.write_bytes(content)
    home.add(file, release)


def test_release_runs_with_what_it_brings(home: Home, tmp_path: Path) -> None:
    """Its command sees its own library and Python's, and neither environment nor working directory."""
    add(home, archive(VERSION, MAIN))
    home.switch(VERSION)
    assert home.current() == VERSION
    (tmp_path / "dirbridge").mkdir()
    done = subprocess.run(
        [home.program, "agent", "a b"], capture_output=True, text=True, check=False, timeout=30, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    library = home.versions / VERSION / "lib"
    said, path = done.stdout.splitlines()
    assert (done.returncode, said) == (7, f"['dirbridge', 'agent', 'a b'] {library}/dirbridge/cli/main.py")
    assert f"'{library}'" in path
    assert "site-packages" not in path
    assert str(tmp_path) not in path.replace(str(library), "")


def test_everybody_may_read_it(home: Home) -> None:
    """Also where the updater's own files are for it alone."""
    before = os.umask(0o077)
    try:
        add(home, archive(VERSION, MAIN))
        home.adopt("1.1.0")
    finally:
        os.umask(before)
    for file in [home.versions / VERSION, *(home.versions).rglob("*")]:
        wanted = 0o755 if file.is_dir() or file == home.program_of(file.parent.parent.name) else 0o644
        assert file.stat().st_mode & 0o777 == wanted, file


def test_adopted_version_runs_this_installation(home: Home) -> None:
    home.adopt("0.9.0")
    home.switch("0.9.0")
    assert home.is_adopted("0.9.0")
    assert sys.executable in home.program.read_text()


def test_home_without_a_version(home: Home) -> None:
    """A link that leads nowhere, or to what is no version, is no current version."""
    for target in (None, "versions/1.2.0", "../.."):
        if target is not None:
            (home.folder / "current").unlink(missing_ok=True)
            (home.folder / "current").symlink_to(target)
        with pytest.raises(ConfigurationError) as refused:
            home.current()
        assert refused.value.code == "HomeUnusable"


def _odd(kind: bytes, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo("lib/odd")
    member.type, member.linkname = kind, link
    return member


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no archive",
        archive(VERSION)[:200],
        archive("1.3.0"),
        packed({"lib/dirbridge/__init__.py": ""}),
        packed({"release.json": "{}"}),
        packed({"../outside": "x"}),
        packed({"lib/../../outside": "x"}),
        packed({"/tmp/outside": "x"}),
        packed({"bin/dirbridge": "x"}),
        packed({"release.json": "x", "release.json/x": "y"}),
        packed({"odd": _odd(tarfile.SYMTYPE, link="/etc")}),
        packed({"odd": _odd(tarfile.LNKTYPE, link="release.json")}),
        packed({"odd": _odd(tarfile.FIFOTYPE)}),
        packed({"odd": _odd(tarfile.CHRTYPE)}),
    ],
)
def test_what_is_no_release_leaves_nothing(home: Home, content: bytes) -> None:
    """Cut, of another version, or with anything but plain files where they belong."""
    with pytest.raises(DirbridgeError) as refused:
        add(home, content)
    assert refused.value.code == "ReleaseUnfit"
    assert list(home.versions.iterdir()) == []
    assert sorted(each.name for each in home.folder.parent.iterdir()) == ["release.tar.gz", "the home"]


def test_release_for_another_python(home: Home) -> None:
    with pytest.raises(ConfigurationError) as refused:
        add(home, archive(VERSION), Release(VERSION, "3.1", here()[1]))
    assert refused.value.code == "ReleaseUnfit"


@pytest.fixture
def small_disk(home: Home) -> Iterator[None]:
    """The versions lie on a file system of half a megabyte."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(home.versions)]
    subprocess.run(mount, check=True, timeout=20, capture_output=True)
    yield
    subprocess.run(["umount", str(home.versions)], check=True, timeout=20)


@pytest.mark.skipif(os.geteuid() != 0, reason="root mounts")
@pytest.mark.usefixtures("small_disk")
def test_full_disk_leaves_what_was_there(home: Home) -> None:
    """The version that runs stays, half a version does not; with room it is installed."""
    add(home, archive("1.1.0", MAIN), Release("1.1.0", *here()))
    home.switch("1.1.0")
    with pytest.raises(DirbridgeError) as refused:
        add(home, archive(VERSION, {"dirbridge/large.py": "#" * 1024 * 1024}))
    assert (refused.value.code, "No space left" in str(refused.value)) == ("UpdateUnwritable", True)
    assert [each.name for each in home.versions.iterdir()] == ["1.1.0"]
    assert home.current() == "1.1.0"
    add(home, archive(VERSION, MAIN))


def test_notes_of_the_updater_survive_it(home: Home) -> None:
    """What failed, and what is on trial, is known after a power cut."""
    home.condemn("1.3.0", "it does not start")
    home.condemn("1.4.0", "nor this")
    assert Home(home.folder).bad() == {"1.3.0": "it does not start", "1.4.0": "nor this"}
    home.begin_trial(Trial("1.1.0", "1.2.0"))
    assert Home(home.folder).trial() == Trial("1.1.0", "1.2.0")
    home.end_trial()
    assert home.trial() is None


def test_only_the_newest_two_stay(home: Home) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        home.adopt(version)
    (home.versions / ".1.3.0.abcd").mkdir()
    home.keep_only("1.2.0", "1.1.0")
    assert sorted(each.name for each in home.versions.iterdir()) == ["1.1.0", "1.2.0"]


def test_root_that_others_may_change(home: Home) -> None:
    """Whoever can write it would say whom this host trusts."""
    with pytest.raises(ConfigurationError) as refused:
        home.root()
    assert refused.value.code == "NoUpdateRoot"
    file = home.folder / "root.json"
    file.write_bytes(b"{}")
    file.chmod(0o664)
    with pytest.raises(ConfigurationError) as refused:
        home.root()
    assert refused.value.code == "UpdateRootExposed"
    file.chmod(0o644)
    assert home.root() == b"{}"


def test_only_one_updater(home: Home) -> None:
    assert not home.updater_runs()
    with home.only_one():
        assert home.updater_runs()
        with pytest.raises(ConfigurationError), home.only_one():
            pass
    assert not home.updater_runs()
