"""The whole document: its rules, their ends, and what mappings must agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice

from dirbridge.contract.schema import DirectoryDefinition, ObjectDefinition, ObjectMapping, Rule, Schema
from dirbridge.engine.attributes import MEMBER
from dirbridge.engine.validation import directories, filters, rows
from dirbridge.engine.validation.defects import MOST, Defect, Defects, repeated, unknown

FLOW_TYPES = ("Add", "Update", "Delete", "None")


def check(
    schema: Schema,
    macros: Mapping[str, str],
    offered: Sequence[DirectoryDefinition] = (),
    *,
    can_ask: bool = False,
) -> list[Defect]:
    """Find the defects of a document, up to `MOST`; mappings that are switched off may have any.

    Args:
        macros: what `%Name%` constants stand for.
        offered: what the job's ends can do, as far as that is known.
        can_ask: the target can be asked whether a value is free.
    """
    found = [directories.check(schema.directories), _rules(schema, macros, can_ask=can_ask)]
    if schema.synchronization_rules:
        rule = schema.synchronization_rules[0]
        ends = (rule.source_directory_name, rule.target_directory_name)
        found.append(directories.offered(schema.directories, {one.name: one for one in offered}, ends))
    return list(islice(chain.from_iterable(found), MOST))


def _rules(schema: Schema, macros: Mapping[str, str], *, can_ask: bool) -> Defects:
    rules = schema.synchronization_rules
    if not rules:
        remedy = "Restore the default schema by DELETE on the job's schema."
        yield Defect("synchronizationRules", "There is no synchronization rule.", remedy)
        return
    for at, first in repeated([rule.id for rule in rules]):
        what = f"'{rules[at].id}' is the id of synchronizationRules[{first}] already."
        yield Defect(f"synchronizationRules[{at}].id", what, "Give each rule an id of its own.")
    known = {directory.name: directory for directory in reversed(schema.directories)}
    for at, rule in enumerate(rules):
        path = f"synchronizationRules[{at}]"
        yield from _ends(rule, rules[0], known, path)
        yield from filters.check_places(rule, path)
        source, target = known.get(rule.source_directory_name), known.get(rule.target_directory_name)
        if source is not None and target is not None:
            for index, mapping in enumerate(rule.object_mappings):
                if mapping.enabled:
                    place = f"{path}.objectMappings[{index}]"
                    yield from _mapping(mapping, source, target, macros, place, can_ask=can_ask)
    yield from filters.check_groups(rules)
    yield from _agreements(rules, known)


def _objects(directory: DirectoryDefinition) -> dict[str, ObjectDefinition]:
    return {definition.name: definition for definition in directory.objects}


def _ends(rule: Rule, first: Rule, known: Mapping[str, DirectoryDefinition], path: str) -> Defects:
    """Check that a rule leads from the job's source to its target."""
    for member, name, expected in (
        ("sourceDirectoryName", rule.source_directory_name, first.source_directory_name),
        ("targetDirectoryName", rule.target_directory_name, first.target_directory_name),
    ):
        if name not in known:
            yield unknown(f"{path}.{member}", "'directories' does not define", name, known)
        elif name != expected:
            what = f"'{name}' is not '{expected}', as in the first rule: a job has one source and one target."
            yield Defect(f"{path}.{member}", what, "Make a job of its own for it.")
    if rule.source_directory_name == rule.target_directory_name:
        what = f"'{rule.target_directory_name}' is the source as well."
        yield Defect(f"{path}.targetDirectoryName", what, "Name the directory that is written.")


def _mapping(
    mapping: ObjectMapping,
    sources: DirectoryDefinition,
    targets: DirectoryDefinition,
    macros: Mapping[str, str],
    path: str,
    *,
    can_ask: bool,
) -> Defects:
    yield from _flow_types(mapping, f"{path}.flowTypes")
    objects, taking = _objects(sources), _objects(targets)
    source, target = objects.get(mapping.source_object_name), taking.get(mapping.target_object_name)
    if source is None:
        what = f"'{sources.name}' has no object"
        yield unknown(f"{path}.sourceObjectName", what, mapping.source_object_name, objects)
    if target is None:
        what = f"'{targets.name}' has no object"
        yield unknown(f"{path}.targetObjectName", what, mapping.target_object_name, taking)
    if source is not None and target is not None:
        side = rows.Side(
            kind=source.name,
            source={attribute.name: attribute for attribute in source.attributes},
            target={attribute.name: attribute for attribute in target.attributes},
            macros=macros,
            can_ask=can_ask,
        )
        yield from filters.check(mapping.scope, side.source, side.kind, f"{path}.scope")
        yield from rows.check(mapping, side, f"{path}.attributeMappings")


def _flow_types(mapping: ObjectMapping, path: str) -> Defects:
    wrong = [part for part in actions(mapping) if part not in FLOW_TYPES]
    if wrong:
        yield Defect(path, f"'{wrong[0]}' is no flow type.", "Use Add, Update and Delete, with commas between them.")


def actions(mapping: ObjectMapping) -> list[str]:
    """Give the parts of a mapping's flow types."""
    return [part.strip() for part in mapping.flow_types.split(",")]


def _agreements(rules: Sequence[Rule], known: Mapping[str, DirectoryDefinition]) -> Defects:
    """Check what mappings must have in common: a tombstone does not say which was its entry's, nor do members."""
    deletes: dict[tuple[str, str], tuple[bool, str]] = {}
    members: dict[str, tuple[str, str]] = {}
    references: dict[str, tuple[str, str]] = {}
    for rule, path, mapping in _enabled(rules):
        pair = (mapping.source_object_name, mapping.target_object_name)
        flows = "Delete" in actions(mapping)
        told, where = deletes.setdefault(pair, (flows, path))
        if flows != told:
            what = f"Delete is {'on' if flows else 'off'} here and not at {where}, for the same types."
            yield Defect(
                f"{path}.flowTypes", what, "Let both say the same: a deleted entry does not tell which it was."
            )
        named = _references(rule, path, mapping, known)
        member = next((target for name, target, _ in named if name == MEMBER), "nothing")
        mapped, where = members.setdefault(mapping.source_object_name, (member, path))
        if member != mapped:
            what = f"'{MEMBER}' is mapped to {member} here and to {mapped} at {where}."
            remedy = "Let all mappings of one source type map it alike: members come apart from their group."
            yield Defect(f"{path}.attributeMappings", what, remedy)
        for name, target, place in named:
            mapped, where = references.setdefault(name, (target, place))
            if target != mapped:
                what = f"'{name}' is mapped to '{target}' here and to '{mapped}' at {where}."
                yield Defect(f"{place}.targetAttributeName", what, "Map a reference to one target attribute.")


def _references(
    rule: Rule, path: str, mapping: ObjectMapping, known: Mapping[str, DirectoryDefinition]
) -> list[tuple[str, str, str]]:
    """List a mapping's references: source attribute, target attribute, place."""
    directory = known.get(rule.target_directory_name)
    target = _objects(directory).get(mapping.target_object_name) if directory is not None else None
    names = {one.name for one in target.attributes if one.type == "Reference"} if target is not None else set()
    return [
        (row.source.name, row.target_attribute_name, f"{path}.attributeMappings[{at}]")
        for at, row in enumerate(mapping.attribute_mappings)
        if row.target_attribute_name in names and row.source is not None and row.source.name
    ]


def _enabled(rules: Sequence[Rule]) -> list[tuple[Rule, str, ObjectMapping]]:
    return [
        (rule, f"synchronizationRules[{at}].objectMappings[{index}]", mapping)
        for at, rule in enumerate(rules)
        for index, mapping in enumerate(rule.object_mappings)
        if mapping.enabled
    ]


def uneditable(before: Schema, after: Schema) -> list[Defect]:
    """Find rules that were changed although they are not editable, or taken out."""
    now = {rule.id: (at, rule) for at, rule in enumerate(after.synchronization_rules)}
    found = []
    for rule in before.synchronization_rules:
        at, changed = now.get(rule.id, (0, None))
        if rule.editable or changed == rule:
            continue
        path = "synchronizationRules" if changed is None else f"synchronizationRules[{at}]"
        done = "taken out" if changed is None else "changed"
        what = f"The rule '{rule.name}' is not editable and was {done}."
        found.append(Defect(path, what, "Put it back as it was, and add a rule of your own."))
    return found
