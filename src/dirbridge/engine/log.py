"""Making events: what ran, what changed, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from dirbridge.contract.entry import Entry
from dirbridge.contract.event import Detail, Event, ModifiedProperty, Status, Step, StepType
from dirbridge.contract.export import Action, Export, Fault, Outcome
from dirbridge.engine.diff import modified
from dirbridge.engine.provision import Inside, Outside
from dirbridge.engine.provision import Step as Planned
from dirbridge.engine.redaction import Veil
from dirbridge.engine.run import Run
from dirbridge.store import links
from dirbridge.store.links import Link
from dirbridge.store.scope import Group

OUT_OF_SCOPE = "NotInScope"
REDUNDANT = "RedundantExport"
NOT_VISIBLE = "NotVisibleInSource"


def milliseconds(since: datetime, now: datetime) -> int:
    """Give whole milliseconds between two times."""
    return max(0, int((now - since).total_seconds() * 1000))


def _event(
    run: Run,
    now: datetime,
    began: datetime,
    *,
    action: Action,
    status: Status,
    reason: str = "",
    source: tuple[str, str, str],
    target: tuple[str, str, str] = ("", "", ""),
    steps: Sequence[Step],
    changes: Sequence[ModifiedProperty] = (),
    fault: Fault | None = None,
) -> Event:
    event = run.context.new_id()
    return Event(
        id=event,
        at=now,
        job=run.job.id,
        cycle=run.cycle,
        change=event,
        action=action,
        status=status,
        reason=reason,
        source_id=source[0],
        source_type=source[1],
        source_name=source[2],
        target_id=target[0],
        target_type=target[1],
        target_name=target[2],
        duration=milliseconds(began, now),
        detail=Detail(tuple(steps), tuple(changes), fault),
    )


def _source(entry: Entry) -> tuple[str, str, str]:
    return entry.anchor, entry.object_type, entry.name


def _imported(entry: Entry, link: Link | None) -> Step:
    code = "EntryImportAdd" if link is None else "EntryImport"
    return Step(code, StepType.IMPORT, Status.SUCCESS, {"type": entry.object_type, "name": entry.name})


def _scoped(entry: Entry, clause: str = "") -> Step:
    details = {"type": entry.object_type, "passed": str(not clause)}
    if clause:
        details["clause"] = clause
    return Step("EntrySynchronizationScoping", StepType.SCOPING, Status.SKIPPED if clause else Status.SUCCESS, details)


def skipped(run: Run, outside: Outside, now: datetime, began: datetime) -> Event:
    """An entry that is not in scope."""
    entry = outside.entry
    return _event(
        run,
        now,
        began,
        action=Action.OTHER,
        status=Status.SKIPPED,
        reason=OUT_OF_SCOPE,
        source=_source(entry),
        target=("", outside.rule.target_type, ""),
        steps=[_imported(entry, outside.link), _scoped(entry, outside.clause)],
    )


def passed_over(run: Run, inside: Inside, fault: Fault, now: datetime, began: datetime) -> Event:
    """An entry in scope for which nothing can or may be made at the target."""
    details = {"type": inside.rule.target_type, "SkipReason": fault.code, "reason": fault.reason}
    return _event(
        run,
        now,
        began,
        action=Action.OTHER,
        status=Status.SKIPPED,
        reason=fault.code,
        source=_source(inside.entry),
        target=("", inside.rule.target_type, ""),
        steps=[
            _imported(inside.entry, inside.link),
            _scoped(inside.entry),
            Step("EntrySynchronizationSkip", StepType.EXPORT, Status.SKIPPED, details),
        ],
        fault=fault,
    )


def redundant(run: Run, inside: Inside, now: datetime, began: datetime) -> Event:
    """An entry of which the target has it all already; told only to a person who asked."""
    entry, link = inside.entry, inside.link
    name = _target_name(inside)
    details = {"name": name, "type": inside.rule.target_type}
    return _event(
        run,
        now,
        began,
        action=Action.OTHER,
        status=Status.SKIPPED,
        reason=REDUNDANT,
        source=_source(entry),
        target=(str(link.target or "") if link else "", inside.rule.target_type, name),
        steps=[
            _imported(entry, link),
            _scoped(entry),
            Step("EntryImport", StepType.MATCHING, Status.SUCCESS, details),
            Step("EntrySynchronizationSkip", StepType.EXPORT, Status.SKIPPED, {**details, "SkipReason": REDUNDANT}),
        ],
    )


def left_alone(run: Run, outside: Outside, link: Link, now: datetime, began: datetime) -> Event:
    """An entry that left scope while the job's settings keep such objects."""
    entry = outside.entry
    return _event(
        run,
        now,
        began,
        action=Action.OTHER,
        status=Status.SKIPPED,
        reason=links.LEFT_ALONE,
        source=_source(entry),
        target=(str(link.target or ""), link.target_type, link.name),
        steps=[
            _imported(entry, link),
            _scoped(entry, outside.clause),
            Step("EntrySynchronizationSkip", StepType.EXPORT, Status.SKIPPED, {"SkipReason": links.LEFT_ALONE}),
        ],
    )


def broken(
    run: Run, entry: Entry, link: Link | None, target_type: str, fault: Fault, now: datetime, began: datetime
) -> Event:
    """An entry that cannot be mapped."""
    return _event(
        run,
        now,
        began,
        action=Action.CREATE if link is None or link.target is None else Action.UPDATE,
        status=Status.FAILURE,
        reason=fault.code,
        source=_source(entry),
        target=(str(link.target) if link and link.target else "", target_type, ""),
        steps=[
            _imported(entry, link),
            Step("EntrySynchronizationError", StepType.PROCESSING, Status.FAILURE, {"name": entry.name}),
        ],
        fault=fault,
    )


def given_up(event: Event, attempts: int, since: datetime) -> Event:
    """Of an entry that failed: it has done so for so long that it is not tried again by itself."""
    name = event.source_name
    step = Step(
        "EntryEscrowRemoved",
        StepType.PROCESSING,
        Status.WARNING,
        {"name": name, "attempts": str(attempts), "since": f"{since:%Y-%m-%d %H:%M} UTC"},
    )
    detail = msgspec.structs.replace(event.detail, steps=(*event.detail.steps, step))
    return msgspec.structs.replace(event, detail=detail)


_EXPORT_CODES = {
    Action.CREATE: "EntryExportAdd",
    Action.UPDATE: "EntryExportUpdate",
    Action.DISABLE: "EntryExportUpdate",
    Action.DELETE: "EntryExportDelete",
}


def exported(run: Run, planned: Planned, export: Export, outcome: Outcome, now: datetime, began: datetime) -> Event:
    """An export, done or failed."""
    inside = planned.inside
    entry = inside.entry
    target_name = _target_name(inside)
    veil = Veil(inside.rule.redacted, planned.changes, planned.present, inside.mapped.values)
    status = Status.FAILURE if outcome.error else Status.SKIPPED if outcome.kept else Status.SUCCESS
    details = {"name": target_name, "type": inside.rule.target_type}
    if export.restore:
        details["restored"] = "True"
    details |= {f"note{number}": veil.over(note) for number, note in enumerate(outcome.notes, 1)}
    return _event(
        run,
        now,
        began,
        action=export.action,
        status=status,
        reason=outcome.error.code if outcome.error else outcome.kept,
        source=_source(entry),
        target=(outcome.target or "", inside.rule.target_type, target_name),
        steps=[
            _imported(entry, inside.link),
            _scoped(entry),
            _matched(planned, target_name),
            Step(_EXPORT_CODES[export.action], StepType.EXPORT, status, details),
        ],
        changes=modified(planned.changes, planned.present, inside.rule.redacted),
        fault=veil.over_fault(outcome.error),
    )


def _target_name(inside: Inside) -> str:
    """Give the name that the log has for the object: what it is displayed as, unless that is redacted."""
    if "DisplayName" in inside.rule.redacted:
        return inside.entry.name
    return str(inside.mapped.values.get("DisplayName") or inside.entry.name)


def _matched(planned: Planned, name: str) -> Step:
    created = planned.export is not None and planned.export.action is Action.CREATE
    details = {"name": name, "type": planned.inside.rule.target_type}
    if created:
        return Step("EntrySynchronizationAdd", StepType.MATCHING, Status.SUCCESS, details)
    if planned.matched:
        details["matched"] = "True"
    return Step("EntryImport", StepType.MATCHING, Status.SUCCESS, details)


def removed(
    run: Run,
    link: Link,
    *,
    target_type: str,
    evidence: str,
    staged: bool,
    fault: Fault | None,
    now: datetime,
    began: datetime,
    permanent: bool = False,
    kept: str = "",
) -> Event:
    """A delete, done, staged, failed, or not carried out by the target; a permanent one leaves nothing to restore."""
    status = Status.FAILURE if fault else Status.SKIPPED if kept else Status.SUCCESS
    code = "EntryStagedDelete" if staged else "EntryExportDelete"
    details = {"name": link.name, "type": target_type, **({"permanent": "True"} if permanent else {})}
    return _event(
        run,
        now,
        began,
        action=Action.STAGED_DELETE if staged else Action.DELETE,
        status=Status.WARNING if staged else status,
        reason="TooManyDeletes" if staged else fault.code if fault else kept,
        source=(link.anchor, link.object_type, link.name),
        target=(str(link.target or ""), target_type, link.name),
        steps=[
            Step("EntryImport", StepType.IMPORT, Status.SUCCESS, {"name": link.name, "evidence": evidence}),
            Step(code, StepType.EXPORT, Status.WARNING if staged else status, details),
        ],
        fault=fault,
    )


def members_staged(run: Run, link: Link, lost: Sequence[ModifiedProperty], now: datetime) -> Event:
    """Members that a group lost at its source, and that stay at the target until a person decides."""
    details = {"name": link.name, "type": link.target_type, "members": str(len(lost))}
    return _event(
        run,
        now,
        now,
        action=Action.STAGED_DELETE,
        status=Status.WARNING,
        reason="TooManyDeletes",
        source=(link.anchor, link.object_type, link.name),
        target=(str(link.target or ""), link.target_type, link.name),
        steps=[
            Step("EntryImport", StepType.IMPORT, Status.SUCCESS, {"type": link.object_type, "name": link.name}),
            Step("EntryStagedMembers", StepType.EXPORT, Status.WARNING, details),
        ],
        changes=lost,
    )


def held(run: Run, link: Link, target_type: str, now: datetime, began: datetime) -> Event:
    """An entry that the source neither shows nor has a tombstone of: nothing is done to it."""
    return _event(
        run,
        now,
        began,
        action=Action.OTHER,
        status=Status.WARNING,
        reason=NOT_VISIBLE,
        source=(link.anchor, link.object_type, link.name),
        target=(str(link.target or ""), target_type, link.name),
        steps=[Step("EntryImportObjectNotFound", StepType.IMPORT, Status.WARNING, {"name": link.name})],
    )


def scope_held(run: Run, group: Group, fault: Fault, now: datetime) -> Event:
    """A scoping group that is not there any more, or cannot be read: it keeps whom it had."""
    return _event(
        run,
        now,
        now,
        action=Action.OTHER,
        status=Status.WARNING,
        reason=fault.code,
        source=(group.anchor, "group", group.name),
        steps=[Step("EntrySynchronizationScoping", StepType.SCOPING, Status.WARNING, {"held": group.reason})],
        fault=fault,
    )


def referred(
    run: Run,
    link: Link,
    target_type: str,
    changes: Sequence[ModifiedProperty],
    waiting: int,
    now: datetime,
    began: datetime,
    fault: Fault | None = None,
) -> Event:
    """References of an entry that changed while the entry itself did not, or could not be changed."""
    status = Status.FAILURE if fault else Status.SUCCESS
    return _event(
        run,
        now,
        began,
        action=Action.UPDATE,
        status=status,
        reason=fault.code if fault else "",
        source=(link.anchor, link.object_type, link.name),
        target=(str(link.target or ""), target_type, link.name),
        steps=[
            Step("EntryImport", StepType.IMPORT, Status.SUCCESS, {"type": link.object_type, "name": link.name}),
            resolution(() if fault else changes, waiting),
            Step("EntryExportUpdate", StepType.EXPORT, status, {"name": link.name, "type": target_type}),
        ],
        changes=changes,
        fault=fault,
    )


class Told(NamedTuple):
    """A reference for the log: its owner's anchor, the target attribute, and what it refers to in words."""

    owner: str
    attribute: str
    referenced: str


def reference_changes(
    gone: Iterable[Told], new: Iterable[Told], single: Collection[str]
) -> dict[str, list[ModifiedProperty]]:
    """Put references into the log's form, by owner; of an attribute of one value, old and new are one change."""
    left: dict[tuple[str, str], str] = {}
    changes: dict[str, list[ModifiedProperty]] = {}
    for owner, name, old in gone:
        if name in single:
            left[owner, name] = old
        else:
            changes.setdefault(owner, []).append(ModifiedProperty(name, old, None))
    for owner, name, shown in new:
        changes.setdefault(owner, []).append(ModifiedProperty(name, left.pop((owner, name), None), shown))
    for (owner, name), old in left.items():
        changes.setdefault(owner, []).append(ModifiedProperty(name, old, None))
    return changes


def resolution(changes: Sequence[ModifiedProperty], waiting: int) -> Step:
    """How many references were written, and how many wait for their other end."""
    details = {"written": str(len(changes)), "waiting": str(waiting)}
    return Step(
        "EntrySynchronizationReferences",
        StepType.REFERENCE_RESOLUTION,
        Status.WARNING if waiting else Status.SUCCESS,
        details,
    )


def with_references(event: Event, changes: Sequence[ModifiedProperty], waiting: int) -> Event:
    """Add references that were written together with their owner to its event."""
    detail = msgspec.structs.replace(
        event.detail,
        steps=(*event.detail.steps[:-1], resolution(changes, waiting), event.detail.steps[-1]),
        modified=(*event.detail.modified, *changes),
    )
    return msgspec.structs.replace(event, detail=detail)
