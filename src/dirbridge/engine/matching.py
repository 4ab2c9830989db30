"""Which target object is whose: the matching step, as a decision on what the target found.

`exporting` asks the target for objects that entries without one could be, and the store who has those. Of several
entries for one object, and of several with one id, the lowest anchor goes first, and the others learn whom they met.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from dirbridge.contract.entry import Entry
from dirbridge.contract.export import Fault, Match
from dirbridge.engine import redaction
from dirbridge.engine.provision import SOURCE_ANCHOR, Inside

IMPORT_SKIPPED = "ImportSkipped"
"""An entry that cannot be told from others: it is left alone until it can."""


class Holder(Protocol):
    """The entry that an object belongs to; `state` is that of its link."""

    @property
    def job(self) -> str: ...
    @property
    def anchor(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def state(self) -> str: ...


def settle(
    job: str, strangers: Sequence[Inside], matches: Mapping[str, Match], holders: Mapping[str, Holder]
) -> tuple[dict[str, str], dict[str, Fault]]:
    """Say which entries have which objects.

    Args:
        job: whose entries these are.
        strangers: entries that have no object yet.
        matches: what the target found for them, by anchor.
        holders: which entries have those objects already, by target anchor.

    Returns:
        Target anchors by anchor, and the faults of entries that can be given none. Who is in neither is new.
    """
    found: dict[str, str] = {}
    faults: dict[str, Fault] = {}
    first: dict[tuple[str, str, str], Entry] = {}
    taken: dict[str, Entry] = {}
    for one in sorted(strangers, key=lambda each: each.entry.anchor):
        anchor = one.entry.anchor
        fault = _nothing_to_match(one) or _twin(one, first)
        theirs = fault or _theirs(one, job, matches.get(anchor), holders, taken)
        if isinstance(theirs, Fault):
            faults[anchor] = theirs
        elif theirs is not None:
            found[anchor] = theirs
            taken[theirs] = one.entry
    return found, faults


def _theirs(
    one: Inside, job: str, match: Match | None, holders: Mapping[str, Holder], taken: Mapping[str, Entry]
) -> str | Fault | None:
    """Give the object that an entry can have, or why it can have none; None where it is new."""
    if match is None:
        return None
    told = _told(one, match.attribute)
    if len(match.targets) > 1:
        return _ambiguous(one, match, told)
    target = match.targets[0]
    holder = holders.get(target)
    if holder is not None and (holder.job, holder.anchor) != (job, one.entry.anchor):
        if match.soft or holder.state == "deprovisioned":
            return None  # a name that is somebody else's now, or an object that another entry left behind
        elsewhere = "" if holder.job == job else f" of the job '{holder.job}'"
        return _same(one.entry, match.attribute, told, holder.name, holder.anchor, elsewhere)
    if target in taken:
        other = taken[target]
        return None if match.soft else _same(one.entry, match.attribute, told, other.name, other.anchor)
    return target


def _told(one: Inside, attribute: str) -> str:
    """Give the value that an error names, unless it is kept out of the log."""
    return redaction.value(attribute, str(one.mapped.values.get(attribute)), one.rule.redacted) or ""


def _twin(one: Inside, first: dict[tuple[str, str, str], Entry]) -> Fault | None:
    """Find an entry with the same id that came before; else note this one's ids. Case counts in a source anchor."""
    keys = {
        (one.rule.target_type, name, str(value) if name == SOURCE_ANCHOR else str(value).casefold())
        for name in (*one.rule.matching, SOURCE_ANCHOR)
        if (value := one.mapped.values.get(name)) is not None
    }
    for key in sorted(keys & first.keys()):
        other = first[key]
        return _same(one.entry, key[1], _told(one, key[1]), other.name, other.anchor)
    first.update(dict.fromkeys(keys, one.entry))
    return None


def _nothing_to_match(one: Inside) -> Fault | None:
    values = [one.mapped.values.get(name) for name in one.rule.matching]
    if not values or any(value is not None for value in values):
        return None
    names = " or ".join(f"'{name}'" for name in one.rule.matching)
    return Fault(
        IMPORT_SKIPPED,
        f"'{one.entry.name}' has no value for {names}, by which its object is looked for.",
        "Give the entry what the mapping takes it from, or the mapping a further matching attribute.",
    )


def _ambiguous(one: Inside, match: Match, told: str) -> Fault:
    return Fault(
        "DuplicateTargetEntries",
        f"'{one.entry.name}' has '{told}' for '{match.attribute}', and so have {len(match.targets)} objects of type "
        f"{one.rule.target_type}.",
        "Change the value on all of them but one at the target.",
        {"attribute": match.attribute, "value": told, "targets": ", ".join(match.targets[:10])},
    )


def _same(entry: Entry, attribute: str, value: str, other: str, anchor: str, where: str = "") -> Fault:
    both = f"'{entry.name}' has the same '{attribute}' as '{other}'{where}"
    return Fault(
        "DuplicateSourceEntries",
        f"{both}: '{value}'. Only one of them can have the object.",
        "Give one of the two another value at the source, or take it out of scope.",
        {"attribute": attribute, "value": value, "other": anchor, "otherName": other},
    )
