"""What every Graph route needs of its request: the database, the address to write into links, the body."""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

import msgspec
from fastapi import Request

from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.graph.errors import GraphError, bad_request
from dirbridge.store.database import Database

MAX_BODY = 8 * 1024 * 1024
"""Bytes of a request's body: a schema document with thousands of attributes fits."""

Body = TypeVar("Body")


def database(request: Request) -> Database:
    """Give the application's database."""
    found: Database = request.app.state.database
    return found


def sealing(request: Request) -> Sealing:
    """Give what seals secrets at rest."""
    found: Sealing = request.app.state.sealing
    return found


def root(request: Request) -> str:
    """Give the absolute address of the version asked, such as `https://host/v1.0`."""
    configured: str | None = getattr(request.app.state, "base_url", None)
    base = configured or str(request.base_url)
    return f"{base.rstrip('/')}/{version(request)}"


def version(request: Request) -> str:
    """Give the version asked: `v1.0` or `beta`."""
    return str(request.scope.get("graph_version", "v1.0"))


def context(request: Request, fragment: str) -> str:
    """Give the address of the metadata that describes an answer."""
    return f"{root(request)}/$metadata#" + quote(fragment, safe="/$(),'*.-")


def guid(value: str) -> UUID | None:
    """Read a key as a GUID; None where it is something else."""
    try:
        return UUID(value) if len(value) == 36 else None
    except ValueError:
        return None


async def body(request: Request, shape: type[Body], *, optional: bool = False) -> Body:
    """Read the request's JSON body.

    Args:
        optional: an empty body is as good as `{}`.

    Raises:
        GraphError: 400 that says where the body is wrong, 413 where it is too large.
    """
    text = await raw_body(request)
    if not text.strip():
        if not optional:
            raise bad_request("Empty Payload. JSON content expected.")
        text = b"{}"
    return decode(text, shape)


async def exact_body(request: Request, shape: type[Body], *, optional: bool = False) -> Body:
    """Read a body of which nothing may be left over: what is misspelt must not look as if it had been done.

    Args:
        shape: forbids unknown members. Annotations, such as `@odata.type`, may come along.

    Raises:
        GraphError: as `body` does; an unknown member is named with its place.
    """
    given = await body(request, dict[str, Any], optional=optional)
    try:
        return msgspec.convert(_without_annotations(given), shape)
    except RecursionError as error:
        raise bad_request("The body nests too deeply.") from error
    except msgspec.ValidationError as error:
        raise bad_request(f"The body does not fit: {error}") from error


def _without_annotations(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_annotations(each) for name, each in value.items() if "@odata." not in name}
    return [_without_annotations(each) for each in value] if isinstance(value, list) else value


async def raw_body(request: Request) -> bytes:
    """Read the request's body, up to `MAX_BODY`."""
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY:
            raise GraphError(
                413, "requestEntityTooLarge", f"The body is larger than the {MAX_BODY:,} bytes that are accepted."
            )
    return bytes(received)


def decode(text: bytes, shape: type[Body]) -> Body:
    """Read JSON as a shape."""
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError as error:
        raise bad_request(f"The body does not fit: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"Unable to read JSON request payload: {error}") from error
