"""What the provisioning log comes to: actions by time, errors by cause, and how long changes took to the target.

Worked out from counts that are kept beside the log, so an answer costs the same however long the log is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, cast

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.contract import codes
from dirbridge.contract.entry import text_fault
from dirbridge.contract.event import Status
from dirbridge.contract.export import Action
from dirbridge.service.graph.context import context, database
from dirbridge.service.graph.errors import bad_request
from dirbridge.service.graph.provisioning_logs import Reader
from dirbridge.service.graph.responses import GraphResponse, moment
from dirbridge.store import event_counts
from dirbridge.store.event_counts import LATENCIES, UNMEASURED, Total

router = APIRouter(prefix="/beta/dirbridge")

Unit = Literal["hour", "day"]

UNITS: Mapping[str, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
MOST = 400
"""Periods of one answer."""
MOST_CAUSES = 50
"""Causes of one answer, the most frequent ones."""

PARAMETERS = {
    "from": "Where the first period begins; by default 24 hours before the end. Goes down to a whole period.",
    "to": "Where the last period ends; by default now. Goes up to a whole hour.",
    "by": f"`hour` or `day`, a day of UTC; `hour` by default. At most {MOST} periods are given.",
    "jobId": "Events of this job alone.",
    "action": "Events of this action alone.",
    "status": "Events of this status alone.",
    "errorCode": "Events of this code alone.",
}


class Asked(msgspec.Struct, frozen=True):
    """What is asked for."""

    since: datetime
    until: datetime
    unit: Unit
    job: str
    action: str
    status: str
    reason: str


@router.get("/insights")
async def show(request: Request, caller: Reader) -> Response:
    """Sum up the provisioning log."""
    asked = _read(request, datetime.now(UTC))
    async with database(request).connection() as conn:
        found = await event_counts.totals(conn, caller.tenant, **msgspec.structs.asdict(asked))
    return GraphResponse({
        "@odata.context": context(request, "dirbridge/insights"),
        "fromDateTime": moment(asked.since),
        "toDateTime": moment(asked.until),
        "by": asked.unit,
        "periods": _periods(asked, found),
        "causes": _causes(found),
        "latencies": _latencies(found),
    })  # fmt: skip


def _periods(asked: Asked, found: Sequence[Total]) -> list[dict[str, Any]]:
    """Give every period, those without events too."""
    counts: dict[datetime, Counter[tuple[str, str]]] = {}
    for total in found:
        counts.setdefault(total.at.astimezone(UTC), Counter())[total.action, total.status] += total.number
    periods, at = [], asked.since
    while at < asked.until:
        shown = sorted(counts.get(at, Counter()).items())
        told = [{"action": action, "status": status, "count": number} for (action, status), number in shown]
        periods.append({"dateTime": moment(at), "counts": told})
        at += UNITS[asked.unit]
    return periods


def _causes(found: Sequence[Total]) -> list[dict[str, Any]]:
    """Give what failed or was left out, by its code: the most frequent first, with when it was last met."""
    numbers: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], datetime] = {}
    for total in found:
        if total.reason:
            numbers[total.status, total.reason] += total.number
            last[total.status, total.reason] = total.at
    return [
        {
            "status": status,
            "errorCode": code,
            "reason": codes.meaning(code),
            "recommendedAction": codes.recommended_action(code) or None,
            "count": number,
            "lastPeriodDateTime": moment(last[status, code]),
        }
        for (status, code), number in sorted(numbers.items(), key=lambda one: (-one[1], one[0]))[:MOST_CAUSES]
    ]


def _latencies(found: Sequence[Total]) -> list[dict[str, Any]]:
    """Sort what was measured into spans; the last has no end."""
    numbers: Counter[int] = Counter()
    for total in found:
        if total.latency != UNMEASURED:
            numbers[total.latency] += total.number
    ends = [span.total_seconds() for span in LATENCIES]
    return [{"atMostSeconds": end, "count": numbers[number]} for number, end in enumerate([*ends, None])]


# The question ---------------------------------------------------------------------------------------------------------


def _read(request: Request, now: datetime) -> Asked:
    given = _given(request)
    unit = _one_of("by", given.get("by", "hour"), tuple(UNITS))
    until = _floor(_moment("to", given["to"]) if "to" in given else now, "hour", up=True)
    since = _floor(_moment("from", given["from"]) if "from" in given else _day_before(until), unit)
    _floor(until, unit, up=True)
    if since >= until:
        raise bad_request(f"'from' must be before 'to'; found {moment(since)} and {moment(until)}.")
    if (until - since) / UNITS[unit] > MOST:
        raise bad_request(f"At most {MOST} periods are given. Ask for a shorter time{_by_day(unit)}.")
    return Asked(
        since=since,
        until=until,
        unit=cast(Unit, unit),
        job=_text("jobId", given),
        action=_one_of("action", given.get("action", ""), ("", *Action)),
        status=_one_of("status", given.get("status", ""), ("", *Status)),
        reason=_text("errorCode", given),
    )


def _given(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    given = dict(pairs)
    unknown = sorted(given.keys() - PARAMETERS.keys())
    if unknown:
        raise bad_request(f"The parameter '{unknown[0]}' is not known. Known: {', '.join(PARAMETERS)}.")
    if len(given) != len(pairs):
        raise bad_request("Each parameter may be given once.")
    return given


def _by_day(unit: str) -> str:
    return ", or by=day" if unit == "hour" else ""


def _text(name: str, given: Mapping[str, str]) -> str:
    value = given.get(name, "")
    fault = text_fault(value)
    if fault is not None:
        raise bad_request(f"'{name}' {fault}.")
    return value


def _one_of(name: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise bad_request(f"'{name}' expects one of {', '.join(each for each in known if each)}; found '{value}'.")
    return value


def _moment(name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
        return (found.replace(tzinfo=UTC) if found.tzinfo is None else found).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"'{name}' expects a time such as 2026-03-01T12:00:00Z; found '{text}'.") from error


def _day_before(at: datetime) -> datetime:
    try:
        return at - UNITS["day"]
    except OverflowError as error:
        raise bad_request(f"Nothing is a day before {moment(at)}; give 'from' as well.") from error


def _floor(at: datetime, unit: str, *, up: bool = False) -> datetime:
    """Go to the edge of a period: the one before, or the one after."""
    edge = at.replace(hour=0 if unit == "day" else at.hour, minute=0, second=0, microsecond=0)
    try:
        return edge + UNITS[unit] if up and edge < at else edge
    except OverflowError as error:
        raise bad_request(f"No period ends after {moment(edge)}.") from error
