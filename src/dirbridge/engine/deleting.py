"""Deletes that were reviewed and may go: exported, and what each leaves behind put right.

Called by `removing`. A target that joins the transaction takes them at once, one outside in batches; what it refuses
stays pending and is tried again on the clock of every failure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from dirbridge.contract.errors import DirbridgeError
from dirbridge.contract.event import Event
from dirbridge.contract.export import Action, Export, Outcome
from dirbridge.engine import disposition, exporting, log
from dirbridge.engine.disposition import Failure, History, Origin
from dirbridge.engine.patience import Patience
from dirbridge.engine.reading import transaction
from dirbridge.engine.run import Run
from dirbridge.store import due, events, jobs, links, references, removals
from dirbridge.store.database import Connection
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal

DAILY = disposition.CLOCK[-1]
"""How often a delete is tried that has failed for very long: who is gone at the source must not stay for ever."""


class _Batch(msgspec.Struct):
    """What became of one batch: the anchors that have an outcome, and what the target answered instead of going on."""

    settled: set[str] = set()
    halted: DirbridgeError | None = None


async def delete(run: Run, deletes: Sequence[Removal], tombstones: Collection[str]) -> None:
    """Export deletes.

    Args:
        tombstones: of them, the anchors whose entry is gone for good.

    Raises:
        DirbridgeError: the target as a whole can not be written now. What it had done before is recorded.
    """
    most = len(deletes) if run.context.target.capabilities.joins_transaction else exporting.MOST
    left = {removal.anchor: removal for removal in deletes}
    patience = Patience(run)
    while left:
        batches: list[_Batch] = []
        part = list(left.values())[:most]

        async def carry_out(conn: Connection, part: list[Removal] = part, batches: list[_Batch] = batches) -> None:
            batches.append(await _batch(run, conn, part, tombstones))

        await transaction(run, carry_out)
        batch = batches[-1]
        left = {anchor: removal for anchor, removal in left.items() if anchor not in batch.settled}
        if batch.halted is not None:
            await patience.wait(batch.halted, got_on=bool(batch.settled))


async def _batch(run: Run, conn: Connection, part: Sequence[Removal], tombstones: Collection[str]) -> _Batch:
    await jobs.fence(conn, run.tenant, run.job.id, run.generation)
    began = run.context.clock()
    evidence = {removal.anchor: removal.evidence for removal in part}
    # A person may have rejected some meanwhile.
    anchors = await removals.still_open(conn, run.tenant, run.job.id, sorted(evidence))
    known = await links.get(conn, run.tenant, run.job.id, anchors)
    live = {a: link for a, link in known.items() if link.state == "provisioned" and link.target is not None}
    exports = [Export(a, link.target_type, Action.DELETE, str(link.target), {}) for a, link in live.items()]
    sent, halted = await exporting.send(run, run.unit(conn, began), exports)
    now = run.context.clock()
    gone = [a for a in anchors if a not in live or (a in sent and sent[a].error is None)]
    refused = {a: outcome for a, outcome in sent.items() if outcome.error is not None}
    deleted = [live[a] for a in gone if a in live]
    await _leave(run, conn, deleted, gone, tombstones, now)
    await due.wake(conn, run.tenant, sorted({v for outcome in sent.values() for v in outcome.freed}), now)
    await _put_off(run, conn, refused, now)
    run.counts.exports += len(sent)
    run.counts.exported += len(deleted)
    run.counts.escrowed += len(refused)
    told = [*deleted, *(live[a] for a in refused)]
    await events.write(conn, run.tenant, [_event(run, one, evidence, sent, now, began) for one in told])
    return _Batch({*evidence} - live.keys() | sent.keys(), halted)


async def _leave(
    run: Run,
    conn: Connection,
    deleted: Sequence[Link],
    anchors: Sequence[str],
    tombstones: Collection[str],
    now: datetime,
) -> None:
    """Put right what deleted objects leave behind: their references turn to missing.

    A link stays, to restore its object by it; where nothing is left to restore it leads nowhere, and goes with its
    entry.
    """
    tenant, job = run.tenant, run.job.id
    ended = [_ended(run, link) for link in deleted]
    await links.put(conn, tenant, job, ended)
    lost = [link.anchor for link in ended if link.target is None and link.anchor in tombstones]
    if lost:
        await links.forget(conn, tenant, job, lost)
    await references.lose(conn, tenant, job, anchors)
    for_good = sorted(({*tombstones} & {*anchors}) - {*run.plan.groups})
    if for_good:
        await references.forget_owners(conn, tenant, job, for_good)
    await removals.done(conn, tenant, job, anchors, now)
    await due.settle(conn, tenant, job, anchors)


async def _put_off(run: Run, conn: Connection, refused: Mapping[str, Outcome], now: datetime) -> None:
    if not refused:
        return
    tried = await removals.failing(conn, run.tenant, run.job.id, sorted(refused))
    at = {}
    for anchor, outcome in refused.items():
        assert outcome.error is not None
        failure = Failure(outcome.error, Origin.EXPORT, transient=outcome.transient)
        before = History(*tried[anchor]) if anchor in tried else None
        at[anchor] = disposition.of_failure(failure, before, now).retry_at or now + DAILY
    await removals.put_off(conn, run.tenant, run.job.id, at, now)


def _event(
    run: Run,
    link: Link,
    evidence: Mapping[str, str],
    sent: Mapping[str, Outcome],
    now: datetime,
    began: datetime,
) -> Event:
    outcome = sent[link.anchor]
    return log.removed(
        run,
        link,
        target_type=link.target_type,
        evidence=evidence[link.anchor],
        staged=False,
        fault=outcome.error,
        kept=outcome.kept,
        now=now,
        began=began,
        permanent=not _is_restorable(run, link),
    )


def _ended(run: Run, link: Link) -> Link:
    """The link of an entry whose object was deleted just now."""
    target = link.target if _is_restorable(run, link) else None
    return msgspec.structs.replace(link, state="deprovisioned", reason="", digest=None, target=target)


def _is_restorable(run: Run, link: Link) -> bool:
    return link.target_type in run.context.target.capabilities.soft_deletes
