"""A schema document, compiled: which object mappings there are, and what must be read for them.

`cycle` compiles the document once, and every step of the engine is given the result. Rows that only carry or trim one
attribute are found by the attributes that an entry has, so that the many rows of the default mapping cost nothing where
they have nothing to say.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from dirbridge.contract.entry import Selection
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import (
    AttributeDefinition,
    AttributeMapping,
    ObjectDefinition,
    ObjectMapping,
    Rule,
    Schema,
)
from dirbridge.engine import expressions, functions, scoping

EXPIRES = "accountExpires"
"""Source attribute: when an account expires."""

EXPIRED = "accountExpired"
"""Synthetic source attribute: whether `accountExpires` has passed."""

PRIMARY_GROUP = "primaryGroup"
"""Short reference of a user to its primary group: a membership that the group does not list."""

PRIMARY_MEMBER = "primaryMember"
"""The same seen from the group: written to the target like a member."""

MEMBER = "member"


class Row(msgspec.Struct, frozen=True):
    """One compiled attribute mapping."""

    target: str
    compute: functions.Argument
    definition: AttributeDefinition
    attributes: frozenset[str]
    default: str | None
    on_create_only: bool


class ObjectRule(msgspec.Struct, frozen=True):
    """One compiled object mapping.

    Attributes:
        simple: rows by the one source attribute without which they have no value.
        always: rows that must be evaluated for every entry.
        references: target attribute by source reference attribute.
        targets: every target attribute that is mapped and flows on update.
        actions: of `Add`, `Update`, `Delete`.
        enabled: the target attribute that says whether an account is active; None where the type has none.
    """

    name: str
    source_type: str
    target_type: str
    scope: scoping.Scope
    simple: dict[str, tuple[Row, ...]]
    always: tuple[Row, ...]
    references: dict[str, str]
    targets: frozenset[str]
    actions: frozenset[str]
    enabled: str | None = None


class Plan(msgspec.Struct, frozen=True):
    """A compiled schema document.

    Attributes:
        rules: by source object type.
        selection: what must be read for them.
        reference_targets: target attribute by source reference attribute.
        single_references: target references of one value.
    """

    rules: dict[str, ObjectRule]
    selection: Selection
    reference_targets: dict[str, str]
    single_references: frozenset[str] = frozenset()

    def target_type(self, source_type: str) -> str:
        """Give the target's type of a source type; empty where its mapping is switched off."""
        rule = self.rules.get(source_type)
        return rule.target_type if rule is not None else ""


NOTHING = Plan({}, Selection({}), {})
"""The plan of a cycle whose schema document has not been compiled."""


def compile_schema(schema: Schema, macros: Mapping[str, str]) -> Plan:
    """Compile the schema document's first rule.

    Raises:
        ConfigurationError: names the path of what is wrong.
    """
    if not schema.synchronization_rules:
        raise ConfigurationError(
            "The schema document has no synchronization rule.",
            code="InvalidSchema",
            recommended_action="Restore the default schema by DELETE on the job's schema.",
        )
    rule = min(schema.synchronization_rules, key=lambda r: r.priority)
    _refuse_ignored(rule)
    objects = _target_objects(schema, rule)
    rules = {}
    for index, mapping in enumerate(rule.object_mappings):
        if mapping.enabled:
            path = f"synchronizationRules[{rule.id}].objectMappings[{index}]"
            rules[mapping.source_object_name] = _object_rule(mapping, objects, macros, path)
    references = {source: target for found in rules.values() for source, target in found.references.items()}
    single = frozenset(
        attribute.name
        for definition in objects.values()
        for attribute in definition.attributes
        if attribute.type == "Reference" and not attribute.multivalued
    )
    return Plan(rules, _selection(schema, rule), references, single)


def _refuse_ignored(rule: Rule) -> None:
    """Make sure that nobody believes a scope to hold which is not looked at."""
    ignored = {
        "containerFilter": rule.container_filter.included_containers,
        "groupFilter": rule.group_filter.included_groups,
    }
    for name, included in ignored.items():
        if included:
            raise ConfigurationError(
                f"synchronizationRules[{rule.id}].{name} names {len(included)} to include; this release does not scope "
                "by containers or groups and would read everything.",
                code="InvalidSchema",
                recommended_action="Empty it. The agent's setting exclude_containers keeps containers back.",
            )


def _target_objects(schema: Schema, rule: Rule) -> dict[str, ObjectDefinition]:
    for directory in schema.directories:
        if directory.name == rule.target_directory_name:
            return {definition.name: definition for definition in directory.objects}
    raise ConfigurationError(
        f"The rule '{rule.name}' writes to '{rule.target_directory_name}', which the schema document does not define.",
        code="InvalidSchema",
        recommended_action="Add the directory to 'directories', or correct 'targetDirectoryName'.",
    )


def _object_rule(
    mapping: ObjectMapping,
    objects: Mapping[str, ObjectDefinition],
    macros: Mapping[str, str],
    path: str,
) -> ObjectRule:
    target = objects.get(mapping.target_object_name)
    if target is None:
        raise ConfigurationError(
            f"{path}: the target has no object '{mapping.target_object_name}'.",
            code="InvalidSchema",
            recommended_action=f"Use one of {', '.join(sorted(objects))}.",
        )
    known = {definition.name: definition for definition in target.attributes}
    simple: dict[str, tuple[Row, ...]] = {}
    always: list[Row] = []
    references: dict[str, str] = {}
    targets: set[str] = set()
    for index, attribute in enumerate(mapping.attribute_mappings):
        here = f"{path}.attributeMappings[{index}]"
        definition = known.get(attribute.target_attribute_name)
        if definition is None:
            raise ConfigurationError(
                f"{here}: '{mapping.target_object_name}' has no attribute '{attribute.target_attribute_name}'.",
                code="InvalidSchema",
                recommended_action="Correct the name; names are case-sensitive.",
            )
        if definition.type == "Reference":
            references[_reference_source(attribute, here)] = definition.name
            continue
        row = _row(attribute, definition, macros, here)
        if not row.on_create_only:
            targets.add(row.target)
        key = expressions.needs(attribute.source)
        if key is None or row.default is not None:
            always.append(row)
        else:
            simple[key] = (*simple.get(key, ()), row)
    if MEMBER in references:
        references[PRIMARY_MEMBER] = references[MEMBER]
    return ObjectRule(
        name=mapping.name,
        source_type=mapping.source_object_name,
        target_type=mapping.target_object_name,
        scope=scoping.compile_filter(mapping.scope, f"{path}.scope"),
        simple=simple,
        always=tuple(always),
        references=references,
        targets=frozenset(targets),
        actions=frozenset(part.strip() for part in mapping.flow_types.split(",")),
        enabled=next((entry.value for entry in target.metadata if entry.key == "PropertyNameAccountEnabled"), None),
    )


def _row(mapping: AttributeMapping, definition: AttributeDefinition, macros: Mapping[str, str], path: str) -> Row:
    return Row(
        target=definition.name,
        compute=expressions.compile_source(mapping.source, macros, path),
        definition=definition,
        attributes=frozenset(expressions.attributes_of(mapping.source)),
        default=mapping.default_value,
        on_create_only=mapping.flow_type == "ObjectAddOnly",
    )


def _reference_source(mapping: AttributeMapping, path: str) -> str:
    if mapping.source.type == "Attribute" and mapping.source.name:
        return mapping.source.name
    raise ConfigurationError(
        f"{path}: the reference '{mapping.target_attribute_name}' is not mapped from an attribute.",
        code="InvalidSchema",
        recommended_action="Map references directly; functions do not work on them.",
    )


def _selection(schema: Schema, rule: Rule) -> Selection:
    """Work out what the source must be asked for."""
    source = next((d for d in schema.directories if d.name == rule.source_directory_name), None)
    types = {o.name: {a.name: a for a in o.attributes} for o in source.objects} if source else {}
    attributes: dict[str, tuple[str, ...]] = {}
    references: dict[str, tuple[str, ...]] = {}
    memberships: dict[str, tuple[str, ...]] = {}
    binary: set[str] = set()
    for mapping in rule.object_mappings:
        if not mapping.enabled:
            continue
        name = mapping.source_object_name
        known = types.get(name, {})
        wanted = {a for row in mapping.attribute_mappings for a in expressions.attributes_of(row.source)}
        wanted |= scoping.attributes_of(mapping.scope)
        if EXPIRED in wanted:
            wanted = (wanted - {EXPIRED}) | {EXPIRES}
        refs = {a for a in wanted if a in known and known[a].type == "Reference"}
        long = refs & {MEMBER}
        attributes[name] = tuple(sorted(wanted - refs))
        references[name] = tuple(sorted(refs - long))
        memberships[name] = tuple(sorted(long))
        binary |= {a for a in wanted if a in known and known[a].type == "Binary"}
    return Selection(attributes, references, memberships, tuple(sorted(binary)))
