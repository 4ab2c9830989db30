"""What shall become of one entry: the steps of the log in their order, as decisions on data.

`page` calls these for every entry of a page and carries the answers out. Nothing here reads or writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from dirbridge.contract.entry import Entry, check_texts, storable, text_fault
from dirbridge.contract.errors import EntryError
from dirbridge.contract.export import Action, Export, Fault, TargetValue
from dirbridge.engine import diff, mapping
from dirbridge.engine.mapping import Mapped
from dirbridge.engine.plan import ObjectRule, Plan
from dirbridge.engine.redaction import Veil
from dirbridge.store.links import Link

SOURCE_ANCHOR = "SourceAnchor"
"""Target attribute that ties an object to its entry for good."""

DELETED = "IsSoftDeleted"
"""Pseudo attribute of a present target object that lies in the recycle bin."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """Whether an entry belongs to the part of the source that is taken.

    Attributes:
        clause: why not; empty where it does.
        error: why that cannot be told.
    """

    clause: str = ""
    error: EntryError | None = None


EVERYWHERE = Place()
"""An entry that is taken, wherever it lies."""


class Outside(msgspec.Struct, frozen=True, gc=False):
    """Not in scope: the clause that it failed."""

    entry: Entry
    link: Link | None
    rule: ObjectRule
    clause: str


class Broken(msgspec.Struct, frozen=True, gc=False):
    """It cannot be mapped."""

    entry: Entry
    link: Link | None
    rule: ObjectRule
    fault: Fault


class Unchanged(msgspec.Struct, frozen=True, gc=False):
    """What would be written was written last time."""

    entry: Entry
    link: Link


class Inside(msgspec.Struct, frozen=True, gc=False):
    """In scope and mapped: to be compared with the target."""

    entry: Entry
    link: Link | None
    rule: ObjectRule
    mapped: Mapped
    digest: bytes


Judgement = Outside | Broken | Unchanged | Inside


def judge(
    plan: Plan,
    entry: Entry,
    link: Link | None,
    now: datetime,
    *,
    placed: Callable[[Entry, ObjectRule], Place],
    trust_digest: bool,
    heed_scope: bool = True,
) -> Judgement | None:
    """Scope and map an entry.

    Args:
        placed: tells whether an entry belongs to what its rule takes of the source.
        trust_digest: what was last written counts as what the target has; a full read does not trust it.
        heed_scope: what is not in scope is left out; a person may ask for it all the same.

    Returns:
        None for a type that the schema does not map.
    """
    rules = plan.rules.get(entry.object_type)
    if rules is None:
        return None
    entry = _sound(entry)
    rule = rules[0]
    try:
        chosen = plan.choose(entry)
        if chosen is None:
            return Outside(entry, link, rule, rules[-1].category(entry).clause)
        rule = chosen
        if link is not None and link.target is not None and link.target_type not in ("", rule.target_type):
            return Broken(entry, link, rule, _mismatch(entry, link, rule))
        place = placed(entry, rule) if heed_scope else EVERYWHERE
        if place.clause:
            return Outside(entry, link, rule, place.clause)
        verdict = rule.scope(entry)
        if heed_scope and not verdict.passed:
            return Outside(entry, link, rule, verdict.clause)
        if place.error is not None:
            raise place.error
        mapped = mapping.apply(rule, entry, now)
    except EntryError as error:
        return Broken(entry, link, rule, fault_of(error))
    digest = mapped.digest()
    if (
        trust_digest
        and not rule.rewrites
        and link is not None
        and link.state == "provisioned"
        and link.digest == digest
        and not link.reason
        and link.object_type == entry.object_type
        and link.target_type == rule.target_type
    ):
        return Unchanged(entry, link)
    return Inside(entry, link, rule, mapped, digest)


def _sound(entry: Entry) -> Entry:
    """Put aside what cannot be carried: such attributes become faults, a name is shown without its NULs."""
    attributes, faults = check_texts(entry.attributes, entry.faults)
    why = text_fault(entry.name)
    if why is not None:
        faults["name"] = why
        return msgspec.structs.replace(entry, name=storable(entry.name), attributes=attributes, faults=faults)
    return msgspec.structs.replace(entry, attributes=attributes, faults=faults) if faults else entry


def _mismatch(entry: Entry, link: Link, rule: ObjectRule) -> Fault:
    if link.object_type == entry.object_type:
        change = f"'{entry.name}' is mapped by '{rule.name}' now"
        remedy = "Let the mapping's category leave the entry out, or delete the entry at the source and create it anew."
    else:
        change = f"'{entry.name}' was of type '{link.object_type}' and is of type '{entry.object_type}' now"
        remedy = "Delete the entry at the source and create it anew."
    return Fault(
        "ObjectTypeMismatch",
        f"{change}; its object is a {link.target_type} and cannot become a {rule.target_type}.",
        remedy,
    )


def fault_of(error: EntryError) -> Fault:
    """Put an error into the form that is logged."""
    return Fault(error.code, error.reason, error.recommended_action, error.details)


class Step(msgspec.Struct, frozen=True, gc=False):
    """What is to be done with an entry in scope.

    Attributes:
        fault: why nothing can be done.
        export: None where the target already has it all.
        disables: the export would disable an account that is active now: it waits for its review.
        changes, present: for the log, what changes and what was there.
        matched: the object existed and is taken over.
        partial: further changes of the entry are not in this export.
    """

    inside: Inside
    export: Export | None
    changes: dict[str, TargetValue] = {}
    present: Mapping[str, TargetValue] = {}
    disables: bool = False
    matched: bool = False
    partial: bool = False
    fault: Fault | None = None


def decide(inside: Inside, target: str | None, present: Mapping[str, TargetValue] | None, *, matched: bool) -> Step:
    """Compare an entry with its target object.

    Args:
        target, present: the object's anchor and values; both None where there is none.
        matched: it was found just now and is not linked yet.
    """
    rule, mapped, anchor = inside.rule, inside.mapped, inside.entry.anchor
    if target is None or present is None:
        missing = sorted(name for name in rule.required if mapped.values.get(name) is None)
        if missing:
            return Step(inside, None, fault=_without(inside, missing))
        export = Export(anchor, rule.target_type, Action.CREATE, None, mapped.values)
        return Step(inside, export, changes=mapped.values)
    restore = bool(present.get(DELETED))
    changes = diff.compare(rule, mapped, present)
    fault = _forbidden(inside, changes, present, matched=matched)
    if fault is not None:
        return Step(inside, None, present=present, fault=fault)
    if not changes and not restore and not matched:
        return Step(inside, None, present=present)
    disables = False
    if rule.enabled is not None and not restore and not matched:
        disables = changes.get(rule.enabled) is False and present.get(rule.enabled) is True
    action = Action.DISABLE if disables else Action.UPDATE
    export = Export(anchor, rule.target_type, action, target, changes, restore=restore)
    return Step(inside, export, changes=changes, present=present, disables=disables, matched=matched)


def _without(inside: Inside, missing: Sequence[str]) -> Fault:
    names = " and ".join(f"'{name}'" for name in missing)
    remedy = "Give the entry what the mapping takes it from, or the mapping a default value."
    if inside.mapped.held.intersection(missing):
        remedy = "Let the account, and the agent's list of attributes, read what the mapping takes it from."
    return Fault(
        "MandatoryFieldsMissing",
        f"'{inside.entry.name}' has no value for {names}, without which there is no {inside.rule.target_type}.",
        remedy,
        {"attributes": ", ".join(missing)},
    )


def _forbidden(
    inside: Inside, changes: Mapping[str, TargetValue], present: Mapping[str, TargetValue], *, matched: bool
) -> Fault | None:
    """Find a change that the target's definition rules out; None where there is none."""
    rule, entry = inside.rule, inside.entry
    for name in sorted(changes):
        value, old = changes[name], present.get(name)
        if name in rule.required and value is None:
            return Fault(
                "MissingValues",
                f"'{entry.name}' has no value for '{name}' any more, without which there is no {rule.target_type}.",
                "Give the entry what the mapping takes it from.",
                {"attribute": name},
            )
        if name in rule.immutable and old is not None and value != old:
            veil = Veil(rule.redacted, changes, present)
            return veil.over_fault(_immutable(entry, name, old, value, matched=matched))
    return None


def _immutable(entry: Entry, name: str, old: TargetValue, value: TargetValue, *, matched: bool) -> Fault:
    told = f"from '{diff.shown(old)}' to '{diff.shown(value) or ''}'"
    details = {"attribute": name, "old": diff.shown(old) or "", "new": diff.shown(value) or ""}
    if name == SOURCE_ANCHOR and matched:
        return Fault(
            "InvalidSoftMatch",
            f"The object that '{entry.name}' matches has another source anchor: it would change {told}.",
            "Let the mapping match by another attribute, or clear the object's onPremisesImmutableId if it is meant.",
            details,
        )
    if name == SOURCE_ANCHOR:
        return Fault(
            "SourceAnchorChanged",
            f"The source anchor of '{entry.name}' changed {told}; an object keeps the one that it was made with.",
            "Restore the old value at the source (mS-DS-ConsistencyGuid), or delete the object to have it made anew.",
            details,
        )
    return Fault(
        "ImmutableAttributeChanged",
        f"'{name}' of '{entry.name}' would change {told}; it keeps the value that it was made with.",
        "Restore the old value at the source, or let the mapping flow on creation only (ObjectAddOnly).",
        details,
    )


def disable_alone(step: Step) -> Step:
    """Of a step that disables, keep nothing but that: no other change of the entry can make it fail."""
    return _part(step, {name: value for name, value in step.changes.items() if name == step.inside.rule.enabled})


def without_disable(step: Step) -> Step | None:
    """Of a step that disables, keep the rest, which needs no review; None where there is none."""
    rest = {name: value for name, value in step.changes.items() if name != step.inside.rule.enabled}
    return _part(step, rest, Action.UPDATE) if rest else None


def _part(step: Step, changes: dict[str, TargetValue], action: Action = Action.DISABLE) -> Step:
    assert step.export is not None
    return msgspec.structs.replace(
        step,
        export=msgspec.structs.replace(step.export, action=action, wanted=changes),
        changes=changes,
        partial=len(changes) < len(step.changes),
    )


def allowed(step: Step) -> bool:
    """Tell whether the mapping's flow types let this happen."""
    if step.export is None:
        return True
    return ("Add" if step.export.action is Action.CREATE or step.matched else "Update") in step.inside.rule.actions
