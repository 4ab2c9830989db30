"""Which containers and groups are chosen: as stored, as somebody has it in a form, and as it goes into a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from dirbridge.service.portal.forms import Form

CHOSEN, EVERYTHING = "chosen", "everything"
"""Values of the field that says whether all is taken."""

LISTS = {"container": ("containerFilter", "includedContainers"), "group": ("groupFilter", "includedGroups")}
"""Where a rule of the document has each kind."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """One container or group.

    Attributes:
        label: the name by which people know it.
        state: `present`, `missing` or `unknown` as the API says; `new` where it is not stored yet.
        reason, since: why it is missing, where that is known.
    """

    id: str
    label: str
    state: str = "new"
    reason: str = ""
    since: str = ""

    @property
    def value(self) -> str:
        """Write it for a field of a form: the id, and the label that belongs to it."""
        return f"{self.id} {self.label}"


@dataclass(frozen=True, slots=True)
class Choice:
    """What a job takes."""

    containers: tuple[Chosen, ...] = ()
    groups: tuple[Chosen, ...] = ()
    everything: bool = True

    @property
    def is_empty(self) -> bool:
        """Tell whether something is to be chosen, and nothing is."""
        return not (self.everything or self.containers or self.groups)


def stored(scope: Mapping[str, Any]) -> Choice:
    """Read what the API shows of a job's scope; of several rules, what any of them takes."""
    containers = _read(scope, "containers")
    groups = _read(scope, "groups")
    return Choice(containers, groups, everything=not (containers or groups))


def differ(scope: Mapping[str, Any]) -> bool:
    """Tell whether the rules of a job take different things, which a form cannot show."""
    return (
        len({str([[one["id"] for one in rule[kind]] for kind in ("containers", "groups")]) for rule in scope["rules"]})
        > 1
    )


def _read(scope: Mapping[str, Any], kind: str) -> tuple[Chosen, ...]:
    found = {
        one["id"]: Chosen(
            one["id"],
            one["canonicalName"] or one["displayName"] or one["id"],
            one["state"],
            one.get("reason") or "",
            one.get("since") or "",
        )
        for rule in scope["rules"]
        for one in rule[kind]
    }
    return tuple(found.values())


def of_form(form: Form, before: Choice) -> Choice:
    """Read what somebody has ticked; what is stored already keeps its state."""
    return Choice(
        _ticked(form.all("container"), before.containers),
        _ticked(form.all("group"), before.groups),
        everything=form.one("taken") != CHOSEN,
    )


def _ticked(values: Sequence[str], before: Sequence[Chosen]) -> tuple[Chosen, ...]:
    known = {one.id: one for one in before}
    found: dict[str, Chosen] = {}
    for value in values:
        id, _, label = value.partition(" ")
        found.setdefault(id, known.get(id) or Chosen(id, label or id))
    return tuple(found.values())


def into(rules: Sequence[Mapping[str, Any]], choice: Choice) -> list[dict[str, Any]]:
    """Give the rules of a document with this choice."""
    ids = {
        "container": [] if choice.everything else [one.id for one in choice.containers],
        "group": [] if choice.everything else [one.id for one in choice.groups],
    }
    changed = deepcopy([dict(rule) for rule in rules])
    for rule in changed:
        for kind, (member, names) in LISTS.items():
            rule[member] = {names: ids[kind]}
    return changed


@dataclass(frozen=True, slots=True)
class Difference:
    """What a new choice adds and takes away."""

    added: tuple[Chosen, ...]
    removed: tuple[Chosen, ...]
    was_everything: bool
    is_everything: bool

    @property
    def is_none(self) -> bool:
        """Tell whether nothing changes."""
        return not (self.added or self.removed) and self.was_everything == self.is_everything


def compare(before: Choice, after: Choice) -> Difference:
    """Say what changes."""
    old = () if before.everything else (*before.containers, *before.groups)
    new = () if after.everything else (*after.containers, *after.groups)
    old_ids, new_ids = {one.id for one in old}, {one.id for one in new}
    return Difference(
        tuple(one for one in new if one.id not in old_ids),
        tuple(one for one in old if one.id not in new_ids),
        before.everything,
        after.everything,
    )
