"""Attribute mappings: what flows where, and whether it can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.schema import AttributeDefinition, AttributeMapping, AttributeType, ObjectMapping, Source
from dirbridge.engine import expressions
from dirbridge.engine.attributes import MEMBER
from dirbridge.engine.conversion import converter
from dirbridge.engine.validation import directories, sources
from dirbridge.engine.validation.defects import Defect, Defects, repeated, unknown

Known = Mapping[str, AttributeDefinition]

_CONVERTIBLE: Mapping[AttributeType, frozenset[AttributeType]] = {
    "String": frozenset({"String", "Integer", "Boolean", "DateTime", "Binary"}),
    "Integer": frozenset({"String", "Integer"}),
    "Boolean": frozenset({"String", "Boolean"}),
    "DateTime": frozenset({"String", "DateTime"}),
    "Binary": frozenset({"String", "Binary"}),
    "Reference": frozenset({"String"}),
}
"""Target types that a value of a source type can become without a function."""

_CONVERSIONS: Mapping[tuple[AttributeType, AttributeType], str] = {
    ("Integer", "Boolean"): "Convert it with CBool.",
    ("Integer", "DateTime"): 'Convert it with FormatDateTime(DateFromNum([…]), , "…").',
    ("Boolean", "Integer"): 'Convert it with IIF([…]="True", 1, 0).',
}


class Side(msgspec.Struct, frozen=True):
    """What the rows of one mapping are checked against.

    Attributes:
        kind: name of the source object. source, target: attributes of the two objects, by name.
        macros: what `%Name%` constants stand for. can_ask: the target can be asked whether a value is free.
    """

    kind: str
    source: Known
    target: Known
    macros: Mapping[str, str]
    can_ask: bool


def check(mapping: ObjectMapping, side: Side, path: str) -> Defects:
    """Check the rows of an object mapping."""
    rows = mapping.attribute_mappings
    names = [row.target_attribute_name for row in rows]
    for at, first in repeated(names):
        what = f"'{names[at]}' is mapped at {path}[{first}] already."
        yield Defect(f"{path}[{at}].targetAttributeName", what, "Keep one of the two.")
    for at, row in enumerate(rows):
        definition = side.target.get(row.target_attribute_name)
        if definition is None:
            place = f"{path}[{at}].targetAttributeName"
            yield unknown(
                place, f"{mapping.target_object_name} has no attribute", row.target_attribute_name, side.target
            )
            continue
        yield from _row(row, definition, side, f"{path}[{at}]")
    yield from _whole(rows, side.target, path)


def _whole(rows: Sequence[AttributeMapping], target: Known, path: str) -> Defects:
    mapped = {row.target_attribute_name for row in rows if row.source is not None or row.default_value is not None}
    for name, definition in target.items():
        if definition.required and definition.default_value is None and name not in mapped:
            what = f"The required target attribute '{name}' is not mapped."
            yield Defect(path, what, "Map it, or give its definition a defaultValue.")
    if not any(row.matching_priority > 0 for row in rows):
        remedy = "Give the row of onPremisesObjectIdentifier the matchingPriority 1."
        yield Defect(path, "No attribute is matched by: every matchingPriority is 0.", remedy)


def _row(row: AttributeMapping, definition: AttributeDefinition, side: Side, path: str) -> Defects:
    if definition.mutability == "ReadOnly":
        what = f"'{definition.name}' is ReadOnly at the target."
        yield Defect(f"{path}.targetAttributeName", what, "Take the row out.")
    if row.export_missing_references:
        what = "References to objects that the target does not have cannot be written."
        remedy = "Set it to false: a reference is written in the cycle in which its other end arrives."
        yield Defect(f"{path}.exportMissingReferences", what, remedy)
    if row.source is not None:
        yield from sources.check(row.source, side.source, side.kind, side.macros, f"{path}.source")
    if definition.type == "Reference":
        yield from _reference(row, definition, side.source, path)
        return
    if row.default_value is not None:
        yield from directories.default(definition, row.default_value, f"{path}.defaultValue")
    if row.flow_type == "MultiValueAddOnly" and not definition.multivalued:
        what = f"MultiValueAddOnly is for several values; '{definition.name}' has one."
        yield Defect(f"{path}.flowType", what, "Use ValueAddOnly or AttributeAddOnly.")
    yield from _matching(row, definition, path)
    if row.source is not None:
        yield from _value(row.source, definition, side.source, f"{path}.source")
        yield from _uniqueness(row, row.source, f"{path}.source", can_ask=side.can_ask)


def _matching(row: AttributeMapping, definition: AttributeDefinition, path: str) -> Defects:
    place = f"{path}.matchingPriority"
    if row.matching_priority < 0:
        what = f"{row.matching_priority} is no priority."
        yield Defect(place, what, "Use 0 for an attribute that is not matched by, else 1, 2 and so on.")
    elif row.matching_priority and (definition.multivalued or definition.type not in ("String", "Integer")):
        several = "of several values" if definition.multivalued else f"of type {definition.type}"
        what = f"'{definition.name}' cannot be matched by: it is {several}."
        yield Defect(place, what, "Match by text or numbers of one value.")
    elif row.matching_priority and row.source is None:
        yield Defect(place, f"'{definition.name}' has no source to match by.", "Give it one, or set this to 0.")


def _reference(row: AttributeMapping, definition: AttributeDefinition, known: Known, path: str) -> Defects:
    """References are written by a list of their own: they flow as they are, always."""
    name = row.source.name if row.source is not None and row.source.type == "Attribute" else None
    if row.source is not None and name is None:
        what = f"The reference '{definition.name}' is not mapped from an attribute."
        yield Defect(f"{path}.source", what, "Map references directly; functions do not work on them.")
    source = known.get(name or "")
    if source is not None and source.type != "Reference":
        what = f"'{definition.name}' is a reference, and '{source.name}' is of type {source.type}."
        yield Defect(f"{path}.source", what, "Map it from an attribute of type Reference.")
    elif source is not None and source.multivalued and not definition.multivalued:
        what = f"'{source.name}' has several references, and '{definition.name}' takes one."
        yield Defect(f"{path}.source", what, "Map it to a reference of several values.")
    for member, told, only in (
        ("flowType", row.flow_type, "Always"),
        ("flowBehavior", row.flow_behavior, "FlowWhenChanged"),
        ("matchingPriority", row.matching_priority, 0),
        ("defaultValue", row.default_value, None),
    ):
        if told != only:
            remedy = "Leave it out." if only is None else f"Set it to {only}."
            yield Defect(f"{path}.{member}", f"References take no {member} {told}.", remedy)


def _value(source: Source, definition: AttributeDefinition, known: Known, place: str) -> Defects:
    """Check what is certain about a value before any entry is seen."""
    if source.type == "Constant":
        try:
            converter(definition)(expressions.constant_text(source))
        except EntryError as error:
            what = f"The constant is no value of '{definition.name}': {error.reason}"
            yield Defect(place, what, f"Give a value of the type {definition.type}.")
        return
    if MEMBER in expressions.attributes_of(source):
        what = f"'{MEMBER}' cannot be mapped to '{definition.name}': members come apart from their group."
        yield Defect(place, what, "Map it to a reference, and directly.")
        return
    attribute = known.get(_carried(source) or "")
    if attribute is None:
        return
    if source.type == "Attribute" and definition.type not in _CONVERTIBLE[attribute.type]:
        what = f"'{attribute.name}' is of type {attribute.type} and '{definition.name}' of type {definition.type}."
        remedy = _CONVERSIONS.get((attribute.type, definition.type), "Map another attribute, or an expression.")
        yield Defect(place, what, remedy)
    elif attribute.multivalued and not definition.multivalued:
        what = f"'{attribute.name}' has several values and '{definition.name}' takes one."
        yield Defect(place, what, f"Choose one with Item([{attribute.name}], 1), or join them with Join.")


def _carried(source: Source) -> str | None:
    """Name the attribute whose values come out as many as they are; None where that is not certain."""
    while source.type == "Function" and source.name in ("Trim", "RemoveDuplicates") and source.parameters:
        source = source.parameters[0].value
    return source.name if source.type == "Attribute" else None


def _uniqueness(row: AttributeMapping, source: Source, path: str, *, can_ask: bool) -> Defects:
    """Check a value that is to be made unique at the target."""
    try:
        expressions.check_uniqueness(
            source,
            path,
            matching=row.matching_priority > 0,
            on_create_only=row.flow_type == "ObjectAddOnly",
            can_ask=can_ask,
        )
    except ConfigurationError as error:
        place, _, what = error.reason.partition(": ")
        yield Defect(place, what, error.recommended_action)
