"""What a client writes of a user or group: the body read property by property, preconditions, and the form of answers.

Source: OData 4.01 Protocol sections 8.2.8.7 (return=…) and 8.2.4 (If-Match); RFC 9110 section 13.1; RFC 7240.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import Request
from starlette.responses import Response

from dirbridge.contract.entry import text_fault
from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import objects
from dirbridge.service.graph.context import context, decode, raw_body, root
from dirbridge.service.graph.errors import GraphError, bad_request
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.store import directory_queries
from dirbridge.store.directory_queries import Conn, DirectoryObject

_RETURN = re.compile(r"(?:^|[,;\s])return\s*=\s*\"?(minimal|representation)", re.IGNORECASE)
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAGS = re.compile(rf"\s*{_TAG}(?:\s*,\s*{_TAG})*\s*")


async def read(request: Request, shape: type[msgspec.Struct], object_type: str) -> dict[str, Any]:
    """Read a request's body as the properties of an object that it names, by Graph's names.

    Annotations are left out, as clients write `@odata.type` into everything.

    Raises:
        GraphError: 400 that names a property which is unknown, can only be read, or has a value that cannot be kept.
    """
    text = await raw_body(request)
    if not text.strip():
        raise bad_request("Empty Payload. JSON content expected.")
    writable = {field.encode_name for field in msgspec.structs.fields(shape)}
    for name in decode(text, dict[str, Any]):
        if name not in writable and not name.startswith("@") and not name.endswith("@odata.type"):
            raise _not_writable(name, object_type)
    wanted: dict[str, Any] = msgspec.to_builtins(decode(text, shape))
    for name, value in wanted.items():
        for each in _texts(value):
            fault = text_fault(each)
            if fault is not None:
                raise GraphError(400, "Request_BadRequest", f"The value of '{name}' {fault}.", target=name)
    return wanted


def _not_writable(name: str, object_type: str) -> GraphError:
    known = {each.lower() for each in objects.ALL[object_type]}
    said = (
        f"Property '{name}' is read-only and cannot be set."
        if name.lower() in known
        else f"Property '{name}' does not exist on type '{objects.type_name(object_type)}', or cannot be written here."
    )
    return GraphError(400, "Request_BadRequest", said, target=name)


def _texts(value: Any) -> list[str]:
    found = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
    return [each for each in found if isinstance(each, str)]


def tag(row: DirectoryObject) -> str:
    """Give the weak entity tag of an object as it is; its relations do not count."""
    return _tag(row.modified_at.timestamp())


def _tag(modified: float) -> str:
    return f'W/"{round(modified * 1_000_000):x}"'


async def unchanged(request: Request, conn: Conn, caller: Caller, row: DirectoryObject) -> None:
    """Make sure that an object is still what the client's `If-Match` names, until the transaction ends.

    Raises:
        GraphError: 412 where it is not, 400 where the header cannot be read.
    """
    if _expected(request) is None:
        return
    modified = await directory_queries.hold(conn, caller.tenant, row.id)
    need(request, _tag(modified.timestamp()) if modified is not None else "", str(row.id))


def need(request: Request, now: str, what: str) -> None:
    """Make sure that the client's `If-Match`, where it sends one, names what there is now.

    Args:
        request: the client's.
        now: the weak entity tag of the present state; empty where there is none any more.
        what: for the message.

    Raises:
        GraphError: 412 where it does not, 400 where the header cannot be read.
    """
    expected = _expected(request)
    if expected is not None and now.removeprefix("W/") not in expected:
        raise GraphError(
            412,
            "resourceModified",
            f"'{what}' was changed since. Read it again, and repeat the change where it still makes sense.",
            inner="entityTagDoesNotMatch",
        )


def _expected(request: Request) -> list[str] | None:
    """Give the tags of which one must be right; None where any version is."""
    asked = request.headers.get("if-match")
    if asked is None or asked.strip() == "*":
        return None
    if not _TAGS.fullmatch(asked):
        raise GraphError(
            400, "BadRequest", f"If-Match expects entity tags or *, found '{asked[:80]}'.", inner="malformedEntityTag"
        )
    return re.findall(r'"[^"]*"', asked)


def is_known(request: Request, row: DirectoryObject) -> bool:
    """Say whether the client has this version, as its `If-None-Match` says."""
    asked = request.headers.get("if-none-match", "")
    return tag(row).removeprefix("W/") in re.findall(r'"[^"]*"', asked)


def made(request: Request, row: DirectoryObject, place: str) -> Response:
    """Answer with what was made, or without it where the client prefers that."""
    address = f"{root(request)}/{place}/{row.id}"
    preferred = _preferred(request)
    if preferred.get("Preference-Applied") == "return=minimal":
        return Response(status_code=204, headers={**preferred, "Location": address, "OData-EntityId": address})
    headers = {**preferred, "Location": address, "ETag": tag(row)}
    return GraphResponse(_shown(request, row, place), status_code=201, headers=headers)


def changed(request: Request, row: DirectoryObject | None, place: str) -> Response:
    """Answer without what was changed, or with it where the client prefers that.

    Args:
        row: as it is now.
    """
    preferred = _preferred(request)
    if row is None or preferred.get("Preference-Applied") != "return=representation":
        return no_content()
    return GraphResponse(_shown(request, row, place), headers={**preferred, "ETag": tag(row)})


def _shown(request: Request, row: DirectoryObject, place: str) -> Mapping[str, Any]:
    return {"@odata.context": context(request, f"{place}/$entity"), **objects.render(request, row)}


def _preferred(request: Request) -> dict[str, str]:
    found = _RETURN.search(",".join(request.headers.getlist("prefer")))
    return {"Preference-Applied": f"return={found[1].lower()}"} if found else {}
