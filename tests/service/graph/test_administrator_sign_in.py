"""Sessions, lock-out and second factor of one administrator, in the hands of another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from dirbridge.service.auth.sign_in import guesses as sign_in_guesses
from dirbridge.store import guesses, people, sessions
from dirbridge.store.sessions import Session
from tests.service.graph.conftest import BASE, TENANT, World, code

WHERE = f"{BASE}/beta/dirbridge/administrators"
ADA = f"{WHERE}/ada@contoso.test"


@pytest.fixture
async def ada(world: World) -> UUID:
    """An administrator."""
    id = uuid4()
    async with world.database.transaction() as conn:
        await people.add(conn, TENANT, id, user_name="ada@contoso.test", password_hash="x", roles=["Reports Reader"])
    world.client.headers.update(world.bearer("RoleManagement.ReadWrite.Directory"))
    return id


async def open_session(world: World, ada: UUID, number: int) -> UUID:
    at, id = datetime.now(UTC) - timedelta(hours=number), uuid4()
    session = Session(bytes([number]) * 32, id, ada, at, at, at + timedelta(days=1), ["pwd"], "192.0.2.1", "Firefox")
    async with world.database.transaction() as conn:
        assert await sessions.add(conn, TENANT, session, at)
    return id


async def listed(world: World) -> list[dict[str, Any]]:
    answer = await world.client.get(f"{ADA}/sessions")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["value"]
    return found


async def acts(world: World) -> list[str]:
    return [row[0] for row in await world.run("select activity from audits order by at, id")]


async def test_sessions_are_listed_and_ended(world: World, ada: UUID) -> None:
    """The one seen last first; one by its id, or all; those that nobody used for too long are none."""
    first, second, _idle = [await open_session(world, ada, number) for number in (1, 2, 9)]
    found = await listed(world)
    assert [each["id"] for each in found] == [str(first), str(second)]
    assert {name: found[0][name] for name in ("authenticationMethods", "ipAddress", "browser")} == {
        "authenticationMethods": ["pwd"], "ipAddress": "192.0.2.1", "browser": "Firefox",
    }  # fmt: skip
    assert (await world.client.delete(f"{ADA}/sessions/{first}")).status_code == 204
    for gone in (first, uuid4(), "x"):
        assert (await world.client.delete(f"{ADA}/sessions/{gone}")).status_code == 404
    assert [each["id"] for each in await listed(world)] == [str(second)]
    assert (await world.client.post(f"{ADA}/revokeSignInSessions")).status_code == 204
    assert await listed(world) == []
    ((refused,),) = await world.run("select tokens_not_before > now() - interval '1 minute' from administrators")
    assert refused
    assert await acts(world) == ["End session of administrator", "Revoke sign-in sessions of administrator"]


async def test_unlock_forgets_the_attempts(world: World, ada: UUID) -> None:
    """At the name and at the codes."""
    keys = [sign_in_guesses.of_name("ADA@contoso.test"), sign_in_guesses.of_code(ada)]
    async with world.database.transaction() as conn:
        for key in [*keys, sign_in_guesses.of_name("bob@contoso.test")]:
            assert await guesses.count(conn, TENANT, key, 1, datetime.now(UTC)) is None
    assert (await world.client.post(f"{ADA}/unlock")).status_code == 204
    assert await world.run("select count(*) from guesses") == [(1,)]
    assert await acts(world) == ["Unlock administrator"]


async def test_a_second_factor_is_reset(world: World, ada: UUID) -> None:
    """What is not there cannot be."""
    await world.run("update administrators set totp_secret = 'x', totp_confirmed = true")
    assert (await world.client.get(ADA)).json()["hasSecondFactor"] is True
    assert (await world.client.post(f"{ADA}/resetSecondFactor")).status_code == 204
    assert (await world.client.get(ADA)).json()["hasSecondFactor"] is False
    answer = await world.client.post(f"{ADA}/resetSecondFactor")
    assert (answer.status_code, code(answer)) == (400, "NoSecondFactor")
    assert await acts(world) == ["Reset second factor of administrator"]


async def test_an_outside_person_is_unlinked(world: World, ada: UUID) -> None:
    """So that another one of that provider can take the place."""
    await world.run("update administrators set external_subject = 'https://idp.example 7'")
    assert (await world.client.get(ADA)).json()["externalSubject"] == "https://idp.example 7"
    assert (await world.client.post(f"{ADA}/unlink")).status_code == 204
    assert (await world.client.get(ADA)).json()["externalSubject"] is None
    answer = await world.client.post(f"{ADA}/unlink")
    assert (answer.status_code, code(answer)) == (400, "NotLinked")
    assert await acts(world) == ["Unlink administrator"]


@pytest.mark.parametrize("change", [{"roles": ["Global Reader"]}, {"accountEnabled": False}, {"password": None}, None])
async def test_a_change_ends_the_sessions(world: World, ada: UUID, change: dict[str, Any] | None) -> None:
    """Of roles, of password, disabling, removal; a new display name does not."""
    grace = {"userName": "grace@contoso.test", "roles": ["Global Administrator"]}
    assert (await world.client.post(WHERE, json=grace)).status_code == 201
    await open_session(world, ada, 1)
    assert (await world.client.patch(ADA, json={"displayName": "Ada L."})).status_code == 204
    assert await world.run("select count(*) from sessions") == [(1,)]
    if change is None:
        answer = await world.client.delete(ADA)
    elif "password" in change:
        answer = await world.client.post(f"{ADA}/resetPassword", json={})
    else:
        answer = await world.client.patch(ADA, json=change)
    assert answer.status_code in {200, 204}, answer.text
    assert await world.run("select count(*) from sessions") == [(0,)]


async def test_readers_change_nothing(world: World, ada: UUID) -> None:
    """Reading takes RoleManagement.Read.Directory, everything else ReadWrite."""
    reader = world.bearer("RoleManagement.Read.Directory")
    assert (await world.client.get(f"{ADA}/sessions", headers=reader)).status_code == 200
    tries: list[httpx2.Response] = [await world.client.delete(f"{ADA}/sessions/{ada}", headers=reader)]
    for act in ("revokeSignInSessions", "unlock", "resetSecondFactor", "unlink"):
        tries.append(await world.client.post(f"{ADA}/{act}", headers=reader))
        assert (await world.client.post(f"{WHERE}/nobody@contoso.test/{act}")).status_code == 404
    assert [answer.status_code for answer in tries] == [403] * 5
