"""Waking by NOTIFY: one connection for a process, whoever waits for anything in it.

A notification only shortens a wait. Every waiter also looks by itself now and then, so that one lost while the
connection was down costs a second, not an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from dirbridge.contract.errors import TransientError
from dirbridge.store.database import Database

logger = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


class Bell:
    """Rings for one (channel, payload) while it is watched. Ring before wait is kept."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    @property
    def is_rung(self) -> bool:
        """It rang since the last wait."""
        return self._rung.is_set()

    def ring(self) -> None:
        """Wake who waits."""
        self._rung.set()

    async def wait(self, timeout: float) -> bool:
        """Wait for a ring since the last wait; False where the time passed without one."""
        try:
            async with asyncio.timeout(timeout):
                await self._rung.wait()
        except TimeoutError:
            return False
        finally:
            self._rung.clear()
        return True


class Listener:
    """Keeps a connection of its own on some channels and rings the bells of who watches them.

    Use it as an asynchronous context manager. It connects in the background and again whenever the connection is lost.
    """

    def __init__(self, database: Database, channels: Sequence[str]) -> None:
        self._database = database
        self._channels = tuple(channels)
        self._bells: dict[tuple[str, str], set[Bell]] = {}
        self._task: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()

    @contextlib.contextmanager
    def watch(self, *topics: tuple[str, str]) -> Iterator[Bell]:
        """Give a bell that rings for each of these (channel, payload)."""
        bell = Bell()
        for topic in topics:
            self._bells.setdefault(topic, set()).add(bell)
        try:
            yield bell
        finally:
            for topic in topics:
                bells = self._bells[topic]
                bells.discard(bell)
                if not bells:
                    del self._bells[topic]

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_listening(), name="listener")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _keep_listening(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._listen()
            except (psycopg.Error, TransientError) as error:
                if self.connected.is_set():
                    pause = _FIRST_PAUSE
                self.connected.clear()
                logger.warning(
                    "No connection waits for notifications (%s); trying again in %.1f s.",
                    str(error).strip().split("\n")[0] or type(error).__name__,
                    pause,
                    extra={"event": "listener_lost"},
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _listen(self) -> None:
        connection = await self._database.standalone()
        async with connection:
            for channel in self._channels:
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            self.connected.set()
            self._ring_all()
            async for notification in connection.notifies():
                for bell in self._bells.get((notification.channel, notification.payload), ()):
                    bell.ring()

    def _ring_all(self) -> None:
        """Wake everybody: something may have been missed while there was no connection."""
        for bells in self._bells.values():
            for bell in bells:
                bell.ring()
