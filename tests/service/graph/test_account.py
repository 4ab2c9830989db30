"""The synchronization service account over the API: seen, broken, repaired."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dirbridge.service.auth.sealing import Sealing
from dirbridge.store.identifiers import new_id
from dirbridge.tenant import account
from tests.service.graph.conftest import BASE, TENANT, World, message

WHERE = f"{BASE}/beta/dirbridge/synchronizationAccount"


@pytest.fixture
async def office(world: World) -> World:
    """A tenant with its account."""
    async with world.database.transaction() as conn:
        await account.ensure(conn, TENANT, Sealing([bytes(32)]), new_id, datetime.now(UTC))
    return world


async def shown(world: World) -> dict[str, Any]:
    answer = await world.get(WHERE)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_it_is_a_user_like_any_other(office: World) -> None:
    """Listed, found by name, disabled by PATCH, and its state says so."""
    name = (await shown(office))["userPrincipalName"]
    assert name.startswith("ADToAADSyncServiceAccount@")
    user = (await office.get(f"users/{name}")).json()
    assert user["displayName"] == account.DISPLAY_NAME
    assert (await shown(office))["error"] is None
    answer = await office.client.patch(f"users/{user['id']}", json={"accountEnabled": False})
    assert answer.status_code == 204, answer.text
    now = await shown(office)
    assert (now["accountEnabled"], now["error"]["code"]) == (False, "AzureActiveDirectoryAuthenticationFailed")


async def test_deleted_and_repaired(office: World) -> None:
    """The repair says what it did, and the user has its id back."""
    before = await shown(office)
    assert (await office.client.delete(f"users/{before['id']}")).status_code == 204
    assert (await shown(office))["error"]["code"] == "AzureActiveDirectoryInvalidCredential"
    answer = await office.client.post(f"{WHERE}/repair")
    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert (done["repaired"], done["error"], done["id"]) == (["restored", "credential"], None, before["id"])
    rows = await office.run("select activity from audits where activity like 'Repair%%'")
    assert rows == [("Repair synchronization account",)]


@pytest.mark.parametrize("text", ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00", "soon"])
async def test_an_end_that_is_none_is_refused(office: World, text: str) -> None:
    """Credentials end in the future, at a time with its zone."""
    answer = await office.client.post(f"{WHERE}/repair", json={"expirationDateTime": text})
    assert answer.status_code == 400
    assert "expirationDateTime" in message(answer)


async def test_who_may_not(office: World) -> None:
    """Reading the state is for readers of jobs, repairing it for those who may change them."""
    for method, path in (("GET", WHERE), ("POST", f"{WHERE}/repair")):
        answer = await office.client.request(method, path, headers=office.bearer("User.Read.All"))
        assert answer.status_code == 403
    answer = await office.client.post(f"{WHERE}/repair", headers=office.bearer("Synchronization.Read.All"))
    assert answer.status_code == 403


async def test_a_tenant_without_one(world: World) -> None:
    """Nothing to show but the reason, and a repair makes it."""
    now = await shown(world)
    assert (now["id"], now["error"]["code"]) == (None, "AzureActiveDirectoryInvalidCredential")
    answer = await world.client.post(f"{WHERE}/repair")
    assert answer.json()["repaired"] == ["created", "credential"]
