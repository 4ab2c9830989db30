"""Previews of a job's next whole cycle: ask for one, follow it, read what it found, also as CSV.

Graph has no word for these, so they lie under /beta/dirbridge, in Graph's conventions; a change has the shape of the
provisioning log's rows, since it is one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.engine import policies
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import OBSERVERS, SYNCHRONIZERS
from dirbridge.service.graph import odata, provisioning_logs, schema_documents, scopes, spreadsheets, status, steps
from dirbridge.service.graph.context import body, context, database, guid, root
from dirbridge.service.graph.errors import GraphError, bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, moment, no_content
from dirbridge.store import audits, event_queries, jobs, previews
from dirbridge.store.conditions import Where
from dirbridge.store.database import Database
from dirbridge.store.directory_queries import Conn
from dirbridge.store.event_queries import EventRow
from dirbridge.store.identifiers import new_id
from dirbridge.store.jobs import Job
from dirbridge.store.previews import Preview
from dirbridge.store.timeline import After

router = APIRouter(prefix="/beta/dirbridge")

Reader = Annotated[
    Caller, Depends(require("Synchronization.Read.All", "Synchronization.ReadWrite.All", roles=OBSERVERS))
]
Writer = Annotated[Caller, Depends(require("Synchronization.ReadWrite.All", roles=SYNCHRONIZERS))]

PREVIEWS = "/jobs/{job}/previews"
TYPE = "dirbridge.preview"
KNOWN = {
    name.lower(): name
    for name in (
        "id", "jobId", "status", "withProposedSchema", "proposedSettings", "requestedBy", "createdDateTime",
        "startedDateTime", "endedDateTime", "progress", "counts", "execution", "quarantine", "error",
    )
}  # fmt: skip
MOST_WAITING = 10
"""Previews of one tenant that may wait at a time."""

CSV_PAGE = 1000


class Wish(msgspec.Struct):
    """What to preview: the stored settings where nothing is given."""

    schema: dict[str, Any] | None = None
    settings: dict[str, str] | None = None


@router.post(PREVIEWS)
async def ask(request: Request, job: str, caller: Writer) -> Response:
    """Ask for a preview, with settings that are saved or only proposed. A worker takes it up."""
    wish = await body(request, Wish, optional=True)
    preview = new_id()
    schema = None
    if wish.schema is not None:
        async with database(request).connection() as conn:
            found = await _job(conn, caller, job)
        schema = schema_documents.proposed(wish.schema, schema_documents.of_job(found), whole=False)
        schema = scopes.by_anchor(schema, await scopes.resolve(request, found, schema))
    async with database(request).transaction() as conn:
        found = await _job(conn, caller, job)
        if wish.settings:
            _check(found.settings, wish.settings)
        waiting = await previews.waiting(conn, caller.tenant, job)
        if waiting >= MOST_WAITING:
            raise GraphError(429, "TooManyRequests", f"{waiting} previews of this job wait already.")
        await previews.create(
            conn,
            caller.tenant,
            preview,
            job=job,
            schema=schema,
            settings=wish.settings,
            requested_by=caller.actor,
        )
        await audits.record(conn, caller.tenant, actor=caller.actor, activity="Preview provisioning", target=job)
        made = await previews.get(conn, caller.tenant, preview)
        assert made is not None
        shown = await _show(conn, made)
    where = f"{root(request)}/dirbridge/jobs/{job}/previews/{preview}"
    return GraphResponse(shown, status_code=202, headers={"Location": where})


@router.get(PREVIEWS)
async def list_previews(request: Request, job: str, caller: Reader) -> Response:
    """List a job's previews, newest first."""
    query = odata.read(request, frozenset({"select", "top", "skiptoken", "format"}))
    select = odata.selected(query, KNOWN, TYPE)
    after = odata.position(query, After)
    async with database(request).connection() as conn:
        await _job(conn, caller, job)
        rows = await previews.page(conn, caller.tenant, job, after=after, limit=query.top + 1)
        shown = {each.id: await _show(conn, each, select) for each in rows[: query.top]}
    return GraphResponse(
        odata.page(
            request,
            query,
            rows,
            fragment=odata.with_select("dirbridge/previews", query),
            render=lambda row: shown[row.id],
            key=lambda row: After(row.created_at, row.id),
        )
    )


@router.get(PREVIEWS + "/{key}")
async def get_preview(request: Request, job: str, key: str, caller: Reader) -> Response:
    """Give one preview: how far it is, and what it came to."""
    query = odata.read(request, odata.ITEM)
    select = odata.selected(query, KNOWN, TYPE)
    async with database(request).connection() as conn:
        shown = await _show(conn, await _preview(conn, caller, job, key), select)
    address = context(request, odata.with_select("dirbridge/previews", query) + "/$entity")
    return GraphResponse({"@odata.context": address, **shown})


@router.delete(PREVIEWS + "/{key}")
async def delete_preview(request: Request, job: str, key: str, caller: Writer) -> Response:
    """Stop a preview where it still runs, and forget what it found."""
    async with database(request).transaction() as conn:
        found = await _preview(conn, caller, job, key)
        await previews.remove(conn, caller.tenant, found.id)
    return no_content()


@router.get(PREVIEWS + "/{key}/changes")
async def list_changes(request: Request, job: str, key: str, caller: Reader) -> Response:
    """List what the cycle would do, in the shape and with the filters of the provisioning log."""
    query = odata.read(request, odata.LIST - {"count"}, max_top=provisioning_logs.MAX_TOP)
    select = odata.selected(query, provisioning_logs.KNOWN, provisioning_logs.TYPE)
    where = query.where(event_queries.PROPERTIES, provisioning_logs.TYPE, advanced=True)
    _, descending = odata.order(query, provisioning_logs.ORDER, provisioning_logs.TYPE) or ("", False)
    after = odata.position(query, After)
    async with database(request).connection() as conn:
        found = await _preview(conn, caller, job, key)
        rows = await event_queries.page(
            conn, found.id, where=where, after=after, ascending=not descending, limit=query.top + 1
        )
        names = await event_queries.job_names(conn, caller.tenant, [job])
    ends = provisioning_logs.ends(names.get(job))
    return GraphResponse(
        odata.page(
            request,
            query,
            rows,
            fragment=odata.with_select("auditLogs/provisioning", query),
            render=lambda row: odata.chosen(provisioning_logs.render(request, caller, row, ends), select),
            key=lambda row: After(row.at, row.id),
        )
    )


COLUMNS = (
    "action", "status", "reason", "message", "recommendedAction", "sourceType", "sourceName", "sourceId", "targetType",
    "targetName", "targetId", "modifiedProperties", "description",
)  # fmt: skip


@router.get(PREVIEWS + "/{key}/changes.csv")
async def download(request: Request, job: str, key: str, caller: Reader) -> Response:
    """Give the list as CSV (RFC 4180), streamed: all of it, or what a filter leaves."""
    query = odata.read(request, frozenset({"filter"}))
    where = query.where(event_queries.PROPERTIES, provisioning_logs.TYPE, advanced=True)
    async with database(request).connection() as conn:
        found = await _preview(conn, caller, job, key)
    if found.state not in ("Succeeded", "Failed"):
        raise GraphError(409, "Conflict", f"The preview is {found.state.lower()}; its list is complete when it ended.")
    return StreamingResponse(
        _lines(database(request), found.id, where),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="preview-{found.id}.csv"'},
    )


async def _lines(kept: Database, preview: UUID, where: Where) -> AsyncGenerator[bytes, None]:
    """Write the list page by page, each on a connection of its own, so that a slow reader holds none."""
    yield spreadsheets.head(COLUMNS)
    after: After | None = None
    while True:
        async with kept.connection() as conn:
            rows = await event_queries.page(conn, preview, where=where, after=after, ascending=True, limit=CSV_PAGE)
        if not rows:
            return
        yield spreadsheets.lines(_cells(row) for row in rows)
        after = After(rows[-1].at, rows[-1].id)


def _cells(row: EventRow) -> list[str]:
    detail = row.unpacked()
    scene = steps.Scene(
        row.source_type,
        row.source_name,
        event_queries.SOURCE_NAME,
        row.target_type,
        row.target_name,
        event_queries.TARGET_NAME,
    )
    fault = detail.fault
    changed = "; ".join(f"{each.name}: {each.old or ''} → {each.new or ''}" for each in detail.modified)
    return [
        row.action,
        row.status,
        row.reason,
        fault.reason if fault else "",
        fault.recommended_action if fault else "",
        row.source_type,
        row.source_name,
        row.source_id,
        row.target_type,
        row.target_name,
        row.target_id,
        changed,
        " ".join(steps.describe(step, scene) for step in detail.steps),
    ]


def _check(stored: Mapping[str, Any], proposed: Mapping[str, str]) -> None:
    faults = [f"There is no setting '{name}'." for name in policies.unknown(proposed)]
    faults += policies.check({**stored, **proposed})
    if faults:
        raise bad_request(" ".join(faults))


async def _job(conn: Conn, caller: Caller, job: str) -> Job:
    found = await jobs.get(conn, caller.tenant, job)
    if found is None:
        raise not_found("synchronization job", job)
    return found


async def _preview(conn: Conn, caller: Caller, job: str, key: str) -> Preview:
    id = guid(key)
    found = await previews.get(conn, caller.tenant, id) if id is not None else None
    if found is None or found.job != job:
        raise not_found("preview", key)
    return found


async def _show(conn: Conn, preview: Preview, select: Collection[str] | None = None) -> dict[str, Any]:
    result: Mapping[str, Any] = preview.result or {}
    running = preview.state == "Running"
    copy = await jobs.get(conn, preview.id, preview.job) if running and _wanted("progress", select) else None
    shown: dict[str, Any] = {
        "id": str(preview.id),
        "jobId": preview.job,
        "status": preview.state.lower(),
        "withProposedSchema": preview.schema is not None,
        "proposedSettings": preview.settings or {},
        "requestedBy": preview.requested_by,
        "createdDateTime": moment(preview.created_at),
        "startedDateTime": moment(preview.began_at),
        "endedDateTime": moment(preview.ended_at),
        "progress": status.progress(copy.progress if copy is not None else None),
        "counts": await _counts(conn, preview) if _wanted("counts", select) else [],
        "execution": result.get("execution"),
        "quarantine": result.get("quarantine"),
        "error": preview.error,
    }
    return odata.chosen(shown, None if select is None else frozenset(select))


async def _counts(conn: Conn, preview: Preview) -> list[dict[str, Any]]:
    """Count what was found; of a preview that ended it was kept."""
    kept = (preview.result or {}).get("counts")
    return [
        {"action": action, "status": status, "type": kind, "reason": reason, "number": number}
        for action, status, kind, reason, number in (
            kept if kept is not None else await previews.counts(conn, preview.id)
        )
    ]


def _wanted(name: str, select: Collection[str] | None) -> bool:
    return select is None or name in select
