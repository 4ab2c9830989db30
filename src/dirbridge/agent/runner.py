"""The agent's loop: wait for a request, answer it, be there for the next.

It keeps no state but the requests it is working at. When the service is away it comes back by itself, in growing
pauses; when it is told that it is not welcome, it stops and says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dirbridge.agent import state as states
from dirbridge.agent.carrying import Carrying
from dirbridge.agent.client import Gone, Pauses, ServiceClient
from dirbridge.agent.delivery import Delivery
from dirbridge.agent.executor import Executor, Trouble
from dirbridge.agent.health import Health
from dirbridge.agent.settings import Settings
from dirbridge.agent.state import State
from dirbridge.agent.tracing.switch import Switch
from dirbridge.agent.updater import orders as update_orders
from dirbridge.agent.updater import status as update_status
from dirbridge.agent.watching import Watching
from dirbridge.contract import wire
from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError

logger = logging.getLogger(__name__)

LOCK = "agent.lock"


class Runner:
    """One running agent."""

    def __init__(self, settings: Settings, state: State) -> None:
        self._settings = settings
        self._state = state
        self._names = settings.names
        stamps = {domain.name: domain.stamp for domain in settings.domains}
        self._sources = {domain.name: domain.source() for domain in settings.domains}
        self._stamp = lambda name: stamps[name]()
        self._executor = Executor(self._sources, settings.common.credential_pause, self._stamp)
        self._tracing = Switch(settings, state.folder)
        self._working: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(settings.common.concurrency)
        self.health = Health(settings, state.folder, self)
        self.health.tells("update", lambda: update_status.read(state.folder))
        self.health.hears("updater", self._keep_orders)
        self.health.tells("traces", self._tracing.shown)
        self.health.hears("tracing", self._tracing.ordered)
        check_domains(settings, state)

    async def _keep_orders(self, said: Any) -> None:
        await asyncio.to_thread(update_orders.keep, self._state.folder, said)

    @property
    def queue(self) -> int:
        """Requests in progress."""
        return len(self._working)

    @property
    def last_error(self) -> str | None:
        """What went wrong last with a request."""
        return self._executor.last_error

    @property
    def troubles(self) -> list[Trouble]:
        """What keeps domains from being read at present."""
        return self._executor.troubles

    async def run(self, stop: asyncio.Event) -> None:
        """Work until told to stop.

        Raises:
            CredentialError: the service does not accept this agent any more.
        """
        async with self._tracing, ServiceClient(self._state, self._settings.common) as client:
            loops = [
                asyncio.create_task(self._serve(client), name="serve"),
                asyncio.create_task(stop.wait(), name="stop"),
            ]
            try:
                await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
                if loops[0].done():
                    await loops[0]
            finally:
                await self._leave(client, loops)

    async def _serve(self, client: ServiceClient) -> None:
        await self._persist("starting", client)
        logger.info(
            "Agent %s serves %s at %s.",
            self._state.identity.agent,
            ", ".join(self._names),
            self._state.identity.service,
            extra={"event": "agent_started", "agent": self._state.identity.agent},
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_beating(client))
                group.create_task(self._keep_polling(client))
                group.create_task(self._carrying(client).run())
                group.create_task(
                    Watching(client, self._sources, self._settings.common.credential_pause, self._stamp).run()
                )
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    def _carrying(self, client: ServiceClient) -> Carrying:
        carrying = Carrying(client, self._settings, self._state)
        self.health.hears("collect", carrying.ordered)
        return carrying

    async def _persist(self, word: str, client: ServiceClient) -> None:
        """Send the first heartbeat, however long the service is away."""
        pauses = Pauses(self._settings.common.retry_longest)
        while True:
            try:
                await self.health.beat(client, word)
                self.health.found()
                return
            except TransientError as error:
                self.health.missed(error)
                await asyncio.sleep(pauses.next())

    async def _keep_beating(self, client: ServiceClient) -> None:
        while True:
            self.health.write(client.advice.heartbeat_every)
            await client.until_heartbeat()
            try:
                await self.health.beat(client, "running")
                await self._renew_certificate(client)
            except TransientError as error:
                logger.debug("A heartbeat failed: %s", error)

    async def _keep_polling(self, client: ServiceClient) -> None:
        pauses = Pauses(self._settings.common.retry_longest)
        while True:
            await self._slots.acquire()
            assignment = None
            try:
                assignment = await client.next_request(self._names)
                pauses.reset()
                self.health.found()
            except TransientError as error:
                self.health.missed(error)
                await asyncio.sleep(pauses.next())
            finally:
                if assignment is None:
                    self._slots.release()
            if assignment is not None:
                task = asyncio.create_task(self._work(client, assignment), name=f"request {assignment.request}")
                self._working.add(task)
                task.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._working.discard(task)
        self._slots.release()

    async def _work(self, client: ServiceClient, assignment: wire.Assignment) -> None:
        """Answer one request. What goes wrong ends this request, never the agent."""
        began = time.monotonic()
        ids = {"request": assignment.request, "attempt": assignment.attempt}
        kind = type(assignment.body).__name__.removesuffix("Request").lower()
        domain = assignment.body.domain
        logger.info("Reading %s (%s).", domain, kind, extra={"event": "request_taken", **ids})
        try:
            delivery = Delivery(client, self._settings.common, assignment)
            if await delivery.run(self._executor.answer(assignment.body)):
                logger.info(
                    "Answered for %s (%s) in %.1f s.",
                    domain,
                    kind,
                    time.monotonic() - began,
                    extra={"event": "request_answered", **ids},
                )
        except (DirbridgeError, Gone) as error:
            logger.warning(
                "The answer for %s could not be delivered: %s", domain, error, extra={"event": "request_dropped", **ids}
            )

    async def _renew_certificate(self, client: ServiceClient) -> None:
        if datetime.now(UTC) < self._state.renew_at:
            return
        certificate = await client.renew_certificate()
        try:
            await asyncio.to_thread(states.save_certificate, self._state.folder, certificate)
            self._state = await asyncio.to_thread(states.load, self._state.folder)
        except (OSError, ConfigurationError) as error:  # a third of its life is left to free the disk
            logger.warning(
                "The renewed certificate could not be kept in %s: %s. It is tried again.",
                self._state.folder,
                error,
                extra={"event": "certificate_not_kept"},
            )
            return
        logger.info(
            "The agent's certificate was renewed; it is good until %s.",
            self._state.certificate.not_valid_after_utc.date(),
            extra={"event": "certificate_renewed"},
        )

    async def _leave(self, client: ServiceClient, loops: list[asyncio.Task[Any]]) -> None:
        """Stop within seconds: end what ends soon, hand the rest back."""
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        working = set(self._working)
        if working:
            await asyncio.wait(working, timeout=self._settings.common.stop_timeout)
            for task in working:
                task.cancel()
            await asyncio.gather(*working, return_exceptions=True)
        with contextlib.suppress(DirbridgeError, TimeoutError):
            async with asyncio.timeout(2):
                await self.health.beat(client, "stopping")
        logger.info("The agent has stopped.", extra={"event": "agent_stopped"})


def check_domains(settings: Settings, state: State) -> None:
    """See that the agent was enrolled for every domain of its settings.

    Raises:
        ConfigurationError: it was not.
    """
    others = sorted(set(settings.names) - set(state.identity.domains))
    if others:
        raise ConfigurationError(
            f"The agent was enrolled for {', '.join(state.identity.domains)}, not for {', '.join(others)}, "
            "which its settings name.",
            code="DomainNotEnrolled",
            recommended_action="Enrol it anew with --replace and a code for all of them, or take the others out of the "
            "settings.",
        )


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Let only one process run as this agent: two would take each other's requests away.

    Raises:
        ConfigurationError: one runs already.
    """
    with open(folder / LOCK, "r+", opener=_or_made) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"The agent of {folder} is already running as process {_pid(lock.fileno())}.",
                code="AlreadyRunning",
                recommended_action="Stop that process first, or name another agent's folder with --state.",
            ) from error
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the number, too
            os.ftruncate(lock.fileno(), os.pwrite(lock.fileno(), str(os.getpid()).encode(), 0))
        yield


def _or_made(name: str, flags: int) -> int:
    """Open a file, or make it. Not for appending: Linux would write the number behind that of the process before.

    Source: pwrite(2), "Bugs".
    """
    return os.open(name, flags | os.O_CREAT, 0o666)


def running_pid(folder: Path) -> int | None:
    """Give the process that runs as this agent; None where there is none."""
    try:
        # The updater asks this as root, in a folder of the agent's account: nothing there may hold it up.
        lock = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _pid(lock)
    except OSError:
        pass
    finally:
        os.close(lock)
    return None


def _pid(lock: int) -> int | None:
    try:
        text = os.pread(lock, 20, 0).strip()
    except OSError:  # a pipe, or a folder
        return None
    return int(text) if text.isdigit() else None
