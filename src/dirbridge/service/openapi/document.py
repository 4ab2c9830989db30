"""The OpenAPI document: what the routes say of themselves, put together with `tables`.

Source: OpenAPI Specification 3.1.1.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

import dirbridge
from dirbridge.service.auth.oauth import device_codes
from dirbridge.service.auth.oauth.endpoints import GRANTS
from dirbridge.service.auth.permissions import PERMISSIONS, Roles
from dirbridge.service.graph.gate import VERSIONS
from dirbridge.service.openapi import parameters, tables
from dirbridge.service.openapi.components import Components
from dirbridge.service.openapi.operations import Area, Body, Entry, Form, Operation
from dirbridge.service.openapi.refusals import RESPONSES, reference

Document = dict[str, Any]

_SCHEME = "oauth2"
_HEADERS: Document = {
    "request-id": {
        "description": "Names the request in the service's log.",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
    },
    "ETag": {
        "description": "The version, for `If-Match`.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Location": {
        "description": "The address of what was made.",
        "required": True,
        "schema": {"type": "string", "format": "uri"},
    },
}


@dataclass(frozen=True, slots=True)
class Described:
    """An operation of the document.

    Attributes:
        permissions: of which a caller needs one; None where no token is asked for.
        roles: of which a person needs one as well.
        values: those that a parameter in the path can have, by name.
    """

    path: str
    method: str
    key: str
    route: RouteContext
    operation: Operation
    area: Area
    permissions: tuple[str, ...] | None
    roles: Roles
    values: Mapping[str, list[str]]


class Undescribed(LookupError):
    """A route lacks what the document has to say of it."""


def build(app: FastAPI, base_url: str, tenant: UUID | str) -> Document:
    """Describe an application.

    Args:
        base_url: where it is reached.

    Raises:
        Undescribed: routes have no entry in `tables`, or one has no docstring.
    """
    described = operations(app)
    components = Components([each.operation for each in described])
    paths: dict[str, Document] = {}
    for each in described:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, components)
    used = {each.area.tag for each in described}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "dirbridge",
            "version": dirbridge.__version__,
            "description": "The tenant directory and its synchronization, as Microsoft Graph speaks of them; what Graph"
            " has no word for lies under `/beta/dirbridge`.",
        },
        "servers": [{"url": base_url}],
        "tags": [
            {"name": area.tag, "description": area.description} for area in tables.AREAS if area.tag in used
        ],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": components.schemas,
            "responses": RESPONSES,
            "headers": _HEADERS,
            "securitySchemes": {_SCHEME: _scheme(base_url, tenant)},
        },
    }  # fmt: skip


def of_version(document: Document, version: str) -> Document:
    """Leave the other versions out."""
    others = tuple(f"/{each}/" for each in VERSIONS if each != version)
    paths = {path: item for path, item in document["paths"].items() if not path.startswith(others)}
    return {**document, "paths": paths}


# Which operations there are -------------------------------------------------------------------------------------------


def operations(app: FastAPI) -> list[Described]:
    """Give every operation of an application.

    Raises:
        Undescribed: routes have no entry, each of them named.
    """
    found: list[Described] = []
    missing: dict[str, str] = {}
    for route in iter_route_contexts(app.routes):
        if not route.include_in_schema or route.endpoint is None:
            continue
        entry = _entry(route)
        if entry is None:
            missing.setdefault(key_of(route), _name(route))
        else:
            found += _of_route(route, *entry)
    if missing:
        raise Undescribed(
            "These routes have no entry in dirbridge/service/openapi/tables. Say there, under the key behind the route,"
            " what it answers and takes; a route that is none of the API's, such as a page for browsers, has"
            " include_in_schema=False." + "".join(f"\n  {where}: '{key}'" for key, where in missing.items())
        )
    return found


def key_of(route: RouteContext) -> str:
    """Name a route's function as the tables do."""
    assert route.endpoint is not None
    module = route.endpoint.__module__.removeprefix("dirbridge.service.")
    return f"{module}.{route.endpoint.__name__}"


def _entry(route: RouteContext) -> tuple[Area, Entry] | None:
    key, last = key_of(route), (route.path_format or "").rpartition("/")[2]
    return tables.find(f"{key}/{last}") or tables.find(key)


def _of_route(route: RouteContext, area: Area, entry: Entry) -> Iterator[Described]:
    permissions, roles = _guard(route.dependant)
    for path, operation, values in _variants(route.path_format or "", entry):
        asked = permissions if operation.permissions is None else operation.permissions
        for method in sorted(route.methods or ()):
            yield Described(path, method, key_of(route), route, operation, area, asked, roles, values)


def _variants(path: str, entry: Entry) -> Iterator[tuple[str, Operation, Mapping[str, list[str]]]]:
    if isinstance(entry, Operation):
        yield path, entry, {}
        return
    place = f"{{{entry.parameter}}}"
    for value, operation in entry.by_value.items():
        yield path.replace(place, value), operation, {}
    if entry.otherwise is not None:
        yield path, entry.otherwise, {}


def _guard(dependant: Dependant | None) -> tuple[tuple[str, ...] | None, Roles]:
    """Find what a route asks of its caller."""
    for each in dependant.dependencies if dependant else ():
        permissions = getattr(each.call, "permissions", None)
        if permissions is not None:
            return tuple(permissions), getattr(each.call, "roles", frozenset())
        found = _guard(each)
        if found[0] is not None:
            return found
    return None, frozenset()


def _name(route: RouteContext) -> str:
    return f"{'/'.join(sorted(route.methods or ()))} {route.path_format}"


# One operation --------------------------------------------------------------------------------------------------------


def _operation(each: Described, components: Components) -> Document:
    summary, description = _told(each)
    options = each.operation.options
    asked = [] if options is None else parameters.of_query(options, components.of_select(each.operation))
    found: Document = {
        "operationId": re.sub(r"\W+", "_", f"{each.method.lower()}{each.path}").strip("_"),
        "summary": summary,
        "tags": [each.area.tag],
        "parameters": [
            *parameters.of_path(each.path, each.values),
            *asked,
            *parameters.of_headers(each.operation.asks),
        ],
        "responses": _responses(each, components),
        "security": _security(each),
    }
    if description:
        found["description"] = description
    if each.operation.body is not None:
        found["requestBody"] = _body(each.operation.body, components)
    if each.permissions:
        found["x-permissions"] = list(each.permissions)
        found["x-directory-roles"] = sorted(each.roles)
    return found


def _told(each: Described) -> tuple[str, str]:
    assert each.route.endpoint is not None
    text = inspect.getdoc(each.route.endpoint)
    if not text:
        raise Undescribed(f"{_name(each.route)}: its function {each.key} needs a docstring.")
    paragraphs = re.split(r"\n\s*\n", text)
    kept = [" ".join(part.split()) for part in paragraphs if not re.match(r"(Raises|Args|Returns|Source):", part)]
    return kept[0].rstrip("."), "\n\n".join(kept[1:])


def _security(each: Described) -> list[Document]:
    if each.permissions is None:
        return []
    return [{_SCHEME: [name]} for name in each.permissions] or [{_SCHEME: []}]


def _body(body: Body, components: Components) -> Document:
    return {"required": not body.optional, "content": {body.media: {"schema": components.of_body(body)}}}


def _responses(each: Described, components: Components) -> Document:
    oauth = each.area is tables.OAUTH and each.permissions is None
    refusals = {str(status): reference(status, oauth=oauth) for status in _refusals(each)}
    operation = each.operation
    good = {} if operation.status is None else {operation.status: operation.answer}
    told = {
        str(status): _good(operation, status, form, components)
        for status, form in sorted({**good, **operation.otherwise}.items())
    }
    return told | refusals


def _good(operation: Operation, status: int, form: Form | None, components: Components) -> Document:
    names = ("request-id", *(operation.headers if status == operation.status else ()))
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    good: Document = {"description": _SAID.get(status, "What was asked for." if form else "Done."), "headers": headers}
    if form is not None:
        many = operation.many and status == operation.status
        good["content"] = {operation.media: {"schema": components.of_answer(form, many=many)}}
    return good


_SAID = {201: "What was made.", 202: "What was taken up.", 204: "Done.", 304: "The client has it."}


def _refusals(each: Described) -> Sequence[int]:
    """Which refusals follow from what a route is; the rest is in its entry."""
    found = set(each.operation.refusals)
    if each.path.startswith(tuple(f"/{version}/" for version in VERSIONS)):
        found |= {400, 429, 503}
    if each.permissions is not None:
        found |= {401, 403} if each.permissions else {401}
        found |= {404} if "{" in each.path else set()
    if each.operation.body is not None:
        found |= {413}
    if "If-Match" in each.operation.asks:
        found |= {412}
    return sorted(found)


def _scheme(base_url: str, tenant: UUID | str) -> Document:
    """Describe the flows that there are grants for; that by device code has no place in OpenAPI 3.1."""
    root = f"{base_url.rstrip('/')}/{tenant}/oauth2/v2.0"
    delegated = {name: "Delegated." for name, each in sorted(PERMISSIONS.items()) if each.delegated}
    flows: Document = {}
    if "client_credentials" in GRANTS:
        own = {name: "To an application for itself." for name, each in sorted(PERMISSIONS.items()) if each.application}
        flows["clientCredentials"] = {"tokenUrl": f"{root}/token", "scopes": own}
    if "authorization_code" in GRANTS:
        flows["authorizationCode"] = {
            "authorizationUrl": f"{root}/authorize", "tokenUrl": f"{root}/token", "refreshUrl": f"{root}/token",
            "scopes": delegated,
        }  # fmt: skip
    if device_codes.GRANT_TYPE in GRANTS:
        flows["x-deviceAuthorization"] = {
            "deviceAuthorizationUrl": f"{root}/devicecode", "tokenUrl": f"{root}/token", "scopes": delegated,
        }  # fmt: skip
    return {
        "type": "oauth2",
        "description": "One of the permissions that an operation names is enough. An application asks for the scope"
        f" `{base_url}/.default` and gets what it was granted; a person needs one of `x-directory-roles` as well.",
        "flows": flows,
    }
