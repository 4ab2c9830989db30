"""The service's own API, called for the person at the browser, without a way over the network.

A page asks as a client would: the same routes check the person's roles, write the audit trail and refuse. What the
application is asked for here carries the caller in its scope, which no request from outside can.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit
from uuid import UUID

import httpx2
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dirbridge.service.auth.access import IN_PROCESS, Caller, Person
from dirbridge.service.auth.permissions import PERMISSIONS
from dirbridge.service.auth.sign_in.browser import SignedIn

PORTAL = UUID("5b1f4a0e-3c0f-4a54-9f3b-8d1b4f7c2a60")
"""The id under which the portal calls; there is no registration behind it, and no token is issued to it."""

_SCOPES = frozenset({*PERMISSIONS, "User.Read"})


class ApiRefusal(Exception):
    """The API's answer is an error.

    Attributes:
        status: of HTTP.
        code: of Graph's error envelope.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Api:
    """Calls as one person."""

    client: httpx2.AsyncClient

    async def get(self, path: str, query: Mapping[str, str] | None = None, **options: str | int) -> dict[str, Any]:
        """Read a path such as `/v1.0/users`.

        Args:
            path: with its keys quoted.
            query: parameters with names of their own.
            **options: of OData: `top=5` stands for `$top=5`.

        Raises:
            ApiRefusal: the API refuses.
        """
        return _content(await self.client.get(address(path, query, **options)))

    async def advanced(self, path: str, query: Mapping[str, str] | None = None, **options: str | int) -> dict[str, Any]:
        """Read a path by a search or an advanced query, with the header that Graph asks for."""
        headers = {"ConsistencyLevel": "eventual"}
        return _content(await self.client.get(address(path, query, **options), headers=headers))

    async def post(self, path: str, body: object = None) -> dict[str, Any]:
        """Do something; without a body where it is None."""
        return _content(await self.client.post(path, json=body) if body is not None else await self.client.post(path))

    async def patch(self, path: str, body: object, *, match: str = "") -> dict[str, Any]:
        """Change members of something; where `match` is given, of this version of it only."""
        return _content(await self.client.patch(path, json=body, headers=_only(match)))

    async def put(self, path: str, body: object, *, match: str = "") -> dict[str, Any]:
        """Put something in another's place; where `match` is given, in that of this version of it only."""
        return _content(await self.client.put(path, json=body, headers=_only(match)))

    async def tagged(self, path: str) -> tuple[dict[str, Any], str]:
        """Read a path; gives the version's tag as well, for `match`."""
        answer = await self.client.get(path)
        return _content(answer), answer.headers.get("etag", "")

    async def delete(self, path: str, *, match: str = "") -> None:
        """Take something away; where `match` is given, this version of it only."""
        _content(await self.client.delete(path, headers=_only(match)))


class Carried(Response):
    """What the API answers to a GET, handed on as it comes: for downloads of any length.

    Args:
        request: the browser's.
        who: for whom the API is asked.
        path: of the API, with its query.
        name: of the file that the browser saves; None keeps what the API says.
    """

    def __init__(self, request: Request, who: SignedIn, path: str, name: str | None = None) -> None:
        super().__init__()
        self._app: ASGIApp = request.app
        self._caller = _caller(request, who)
        self._path, _, self._query = path.partition("?")
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer. Source: ASGI 3.0, HTTP connection scope."""

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Cache-Control"] = "no-store"
                if message["status"] == 200 and self._name is not None:
                    headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(self._name, safe='')}"
                message = {**message, "headers": headers.raw}
            await send(message)

        asked = {
            **scope,
            "method": "GET",
            "path": unquote(self._path),
            "raw_path": self._path.encode(),
            "query_string": self._query.encode(),
            "headers": [(name, value) for name, value in scope["headers"] if name in {b"host", b"user-agent"}],
            "state": {},
            IN_PROCESS: self._caller,
        }
        await self._app(asked, receive, send_named)


def address(path: str, query: Mapping[str, str] | None = None, **options: str | int) -> str:
    """Give a path of the API with its query; `top=5` stands for `$top=5`."""
    asked = urlencode({**(query or {}), **{f"${name}": str(value) for name, value in options.items()}})
    return f"{path}?{asked}" if asked else path


def following(found: Mapping[str, Any]) -> str:
    """Give the token of the page that follows one; empty where it was the last."""
    link = found.get("@odata.nextLink")
    return parse_qs(urlsplit(link).query)["$skiptoken"][0] if link else ""


def key(value: str) -> str:
    """Quote an id for a path."""
    return quote(value, safe="")


def quoted(text: str) -> str:
    """Write a text as a filter of the API has it."""
    return "'" + text.replace("'", "''") + "'"


@asynccontextmanager
async def of(request: Request, who: SignedIn) -> AsyncIterator[Api]:
    """Open the API for who is signed in, as they are now."""
    caller = _caller(request, who)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        inner: ASGIApp = request.app
        await inner({**scope, IN_PROCESS: caller}, receive, send)

    transport = httpx2.ASGITransport(app=app, client=(_address(request), 0))
    async with httpx2.AsyncClient(transport=transport, base_url=request.app.state.base_url, timeout=30) as client:
        yield Api(client)


def _only(match: str) -> dict[str, str]:
    return {"If-Match": match} if match else {}


def _caller(request: Request, who: SignedIn) -> Caller:
    person = Person(
        id=who.administrator.id,
        name=who.administrator.user_name,
        roles=frozenset(who.administrator.roles),
        scopes=_SCOPES,
        issued_at=who.signed_in_at,
    )
    return Caller(
        tenant=request.app.state.tenant,
        app_id=PORTAL,
        object_id=who.administrator.id,
        roles=frozenset(),
        person=person,
    )


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _content(answer: httpx2.Response) -> dict[str, Any]:
    if answer.is_success:
        return dict(answer.json()) if answer.content else {}
    try:
        error = answer.json()["error"]
        refusal = ApiRefusal(answer.status_code, str(error["code"]), str(error["message"]))
    except (ValueError, KeyError, TypeError):
        refusal = ApiRefusal(answer.status_code, "InternalError", f"The service answered {answer.status_code}.")
    raise refusal
