"""Signing keys over the API: listed, rotated, removed, by whom it is fit."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI

from dirbridge.service.auth.permissions import ROLES
from dirbridge.service.setup import Identity
from tests.service import registered
from tests.service.conftest import BASE_URL, client, identity, made, service, settings

__all__ = ["client", "identity", "made", "service", "settings"]

WHERE = f"{BASE_URL}/beta/dirbridge/signingKeys"
WRITE, READ = "Organization.ReadWrite.All", "Organization.Read.All"


@pytest.fixture
async def api(service: FastAPI, identity: Identity) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=service)
    async with httpx2.AsyncClient(transport=transport, headers=registered.bearer(identity.tokens, WRITE)) as opened:
        yield opened


async def states(api: httpx2.AsyncClient) -> list[str]:
    answer = await api.get(WHERE)
    assert answer.status_code == 200, answer.text
    return [each["state"] for each in answer.json()["value"]]


async def test_from_one_key_to_the_next(api: httpx2.AsyncClient) -> None:
    """A key waits, signs when told to, the old one verifies on; each says until when."""
    assert await states(api) == ["signing"]
    made = await api.post(WHERE, json={"delayHours": 1})
    assert (made.status_code, made.json()["state"]) == (201, "waiting")
    assert await states(api) == ["waiting", "signing"]
    assert (await api.post(WHERE, json={"delayHours": 0})).json()["id"] == made.json()["id"]
    assert await states(api) == ["signing", "verifying"]
    new, old = (await api.get(WHERE)).json()["value"]
    assert new["removedFromDateTime"] is None
    assert old["removedFromDateTime"] > new["signsFromDateTime"]


async def test_removing_the_signing_key_shuts_everybody_out_once(api: httpx2.AsyncClient, identity: Identity) -> None:
    """The caller's own token is refused by the next reading of the keys; a new one is good."""
    ((key),) = (await api.get(WHERE)).json()["value"]
    assert (await api.delete(f"{WHERE}/{key['id']}")).status_code == 204
    identity.tokens._read_at -= 5
    refused = await api.get(WHERE)
    assert refused.status_code == 401
    assert "not by a key of this service" in refused.json()["error"]["message"]
    api.headers.update(registered.bearer(identity.tokens, WRITE))
    assert await states(api) == ["signing"]


async def test_a_key_that_is_not_there(api: httpx2.AsyncClient) -> None:
    """404, whatever the name."""
    for name in ("nobody", "%00", "%F0%9F%94%91"):
        answer = await api.delete(f"{WHERE}/{name}")
        assert answer.status_code in {400, 404}, answer.text
    assert await states(api) == ["signing"]


@pytest.mark.parametrize("body", [{"delayHours": -1}, {"delayHours": 721}, {"delayHours": "soon"}, {"delay": 1}, [], 5])
async def test_a_wish_that_does_not_fit(api: httpx2.AsyncClient, body: Any) -> None:
    """400, and no key is made."""
    answer = await api.post(WHERE, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    assert await states(api) == ["signing"]


async def test_who_may(api: httpx2.AsyncClient, identity: Identity) -> None:
    """Reading is for readers, all else for Global Administrators and applications that may change the tenant."""

    def person(role: str, scope: str) -> dict[str, str]:
        token = identity.tokens.issue_person(
            app_id=registered.CLIENT, person=registered.PRINCIPAL, user_name="x", display_name="",
            roles=[ROLES[role]], scopes=[scope],
        )  # fmt: skip
        return {"Authorization": f"Bearer {token}"}

    reader = registered.bearer(identity.tokens, READ)
    assert (await api.get(WHERE, headers=reader)).status_code == 200
    assert (await api.post(WHERE, headers=reader)).status_code == 403
    assert (await api.delete(f"{WHERE}/x", headers=reader)).status_code == 403
    assert (await api.get(WHERE, headers=registered.bearer(identity.tokens, "User.Read.All"))).status_code == 403
    # Nobody with these ids is an administrator: a token for them is refused before its roles are looked at.
    assert (await api.post(WHERE, headers=person("Global Administrator", WRITE))).status_code == 401


async def test_metadata_and_published_keys_agree(api: httpx2.AsyncClient, identity: Identity) -> None:
    """What is listed is what stock clients find at jwks_uri."""
    await api.post(WHERE, json={"delayHours": 24})
    identity.tokens._read_at -= 5
    published = (await api.get(f"{BASE_URL}/{identity.tenant.id}/discovery/v2.0/keys")).json()["keys"]
    listed = (await api.get(WHERE)).json()["value"]
    assert {each["kid"] for each in published} == {each["id"] for each in listed}
    assert all(re.fullmatch(r"[\w-]{43}", each["id"]) for each in listed)
