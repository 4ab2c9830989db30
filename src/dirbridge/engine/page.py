"""One page of a source, carried out in one transaction: entries, containers, references, log and last the watermark.

Called by `cycle` for every page of a change stream, and for what is read afresh. Either all of a page happened or
nothing of it. Rows are locked in anchor order, set by set; there is no round trip for a single entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from dirbridge.contract.entry import ChangePage, Entry, Tombstone, storable
from dirbridge.contract.export import Action, Export, Fault, Outcome
from dirbridge.engine import log, mapping, provision, referring
from dirbridge.engine.provision import Broken, Inside, Judgement, Outside, Unchanged
from dirbridge.engine.provision import Step as Planned
from dirbridge.engine.run import Run
from dirbridge.engine.work import Manner, Work
from dirbridge.store import containers, due, events, jobs, links, references, removals, seen
from dirbridge.store.database import Connection, ValueRejected, savepoint
from dirbridge.store.due import Due
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal

IDLE_WATERMARK = timedelta(minutes=10)
"""How often an idle source's position is stored."""

HELD_FOR = timedelta(hours=6)
"""When an entry that is not visible is asked for again."""

STRANGER_FOR = timedelta(days=28)
"""How long an entry is asked for that was announced and never seen."""


async def apply(run: Run, conn: Connection, page: ChangePage, manner: Manner) -> set[str]:
    """Carry out a page.

    Returns:
        Anchors of the accounts that were disabled.

    Raises:
        Fenced: the job belongs to somebody else now.
        Conflict: another transaction got in the way; the page can be repeated as a whole.
    """
    now = run.context.clock()
    await jobs.fence(conn, run.tenant, run.job.id, run.generation)
    entries = list({entry.anchor: entry for entry in page.entries}.values())
    anchors = [entry.anchor for entry in entries]
    if run.full_read is not None and manner.stream and anchors:
        await seen.add(conn, run.tenant, run.job.id, run.full_read, anchors)
    if page.containers:
        named = [msgspec.structs.replace(one, name=storable(one.name)) for one in page.containers]
        await containers.put(conn, run.tenant, run.job.id, named)
    touched = {*anchors, *(tombstone.anchor for tombstone in page.deleted), *page.not_visible}
    known = await links.get(conn, run.tenant, run.job.id, sorted(touched)) if touched else {}
    work = Work(run.unit(conn, now), run.context.clock(), known)
    await _entries(run, work, entries, manner)
    await _deleted(run, work, page.deleted)
    await _not_visible(run, work, page.not_visible, manner)
    await _keep(run, work)
    await referring.apply(run, work, page, entries)
    await events.write(conn, run.tenant, list(work.events.values()))
    if page.watermark is not None and manner.stream:
        idle = IDLE_WATERMARK if page.idle else None
        await jobs.keep_watermark(conn, run.tenant, run.job.id, page.watermark, idle=idle)
    if manner.stream and not page.idle:
        await _progress(run, conn, page, now)
    return work.disabled


async def _progress(run: Run, conn: Connection, page: ChangePage, now: datetime) -> None:
    run.counts.imported += len(page.entries) + len(page.deleted)
    run.counts.reference_deltas += sum(len(d.added) + len(d.removed) for d in page.references)
    run.estimate = page.estimate if page.estimate is not None else run.estimate
    await jobs.keep_progress(
        conn,
        run.tenant,
        run.job.id,
        {
            "completedUnits": run.counts.imported,
            "totalUnits": max(run.estimate or 0, run.counts.imported),
            "units": "objects",
            "progressObservationDateTime": now.isoformat().replace("+00:00", "Z"),
        },
    )


# Entries --------------------------------------------------------------------------------------------------------------


async def _entries(run: Run, work: Work, entries: Sequence[Entry], manner: Manner) -> None:
    if not entries:
        return
    inside: list[Inside] = []
    for entry in sorted(entries, key=lambda e: e.anchor):
        link = work.known.get(entry.anchor)
        judgement = provision.judge(run.plan, entry, link, work.unit.now, trust_digest=manner.trust_digest)
        if judgement is not None:
            _expiry(work, judgement)
        else:
            work.settled.add(entry.anchor)
        match judgement:
            case Inside():
                inside.append(judgement)
            case Outside():
                _outside(run, work, judgement)
            case Broken():
                work.settled.add(entry.anchor)
                _failed(run, work, judgement.entry, judgement.link, judgement.rule.target_type, judgement.fault)
            case Unchanged():
                work.settled.add(entry.anchor)
                _moved(work, judgement)
    run.counts.entitled += len(inside)
    if inside:
        await _export(run, work, inside, manner)


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


def _outside(run: Run, work: Work, outside: Outside) -> None:
    entry, link = outside.entry, outside.link
    if link is not None and link.state == "provisioned":
        _remove(run, work, link, "OutOfScope")
        return
    work.settled.add(entry.anchor)
    if link is not None and (link.state == "deprovisioned" or (link.state, link.reason) == ("skipped", outside.clause)):
        return
    work.links[entry.anchor] = Link(
        entry.anchor, entry.object_type, entry.name, entry.container, None, "skipped", outside.clause, None
    )
    work.events[entry.anchor] = log.skipped(run, outside, work.unit.now, work.began)


def _remove(run: Run, work: Work, link: Link, evidence: str) -> None:
    """A delete was found, unless the mapping leaves deleting out."""
    work.settled.add(link.anchor)
    rule = run.plan.rules.get(link.object_type)
    if rule is None or "Delete" in rule.actions:
        work.removals.append(Removal(link.anchor, link.object_type, "delete", evidence))


def _failed(
    run: Run, work: Work, entry: Entry, link: Link | None, target_type: str, fault: Fault, waits_for: str | None = None
) -> None:
    """Set one entry aside: it is logged, and tried again later or as soon as it changes."""
    run.counts.escrowed += 1
    work.failures[entry.anchor] = (due.COLLISION if waits_for else fault.code, waits_for)
    work.links[entry.anchor] = (
        msgspec.structs.replace(link, reason=fault.code, name=entry.name, container=entry.container)
        if link is not None and link.target is not None
        else Link(entry.anchor, entry.object_type, entry.name, entry.container, None, "failed", fault.code, None)
    )
    if entry.anchor not in work.events:
        work.events[entry.anchor] = log.broken(run, entry, link, target_type, fault, work.unit.now, work.began)


async def _export(run: Run, work: Work, inside: Sequence[Inside], manner: Manner) -> None:
    """Find or read the target objects, compare, and write what differs."""
    target = run.context.target
    linked = {i.entry.anchor: str(i.link.target) for i in inside if i.link is not None and i.link.target is not None}
    present = await target.read(work.unit, sorted(linked.values())) if linked else {}
    strangers: dict[str, list[tuple[str, Any]]] = {}
    for one in inside:
        if linked.get(one.entry.anchor) not in present:
            strangers.setdefault(one.rule.target_type, []).append((one.entry.anchor, one.mapped.values))
    found: dict[str, str] = {}
    for object_type, wanted in strangers.items():
        found |= await target.find(work.unit, object_type, wanted)
    if found:
        present = {**present, **await target.read(work.unit, sorted(found.values()))}
    planned: list[Planned] = []
    for one in inside:
        anchor = one.entry.anchor
        where = found.get(anchor) or linked.get(anchor)
        planned.append(provision.decide(one, where, present.get(where) if where else None, matched=anchor in found))
    writes = []
    for step in planned:
        if step.export is None or not provision.allowed(step):
            _agree(run, work, step)
        elif not step.disables:
            writes.append(step)
        elif manner.may_disable:
            writes.append(provision.disable_alone(step))
        else:
            writes += _to_review(work, step)
    if writes:
        run.counts.exports += len(writes)
        await _write(run, work, writes, manner)


def _to_review(work: Work, step: Planned) -> list[Planned]:
    """A disable waits for its review; gives what else changes, which does not."""
    one = step.inside
    work.removals.append(Removal(one.entry.anchor, one.entry.object_type, "disable", "Disabled"))
    rest = provision.without_disable(step)
    if rest is None:
        work.settled.add(one.entry.anchor)
        if one.link is not None and one.link.reason:
            work.links[one.entry.anchor] = msgspec.structs.replace(one.link, reason="")
    return [] if rest is None else [rest]


def _agree(run: Run, work: Work, step: Planned) -> None:
    """The target has it all already, or the mapping does not let it flow: only the link is brought up to date."""
    one = step.inside
    work.settled.add(one.entry.anchor)
    if step.export is not None and one.link is None:
        outside = Outside(one.entry, one.link, one.rule, f"flowTypes {','.join(sorted(one.rule.actions))}")
        _outside(run, work, outside)
    elif one.link is not None and (step.export is None or one.link.state == "provisioned"):
        work.links[one.entry.anchor] = msgspec.structs.replace(
            one.link,
            object_type=one.entry.object_type,
            name=one.entry.name,
            container=one.entry.container,
            state="provisioned",
            reason="",
            digest=one.digest,
        )
        if one.link.state != "provisioned" or one.link.digest is None:
            work.appeared.add(one.entry.anchor)


async def _write(run: Run, work: Work, steps: Sequence[Planned], manner: Manner) -> None:
    """Export a batch; when the database refuses a value, halve it until the guilty entry stands alone."""
    exports = [step.export for step in steps if step.export is not None]
    try:
        async with savepoint(work.unit.conn):
            outcomes = await run.context.target.export(work.unit, exports)
    except ValueRejected as error:
        if len(steps) > 1:
            middle = len(steps) // 2
            await _write(run, work, steps[:middle], manner)
            await _write(run, work, steps[middle:], manner)
            return
        fault = Fault(error.code, error.reason, "Correct the value in the source directory.", error.details)
        outcomes = [Outcome(exports[0].anchor, exports[0].target, error=fault)]
    for step, export, outcome in zip(steps, exports, outcomes, strict=True):
        if outcome.error is None:
            _done(run, work, step, export, outcome)
        elif outcome.collision and not manner.retry:
            # Its rival may change later in this cycle: it is tried once more before it counts as failed.
            work.due.append(Due(export.anchor, due.COLLISION, work.unit.now, 0, outcome.collision))
        else:
            _refused(run, work, step, export, outcome)


def _done(run: Run, work: Work, step: Planned, export: Export, outcome: Outcome) -> None:
    one = step.inside
    entry = one.entry
    run.counts.exported += 1
    work.freed.update(outcome.freed)
    work.events[entry.anchor] = log.exported(run, step, export, outcome, work.unit.now, work.began)
    if export.action is Action.DISABLE:
        work.disabled.add(entry.anchor)
    if export.action is Action.DISABLE and step.partial and one.link is not None:
        # What else changes has its own turn, and its own failure perhaps: that stays due.
        work.links[entry.anchor] = msgspec.structs.replace(one.link, digest=None)
        return
    work.settled.add(entry.anchor)
    if one.link is None or one.link.state != "provisioned" or str(one.link.target) != outcome.target:
        work.appeared.add(entry.anchor)
    elif export.restore:
        work.revived.add(entry.anchor)
    work.links[entry.anchor] = Link(
        anchor=entry.anchor,
        object_type=entry.object_type,
        name=entry.name,
        container=entry.container,
        target=None if outcome.target is None else UUID(outcome.target),
        state="provisioned",
        reason="",
        digest=None if step.partial else one.digest,
    )


def _refused(run: Run, work: Work, step: Planned, export: Export, outcome: Outcome) -> None:
    one = step.inside
    assert outcome.error is not None
    work.settled.add(one.entry.anchor)
    work.events[one.entry.anchor] = log.exported(run, step, export, outcome, work.unit.now, work.began)
    _failed(run, work, one.entry, one.link, one.rule.target_type, outcome.error, outcome.collision)


# Deletes and what is not visible --------------------------------------------------------------------------------------


async def _deleted(run: Run, work: Work, tombstones: Sequence[Tombstone]) -> None:
    """A tombstone is evidence: what was provisioned becomes a pending delete, all else is forgotten."""
    forgotten = []
    for tombstone in tombstones:
        link = work.known.get(tombstone.anchor)
        work.settled.add(tombstone.anchor)
        if link is not None and link.state == "provisioned":
            _remove(run, work, link, "Tombstone")
        else:
            forgotten.append(tombstone.anchor)
    if forgotten:
        await links.forget(work.unit.conn, run.tenant, run.job.id, forgotten)
        await references.forget_owners(work.unit.conn, run.tenant, run.job.id, forgotten)


async def _not_visible(run: Run, work: Work, anchors: Sequence[str], manner: Manner) -> None:
    """Neither live nor tombstone: no evidence of anything. It is held and asked for again.

    A stranger that was asked for in vain for a month is given up: it may never have been meant for us.
    """
    if not anchors:
        return
    held = sorted(set(anchors))
    conn, tenant, job = work.unit.conn, run.tenant, run.job.id
    strangers = [] if manner.stream else [anchor for anchor in held if anchor not in work.known]
    if strangers:
        since = await due.attempts(conn, tenant, job, strangers)
        old = {anchor for anchor, (_, first) in since.items() if first < work.unit.now - STRANGER_FOR}
        await due.settle(conn, tenant, job, sorted(old))
        held = [anchor for anchor in held if anchor not in old]
    later = work.unit.now + HELD_FOR
    await due.postpone(conn, tenant, job, held, later)
    new = await due.put(conn, tenant, job, [Due(anchor, due.NOT_VISIBLE, later) for anchor in held])
    for anchor in sorted(new):
        link = work.known.get(anchor)
        if link is not None and link.state == "provisioned":
            target_type = run.plan.target_type(link.object_type)
            work.events[anchor] = log.held(run, link, target_type, work.unit.now, work.began)
    await removals.cancel(conn, tenant, job, held)


async def _keep(run: Run, work: Work) -> None:
    """Store links, what is due, and what is to be removed."""
    conn, tenant, job = work.unit.conn, run.tenant, run.job.id
    await links.put(conn, tenant, job, list(work.links.values()))
    if work.failures:
        tried = await due.attempts(conn, tenant, job, sorted(work.failures))
        for anchor, (reason, waits_for) in work.failures.items():
            attempt = tried[anchor][0] + 1 if anchor in tried else 1
            work.due.append(Due(anchor, reason, work.unit.now + due.back_off(attempt - 1), attempt, waits_for))
    if work.revived:
        # Deleted behind the job's back: its references went with it, and are written again.
        await references.lose(conn, tenant, job, sorted(work.revived))
    if work.settled:
        ordered = sorted(work.settled)
        await due.settle(conn, tenant, job, ordered)
        # One that was found again keeps its state: what a person allowed stays allowed.
        found = {removal.anchor for removal in work.removals}
        await removals.cancel(conn, tenant, job, [anchor for anchor in ordered if anchor not in found])
    await due.put(conn, tenant, job, sorted(work.due, key=lambda row: (row.anchor, row.reason)))
    await removals.put(conn, tenant, job, sorted(work.removals, key=lambda row: row.anchor))
    if work.freed:
        await due.wake(conn, tenant, sorted(work.freed), work.unit.now)
