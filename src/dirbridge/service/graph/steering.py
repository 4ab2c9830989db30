"""What a person does with a job that Graph has no word for: clear its quarantine, impose one, run it now.

These lie under /beta/dirbridge, in Graph's conventions. Start, pause and restart are Graph's own.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.engine import quarantine
from dirbridge.service.auth.access import Caller
from dirbridge.service.auth.applications import ownership
from dirbridge.service.graph.context import body, database
from dirbridge.service.graph.errors import GraphError
from dirbridge.service.graph.responses import no_content
from dirbridge.service.graph.synchronization import Writer
from dirbridge.store import audits, jobs
from dirbridge.store.directory_queries import Conn
from dirbridge.store.jobs import Job

router = APIRouter(prefix="/beta/dirbridge")

JOB = "/jobs/{job}"


class Order(msgspec.Struct):
    """Why a job is put into quarantine, for those who find it there."""

    reason: Annotated[str, msgspec.Meta(max_length=1000)] = ""


@router.post(JOB + "/clearQuarantine")
async def clear_quarantine(request: Request, job: str, caller: Writer) -> Response:
    """Lift a quarantine; the next cycle goes on from the last position and tries again what was set aside."""
    async with database(request).transaction() as conn:
        found = await _job(conn, caller, job)
        await jobs.clear_quarantine(conn, caller.tenant, job, datetime.now(UTC))
        await _audit(conn, caller, "Clear quarantine", job, reason=(found.quarantine or {}).get("reason"))
    return no_content()


@router.post(JOB + "/quarantine")
async def impose_quarantine(request: Request, job: str, caller: Writer) -> Response:
    """Put a job into quarantine until a person lifts it."""
    order = await body(request, Order, optional=True)
    async with database(request).transaction() as conn:
        found = await _job(conn, caller, job, lock=True)
        if found.state != "Active":
            raise GraphError(409, "Conflict", f"The job '{job}' is {found.state.lower()}; only one that runs can stop.")
        now = datetime.now(UTC)
        before = quarantine.read(found.quarantine)
        record = quarantine.on_demand(before, order.reason.strip(), found.interval, now)
        assert record.next_attempt is not None
        stored = quarantine.written(record)
        assert stored is not None
        await jobs.put_quarantine(conn, caller.tenant, job, stored, record.next_attempt - now)
        await _audit(conn, caller, "Quarantine", job, reason=str(record.reason), why=order.reason.strip())
    return no_content()


@router.post(JOB + "/run")
async def run_now(request: Request, job: str, caller: Writer) -> Response:
    """Make a job due now; one that is paused or disabled has to be started instead."""
    async with database(request).transaction() as conn:
        found = await _job(conn, caller, job)
        if not await jobs.nudge(conn, caller.tenant, job):
            raise GraphError(409, "Conflict", f"The job '{job}' is {found.state.lower()}; start it first.")
        await _audit(conn, caller, "Run provisioning now", job)
    return no_content()


async def _job(conn: Conn, caller: Caller, job: str, *, lock: bool = False) -> Job:
    found = await jobs.get(conn, caller.tenant, job, lock=lock)
    if found is None:
        raise GraphError(404, "NotFound", f"The synchronization job '{job}' does not exist.")
    await ownership.need_owner(conn, caller, found.service_principal)
    return found


async def _audit(conn: Conn, caller: Caller, activity: str, job: str, **detail: Any) -> None:
    await audits.record(conn, caller.tenant, actor=caller.actor, activity=activity, target=job, detail=detail)
