"""A schema document, compiled: which object mappings there are, and what must be read for them.

`cycle` compiles the document once, and every step of the engine is given the result. Rows that only carry or trim one
attribute are found by the attributes that an entry has, so that the many rows of the default mapping cost nothing where
they have nothing to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from dirbridge.contract.entry import Entry, Selection
from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.schema import (
    AttributeDefinition,
    AttributeMapping,
    FlowType,
    ObjectDefinition,
    ObjectMapping,
    Rule,
    Schema,
)
from dirbridge.engine import expressions, scoping, validation
from dirbridge.engine.attributes import EXPIRED, EXPIRES, MEMBER, PRIMARY_MEMBER
from dirbridge.engine.conversion import TYPED, Converter, converter
from dirbridge.engine.functions.environment import CHECKING, Environment
from dirbridge.engine.functions.values import Computed


class Row(msgspec.Struct, frozen=True):
    """One compiled attribute mapping.

    Attributes:
        convert: brings what is computed into the target attribute's type.
        carries_text: there is nothing to convert in one text.
        attributes: what it is computed from.
        default: what a new object gets where the source has nothing.
        redacted: neither log nor errors show its values.
    """

    target: str
    compute: Computed
    convert: Converter
    carries_text: bool
    attributes: frozenset[str]
    default: str | None
    on_create_only: bool
    redacted: bool = False


class Flow(msgspec.Struct, frozen=True):
    """How a value flows to an object that exists, where that is not simply `Always` and `FlowWhenChanged`.

    Attributes:
        always: it is written again although the target has it.
        folded: values that differ in case alone are the same.
    """

    kind: FlowType = "Always"
    always: bool = False
    folded: bool = False


class ObjectRule(msgspec.Struct, frozen=True):
    """One compiled object mapping.

    Attributes:
        category: which entries of the source type are this mapping's.
        simple: rows by the one source attribute without which they have no value.
        always: rows that must be evaluated for every entry.
        read: source attributes that some row is computed from.
        flags: Booleans that some function looks at. To functions they are `True` and `False`, however the source writes
            them.
        ignorable: rows that may leave their attribute out of the export, evaluated for every entry too.
        redacted: target attributes whose values the log does not show.
        references: target attribute by source reference attribute.
        matching: target attributes by which an object is looked for that an entry could be, in their order.
        targets: every target attribute that is mapped and flows on update.
        flows: of those, the ones that flow in a manner of their own.
        rewrites: an entry is exported whenever the source reports it.
        required: target attributes without which there is no object.
        immutable: target attributes that never change once they have a value.
        actions: of `Add`, `Update`, `Delete`.
        enabled: the target attribute that says whether an account is active; None where the type has none.
        containers, groups: what the rule's container and group filters name, as written; none lets everything in.
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
    category: scoping.Scope = scoping.EVERYTHING
    containers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    flows: dict[str, Flow] = {}
    rewrites: bool = False
    required: frozenset[str] = frozenset()
    immutable: frozenset[str] = frozenset()
    matching: tuple[str, ...] = ()
    read: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    ignorable: tuple[Row, ...] = ()
    redacted: frozenset[str] = frozenset()


class Plan(msgspec.Struct, frozen=True):
    """A compiled schema document.

    Attributes:
        rules: by source object type, in the order in which they are tried.
        selection: what must be read for them.
        reference_targets: target attribute by source reference attribute.
        single_references: target references of one value.
        containers, groups: what container and group filters name, of all rules together.
    """

    rules: dict[str, tuple[ObjectRule, ...]]
    selection: Selection
    reference_targets: dict[str, str]
    single_references: frozenset[str] = frozenset()
    containers: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def choose(self, entry: Entry) -> ObjectRule | None:
        """Choose the mapping of an entry: the first one of its type whose category takes it.

        Returns:
            None where the type is not mapped, or no category takes the entry.

        Raises:
            EntryError: an attribute that cannot be read could decide.
        """
        return next((rule for rule in self.rules.get(entry.object_type, ()) if rule.category(entry).passed), None)

    def refers(self, entry: Entry, attribute: str) -> bool:
        """Tell whether a reference attribute belongs to an entry's mapping, as far as that is known."""
        if len(self.rules.get(entry.object_type, ())) < 2:
            return True
        try:
            rule = self.choose(entry)
        except EntryError:
            return True
        return rule is None or attribute in rule.references

    def deletes(self, source_type: str, target_type: str) -> bool:
        """Tell whether the flow types of an entry's mapping let its object go; all mappings of a pair say the same."""
        rules = [rule for rule in self.rules.get(source_type, ()) if rule.target_type == target_type]
        return not rules or "Delete" in rules[0].actions


NOTHING = Plan({}, Selection({}), {})
"""The plan of a cycle whose schema document has not been compiled."""


def compile_schema(schema: Schema, macros: Mapping[str, str], environment: Environment = CHECKING) -> Plan:
    """Compile the schema document.

    Args:
        macros: what `%Name%` stands for in the mapping.
        environment: what its functions take from outside. Without one the plan is good for looking at, not for mapping
            by functions of the time, of chance and of the tenant.

    Raises:
        ConfigurationError: names the path of what is wrong.
    """
    try:
        return _compiled(schema, macros, environment)
    except (_Unsound, ConfigurationError) as error:
        defects = validation.check(schema, macros, can_ask=environment.is_free is not None)
        if not defects:
            raise
        raise validation.error(defects) from error


_Made = tuple[AttributeMapping, Row]
"""An attribute mapping and what it was compiled to."""


class _Unsound(Exception):
    """The document refers to what it does not define, has no rule or more than one scope: its validation says where."""


def _compiled(schema: Schema, macros: Mapping[str, str], environment: Environment) -> Plan:
    chosen = {frozenset(rule.group_filter.included_groups) for rule in schema.synchronization_rules}
    if not schema.synchronization_rules or len(chosen - {frozenset()}) > 1:
        raise _Unsound
    ordered = sorted(enumerate(schema.synchronization_rules), key=lambda each: each[1].priority)
    rules: dict[str, tuple[ObjectRule, ...]] = {}
    single: set[str] = set()
    for at, rule in ordered:
        objects = _target_objects(schema, rule)
        single |= {
            a.name for o in objects.values() for a in o.attributes if a.type == "Reference" and not a.multivalued
        }
        for index, mapping in enumerate(rule.object_mappings):
            if mapping.enabled:
                path = f"synchronizationRules[{at}].objectMappings[{index}]"
                made = _object_rule(rule, mapping, objects, macros, environment, path)
                made = msgspec.structs.replace(made, flags=_booleans(schema, rule, mapping) & _functions_read(mapping))
                rules[made.source_type] = (*rules.get(made.source_type, ()), made)
    every = [made for found in rules.values() for made in found]
    return Plan(
        rules,
        _selection(schema, [rule for _, rule in ordered]),
        {source: target for made in every for source, target in made.references.items()},
        frozenset(single),
        containers=tuple(dict.fromkeys(name for made in every for name in made.containers)),
        groups=tuple(dict.fromkeys(name for made in every for name in made.groups)),
    )


def _target_objects(schema: Schema, rule: Rule) -> dict[str, ObjectDefinition]:
    for directory in schema.directories:
        if directory.name == rule.target_directory_name:
            return {definition.name: definition for definition in directory.objects}
    raise _Unsound


def _object_rule(
    rule: Rule,
    mapping: ObjectMapping,
    objects: Mapping[str, ObjectDefinition],
    macros: Mapping[str, str],
    environment: Environment,
    path: str,
) -> ObjectRule:
    target = objects.get(mapping.target_object_name)
    if target is None:
        raise _Unsound
    known = {definition.name: definition for definition in target.attributes}
    made, references = _attributes(mapping, known, macros, environment, path)
    simple, always, ignorable = _by_need(made)
    return ObjectRule(
        name=mapping.name,
        source_type=mapping.source_object_name,
        target_type=mapping.target_object_name,
        scope=scoping.compile_filter(mapping.scope, f"{path}.scope"),
        simple=simple,
        always=tuple(always),
        references=references,
        targets=frozenset(row.target for _, row in made if not row.on_create_only),
        actions=frozenset(part.strip() for part in mapping.flow_types.split(",")),
        enabled=next((entry.value for entry in target.metadata if entry.key == "PropertyNameAccountEnabled"), None),
        category=scoping.compile_category(mapping.scope, f"{path}.scope"),
        containers=rule.container_filter.included_containers,
        groups=rule.group_filter.included_groups,
        flows=_flows(made, known),
        rewrites=any(row.flow_behavior == "FlowAlways" for row in mapping.attribute_mappings),
        required=frozenset(a.name for a in target.attributes if a.required and a.type != "Reference"),
        immutable=frozenset(a.name for a in target.attributes if a.mutability == "Immutable"),
        matching=tuple(
            row.target_attribute_name
            for row in sorted(mapping.attribute_mappings, key=lambda row: row.matching_priority)
            if row.matching_priority > 0
        ),
        read=frozenset().union(*(row.attributes for _, row in made)),
        ignorable=tuple(ignorable),
        redacted=frozenset(row.target for _, row in made if row.redacted),
    )


def _attributes(
    mapping: ObjectMapping,
    known: Mapping[str, AttributeDefinition],
    macros: Mapping[str, str],
    environment: Environment,
    path: str,
) -> tuple[list[_Made], dict[str, str]]:
    """Compile the rows of values; of references, give the target attribute by the source's."""
    made: list[_Made] = []
    references: dict[str, str] = {}
    for index, attribute in enumerate(mapping.attribute_mappings):
        definition = known.get(attribute.target_attribute_name)
        if definition is None:
            raise _Unsound
        if definition.type == "Reference":
            references[_reference_source(attribute)] = definition.name
        elif attribute.source is not None or attribute.default_value is not None:
            here = f"{path}.attributeMappings[{index}]"
            made.append((attribute, _row(attribute, definition, macros, environment, here)))
    if MEMBER in references:
        references[PRIMARY_MEMBER] = references[MEMBER]
    return made, references


def _by_need(made: Sequence[_Made]) -> tuple[dict[str, tuple[Row, ...]], list[Row], list[Row]]:
    """Sort rows: by the one attribute without which they have nothing to say, those that always have, the ignorable."""
    simple: dict[str, tuple[Row, ...]] = {}
    always: list[Row] = []
    ignorable: list[Row] = []
    for attribute, row in made:
        key = None if attribute.source is None else expressions.needs(attribute.source)
        if attribute.source is not None and expressions.may_ignore(attribute.source):
            ignorable.append(row)
        elif key is None or row.default is not None:
            always.append(row)
        else:
            simple[key] = (*simple.get(key, ()), row)
    return simple, always, ignorable


def _flows(made: Sequence[_Made], known: Mapping[str, AttributeDefinition]) -> dict[str, Flow]:
    """Give how values flow that do not in the ordinary way, by target attribute."""
    found: dict[str, Flow] = {}
    for attribute, row in made:
        flow = _flow(attribute, known[attribute.target_attribute_name])
        if not row.on_create_only and flow != Flow():
            found[row.target] = flow
    return found


def _booleans(schema: Schema, rule: Rule, mapping: ObjectMapping) -> frozenset[str]:
    """Name the source attributes that are Booleans."""
    return frozenset(
        attribute.name
        for directory in schema.directories
        if directory.name == rule.source_directory_name
        for definition in directory.objects
        if definition.name == mapping.source_object_name
        for attribute in definition.attributes
        if attribute.type == "Boolean"
    )


def _functions_read(mapping: ObjectMapping) -> set[str]:
    """Name the source attributes that some function looks at."""
    sources = [row.source for row in mapping.attribute_mappings if row.source is not None]
    return {name for source in sources if source.type == "Function" for name in expressions.attributes_of(source)}


def _row(
    mapping: AttributeMapping,
    definition: AttributeDefinition,
    macros: Mapping[str, str],
    environment: Environment,
    path: str,
) -> Row:
    convert, carries_text = converter(definition), definition.type not in TYPED and not definition.multivalued
    source, constant = mapping.source, mapping.default_value
    if source is None:
        return Row(definition.name, lambda _attributes: constant, convert, carries_text, frozenset(), None, False)
    on_create_only = mapping.flow_type == "ObjectAddOnly"
    expressions.check_uniqueness(
        source,
        path,
        matching=mapping.matching_priority > 0,
        on_create_only=on_create_only,
        can_ask=environment.is_free is not None,
    )
    attributes = expressions.attributes_of(source)
    if MEMBER in attributes:
        raise _Unsound
    return Row(
        target=definition.name,
        compute=expressions.compile_source(source, macros, path, environment),
        convert=convert,
        carries_text=carries_text,
        attributes=frozenset(attributes),
        default=constant if constant is not None else definition.default_value,
        on_create_only=on_create_only,
        redacted=expressions.redacts(source),
    )


def _flow(mapping: AttributeMapping, definition: AttributeDefinition) -> Flow:
    """Without a source, the default fills an attribute that has no value. What cannot be read is written again."""
    return Flow(
        "AttributeAddOnly" if mapping.source is None else mapping.flow_type,
        always=mapping.flow_behavior == "FlowAlways" or definition.mutability == "WriteOnly",
        folded=not definition.case_exact,
    )


def _reference_source(mapping: AttributeMapping) -> str:
    if mapping.source is None or mapping.source.type != "Attribute" or not mapping.source.name:
        raise _Unsound
    return mapping.source.name


def _selection(schema: Schema, rules: Sequence[Rule]) -> Selection:
    """Work out what the source must be asked for."""
    attributes: dict[str, set[str]] = {}
    references: dict[str, set[str]] = {}
    memberships: dict[str, set[str]] = {}
    binary: set[str] = set()
    for rule in rules:
        source = next((d for d in schema.directories if d.name == rule.source_directory_name), None)
        types = {o.name: {a.name: a for a in o.attributes} for o in source.objects} if source else {}
        for mapping in rule.object_mappings:
            if not mapping.enabled:
                continue
            name = mapping.source_object_name
            known = types.get(name, {})
            wanted = _wanted(mapping)
            refs = {a for a in wanted if a in known and known[a].type == "Reference"}
            attributes.setdefault(name, set()).update(wanted - refs)
            references.setdefault(name, set()).update(refs - {MEMBER})
            memberships.setdefault(name, set()).update(refs & {MEMBER})
            binary |= {a for a in wanted if a in known and known[a].type == "Binary"}
        if rule.group_filter.included_groups:
            # Mapped or not, every group tells who its members are.
            for name in (name for name, known in types.items() if MEMBER in known):
                attributes.setdefault(name, set())
                memberships.setdefault(name, set()).add(MEMBER)
    return Selection(_sorted(attributes), _sorted(references), _sorted(memberships), tuple(sorted(binary)))


def _wanted(mapping: ObjectMapping) -> set[str]:
    """The source attributes that a mapping looks at; for what the engine makes itself, those that it is made from."""
    sources = [row.source for row in mapping.attribute_mappings if row.source is not None]
    wanted = {name for source in sources for name in expressions.attributes_of(source)}
    wanted |= scoping.attributes_of(mapping.scope)
    return (wanted - {EXPIRED}) | {EXPIRES} if EXPIRED in wanted else wanted


def _sorted(names: Mapping[str, set[str]]) -> dict[str, tuple[str, ...]]:
    return {kind: tuple(sorted(found)) for kind, found in names.items()}
