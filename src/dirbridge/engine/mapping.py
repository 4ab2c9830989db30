"""From a source entry to the target entry that should be: the mapping step.

A schema document is compiled once a cycle. Rows that only carry or trim one attribute are found by the attributes that
an entry has, so that the many rows of the default mapping cost nothing where they have nothing to say.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from dirbridge.contract.entry import Entry, Selection, Value, Values
from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.export import TargetValue
from dirbridge.contract.schema import (
    AttributeDefinition,
    AttributeMapping,
    ObjectDefinition,
    ObjectMapping,
    Rule,
    Schema,
)
from dirbridge.engine import expressions, functions, scoping
from dirbridge.engine.functions import Result, is_present

EXPIRES = "accountExpires"
"""Source attribute: when an account expires."""

EXPIRED = "accountExpired"
"""Synthetic source attribute: whether `accountExpires` has passed."""

PRIMARY_GROUP = "primaryGroup"
"""Short reference of a user to its primary group: a membership that the group does not list."""

PRIMARY_MEMBER = "primaryMember"
"""The same seen from the group: written to the target like a member."""

MEMBER = "member"

_encoder = msgspec.msgpack.Encoder(order="deterministic")


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


class Mapped(msgspec.Struct, frozen=True, gc=False):
    """What an entry should be at the target.

    Attributes:
        values: every mapped attribute that has a value.
        held: target attributes whose source is unknown; they are neither written nor cleared.
        on_create: attributes that flow only when the object is created.
    """

    values: dict[str, TargetValue]
    held: frozenset[str] = frozenset()
    on_create: frozenset[str] = frozenset()

    def digest(self) -> bytes:
        """Give a fingerprint of what flows on update; what is held counts as a value of its own."""
        flowing = {name: value for name, value in self.values.items() if name not in self.on_create}
        told = (flowing, sorted(self.held)) if self.held else flowing
        return hashlib.blake2b(_encoder.encode(told), digest_size=16).digest()


NOTHING = Selection({})


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


def apply(rule: ObjectRule, entry: Entry, now: datetime) -> Mapped:
    """Map an entry.

    Raises:
        EntryError: a value cannot be carried, or an expression fails; names the attribute.
    """
    if entry.faults:
        name, why = next(iter(sorted(entry.faults.items())))
        raise EntryError(
            f"The attribute '{name}' of '{entry.name}' {why}.",
            code="InvalidAttributeValue",
            recommended_action="Correct the value in the source directory.",
            details=entry.faults,
        )
    attributes: Mapping[str, Values] = entry.attributes
    if EXPIRES in attributes:
        expired = is_expired(entry, now)
        attributes = {**attributes, EXPIRED: ("True" if expired else "False",)}
    values: dict[str, TargetValue] = {}
    on_create: set[str] = set()
    for name in attributes:
        for row in rule.simple.get(name, ()):
            _fill(row, attributes, entry, values, on_create)
    for row in rule.always:
        _fill(row, attributes, entry, values, on_create)
    held: frozenset[str] = frozenset()
    if entry.unknown:
        unknown = set(entry.unknown)
        if EXPIRES in unknown:
            unknown.add(EXPIRED)
        rows = [row for rows in (*rule.simple.values(), rule.always) for row in rows]
        held = frozenset(row.target for row in rows if row.attributes & unknown)
        values = {name: value for name, value in values.items() if name not in held}
    return Mapped(values, held, frozenset(on_create))


def _fill(
    row: Row,
    attributes: Mapping[str, Values],
    entry: Entry,
    values: dict[str, TargetValue],
    on_create: set[str],
) -> None:
    try:
        value = _convert(row.compute(attributes), row.definition)
    except EntryError as error:
        raise EntryError(
            f"'{row.target}' of '{entry.name}' cannot be worked out: {error.reason}",
            code=error.code,
            recommended_action=error.recommended_action or f"Check the mapping of '{row.target}'.",
            details={**error.details, "targetAttribute": row.target},
        ) from error
    except (ArithmeticError, ValueError) as error:
        # A value beyond what Python writes or counts, such as a number of 5,000 digits.
        raise EntryError(
            f"'{row.target}' of '{entry.name}' cannot be worked out: {error}.",
            code="ExpressionFailed",
            recommended_action=f"Check the mapping of '{row.target}' and the values that it takes.",
            details={"targetAttribute": row.target},
        ) from error
    if value is None and row.default is not None:
        value = _convert(row.default, row.definition)
        on_create.add(row.target)
    if value is not None:
        values[row.target] = value
        if row.on_create_only:
            on_create.add(row.target)


def _convert(value: Result, definition: AttributeDefinition) -> TargetValue:
    """Bring a value into the target attribute's type; empty ones are none."""
    if not is_present(value):
        return None
    if definition.multivalued:
        items = value if isinstance(value, tuple) else (value,)
        found = [_single(item, definition) for item in items if item is not None and is_present(item)]
        return tuple(sorted(set(found))) if found else None
    if isinstance(value, tuple):
        if len(value) > 1:
            raise EntryError(
                f"it takes one value and the source has {len(value)}.",
                code="SchemaPropertyCanOnlyAcceptValue",
                recommended_action="Choose one with Item([attribute], 1).",
            )
        value = value[0]
    single = _single(value, definition) if value is not None else None
    return _typed(single, definition)


def _single(value: Value, definition: AttributeDefinition) -> Value:
    if definition.type == "Binary":
        return value if isinstance(value, bytes) else value.encode()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _typed(value: Value | None, definition: AttributeDefinition) -> TargetValue:
    if definition.type == "Boolean" and isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise EntryError(f"it takes True or False and was given '{value}'.", code="InvalidAttributeValue")
        return value.lower() == "true"
    if definition.type == "Integer" and isinstance(value, str):
        try:
            number = int(value)
        except ValueError as error:
            raise EntryError(
                f"it takes a whole number and was given '{value:.40}'.", code="InvalidAttributeValue"
            ) from error
        if not -_INTEGERS <= number < _INTEGERS:
            raise EntryError(f"it takes a number of 64 bits and was given '{value:.40}'.", code="InvalidAttributeValue")
        return number
    return value


_INTEGERS = 2**63


_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_NEVER = (0, 9223372036854775807)


def expiry(entry: Entry) -> datetime | None:
    """Give when an account expires, or None where never. Source: accountExpires, 100 ns steps since 1601."""
    value = entry.first(EXPIRES)
    try:
        steps = int(value) if isinstance(value, str) else 0
        return None if steps in _NEVER else _FILETIME_EPOCH + timedelta(microseconds=steps // 10)
    except (ValueError, OverflowError):
        return None


def is_expired(entry: Entry, now: datetime) -> bool:
    """Tell whether an account's expiry has passed."""
    moment = expiry(entry)
    return moment is not None and moment <= now
