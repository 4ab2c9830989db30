"""Spans of time that a log is looked at: up to now, or between two times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

CUSTOM = "custom"
USUAL = "24h"
NAMES: Mapping[str, str] = {
    "1h": "Last hour",
    "24h": "Last 24 hours",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "all": "All that is kept",
    CUSTOM: "From and to",
}
"""What the filter offers."""
_LENGTHS = {
    "1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30), "all": None,
}  # fmt: skip
FIELDS = ("span", "from", "to", "begin")
"""What may stand in the address. `begin` is where a span up to now began when its first page was shown."""


@dataclass(frozen=True, slots=True)
class Span:
    """When something happened.

    Attributes:
        name: of `NAMES`.
        asked: from and to as they were written, where that is how it is asked.
        begin: the first moment; None for all.
        end: the last; None for now.
        faults: what is wrong, by field.
        usual: the span of an address that says none.
    """

    name: str
    asked: Mapping[str, str]
    begin: datetime | None
    end: datetime | None
    faults: Mapping[str, str] = field(default_factory=dict)
    usual: str = USUAL

    @property
    def fields(self) -> dict[str, str]:
        """What a link says, so that it shows the same later: a span up to now stays one."""
        said = {name: value for name, value in self.asked.items() if value}
        return {**({"span": self.name} if self.name != self.usual else {}), **said}

    @property
    def fixed(self) -> dict[str, str]:
        """What a link says as well, so that it means this very span later."""
        is_moving = self.begin is not None and self.name != CUSTOM
        return {"begin": moment(self.begin)} if is_moving and self.begin else {}

    @property
    def shown(self) -> dict[str, str]:
        """What the fields of from and to hold: times of UTC as a field for times has them, or what was written."""
        found = {"from": self.begin, "to": self.end}
        return {
            name: text if (at := found[name]) is None else f"{at:%Y-%m-%dT%H:%M:%S}"
            for name, text in self.asked.items()
        }

    def conditions(self) -> list[str]:
        """Say it as parts of a filter of the API."""
        found = []
        if self.begin is not None:
            found.append(f"activityDateTime ge {moment(self.begin)}")
        if self.end is not None:
            found.append(f"activityDateTime le {moment(self.end)}")
        return found


def read(asked: Mapping[str, str], now: datetime, usual: str = USUAL) -> Span:
    """Read the span of an address.

    Args:
        asked: the fields, blanks taken away.
        now: up to when.
        usual: what is meant where it says none.
    """
    written = {name: asked.get(name, "") for name in ("from", "to")}
    name = asked.get("span", "") or (CUSTOM if any(written.values()) else usual)
    if name == CUSTOM:
        return replace(_custom(written), usual=usual)
    if name not in _LENGTHS:
        return Span(usual, {}, None, None, {"span": f"There is no span '{name}'. Choose one."}, usual)
    length = _LENGTHS[name]
    begun = _time(asked.get("begin", ""))
    return Span(name, {}, begun or (now - length if length else None), None, usual=usual)


def moment(at: datetime) -> str:
    """Write a time as the API's filters take it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _custom(written: Mapping[str, str]) -> Span:
    found = {name: _time(value) for name, value in written.items() if value}
    faults = {
        name: f"'{written[name]}' is no time. Write one such as 2030-08-20T12:00."
        for name, at in found.items()
        if at is None
    }
    begin, end = found.get("from"), found.get("to")
    if begin and end and begin > end:
        faults["to"] = "This is before the time at which the span begins."
    if end is not None and len(written["to"]) == len("2030-08-20T12:00"):
        end += timedelta(seconds=59, microseconds=999_999)
    return Span(CUSTOM, written, begin, end, faults)


def _time(text: str) -> datetime | None:
    """Read a time; one without a zone is in UTC."""
    try:
        at = datetime.fromisoformat(text.upper())
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
