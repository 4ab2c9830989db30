"""The service's own API, called for the person at the browser, without a way over the network.

A page asks as a client would: the same routes check the person's roles, write the audit trail and refuse. What the
application is asked for here carries the caller in its scope, which no request from outside can.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import httpx2
from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

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

    async def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Read a path such as `/v1.0/users`; `top=5` stands for `$top=5`.

        Raises:
            ApiRefusal: the API refuses.
        """
        asked = urlencode({f"${name}": str(value) for name, value in query.items()})
        return _content(await self.client.get(f"{path}?{asked}" if asked else path))

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Do something."""
        return _content(await self.client.post(path, json=None if body is None else dict(body)))


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
