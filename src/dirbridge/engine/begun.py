"""Objects at a target outside the transaction that no link knows: made before a crash, or with an answer that was lost.

Called by `exporting`, which says what it is about to make, and by `page`, when an entry is to have no object any more.
An entry in scope finds its object by matching; for one that went meanwhile this is the only trace.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from dirbridge.engine.provision import DELETED, SOURCE_ANCHOR, Step
from dirbridge.engine.run import Run
from dirbridge.engine.work import Work
from dirbridge.store import begun_exports, links
from dirbridge.store.begun_exports import Begun
from dirbridge.store.links import Link


def gives_an_object(step: Step) -> bool:
    """Tell whether an export makes an object, or makes one the entry's."""
    export = step.export
    return export is not None and (export.target is None or export.restore or step.matched)


async def announce(run: Run, steps: Collection[Step]) -> None:
    """Note what is about to begin, in a transaction of its own: it holds whatever becomes of the batch's."""
    rows = [_begun(step) for step in steps if gives_an_object(step) and step.inside.mapped.values.get(SOURCE_ANCHOR)]
    if rows:
        async with run.context.database.transaction() as conn:
            await begun_exports.put(conn, run.tenant, run.job.id, rows, run.context.clock())


def _begun(step: Step) -> Begun:
    entry, rule = step.inside.entry, step.inside.rule
    source_anchor = str(step.inside.mapped.values[SOURCE_ANCHOR])
    return Begun(entry.anchor, entry.object_type, rule.target_type, entry.name, entry.container, source_anchor)


async def adopt(run: Run, work: Work, anchors: Sequence[str]) -> None:
    """Link entries that are to have no object with what was begun for them, so that it goes the way of every object."""
    if run.context.target.capabilities.joins_transaction or not anchors:
        return
    rows = await begun_exports.get(work.unit.conn, run.tenant, run.job.id, anchors)
    found = await _find(run, work, rows)
    holders = await links.holders(work.unit.conn, run.tenant, list(found.values())) if found else {}
    for row in rows:
        work.certain.add(row.anchor)
        target = found.get(row.anchor)
        holder = holders.get(target) if target is not None else None
        if target is None or (holder is not None and (holder.job, holder.anchor) != (run.job.id, row.anchor)):
            continue
        link = Link(
            row.anchor, row.object_type, row.name, row.container, target, "provisioned", "", None, row.target_type
        )
        work.known[row.anchor] = work.links[row.anchor] = link


async def _find(run: Run, work: Work, rows: Sequence[Begun]) -> dict[str, UUID]:
    """Give the live objects that have exactly these source anchors, by anchor."""
    target = run.context.target
    matched: dict[str, str] = {}
    for object_type in sorted({row.target_type for row in rows}):
        wanted = [(row.anchor, {SOURCE_ANCHOR: row.source_anchor}) for row in rows if row.target_type == object_type]
        matches = await target.find(work.unit, object_type, wanted, (SOURCE_ANCHOR,))
        matched |= {anchor: match.targets[0] for anchor, match in matches.items() if len(match.targets) == 1}
    present = await target.read(work.unit, sorted(matched.values())) if matched else {}
    expected = {row.anchor: row.source_anchor for row in rows}
    return {
        anchor: UUID(id)
        for anchor, id in matched.items()
        if (values := present.get(id)) is not None
        and values.get(SOURCE_ANCHOR) == expected[anchor]
        and not values.get(DELETED)
    }
