"""References of one page: the source's rows are brought up to date, then the target's where both ends are there.

Called by `page` inside its transaction, after links and before the log. What lacks an end stays a missing row until
that end appears.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dirbridge.contract.entry import BackReferences, ChangePage, Entry, ReferenceDelta
from dirbridge.contract.event import ModifiedProperty
from dirbridge.contract.export import Reference
from dirbridge.engine import log, outside_references
from dirbridge.engine.attributes import PRIMARY_GROUP, PRIMARY_MEMBER
from dirbridge.engine.log import Told
from dirbridge.engine.run import Run
from dirbridge.engine.threshold import allowance
from dirbridge.engine.work import Work
from dirbridge.store import arrivals, events, links, member_removals, references, removals, statistics
from dirbridge.store.database import Connection
from dirbridge.store.references import Lists, Row


async def apply(run: Run, work: Work, page: ChangePage, entries: Sequence[Entry]) -> None:
    """Bring the source's references up to date, then the target's where both ends are there."""
    conn, tenant, job = work.unit.conn, run.tenant, run.job.id
    lists, rows = _short_lists(run, entries)
    told = await _told(run, work, page.references, lists)
    added = rows + [(*pair, anchor) for pair, anchors in told.items() for anchor, came in anchors.items() if came]
    removed = [(*pair, anchor) for pair, anchors in told.items() for anchor, came in anchors.items() if not came]
    backs = [*page.back_references, *_primary_groups(entries)]
    ended = await references.end_unlisted(conn, tenant, job, lists, added)
    ended += await references.remove(conn, tenant, job, removed)
    ended += await references.end_unlisted_owners(conn, tenant, job, backs)
    added += [(owner, back.attribute, back.referenced) for back in backs for owner in back.owners]
    await _look(run, work)
    returned = work.appeared | work.revived
    if added or returned:
        # Asked for each page: a job may be made while another's first cycle goes on for hours.
        run.siblings = tuple(await arrivals.siblings(conn, tenant, job))
    if run.siblings and (added or returned):
        await arrivals.together(conn, tenant)
    new = await references.add(conn, tenant, job, added, sorted(run.plan.reference_targets), run.jobs)
    if run.siblings and returned:
        await arrivals.note(conn, tenant, run.siblings, sorted(returned))
    await _refer(run, work, ended, new, sorted({row[0] for row in added} | returned), sorted(returned))


async def arrived(run: Run, conn: Connection, anchors: Sequence[str]) -> None:
    """Write references that waited for entries of other jobs, and log them."""
    now = run.context.clock()
    work = Work(run.unit(conn, now), now, {})
    await arrivals.together(conn, run.tenant)
    await _refer(run, work, (), (), (), anchors)
    await events.write(conn, run.tenant, list(work.events.values()))


async def _told(
    run: Run, work: Work, deltas: Sequence[ReferenceDelta], lists: Lists
) -> dict[tuple[str, str], dict[str, bool]]:
    """Say, by owner and attribute, which anchors came and which went; of several words on one, the last counts."""
    told: dict[tuple[str, str], dict[str, bool]] = {}
    for delta in deltas:
        pair = (delta.owner, delta.attribute)
        if delta.whole and delta.part == 0:
            told[pair] = {}
        anchors = told.setdefault(pair, {})
        anchors.update(dict.fromkeys(delta.added, True))
        if not delta.whole:
            anchors.update(dict.fromkeys(delta.removed, False))
        elif delta.part == 0 and delta.end:
            lists.pairs.append(pair)
        else:
            await _part(run, work, delta, [(*pair, anchor) for anchor in delta.added])
    return told


async def _part(run: Run, work: Work, delta: ReferenceDelta, here: Sequence[Row]) -> None:
    """A part of a whole list that comes in several; what none of them named ends with the last."""
    conn, tenant, job = work.unit.conn, run.tenant, run.job.id
    if delta.part == 0:
        await references.begin_whole(conn, tenant, job, delta.owner, delta.attribute)
    await references.note_whole(conn, tenant, job, here)
    if delta.end:
        async for chunk in references.end_whole(conn, tenant, job, delta.owner, delta.attribute):
            await _refer(run, work, chunk, (), (), ())


async def _look(run: Run, work: Work) -> None:
    """While a full read fills the tables, let the planner look at them whenever they have grown fourfold."""
    read = run.counts.imported + run.surveyed
    if run.full_read is not None and read >= run.looked_at:
        run.looked_at = 4 * max(read, len(work.links))
        await statistics.refresh(work.unit.conn)


def _short_lists(run: Run, entries: Sequence[Entry]) -> tuple[Lists, list[Row]]:
    """The short references of entries: one that is asked for and not there is empty, unless it could not be read."""
    asked = run.plan.selection.references
    lists = Lists(attributes=sorted({name for names in asked.values() for name in names} - {PRIMARY_GROUP}))
    rows: list[Row] = []
    for entry in entries:
        own = asked.get(entry.object_type, ())
        if not entry.unknown:
            lists.owners.append(entry.anchor)
        else:
            lists.pairs += [(entry.anchor, name) for name in own if name not in entry.unknown and name != PRIMARY_GROUP]
        for attribute, anchors in entry.references.items():
            if attribute != PRIMARY_GROUP and run.plan.refers(entry, attribute):
                rows += [(entry.anchor, attribute, anchor) for anchor in anchors]
    return lists, rows


def _primary_groups(entries: Iterable[Entry]) -> list[BackReferences]:
    """A user's primary group holds it as a member that the group itself does not list."""
    return [
        BackReferences(entry.anchor, PRIMARY_MEMBER, entry.references[PRIMARY_GROUP])
        for entry in entries
        if PRIMARY_GROUP in entry.references
    ]


async def _refer(
    run: Run,
    work: Work,
    ended: Sequence[Row],
    new: Sequence[references.Resolved],
    owners: Sequence[str],
    appeared: Sequence[str],
) -> None:
    """Take ended references from the target and write new ones, and old ones whose two ends are there now."""
    conn, tenant, job, targets = work.unit.conn, run.tenant, run.job.id, run.plan.reference_targets
    gone = await _going(run, work, await _at_both_ends(run, conn, ended))
    attributes = sorted(targets)
    while True:
        late: list[references.Resolved] = []
        if owners or appeared:
            late = await references.resolve(
                conn, tenant, job, owners=owners, referenced=appeared, attributes=attributes, jobs=run.jobs
            )
        new = [*new, *late]
        if new or gone:
            await _write(run, work, new, gone)
        if len(late) < references.CHUNK:
            return
        new, gone = [], []


async def _write(run: Run, work: Work, new: Sequence[references.Resolved], gone: Sequence[references.Resolved]) -> None:
    """Take references from the target and add others; one outside the transaction gets them later, in batches."""
    if not run.context.target.capabilities.joins_transaction:
        await outside_references.queue(run, work, new, gone)
        return
    targets = run.plan.reference_targets
    faults = await run.context.target.refer(work.unit, _at_target(new, targets), _at_target(gone, targets))
    left_alone = {fault.owner for fault in faults}  # one in our transaction has none but what it keeps for itself
    new, gone = ([row for row in rows if row.owner_target not in left_alone] for rows in (new, gone))
    await _log_references(run, work, new, gone)


async def _at_both_ends(run: Run, conn: Connection, ended: Sequence[Row]) -> list[references.Resolved]:
    targets = run.plan.reference_targets
    found = await references.ended(conn, run.tenant, run.job.id, ended, targets, run.jobs)
    return [row for row in found if row.attribute in targets]


async def _going(run: Run, work: Work, gone: Sequence[references.Resolved]) -> list[references.Resolved]:
    """Of ended references, give those that the target may lose at once; the others are put aside for `leaving`."""
    policy, targets = run.policy, run.plan.reference_targets
    counted = {
        (row.owner, row.attribute, row.referenced): policy.member_threshold_enabled
        and targets[row.attribute] not in run.plan.single_references
        for row in gone
    }
    if not policy.skip_out_of_scope_deletions:
        counted = {row: True for row, counts in counted.items() if counts}
    if not counted:
        return list(gone)
    held = await member_removals.part(
        work.unit.conn,
        run.tenant,
        run.job.id,
        counted,
        run.jobs,
        always=allowance(0, policy.member_threshold),
        since=work.unit.now - removals.WINDOW,
        at=work.unit.now,
    )
    return [row for row in gone if (row.owner, row.attribute, row.referenced) not in held]


async def take_away(run: Run, work: Work, ended: Sequence[Row]) -> None:
    """Take ended references from the target, however many there are of an owner, and log it."""
    gone = await _at_both_ends(run, work.unit.conn, ended)
    if gone:
        await _write(run, work, [], gone)


def _at_target(rows: Sequence[references.Resolved], targets: Mapping[str, str]) -> list[Reference]:
    return [Reference(r.owner_target, targets[r.attribute], r.referenced_target) for r in rows]


async def _log_references(
    run: Run, work: Work, new: Sequence[references.Resolved], gone: Sequence[references.Resolved]
) -> None:
    """One event for each owner: its own where it has one on this page, else an update."""
    conn, tenant, job = work.unit.conn, run.tenant, run.job.id
    changed = changes(run, new, gone)
    waiting = await references.count_missing(conn, tenant, job, sorted(changed))
    strangers = [owner for owner in changed if owner not in work.known and owner not in work.links]
    known = work.known | (await links.get(conn, tenant, job, strangers) if strangers else {}) | work.links
    for owner, modified in changed.items():
        rest = waiting.get(owner, 0)
        event = work.events.get(owner)
        if event is not None and len(event.detail.modified) + len(modified) <= references.CHUNK:
            work.events[owner] = log.with_references(event, modified, rest)
            continue
        link = known.get(owner)
        if link is None or link.state != "provisioned":
            continue
        run.counts.exported += 1
        fresh = log.referred(run, link, link.target_type, modified, rest, work.unit.now, work.began)
        if event is None:
            work.events[owner] = fresh
        else:
            # However many references there are, no more than a chunk of them is held.
            await events.write(conn, tenant, [fresh])


def changes(
    run: Run, new: Sequence[references.Resolved], gone: Sequence[references.Resolved]
) -> dict[str, list[ModifiedProperty]]:
    """Put references into the log's form, by owner."""
    targets = run.plan.reference_targets

    def told(row: references.Resolved) -> Told:
        return Told(row.owner, targets[row.attribute], f"{row.referenced_name} ({row.referenced_target})")

    return log.reference_changes(map(told, gone), map(told, new), run.plan.single_references)
