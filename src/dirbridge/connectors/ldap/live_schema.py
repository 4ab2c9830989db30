"""Which attributes the entries of a directory may have, read from the schema that its server publishes.

Used by `source`. What the settings do not let leave the host is not named either: nobody could map it.

Source: RFC 4512 sections 4.1.1 (object class description), 4.1.2 (attribute type description) and 4.2 (subschema).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from dirbridge.connectors.ldap import schema
from dirbridge.connectors.ldap.settings import Settings
from dirbridge.connectors.ldap_wire.values import text
from dirbridge.contract.schema import AttributeDefinition, AttributeType, ObjectDefinition

_WORD = re.compile(r"'[^']*'|[()$]|[^\s()'$]+")
# These stand alone; every other keyword has one value, or several in parentheses.
_ALONE = frozenset(
    {"OBSOLETE", "SINGLE-VALUE", "COLLECTIVE", "NO-USER-MODIFICATION", "ABSTRACT", "STRUCTURAL", "AUXILIARY"}
)
# By syntax; every other one is text. Source: RFC 4517 section 3.3, RFC 4523 (certificates).
_TYPES: Mapping[str, AttributeType] = {
    "1.3.6.1.4.1.1466.115.121.1.5": "Binary",
    "1.3.6.1.4.1.1466.115.121.1.7": "Boolean",
    "1.3.6.1.4.1.1466.115.121.1.8": "Binary",
    "1.3.6.1.4.1.1466.115.121.1.12": "Reference",
    "1.3.6.1.4.1.1466.115.121.1.24": "DateTime",
    "1.3.6.1.4.1.1466.115.121.1.27": "Integer",
    "1.3.6.1.4.1.1466.115.121.1.28": "Binary",
    "1.3.6.1.4.1.1466.115.121.1.34": "Reference",
    "1.3.6.1.4.1.1466.115.121.1.40": "Binary",
}

Description = Mapping[str, tuple[str, ...]]
"""A definition: the words after each keyword, such as NAME, SUP, MUST, MAY, SYNTAX; its number after OID."""


def describe(definition: str) -> Description:
    """Take a definition apart."""
    found = _WORD.findall(definition)[1:-1]
    words: dict[str, tuple[str, ...]] = {"OID": tuple(found[:1])}
    at = 1
    while at < len(found):
        keyword, at = found[at], at + 1
        values: list[str] = []
        if keyword not in _ALONE and at < len(found):
            end = found.index(")", at) if found[at] == "(" else at
            values, at = [one for one in found[at : end + 1] if one not in {"(", ")", "$"}], end + 1
        words[keyword] = tuple(value.strip("'") for value in values)
    return words


def define(
    settings: Settings, published: Mapping[str, Sequence[bytes]], object_types: Sequence[str]
) -> tuple[ObjectDefinition, ...]:
    """Give the definitions of those types that the server knows."""
    classes = _by_name(published, "objectclasses")
    attributes = _by_name(published, "attributetypes")
    made = []
    for name in (name for name in object_types if name.lower() in classes):
        members = {one.lower(): None for kind in _lineage(classes, name.lower()) for one in _may_have(kind)}
        found = [_attribute(attributes, attributes[one]) for one in members if one in attributes]
        readable = {one.name: one for one in found if settings.allows(one.name)}
        made.append(ObjectDefinition(name, tuple(sorted(readable.values(), key=lambda one: one.name.lower()))))
    return tuple(made)


def _by_name(published: Mapping[str, Sequence[bytes]], wanted: str) -> dict[str, Description]:
    found = [describe(text(one)) for key, values in published.items() if key.lower() == wanted for one in values]
    return {name.lower(): one for one in found for name in (*one.get("NAME", ()), *one["OID"])}


def _lineage(classes: Mapping[str, Description], name: str) -> Iterator[Description]:
    """The class and all that it is derived from, each once."""
    seen, waiting = {name}, [name]
    while waiting:
        kind = classes.get(waiting.pop())
        if kind is None:
            continue
        yield kind
        above = {one.lower() for one in kind.get("SUP", ())} - seen
        seen |= above
        waiting += sorted(above)


def _may_have(kind: Description) -> tuple[str, ...]:
    return (*kind.get("MUST", ()), *kind.get("MAY", ()))


def _attribute(attributes: Mapping[str, Description], one: Description) -> AttributeDefinition:
    name = (*one.get("NAME", ()), *one["OID"])[0]
    kind = "Reference" if name in schema.MEMBERSHIPS else _TYPES.get(_syntax(attributes, one), "String")
    return AttributeDefinition(name, type=kind, multivalued="SINGLE-VALUE" not in one)


def _syntax(attributes: Mapping[str, Description], one: Description) -> str:
    """The syntax of an attribute, which it may have from the one it is derived from; without a length."""
    seen: list[Description] = []
    while one not in seen:
        if syntax := one.get("SYNTAX"):
            return syntax[0].partition("{")[0]
        seen.append(one)
        one = attributes.get(next(iter(one.get("SUP", ())), "").lower(), one)
    return ""
