"""What the service wants of the updater, as the agent heard it, and whether now is the time.

The words of Graph's hybridAgentUpdaterConfiguration, brought to their meaning by the service. Times without a zone are
this host's, and the window is always its local time.
"""

from __future__ import annotations

import contextlib
import json
import logging
from datetime import datetime, time
from pathlib import Path
from typing import Any

import msgspec

from dirbridge.agent.replacing import replace
from dirbridge.agent.updater.notes import MAX_NOTE, read_note
from dirbridge.contract import release as releases
from dirbridge.contract.errors import ConfigurationError, TransientError

logger = logging.getLogger(__name__)

ORDERS = "updater.json"
"""In the agent's state folder."""


class Window(msgspec.Struct, frozen=True):
    """A span of every day. Where it ends before it starts it goes over midnight; where both are one, it is the day."""

    start: time
    end: time

    def holds(self, at: time) -> bool:
        """Tell whether a time of day lies within."""
        start, end = self.start.replace(tzinfo=None), self.end.replace(tzinfo=None)
        if start == end:
            return True
        if start < end:
            return start <= at < end
        return at >= start or at < end


class Orders(msgspec.Struct, frozen=True, rename="camel"):
    """When and what to update.

    Attributes:
        wanted: the version to bring the agent to, and no further; the newest of the channel if None.
        api: version of the agents' door that the service speaks.
    """

    channel: str = releases.STABLE
    defer_until: datetime | None = None
    window: Window | None = None
    wanted: str | None = None
    api: int = releases.API

    def hindrance(self, now: datetime) -> str:
        """Say why nothing may be updated now; empty where it may.

        Args:
            now: with this host's time zone.
        """
        until = self.defer_until
        if until is not None:
            until = until.replace(tzinfo=now.tzinfo) if until.tzinfo is None else until
            with contextlib.suppress(OverflowError):  # the last day there is means never, wherever the host is
                until = until.astimezone(now.tzinfo)
            if now < until:
                return f"Updates are deferred until {until:%Y-%m-%d %H:%M %Z}."
        if self.window is not None and not self.window.holds(now.time()):
            return f"Updates wait for the window from {self.window.start:%H:%M} to {self.window.end:%H:%M}."
        return ""


def keep(folder: Path, said: Any) -> None:
    """Write down for the updater what the service said; the agent does, when it is not what stands there."""
    content = json.dumps(said).encode()
    if len(content) <= MAX_NOTE and read_note(folder / ORDERS) != content:
        try:
            replace(folder / ORDERS, content, mode=0o644)
        except OSError as error:
            logger.warning("%s could not be written: %s", folder / ORDERS, error.strerror)


def read(folder: Path) -> Orders:
    """Read what the agent left in its state folder; where it left nothing, nothing is wanted but the newest.

    Raises:
        TransientError: it cannot be read. The agent writes it anew.
    """
    content = read_note(folder / ORDERS)
    if content is None:
        return Orders()
    try:
        orders = msgspec.json.decode(content, type=Orders)
        if orders.wanted is not None:
            releases.order(orders.wanted)
    except (ValueError, RecursionError, ConfigurationError) as error:
        raise TransientError(
            f"{folder / ORDERS}, which says when to update, cannot be read: {error}.",
            code="UpdaterOrdersDamaged",
            recommended_action="Nothing is updated until the agent has heard from the service and writes it anew.",
        ) from error
    return orders
