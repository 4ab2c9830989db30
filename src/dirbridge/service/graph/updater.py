"""When agents update themselves: what can be said of it, in each of the forms in which it is published.

Source: Graph hybridAgentUpdaterConfiguration and updateWindow. The window is in the time zone of each agent's host, and
so is a deferral that was given without a zone; Graph shows it as UTC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from dirbridge.service.graph.errors import bad_request

# One digit will do for the hour; up to seven for parts of a second.
_TIME = re.compile(r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<part>\d{1,7}))?)?", re.ASCII)


class Window(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A daily window."""

    update_window_start_time: str | None = None
    update_window_end_time: str | None = None


class Change(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to be changed; what is left out stays, null takes back. `deferUpdate` is another published name."""

    allow_update_configuration_override: bool | msgspec.UnsetType = msgspec.UNSET
    defer_update_date_time: str | msgspec.UnsetType | None = msgspec.UNSET
    defer_update: str | msgspec.UnsetType | None = msgspec.UNSET
    update_window: Window | msgspec.UnsetType | None = msgspec.UNSET


LOCAL = "isDeferralLocal"
"""Member of what is stored, not shown: the deferral is meant by the clock of each host."""
_NOTHING: Mapping[str, Any] = {
    "allowUpdateConfigurationOverride": False,
    "deferUpdateDateTime": None,
    "updateWindow": None,
}


def shown(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Show what holds."""
    return {name: stored.get(name, default) for name, default in _NOTHING.items()}


def merged(stored: dict[str, Any], change: Change) -> dict[str, Any]:
    """Put a change into what is stored.

    Raises:
        GraphError: 400 where a time is none.
    """
    kept = shown(stored) | {LOCAL: stored.get(LOCAL, False)}
    if isinstance(change.allow_update_configuration_override, bool):
        kept["allowUpdateConfigurationOverride"] = change.allow_update_configuration_override
    for name, given in (("deferUpdateDateTime", change.defer_update_date_time), ("deferUpdate", change.defer_update)):
        if given is not msgspec.UNSET:
            kept["deferUpdateDateTime"], kept[LOCAL] = (None, False) if given is None else _moment(name, str(given))
    if change.update_window is not msgspec.UNSET:
        kept["updateWindow"] = _window(change.update_window) if isinstance(change.update_window, Window) else None
    return kept


def _window(window: Window) -> dict[str, str] | None:
    begin, end = window.update_window_start_time, window.update_window_end_time
    if begin is None and end is None:
        return None
    if begin is None or end is None:
        raise bad_request("updateWindow expects both updateWindowStartTime and updateWindowEndTime, or neither.")
    return {
        "updateWindowStartTime": _time("updateWindowStartTime", begin),
        "updateWindowEndTime": _time("updateWindowEndTime", end),
    }


def _time(name: str, text: str) -> str:
    read = _TIME.fullmatch(text.strip())
    hour, minute, second = (int(read[part] or 0) for part in ("hour", "minute", "second")) if read else (24, 0, 0)
    if read is None or hour > 23 or minute > 59 or second > 59:
        raise bad_request(f"{name} expects a time of day such as 23:59:00; found '{text}'.", target=name)
    return f"{hour:02}:{minute:02}:{second:02}.{(read['part'] or ''):0<7}"


def _moment(name: str, text: str) -> tuple[str, bool]:
    """Read a date and a time, with or without seconds and zone; say too whether there was none."""
    try:
        # Seven digits of a second are one more than Python reads.
        read = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text.strip()))
        # At the edges of the calendar a zone leads out of it.
        moment = (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{name} expects a time such as 2030-08-20T12:00; found '{text}'.", target=name) from error
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ"), read.tzinfo is None
