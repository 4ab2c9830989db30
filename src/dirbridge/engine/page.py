"""One page of a source, carried out in one transaction: entries, containers, references, log and last the watermark.

Called by `cycle` for every page of a change stream, and for what is read afresh. Either all of a page happened or
nothing of it. Rows are locked in anchor order, set by set; there is no round trip for a single entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from dirbridge.contract.entry import ChangePage, Entry, Tombstone, storable
from dirbridge.engine import aside, begun, exporting, log, mapping, membership, provision, referring, status
from dirbridge.engine.disposition import Failure, Origin
from dirbridge.engine.provision import Broken, Inside, Judgement, Outside, Unchanged
from dirbridge.engine.run import Run
from dirbridge.engine.work import Manner, Work
from dirbridge.store import begun_exports, containers, due, events, jobs, links, references, removals, seen
from dirbridge.store.database import Connection
from dirbridge.store.due import Due

IDLE_WATERMARK = timedelta(minutes=10)
"""How often an idle source's position is stored."""

HELD_FOR = timedelta(hours=6)
"""When an entry that is not visible is asked for again."""

STRANGER_FOR = timedelta(days=28)
"""How long an entry is asked for that was announced and never seen."""


async def apply(run: Run, conn: Connection, page: ChangePage, manner: Manner) -> Work:
    """Carry out a page.

    Returns:
        What was done; `left` and `halted` say where a target outside the transaction did not get through it.

    Raises:
        Fenced: the job belongs to somebody else now.
        Conflict: another transaction got in the way; the page can be repeated as a whole.
    """
    now = run.context.clock()
    if manner.on_demand:
        await jobs.hold(conn, run.tenant, run.job.id)
    else:
        await jobs.fence(conn, run.tenant, run.job.id, run.generation)
    entries = list({entry.anchor: entry for entry in page.entries}.values())
    anchors = [entry.anchor for entry in entries]
    if run.full_read is not None and manner.stream and anchors:
        await seen.add(conn, run.tenant, run.job.id, run.full_read, anchors)
    await _containers(run, conn, page)
    await membership.arrive(run, conn, page, entries)
    touched = {*anchors, *(tombstone.anchor for tombstone in page.deleted), *page.not_visible}
    known = await links.get(conn, run.tenant, run.job.id, sorted(touched)) if touched else {}
    work = Work(run.unit(conn, now), run.context.clock(), known)
    if manner.may_disable and not manner.on_demand:
        work.rejected = set(anchors) - set(await removals.still_open(conn, run.tenant, run.job.id, sorted(anchors)))
    await _entries(run, work, entries, manner)
    await _deleted(run, work, page.deleted)
    await _not_visible(run, work, page.not_visible, manner)
    await _keep(run, work)
    left = {entry.anchor for entry in work.left}
    await referring.apply(run, work, page, [entry for entry in entries if entry.anchor not in left])
    await membership.depart(run, conn, page, entries)
    lost = await membership.watch(run, conn, page)
    await events.write(
        conn, run.tenant, [*work.events.values(), *lost], latency=run.latency() if manner.stream else None
    )
    if page.watermark is not None and manner.stream:
        idle = IDLE_WATERMARK if page.idle else None
        await jobs.keep_watermark(conn, run.tenant, run.job.id, page.watermark, idle=idle)
    if manner.stream and not page.idle:
        await _progress(run, conn, page, len(work.left), now)
    return work


async def survey(run: Run, conn: Connection, page: ChangePage) -> None:
    """Take from a page only what says where entries belong: containers, memberships, the scoping groups."""
    now = run.context.clock()
    await jobs.fence(conn, run.tenant, run.job.id, run.generation)
    if run.full_read is not None and page.containers:
        shown = [one.anchor for one in page.containers]
        await seen.add(conn, run.tenant, run.job.id, run.full_read, shown)
    await _containers(run, conn, page)
    run.surveyed += sum(len(delta.added) for delta in page.references)
    await membership.arrive(run, conn, page, ())
    work = Work(run.unit(conn, now), now, {})
    await referring.apply(run, work, page, ())
    await membership.depart(run, conn, msgspec.structs.replace(page, deleted=()), ())
    lost = await membership.watch(run, conn, page)
    await events.write(conn, run.tenant, [*work.events.values(), *lost])


async def end_survey(run: Run, conn: Connection) -> None:
    """Everything that says where entries belong was shown."""
    await jobs.fence(conn, run.tenant, run.job.id, run.generation)
    if run.full_read is not None:
        await containers.drop_unseen(conn, run.tenant, run.job.id, run.full_read)
    await events.write(conn, run.tenant, await membership.conclude(run, conn))


async def _containers(run: Run, conn: Connection, page: ChangePage) -> None:
    """Store containers; entries that waited for one are due."""
    if not page.containers:
        return
    named = [msgspec.structs.replace(one, name=storable(one.name)) for one in page.containers]
    await containers.put(conn, run.tenant, run.job.id, named)
    if run.plan.containers:
        await due.wake_reason(conn, run.tenant, run.job.id, due.CONTAINER, run.context.clock())


async def _progress(run: Run, conn: Connection, page: ChangePage, left: int, now: datetime) -> None:
    run.counts.imported += len(page.entries) + len(page.deleted) - left
    run.counts.reference_deltas += sum(len(d.added) + len(d.removed) for d in page.references)
    run.estimate = page.estimate if page.estimate is not None else run.estimate
    await jobs.keep_progress(conn, run.tenant, run.job.id, status.progress(run, now))


# Entries --------------------------------------------------------------------------------------------------------------


async def _entries(run: Run, work: Work, entries: Sequence[Entry], manner: Manner) -> None:
    if not entries:
        return
    inside: list[Inside] = []
    outside: list[Outside] = []
    at_target = {anchor for anchor, link in work.known.items() if link.state == "provisioned"}
    places = await membership.places(run, work.unit.conn, entries, at_target)
    for entry in sorted(entries, key=lambda e: e.anchor):
        link = work.known.get(entry.anchor)
        judgement = provision.judge(
            run.plan, entry, link, work.unit.now, placed=places.of, trust_digest=manner.trust_digest
        )
        if manner.regardless_of_scope and isinstance(judgement, Outside):
            judgement = provision.judge(
                run.plan, entry, link, work.unit.now, placed=places.of, trust_digest=False, heed_scope=False
            )
        if manner.stream and isinstance(judgement, Broken) and judgement.fault.code == due.CONTAINER:
            # Its container may come with a later page: it is read again after the stream.
            work.due.append(Due(entry.anchor, due.CONTAINER, work.unit.now))
            continue
        if judgement is not None:
            _expiry(work, judgement)
        else:
            work.settled.add(entry.anchor)
        match judgement:
            case Inside():
                inside.append(judgement)
                if link is not None and link.reason == links.LEFT_ALONE:
                    work.appeared.add(entry.anchor)
            case Outside():
                outside.append(judgement)
            case Broken():
                failure = Failure(judgement.fault, Origin.MAPPING)
                aside.failed(run, work, judgement.entry, judgement.link, judgement.rule.target_type, failure)
            case Unchanged():
                run.counts.entitled += 1
                work.settled.add(entry.anchor)
                _moved(work, judgement)
    await begun.adopt(run, work, [one.entry.anchor for one in outside])
    for one in outside:
        aside.outside(run, work, msgspec.structs.replace(one, link=work.known.get(one.entry.anchor)))
    if inside:
        await exporting.export(run, work, inside, manner)
    now_done = len(inside) - len(work.left)
    run.counts.entitled += now_done
    run.counts.provisionable += now_done


def _expiry(work: Work, judgement: Judgement) -> None:
    """An account that will expire is due at that time, although nothing will change at the source then."""
    moment = mapping.expiry(judgement.entry)
    if moment is not None and moment > work.unit.now:
        work.due.append(Due(judgement.entry.anchor, due.EXPIRY, moment))


def _moved(work: Work, judgement: Unchanged) -> None:
    """Nothing to write, but the entry may lie elsewhere or be named otherwise now."""
    entry, link = judgement.entry, judgement.link
    if (link.container, link.name) != (entry.container, entry.name):
        work.links[entry.anchor] = msgspec.structs.replace(link, container=entry.container, name=entry.name)


# Deletes and what is not visible --------------------------------------------------------------------------------------


async def _deleted(run: Run, work: Work, tombstones: Sequence[Tombstone]) -> None:
    """A tombstone is evidence: what was provisioned becomes a pending delete, all else is forgotten."""
    await begun.adopt(run, work, [tombstone.anchor for tombstone in tombstones])
    forgotten = []
    for tombstone in tombstones:
        link = work.known.get(tombstone.anchor)
        work.settled.add(tombstone.anchor)
        if link is not None and link.state == "provisioned":
            aside.remove(run, work, link, "Tombstone")
        else:
            forgotten.append(tombstone.anchor)
    if forgotten:
        await links.forget(work.unit.conn, run.tenant, run.job.id, forgotten)
        # A scoping group holds whom it had.
        owners = [anchor for anchor in forgotten if anchor not in run.plan.groups]
        await references.forget_owners(work.unit.conn, run.tenant, run.job.id, owners)


async def _not_visible(run: Run, work: Work, anchors: Sequence[str], manner: Manner) -> None:
    """Neither live nor tombstone: no evidence of anything. It is held and asked for again.

    A stranger that was asked for in vain for a month is given up: it may never have been meant for us.
    """
    if not anchors:
        return
    held = sorted(set(anchors))
    conn, tenant, job = work.unit.conn, run.tenant, run.job.id
    strangers = [] if manner.stream else [a for a in held if a not in work.known and a not in run.plan.groups]
    if strangers:
        since = await due.attempts(conn, tenant, job, strangers)
        old = {anchor for anchor, (_, first) in since.items() if first < work.unit.now - STRANGER_FOR}
        await due.settle(conn, tenant, job, sorted(old))
        held = [anchor for anchor in held if anchor not in old]
    later = work.unit.now + HELD_FOR
    await due.postpone(conn, tenant, job, held, later)
    new = await due.put(conn, tenant, job, [Due(anchor, due.NOT_VISIBLE, later) for anchor in held])
    run.counts.held += len(new)
    for anchor in sorted(new):
        link = work.known.get(anchor)
        if link is not None and link.state == "provisioned":
            work.events[anchor] = log.held(run, link, link.target_type, work.unit.now, work.began)
    await removals.cancel(conn, tenant, job, held)


async def _keep(run: Run, work: Work) -> None:
    """Store links, what is due, and what is to be removed."""
    conn, tenant, job = work.unit.conn, run.tenant, run.job.id
    await links.put(conn, tenant, job, list(work.links.values()))
    if not run.context.target.capabilities.joins_transaction:
        await links.keep_written(conn, tenant, job, work.written)
        if work.certain:
            await begun_exports.done(conn, tenant, job, sorted(work.certain))
    if work.revived:
        # Deleted behind the job's back: its references went with it, and are written again.
        await references.lose(conn, tenant, job, sorted(work.revived))
    if work.settled:
        ordered = sorted(work.settled)
        escrows = await due.settle(conn, tenant, job, ordered)
        aside.keep(run, work, escrows)
        # One that was found again keeps its state: what a person allowed stays allowed.
        found = {removal.anchor for removal in work.removals}
        await removals.cancel(conn, tenant, job, [anchor for anchor in ordered if anchor not in found])
    await due.put(conn, tenant, job, sorted(work.due, key=lambda row: (row.anchor, row.reason)))
    await removals.put(conn, tenant, job, sorted(work.removals, key=lambda row: row.anchor))
    if work.freed:
        await due.wake(conn, tenant, sorted(work.freed), work.unit.now)
