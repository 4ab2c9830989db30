"""Dates: reading them from text without a format, and bringing them together.

A moment without a place (`naive`) is one whose text named no offset; it counts as UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from dirbridge.engine.functions.values import Result, excerpt, failed, first, text

FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
"""Active Directory counts steps of 100 ns from here."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_SECONDS = r"(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
_TIME = rf"(?P<hour>\d{{1,2}}):(?P<minute>\d{{2}}){_SECONDS}(?:\s*(?P<half>[AaPp][Mm]))?"
_WEEKDAY = r"(?:[A-Za-z]{3,9},?\s+)?"
_NAME = r"(?P<name>[A-Za-z]{3,9})"
# As a directory writes it: RFC 4517 section 3.3.13.
_GENERALIZED = (
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})"
    r"(?:[.,](?P<fraction>\d{1,9}))?(?P<half>(?!))?"
)
_ZONE = r"(?:\s*(?P<zone>Z|z|GMT|UTC|[+-]\d{1,2}(?::?\d{2})?))?"
_FORMS = tuple(
    re.compile(rf"\s*{date}{_ZONE}\s*", re.ASCII)
    for date in (
        rf"(?P<year>\d{{4}})-(?P<month>\d{{1,2}})-(?P<day>\d{{1,2}})(?:(?:[Tt]|\s+){_TIME})?",
        rf"(?P<year>\d{{4}})/(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}})(?:\s+{_TIME})?",
        rf"(?P<month>\d{{1,2}})/(?P<day>\d{{1,2}})/(?P<year>\d{{4}})(?:\s+{_TIME})?",
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})[\s-]{_NAME}[\s-](?P<year>\d{{4}})(?:\s+{_TIME})?",
        rf"{_WEEKDAY}{_NAME}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}})(?:\s+{_TIME})?",
        _GENERALIZED,
    )
)


def read(value: str) -> datetime | None:
    """Read a date in one of the forms that need no format: ISO 8601, `M/d/yyyy`, with month names, generalized time.

    Returns:
        None where it is of no such form, or names a day or an hour that does not exist.
    """
    for form in _FORMS:
        found = form.fullmatch(value)
        if found is not None:
            return _assemble(found.groupdict())
    return None


def _assemble(parts: dict[str, str | None]) -> datetime | None:
    name = parts.get("name")
    month = _month(name) if name else int(parts["month"] or 0)
    hour = clock_hour(int(parts["hour"] or 0), parts["half"])
    if hour is None:
        return None
    zone = parts["zone"]
    try:
        moment = datetime(  # noqa: DTZ001 - whether it has a place is for the text to say
            int(parts["year"] or 0),
            month,
            int(parts["day"] or 0),
            hour,
            int(parts["minute"] or 0),
            int(parts["second"] or 0),
            int((parts["fraction"] or "")[:6].ljust(6, "0")),
        )
        return placed(moment, zone) if zone else moment
    except (ValueError, OverflowError):
        return None


def _month(name: str) -> int:
    """Give the number of an English month; 0 for what is none."""
    short = name[:3].lower()
    return _MONTHS.index(short) + 1 if short in _MONTHS else 0


def clock_hour(hour: int, half: str | None) -> int | None:
    """Give the hour of the day from one that may be of twelve; None where there is no such hour."""
    if not half:
        return hour
    if not 1 <= hour <= 12:
        return None
    return hour % 12 + (12 if half.lower().startswith("p") else 0)


def placed(moment: datetime, zone: str) -> datetime:
    """Give a moment in UTC that was named with an offset such as `+02:00`.

    Raises:
        ValueError, OverflowError: the offset or the moment lies beyond what there is.
    """
    digits = "".join(character for character in zone if character.isdigit())
    if not digits:
        return moment.replace(tzinfo=UTC)
    hours, minutes = (int(digits[:-2]), int(digits[-2:])) if len(digits) > 2 else (int(digits), 0)
    if hours > 14 or minutes > 59:
        raise ValueError(zone)
    offset = timedelta(hours=hours, minutes=minutes)
    return moment.replace(tzinfo=timezone(-offset if zone.startswith("-") else offset)).astimezone(UTC)


def utc(moment: datetime) -> datetime:
    """Give a moment with its place: UTC where it named none."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def moment(value: Result, where: str) -> datetime | None:
    """Give a single value as a moment in UTC; None where it is absent or empty.

    Raises:
        EntryError: it is no date.
    """
    found = first(value)
    if isinstance(found, datetime):
        return utc(found)
    written = text(found, where)
    if not written or written.isspace():
        return None
    read_one = read(written)
    if read_one is None:
        raise failed(
            f"{where} takes a date and was given {excerpt(written)}.",
            "Bring it into a common form first with FormatDateTime, naming the format that it has.",
        )
    return utc(read_one)
