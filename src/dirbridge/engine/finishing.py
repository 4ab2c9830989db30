"""The end of a cycle: its result, the quarantine if there is one, and when the next cycle is due.

Called by `cycle` in its last transaction, whether it went well or not. Counts what `quarantine` decides on, and stores
what it says.
"""

from __future__ import annotations

from dirbridge.contract.errors import DirbridgeError
from dirbridge.engine import disposition, quarantine, status
from dirbridge.engine.quarantine import Decision, Findings, Quarantine, Reason
from dirbridge.engine.run import Run
from dirbridge.store import (
    audits,
    due,
    jobs,
    member_removals,
    notifications,
    reference_exports,
    references,
    removals,
)
from dirbridge.store.database import Connection
from dirbridge.store.jobs import Job

ENGINE = "dirbridge"
"""Who did it, in the audit trail, where no person did."""


async def finish(run: Run, conn: Connection, error: DirbridgeError | None, waiting: int) -> None:
    """Store the result, the quarantine if there is one, and when the next cycle is due."""
    job = await jobs.fenced(conn, run.tenant, run.job.id, run.generation)
    now = run.context.clock()
    # A person may have put or lifted a quarantine while the cycle ran: what counts is the row as it is now.
    before = quarantine.read(job.quarantine)
    trouble = None if error is None else disposition.of_error(error)
    counts = trouble is not None and not trouble.foreseen
    found = await _findings(run, conn, job, before, failed=counts, waiting=waiting)
    decision = quarantine.decide(found, before, run.policy, job.interval, now, trouble)
    await removals.prune(conn, run.tenant, job.id, now - 2 * removals.WINDOW)
    await member_removals.prune(conn, run.tenant, job.id, now - 2 * removals.WINDOW)
    await jobs.finish(
        conn,
        run.tenant,
        job.id,
        execution=status.execution(run, now, trouble),
        succeeded=trouble is None,
        faultless=run.counts.escrowed == 0,
        exported=run.counts.exported > 0,
        quarantine=quarantine.written(decision.quarantine),
        wait=decision.wait,
        scheduled=run.job.next_run,
        at=now,
        disables=decision.disables,
        pruned=run.counts.pruned > 0,
        whole=run.full_read is not None and trouble is None,
    )
    if job.state != jobs.PREVIEW:
        await _tell(conn, run, before, decision)
        await notifications.note(
            conn,
            run.tenant,
            job.id,
            after=quarantine.written(decision.quarantine),
            succeeded=trouble is None,
            now=now,
            id=run.context.new_id(),
            disabled=decision.disables,
        )


async def _findings(
    run: Run, conn: Connection, job: Job, before: Quarantine | None, *, failed: bool, waiting: int
) -> Findings:
    counts = run.counts
    escrowed = await due.count_escrows(conn, run.tenant, job.id)
    # An idle cycle changes no number; it does not count what may be many rows.
    idle = not (counts.imported or counts.reference_deltas or counts.tried)
    matters = not idle or (before is not None and before.reason is Reason.TOTAL)
    references_waiting = 0
    if escrowed and matters:
        attributes = sorted(run.plan.reference_targets)
        references_waiting = await references.count_failed(conn, run.tenant, job.id, attributes)
    references_waiting += await reference_exports.count_failed(conn, run.tenant, job.id)
    return Findings(
        first_exports=counts.first_tried,
        first_failures=counts.first_refused,
        exports=counts.tried,
        failures=counts.refused,
        escrowed=escrowed,
        waiting_references=references_waiting,
        staged=waiting,
        failed_cycles=job.successive_failures + 1 if failed else 0,
    )


async def _tell(conn: Connection, run: Run, before: Quarantine | None, decision: Decision) -> None:
    """Leave a trace of what became of the quarantine."""
    after = decision.quarantine
    if after is not None and (before is None or before.reason is not after.reason):
        await _audit(conn, run, "Quarantine", {"reason": after.reason, "code": after.error.code})
    if before is not None and after is None:
        await _audit(conn, run, "Quarantine lifted", {"reason": before.reason})
    if decision.disables:
        await _audit(conn, run, "Disable provisioning configuration", {"reason": "28 days in quarantine"})


async def _audit(conn: Connection, run: Run, activity: str, detail: dict[str, object]) -> None:
    await audits.record(conn, run.tenant, actor=ENGINE, activity=activity, target=run.job.id, detail=detail)
