"""Writing what differs: entries in scope meet their target objects, in batches, inside the page's transaction.

Called by `page`. Finds or reads the target objects, lets `provision` compare, writes, and notes each outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from dirbridge.contract.export import Action, Export, Fault, Outcome
from dirbridge.engine import aside, log, provision
from dirbridge.engine.provision import Inside, Outside
from dirbridge.engine.provision import Step as Planned
from dirbridge.engine.run import Run
from dirbridge.engine.work import Manner, Work
from dirbridge.store import due
from dirbridge.store.database import ValueRejected, savepoint
from dirbridge.store.due import Due
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal


async def export(run: Run, work: Work, inside: Sequence[Inside], manner: Manner) -> None:
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
        if step.fault is not None:
            one = step.inside
            work.settled.add(one.entry.anchor)
            aside.failed(run, work, one.entry, one.link, one.rule.target_type, step.fault)
        elif step.export is None or not provision.allowed(step):
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
        aside.outside(run, work, outside)
    elif one.link is not None and (step.export is None or one.link.state == "provisioned"):
        work.links[one.entry.anchor] = msgspec.structs.replace(
            one.link,
            object_type=one.entry.object_type,
            target_type=one.rule.target_type,
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
        target_type=one.rule.target_type,
    )


def _refused(run: Run, work: Work, step: Planned, export: Export, outcome: Outcome) -> None:
    one = step.inside
    assert outcome.error is not None
    work.settled.add(one.entry.anchor)
    work.events[one.entry.anchor] = log.exported(run, step, export, outcome, work.unit.now, work.began)
    aside.failed(run, work, one.entry, one.link, one.rule.target_type, outcome.error, outcome.collision)
