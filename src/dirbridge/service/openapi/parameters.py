"""Parameters of operations: keys in paths, and query options with the headers that go with them.

Source: Graph's query parameter guide; what is accepted is decided in `graph.odata`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dirbridge.service.openapi.operations import Options

Schema = dict[str, Any]

_KEY = "Its id."
_PATH: Mapping[str, str] = {
    "/users/{key}": "The user's id or userPrincipalName.",
    "/administrators/{key}": "The administrator's id or sign-in name.",
    "/organization/{key}": "The tenant's id.",
    "/onPremisesSynchronization/{key}": "The tenant's id.",
    "{agent}": _KEY,
    "enrolmentCodes/{code}": "The id of an enrolment code, a GUID; not the code.",
    "{assignment}": "The id of the assignment.",
    "{collection}": "The id of what was collected.",
    "{directory}": "The id of a directory in the schema document.",
    "{group}": "The id of the group.",
    "{job}": "The job's id, such as `AD2AADProvisioning.…`.",
    "{key}": _KEY,
    "{kid}": "The key's id, the `kid` of tokens.",
    "{member}": "The id of the member.",
    "{name}": "Its name.",
    "{owner}": "The id of the owner.",
    "{profile}": "The publishing profile; `provisioning` is the only one.",
    "{relation}": "What is related.",
    "{session}": "The id of the session.",
    "{sha256}": "The SHA-256 of the archive, in lower-case hexadecimal.",
    "{sp}": "The object id of the service principal, or `appId=` and its client id.",
    "/applications/{sp}": "The id of the application.",
    "{template}": "The template's id, such as `AD2AADProvisioning`.",
    "{tenant}": "The tenant's id, one of its domains, `common` or `organizations`.",
}
"""What a parameter in a path is: by the end of the path up to it, else by its name."""

_PARAMETER = re.compile(r"\{(\w+)\}")


def of_path(path: str, values: Mapping[str, list[str]] | None = None) -> list[Schema]:
    """Describe the parameters in a path.

    Args:
        values: those that a parameter can have, by name.

    Raises:
        LookupError: one of them has no description.
    """
    found = []
    for match in _PARAMETER.finditer(path):
        end = path[: match.end()]
        known = max((each for each in _PATH if end.endswith(each)), key=len, default=None)
        if known is None:
            raise LookupError(f"The parameter {match[0]} of {path} has no description in openapi/parameters.py.")
        schema: Schema = {"type": "string", "minLength": 1}
        if values and match[1] in values:
            schema = {"enum": values[match[1]]}
        found.append({
            "name": match[1], "in": "path", "required": True, "description": _PATH[known], "schema": schema,
        })  # fmt: skip
    return found


def of_query(options: Options, select: Schema | None = None) -> list[Schema]:
    """Describe the query options of an operation, and the headers that change what they mean.

    Args:
        select: the schema of a name that `$select` takes; None for any text.
    """
    found = [_option(name, options) for name in sorted(options.names)]
    for each in found:
        if each["name"] == "$select" and select is not None:
            each["schema"] = {**each["schema"], "items": select}
    for name, text in options.plain.items():
        found.append({"name": name, "in": "query", "description": text, "schema": {"type": "string"}})
    if options.eventual:
        found += of_headers(["ConsistencyLevel"])
    if options.prefer:
        found.append(_header("Prefer", "`odata.maxpagesize=…` for the size of a page, `return=minimal`."))
    return found


def _option(name: str, options: Options) -> Schema:
    text, schema = _OPTIONS[name](options)
    described = {"name": f"${name}", "in": "query", "description": text, "schema": schema}
    return described | ({"style": "form", "explode": False} if schema.get("type") == "array" else {})


def of_headers(names: Iterable[str]) -> list[Schema]:
    """Describe headers of a request."""
    return [_header(name, _HEADERS[name]) for name in names]


def _header(name: str, text: str) -> Schema:
    return {"name": name, "in": "header", "description": text, "schema": {"type": "string"}}


_HEADERS: Mapping[str, str] = {
    "ConsistencyLevel": "`eventual` asks for an advanced query.",
    "If-Match": "The ETag that it must still have; `*` for any.",
    "If-None-Match": "The ETag that the client has: where it is the same still, the answer is 304.",
    "Prefer": "`return=minimal` or `return=representation`: without or with what was made or changed.",
}


def _select(_: Options) -> tuple[str, Schema]:
    return "Properties to show.", {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}


def _orderby(options: Options) -> tuple[str, Schema]:
    values = [f"{name}{direction}" for name in options.orders for direction in ("", " asc", " desc")]
    return "The property to sort by.", {"enum": values}


def _expand(options: Options) -> tuple[str, Schema]:
    if not options.relations:
        return "Is not looked at: everything is shown.", {"type": "string"}
    told = ", ".join(f"`{name}`" for name in options.relations)
    return f"What to show with it: {told}.", {"type": "string"}


def _top(options: Options) -> tuple[str, Schema]:
    return f"The size of a page, at most {options.most}.", {"type": "integer", "minimum": 1}


def _text(description: str, **more: Any) -> Callable[[Options], tuple[str, Schema]]:
    return lambda _: (description, {"type": "string", **more})


_OPTIONS: Mapping[str, Callable[[Options], tuple[str, Schema]]] = {
    "count": lambda _: ("Tell how many there are, as `@odata.count`.", {"type": "boolean"}),
    "deltatoken": _text("`latest` for a delta link without objects; otherwise from `@odata.deltaLink`."),
    "expand": _expand,
    "filter": _text("Which of them, such as `displayName eq 'Ann'`.", minLength=1),
    "format": _text("Is not looked at: answers are JSON."),
    "orderby": _orderby,
    "search": _text('Words to look for, such as `"displayName:ann"`; takes the header ConsistencyLevel.', minLength=1),
    "select": _select,
    "skiptoken": _text("Where the page before ended: from `@odata.nextLink`.", minLength=1),
    "top": _top,
}
