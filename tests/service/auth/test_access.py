"""Every route asks who is calling and whether they may."""

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import Depends, FastAPI

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.setup import Identity
from tests.service.conftest import BASE_URL

READ = require("User.Read.All", "User.ReadWrite.All")


@pytest.fixture
async def guarded(service: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service with one more route."""

    @service.get("/beta/guarded")
    async def route(caller: Annotated[Caller, Depends(READ)]) -> dict[str, Any]:
        return {"app": str(caller.app_id), "actor": caller.actor, "roles": sorted(caller.roles)}

    transport = httpx2.ASGITransport(app=service)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as opened:
        yield opened


def bearer(identity: Identity, *roles: str) -> dict[str, str]:
    token = identity.tokens.issue_app(app_id=uuid4(), object_id=uuid4(), roles=roles)
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("role", ["User.Read.All", "User.ReadWrite.All"])
async def test_any_of_the_permissions_is_enough(guarded: httpx2.AsyncClient, identity: Identity, role: str) -> None:
    """One of those that the route names."""
    answer = await guarded.get("/beta/guarded", headers=bearer(identity, role, "Group.Read.All"))
    assert answer.status_code == 200
    assert answer.json()["roles"] == sorted([role, "Group.Read.All"])


@pytest.mark.parametrize("roles", [(), ("Group.ReadWrite.All",), ("user.read.all",)])
async def test_other_permissions_are_not(guarded: httpx2.AsyncClient, identity: Identity, roles: tuple[str]) -> None:
    """403 in Graph's envelope, naming what is missing."""
    answer = await guarded.get("/beta/guarded", headers=bearer(identity, *roles))
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert error["code"] == "Authorization_RequestDenied"
    assert "User.Read.All" in error["message"]
    assert error["innerError"]["request-id"] == answer.headers["request-id"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "Access token is empty."),
        ("", "Access token is empty."),
        ("Bearer", "Access token is empty."),
        ("Bearer   ", "Access token is empty."),
        ("Basic YTpi", "The authorization scheme is 'Basic', Bearer is expected."),
        ("Bearer a.b.c", "The access token is refused"),
    ],
)
async def test_without_a_token_there_is_a_challenge(
    guarded: httpx2.AsyncClient, identity: Identity, header: str | None, message: str
) -> None:
    """401 in Graph's envelope, with the address to get a token from."""
    answer = await guarded.get("/beta/guarded", headers={} if header is None else {"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers.get_list("www-authenticate")[0].startswith(
        f'Bearer realm="", authorization_uri="{BASE_URL}/{identity.tenant.id}/oauth2/v2.0/authorize"'
    )
    error = answer.json()["error"]
    assert error["code"] == "InvalidAuthenticationToken"
    assert message in error["message"]


async def test_agents_token_opens_no_route_of_the_api(guarded: httpx2.AsyncClient, identity: Identity) -> None:
    """It is for the agents' door."""
    token = identity.tokens.issue_agent(uuid4())
    answer = await guarded.get("/beta/guarded", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
