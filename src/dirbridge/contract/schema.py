"""The schema document: what flows from where to where, in Graph's own shape.

Stored and served as JSON with camelCase names. The engine reads the mapping from here and nowhere else.

Source: Microsoft Graph resource types synchronizationSchema, synchronizationRule, objectMapping, attributeMapping,
attributeMappingSource, filter, directoryDefinition.
"""

from __future__ import annotations

from typing import Literal

import msgspec

FlowType = Literal["Always", "ObjectAddOnly", "MultiValueAddOnly", "ValueAddOnly", "AttributeAddOnly"]
AttributeType = Literal["String", "Integer", "Reference", "Binary", "Boolean", "DateTime"]


class Document(msgspec.Struct, frozen=True, rename="camel"):
    """Common form of the parts."""


class Parameter(Document, frozen=True):
    """A named argument of a function: Graph's stringKeyAttributeMappingSourceValuePair."""

    key: str
    value: Source


class Source(Document, frozen=True):
    """Where a value comes from: an attribute, a constant, or a function of further sources.

    The tree is what counts; `expression` is its text, for people.
    """

    type: Literal["Attribute", "Constant", "Function"]
    name: str | None = None
    expression: str | None = None
    parameters: tuple[Parameter, ...] = ()


class AttributeMapping(Document, frozen=True):
    """One target attribute and its source; without one it is left alone, but for a default where it has no value."""

    target_attribute_name: str
    source: Source | None = None
    default_value: str | None = None
    export_missing_references: bool = False
    flow_behavior: Literal["FlowWhenChanged", "FlowAlways"] = "FlowWhenChanged"
    flow_type: FlowType = "Always"
    matching_priority: int = 0


class FilterOperand(Document, frozen=True):
    """What a clause compares with."""

    values: tuple[str, ...] = ()


class FilterClause(Document, frozen=True):
    """One test of one source attribute."""

    source_operand_name: str
    operator_name: str
    target_operand: FilterOperand | None = None


class FilterGroup(Document, frozen=True):
    """Clauses that must all hold."""

    clauses: tuple[FilterClause, ...]
    name: str | None = None


class Filter(Document, frozen=True):
    """Groups of which one must hold, by collection; an empty collection lets everything in."""

    groups: tuple[FilterGroup, ...] = ()
    input_filter_groups: tuple[FilterGroup, ...] = ()
    category_filter_groups: tuple[FilterGroup, ...] = ()


class MetadataEntry(Document, frozen=True):
    """A named remark."""

    key: str
    value: str | None = None


class ObjectMapping(Document, frozen=True):
    """From one source object type to one target object type."""

    name: str
    source_object_name: str
    target_object_name: str
    attribute_mappings: tuple[AttributeMapping, ...]
    enabled: bool = True
    flow_types: str = "Add,Update,Delete"
    scope: Filter = Filter()
    metadata: tuple[MetadataEntry, ...] = ()


class ContainerFilter(Document, frozen=True):
    """Containers that are in scope; none means all."""

    included_containers: tuple[str, ...] = ()


class GroupFilter(Document, frozen=True):
    """Groups whose members are in scope; none means all."""

    included_groups: tuple[str, ...] = ()


class Rule(Document, frozen=True):
    """From one directory to another."""

    id: str
    name: str
    source_directory_name: str
    target_directory_name: str
    object_mappings: tuple[ObjectMapping, ...]
    priority: int = 1
    editable: bool = True
    container_filter: ContainerFilter = ContainerFilter()
    group_filter: GroupFilter = GroupFilter()
    metadata: tuple[MetadataEntry, ...] = ()


class ReferencedObject(Document, frozen=True):
    """What a reference may point to."""

    referenced_object_name: str
    referenced_property: str | None = None


class AttributeDefinition(Document, frozen=True):
    """What a directory knows of an attribute."""

    name: str
    type: AttributeType = "String"
    anchor: bool = False
    case_exact: bool = False
    default_value: str | None = None
    flow_null_values: bool = False
    multivalued: bool = False
    mutability: Literal["ReadWrite", "ReadOnly", "Immutable", "WriteOnly"] = "ReadWrite"
    required: bool = False
    metadata: tuple[MetadataEntry, ...] = ()
    api_expressions: tuple[MetadataEntry, ...] = ()
    referenced_objects: tuple[ReferencedObject, ...] = ()


class ObjectDefinition(Document, frozen=True):
    """A kind of object and its attributes."""

    name: str
    attributes: tuple[AttributeDefinition, ...]
    metadata: tuple[MetadataEntry, ...] = ()
    supported_apis: tuple[str, ...] = ()


class DirectoryDefinition(Document, frozen=True):
    """One end of a rule."""

    id: str
    name: str
    objects: tuple[ObjectDefinition, ...]
    version: str | None = None
    read_only: bool = False
    discoverabilities: str = "None"
    discovery_date_time: str | None = None


class Schema(Document, frozen=True):
    """The whole document of a job."""

    id: str
    synchronization_rules: tuple[Rule, ...]
    directories: tuple[DirectoryDefinition, ...]
    version: str | None = None


_decoder = msgspec.json.Decoder(Schema)


def parse(document: bytes | str) -> Schema:
    """Read a schema document.

    Raises:
        msgspec.ValidationError: its message ends with the path of the fault, such as `$.directories[0].name`.
    """
    return _decoder.decode(document)


def render(schema: Schema) -> bytes:
    """Write a schema document as JSON."""
    return msgspec.json.encode(schema)
