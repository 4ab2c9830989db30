"""Owners: who they are, and that Application.ReadWrite.OwnedBy is good for what one owns, here and at jobs."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.service import registered
from tests.service.graph.conftest import BASE, World, add_job, code
from tests.service.graph.test_applications import WRITE, person, principal

OWNED = "Application.ReadWrite.OwnedBy"


def address(id: object, place: str = "directoryObjects") -> dict[str, str]:
    return {"@odata.id": f"{BASE}/v1.0/{place}/{id}"}


async def test_added_listed_and_removed(world: World) -> None:
    """Applications and administrators; the application and its service principal have the same."""
    app, other = await principal(world), await principal(world, "Other")
    await person(world, "Global Administrator")
    ((admin, name),) = await world.run("select id, user_name from administrators")
    where, headers = f"servicePrincipals/{app['id']}/owners", world.bearer(WRITE)
    for body in (address(other["id"]), address(admin, "users")):
        assert (await world.client.post(f"{where}/$ref", json=body, headers=headers)).status_code == 204
    twice = await world.client.post(f"{where}/$ref", json=address(admin), headers=headers)
    assert (twice.status_code, code(twice)) == (400, "Request_BadRequest")
    shown = (await world.get(f"applications/{app['appId']}/owners")).json()["value"]
    assert {each["id"]: each["@odata.type"] for each in shown} == {
        str(registered.PRINCIPAL): "#microsoft.graph.servicePrincipal",
        other["id"]: "#microsoft.graph.servicePrincipal",
        str(admin): "#microsoft.graph.user",
    }
    assert next(each for each in shown if each["id"] == str(admin))["userPrincipalName"] == name
    assert len((await world.get(f"{where}/$ref")).json()["value"]) == 3
    assert (await world.client.delete(f"{where}/{admin}/$ref", headers=headers)).status_code == 204
    assert (await world.client.delete(f"{where}/{admin}/$ref", headers=headers)).status_code == 404
    assert (await world.client.delete(f"servicePrincipals/{other['id']}", headers=headers)).status_code == 204
    await world.client.delete(f"applications/{other['appId']}", headers=headers)
    assert [each["id"] for each in (await world.get(where)).json()["value"]] == [str(registered.PRINCIPAL)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (address(uuid4()), 404),
        (address("x"), 400),
        (address(uuid4(), "groups"), 400),
        ({"@odata.id": "nowhere"}, 400),
        ({"@odata.id": "http://[::1"}, 400),
        ({}, 400),
    ],
)
async def test_an_owner_that_there_cannot_be(world: World, body: Any, status: int) -> None:
    """Nobody of that id, or no address."""
    app = await principal(world)
    where = f"servicePrincipals/{app['id']}/owners/$ref"
    answer = await world.client.post(where, json=body, headers=world.bearer(WRITE))
    assert answer.status_code == status, answer.text


async def test_owned_by_is_for_the_owner(world: World) -> None:
    """Reading is for all, changing for the owner; who registers with it owns what was registered."""
    mine = await principal(world)
    theirs = await principal(world, "Theirs")
    await world.run("delete from application_owners where service_principal = %s", [theirs["id"]])
    headers = world.bearer(OWNED)
    for app, expected in ((mine, {200, 204}), (theirs, {403})):
        where = f"servicePrincipals/{app['id']}"
        assert (await world.client.get(where, headers=headers)).status_code == 200
        tried = [
            await world.client.patch(where, json={"description": "x"}, headers=headers),
            await world.client.patch(f"applications/{app['appId']}", json={"description": "x"}, headers=headers),
            await world.client.post(f"{where}/addPassword", json={}, headers=headers),
            await world.client.post(f"{where}/owners/$ref", json=address(theirs["id"]), headers=headers),
        ]
        assert {each.status_code for each in tried} <= expected, [each.text for each in tried]
    assert (await world.client.delete(f"applications/{theirs['appId']}", headers=headers)).status_code == 403
    made = await world.client.post("applications", json={"displayName": "New"}, headers=headers)
    assert made.status_code == 201
    created = await world.client.post("servicePrincipals", json={"appId": made.json()["appId"]}, headers=headers)
    assert created.status_code == 201, created.text
    registered_only = await world.client.post(
        "applications", json={"displayName": "Foreign"}, headers=world.bearer(WRITE)
    )
    await world.run("delete from application_owners")
    refused = await world.client.post(
        "servicePrincipals", json={"appId": registered_only.json()["appId"]}, headers=headers
    )
    assert refused.status_code == 403


async def test_jobs_are_the_owners_too(world: World) -> None:
    """Each address below a configuration, unless another permission is good for it."""
    id = await add_job(world)
    job = f"servicePrincipals/{id}/synchronization/jobs/AD2AADProvisioning.test"
    ours = f"{BASE}/beta/dirbridge/jobs/AD2AADProvisioning.test"
    owned, both = world.bearer(OWNED), world.bearer(OWNED, "Synchronization.Read.All")
    ((app,),) = await world.run("select app_id from service_principals where id = %s", [id])

    async def tried(headers: dict[str, str]) -> list[int]:
        return [
            (await world.client.get(f"servicePrincipals/{id}/synchronization/jobs", headers=headers)).status_code,
            (await world.client.get(f"applications/{app}/synchronization/templates", headers=headers)).status_code,
            (await world.client.get(job, headers=headers)).status_code,
            (await world.client.get(f"{job}/schema", headers=headers)).status_code,
            (await world.client.post(f"{job}/pause", headers=headers)).status_code,
            (await world.client.post(f"{ours}/clearQuarantine", headers=headers)).status_code,
        ]

    assert await tried(owned) == [403] * 6
    assert await tried(both) == [200, 200, 200, 200, 403, 403]
    await world.run(
        "insert into application_owners (tenant, service_principal, application) select tenant, id, %s"
        " from service_principals where id = %s",
        (registered.PRINCIPAL, id),
    )
    assert await tried(owned) == [200, 200, 200, 200, 204, 204]


async def test_who_instantiates_a_template_owns_the_configuration(world: World) -> None:
    """So that a provisioning tool can go on with what it made."""
    template = "1a4721b3-e57f-4451-ae87-ef078703ec94"
    made = await world.client.post(
        f"applicationTemplates/{template}/instantiate", json={"displayName": "contoso.test"},
        headers=world.bearer(OWNED),
    )  # fmt: skip
    assert made.status_code == 201, made.text
    id = made.json()["servicePrincipal"]["objectId"]
    assert UUID(id)
    jobs = await world.client.post(
        f"servicePrincipals/{id}/synchronization/jobs", json={"templateId": "AD2AADProvisioning"},
        headers=world.bearer(OWNED),
    )  # fmt: skip
    assert jobs.status_code == 201, jobs.text
