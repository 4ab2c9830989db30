"""Every route asks who is calling and whether they may."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, LiteralString
from uuid import uuid4

import httpx2
import pytest
from fastapi import Depends, FastAPI

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.setup import Identity
from dirbridge.store import applications
from dirbridge.store.database import Database
from tests.service import registered
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
    return registered.bearer(identity.tokens, *roles)


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


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("update service_principals set is_enabled = false where id = %s", "is disabled"),
        ("delete from service_principals where id = %s", "was deleted"),
        ("update service_principals set tokens_not_before = now() where id = %s", "was revoked"),
    ],
)
async def test_application_is_shut_out_at_once(
    guarded: httpx2.AsyncClient, identity: Identity, database: Database, statement: LiteralString, reason: str
) -> None:
    """The same token, good a moment ago, is refused with the reason at the next request."""
    headers = bearer(identity, "User.Read.All")
    assert (await guarded.get("/beta/guarded", headers=headers)).status_code == 200
    async with database.connection() as conn:
        await conn.execute(statement, [registered.PRINCIPAL])
    answer = await guarded.get("/beta/guarded", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    assert reason in answer.json()["error"]["message"]
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_token_that_is_issued_after_a_revocation_is_good(
    guarded: httpx2.AsyncClient, identity: Identity, database: Database
) -> None:
    """Only what was issued before is void."""
    async with database.connection() as conn:
        await applications.revoke_tokens(conn, identity.tenant.id, registered.PRINCIPAL)
        await conn.execute("update service_principals set tokens_not_before = tokens_not_before - interval '2 seconds'")
    assert (await guarded.get("/beta/guarded", headers=bearer(identity, "User.Read.All"))).status_code == 200


async def test_application_that_was_made_anew_does_not_take_its_tokens_over(
    guarded: httpx2.AsyncClient, identity: Identity, database: Database
) -> None:
    """The client id alone is not enough: the object must be the one that the token was issued to."""
    headers = bearer(identity, "User.Read.All")
    async with database.connection() as conn:
        await conn.execute("update service_principals set id = %s where id = %s", [uuid4(), registered.PRINCIPAL])
    assert (await guarded.get("/beta/guarded", headers=headers)).status_code == 401
