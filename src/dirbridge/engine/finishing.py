"""The end of a cycle: its result, the quarantine if there is one, and when the next cycle is due.

Called by `cycle` in its last transaction, whether it went well or not.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from dirbridge.contract.errors import ConfigurationError, DirbridgeError
from dirbridge.engine import status
from dirbridge.engine.run import Run
from dirbridge.store import jobs, removals
from dirbridge.store.database import Connection


async def finish(run: Run, conn: Connection, error: DirbridgeError | None, waiting: int) -> None:
    """Store the result, the quarantine if there is one, and when the next cycle is due."""
    await jobs.fence(conn, run.tenant, run.job.id, run.generation)
    now = run.context.clock()
    job = run.job
    quarantine: dict[str, Any] | None = None
    wait: timedelta | None = None
    if error is not None:
        failures = job.successive_failures + 1
        wait = status.failure_wait(job.interval, failures - 1)
        if isinstance(error, ConfigurationError) or failures >= status.FAILURES_TO_QUARANTINE or job.quarantine:
            quarantine = status.quarantine(
                job.quarantine, "EncounteredQuarantineException", status.error_document(error), now, wait
            )
    elif waiting:
        quarantine = status.quarantine(job.quarantine, "TooManyDeletes", _too_many(run, waiting), now, job.interval)
    await removals.prune(conn, run.tenant, job.id, now - 2 * removals.WINDOW)
    await jobs.finish(
        conn,
        run.tenant,
        job.id,
        execution=status.execution(run, now, error),
        succeeded=error is None,
        exported=run.counts.exported > 0,
        quarantine=quarantine,
        wait=wait,
        scheduled=job.next_run,
        at=now,
    )


def _too_many(run: Run, waiting: int) -> dict[str, Any]:
    return {
        "code": "TooManyDeletes",
        "message": (
            f"{waiting} deletes or disables of job '{run.job.id}' are more than may go without a person's word; "
            "creates and updates go on. If they are meant, restart the job with ForceDeletes; if not, mend the source "
            "and restart it."
        ),
        "tenantActionable": True,
    }
