"""References at a target outside the transaction: queued with the page that told them, written in batches of their own.

Called by `referring`, which queues, and by `cycle`, which has the queue emptied when all entries are through. However
large a group is, no batch is larger than another; one that is refused stops no other, and only that is tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

import msgspec

from dirbridge.contract.errors import DirbridgeError
from dirbridge.contract.event import Event, ModifiedProperty
from dirbridge.contract.export import Fault, Reference, ReferenceFault
from dirbridge.engine import disposition, exporting, log
from dirbridge.engine.disposition import Failure, History, Origin
from dirbridge.engine.log import Told
from dirbridge.engine.patience import Patience
from dirbridge.engine.reading import transaction
from dirbridge.engine.run import Run
from dirbridge.engine.work import Work
from dirbridge.store import due, events, jobs, links, reference_exports, references
from dirbridge.store.database import Connection
from dirbridge.store.due import Due
from dirbridge.store.links import BEHIND
from dirbridge.store.reference_exports import Pending
from dirbridge.store.unit import Unit

DAILY = disposition.CLOCK[-1]
"""How often a reference is tried that has failed for very long."""


class Batch(msgspec.Struct):
    """What became of one batch.

    Attributes:
        done: written, or taken away.
        failed: refused or without an answer, with the reason.
        lost: anchors of entries whose target objects are gone.
        halted: what the target as a whole answered instead of going on.
    """

    done: list[Pending] = []
    failed: list[tuple[Pending, ReferenceFault]] = []
    lost: set[str] = set()
    halted: DirbridgeError | None = None

    @property
    def got_on(self) -> bool:
        """Whether anything has an outcome."""
        return bool(self.done or self.failed or self.lost)


async def queue(run: Run, work: Work, new: Sequence[references.Resolved], gone: Sequence[references.Resolved]) -> None:
    """Note what the target is to get and to lose, in the page's transaction; of two words on one, the later counts."""
    targets = run.plan.reference_targets
    rows = {}
    for row, is_added in [*((row, False) for row in gone), *((row, True) for row in new)]:
        rows[row.owner, targets[row.attribute], row.referenced] = Pending(
            row.owner,
            targets[row.attribute],
            is_added,
            row.referenced,
            row.owner_target,
            row.referenced_target,
            row.referenced_name,
        )
    await reference_exports.put(work.unit.conn, run.tenant, run.job.id, list(rows.values()), work.unit.now)


async def deliver(run: Run) -> None:
    """Empty the queue of what is due.

    Raises:
        DirbridgeError: the target as a whole can not be written now. What it had done before is recorded.
    """
    if run.context.target.capabilities.joins_transaction:
        return
    patience = Patience(run)
    while True:
        batches: list[Batch] = []

        async def carry_out(conn: Connection, batches: list[Batch] = batches) -> None:
            batches.append(await _batch(run, conn))

        await transaction(run, carry_out)
        batch = batches[-1]
        if batch.halted is not None:
            await patience.wait(batch.halted, got_on=batch.got_on)
        elif not batch.got_on:
            return


async def _batch(run: Run, conn: Connection) -> Batch:
    await jobs.fence(conn, run.tenant, run.job.id, run.generation)
    began = run.context.clock()
    most = run.context.target.capabilities.most_references or references.CHUNK
    rows = await reference_exports.take(conn, run.tenant, run.job.id, now=began, limit=exporting.MOST * most)
    batch = Batch()
    unit = run.unit(conn, began)
    try:
        for number, part in enumerate(_parts(rows, most), 1):
            await _write(run, unit, batch, part)
            if number == exporting.MOST or run.context.clock() >= began + exporting.LONGEST:
                break
    except DirbridgeError as error:
        batch.halted = error
    await _record(run, conn, batch, began)
    return batch


def _parts(rows: Sequence[Pending], most: int) -> Iterator[list[Pending]]:
    """Cut references into requests: of one owner each."""
    for _, group in groupby(rows, key=lambda row: row.owner):
        own = list(group)
        for begin in range(0, len(own), most):
            yield own[begin : begin + most]


async def _write(run: Run, unit: Unit, batch: Batch, part: Sequence[Pending]) -> None:
    """Write references of one owner; where one of them is refused, halve them until it stands alone."""
    owner = part[0].owner
    if owner in batch.lost or any(row.owner == owner and fault.transient for row, fault in batch.failed):
        return
    part = [row for row in part if row.referenced not in batch.lost]
    faults = await run.context.target.refer(
        unit, [_reference(row) for row in part if row.is_added], [_reference(row) for row in part if not row.is_added]
    )
    if not faults:
        batch.done += part
        return
    fault = faults[0]
    gone = {row.owner for row in part if row.owner_target == fault.gone}
    gone |= {row.referenced for row in part if row.referenced_target == fault.gone}
    if gone:
        batch.lost |= gone
    elif fault.transient or len(part) == 1:
        batch.failed += [(row, fault) for row in part]
    else:
        middle = len(part) // 2
        await _write(run, unit, batch, part[:middle])
        await _write(run, unit, batch, part[middle:])


def _reference(row: Pending) -> Reference:
    return Reference(row.owner_target, row.attribute, row.referenced_target)


# What came of it ------------------------------------------------------------------------------------------------------


async def _record(run: Run, conn: Connection, batch: Batch, began: datetime) -> None:
    tenant, job = run.tenant, run.job.id
    now = run.context.clock()
    await reference_exports.done(conn, tenant, job, batch.done)
    refused = [(row, _retry(row, fault, now)) for row, fault in batch.failed if not fault.transient]
    await reference_exports.put_off(conn, tenant, job, refused, now)
    busy = {row.owner: _retry(row, fault, now) for row, fault in batch.failed if fault.transient}
    await reference_exports.put_off_owners(conn, tenant, job, busy, now)
    if batch.lost:
        await _lose(run, conn, sorted(batch.lost), now)
    await events.write(conn, tenant, await _events(run, conn, batch, now, began))


def _retry(row: Pending, fault: ReferenceFault, now: datetime) -> datetime:
    failure = Failure(fault.fault, Origin.REFERENCE, transient=fault.transient)
    before = History(row.attempt, row.since) if row.since is not None else None
    return disposition.of_failure(failure, before, now).retry_at or now + DAILY


async def _lose(run: Run, conn: Connection, anchors: Sequence[str], now: datetime) -> None:
    """The objects of these entries are gone: they are made anew at once, and get their references back with that."""
    tenant, job = run.tenant, run.job.id
    known = await links.get(conn, tenant, job, anchors)
    await links.put(conn, tenant, job, [msgspec.structs.replace(link, digest=BEHIND) for link in known.values()])
    await references.lose(conn, tenant, job, anchors)
    await due.put(conn, tenant, job, [Due(anchor, due.TARGET_CHANGED, now) for anchor in anchors])


async def _events(run: Run, conn: Connection, batch: Batch, now: datetime, began: datetime) -> list[Event]:
    """One event for each owner of which something was written, and one for each of which something was not."""
    faults: dict[str, Fault] = {}
    for row, fault in batch.failed:
        faults.setdefault(row.owner, fault.fault)
    written, refused = _changes(run, batch.done), _changes(run, [row for row, _ in batch.failed])
    owners = sorted({*written, *refused})
    known = await links.get(conn, run.tenant, run.job.id, owners)
    waiting = await references.count_missing(conn, run.tenant, run.job.id, owners)
    run.counts.exports += len(written) + len(refused)
    run.counts.exported += len(written)
    run.counts.escrowed += len(refused)
    told: list[tuple[str, list[ModifiedProperty], Fault | None]] = [(*each, None) for each in written.items()]
    told += [(owner, changes, faults[owner]) for owner, changes in refused.items()]
    return [
        log.referred(run, known[owner], known[owner].target_type, changes, waiting.get(owner, 0), now, began, fault)
        for owner, changes, fault in told
        if owner in known
    ]


def _changes(run: Run, rows: Sequence[Pending]) -> dict[str, list[ModifiedProperty]]:
    gone, new = ([_told(row) for row in rows if row.is_added is added] for added in (False, True))
    return log.reference_changes(gone, new, run.plan.single_references)


def _told(row: Pending) -> Told:
    return Told(row.owner, row.attribute, f"{row.referenced_name} ({row.referenced_target})")
