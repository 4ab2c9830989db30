"""Writing what differs: entries in scope meet their target objects, in batches, inside the page's transaction.

Called by `page`. Finds or reads the target objects, lets `provision` compare, writes, and has `outcomes` note what came
of it. A target that joins the transaction takes the page whole; one outside is asked until `MOST` outcomes are known or
`LONGEST` has passed, and what is left waits for the page's next batch (`batches`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from dirbridge.contract.errors import DirbridgeError
from dirbridge.contract.export import Export, Fault, Match, Outcome, TargetValue
from dirbridge.engine import begun, matching, outcomes, provision
from dirbridge.engine.provision import Inside
from dirbridge.engine.provision import Step as Planned
from dirbridge.engine.run import Run
from dirbridge.engine.work import Manner, Work
from dirbridge.store import links
from dirbridge.store.database import ValueRejected, savepoint
from dirbridge.store.unit import Unit

MOST = 100
"""Exports to a target outside the transaction whose outcomes are recorded together."""

LONGEST = timedelta(seconds=2)
"""After this no further export is begun before the outcomes so far are recorded."""


async def export(run: Run, work: Work, inside: Sequence[Inside], manner: Manner) -> None:
    """Find or read the target objects, compare, and write what differs."""
    planned = await _plan(run, work, inside, trust_written=manner.trust_digest)
    steps = outcomes.sort(run, work, planned, manner)
    if not steps:
        return
    if run.context.target.capabilities.joins_transaction:
        await _write(run, work, steps, manner)
    else:
        await _send(run, work, steps, manner)


async def _plan(run: Run, work: Work, inside: Sequence[Inside], *, trust_written: bool) -> list[Planned]:
    """Let each entry meet its target object, or one that it matches, and say what is to be done."""
    linked = {i.entry.anchor: str(i.link.target) for i in inside if i.link is not None and i.link.target is not None}
    present = await _present(run, work, inside, linked, trust_written=trust_written)
    found, faults = await _match(run, work, [one for one in inside if linked.get(one.entry.anchor) not in present])
    if found:
        present |= await run.context.target.read(work.unit, sorted(found.values()))
    planned: list[Planned] = []
    for one in inside:
        anchor = one.entry.anchor
        where = found.get(anchor) or linked.get(anchor)
        if anchor in faults:
            planned.append(Planned(one, None, fault=faults[anchor]))
        else:
            planned.append(provision.decide(one, where, present.get(where) if where else None, matched=anchor in found))
    return planned


async def _match(run: Run, work: Work, strangers: Sequence[Inside]) -> tuple[dict[str, str], dict[str, Fault]]:
    """Find the objects that entries without one could be; gives what is theirs, and who fails over it."""
    alike: dict[tuple[str, tuple[str, ...]], list[tuple[str, Any]]] = {}
    for one in strangers:
        kind = (one.rule.target_type, one.rule.matching)
        alike.setdefault(kind, []).append((one.entry.anchor, one.mapped.values))
    matches: dict[str, Match] = {}
    for (object_type, attributes), wanted in alike.items():
        matches |= await run.context.target.find(work.unit, object_type, wanted, attributes)
    targets = [UUID(target) for match in matches.values() for target in match.targets]
    holders = await links.holders(work.unit.conn, run.tenant, targets) if targets else {}
    return matching.settle(run.job.id, strangers, matches, {str(target): held for target, held in holders.items()})


async def _present(
    run: Run, work: Work, inside: Sequence[Inside], linked: Mapping[str, str], *, trust_written: bool
) -> dict[str, Mapping[str, TargetValue]]:
    """Give what linked target objects have: what was last written, where that is kept and holds, else as they are."""
    if not linked:
        return {}
    target = run.context.target
    kept: dict[str, Mapping[str, TargetValue]] = {}
    if trust_written and not target.capabilities.joins_transaction:
        sure = [i.entry.anchor for i in inside if i.link and i.link.state == "provisioned" and i.link.digest]
        written = await links.written(work.unit.conn, run.tenant, run.job.id, sure)
        kept = {linked[anchor]: values for anchor, values in written.items()}
    rest = sorted(set(linked.values()) - kept.keys())
    return {**kept, **(await target.read(work.unit, rest) if rest else {})}


# A target that joins our transaction ----------------------------------------------------------------------------------


async def _write(run: Run, work: Work, steps: Sequence[Planned], manner: Manner) -> None:
    """Export a batch; when the database refuses a value, halve it until the guilty entry stands alone."""
    exports = [step.export for step in steps if step.export is not None]
    try:
        async with savepoint(work.unit.conn):
            answered = await run.context.target.export(work.unit, exports)
    except ValueRejected as error:
        if len(steps) > 1:
            middle = len(steps) // 2
            await _write(run, work, steps[:middle], manner)
            await _write(run, work, steps[middle:], manner)
            return
        fault = Fault(error.code, error.reason, "Correct the value in the source directory.", error.details)
        answered = [Outcome(exports[0].anchor, exports[0].target, error=fault)]
    for step, outcome in zip(steps, answered, strict=True):
        outcomes.note(run, work, step, outcome, manner)


async def send(run: Run, unit: Unit, exports: Sequence[Export]) -> tuple[dict[str, Outcome], DirbridgeError | None]:
    """Export what needs no comparison, to a target outside until the time is up.

    Returns:
        The outcomes by anchor, of as many as were begun, and what the target as a whole answered instead of going on.

    Raises:
        DirbridgeError: as the target that joins our transaction does; then nothing of this happened.
    """
    left = {export.anchor: export for export in exports}
    known: dict[str, Outcome] = {}
    until = run.context.clock() + LONGEST
    joins = run.context.target.capabilities.joins_transaction
    while left and (joins or not known or run.context.clock() < until):
        try:
            said = await run.context.target.export(unit, list(left.values()))
        except DirbridgeError as error:
            if joins:
                raise
            return known, error
        known |= {outcome.anchor: outcome for outcome in said}
        left = {anchor: export for anchor, export in left.items() if anchor not in known}
    return known, None


# A target outside our transaction -------------------------------------------------------------------------------------


async def _send(run: Run, work: Work, steps: Sequence[Planned], manner: Manner) -> None:
    """Export until the time is up; what the target as a whole answers then ends the batch, its outcomes are kept."""
    until = run.context.clock() + LONGEST
    left = {step.inside.entry.anchor: step for step in steps}
    await begun.announce(run, steps)
    try:
        while left:
            stale = await _ask(run, work, left, manner)
            if stale:
                await _afresh(run, work, stale, left, manner)
            if run.context.clock() >= until:
                break
    except DirbridgeError as error:
        work.halted = error
    work.left = [step.inside.entry for step in left.values()]


async def _ask(run: Run, work: Work, left: dict[str, Planned], manner: Manner) -> list[Planned]:
    """Let the target do what it takes at a time, and strike it off; gives those whose object is not as believed."""
    exports = [step.export for step in left.values() if step.export is not None]
    stale = []
    for outcome in await run.context.target.export(work.unit, exports):
        if outcome.stale:
            stale.append(left[outcome.anchor])
        else:
            outcomes.note(run, work, left.pop(outcome.anchor), outcome, manner)
    return stale


async def _afresh(run: Run, work: Work, stale: Sequence[Planned], left: dict[str, Planned], manner: Manner) -> None:
    """Look up afresh what is there already or no more, and export once more; what is refused then has failed."""
    planned = await _plan(run, work, [step.inside for step in stale], trust_written=False)
    again = {step.inside.entry.anchor: step for step in outcomes.sort(run, work, planned, manner)}
    for step in stale:
        if step.inside.entry.anchor not in again:
            del left[step.inside.entry.anchor]
    await begun.announce(run, again.values())
    while again:
        exports = [step.export for step in again.values() if step.export is not None]
        for outcome in await run.context.target.export(work.unit, exports):
            outcomes.note(run, work, again.pop(outcome.anchor), outcome, manner)
            del left[outcome.anchor]
