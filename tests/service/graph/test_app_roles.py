"""Permissions are granted and taken away as stock scripts do it, and nobody gives more than may be given."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from dirbridge.service.auth.applications import graph_resource
from tests.service.graph.conftest import World, code, message
from tests.service.graph.test_applications import person, principal

GRANT = "AppRoleAssignment.ReadWrite.All"
READ_USERS = "df021288-bdef-4463-88db-98f22de89214"


async def assign(
    world: World, app: dict[str, Any], role: str, headers: dict[str, str] | None = None, **more: str
) -> httpx2.Response:
    body = {"principalId": app["id"], "resourceId": await world.graph_id(), "appRoleId": role, **more}
    where = f"servicePrincipals/{app['id']}/appRoleAssignments"
    return await world.client.post(where, json=body, headers=headers or world.bearer(GRANT))


async def test_granted_listed_and_taken_away(world: World) -> None:
    """At both ends; a token that holds the permission ends with it."""
    app, graph = await principal(world), await world.graph_id()
    made = await assign(world, app, READ_USERS)
    assert made.status_code == 201, made.text
    one = made.json()
    assert (one["principalId"], one["resourceId"], one["appRoleId"]) == (app["id"], graph, READ_USERS)
    assert (one["principalDisplayName"], one["resourceDisplayName"]) == ("Reports", "Microsoft Graph")
    assert await world.run("select app_roles from service_principals where id = %s", [app["id"]]) == [
        (["User.Read.All"],)
    ]
    again = await assign(world, app, READ_USERS)
    assert (again.status_code, "already exists" in message(again)) == (400, True)
    mine = f"servicePrincipals/{app['id']}/appRoleAssignments"
    for where in (mine, f"servicePrincipals/{graph}/appRoleAssignedTo"):
        assert [each["id"] for each in (await world.get(where)).json()["value"]] == [one["id"]]
        assert (await world.get(f"{where}/{one['id']}")).json()["appRoleId"] == READ_USERS
    assert (await world.get(f"servicePrincipals/{app['id']}/appRoleAssignedTo")).json()["value"] == []
    token = world.tokens.issue_app(app_id=UUID(app["appId"]), object_id=UUID(app["id"]), roles=["User.Read.All"])
    theirs = {"Authorization": f"Bearer {token}"}
    assert (await world.client.get("users", headers=theirs)).status_code == 200
    assert (await world.client.delete(f"{mine}/{one['id']}", headers=world.bearer(GRANT))).status_code == 204
    assert (await world.client.get("users", headers=theirs)).status_code == 401
    assert (await world.client.delete(f"{mine}/{one['id']}", headers=world.bearer(GRANT))).status_code == 404
    acts = await world.run("select activity from audits where activity like '%%app role assignment%%' order by at")
    assert [each for (each,) in acts] == [
        "Add app role assignment to service principal", "Remove app role assignment from service principal",
    ]  # fmt: skip


async def test_granted_at_the_resource(world: World) -> None:
    """The other address of the same act."""
    app, graph = await principal(world), await world.graph_id()
    body = {"principalId": app["id"], "resourceId": graph, "appRoleId": READ_USERS}
    where = f"servicePrincipals/{graph}/appRoleAssignedTo"
    made = await world.client.post(where, json=body, headers=world.bearer(GRANT))
    assert made.status_code == 201, made.text
    assert (await world.client.delete(f"{where}/{made.json()['id']}", headers=world.bearer(GRANT))).status_code == 204


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"appRoleId": str(UUID(int=5))}, 400),
        ({"appRoleId": "e1fe6dd8-ba31-4d61-89e7-88639da4683d"}, 400),  # User.Read, which is for people only
        ({"appRoleId": "User.Read.All"}, 400),
        ({"resourceId": str(UUID(int=5))}, 400),
        ({"principalId": str(UUID(int=5)), "resourceId": str(UUID(int=6))}, 400),
    ],
)
async def test_what_cannot_be_granted(world: World, more: dict[str, str], status: int) -> None:
    """400 with the reason, and nothing is granted."""
    app = await principal(world)
    answer = await assign(world, app, READ_USERS, **more)
    assert (answer.status_code, bool(message(answer))) == (status, True), answer.text
    assert await world.run("select app_roles from service_principals where id = %s", [app["id"]]) == [([],)]


async def test_nobody_to_grant_to(world: World) -> None:
    """A user or group is no service principal; Graph itself is granted nothing."""
    graph = await world.graph_id()
    user = await world.user("Ada")
    where = f"servicePrincipals/{graph}/appRoleAssignedTo"
    for id, status in ((str(user), 404), (str(uuid4()), 404), (graph, 400)):
        body = {"principalId": id, "resourceId": graph, "appRoleId": READ_USERS}
        answer = await world.client.post(where, json=body, headers=world.bearer(GRANT))
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize("name", ["x", "AAAA", "%00", "a" * 43, "ü"])
async def test_an_assignment_that_is_not_there(world: World, name: str) -> None:
    """404, or 400 where it can be none."""
    app = await principal(world)
    where = f"servicePrincipals/{app['id']}/appRoleAssignments/{name}"
    assert (await world.client.delete(where, headers=world.bearer(GRANT))).status_code in {400, 404}
    assert (await world.client.get(where)).status_code in {400, 404}


async def test_who_may_grant_what(world: World) -> None:
    """The permission to grant, and for a person a role; what reaches beyond applications is for the highest role."""
    app = await principal(world)
    ids = graph_resource.app_role_ids()

    async def tried(permission: str, headers: dict[str, str]) -> int:
        answer = await assign(world, app, str(ids[permission]), headers)
        if answer.status_code == 201:
            await world.run("update service_principals set app_roles = '{}' where id = %s", [app["id"]])
        return answer.status_code

    middle = await person(world, "Application Administrator", scopes=(GRANT,))
    highest = await person(world, "Global Administrator", scopes=(GRANT,))
    for permission in ("RoleManagement.ReadWrite.Directory", GRANT, "Directory.ReadWrite.All", "User.ReadWrite.All"):
        assert await tried(permission, middle) == 403
        assert await tried(permission, highest) == 201
        assert await tried(permission, world.bearer("Application.ReadWrite.All")) == 403
        assert await tried(permission, world.bearer(GRANT)) == 201
    for permission in ("User.Read.All", "Synchronization.ReadWrite.All", "Application.ReadWrite.All"):
        assert await tried(permission, middle) == 201
    assert await tried("User.Read.All", await person(world, "User Administrator", scopes=(GRANT,))) == 403
    assert code(await assign(world, app, READ_USERS, world.bearer("User.Read.All"))) == "Authorization_RequestDenied"
