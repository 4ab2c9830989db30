"""Agent and updater become services of their host: an account without rights, folders, two units; and all away again.

Run by `dirbridge agent install` and `uninstall`, as root. What was made is written down as it is made, so that
uninstalling takes away just that, also after an installation that was cut off.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dirbridge.agent import state
from dirbridge.agent.install import units, versions
from dirbridge.agent.install.record import Record
from dirbridge.agent.replacing import replace
from dirbridge.agent.updater.home import HOME, Home
from dirbridge.contract.errors import ConfigurationError

ACCOUNT = "dirbridge-agent"
UNIT_FOLDER = Path("/etc/systemd/system")
STATE_FOLDER = Path("/var/lib/dirbridge-agent")
SETTINGS_FILE = Path("/etc/dirbridge/agent.toml")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where things go.

    Attributes:
        account: system account that runs the agent; it is made where there is none.
        starts: whether systemd is told, and the services started; without it only files are written.
        home: where the agent's versions lie.
        update_root: the root of the releases that the host shall trust; as it is, if None.
    """

    account: str = ACCOUNT
    settings: Path = SETTINGS_FILE
    state: Path = STATE_FOLDER
    unit_folder: Path = UNIT_FOLDER
    starts: bool = True
    home: Path = HOME
    update_root: Path | None = None

    @property
    def record(self) -> Path:
        """Where it is written down what was made."""
        return self.settings.with_suffix(".installed.json")


def install(places: Places, tell: Tell) -> None:
    """Install, or bring an installation up to date. Settings and state that are there stay.

    Args:
        tell: gets a sentence for each thing that is done.

    Raises:
        ConfigurationError: this is not root, or the host does not let us.
    """
    _need_root("installed")
    _apart(places)
    record = Record.open(places.record)
    _folder(places.settings.parent, record, tell)
    _account(places, record, tell)
    uid, gid = _ids(places.account)
    _folder(places.state, record, tell)
    _hand_over(places.state, uid, gid)
    if not places.settings.exists():
        replace(places.settings, units.SETTINGS.encode(), mode=0o640, owner=(0, gid))
        record.add("files", places.settings)
        tell(f"Wrote {places.settings}: name your domain there.")
    elif places.settings in record.paths("files"):
        os.chown(places.settings, 0, gid)  # the account may be another one than before
    _folder(places.home, record, tell)
    home = Home(places.home)
    if places.update_root is not None:
        versions.trust(home, places.update_root, record, tell)
    versions.take_in(home, record, tell)
    _folder(places.unit_folder, record, tell)
    programs = [Path(each) for each in (sys.executable, sys.base_prefix, __file__)]
    texts = units.texts(places.home, places.account, places.settings, places.state, programs=programs)
    for name, text in texts.items():
        file = places.unit_folder / name
        known = file.read_text("utf-8") if file.exists() else None
        if known != text:
            replace(file, text.encode(), mode=0o644, owner=(0, 0))
            tell(f"{'Brought up to date' if known else 'Wrote'} {file}.")
        record.add("units", file)
    if places.starts:
        _start(places, tell)


def uninstall(places: Places, tell: Tell, *, purge: bool = False) -> None:
    """Take away what was made. Settings and state stay unless they shall go too.

    Args:
        purge: remove settings and state as well: the agent's key is gone then, and it must be enrolled anew.

    Raises:
        ConfigurationError: this is not root, or nothing was installed.
    """
    _need_root("removed")
    record = Record.open(places.record)
    if record.is_empty:
        raise ConfigurationError(
            f"No agent was installed as a service here: there is no {places.record}.",
            code="NotInstalled",
            recommended_action="If it was installed with other places, name them: --settings, --state, --unit-folder.",
        )
    if places.starts and _systemd_runs():
        for file in record.paths("units"):
            _systemctl("disable", "--now", file.name, must=False)
    for file in record.paths("units"):
        file.unlink(missing_ok=True)
        record.drop("units", file)
        tell(f"Removed {file}.")
    if places.starts and _systemd_runs():
        _systemctl("daemon-reload")
    _remove_versions(record, tell)
    if purge:
        _purge(places, record, tell)
    for account in record.names("accounts"):
        _take_back(places, record)
        _remove_account(account, tell)
        record.drop("accounts", account)
    if purge:
        record.remove()
        for folder in record.paths("folders"):
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()
                tell(f"Removed {folder}.")
    else:
        tell(f"Settings {places.settings} and state {places.state} stay. --purge removes what was made of them.")


def _remove_versions(record: Record, tell: Tell) -> None:
    for link in record.paths("links"):
        link.unlink(missing_ok=True)
        record.drop("links", link)
    for tree in record.paths("trees"):
        if tree.exists():
            shutil.rmtree(tree)
            tell(f"Removed {tree}.")
        record.drop("trees", tree)


def _take_back(places: Places, record: Record) -> None:
    """Give what stays to root: the number of an account that goes may be given to another one."""
    if places.state.exists():
        _hand_over(places.state, 0, 0)
    if places.settings in record.paths("files") and places.settings.exists():
        os.chown(places.settings, 0, 0)


def _purge(places: Places, record: Record, tell: Tell) -> None:
    for file in record.paths("files"):
        file.unlink(missing_ok=True)
        tell(f"Removed {file}.")
    if places.state in record.paths("folders"):
        shutil.rmtree(places.state, ignore_errors=True)
        tell(f"Removed {places.state}, and the agent's key with it. Revoke the agent at the service.")


def _need_root(done: str) -> None:
    if os.geteuid() != 0:
        raise ConfigurationError(
            f"A service of the host can only be {done} by root.",
            code="NotRoot",
            recommended_action="Run it with sudo. `dirbridge agent run` needs no root and no installation.",
        )


def _apart(places: Places) -> None:
    """See that nothing that root trusts lies in the folder that the account gets.

    Raises:
        ConfigurationError: something does.
    """
    for each in (places.home, places.settings, places.unit_folder):
        if each.resolve().is_relative_to(places.state.resolve()):
            raise ConfigurationError(
                f"{each} lies in {places.state}, which belongs to the agent's account; root would run what it writes.",
                code="PlacesUnsafe",
                recommended_action="Name places of their own: --home, --settings, --unit-folder, --state.",
            )


def _account(places: Places, record: Record, tell: Tell) -> None:
    """Make the system account, without a password, a shell or a home."""
    try:
        pwd.getpwnam(places.account)
    except KeyError:
        pass
    else:
        return
    command = [
        "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", str(places.state),
        "--shell", "/usr/sbin/nologin", "--comment", "dirbridge provisioning agent", places.account,
    ]  # fmt: skip
    _run(command, f"The account {places.account} cannot be made")
    record.add("accounts", places.account)
    tell(f"Made the system account {places.account}.")


def _remove_account(account: str, tell: Tell) -> None:
    try:
        pwd.getpwnam(account)
    except KeyError:
        return
    _run(["userdel", account], f"The account {account} cannot be removed")
    tell(f"Removed the system account {account}.")


def _ids(account: str) -> tuple[int, int]:
    entry = pwd.getpwnam(account)
    return entry.pw_uid, grp.getgrgid(entry.pw_gid).gr_gid


def _folder(folder: Path, record: Record, tell: Tell) -> None:
    """Make a folder that everybody may enter; what lies in it has modes of its own."""
    for each in reversed([folder, *folder.parents]):
        if not each.exists():
            each.mkdir()
            each.chmod(0o755)  # whatever the mask of root's shell is
            record.add("folders", each)
            tell(f"Made {each}.")


def _hand_over(folder: Path, uid: int, gid: int) -> None:
    """Give the state to the account: root may have enrolled before.

    The account may be at work there, and be somebody else's: no name is looked up twice, no link is followed, and what
    has another name elsewhere is left alone.
    """
    for _, _, names, within in os.fwalk(folder.resolve()):
        os.fchown(within, uid, gid)
        for name in names:
            try:
                descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=within)
            except OSError:  # a link, or gone meanwhile
                continue
            try:
                known = os.fstat(descriptor)
                if stat.S_ISREG(known.st_mode) and known.st_nlink == 1:
                    os.fchown(descriptor, uid, gid)
            finally:
                os.close(descriptor)
    folder.chmod(0o700)


def _start(places: Places, tell: Tell) -> None:
    if not _systemd_runs():
        tell("systemd does not run here: have your supervisor run `dirbridge agent run` as that account.")
        return
    _systemctl("daemon-reload")
    for name in units.NAMES:
        _systemctl("enable", name)
        if state.is_enrolled(places.state):
            _systemctl("restart", name)
            tell(f"Started {name}.")
        else:
            tell(f"{name} starts with the host, and with `systemctl start {name}` once this host is enrolled.")


def _systemd_runs() -> bool:
    return Path("/run/systemd/system").is_dir()


def _systemctl(*words: str, must: bool = True) -> None:
    try:
        _run(["systemctl", "--quiet", *words], f"systemctl {' '.join(words)} failed")
    except ConfigurationError:
        if must:
            raise


def _run(command: list[str], what: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise ConfigurationError(
            f"{what}: {said.strip()}.",
            code="HostRefused",
            recommended_action="See that message; a policy of the host may forbid it.",
        ) from error
