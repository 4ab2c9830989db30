"""The versions of this host, side by side, and which of them is the current one.

    <home>/current            -> versions/<version>
    <home>/versions/<version>/bin/dirbridge, lib/
    <home>/root.json          the root of the releases, put there at installation
    <home>/updater/           what only the updater knows

Switching is one rename of a symbolic link; whatever is cut off leaves the one version or the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.resources
import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from dirbridge.agent.replacing import replace
from dirbridge.agent.updater import archive
from dirbridge.agent.updater.notes import read_note
from dirbridge.contract import release as contract
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.release import Release

HOME = Path("/opt/dirbridge")

_RUN = "import sys; sys.argv[0] = {name!r}; sys.path[:0] = {path!r}; from dirbridge.cli.main import main; main()"


class Trial(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """A version that was switched to and has not been proved yet.

    Attributes:
        worked: the version before it was at work. Where it was not, the new one is not to blame.
    """

    from_: str
    to: str
    worked: bool = True


@dataclass(frozen=True, slots=True)
class Home:
    """One folder with the versions of an agent."""

    folder: Path = HOME

    @property
    def versions(self) -> Path:
        return self.folder / "versions"

    @property
    def own(self) -> Path:
        """What only the updater writes."""
        return self.folder / "updater"

    @property
    def program(self) -> Path:
        """The command of the version that is current whenever it is run."""
        return self.folder / "current" / "bin" / "dirbridge"

    def program_of(self, version: str) -> Path:
        """Give the command of one version."""
        return self.versions / version / "bin" / "dirbridge"

    def current(self) -> str:
        """Give the current version.

        Raises:
            ConfigurationError: there is none.
        """
        with contextlib.suppress(OSError, ConfigurationError):
            version = (self.folder / "current").readlink().name
            contract.order(version)
            if self.program_of(version).exists():
                return version
        raise ConfigurationError(
            f"There is no current version of the agent in {self.folder}.",
            code="HomeUnusable",
            recommended_action="Run `dirbridge agent install`, or name the folder that it was given with --home.",
        )

    def switch(self, version: str) -> None:
        """Make a version the current one, in one step."""
        draft = self.folder / f".current.{secrets.token_hex(4)}"
        try:
            draft.symlink_to(Path("versions") / version)
            draft.replace(self.folder / "current")
        finally:
            draft.unlink(missing_ok=True)
        _sync(self.folder)

    def add(self, file: Path, release: Release) -> None:
        """Put a release beside the others, whole or not at all.

        Args:
            file: its archive, verified.

        Raises:
            ConfigurationError: it is no release, or another one.
            TransientError: there is no room.
        """
        place = self.versions / release.version
        draft = self.versions / f".{release.version}.{secrets.token_hex(4)}"
        try:
            _make(draft)
            _expect(archive.unpack(file, draft), release)
            _launcher(draft, [_interpreter(), "-I", "-S"], [str(place / contract.LIB)])
            os.sync()
            shutil.rmtree(place, ignore_errors=True)
            draft.rename(place)
            _sync(self.versions)
        except OSError as error:
            raise archive.unwritable(self.versions, error) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def adopt(self, version: str) -> bool:
        """Take the installation that runs this for a version: the first one on a host comes by other ways.

        Returns:
            Whether anything was written.
        """
        folder = self.versions / version
        _make(folder)
        return _launcher(folder, [sys.executable, "-I"], [])

    def is_adopted(self, version: str) -> bool:
        """Tell whether a version is an installation that lies elsewhere."""
        return not (self.versions / version / contract.LIB).exists()

    def keep_only(self, *versions: str) -> None:
        """Remove the other versions, and what cut-off installations left."""
        for each in self.versions.iterdir():
            if each.name not in versions:
                shutil.rmtree(each, ignore_errors=True)

    def root(self) -> bytes:
        """Give the root of the releases: the administrator's, or else the one that came with this version.

        Raises:
            ConfigurationError: there is none, or others may write it.
        """
        file = self.folder / "root.json"
        try:
            mode = file.stat().st_mode
            content = file.read_bytes()
        except FileNotFoundError:
            packaged = importlib.resources.files("dirbridge.agent.updater") / "root.json"
            if packaged.is_file():
                return packaged.read_bytes()
            raise ConfigurationError(
                f"No root of releases is on this host: there is no {file}. The agent runs and is not updated.",
                code="NoUpdateRoot",
                recommended_action="Give the root file of those who sign the releases to `dirbridge agent install "
                "--update-root FILE`.",
            ) from None
        if mode & 0o022:
            raise ConfigurationError(
                f"The root of releases {file} has mode {mode & 0o777:04o}, so others may change whom this host trusts.",
                code="UpdateRootExposed",
                recommended_action=f"Compare it with the one you were given, then run `chmod 644 {file}`.",
            )
        return content

    def bad(self) -> dict[str, str]:
        """Give the versions that did not work here, and why."""
        content = read_note(self.own / "bad.json")
        with contextlib.suppress(ValueError):
            return msgspec.json.decode(content or b"{}", type=dict[str, str])
        return {}

    def condemn(self, version: str, why: str) -> None:
        """Remember that a version did not work here."""
        replace(self.own / "bad.json", msgspec.json.encode({**self.bad(), version: why}), mode=0o644)

    def trial(self) -> Trial | None:
        """Give the switch that is not proved yet, if there is one."""
        content = read_note(self.own / "trial.json")
        with contextlib.suppress(ValueError):
            return msgspec.json.decode(content, type=Trial) if content is not None else None
        return None

    def begin_trial(self, trial: Trial) -> None:
        """Remember a switch before it is made, lest a power cut leaves an unproved version."""
        replace(self.own / "trial.json", msgspec.json.encode(trial), mode=0o644)

    def end_trial(self) -> None:
        """Forget it: it is proved, or taken back."""
        (self.own / "trial.json").unlink(missing_ok=True)

    @contextlib.contextmanager
    def only_one(self) -> Iterator[None]:
        """Let only one updater work here.

        Raises:
            ConfigurationError: one does already, or the folder cannot be written.
        """
        try:
            _make(self.own)
            lock = (self.own / "lock").open("a+")
        except OSError as error:
            raise ConfigurationError(
                f"{self.own} cannot be written: {error.strerror}.",
                code="HomeUnusable",
                recommended_action="Run the updater under the account that the folder belongs to; as a rule root.",
            ) from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigurationError(
                    f"An updater of {self.folder} is already running.",
                    code="AlreadyRunning",
                    recommended_action="Stop it first, or name another folder with --home.",
                ) from error
            yield

    def updater_runs(self) -> bool:
        """Tell whether an updater works here."""
        with contextlib.suppress(OSError), (self.own / "lock").open("r") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


def _expect(said: Release, release: Release) -> None:
    """See that an archive holds what it was listed as; the channel is the list's."""
    if (said.version, said.python, said.platform) != (release.version, release.python, release.platform):
        raise ConfigurationError(
            f"The archive of {release.version} holds {said.version} for Python {said.python} on {said.platform}.",
            code="ReleaseUnfit",
            recommended_action="Build it with `dirbridge release build`, and publish a newer version.",
        )


def _interpreter() -> str:
    """Give the host's Python, not that of a virtual environment, which has packages of its own."""
    return str(getattr(sys, "_base_executable", sys.executable))


def _launcher(folder: Path, python: list[str], path: list[str]) -> bool:
    """Write `bin/dirbridge`. Neither the environment nor the working directory decides what it imports."""
    _make(folder / "bin")
    code = _RUN.format(name="dirbridge", path=path)
    text = f'#!/bin/sh\nexec {shlex.join([*python, "-c", code])} "$@"\n'
    program = folder / "bin" / "dirbridge"
    if program.exists() and program.read_text("utf-8") == text:
        return False
    replace(program, text.encode(), mode=0o755)
    return True


def _make(folder: Path) -> None:
    """Make a folder, and those above it, that everybody may read, whatever the mask of the process."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir()
        folder.chmod(0o755)


def _sync(folder: Path) -> None:
    """Have the disk know of a rename."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
