"""Which attributes the entries of a domain may have, read from the schema of its forest.

Used by `source`. What the settings do not let leave the host is not named either: nobody could map it.

Source: MS-ADTS 3.1.1.2.3 (attributeSchema), 3.1.1.2.4 (classSchema), 3.1.1.2.2.2 (syntaxes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dirbridge.connectors.ad.directory import Directory
from dirbridge.connectors.ad.settings import Settings
from dirbridge.contract.schema import AttributeDefinition, AttributeType, ObjectDefinition

_NAME = "lDAPDisplayName"
_MAY_HAVE = ("mustContain", "systemMustContain", "mayContain", "systemMayContain")
_ABOVE = ("subClassOf", "auxiliaryClass", "systemAuxiliaryClass")
_OF_ATTRIBUTES = ("attributeSyntax", "isSingleValued", "systemFlags", "linkID", "isDefunct")
ASKED = (_NAME, *_MAY_HAVE, *_ABOVE, *_OF_ATTRIBUTES)
"""What is read of each definition."""

# By attributeSyntax; every other one is text.
_TYPES: Mapping[str, AttributeType] = {
    "2.5.5.1": "Reference",
    "2.5.5.8": "Boolean",
    "2.5.5.9": "Integer",
    "2.5.5.10": "Binary",
    "2.5.5.11": "DateTime",
    "2.5.5.15": "Binary",
    "2.5.5.16": "Integer",
    "2.5.5.17": "Binary",
}
_CONSTRUCTED = 0x4  # of systemFlags: computed when it is asked for, so no change of it is ever reported

Definition = Mapping[str, Sequence[str]]
"""Texts by attribute name in lower case."""


@dataclass(frozen=True, slots=True)
class Forest:
    """Definitions of classes and attributes, by their name in lower case."""

    classes: Mapping[str, Definition]
    attributes: Mapping[str, Definition]


async def read(settings: Settings, directory: Directory, object_types: Sequence[str]) -> tuple[ObjectDefinition, ...]:
    """Give the definitions of those types that the forest knows."""
    classes: dict[str, Definition] = {}
    attributes: dict[str, Definition] = {}
    async for found in directory.schema(ASKED):
        for _, values in found:
            one = {key.lower(): [value.decode(errors="replace") for value in texts] for key, texts in values.items()}
            name = _first(one, _NAME).lower()
            (attributes if _first(one, "attributeSyntax") else classes)[name] = one
    forest = Forest(classes, attributes)
    return tuple(define(settings, forest, name) for name in object_types if name.lower() in classes)


def define(settings: Settings, forest: Forest, object_type: str) -> ObjectDefinition:
    """Put together what an entry of a type may have, from its class, those above it and those that help it."""
    names: dict[str, None] = {}
    for kind in _lineage(forest, object_type.lower()):
        names |= {name.lower(): None for member in _MAY_HAVE for name in kind.get(member.lower(), ())}
    found = [_attribute(forest.attributes[name]) for name in names if name in forest.attributes]
    readable = [one for one in found if one is not None and settings.allows(one.name)]
    return ObjectDefinition(object_type, tuple(sorted(readable, key=lambda one: one.name.lower())))


def _lineage(forest: Forest, name: str) -> Iterator[Definition]:
    """The class and all that it takes attributes from, each once; `top` names itself as what is above it."""
    seen, waiting = {name}, [name]
    while waiting:
        kind = forest.classes.get(waiting.pop())
        if kind is None:
            continue
        yield kind
        above = {one.lower() for member in _ABOVE for one in kind.get(member.lower(), ())} - seen
        seen |= above
        waiting += sorted(above)


def _attribute(one: Definition) -> AttributeDefinition | None:
    """Read an attribute's definition; None where no reading of an entry would show it."""
    flags, link = _first(one, "systemFlags") or "0", _first(one, "linkID") or "0"
    is_back_link = int(link) % 2 == 1  # MS-ADTS 3.1.1.1.6
    if int(flags) & _CONSTRUCTED or is_back_link or _first(one, "isDefunct") == "TRUE":
        return None
    return AttributeDefinition(
        _first(one, _NAME),
        type=_TYPES.get(_first(one, "attributeSyntax"), "String"),
        multivalued=_first(one, "isSingleValued") != "TRUE",
    )


def _first(one: Definition, name: str) -> str:
    return next(iter(one.get(name.lower(), ())), "")
