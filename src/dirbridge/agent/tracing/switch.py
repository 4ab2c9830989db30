"""Switches the verbose trace on and off while the agent runs.

The runner holds it open as long as it runs. Who wants the trace says so in a file (`wish`), which outlives the
process; when it ends is watched here by the clock, and by a second one that nobody sets.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from dirbridge import __version__
from dirbridge.agent.settings import Settings
from dirbridge.agent.tracing import TRACE_FOLDER, VALUES, wish
from dirbridge.agent.tracing.lines import Json
from dirbridge.agent.tracing.redaction import Redaction, secret_files
from dirbridge.agent.tracing.rotation import RotatedFile
from dirbridge.agent.tracing.wish import Wish

logger = logging.getLogger(__name__)

FILE = "verbose.log"
FILES = 10
"""Files that the verbose trace is spread over, the present one included."""
LOOK_SECONDS = 1.0


class Switch:
    """Turns the verbose trace on and off, while it is open as an asynchronous context manager.

    Args:
        folder: of the agent's state.
        now: seconds since the epoch, by this host's clock.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        *,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._now = now
        self._clock = clock
        self._wish = Wish()
        self._ends = 0.0
        self._handler: RotatedFile | None = None
        self._level = logging.NOTSET
        self._order = ""
        self._refusal = ""
        self._seen: object = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.look()
        self._task = asyncio.create_task(self._keep_looking(), name="tracing")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the trace. One that is on stays wanted for the next start."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        self._turn_off("the agent stops")

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Do what is wanted now."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._seen = stamp
            self._follow(wish.load(self._folder))
        elif self._handler is not None and self._clock() >= self._ends:
            self._turn_off("its time is over")

    def shown(self) -> dict[str, Any] | None:
        """Say for the heartbeat until when the trace is on, and what was refused; None where there is neither."""
        found: dict[str, Any] = {}
        if self._handler is not None:
            until = datetime.fromtimestamp(self._wish.until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            found |= {"until": until, "values": self._wish.values, "by": self._wish.by}
        if self._refusal:
            found["refused"] = self._refusal
        return found or None

    async def ordered(self, order: Any) -> None:
        """Take from a heartbeat's answer what the service wants: a trace for so many seconds, or none.

        What this host began goes on; what the service began ends when it no longer wants it. An order is followed
        once, so that a trace which was stopped on this host stays so.
        """
        self.look()
        if not isinstance(order, Mapping):
            self._refusal = ""
            if self._handler is not None and self._wish.by == "service":
                self._keep(Wish(order=self._wish.order))
            return
        known = wish.load(self._folder)
        try:
            name, seconds, values = str(order["order"]), float(order["seconds"]), order["values"] is True
        except (KeyError, TypeError, ValueError, OverflowError):
            return
        if not seconds > 0 or name in (known.order, self._order):
            return
        self._order = name
        self._refusal = self._refused(values=values)
        if self._settings.common.remote_trace == "off":
            return
        now = self._now()
        values = values and not self._refusal
        until = now + min(seconds, wish.LONGEST.total_seconds())
        if known.by == "host" and known.until >= until and known.left(now) > 0 and known.values >= values:
            self._keep(replace(known, order=name))
        else:
            self._keep(Wish(now, until, values, "service", name))

    def _refused(self, *, values: bool) -> str:
        """Say what this host's settings forbid of an order."""
        match self._settings.common.remote_trace, values:
            case "off", _:
                reason = "remote_trace in the settings of this agent is off."
            case "on", True:
                reason = "remote_trace in the settings of this agent does not allow values of attributes."
            case _:
                return ""
        logger.warning("The service wants a verbose trace: %s", reason, extra={"event": "trace_refused"})
        return reason

    def _keep(self, wanted: Wish) -> None:
        """Remember it for the next start as well, where the disk lets us."""
        try:
            wish.save(self._folder, wanted)
        except OSError as error:
            logger.warning("What is wanted of the trace cannot be kept: %s.", error.strerror)
            with contextlib.suppress(OSError):  # what was wanted before must not come back either
                (self._folder / wish.FILE).unlink()
        self._seen = self._stamp()
        self._follow(wanted)

    def _follow(self, wanted: Wish) -> None:
        left = wanted.left(self._now())
        if self._handler is not None and (not left or wanted.values != self._wish.values):
            self._turn_off("it is not wanted any more" if not left else "another one begins")
        self._wish, self._ends = wanted, self._clock() + left
        if left and self._handler is None:
            self._turn_on()

    def _turn_on(self) -> None:
        size = self._settings.common.trace_megabytes * 1024 * 1024 // FILES
        handler = RotatedFile(self._folder / TRACE_FOLDER / FILE, size, FILES - 1)
        redaction = Redaction(secret_files(self._settings))
        handler.setFormatter(Json(redaction, stacks_from=logging.WARNING, shows_values=self._wish.values))
        self._handler = handler
        ours, values = logging.getLogger("dirbridge"), logging.getLogger(VALUES)
        self._level = ours.level
        logging.getLogger().addHandler(handler)
        ours.setLevel(logging.DEBUG)
        if self._wish.values:
            values.addHandler(handler)
            values.setLevel(logging.DEBUG)
        until = datetime.fromtimestamp(self._wish.until).astimezone()
        logger.info(
            "A verbose trace is written to %s until %s, %s values of attributes.",
            handler.file,
            f"{until:%Y-%m-%d %H:%M:%S %Z}",
            "with" if self._wish.values else "without",
            extra={"event": "verbose_on", "by": self._wish.by},
        )
        logger.debug("This is what runs.", extra={"event": "about", **about(self._settings)})

    def _turn_off(self, reason: str) -> None:
        handler, self._handler = self._handler, None
        if handler is None:
            return
        logger.info("The verbose trace ends: %s.", reason, extra={"event": "verbose_off"})
        ours, values = logging.getLogger("dirbridge"), logging.getLogger(VALUES)
        logging.getLogger().removeHandler(handler)
        ours.setLevel(self._level)
        values.removeHandler(handler)
        values.setLevel(logging.CRITICAL + 1)
        handler.close()

    def _stamp(self) -> object:
        try:
            status = (self._folder / wish.FILE).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino, status.st_size


def about(settings: Settings) -> dict[str, Any]:
    """Tell the versions, and the settings with files named instead of shown."""
    return {
        "version": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "settings": settings.common.model_dump(mode="json"),
        "domains": [{"kind": domain.kind, **domain.settings.model_dump(mode="json")} for domain in settings.domains],
    }
