"""The provisioning log as files: all events that fit a filter, the newest first, streamed.

CSV is three lists, which the change id joins: events, their steps, their modified properties. JSON is one document.
Graph has no route for these, so they lie under /beta/dirbridge.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.graph import odata, provisioning_logs, reasons, spreadsheets, steps
from dirbridge.service.graph.context import context, database
from dirbridge.service.graph.provisioning_logs import TYPE, Ends, Reader
from dirbridge.service.graph.responses import moment
from dirbridge.store import event_queries
from dirbridge.store.conditions import Where
from dirbridge.store.database import Database
from dirbridge.store.event_queries import EventRow
from dirbridge.store.timeline import After

router = APIRouter(prefix="/beta/dirbridge/provisioningLog")

PAGE = 500
"""Events that are in memory at a time."""

Cells = list[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A list that is written as CSV.

    Attributes:
        columns: of its first line.
        lines: what it has of an event.
    """

    columns: Sequence[str]
    lines: Callable[[EventRow, Ends], Iterator[Cells]]


def _events(row: EventRow, of: Ends) -> Iterator[Cells]:
    error = reasons.information(row.reason, row.status, row.unpacked()) or {}
    told = [error.get(name) or "" for name in ("errorCode", "reason", "recommendedAction", "additionalDetails")]
    yield [
        str(row.id), str(moment(row.at)), str(row.change), str(row.cycle), row.job, of.principal["displayName"],
        row.action, row.status, *told, row.source_type, row.source_name, row.source_id, of.source_name,
        row.target_type, row.target_name, row.target_id, of.target_name, str(row.duration),
    ]  # fmt: skip


def _steps(row: EventRow, of: Ends) -> Iterator[Cells]:
    scene = provisioning_logs.scene(row, of)
    for number, step in enumerate(row.unpacked().steps, 1):
        details = json.dumps(step.details, ensure_ascii=False, sort_keys=True)
        yield [
            str(row.id), str(row.change), str(number), step.code, step.type, step.status, steps.describe(step, scene),
            details,
        ]  # fmt: skip


def _properties(row: EventRow, _of: Ends) -> Iterator[Cells]:
    for each in row.unpacked().modified:
        yield [str(row.id), str(row.change), each.name, each.old or "", each.new or ""]


TABLES = {
    "events": Table(
        (
            "id", "activityDateTime", "changeId", "cycleId", "jobId", "servicePrincipal", "provisioningAction",
            "status", "errorCode", "reason", "recommendedAction", "additionalDetails", "sourceType", "sourceName",
            "sourceId", "sourceSystem", "targetType", "targetName", "targetId", "targetSystem",
            "durationInMilliseconds",
        ),
        _events,
    ),
    "steps": Table(
        ("eventId", "changeId", "number", "name", "provisioningStepType", "status", "description", "details"), _steps
    ),
    "modifiedProperties": Table(("eventId", "changeId", "displayName", "oldValue", "newValue"), _properties),
}  # fmt: skip


@router.get("/events.csv")
async def download_events(request: Request, caller: Reader) -> Response:
    """Give the events that fit as CSV, one a line."""
    return _spreadsheet(request, caller.tenant, "events")


@router.get("/steps.csv")
async def download_steps(request: Request, caller: Reader) -> Response:
    """Give the steps of the events that fit as CSV, one a line."""
    return _spreadsheet(request, caller.tenant, "steps")


@router.get("/modifiedProperties.csv")
async def download_properties(request: Request, caller: Reader) -> Response:
    """Give the modified properties of the events that fit as CSV, one a line."""
    return _spreadsheet(request, caller.tenant, "modifiedProperties")


@router.get("/events.json")
async def download_document(request: Request, caller: Reader) -> Response:
    """Give the events that fit as one JSON document, each in the form of the log."""
    where = _asked(request)

    async def parts() -> AsyncGenerator[bytes, None]:
        head = msgspec.json.encode({"@odata.context": context(request, "auditLogs/provisioning")})
        yield head[:-1] + b',"value":['
        comma = b""
        async for rows, jobs in _pages(database(request), caller.tenant, where):
            shown = [provisioning_logs.render(request, caller, row, jobs[row.job]) for row in rows]
            yield comma + msgspec.json.encode(shown)[1:-1]
            comma = b","
        yield b"]}"

    return StreamingResponse(parts(), media_type="application/json", headers=_saved_as("events.json"))


def _spreadsheet(request: Request, tenant: UUID, name: str) -> Response:
    table, where = TABLES[name], _asked(request)

    async def parts() -> AsyncGenerator[bytes, None]:
        yield spreadsheets.head(table.columns)
        async for rows, jobs in _pages(database(request), tenant, where):
            yield spreadsheets.lines(cells for row in rows for cells in table.lines(row, jobs[row.job]))

    return StreamingResponse(parts(), media_type="text/csv; charset=utf-8", headers=_saved_as(f"{name}.csv"))


def _asked(request: Request) -> Where:
    query = odata.read(request, frozenset({"filter"}))
    return query.where(event_queries.PROPERTIES, TYPE, advanced=True)


async def _pages(
    kept: Database, tenant: UUID, where: Where
) -> AsyncGenerator[tuple[list[EventRow], dict[str, Ends]], None]:
    """Read page by page, each on a connection of its own, so that a slow reader holds none."""
    after: After | None = None
    while True:
        async with kept.connection() as conn:
            rows = await event_queries.page(conn, tenant, where=where, after=after, limit=PAGE)
            told = {row.job for row in rows}
            names = await event_queries.job_names(conn, tenant, told) if rows else {}
        if rows:
            yield rows, {job: provisioning_logs.ends(names.get(job)) for job in told}
        if len(rows) < PAGE:
            return
        after = After(rows[-1].at, rows[-1].id)


def _saved_as(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
