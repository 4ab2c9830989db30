"""The OAuth 2 doors, as stock clients use them and as they are refused."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from dirbridge.service.auth import secrets
from dirbridge.service.setup import PERMISSIONS, Identity, Initialised
from dirbridge.store import identity as identities
from dirbridge.store.database import Database
from tests.service.conftest import BASE_URL

SCOPE = "https://graph.microsoft.com/.default"


def form(made: Initialised, **changed: str | None) -> dict[str, str]:
    wanted = {
        "grant_type": "client_credentials",
        "client_id": str(made.client_id),
        "client_secret": made.client_secret,
        "scope": SCOPE,
        **changed,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def path(made: Initialised) -> str:
    return f"/{made.tenant.id}/oauth2/v2.0/token"


async def test_client_secret_gives_a_token_that_is_accepted(
    client: httpx2.AsyncClient, made: Initialised, identity: Identity
) -> None:
    """The whole way of a stock client: discovery, token, claims."""
    found = (await client.get(f"/{made.tenant.id}/v2.0/.well-known/openid-configuration")).json()
    assert found["issuer"] == f"{BASE_URL}/{made.tenant.id}/v2.0"
    answer = await client.post(found["token_endpoint"], data=form(made))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    claims = identity.tokens.verify_graph(body.pop("access_token"))
    assert body == {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599}
    assert sorted(claims["roles"]) == sorted(PERMISSIONS)
    keys = (await client.get(found["jwks_uri"])).json()["keys"]
    assert [key["alg"] for key in keys] == ["RS256"]


async def test_extras_of_stock_clients_are_tolerated(client: httpx2.AsyncClient, made: Initialised) -> None:
    """What msal and msgraph-sdk add to form and headers changes nothing."""
    extras = {"client_info": "1", "claims": '{"access_token":{"xms_cc":{"values":["CP1"]}}}'}
    headers = {
        "x-client-sku": "MSAL.Python",
        "x-client-current-telemetry": "4|730,2|",
        "x-ms-lib-capability": "retry-after, h429",
        "client-request-id": str(uuid4()),
    }
    answer = await client.post(path(made), data=form(made, **extras), headers=headers)
    assert answer.status_code == 200


async def test_secret_in_the_header_is_as_good(client: httpx2.AsyncClient, made: Initialised) -> None:
    """HTTP Basic with id and secret."""
    assert made.client_secret is not None
    answer = await client.post(
        path(made),
        data=form(made, client_id=None, client_secret=None),
        auth=(str(made.client_id), made.client_secret),
    )
    assert answer.status_code == 200


@pytest.mark.parametrize("tenant", ["contoso.test", "CONTOSO.dirbridge.local", "common", "organizations"])
async def test_tenant_goes_by_every_of_its_names(client: httpx2.AsyncClient, made: Initialised, tenant: str) -> None:
    """Id, verified domains, and the names that mean any tenant."""
    found = (await client.get(f"/{tenant}/v2.0/.well-known/openid-configuration")).json()
    assert found["token_endpoint"] == BASE_URL + path(made)
    assert (await client.post(f"/{tenant}/oauth2/v2.0/token", data=form(made))).status_code == 200


@pytest.mark.parametrize(
    "scope",
    [
        "https://graph.microsoft.com/.default",
        "https://graph.microsoft.com//.default",
        "00000003-0000-0000-c000-000000000000/.default",
        "https://dirbridge.example/.default",
        "https://dirbridge.example:8443/.default",
        ".default",
    ],
)
async def test_scope_is_accepted_by_every_name_of_the_api(
    client: httpx2.AsyncClient, made: Initialised, scope: str
) -> None:
    """Graph's names and ours, with and without the port."""
    assert (await client.post(path(made), data=form(made, scope=scope))).status_code == 200


@pytest.mark.parametrize(
    ("changed", "status", "error", "number"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": None}, 401, "invalid_client", 7000218),
        ({"client_secret": None, "client_assertion": "a.b.c"}, 400, "invalid_request", 900144),
        ({"client_id": str(uuid4())}, 400, "unauthorized_client", 700016),
        ({"client_id": "nobody"}, 400, "unauthorized_client", 700016),
        ({"client_id": None}, 400, "invalid_request", 900144),
        ({"grant_type": None}, 400, "invalid_request", 900144),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        ({"scope": None}, 400, "invalid_request", 900144),
        ({"scope": "User.Read"}, 400, "invalid_scope", 1002012),
        ({"scope": "https://other.example/.default"}, 400, "invalid_resource", 500011),
        ({"scope": "https://[/.default"}, 400, "invalid_resource", 500011),
        ({"scope": "http://dirbridge.example/.default"}, 400, "invalid_resource", 500011),
    ],
)
async def test_refusal_says_what_is_wrong(
    client: httpx2.AsyncClient, made: Initialised, changed: dict[str, Any], status: int, error: str, number: int
) -> None:
    """OAuth's word, the number that scripts look for, the client's own correlation id, and never the secret."""
    correlation_id = str(uuid4())
    answer = await client.post(path(made), data=form(made, **changed), headers={"client-request-id": correlation_id})
    assert answer.status_code == status
    body = answer.json()
    assert (body["error"], body["error_codes"]) == (error, [number])
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    assert body["correlation_id"] == correlation_id
    assert body["correlation_id"] in body["error_description"]
    assert "access_token" not in body
    assert str(made.client_secret) not in answer.text


async def test_unknown_tenant_is_named(client: httpx2.AsyncClient, made: Initialised) -> None:
    """Neither discovery nor tokens for a tenant that is none of ours."""
    for answer in (
        await client.get("/nobody.example/v2.0/.well-known/openid-configuration"),
        await client.get("/nobody.example/discovery/v2.0/keys"),
        await client.post("/nobody.example/oauth2/v2.0/token", data=form(made)),
    ):
        assert answer.status_code == 400
        assert answer.json()["error_codes"] == [90002]
        assert "'nobody.example'" in answer.json()["error_description"]


async def test_body_that_is_no_form_is_refused(client: httpx2.AsyncClient, made: Initialised) -> None:
    """JSON, a form of a megabyte, and a parameter given twice."""
    wrong_type = await client.post(path(made), json=form(made))
    assert (wrong_type.status_code, wrong_type.json()["error"]) == (400, "invalid_request")
    too_large = await client.post(path(made), data={**form(made), "claims": "x" * 2**20})
    assert (too_large.status_code, too_large.json()["error"]) == (413, "invalid_request")
    twice = await client.post(path(made), data={**form(made), "scope": [SCOPE, SCOPE]})
    assert (twice.status_code, twice.json()["error_codes"]) == (400, [90100])


async def test_expired_secret_is_told_from_a_wrong_one(
    client: httpx2.AsyncClient, made: Initialised, database: Database
) -> None:
    """Its owner learns that it was right once."""
    expired = secrets.new_client_secret()
    async with database.transaction() as conn:
        principal = await identities.service_principal_by_app(conn, made.tenant.id, made.client_id)
        assert principal is not None
        await identities.add_credential(
            conn,
            made.tenant.id,
            principal.id,
            uuid4(),
            display_name="old",
            secret_hash=await secrets.hash_client_secret(expired),
            hint=expired[:3],
            expires_at=datetime.now(UTC) - timedelta(days=1),
        )
    answer = await client.post(path(made), data=form(made, client_secret=expired))
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [7000222])
    assert (await client.post(path(made), data=form(made))).status_code == 200


async def test_disabled_application_gets_no_token(
    client: httpx2.AsyncClient, made: Initialised, database: Database
) -> None:
    """Its secret is right, and not enough."""
    async with database.connection() as conn:
        await conn.execute("update service_principals set is_enabled = false where app_id = %s", [made.client_id])
    answer = await client.post(path(made), data=form(made))
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [7000112])


async def test_many_at_once_are_all_answered(client: httpx2.AsyncClient, made: Initialised) -> None:
    """Checking secrets in threads neither loses nor mixes up requests."""
    wanted = [form(made) if number % 2 else form(made, client_secret="wrong") for number in range(20)]
    answers = await asyncio.gather(*(client.post(path(made), data=each) for each in wanted))
    assert [answer.status_code for answer in answers] == [401, 200] * 10


async def test_credential_that_is_removed_while_it_is_looked_at_brings_no_token(
    client: httpx2.AsyncClient, made: Initialised, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sends many requests at once has some of them wait; none outlives the removal."""
    matches = secrets.matches

    async def slowly(hashed: str, given: str) -> bool:
        async with database.transaction() as conn:
            await conn.execute("delete from service_principal_credentials")
        return await matches(hashed, given)

    monkeypatch.setattr(secrets, "matches", slowly)
    answer = await client.post(path(made), data=form(made))
    assert (answer.status_code, answer.json()["error_codes"]) == (401, [7000215])


async def test_permission_that_is_taken_while_a_secret_is_looked_at_is_not_in_the_token(
    client: httpx2.AsyncClient,
    made: Initialised,
    identity: Identity,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The token has the permissions of the moment when it was made."""
    matches = secrets.matches

    async def slowly(hashed: str, given: str) -> bool:
        async with database.transaction() as conn:
            await conn.execute("update service_principals set app_roles = '{User.Read.All}'")
        return await matches(hashed, given)

    monkeypatch.setattr(secrets, "matches", slowly)
    answer = await client.post(path(made), data=form(made))
    assert identity.tokens.verify_graph(answer.json()["access_token"])["roles"] == ["User.Read.All"]


async def test_text_that_no_database_keeps_is_refused(client: httpx2.AsyncClient, made: Initialised) -> None:
    """U+0000 anywhere in a form is told as such."""
    answer = await client.post(path(made), data=form(made, scope=f"{SCOPE}\0"))
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90100])
