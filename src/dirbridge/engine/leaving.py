"""Members that groups lost: few go with their page, more at the end of the cycle, too many wait for a person.

`referring` puts aside what a page must not take away at once; `removing` calls `run_members` after the deletes, so that
members whose own entries go, or groups that go themselves, are out of the count. Whatever a group's size, a change of
one member touches one row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

from dirbridge.engine import log, referring
from dirbridge.engine.reading import transaction
from dirbridge.engine.run import Run
from dirbridge.engine.threshold import allowance
from dirbridge.engine.work import Work
from dirbridge.store import events, jobs, links, member_removals, references, removals
from dirbridge.store.database import Connection
from dirbridge.store.member_removals import Tally
from dirbridge.store.references import CHUNK, Row

GROUPS = 100
"""Groups that are judged together."""

Step = Callable[[Connection, Row], Awaitable[list[Row]]]
"""Handles a chunk of rows behind a given one, in its transaction; gives them in order."""


async def run_members(run: Run) -> None:
    """Take away the members that may go, and set aside those that a person must decide about."""
    after = ""
    while True:
        async with run.context.database.connection() as conn:
            groups = await member_removals.owners(conn, run.tenant, run.job.id, after=after, limit=GROUPS)
            if not groups:
                return
            since = run.context.clock() - removals.WINDOW
            found = await member_removals.tallies(conn, run.tenant, run.job.id, groups, run.jobs, since)
            over = await _over(run, conn, found)
        after = groups[-1]
        free = [tally.owner for tally in found if tally.owner not in over]
        going = [tally.owner for tally in found if tally.owner not in over or tally.allowed]
        if going:
            await _in_chunks(run, partial(_take_away, run, going, free))
        held = [tally.owner for tally in found if tally.owner in over and tally.found]
        if held:
            await _in_chunks(run, partial(_stage, run, held))


async def _over(run: Run, conn: Connection, found: Sequence[Tally]) -> Collection[str]:
    """Give the groups that lose more members in 24 hours than they may without a person's word."""
    if not run.policy.member_threshold_enabled:
        return set()
    limit = run.policy.member_threshold
    many = [tally.owner for tally in found if tally.gone + tally.going > allowance(0, limit)]
    sizes = await references.sizes(conn, run.tenant, run.job.id, many) if many else {}
    return {
        tally.owner
        for tally in found
        if tally.gone + tally.going > allowance(sizes.get(tally.owner, 0) + tally.open + tally.gone, limit)
    }


async def _in_chunks(run: Run, step: Step) -> None:
    """Repeat a step, a transaction each, until there is no more: memory is bounded by the chunk."""
    after: Row = ("", "", "")
    rows: list[Row] = []

    async def work(conn: Connection) -> None:
        nonlocal rows
        await jobs.fence(conn, run.tenant, run.job.id, run.generation)
        rows = await step(conn, after)

    while True:
        await transaction(run, work)
        if len(rows) < CHUNK:
            return
        after = rows[-1]


async def _take_away(run: Run, groups: Sequence[str], free: Sequence[str], conn: Connection, after: Row) -> list[Row]:
    now = run.context.clock()
    rows = await member_removals.take(conn, run.tenant, run.job.id, groups, free, run.jobs, after=after, at=now)
    if rows:
        work = Work(run.unit(conn, now), now, {})
        await referring.take_away(run, work, rows)
        await events.write(conn, run.tenant, list(work.events.values()))
    return rows


async def _stage(run: Run, groups: Sequence[str], conn: Connection, after: Row) -> list[Row]:
    """Set members aside for a person; each is logged once, with its group."""
    now = run.context.clock()
    rows = await member_removals.stage(conn, run.tenant, run.job.id, groups, run.jobs, after=after, at=now)
    if rows:
        held = await references.ended(conn, run.tenant, run.job.id, rows, run.plan.reference_targets, run.jobs)
        changes = referring.changes(run, (), [row for row in held if row.attribute in run.plan.reference_targets])
        known = await links.get(conn, run.tenant, run.job.id, sorted(changes))
        told = [log.members_staged(run, known[owner], lost, now) for owner, lost in changes.items() if owner in known]
        await events.write(conn, run.tenant, told)
    return rows
