"""Counts become columns whose parts add up, and times become spans that say when half has arrived."""

from typing import Any

import pytest

from dirbridge.service.portal import charts


def period(hour: int, **counts: int) -> dict[str, Any]:
    return {
        "dateTime": f"2026-03-15T{hour:02}:00:00Z",
        "counts": [{"action": "create", "status": status, "count": count} for status, count in counts.items()],
    }


def test_parts_stand_on_one_another() -> None:
    """What failed at the ground; heights are shares of a round number that nothing exceeds."""
    chart = charts.columns("hour", [period(1, success=30, failure=10), period(2)], "status", charts.STATUSES)
    assert (chart.top, chart.width, chart.total) == (50, 20, 40)
    assert [(one.name, one.total) for one in chart.series] == [("Failed", 10), ("Succeeded", 30)]
    first, second = chart.columns
    assert [(part.name, part.y, part.height) for part in first.parts] == [("Failed", 80, 20), ("Succeeded", 20, 60)]
    assert (first.total, first.count("Failed"), first.count("Left out")) == (40, 10, 0)
    assert second.parts == ()


def test_little_is_seen_beside_much() -> None:
    """And nothing leaves the drawing."""
    (column,) = charts.columns("hour", [period(1, success=9999, failure=1)], "status", charts.STATUSES).columns
    failed, succeeded = column.parts
    assert failed.height == charts.LEAST
    assert succeeded.y >= 0
    assert succeeded.y + succeeded.height == failed.y


@pytest.mark.parametrize(("highest", "top"), [(0, 1), (1, 1), (3, 5), (5, 5), (6, 10), (1001, 2000), (10**6, 10**6)])
def test_the_highest_line_is_a_round_number(highest: int, top: int) -> None:
    """The next one."""
    assert charts.columns("day", [period(0, success=highest)], "status", charts.STATUSES).top == top


@pytest.mark.parametrize(("number", "apart"), [(1, 1), (6, 1), (7, 2), (24, 4), (90, 15)])
def test_few_columns_are_named(number: int, apart: int) -> None:
    """At most six."""
    chart = charts.columns("hour", [period(0)] * number, "status", charts.STATUSES)
    assert chart.apart == apart
    assert len(chart.columns[:: chart.apart]) <= 6


def spans(*counts: int) -> list[dict[str, Any]]:
    return [{"atMostSeconds": end, "count": count} for end, count in zip((1, 2, 5, None), counts, strict=True)]


def test_when_half_has_arrived() -> None:
    """And 99 of 100; empty spans at both ends are left out."""
    found = charts.latencies(spans(0, 60, 40, 0))
    assert (found.total, found.half, found.most) == (100, 2, 5)
    assert [(row.seconds, row.count, row.share) for row in found.rows] == [(2, 60, 100), (5, 40, 66.7)]
    assert charts.latencies(spans(1, 0, 0, 99)).most is None
    assert charts.latencies(spans(0, 0, 0, 0)).rows == ()
