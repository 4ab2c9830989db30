"""One cycle of one job: the loop that everything else hangs from.

Order: take the job → entries, page by page → what is due → deletes → what collided, once more → finish. A page's
watermark is stored with the page; after a crash anywhere the next cycle goes on from there. Only this file loops.
"""

from __future__ import annotations

import logging
from functools import partial
from uuid import UUID

from dirbridge.contract.entry import ChangePage, Entry, Tombstone, Watermark
from dirbridge.contract.errors import (
    DirbridgeError,
    Fenced,
    HandedOver,
    TransientError,
    WatermarkExpired,
)
from dirbridge.engine import (
    batches,
    finishing,
    membership,
    outside_references,
    page,
    plan,
    policies,
    referring,
    removing,
)
from dirbridge.engine.reading import HAND_OVERS, read_in_pages, read_through, tell_handed_over, transaction, watched
from dirbridge.engine.run import Context, Counts, Run, environment
from dirbridge.engine.work import Manner
from dirbridge.store import arrivals, due, jobs, links, seen
from dirbridge.store.database import Connection
from dirbridge.store.jobs import JobOutline

logger = logging.getLogger(__name__)

DUE_BATCH = 500
"""Anchors that are read afresh together."""

COLLISION_BATCH = 5000
"""Entries that collided are decided together, so that values can change hands among them in any pattern."""

COLLISION_ROUNDS = 10
"""How often the collided ones are tried again while trying frees further values."""


async def run(context: Context, tenant: UUID, job_id: str) -> None:
    """Run one cycle of a job; a job that is gone or paused is left alone.

    Faults of the source, the configuration or the database end the cycle and are kept in the job's status. Being
    fenced ends it silently. Only an error of our own is raised, once the status tells of it.
    """
    cycle = context.new_id()
    async with context.database.transaction() as conn:
        job = await jobs.begin(conn, tenant, job_id, cycle)
    if job is None:
        return
    current = Run(context, job, plan.NOTHING, cycle, context.clock(), Counts())
    _tell("cycle.began", "A cycle of job %s began.", current)
    error: DirbridgeError | None = None
    fault: Exception | None = None
    waiting = 0
    try:
        current.policy = policies.of(job.settings)
        surroundings = await environment(context, tenant)
        current.plan = plan.compile_schema(job.document(), macros(job), surroundings)
        await transaction(current, partial(_begin, current))
        await _read(current)
        await _due(current, collisions=False)
        await _arrived(current)
        waiting = await removing.run_removals(current)
        await _due(current, collisions=True)
        await outside_references.deliver(current)
    except Fenced:
        _tell("cycle.fenced", "The cycle of job %s stopped: the job was changed or taken over.", current)
        return
    except DirbridgeError as caught:
        error = caught
    except Exception as caught:  # noqa: BLE001 - raised below; who looks at the job must not see nothing
        error, fault = _fault_of_ours(caught, current), caught
    try:
        await transaction(current, partial(finishing.finish, current, error=error, waiting=waiting))
    except Fenced:
        return
    if current.siblings:
        # Outside of every page: who holds its own job must not wait for another.
        async with context.database.connection() as conn:
            await arrivals.wake(conn, tenant, current.siblings)
    if fault:
        raise fault
    if error:
        logger.warning(
            "The cycle of job %s failed: %s",
            job_id,
            error,
            extra={"event": "cycle.failed", "job": job_id, "cycle": str(cycle), "code": error.code},
        )
    else:
        _tell("cycle.ended", "The cycle of job %s ended.", current)


def _fault_of_ours(caught: Exception, run: Run) -> TransientError:
    """Make an error of one that nobody foresaw, without its text, which may hold values."""
    return TransientError(
        f"The cycle {run.cycle} met an unexpected {type(caught).__name__}.",
        code="InternalError",
        recommended_action="The service's log has the details; please report it. The cycle is tried again by itself.",
    )


def _tell(event: str, sentence: str, run: Run) -> None:
    counts = run.counts
    logger.info(
        sentence,
        run.job.id,
        extra={
            "event": event,
            "job": run.job.id,
            "cycle": str(run.cycle),
            "imported": counts.imported,
            "exported": counts.exported,
            "failed": counts.escrowed,
        },
    )


def macros(job: JobOutline) -> dict[str, str]:
    """Give what `%DomainFQDN%` and `%DomainNetBios%` stand for."""
    return {
        "DomainFQDN": str(job.settings.get("DomainFQDN") or job.domain),
        "DomainNetBios": str(job.settings.get("DomainNetBios") or job.domain.partition(".")[0].upper()),
    }


async def _begin(run: Run, conn: Connection) -> None:
    """Let nobody be read for whom nothing could be written, or of whom it is not known which groups count."""
    await jobs.fence(conn, run.tenant, run.job.id, run.generation)
    await run.context.target.authenticate(run.unit(conn, run.context.clock()))
    await membership.begin(run, conn)
    run.siblings = tuple(await arrivals.siblings(conn, run.tenant, run.job.id))


# Entries --------------------------------------------------------------------------------------------------------------


async def _read(run: Run) -> None:
    """Read changes, or everything; a position that is no longer accepted leads to a full read at once.

    Where the agent is lost in the middle, another one goes on from what was stored.
    """
    expired, changed = False, 0
    while True:
        since = await _position(run)
        try:
            if since is None:
                await _survey(run)
            await _stream(run, since)
            break
        except HandedOver:
            changed += 1
            if changed > HAND_OVERS:
                raise
            run.surveying = False
            tell_handed_over(run)
        except WatermarkExpired:
            if expired or since is None:
                raise
            expired = True
            _tell("cycle.expired", "The watermark of job %s is no longer accepted; everything is read.", run)
            await transaction(run, partial(_drop_position, run))
    if run.full_read is not None:
        await _unseen(run)
        await transaction(run, partial(_end_full_read, run))


async def _position(run: Run) -> Watermark | None:
    """Find where to read on from, and whether this is part of a full read."""
    since: Watermark | None = None

    async def find(conn: Connection) -> None:
        nonlocal since
        await jobs.fence(conn, run.tenant, run.job.id, run.generation)
        under_way, wanted = await jobs.full_read_under_way(conn, run.tenant, run.job.id)
        since = await jobs.watermark(conn, run.tenant, run.job.id)
        if under_way is not None and since is not None:
            run.full_read = under_way
            run.resumed = await seen.count(conn, run.tenant, run.job.id, under_way)
        elif since is None or wanted:
            since = None
            run.full_read = run.context.new_id()
            run.resumed = 0
            await jobs.begin_full_read(conn, run.tenant, run.job.id, run.full_read)
            # As many as are known, until the source says better; where nothing is known, no end is in sight.
            run.estimate = await links.total(conn, run.tenant, run.job.id) or None
        else:
            run.full_read = None

    await transaction(run, find)
    return since


async def _drop_position(run: Run, conn: Connection) -> None:
    await jobs.fence(conn, run.tenant, run.job.id, run.generation)
    await jobs.want_full_read(conn, run.tenant, run.job.id)


async def _end_full_read(run: Run, conn: Connection) -> None:
    await jobs.fence(conn, run.tenant, run.job.id, run.generation)
    await jobs.end_full_read(conn, run.tenant, run.job.id)


async def _survey(run: Run) -> None:
    """Before everything is read, read what tells where entries belong, so that none has to be judged twice."""
    selection = membership.survey(run.plan)
    if selection is None:
        return
    run.surveying = True
    source = run.context.source(run.job)
    complete = False
    async for answer in watched(run, source.changes(selection, None)):
        await transaction(run, partial(page.survey, run, page=answer))
        complete = answer.last
    if not complete:
        raise _cut_off(run)
    async with run.context.database.connection() as conn:
        unread = await membership.unread(run, conn)
    async for answer in read_in_pages(run, unread):
        await transaction(run, partial(page.survey, run, page=answer))
    await transaction(run, partial(page.end_survey, run))
    run.surveying = False
    # Links are still few: the stream has the planner look afresh.
    run.surveyed = run.looked_at = 0


async def _stream(run: Run, since: Watermark | None) -> None:
    source = run.context.source(run.job)
    manner = Manner(stream=True, trust_digest=run.full_read is None)
    complete = False
    run.replica = since.replica if since is not None else ""
    async for answer in watched(run, source.changes(run.plan.selection, since)):
        if answer.watermark is not None:
            run.replica = answer.watermark.replica
        if not _says_nothing(answer) or answer.watermark is not None:
            await batches.carry_out(run, answer, manner)
        complete = answer.last
    if not complete:
        raise _cut_off(run)


def _cut_off(run: Run) -> TransientError:
    return TransientError(
        f"The answer for '{run.job.domain}' ended before its last page.",
        code="IncompleteRead",
        recommended_action="Nothing was lost; the next cycle reads on from the last position.",
    )


def _says_nothing(answer: ChangePage) -> bool:
    return not (
        answer.entries
        or answer.deleted
        or answer.containers
        or answer.references
        or answer.back_references
        or answer.not_visible
    )


async def _unseen(run: Run) -> None:
    """After a full read, ask by anchor for every entry that it did not show: absence alone is no evidence."""
    assert run.full_read is not None
    after = ""
    while True:
        async with run.context.database.connection() as conn:
            anchors = await seen.unseen(conn, run.tenant, run.job.id, run.full_read, after=after, limit=DUE_BATCH)
        if not anchors:
            return
        after = anchors[-1]
        await read_through(run, partial(_carry_out, run, anchors, Manner(trust_digest=False)))


async def _carry_out(run: Run, anchors: list[str], manner: Manner) -> None:
    async for answer in read_in_pages(run, anchors):
        await batches.carry_out(run, answer, manner)


# What is due ----------------------------------------------------------------------------------------------------------


async def _due(run: Run, *, collisions: bool) -> None:
    """Read afresh what is due and let it go the common way."""
    rounds = COLLISION_ROUNDS if collisions else None
    before: list[str] = []
    while rounds is None or rounds > 0:
        before = await read_through(run, partial(_due_round, run, before, collisions=collisions))
        if not before:
            return
        rounds = None if rounds is None else rounds - 1


async def _due_round(run: Run, before: list[str], *, collisions: bool) -> list[str]:
    """Take what is due and carry it out; gives the anchors, none where they are those of the round before."""
    async with run.context.database.connection() as conn:
        limit = COLLISION_BATCH if collisions else DUE_BATCH
        anchors = await due.take(
            conn, run.tenant, run.job.id, now=run.context.clock(), collisions=collisions, limit=limit
        )
    if not anchors or anchors == before:
        return []
    await (_collided(run, anchors) if collisions else _carry_out(run, anchors, Manner()))
    return anchors


async def _arrived(run: Run) -> None:
    """Write references whose other end another job has brought since."""
    while run.siblings:
        came: list[str] = []

        async def write(conn: Connection, came: list[str] = came) -> None:
            await jobs.fence(conn, run.tenant, run.job.id, run.generation)
            came[:] = await arrivals.take(conn, run.tenant, run.job.id, DUE_BATCH)
            if came:
                await referring.arrived(run, conn, came)

        await transaction(run, write)
        if len(came) < DUE_BATCH:
            return


async def _collided(run: Run, anchors: list[str]) -> None:
    """Decide all that collided as one page, whatever pages the source makes of them.

    Memberships are left out: the stream told them, and a page must hold no list without bound.
    """
    entries: list[Entry] = []
    deleted: list[Tombstone] = []
    not_visible: list[str] = []
    async for answer in read_in_pages(run, anchors):
        entries += answer.entries
        deleted += answer.deleted
        not_visible += answer.not_visible
    together = ChangePage(entries=tuple(entries), deleted=tuple(deleted), not_visible=tuple(not_visible))
    await batches.carry_out(run, together, Manner(retry=True, may_disable=False))
