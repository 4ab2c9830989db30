"""What became of one entry's export, noted on the page's work: done, refused, or nothing to do.

Called by `exporting` inside the page's transaction, whichever way the target is written.
"""

from __future__ import annotations

from uuid import UUID

import msgspec

from dirbridge.contract.export import Action, Export, Fault, Outcome
from dirbridge.engine import aside, begun, log, provision
from dirbridge.engine.disposition import Failure, Origin
from dirbridge.engine.matching import IMPORT_SKIPPED
from dirbridge.engine.provision import Inside
from dirbridge.engine.provision import Step as Planned
from dirbridge.engine.run import Run
from dirbridge.engine.work import Manner, Work
from dirbridge.store.due import COLLISION, Due
from dirbridge.store.links import BEHIND, Link, unsure
from dirbridge.store.removals import Removal


def sort(run: Run, work: Work, planned: list[Planned], manner: Manner) -> list[Planned]:
    """Note what needs no export, put what disables to its review, and give the rest, which is written now."""
    writes = []
    for step in planned:
        if step.fault is not None:
            one = step.inside
            if step.fault.code == IMPORT_SKIPPED and (one.link is None or one.link.target is None):
                aside.passed_over(run, work, one, step.fault, again=manner.on_demand)
                continue
            aside.failed(run, work, one.entry, one.link, one.rule.target_type, Failure(step.fault, Origin.MAPPING))
        elif step.export is None or not provision.allowed(step):
            _agree(run, work, step, manner)
        elif not step.disables:
            writes.append(step)
        elif manner.may_disable and step.inside.entry.anchor not in work.rejected:
            writes.append(provision.disable_alone(step))
        else:
            writes += _to_review(work, step)
    return writes


def note(run: Run, work: Work, step: Planned, outcome: Outcome, manner: Manner) -> None:
    """Note the outcome of a step's export."""
    assert step.export is not None
    run.counts.exports += 1
    if outcome.error is None:
        _done(run, work, step, step.export, outcome)
    elif outcome.collision and not manner.retry:
        # Its rival may change later in this cycle: it is tried once more before it counts as failed.
        work.due.append(Due(step.export.anchor, COLLISION, work.unit.now, 0, outcome.collision))
    else:
        _refused(run, work, step, step.export, outcome)


def _to_review(work: Work, step: Planned) -> list[Planned]:
    """A disable waits for its review; gives what else changes, which does not."""
    one = step.inside
    work.removals.append(Removal(one.entry.anchor, one.entry.object_type, "disable", "Disabled"))
    rest = provision.without_disable(step)
    if rest is None:
        work.settled.add(one.entry.anchor)
        if one.link is not None and (one.link.reason or one.link.digest == BEHIND):
            # The object is there: what refers to it need not wait for the review as well.
            digest = one.link.digest or None
            work.links[one.entry.anchor] = msgspec.structs.replace(one.link, reason="", digest=digest)
            if one.link.digest == BEHIND:
                work.appeared.add(one.entry.anchor)
    return [] if rest is None else [rest]


def _not_to_be_made(one: Inside) -> Fault:
    allowed = ", ".join(sorted(one.rule.actions)) or "none"
    return Fault(
        "EntrySynchronizationSkipped",
        f"'{one.entry.name}' has no {one.rule.target_type}, and the mapping makes none: its flow types are {allowed}.",
        "Add the flow type Add to the object mapping if such objects are to be made.",
    )


def _agree(run: Run, work: Work, step: Planned, manner: Manner) -> None:
    """The target has it all already, or the mapping does not let it flow: only the link is brought up to date."""
    one = step.inside
    work.settled.add(one.entry.anchor)
    if step.export is not None and (one.link is None or one.link.target is None):
        aside.passed_over(run, work, one, _not_to_be_made(one), again=manner.on_demand)
    elif one.link is not None and (step.export is None or one.link.state == "provisioned"):
        # What the mapping does not let come back stays where nothing can refer to it.
        is_gone = step.export is not None and (step.export.target is None or step.export.restore)
        work.links[one.entry.anchor] = msgspec.structs.replace(
            one.link,
            object_type=one.entry.object_type,
            target_type=one.rule.target_type,
            name=one.entry.name,
            container=one.entry.container,
            state="provisioned",
            reason="",
            digest=BEHIND if is_gone else one.digest,
        )
        if step.export is None:
            work.written[one.entry.anchor] = dict(step.present)
        if not is_gone and (one.link.state != "provisioned" or not one.link.digest):
            work.appeared.add(one.entry.anchor)


def _done(run: Run, work: Work, step: Planned, export: Export, outcome: Outcome) -> None:
    one = step.inside
    entry = one.entry
    run.counts.exported += not outcome.kept
    work.exported.add(entry.anchor)
    if begun.gives_an_object(step):
        work.certain.add(entry.anchor)
    work.freed.update(outcome.freed)
    after = {**step.present, **step.changes}
    gone = {name for name, value in after.items() if value is None or name == provision.DELETED}
    work.written[entry.anchor] = {name: value for name, value in after.items() if name not in gone}
    work.events[entry.anchor] = log.exported(run, step, export, outcome, work.unit.now, work.began)
    if export.action is Action.DISABLE:
        work.disabled.add(entry.anchor)
    if export.action is Action.DISABLE and step.partial and one.link is not None:
        # What else changes has its own turn, and its own failure perhaps: that stays due.
        work.links[entry.anchor] = unsure(one.link)
        return
    work.settled.add(entry.anchor)
    # What people deleted of their own stays deleted, and nothing refers to it.
    is_gone = bool(outcome.kept) and export.restore
    if not is_gone:
        _there(work, one, export, outcome)
    work.links[entry.anchor] = Link(
        anchor=entry.anchor,
        object_type=entry.object_type,
        name=entry.name,
        container=entry.container,
        target=None if outcome.target is None else UUID(outcome.target),
        state="provisioned",
        reason="",
        digest=BEHIND if is_gone else None if step.partial else one.digest,
        target_type=one.rule.target_type,
    )


def _there(work: Work, one: Inside, export: Export, outcome: Outcome) -> None:
    """Note that an object is there now, where it was not before: what refers to it is written."""
    if one.link is None or one.link.state != "provisioned":
        work.appeared.add(one.entry.anchor)
    elif export.restore or str(one.link.target) != outcome.target:
        work.revived.add(one.entry.anchor)
    elif one.link.digest == BEHIND:
        # Deleted by a person and brought back: what refers to it is written again.
        work.appeared.add(one.entry.anchor)


def _refused(run: Run, work: Work, step: Planned, export: Export, outcome: Outcome) -> None:
    one = step.inside
    assert outcome.error is not None
    work.events[one.entry.anchor] = log.exported(run, step, export, outcome, work.unit.now, work.began)
    failure = Failure(outcome.error, Origin.EXPORT, outcome.transient, outcome.collision)
    aside.failed(run, work, one.entry, one.link, one.rule.target_type, failure)
    if outcome.transient:
        # It may have been written all the same: what the target has must be read before the next comparison.
        work.links[one.entry.anchor] = unsure(work.links[one.entry.anchor])
