"""Counts over time as columns of stacked parts, and times to the target as rows: numbers for templates to draw.

Drawn by the server as SVG, whose shapes say by their class what they are; the same numbers stand beside it in a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HEIGHT, STEP, WIDTH = 100.0, 10, 8
"""Of the drawing, and of a column with and without its gap."""
LEAST = 1.5
"""How high a part is at least: three failures among ten thousand successes are to be seen."""

STATUSES = {
    "failure": ("Failed", "bad"),
    "warning": ("Warning", "warn"),
    "success": ("Succeeded", "accent"),
    "skipped": ("Left out", "idle"),
}
"""How each status is called and coloured, from the ground up."""

ACTIONS = {
    "create": ("Created", "good"),
    "update": ("Updated", "accent"),
    "disable": ("Disabled", "warn"),
    "delete": ("Deleted", "bad"),
    "stagedDelete": ("Delete staged", "staged"),
    "other": ("Nothing to do", "idle"),
}
"""The same for actions."""

Looks = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a column, as high as its count."""

    name: str
    kind: str
    count: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Column:
    """One period."""

    at: str
    x: int
    parts: tuple[Part, ...]

    @property
    def total(self) -> int:
        """All of it."""
        return sum(part.count for part in self.parts)

    def count(self, name: str) -> int:
        """Give the count of one part; 0 where there is none."""
        return sum(part.count for part in self.parts if part.name == name)


@dataclass(frozen=True, slots=True)
class Series:
    """What one colour stands for, and how many there are of it."""

    name: str
    kind: str
    total: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Columns, the series that they are made of, and what the highest line stands for."""

    by: str
    top: int
    columns: tuple[Column, ...]
    series: tuple[Series, ...]

    @property
    def width(self) -> int:
        """Of the drawing."""
        return len(self.columns) * STEP

    @property
    def apart(self) -> int:
        """Of so many columns one is told by name below the drawing, so that six or fewer are."""
        return max(1, -(-len(self.columns) // 6))

    @property
    def total(self) -> int:
        """All events."""
        return sum(one.total for one in self.series)


def columns(by: str, periods: Sequence[Mapping[str, Any]], what: str, looks: Looks) -> Chart:
    """Draw periods of the API.

    Args:
        by: `hour` or `day`.
        what: member of a count that it is coloured by.
        looks: name and class of each value, from the ground up; others are not drawn.
    """
    counted = [_counted(period, what) for period in periods]
    totals = sum(counted, Counter[str]())
    top = _round(max((each.total() for each in counted), default=0))
    return Chart(
        by,
        top,
        tuple(
            Column(period["dateTime"], number * STEP + (STEP - WIDTH) // 2, _stacked(counts, looks, top))
            for number, (period, counts) in enumerate(zip(periods, counted, strict=True))
        ),
        tuple(Series(name, kind, totals[value]) for value, (name, kind) in looks.items() if totals[value]),
    )


def _counted(period: Mapping[str, Any], what: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in period["counts"]:
        found[one[what]] += one["count"]
    return found


def _stacked(counts: Mapping[str, int], looks: Looks, top: int) -> tuple[Part, ...]:
    parts, y = [], HEIGHT
    for value, (name, kind) in looks.items():
        if counts.get(value):
            height = min(max(counts[value] / top * HEIGHT, LEAST), y)
            y -= height
            parts.append(Part(name, kind, counts[value], round(y, 2), round(height, 2)))
    return tuple(parts)


def _round(highest: int) -> int:
    """Give the next number of 1, 2 or 5 with zeros behind it."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if step * power >= highest:
                return step * power
        power *= 10


# Times to the target --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A span, how many changes took no longer, and their share of the most frequent span, of 100."""

    seconds: float | None
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long changes took.

    Attributes:
        half, most: within which spans half of them, and 99 of 100, arrived; None for longer than any span.
    """

    total: int
    rows: tuple[Row, ...]
    half: float | None
    most: float | None


def latencies(found: Sequence[Mapping[str, Any]]) -> Latencies:
    """Take the spans of the API, without empty ones at both ends."""
    counts = [one["count"] for one in found]
    filled = [number for number, count in enumerate(counts) if count]
    shown = found[filled[0] : filled[-1] + 1] if filled else []
    highest = max(counts, default=0)
    return Latencies(
        sum(counts),
        tuple(Row(one["atMostSeconds"], one["count"], round(100 * one["count"] / highest, 1)) for one in shown),
        _within(found, 0.5),
        _within(found, 0.99),
    )


def _within(found: Sequence[Mapping[str, Any]], share: float) -> float | None:
    wanted, so_far = share * sum(one["count"] for one in found), 0
    for one in found:
        so_far += one["count"]
        if so_far >= wanted:
            seconds: float | None = one["atMostSeconds"]
            return seconds
    return None
