"""How this agent is: what it tells the service every half minute, and the note that it leaves on its host.

`runner` beats; whoever runs beside it in the agent adds a member of its own to what is told (`tells`), and takes its
own from the answer (`hears`). Either side leaves out what it has nothing to say of and passes over what it does not
know, so that an agent and a service of different versions understand each other.
"""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from dirbridge import __version__
from dirbridge.agent import replacing
from dirbridge.agent.executor import Trouble
from dirbridge.agent.settings import Settings
from dirbridge.contract.errors import TransientError

logger = logging.getLogger(__name__)

REPORT = "report.json"
LOST_FOR = 30.0
"""Seconds without an answer to its long polls after which an agent whose heartbeats come through says so."""
MOST_TROUBLES, LONGEST = 20, 1000
"""So many troubles, of so many characters, are told: a heartbeat stays far below what the service takes."""


class Work(Protocol):
    """What the agent is at."""

    @property
    def queue(self) -> int:
        """Requests in progress."""
        ...

    @property
    def last_error(self) -> str | None:
        """What went wrong last with a request."""
        ...

    @property
    def troubles(self) -> Sequence[Trouble]:
        """What keeps domains from being read at present."""
        ...


class Listening(Protocol):
    """The service, as far as heartbeats need it."""

    async def heartbeat(self, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send one; gives the answer."""
        ...


class Health:
    """The health of one running agent.

    Args:
        folder: of the agent's state, where the note is left.
    """

    def __init__(self, settings: Settings, folder: Path, work: Work) -> None:
        self._settings = settings
        self._folder = folder
        self._work = work
        self._began = time.monotonic()
        self._lost: str | None = None
        self._lost_at = 0.0
        self._is_found = False
        self._told: dict[str, Callable[[], Any]] = {}
        self._heard: dict[str, Callable[[Any], Awaitable[None]]] = {}

    def tells(self, member: str, give: Callable[[], Any]) -> None:
        """Add a member to every heartbeat; while `give` gives None it is left out."""
        self._told[member] = give

    def hears(self, member: str, take: Callable[[Any], Awaitable[None]]) -> None:
        """Hand on a member of every answer that has it. `take` gets what came over the wire, and raises nothing."""
        self._heard[member] = take

    async def beat(self, client: Listening, word: str) -> None:
        """Send one heartbeat and hand on what the answer says.

        Args:
            word: starting, running or stopping.

        Raises:
            CredentialError: the service does not accept this agent any more.
            TransientError: it cannot be reached.
        """
        answer = await client.heartbeat(self.report(word))
        for member, take in self._heard.items():
            if member in answer:
                await take(answer[member])

    def report(self, word: str) -> dict[str, Any]:
        """Say how the agent is."""
        last_error, now = self._work.last_error, datetime.now(UTC)
        is_lost = self._lost is not None and time.monotonic() - self._lost_at > LOST_FOR
        told = {member: give() for member, give in self._told.items()}
        return {
            "state": word,
            "version": __version__,
            "host": socket.gethostname()[:255],
            "uptime": round(time.monotonic() - self._began, 1),
            "queue": self._work.queue,
            "domains": self._settings.names,
            "lastError": last_error and last_error[:4000],
            "time": now.isoformat(timespec="seconds"),
            "troubles": [_said(trouble) for trouble in self._work.troubles[:MOST_TROUBLES]],
            "lost": self._lost and self._lost[:LONGEST] if is_lost else None,
            **{member: value for member, value in told.items() if value is not None},
        }

    def write(self, every: float) -> None:
        """Leave a note of how this process is, for `agent status`, `agent check` and the updater.

        Args:
            every: seconds until the next one; a heartbeat that waits for the service may delay it.
        """
        report = {
            **self.report("running"),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "staleAfter": 3 * every + 2 * self._settings.common.answer_timeout,
            "found": self._is_found,
            "lost": self._lost,
        }
        try:
            replacing.replace(self._folder / REPORT, json.dumps(report).encode(), mode=0o644)
        except OSError as error:
            logger.warning("The report in %s could not be written: %s", self._folder, error.strerror)

    def missed(self, error: TransientError) -> None:
        """Note that the service cannot be reached."""
        if self._lost is None:
            self._lost_at = time.monotonic()
            logger.warning("%s Trying again until it answers.", error, extra={"event": "service_lost"})
        self._lost = str(error)
        self._is_found = False

    def found(self) -> None:
        """Note that the service answers, and accepts this agent."""
        if self._lost is not None:
            logger.info("The service answers again.", extra={"event": "service_found"})
        self._lost = None
        self._is_found = True


def _said(trouble: Trouble) -> dict[str, str]:
    return {
        "domain": trouble.domain,
        "since": trouble.since.isoformat(timespec="seconds"),
        "code": trouble.error.code,
        "message": trouble.error.reason[:LONGEST],
        "recommendedAction": trouble.error.recommended_action[:LONGEST],
    }
