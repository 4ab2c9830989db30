"""The agent as a service of its host: made, brought up to date, and taken away without a trace."""

import grp
import os
import pwd
import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import dirbridge
from dirbridge.agent import state
from dirbridge.agent.install import Places, install, uninstall, units
from dirbridge.agent.updater.home import Home
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.release import Release, here
from tests.agent.updater.signing import Signed, archive

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="accounts are made by root")


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Places]:
    """Places and an account of this test's own; whatever happens, the account goes."""
    account = f"dbx{secrets.token_hex(4)}"
    units_of_its_own = tmp_path / "host" / "units"
    yield Places(
        account, tmp_path / "etc" / "agent.toml", tmp_path / "lib" / "agent", units_of_its_own, starts=False,
        home=tmp_path / "opt" / "dirbridge",
    )  # fmt: skip
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
    assert len(said) == 13, said
    updater = (places.unit_folder / units.UPDATER).read_text()
    assert f"{places.home}/current/bin/dirbridge agent updater" in updater
    assert Home(places.home).current() == dirbridge.__version__
    done = subprocess.run(
        [Home(places.home).program, "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert dirbridge.__version__ in done.stdout
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
def test_account_cannot_have_root_give_it_a_file(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links by name and hard ones, and a folder that is exchanged while the state is handed over, lead nowhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("shadow", "linked", "named"):
        (outside / name).write_text("root's")
    install(places, lambda _: None)
    inside = places.state / "traces"
    inside.mkdir()
    (inside / "shadow").write_text("")
    (places.state / "linked").hardlink_to(outside / "linked")
    (places.state / "named").symlink_to(outside / "named")
    os.mkfifo(places.state / "pipe")

    def exchanging(change: Callable[..., None]) -> Callable[..., None]:
        def call(*words: Any, **options: Any) -> None:
            change(*words, **options)
            if not inside.is_symlink():
                inside.rename(places.state / "aside")
                inside.symlink_to(outside)

        return call

    for name in ("chown", "fchown"):
        monkeypatch.setattr(os, name, exchanging(getattr(os, name)))
    install(places, lambda _: None)
    assert inside.is_symlink()
    assert {file.stat().st_uid for file in outside.iterdir()} == {0}


@needs_root
def test_account_can_enter_whatever_roots_mask_is(places: Places) -> None:
    """Hardened hosts give root a mask of 027 or 077; the agent's account must reach settings and program."""
    before = os.umask(0o077)
    try:
        install(places, lambda _: None)
    finally:
        os.umask(before)
    made = (places.settings.parent, places.home, places.home / "versions", places.state.parent)
    assert {each.stat().st_mode & 0o777 for each in made} == {0o755}


@needs_root
@pytest.mark.parametrize("place", ["home", "settings", "unit_folder"])
def test_what_root_trusts_does_not_lie_in_the_accounts_folder(places: Places, place: str) -> None:
    wrong: dict[str, Any] = {place: places.state / "below" / "it"}
    with pytest.raises(ConfigurationError) as refused:
        install(replace(places, **wrong), lambda _: None)
    assert refused.value.code == "PlacesUnsafe"
    assert not places.state.exists()
    assert not exists(places.account)


@needs_root
def test_what_was_never_installed_is_not_removed(places: Places) -> None:
    with pytest.raises(ConfigurationError) as refused:
        uninstall(places, lambda _: None)
    assert refused.value.code == "NotInstalled"


@needs_root
def test_newer_installation_becomes_the_current_version(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older one never does; what the updater installed stays."""
    home = Home(places.home)
    install(places, lambda _: None)
    first = dirbridge.__version__
    monkeypatch.setattr(dirbridge, "__version__", "98.0.0")
    install(places, lambda _: None)
    assert home.current() == "98.0.0"
    assert [each.name for each in home.versions.iterdir()] == ["98.0.0"]
    monkeypatch.setattr(dirbridge, "__version__", first)
    install(places, lambda _: None)
    assert home.current() == "98.0.0"
    file = places.home / "release.tar.gz"
    file.write_bytes(archive("99.0.0"))
    home.add(file, Release("99.0.0", *here()))
    home.switch("99.0.0")
    for version in ("98.5.0", "99.0.0"):
        monkeypatch.setattr(dirbridge, "__version__", version)
        install(places, lambda _: None)
        assert not home.is_adopted(home.current())


@needs_root
def test_root_of_releases(places: Places, tmp_path: Path) -> None:
    """It is looked at, put where the updater trusts it, and replaced only by another one that was named."""
    home, signed, file = Home(places.home), Signed(), tmp_path / "root.json"
    changed = signed.trusted.replace(b"timestamp", b"snapshot")
    assert changed != signed.trusted
    for content in (b"", b"{}", changed):
        file.write_bytes(content)
        with pytest.raises(ConfigurationError) as refused:
            install(replace(places, update_root=file), lambda _: None)
        assert refused.value.code == "UpdateRootUnusable"
    file.write_bytes(signed.trusted)
    install(replace(places, update_root=file), lambda _: None)
    assert home.root() == signed.trusted
    assert (home.folder / "root.json").stat().st_mode & 0o777 == 0o644
    install(places, lambda _: None)
    uninstall(places, lambda _: None)
    assert home.root() == signed.trusted
    assert [each.name for each in home.folder.iterdir()] == ["root.json"]


@pytest.mark.parametrize(("name", "most"), [(units.AGENT, 20), (units.UPDATER, 30)])
def test_systemd_takes_the_units_and_finds_them_tight(tmp_path: Path, name: str, most: int) -> None:
    """systemd's checker has nothing to say, and its measure of exposure is low."""
    home = Home(tmp_path / "the versions")
    home.adopt("1.0.0")
    home.switch("1.0.0")
    for each, text in units.texts(home.folder, "daemon", tmp_path / "agent.toml", tmp_path / "state of it").items():
        (tmp_path / each).write_text(text)
    file = tmp_path / name
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    measured = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={most}", "--no-pager", str(file)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert measured.returncode == 0, measured.stdout[-2000:]
    assert "ReadWritePaths=" in file.read_text()
    assert f'{tmp_path}/state of it"' in file.read_text()


def test_paths_with_odd_letters_are_quoted(tmp_path: Path) -> None:
    """A percent sign would be a specifier, a space would end the path."""
    texts = units.texts(Path("/opt/a b"), "x", Path("/etc/100%/agent.toml"), tmp_path)
    begins = 'ExecStart="/opt/a b/current/bin/dirbridge" agent'
    assert f"{begins} run --settings /etc/100%%/agent.toml" in texts[units.AGENT]
    assert f"{begins} updater --settings /etc/100%%/agent.toml" in texts[units.UPDATER]
