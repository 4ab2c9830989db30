"""The steps of an update, in their order; the loop that `dirbridge agent updater` runs.

    orders -> list -> choose -> wait for its time -> download -> install -> try out -> switch -> restart -> prove
                                                                                 `-> switch back, restart, remember

Settings and state are the agent's and are not touched. What was begun is remembered before it is done: an updater that
starts again finishes it, or takes it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx2

from dirbridge.agent import settings as agent_settings
from dirbridge.agent import state as agent_state
from dirbridge.agent.client import http, tls
from dirbridge.agent.health import REPORT
from dirbridge.agent.runner import LOCK, running_pid
from dirbridge.agent.updater import archive, gate, orders, status
from dirbridge.agent.updater.fetching import Fetcher
from dirbridge.agent.updater.gate import Gate
from dirbridge.agent.updater.home import Home, Trial
from dirbridge.agent.updater.notes import read_note
from dirbridge.agent.updater.orders import Orders
from dirbridge.agent.updater.repository import PATH, Repository, choose
from dirbridge.agent.updater.status import Phase
from dirbridge.contract.errors import ConfigurationError, DirbridgeError
from dirbridge.contract.release import Release

logger = logging.getLogger(__name__)

NOTICE = 1.0
"""Seconds between two looks at whether the orders have changed."""
TRY_OUT = 60.0
RESTART = 120.0
"""Seconds that trying a version out, and restarting the agent, may take."""
_QUIET = frozenset({"NoReleases", "NoUpdateRoot", "NotEnrolled"})
"""Reasons to do nothing that are no faults."""


@dataclass(frozen=True, slots=True)
class Places:
    """What an updater works on.

    Attributes:
        restart: the command that restarts the agent from the current version.
    """

    home: Home
    settings: Path
    state: Path
    restart: Sequence[str]


@dataclass(frozen=True, slots=True)
class Updater:
    """One updater.

    Attributes:
        every: seconds between two looks at the releases.
        pause: seconds within which whoever supervises the agent has started it again.
        now: with this host's time zone.
    """

    places: Places
    gate: Gate = field(default_factory=Gate)
    every: float = 3600.0
    pause: float = 10.0
    now: Callable[[], datetime] = lambda: datetime.now().astimezone()

    async def run(self, stop: asyncio.Event, *, once: bool = False) -> str | None:
        """Look for releases again and again; gives the version that was installed, after which this one must end.

        Args:
            once: look once, and do not come back.
        """
        with self.places.home.only_one():
            while not stop.is_set():
                known = self._stamp()
                installed = await self._unless(stop)
                if installed is not None or once:
                    return installed
                await self._wait(stop, known)
        return None

    async def _unless(self, stop: asyncio.Event) -> str | None:
        """Look, unless told to stop meanwhile: what is under way is finished, or taken back, at the next start."""
        looking, stopping = asyncio.create_task(self._look()), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([looking, stopping], return_when=asyncio.FIRST_COMPLETED)
            return looking.result() if looking.done() else None
        finally:
            for task in (looking, stopping):
                task.cancel()
            await asyncio.gather(looking, stopping, return_exceptions=True)

    def check(self) -> None:
        """See that everything is there that an updater of this version needs. Touches nothing.

        Raises:
            ConfigurationError: something is missing.
            ImportError: a library of the host is.
        """
        for domain in agent_settings.load(self.places.settings).domains:
            domain.source()  # which needs libraries of the host, and connects to nothing
        agent_state.load_identity(self.places.state)
        self.places.home.root()

    async def _look(self) -> str | None:
        """Do all that is to be done now. What goes wrong is told and tried again."""
        try:
            trial = self.places.home.trial()
            if trial is not None and trial.to in self.places.home.bad():  # cut off on the way back
                await self._take_back(trial, self.places.home.bad()[trial.to])
                return None
            if trial is not None:
                return await self._prove(trial)
            return await self._update()
        except DirbridgeError as error:
            quiet = error.code in _QUIET
            logger.log(logging.INFO if quiet else logging.WARNING, "%s", error, extra={"event": "update_not_made"})
            self._say("idle" if quiet else "failed", str(error))
        except OSError as error:
            self._say("failed", str(archive.unwritable(self.places.home.folder, error)))
            logger.warning("The updater's files: %s", error, extra={"event": "update_not_made"})
        return None

    async def _update(self) -> str | None:
        current = self.places.home.current()
        wanted = await asyncio.to_thread(orders.read, self.places.state)
        async with self._service() as (service, client):
            fetcher = Fetcher(client, asyncio.get_running_loop())
            repository = Repository(service, self.places.home.root(), self.places.home.own, fetcher)
            await asyncio.to_thread(repository.refresh)
            release = choose(repository.releases(), current, wanted, self.places.home.bad())
            if release is None:
                self._rest(repository, current, wanted)
                return None
            hindrance = wanted.hindrance(self.now())
            if not hindrance and not await self._runs():
                hindrance = "The agent does not run. It is updated when it does, and not started for it."
            if hindrance:
                self._say("waiting", hindrance, current, release.version)
                return None
            await self._install(repository, current, release)
        return await self._change(current, release.version)

    async def _runs(self) -> bool:
        """Tell whether the agent runs, or is started again and again; who stopped it does not want it started."""
        until = asyncio.get_running_loop().time() + self.pause
        while running_pid(self.places.state) is None:
            if asyncio.get_running_loop().time() > until:
                return False
            await asyncio.sleep(gate.LOOK)
        return True

    def _rest(self, repository: Repository, current: str, wanted: Orders) -> None:
        """Say why there is nothing to do: a version that failed here stays in sight until a newer one is there."""
        bad = self.places.home.bad()
        passed_over = choose(repository.releases(), current, wanted, ())
        if passed_over is not None:
            version = passed_over.version
            said = f"{version} is not installed again: {bad[version]}. A newer release is waited for."
            self._say("rolled-back", said, current, version)
        elif wanted.wanted not in {None, current}:
            self._say("idle", f"{wanted.wanted} is wanted, and is no newer release for this host.", current)
        else:
            self._say("idle", f"{current} is the newest release for this host.", current)

    async def _install(self, repository: Repository, current: str, release: Release) -> None:
        """Fetch a release and put it beside the one that runs, which does not notice."""
        self._say("downloading", f"Downloading {release.version}.", current, release.version)
        file = await asyncio.to_thread(repository.download, release)
        self._say("installing", f"Installing {release.version}.", current, release.version)
        try:
            await asyncio.to_thread(self.places.home.add, file, release)
        finally:
            file.unlink(missing_ok=True)
        await asyncio.to_thread(self._try_out, release.version)

    def _try_out(self, version: str) -> None:
        """Start a version without letting it do anything: it must read this host's settings and state.

        Raises:
            ConfigurationError: it cannot. It is not tried again.
        """
        places = self.places
        command = [
            str(places.home.program_of(version)), "agent", "updater", "--check", "--settings", str(places.settings),
            "--state", str(places.state), "--home", str(places.home.folder),
        ]  # fmt: skip
        failure = _run(command, TRY_OUT)
        if failure:
            why = f"it cannot be started here: {failure}"
            places.home.condemn(version, why)
            raise ConfigurationError(
                f"{version} was not taken: {why}. The agent has not been touched.",
                code="ReleaseFailed",
                recommended_action="Publish a newer version that works with this host's settings.",
            )

    async def _change(self, current: str, version: str) -> str | None:
        """Switch to a version, and prove it."""
        places = self.places
        trial = Trial(current, version, gate.look(places.state, current)[1] == "")
        places.home.begin_trial(trial)
        logger.info("Updating from %s to %s.", current, version, extra={"event": "update_begins", "version": version})
        return await self._prove(trial)

    async def _prove(self, trial: Trial) -> str | None:
        """Bring the agent to a version, and back where it is not at work there."""
        self._say("checking", f"{trial.to} runs; waiting for the service to find it.", trial.from_, trial.to)
        why = await self._start(trial.to)
        if not why:
            self.places.home.end_trial()
            self.places.home.keep_only(trial.from_, trial.to)
            self._say("idle", f"Updated from {trial.from_} to {trial.to}.", trial.from_, trial.to)
            logger.info("%s is at work.", trial.to, extra={"event": "update_made", "version": trial.to})
            return trial.to
        await self._take_back(trial, why)
        return None

    async def _take_back(self, trial: Trial, why: str) -> None:
        logger.error(
            "%s is not at work: %s. Going back to %s.", trial.to, why, trial.from_,
            extra={"event": "update_taken_back", "version": trial.to},
        )  # fmt: skip
        with contextlib.suppress(OSError):  # a full disk must not keep the one that works from coming back
            self._condemn(trial, why)
        said = f"{trial.to} was not at work: {why}. Back to {trial.from_}."
        self._say("rolled-back", said, trial.from_, trial.to)
        failed = await self._start(trial.from_)
        self.places.home.end_trial()
        if failed:
            said = f"{trial.to} was not at work: {why}. {trial.from_} is back, and is not at work either: {failed}."
            self._say("failed", said, trial.from_, trial.to)
            logger.error("%s", said, extra={"event": "update_failed"})
        self._condemn(trial, why)

    def _condemn(self, trial: Trial, why: str) -> None:
        if trial.worked and trial.to not in self.places.home.bad():
            self.places.home.condemn(trial.to, why)

    async def _start(self, version: str) -> str:
        """Make a version the current one, restart the agent, and say why it is not at work."""
        places = self.places
        places.home.switch(version)
        try:
            (places.state / REPORT).unlink(missing_ok=True)
        except OSError as error:  # it is looked at again: what is no report proves nothing
            logger.warning("%s could not be removed: %s", places.state / REPORT, error.strerror)
        failure = await asyncio.to_thread(_run, places.restart, RESTART)
        if failure:
            return f"the agent could not be restarted: {failure}"
        return await self.gate.prove(places.state, version, self._is_reachable)

    async def _is_reachable(self) -> bool:
        try:
            async with self._service() as (service, client):
                return (await client.get(f"{service}{PATH}/metadata/timestamp.json")).is_success
        except (DirbridgeError, httpx2.HTTPError):
            return False

    @contextlib.asynccontextmanager
    async def _service(self) -> AsyncIterator[tuple[str, httpx2.AsyncClient]]:
        """Give the service's URL and a client of it: the agent's own way out, as its settings are now."""
        identity = agent_state.load_identity(self.places.state)
        common = agent_settings.load(self.places.settings).common
        trust = self.places.state / agent_state.TRUST
        async with http(identity.service, common, tls(str(trust), read_note(trust) or b"")) as client:
            yield identity.service, client

    def _say(self, phase: Phase, message: str, from_: str | None = None, to: str | None = None) -> None:
        try:
            status.write(self.places.state, phase, message, at=self.now(), from_=from_, to=to)
        except OSError as error:
            logger.warning("%s could not be written: %s", self.places.state / status.STATUS, error.strerror)

    def _stamp(self) -> list[tuple[int, int]]:
        """Give what differs once the agent has heard other orders, or was started."""
        found = []
        for name in (orders.ORDERS, LOCK):
            with contextlib.suppress(OSError):
                known = (self.places.state / name).lstat()
                found.append((known.st_mtime_ns, known.st_ino))
        return found

    async def _wait(self, stop: asyncio.Event, known: list[tuple[int, int]]) -> None:
        """Wait for the next look; new orders, and an agent that starts, bring it at once."""
        until = asyncio.get_running_loop().time() + self.every
        while asyncio.get_running_loop().time() < until and self._stamp() == known:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(NOTICE, self.every)):
                    await stop.wait()
                    return


def _run(command: Sequence[str], longest: float) -> str:
    """Run a command; gives its last words where it failed, and nothing where it did not."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=longest,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    last = (done.stderr or done.stdout).strip().rpartition("\n")[2]
    return last[:400] or f"it ended with {done.returncode}"
