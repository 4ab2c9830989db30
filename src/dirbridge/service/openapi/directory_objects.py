"""The forms of users, groups and contacts, derived from the tables that render, filter and expand them.

Source: `graph.objects` for what there is, `store.directory_queries` for the types, `graph.expansions` for relations.
"""

from __future__ import annotations

from typing import Any

from dirbridge.service.graph import delta, expansions, objects
from dirbridge.store import directory_properties, directory_queries
from dirbridge.store.conditions import Kind

COMPONENTS = {kind: name[:1].upper() + name[1:] for kind, name in objects.GRAPH_TYPES.items()}
"""The component of each type of object."""
ANY = "DirectoryObject"

Schema = dict[str, Any]

_TEXT: Schema = {"type": ["string", "null"]}
_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
_BOOLEAN: Schema = {"type": ["boolean", "null"]}
_OPEN: Schema = {"type": ["object", "null"]}
_RECORDS: Schema = {"type": "array", "items": {"type": "object"}}
_OF_KIND: dict[Kind, Schema] = {
    Kind.TEXT: _TEXT,
    Kind.EXACT: _TEXT,
    Kind.BOOLEAN: _BOOLEAN,
    Kind.NUMBER: {"type": ["number", "null"]},
    Kind.TIME: _TIME,
    Kind.GUID: {"type": "string", "format": "uuid"},
    Kind.TEXTS: {"type": "array", "items": {"type": "string"}},
}


def _texts(*names: str) -> Schema:
    return {"type": "object", "properties": dict.fromkeys(names, _TEXT)}


_SPECIAL: dict[str, Schema] = {
    "addresses": {
        "type": "array",
        "items": _texts("city", "countryOrRegion", "officeLocation", "postalCode", "state", "street"),
    },
    "phones": {"type": "array", "items": _texts("number", "type")},
    "onPremisesExtensionAttributes": {
        **_texts(*(f"extensionAttribute{number}" for number in range(1, 16))),
        "type": ["object", "null"],
    },
    "employeeOrgData": _OPEN,
    "isResourceAccount": _BOOLEAN,
    "showInAddressList": _BOOLEAN,
    "lastPasswordChangeDateTime": _TIME,
    "onPremisesLastSyncDateTime": _TIME,
    "identities": _RECORDS,
    "onPremisesProvisioningErrors": _RECORDS,
    "serviceProvisioningErrors": _RECORDS,
}
"""Properties that are no plain values, or that no filter asks for."""


def components() -> dict[str, Schema]:
    """Give the components, by name."""
    found: dict[str, Schema] = {}
    for kind, name in COMPONENTS.items():
        found[name] = _object(kind, f"Graph's {objects.GRAPH_TYPES[kind]}; `$select` says which of its properties.")
        found[f"{name}Delta"] = _changed(found[name], kind)
    found[ANY] = _one_of(list(COMPONENTS.values()), "A user, group or contact; `@odata.type` says which.")
    found[f"{ANY}Delta"] = _one_of([f"{name}Delta" for name in COMPONENTS.values()], "What changed of one of them.")
    found["ObjectReference"] = {
        "type": "object",
        "description": "The address of an object.",
        "properties": {"@odata.context": {"type": "string"}, "@odata.id": {"type": "string"}},
        "required": ["@odata.id"],
    }
    return found


def _object(kind: str, description: str) -> Schema:
    properties: dict[str, Schema] = {
        "@odata.context": {"type": "string"},
        "@odata.type": {"const": f"#{objects.type_name(kind)}"},
    }
    properties |= {name: _property(kind, name) for name in sorted(objects.ALL[kind])}
    for relation in expansions.RELATIONS[kind]:
        other = {"$ref": f"#/components/schemas/{ANY}"}
        single = relation is directory_queries.Relation.MANAGER
        properties[relation.value] = other if single else {"type": "array", "items": other}
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "patternProperties": {"^extension_": {}},
    }


def _property(kind: str, name: str) -> Schema:
    if name in _SPECIAL:
        return _SPECIAL[name]
    known = directory_properties.PROPERTIES[kind].get(name.lower())
    if known is not None:
        return _OF_KIND[known.kind]
    return _OF_KIND[Kind.TEXTS] if name in objects.COLLECTIONS else _TEXT


def _changed(whole: Schema, kind: str) -> Schema:
    """What a delta query tells of one: the object, or that it is gone, and which links changed."""
    reason = {
        "type": "object",
        "properties": {"reason": {"enum": ["changed", "deleted"]}},
        "required": ["reason"],
    }
    link = {
        "type": "object",
        "properties": {"@odata.type": {"type": "string"}, "id": {"type": "string"}, "@removed": reason},
        "required": ["id"],
    }
    links = next(each.links for each in delta.KINDS if each.types == (kind,))
    added = {"@removed": reason, **{f"{name}@delta": {"type": "array", "items": link} for name in links}}
    description = f"{whole['description']} With `@removed` it is gone, for good or into the recycle bin."
    return {
        **whole,
        "description": description,
        "properties": whole["properties"] | added,
        "required": ["id"],
    }


def _one_of(names: list[str], description: str) -> Schema:
    return {"description": description, "anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in names]}
