"""Setting entries aside: out of scope, failed, or to be removed. Each leaves a trace.

Called by `page` and `exporting` inside the page's transaction.
"""

from __future__ import annotations

import msgspec

from dirbridge.contract.entry import Entry
from dirbridge.contract.export import Fault
from dirbridge.engine import log
from dirbridge.engine.provision import Outside
from dirbridge.engine.run import Run
from dirbridge.engine.work import Work
from dirbridge.store import due
from dirbridge.store.due import Due
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal


def outside(run: Run, work: Work, found: Outside) -> None:
    """Leave an entry alone that is not in scope, or begin to remove what it became."""
    entry, link = found.entry, found.link
    if link is not None and link.state == "provisioned":
        remove(run, work, link, "OutOfScope")
        return
    work.settled.add(entry.anchor)
    if link is not None and (link.state == "deprovisioned" or (link.state, link.reason) == ("skipped", found.clause)):
        return
    work.links[entry.anchor] = _stranger(entry, "skipped", found.clause, found.rule.target_type)
    work.events[entry.anchor] = log.skipped(run, found, work.unit.now, work.began)


def remove(run: Run, work: Work, link: Link, evidence: str) -> None:
    """A delete was found, unless the mapping leaves deleting out."""
    work.settled.add(link.anchor)
    if run.plan.deletes(link.object_type, link.target_type):
        work.removals.append(Removal(link.anchor, link.object_type, "delete", evidence))


def failed(
    run: Run, work: Work, entry: Entry, link: Link | None, target_type: str, fault: Fault, waits_for: str | None = None
) -> None:
    """Set one entry aside: it is logged, and tried again later or as soon as it changes."""
    run.counts.escrowed += 1
    work.failures[entry.anchor] = (due.COLLISION if waits_for else fault.code, waits_for)
    work.links[entry.anchor] = (
        msgspec.structs.replace(link, reason=fault.code, name=entry.name, container=entry.container)
        if link is not None and link.target is not None
        else _stranger(entry, "failed", fault.code, target_type)
    )
    if entry.anchor not in work.events:
        work.events[entry.anchor] = log.broken(run, entry, link, target_type, fault, work.unit.now, work.began)


def _stranger(entry: Entry, state: str, reason: str, target_type: str) -> Link:
    """The link of an entry that has no object at the target."""
    return Link(entry.anchor, entry.object_type, entry.name, entry.container, None, state, reason, None, target_type)


async def keep(run: Run, work: Work) -> None:
    """Say when what failed is tried again."""
    if not work.failures:
        return
    conn, tenant, job = work.unit.conn, run.tenant, run.job.id
    tried = await due.attempts(conn, tenant, job, sorted(work.failures))
    for anchor, (reason, waits_for) in work.failures.items():
        attempt = tried[anchor][0] + 1 if anchor in tried else 1
        work.due.append(Due(anchor, reason, work.unit.now + due.back_off(attempt - 1), attempt, waits_for))
