"""One entry of a job's directory, read now through an agent: what an expression is tried on.

Graph has no word for it, so it lies under /beta/dirbridge, in Graph's conventions.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.contract.entry import Value
from dirbridge.engine import looking
from dirbridge.engine.looking import Seen
from dirbridge.engine.run import Context
from dirbridge.service.auth.access import Caller
from dirbridge.service.auth.applications import ownership
from dirbridge.service.graph.context import body, context, database
from dirbridge.service.graph.errors import GraphError, not_found
from dirbridge.service.graph.responses import GraphResponse, moment
from dirbridge.service.graph.synchronization import Writer
from dirbridge.store import audits, jobs
from dirbridge.store.directory_queries import Conn
from dirbridge.store.jobs import Job

router = APIRouter(prefix="/beta/dirbridge")

ACTIVITY = "Read entry"
MOST, WITHIN = 20, timedelta(seconds=10)
"""Entries that a tenant may have read in a time."""


class Question(msgspec.Struct, rename="camel"):
    """Which entry: its distinguished name, sign-in name, account name or anchor; of which type, where that matters."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    object_type_name: Annotated[str, msgspec.Meta(max_length=256)] = ""


@router.post("/jobs/{job}/readEntry")
async def read_entry(request: Request, job: str, caller: Writer) -> Response:
    """Read one entry where it lies, with all attributes that the job's document knows of its type."""
    asked = await body(request, Question)
    async with database(request).transaction() as conn:
        found = await _job(conn, caller, job)
        await _throttle(conn, caller)
        detail = {"name": asked.name}
        await audits.record(conn, caller.tenant, actor=caller.actor, activity=ACTIVITY, target=job, detail=detail)
    engine: Context = request.app.state.engine
    seen = await looking.look_at(engine, found, asked.name, asked.object_type_name)
    return GraphResponse({"@odata.context": context(request, "dirbridge/entry"), **_shown(seen)})


async def _job(conn: Conn, caller: Caller, job: str) -> Job:
    found = await jobs.get(conn, caller.tenant, job)
    if found is None or found.state == jobs.PREVIEW:
        raise not_found("synchronization job", job)
    await ownership.need_owner(conn, caller, found.service_principal)
    return found


async def _throttle(conn: Conn, caller: Caller) -> None:
    recent = await audits.count_since(conn, caller.tenant, ACTIVITY, datetime.now(UTC) - WITHIN)
    if recent >= MOST:
        seconds = int(WITHIN.total_seconds())
        said = f"{recent} entries were read within {seconds} seconds."
        raise GraphError(429, "TooManyRequests", said, headers={"Retry-After": str(seconds)})


def _shown(seen: Seen) -> dict[str, Any]:
    entry = seen.entry
    faults = entry.faults | dict.fromkeys(entry.unknown, "may not be read")
    return {
        "id": entry.anchor,
        "objectTypeName": entry.object_type,
        "displayName": entry.name,
        "distinguishedName": seen.shown,
        "readDateTime": moment(datetime.now(UTC)),
        "properties": [
            {"key": name, "value": [_text(value) for value in values]} for name, values in sorted(seen.values.items())
        ],
        "unreadable": [{"key": name, "value": said} for name, said in sorted(faults.items())],
    }


def _text(value: Value) -> str:
    """Write a value as `parseExpression` takes it: bytes as base64."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
