"""Deletes and disables: reviewed against the source, held under the threshold, then exported.

Nothing is removed because it was absent somewhere. Each removal was found on evidence, and just before it happens the
source is asked again. What a person rejected is not even looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

import msgspec

from dirbridge.contract.entry import ChangePage
from dirbridge.engine import batches, deleting, guard, leaving, log, membership, provision
from dirbridge.engine.provision import Inside, Outside
from dirbridge.engine.reading import read_in_pages, read_through, transaction
from dirbridge.engine.run import Run
from dirbridge.engine.threshold import allowance
from dirbridge.engine.work import Manner, Work
from dirbridge.store import events, jobs, links, removals, staged, tenant_settings
from dirbridge.store.database import Connection
from dirbridge.store.removals import Removal

BATCH = 500
"""Removals that are reviewed and exported together."""


class Reviewed(msgspec.Struct):
    """What the source said about pending removals, by what is to be done.

    Attributes:
        deletes: confirmed by a tombstone, or by a position outside scope read just now.
        disables: still disabled at the source.
        tombstones: of the deletes, those whose entry is gone for good.
        pages: live and in scope after all, or out of it and to be left alone, or not visible: the common way.
    """

    deletes: list[Removal] = []
    disables: list[Removal] = []
    tombstones: set[str] = set()
    pages: list[ChangePage] = []


async def run_removals(run: Run) -> int:
    """Review and carry out what is pending, entries first, then the members that groups lost.

    Returns:
        How many removals wait for a person.
    """
    await _entries(run)
    await leaving.run_members(run)
    async with run.context.database.connection() as conn:
        return await staged.count(conn, run.tenant, run.job.id)


async def _entries(run: Run) -> None:
    async with run.context.database.connection() as conn:
        now = run.context.clock()
        if not await removals.open_ones(conn, run.tenant, run.job.id, now=now, limit=1):
            return
        blocked = await _blocked(run, conn) if run.policy.delete_threshold_enabled else frozenset()
        guarded = await _guarded(run, conn)
    after = ""
    while True:
        async with run.context.database.connection() as conn:
            batch = await removals.open_ones(conn, run.tenant, run.job.id, now=now, after=after, limit=BATCH)
        if not batch:
            return
        after = batch[-1].anchor
        await _batch(run, batch, blocked, guarded=guarded)


async def _blocked(run: Run, conn: Connection) -> frozenset[str]:
    """Give the types of which more is pending, with what went in the last 24 hours, than may go unseen."""
    totals = await jobs.counts_by_type(conn, run.tenant, run.job.id)
    since = run.context.clock() - removals.WINDOW
    done = await removals.done_since(conn, run.tenant, run.job.id, since)
    for object_type, gone in (await removals.done_since(conn, run.tenant, run.job.id, since, "delete")).items():
        # A share of all that there were: what was deleted meanwhile counts, what was disabled still does.
        totals[object_type] = totals.get(object_type, 0) + gone
    pending = await removals.pending_by_type(conn, run.tenant, run.job.id)
    limit = run.policy.delete_threshold
    return frozenset(
        object_type
        for object_type, going in pending.items()
        if _exceeds(totals.get(object_type, 0), done.get(object_type, 0), going, limit)
    )


async def _guarded(run: Run, conn: Connection) -> bool:
    """Tell whether the tenant's guard holds back this job's deletes, which count together with those of its others."""
    if not run.context.target.capabilities.is_guarded:
        return False
    set_up = guard.of(await tenant_settings.get(conn, run.tenant, tenant_settings.ON_PREMISES))
    # Those to go come first: what another job carries out between the two statements counts twice rather than never.
    going = await removals.deletes_to_go(conn, run.tenant, run.job.id)
    gone = await removals.deleted_since(conn, run.tenant, run.context.clock() - removals.WINDOW)
    live = await links.count_live(conn, run.tenant) if set_up.is_share else 0
    return set_up.stops(gone + going, gone + live)


def _exceeds(total: int, gone: int, going: int, limit: int) -> bool:
    """Tell whether so many are too many, or all that there are.

    Args:
        total: how many there were 24 hours ago and are not gone for another reason.
        gone: of these, how many went since, and `going` are to go.
    """
    return gone + going > allowance(total, limit) or gone + going >= total


async def _batch(run: Run, batch: Sequence[Removal], blocked: Collection[str], *, guarded: bool) -> None:
    reviewed = await read_through(run, partial(_review, run, batch))
    for answer in reviewed.pages:
        await batches.carry_out(run, answer, Manner())
    confirmed = [*reviewed.deletes, *reviewed.disables]
    stopped = {r.anchor for r in confirmed if r.object_type in blocked}
    stopped |= {r.anchor for r in reviewed.deletes if guarded}
    held = [r for r in confirmed if r.anchor in stopped and r.state != "allowed"]
    go = {r.anchor for r in confirmed} - {r.anchor for r in held}
    if held:
        await transaction(run, partial(_stage, run, held=held))
    deletes = [r for r in reviewed.deletes if r.anchor in go]
    if deletes:
        await deleting.delete(run, deletes, reviewed.tombstones)
    disables = [r for r in reviewed.disables if r.anchor in go]
    if disables:
        await read_through(run, partial(_disable, run, disables))


async def _review(run: Run, batch: Sequence[Removal]) -> Reviewed:
    """Ask the source again about each, and sort the answers."""
    removal = {r.anchor: r for r in batch}
    reviewed = Reviewed()
    now = run.context.clock()
    async for answer in read_in_pages(run, sorted(removal)):
        common = []
        await membership.confirm(run, answer.entries)
        async with run.context.database.connection() as conn:
            places = await membership.places(run, conn, answer.entries, removal)
        for entry in answer.entries:
            judgement = provision.judge(run.plan, entry, None, now, placed=places.of, trust_digest=False)
            found = removal.get(entry.anchor)
            if found is not None and isinstance(judgement, Outside) and not run.policy.skip_out_of_scope_deletions:
                reviewed.deletes.append(found)
            elif found is not None and found.action == "disable" and _is_disabled(judgement):
                reviewed.disables.append(found)
            else:
                common.append(entry)
        for tombstone in answer.deleted:
            found = removal.get(tombstone.anchor)
            if found is not None:
                reviewed.deletes.append(found)
                reviewed.tombstones.add(tombstone.anchor)
        if common or answer.not_visible:
            reviewed.pages.append(ChangePage(entries=tuple(common), not_visible=answer.not_visible))
    return reviewed


def _is_disabled(judgement: provision.Judgement | None) -> bool:
    if not isinstance(judgement, Inside) or judgement.rule.enabled is None:
        return False
    return judgement.mapped.values.get(judgement.rule.enabled) is False


async def _stage(run: Run, conn: Connection, held: Sequence[Removal]) -> None:
    """Set removals aside for a person; each is logged once."""
    await jobs.fence(conn, run.tenant, run.job.id, run.generation)
    now = run.context.clock()
    new = set(await removals.stage(conn, run.tenant, run.job.id, sorted(r.anchor for r in held), now))
    known = await links.get(conn, run.tenant, run.job.id, sorted(new))
    await events.write(
        conn,
        run.tenant,
        [
            log.removed(
                run,
                known[r.anchor],
                target_type=known[r.anchor].target_type,
                evidence=r.evidence,
                staged=True,
                fault=None,
                now=now,
                began=now,
            )
            for r in held
            if r.anchor in known and r.anchor in new
        ],
    )


async def _disable(run: Run, disables: Sequence[Removal]) -> None:
    """Disables go the common way, now that they may; each counts against the threshold."""
    removal = {r.anchor: r for r in disables}

    async def record(conn: Connection, work: Work) -> None:
        done = [removal[anchor] for anchor in sorted(work.disabled) if anchor in removal]
        await removals.record(conn, run.tenant, run.job.id, done, run.context.clock())

    async for answer in read_in_pages(run, sorted(removal)):
        await batches.carry_out(run, answer, Manner(may_disable=True), record)
