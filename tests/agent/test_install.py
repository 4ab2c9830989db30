"""The agent as a service of its host: made, brought up to date, and taken away without a trace."""

import grp
import os
import pwd
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirbridge.agent import state
from dirbridge.agent.install import Places, install, uninstall, units
from dirbridge.contract.errors import ConfigurationError

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="accounts are made by root")


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    """Places and an account of this test's own; whatever happens, the account goes."""
    account = f"dbx{secrets.token_hex(4)}"
    units_of_its_own = tmp_path / "host" / "units"
    yield Places(account, tmp_path / "etc" / "agent.toml", tmp_path / "lib" / "agent", units_of_its_own, starts=False)
    subprocess.run(["userdel", account], capture_output=True, check=False, timeout=60)


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def exists(account: str) -> bool:
    return any(entry.pw_name == account for entry in pwd.getpwall())


@needs_root
def test_install_and_uninstall_leave_nothing(places: Places, tmp_path: Path) -> None:
    """Account, folders, the units' too, settings and unit are made with their owners; --purge takes all away."""
    before = everything(tmp_path)
    said: list[str] = []
    install(places, said.append)
    entry = pwd.getpwnam(places.account)
    assert (entry.pw_shell, entry.pw_dir) == ("/usr/sbin/nologin", str(places.state))
    folder = places.state.stat()
    assert (folder.st_uid, folder.st_mode & 0o777) == (entry.pw_uid, 0o700)
    settings = places.settings.stat()
    assert (settings.st_uid, settings.st_gid, settings.st_mode & 0o777) == (0, entry.pw_gid, 0o640)
    assert f"User={places.account}\n" in (places.unit_folder / units.AGENT).read_text()
    assert len(said) == 8, said
    uninstall(places, said.append, purge=True)
    assert everything(tmp_path) == before
    assert not exists(places.account)
    assert places.account not in {group.gr_name for group in grp.getgrall()}


@needs_root
def test_uninstall_takes_away_just_what_was_made(places: Places) -> None:
    """What was there before stays, and so do settings and key unless they shall go."""
    subprocess.run(["useradd", "--system", places.account], check=True, timeout=60)
    places.settings.parent.mkdir(parents=True)
    places.settings.write_text("# mine\n")
    install(places, lambda _: None)
    assert places.settings.read_text() == "# mine\n"
    (places.state / "key.pem").write_text("key")
    uninstall(places, lambda _: None)
    assert exists(places.account)
    assert (places.state / "key.pem").exists()
    assert not (places.unit_folder / units.AGENT).exists()
    install(places, lambda _: None)
    uninstall(places, lambda _: None, purge=True)
    assert places.settings.exists()
    assert not places.state.exists()
    assert exists(places.account)


@needs_root
def test_what_stays_is_roots_until_it_is_installed_again(places: Places) -> None:
    """The number of the account that went may become another one's, who must not read the agent's key."""
    install(places, lambda _: None)
    (places.state / "key.pem").write_text("key")
    uninstall(places, lambda _: None)
    kept = (places.settings, places.state, places.state / "key.pem")
    assert {(each.stat().st_uid, each.stat().st_gid) for each in kept} == {(0, 0)}
    install(places, lambda _: None)
    entry = pwd.getpwnam(places.account)
    assert {each.stat().st_gid for each in kept} == {entry.pw_gid}
    assert (places.state / "key.pem").stat().st_uid == entry.pw_uid


@needs_root
def test_installing_again_changes_nothing(places: Places) -> None:
    """A second run says nothing; a unit of another release is brought up to date."""
    install(places, lambda _: None)
    said: list[str] = []
    install(places, said.append)
    assert said == []
    unit = places.unit_folder / units.AGENT
    unit.write_text("[Unit]\nDescription=old\n")
    install(places, said.append)
    assert said == [f"Brought up to date {unit}."]
    assert "ProtectSystem=strict" in unit.read_text()


@needs_root
def test_state_of_root_becomes_the_accounts(places: Places) -> None:
    """Whether root enrols before or after, the account can read its key, and nobody else."""
    places.state.mkdir(parents=True)
    identity = state.Identity("https://sync.test", "agent", "tenant", "https://sync.test/agents", ("contoso.test",))
    state.save(places.state, identity, state.new_key(), b"certificate", b"trust")
    install(places, lambda _: None)
    uid = pwd.getpwnam(places.account).pw_uid
    assert {file.stat().st_uid for file in places.state.iterdir()} == {uid}
    state.save(places.state, identity, state.new_key(), b"certificate", b"trust")
    assert {(file.stat().st_uid, file.stat().st_mode & 0o777) for file in places.state.iterdir()} == {(uid, 0o600)}


@needs_root
def test_what_was_never_installed_is_not_removed(places: Places) -> None:
    with pytest.raises(ConfigurationError) as refused:
        uninstall(places, lambda _: None)
    assert refused.value.code == "NotInstalled"


def unit_file(tmp_path: Path) -> Path:
    program = Path(sys.executable).parent / "dirbridge"
    texts = units.texts(program, "daemon", tmp_path / "agent.toml", tmp_path / "state of it")
    ((name, text),) = texts.items()
    file = tmp_path / name
    file.write_text(text)
    return file


def test_systemd_takes_the_unit_and_finds_it_tight(tmp_path: Path) -> None:
    """systemd's checker has nothing to say, and its measure of exposure is low."""
    file = unit_file(tmp_path)
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    measured = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", str(file)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert measured.returncode == 0, measured.stdout[-2000:]
    assert 'ReadWritePaths="' in file.read_text()


def test_paths_with_odd_letters_are_quoted(tmp_path: Path) -> None:
    """A percent sign would be a specifier, a space would end the path."""
    texts = units.texts(Path("/opt/a b/dirbridge"), "x", Path("/etc/100%/agent.toml"), tmp_path)
    assert 'ExecStart="/opt/a b/dirbridge" agent run --settings /etc/100%%/agent.toml' in texts[units.AGENT]
