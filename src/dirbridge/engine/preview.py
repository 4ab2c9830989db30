"""A whole cycle for show: what it would create, change and remove, and what would fail.

`service/worker` calls it for a preview that somebody asked for. The cycle runs in a copy of the job's state and of the
tenant's directory (`store/previews`), by the very steps of a real one, so nothing is judged here. The source is read as
always; the job, its log and its target see nothing of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import msgspec

from dirbridge.contract.errors import DirbridgeError
from dirbridge.engine import cycle, status
from dirbridge.engine.rehearsal import Rehearsal
from dirbridge.engine.run import Context
from dirbridge.store import jobs, previews
from dirbridge.store.database import Database
from dirbridge.store.previews import Preview

logger = logging.getLogger(__name__)

RENEWAL = 10.0
"""Seconds between two signs of life."""


async def run(context: Context, preview: Preview) -> None:
    """Carry out a preview that was taken; its state tells how it ended."""
    renewing = asyncio.create_task(_keep(context.database, preview), name=f"preview {preview.id}")
    try:
        await _run(context, preview)
    except DirbridgeError as error:
        await _end(context.database, preview, state="Failed", error=status.error_document(error))
    except asyncio.CancelledError:
        async with asyncio.timeout(5), context.database.transaction() as conn:
            await previews.put_back(conn, preview)
        raise
    except Exception as error:
        document = {"code": "InternalError", "message": f"The preview met an unexpected {type(error).__name__}."}
        await _end(context.database, preview, state="Failed", error=document)
        raise
    finally:
        renewing.cancel()


async def _run(context: Context, preview: Preview) -> None:
    async with context.database.connection() as conn:
        job = await jobs.get(conn, preview.tenant, preview.job)
    if job is not None:
        async with context.database.transaction() as conn:
            await previews.clear(conn, preview.id)
        async with context.database.transaction() as conn:
            if not await previews.set_up(conn, preview):
                job = None
    if job is None:
        error = {"code": "NotFound", "message": f"The job '{preview.job}' does not exist any more."}
        await _end(context.database, preview, state="Failed", error=error)
        return
    real = job
    # The copy has a tenant of its own; the agents serve the real one. Another target than the tenant has no copy.
    target = context.target
    if not target.capabilities.joins_transaction:
        target = Rehearsal(target, context.new_id)
    shown = msgspec.structs.replace(context, source=lambda _copy: context.source(real), target=target)
    await cycle.run(shown, preview.id, preview.job)
    async with context.database.connection() as conn:
        after = await jobs.get(conn, preview.id, preview.job)
    last = after.last_execution if after is not None and after.cycle is None else None
    if after is None or last is None or last.get("activityIdentifier") == _activity(real):
        # Cancelled: whoever did it has said so.
        async with context.database.transaction() as conn:
            await previews.clear_away(conn, preview)
        return
    failed = last.get("error")
    result = {"execution": last, "quarantine": after.quarantine}
    await _end(context.database, preview, state="Failed" if failed else "Succeeded", result=result, error=failed)


def _activity(job: jobs.Job) -> str | None:
    return job.last_execution.get("activityIdentifier") if job.last_execution else None


async def _end(
    database: Database,
    preview: Preview,
    *,
    state: str,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> None:
    async with database.transaction() as conn:
        if await previews.end(conn, preview, state=state, result=result, error=error):
            await previews.drop(conn, preview.id)
        else:
            await previews.clear_away(conn, preview)


async def _keep(database: Database, preview: Preview) -> None:
    """Say that it is being worked at, for as long as it is."""
    while True:
        await asyncio.sleep(RENEWAL)
        with contextlib.suppress(DirbridgeError):
            async with database.connection() as conn:
                await previews.renew(conn, preview)
