"""Attribute filters of an object mapping: groups of clauses, as the schema has them and as a form has them.

One group of clauses must hold, and in it every clause. What a clause may ask is the API's to judge; what it has against
one is shown there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from dirbridge.service.portal.configurations.documents import Place
from dirbridge.service.portal.forms import Form

_FIELD = re.compile(r"(attribute|operator|value)\.(\d{1,4})\.(\d{1,4})")
_TARGET = re.compile(r"\.scope\.groups\[(\d+)\](?:\.clauses\[(\d+)\])?")


@dataclass(slots=True)
class Clause:
    """One test of one attribute, and what the API has against it."""

    attribute: str = ""
    operator: str = ""
    value: str = ""
    faults: list[str] = field(default_factory=list)

    def document(self, unary: bool) -> dict[str, Any]:
        """Put it as the schema has it."""
        made: dict[str, Any] = {"sourceOperandName": self.attribute, "operatorName": self.operator}
        return made if unary else made | {"targetOperand": {"values": [self.value]}}


Groups = list[list[Clause]]


def stored(place: Place) -> Groups:
    """Give the filters of an object mapping as they are."""
    return [[_read(clause) for clause in group["clauses"]] for group in _scope(place.mapping).get("groups") or ()]


def always(place: Place) -> list[list[str]]:
    """Say what must hold before these filters are asked: groups of clauses, of which one must hold."""
    scope = _scope(place.mapping)
    return [
        [said(_read(clause)) for clause in group["clauses"]]
        for collection in ("inputFilterGroups", "categoryFilterGroups")
        for group in scope.get(collection) or ()
    ]


def _scope(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping.get("scope") or {}


def _read(clause: Mapping[str, Any]) -> Clause:
    values = tuple((clause.get("targetOperand") or {}).get("values") or ())
    return Clause(clause["sourceOperandName"], clause["operatorName"], values[0] if values else "")


def said(clause: Clause) -> str:
    """Say a clause in one line."""
    return " ".join(part for part in (clause.attribute, clause.operator, clause.value) if part)


def of_form(form: Form) -> Groups:
    """Read the clauses that somebody filled in, in their order; a group without any is none."""
    found: dict[tuple[int, int], Clause] = {}
    for name, value in form.fields:
        match = _FIELD.fullmatch(name)
        if match is not None:
            clause = found.setdefault((int(match[2]), int(match[3])), Clause())
            setattr(clause, match[1], value)
    groups: dict[int, list[Clause]] = {}
    for (group, _), clause in sorted(found.items()):
        groups.setdefault(group, []).append(clause)
    return list(groups.values())


def acted(groups: Groups, act: str) -> bool:
    """Do what a button says: add a group or a clause, take one away. Tells whether it was such a button."""
    word, _, where = act.partition(":")
    number, _, clause = where.partition(".")
    at = int(number) if number.isdecimal() else -1
    match word:
        case "add-group":
            groups.append([Clause()])
        case "add-clause" if 0 <= at < len(groups):
            groups[at].append(Clause())
        case "remove" if 0 <= at < len(groups) and clause.isdecimal() and int(clause) < len(groups[at]):
            del groups[at][int(clause)]
            if not groups[at]:
                del groups[at]
        case _:
            return False
    return True


def into(rules: Sequence[Mapping[str, Any]], at: str, groups: Groups, unary: frozenset[str]) -> list[dict[str, Any]]:
    """Give the rules of a document with these filters at one mapping; names that groups had stay with them."""
    changed = deepcopy([dict(rule) for rule in rules])
    rule, _, number = at.partition(".")
    mapping = changed[int(rule)]["objectMappings"][int(number)]
    before = (mapping.get("scope") or {}).get("groups") or []
    names = [group.get("name") for group in before]
    made = [
        {
            "name": names[index] if index < len(names) and names[index] else f"Filter {index + 1}",
            "clauses": [clause.document(clause.operator in unary) for clause in group],
        }
        for index, group in enumerate(groups)
    ]
    mapping["scope"] = {**(mapping.get("scope") or {}), "groups": made}
    return changed


def blame(groups: Groups, place: Place, defects: Sequence[Mapping[str, Any]]) -> list[str]:
    """Put what the API has against a document to the clauses that it is about; gives the rest."""
    rest = []
    for each in defects:
        target = str(each.get("target") or "")
        match = _TARGET.search(target) if target.startswith(place.path) else None
        group = int(match[1]) if match else -1
        clause = int(match[2] or 0) if match else -1
        if 0 <= group < len(groups) and clause < len(groups[group]):
            groups[group][clause].faults.append(str(each["message"]))
        else:
            rest.append(f"{target}: {each['message']}" if target else str(each["message"]))
    return rest
