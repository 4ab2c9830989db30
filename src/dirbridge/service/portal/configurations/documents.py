"""A schema document as pages show it: its object mappings, their rows, and in which of them two documents differ.

It is the API's JSON that is taken apart here; what it may say is the API's to judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from dirbridge.contract.schema import Schema, Source
from dirbridge.engine.expressions import text
from dirbridge.service.auth.sign_in.browser import PageRefusal

Document = dict[str, Any]
Row = dict[str, Any]
"""An attribute mapping of Graph."""

KINDS = {
    "Attribute": "Direct",
    "Constant": "Constant",
    "Function": "Expression",
    "": "None",
}
"""How a value comes about, by the type of its source."""

FLOWS = {
    "Always": "Always",
    "ObjectAddOnly": "Only when the object is created",
    "AttributeAddOnly": "Only while the target has no value",
    "ValueAddOnly": "Whenever there is a value: nothing is cleared",
    "MultiValueAddOnly": "Values are added and none taken away",
}
"""When a row is applied, by Graph's word."""

BEHAVIOURS = {"FlowWhenChanged": "When the value differs", "FlowAlways": "With every change of the object"}

SETTINGS = {
    "enabled": "Enabled",
    "flowTypes": "Flow types",
    "scope": "Attribute filters",
    "sourceObjectName": "Source object type",
    "targetObjectName": "Target object type",
    "metadata": "Metadata",
}
"""What is said of an object mapping beside its rows."""

ACTIONS = {"Add": "Create", "Update": "Update", "Delete": "Delete"}
"""What a mapping may do with objects, by Graph's flow types."""


@dataclass(frozen=True, slots=True)
class Place:
    """One object mapping of a document.

    Attributes:
        at: where it stands: the number of its rule and its own, such as `0.2`.
        source_directory, target_directory: names of the definitions of its two ends.
    """

    at: str
    mapping: Row
    source_directory: str
    target_directory: str

    @property
    def rows(self) -> list[Row]:
        """Its attribute mappings."""
        found: list[Row] = self.mapping["attributeMappings"]
        return found

    @property
    def path(self) -> str:
        """Where it stands, as the API writes it."""
        rule, _, number = self.at.partition(".")
        return f"synchronizationRules[{rule}].objectMappings[{number}]"

    def row(self, target: str) -> Row | None:
        """Find the row of a target attribute."""
        return next((row for row in self.rows if row["targetAttributeName"] == target), None)

    def settings(self) -> Row:
        """Give what is said of the mapping as a whole."""
        return {"enabled": self.mapping.get("enabled", True), "flowTypes": self.mapping.get("flowTypes", "")}


def places(document: Document) -> Iterator[Place]:
    """Give all object mappings of a document."""
    for rule_number, rule in enumerate(document["synchronizationRules"]):
        for number, mapping in enumerate(rule["objectMappings"]):
            ends = (rule["sourceDirectoryName"], rule["targetDirectoryName"])
            yield Place(f"{rule_number}.{number}", mapping, *ends)


def place(document: Document, at: str) -> Place:
    """Give one of them; the first where none is named.

    Raises:
        PageRefusal: there is no such mapping, or none at all.
    """
    found = next((each for each in places(document) if at in {"", each.at}), None)
    if found is None:
        raise PageRefusal(404, "PageRefused", "The schema has no such object mapping; somebody may have changed it.")
    return found


def definitions(document: Document, directory: str, kind: str) -> list[Row]:
    """Give the definitions of the attributes that objects of a type have."""
    return next(
        (
            sorted(one["attributes"], key=lambda each: str(each["name"]).lower())
            for end in document["directories"]
            if end["name"] == directory
            for one in end["objects"]
            if one["name"] == kind
        ),
        [],
    )


def normal(document: Document) -> Document:
    """Give a sound document with every member that may be left out, so that it compares with one that is saved."""
    whole: Any = plain({"id": "", **document})
    try:
        found: Document = msgspec.to_builtins(msgspec.convert(whole, Schema))
    except msgspec.ValidationError:
        return document
    return found


def plain(value: Any) -> Any:
    """Give a part of a document without annotations, and without members that say nothing."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if each is not None and "@odata." not in key}
    return [plain(each) for each in value] if isinstance(value, list) else value


def written(source: Mapping[str, Any] | None) -> str:
    """Write a source as an expression; empty where there is none."""
    if source is None:
        return ""
    name = str(source.get("name") or "")
    if source["type"] == "Constant":
        return name if len(name) > 2 and name[0] == name[-1] == "%" else text.quoted(name)
    try:
        return source.get("expression") or text.of(msgspec.convert(source, Source))
    except (msgspec.ValidationError, RecursionError):
        return name


def kind(row: Row | None) -> str:
    """Say how a row's value comes about, by the type of its source."""
    source = (row or {}).get("source")
    return str(source["type"]) if source else ""


@dataclass(frozen=True, slots=True)
class Difference:
    """What two documents say differently.

    Attributes:
        mapping: name of the object mapping; empty for what concerns the document as a whole.
        what: the target attribute, or what else it is about.
        before, after: None where there is nothing.
    """

    mapping: str
    what: str
    before: str | None
    after: str | None


def differences(before: Document, after: Document) -> list[Difference]:
    """Say in which rows and settings two documents differ, whatever the order of their rows."""
    before, after = normal(before), normal(after)
    found: list[Difference] = []
    old = {_name(each): each for each in places(before)}
    new = {_name(each): each for each in places(after)}
    for name in [*old, *(name for name in new if name not in old)]:
        there, wanted = old.get(name), new.get(name)
        if there is None or wanted is None:
            counts = [f"{len(each.rows)} attributes" if each else None for each in (there, wanted)]
            found.append(Difference(name, "Object mapping", counts[0], counts[1]))
            continue
        found += _of_settings(name, there.mapping, wanted.mapping)
        rows, others = _by_target(there), _by_target(wanted)
        targets: list[str] = sorted({*rows, *others}, key=str.lower)
        for target in targets:
            if rows.get(target) != others.get(target):
                found.append(Difference(name, target, summary(rows.get(target)), summary(others.get(target))))
    return [*found, *_of_rest(before, after)]


def summary(row: Row | None) -> str | None:
    """Say in one line what a row does."""
    if row is None:
        return None
    parts = [written(row.get("source")) or "no source"]
    if row.get("defaultValue") is not None:
        parts.append(f"default {row['defaultValue']}")
    flow = str(row.get("flowType") or "Always")
    if flow != "Always":
        parts.append(FLOWS.get(flow, flow).lower())
    if row.get("flowBehavior") == "FlowAlways":
        parts.append(BEHAVIOURS["FlowAlways"].lower())
    if row.get("matchingPriority"):
        parts.append(f"matched by, priority {row['matchingPriority']}")
    return ", ".join(parts)


def _name(each: Place) -> str:
    return str(each.mapping["name"])


def _by_target(of: Place) -> dict[str, Row]:
    return {str(row["targetAttributeName"]): row for row in of.rows}


def _of_settings(name: str, old: Row, new: Row) -> Iterator[Difference]:
    for member, words in SETTINGS.items():
        if old.get(member) != new.get(member):
            yield Difference(name, words, _short(old.get(member)), _short(new.get(member)))


def _of_rest(before: Document, after: Document) -> Iterator[Difference]:
    """Find what else was changed, in as many words as say where to look."""
    for member, words in (("containerFilter", "Organizational units"), ("groupFilter", "Groups")):
        old, new = ([rule.get(member) for rule in each["synchronizationRules"]] for each in (before, after))
        if old != new:
            yield Difference("", words, _short(old), _short(new))
    if _rules(before) != _rules(after):
        yield Difference("", "Rules", _short(_rules(before)), _short(_rules(after)))
    if _objects(before) != _objects(after):
        yield Difference("", "Directory definitions", _counted(before), _counted(after))


def _rules(document: Document) -> list[dict[str, Any]]:
    """What is said of the rules as such; of their mappings and filters is told one by one."""
    told = {"objectMappings", "containerFilter", "groupFilter"}
    return [
        {name: value for name, value in rule.items() if name not in told} for rule in document["synchronizationRules"]
    ]


def _objects(document: Document) -> list[tuple[str, Any]]:
    """What is said of the directories, but for when it was learnt."""
    return [(end["name"], end["objects"]) for end in document["directories"]]


def _counted(document: Document) -> str:
    objects = [each for end in document["directories"] for each in end["objects"]]
    return f"{len(objects)} object types, {sum(len(each['attributes']) for each in objects)} attributes"


def _short(value: object) -> str:
    said = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return said if len(said) <= 300 else f"{said[:300]}…"
