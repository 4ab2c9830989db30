"""Listens to directories that tell by themselves when they change, and nudges the service.

`runner` starts it beside its loops. Nothing rests on it: what changed is read by the service's own requests, and where
a directory cannot tell, or the connection to it is lost, changes wait for the job's interval. Each directory has one
connection for it, whatever the number of jobs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Protocol

from dirbridge.agent.client import Pauses
from dirbridge.connectors.protocol import Source, Watched
from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, TransientError

logger = logging.getLogger(__name__)

SPACING = 1.0
"""Seconds between two nudges for one directory, however many changes there are."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a directory is listened to again that let go; a connection that lasted the longer one begins anew."""
LOOK = 5.0
"""Seconds between two looks at whether settings that stood in the way were changed."""
MOST_AGE = 86_400.0
"""Seconds that a change may be old where a nudge for it was held up; older ones are no younger for the service."""


class Nudged(Protocol):
    """Who is told of changes: the service, through `agent.client`."""

    async def nudge(self, domain: str, age: float) -> None:
        """Say that a directory changed, so many seconds ago."""
        ...


class Watching:
    """Watches all directories that can tell.

    Args:
        service: who is nudged.
        sources: by the name of the domain, as in the settings.
        patience: seconds for which a directory is left alone that refused the account or cannot tell.
        stamp: gives, for a domain, what differs once its credentials were changed; it is then tried at once.
        clock: seconds that only grow.
        spacing: seconds between two nudges for one directory.
        pause: seconds before a directory is listened to again that let go, the first time.
    """

    def __init__(
        self,
        service: Nudged,
        sources: Mapping[str, Source],
        patience: float,
        stamp: Callable[[str], object] = lambda _: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        spacing: float = SPACING,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self._service = service
        self._sources = {name: source for name, source in sources.items() if isinstance(source, Watched)}
        self._patience = patience
        self._stamp = stamp
        self._clock = clock
        self._spacing = spacing
        self._pause = pause

    async def run(self) -> None:
        """Watch until cancelled; ends by itself where no directory can tell.

        Raises:
            CredentialError: the service does not accept this agent any more.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for name, source in self._sources.items():
                    news = _News(self._clock)
                    group.create_task(self._keep_listening(name, source, news), name=f"listen to {name}")
                    group.create_task(self._keep_nudging(name, news), name=f"nudge for {name}")
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    async def _keep_listening(self, name: str, source: Watched, news: _News) -> None:
        pauses = Pauses(LONGEST_PAUSE, self._pause)
        while True:
            began = self._clock()
            try:
                await self._listen(name, source, news)
            except ConfigurationError as error:
                _tell_unheard(name, error)
                await self._until_changed(name)
            except TransientError as error:
                lasted = self._clock() - began > LONGEST_PAUSE
                if lasted:
                    pauses.reset()
                # A domain controller may let go of who asks nothing for a quarter of an hour (MaxConnIdleTime).
                _tell_lost(name, error, logging.INFO if lasted else logging.WARNING)
                await asyncio.sleep(pauses.next())
            except DirbridgeError as error:
                _tell_lost(name, error, logging.WARNING)
                await asyncio.sleep(LONGEST_PAUSE)
            except Exception:  # whatever a library raises must not end the agent
                logger.exception("Listening to %s failed.", name, extra={"event": "watch_crashed"})
                await asyncio.sleep(LONGEST_PAUSE)

    async def _listen(self, name: str, source: Watched, news: _News) -> None:
        begun = False
        async with aclosing(source.watch()) as changes:
            async for _ in changes:
                if not begun:
                    begun = True
                    logger.info("Listening to changes of %s.", name, extra={"event": "watch_began"})
                # The first, too: something may have changed while nobody listened.
                news.came()
        raise TransientError(f"{name} tells of no more changes.", code="WatchEnded")

    async def _until_changed(self, name: str) -> None:
        """Leave a directory alone that says no, until somebody changes something or a long time has passed."""
        until, before = self._clock() + self._patience, self._stamp(name)
        while self._clock() < until and self._stamp(name) == before:  # noqa: ASYNC110 - files change without an event
            await asyncio.sleep(min(LOOK, max(until - self._clock(), 0)))

    async def _keep_nudging(self, name: str, news: _News) -> None:
        pauses = Pauses(LONGEST_PAUSE, self._pause)
        while True:
            age = await news.wait()
            try:
                await self._service.nudge(name, min(age, MOST_AGE))
            except TransientError as error:
                logger.debug("The service was not told that %s changed: %s", name, error)
                news.keep()
                await asyncio.sleep(pauses.next())
            else:
                pauses.reset()
                await asyncio.sleep(self._spacing)


class _News:
    """That a directory changed, and when that was seen last."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen = clock()
        self._came = asyncio.Event()

    def came(self) -> None:
        """Note a change."""
        self._seen = self._clock()
        self._came.set()

    def keep(self) -> None:
        """Nobody was told of it yet."""
        self._came.set()

    async def wait(self) -> float:
        """Wait for a change; gives how many seconds ago the newest was seen."""
        await self._came.wait()
        self._came.clear()
        return self._clock() - self._seen


def _tell_unheard(name: str, error: ConfigurationError) -> None:
    level = logging.WARNING if isinstance(error, CredentialError) else logging.INFO
    logger.log(
        level,
        "Changes of %s wait for the interval of its jobs: %s",
        name,
        error,
        extra={"event": "watch_refused", "code": error.code},
    )


def _tell_lost(name: str, error: DirbridgeError, level: int) -> None:
    logger.log(
        level,
        "Changes of %s wait for the interval of its jobs until it is listened to again: %s",
        name,
        error,
        extra={"event": "watch_lost", "code": error.code},
    )
