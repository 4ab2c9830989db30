"""Setting entries aside: out of scope, failed, or to be removed. Each leaves a trace.

Called by `page` and `exporting` inside the page's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from dirbridge.contract.entry import Entry
from dirbridge.contract.export import Fault
from dirbridge.engine import disposition, log
from dirbridge.engine.disposition import Failure, History, Origin
from dirbridge.engine.provision import Inside, Outside
from dirbridge.engine.run import Run
from dirbridge.engine.work import Work
from dirbridge.store import due, links
from dirbridge.store.due import Due
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal


def outside(run: Run, work: Work, found: Outside) -> None:
    """Leave an entry alone that is not in scope, or begin to remove what it became."""
    entry, link = found.entry, found.link
    if link is not None and link.state == "provisioned":
        if run.policy.skip_out_of_scope_deletions:
            _leave_alone(run, work, found, link)
        else:
            remove(run, work, link, "OutOfScope")
        return
    work.settled.add(entry.anchor)
    if link is not None and (link.state == "deprovisioned" or (link.state, link.reason) == ("skipped", found.clause)):
        return
    work.links[entry.anchor] = _stranger(entry, "skipped", found.clause, found.rule.target_type)
    work.events[entry.anchor] = log.skipped(run, found, work.unit.now, work.began)


def passed_over(run: Run, work: Work, one: Inside, fault: Fault, *, again: bool) -> None:
    """Leave an entry alone for which nothing can or may be made at the target. It is no failure: a change decides anew.

    Args:
        again: tell it although the log has it already.
    """
    entry, link = one.entry, one.link
    work.settled.add(entry.anchor)
    if not again and link is not None and (link.state, link.reason) == ("skipped", fault.code):
        return
    work.links[entry.anchor] = _stranger(entry, "skipped", fault.code, one.rule.target_type)
    work.events[entry.anchor] = log.passed_over(run, one, fault, work.unit.now, work.began)


def _leave_alone(run: Run, work: Work, found: Outside, link: Link) -> None:
    """What left scope stays at the target as it is. What was last written there is forgotten, in case it returns."""
    work.settled.add(link.anchor)
    if link.reason != links.LEFT_ALONE:
        work.links[link.anchor] = msgspec.structs.replace(links.unsure(link), reason=links.LEFT_ALONE)
        work.events[link.anchor] = log.left_alone(run, found, link, work.unit.now, work.began)


def remove(run: Run, work: Work, link: Link, evidence: str) -> None:
    """A delete was found, unless the mapping leaves deleting out."""
    work.settled.add(link.anchor)
    if run.plan.deletes(link.object_type, link.target_type):
        work.removals.append(Removal(link.anchor, link.object_type, "delete", evidence))


def failed(run: Run, work: Work, entry: Entry, link: Link | None, target_type: str, failure: Failure) -> None:
    """Set one entry aside: it is logged, and tried again later or as soon as it changes."""
    fault = failure.fault
    run.counts.escrowed += 1
    work.settled.add(entry.anchor)
    work.failures[entry.anchor] = failure
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


def keep(run: Run, work: Work, escrows: Mapping[str, tuple[int, datetime]]) -> None:
    """Say when what failed is tried again, and count what quarantine depends on.

    Args:
        escrows: of the page's entries, those that were set aside before: how often they failed, and since when.
    """
    counts = run.counts
    counts.tried += len(work.exported)
    counts.first_tried += len(work.exported - escrows.keys())
    for anchor, failure in work.failures.items():
        before = History(*escrows[anchor]) if anchor in escrows else None
        fate = disposition.of_failure(failure, before, work.unit.now)
        if failure.origin is Origin.EXPORT:
            counts.tried += 1
            counts.refused += 1
            counts.first_tried += fate.counts
            counts.first_refused += fate.counts
        if fate.retry_at is None:
            counts.pruned += 1
            work.events[anchor] = log.given_up(work.events[anchor], fate.history.attempts, fate.history.since)
            continue
        reason = due.COLLISION if failure.waits_for else failure.fault.code
        history = fate.history
        work.due.append(Due(anchor, reason, fate.retry_at, history.attempts, failure.waits_for, since=history.since))
