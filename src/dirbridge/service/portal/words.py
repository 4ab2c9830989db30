"""How values look to people: times, spans, numbers, states.

Times are written once with their exact value for machines; a script puts them into the viewer's zone.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote

from markupsafe import Markup

from dirbridge.service.graph.status import NEVER

_SPAN = re.compile(r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>[\d.]+)S)?)?")


def number(value: float | str | None) -> str:
    """Write a number with its thousands apart."""
    return "" if value is None else f"{int(value):,}"


def when(value: str | None) -> Markup:
    """Write a time of the API; a script says how long ago that is. A word for one that never came."""
    if not value or value == NEVER:
        return Markup('<span class="none">never</span>')
    at = datetime.fromisoformat(value).astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M} UTC")


def span(seconds: float) -> str:
    """Say how long something is, in its largest unit."""
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'s'[: count > 1]}"
    count = int(seconds)
    return f"{count} second{'s'[: count != 1]}"


def interval(value: str) -> str:
    """Say an ISO 8601 duration in words."""
    found = _SPAN.fullmatch(value)
    if found is None:
        return value
    parts = [f"{float(count):g} {name}" for name, count in found.groupdict().items() if count and float(count)]
    return " ".join(part[:-1] if part.startswith("1 ") else part for part in parts) or "at once"


def words(name: str) -> str:
    """Cut a name of the API into words: `TooManyDeletes` reads Too many deletes."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).split()
    return " ".join([parts[0][:1].upper() + parts[0][1:], *(part.lower() for part in parts[1:])]) if parts else ""


def key(value: str) -> str:
    """Quote an id for a path."""
    return quote(value, safe="")
