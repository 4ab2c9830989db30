"""`onPremisesSyncBehavior`, on a real database. What jobs make of it: tests/engine/test_authority.py."""

from uuid import uuid4

import pytest

from tests.service.graph.conftest import World, add_job, code

JOB = "AD2AADProvisioning.test"
ALL = (
    "Directory.ReadWrite.All",
    "User-OnPremisesSyncBehavior.ReadWrite.All",
    "Group-OnPremisesSyncBehavior.ReadWrite.All",
)


@pytest.mark.parametrize(("place", "kind"), [("users", "user"), ("groups", "group")])
async def test_object_is_handed_over_and_given_back(world: World, place: str, kind: str) -> None:
    """It can be changed here only as long as people have it; both acts are in the audit trail."""
    world.client.headers.update(world.bearer(*ALL))
    await add_job(world, JOB)
    id = await world.put(kind, "Ada", job=JOB, onPremisesSyncEnabled=True)
    await world.run(
        "insert into links (tenant, job, anchor, object_type, name, target, state, reason, digest)"
        " select tenant, %s, 'a', object_type, 'Ada', id, 'provisioned', '', 'x' from directory_objects where id = %s",
        (JOB, id),
    )
    path = f"{place}/{id}/onPremisesSyncBehavior"
    shown = (await world.get(path)).json()
    assert (shown["id"], shown["isCloudManaged"]) == (str(id), False)
    assert shown["@odata.context"].endswith(f"$metadata#{place}('{id}')/onPremisesSyncBehavior/$entity")
    change = {"displayName": "Ada of the cloud"}
    assert (await world.client.patch(f"{place}/{id}", json=change)).status_code == 400
    for _ in range(2):
        answer = await world.client.patch(path, json={"isCloudManaged": True})
        assert (answer.status_code, answer.content) == (204, b"")
    assert (await world.get(path)).json()["isCloudManaged"] is True
    assert (await world.client.patch(f"{place}/{id}", json=change)).status_code == 204
    shown = (await world.get(f"{place}/{id}", select="displayName,onPremisesSyncEnabled")).json()
    assert (shown["displayName"], shown["onPremisesSyncEnabled"]) == ("Ada of the cloud", False)
    assert (await world.client.patch(path, json={"isCloudManaged": False})).status_code == 204
    assert (await world.get(path)).json()["isCloudManaged"] is False
    assert (await world.client.patch(f"{place}/{id}", json=change)).status_code == 400
    assert await world.run("select anchor, reason from due") == [("a", "TargetChanged")]
    told = [row[0] for row in await world.run("select activity from audits order by at") if "Authority" in row[0]]
    assert told == ["Change Source of Authority from AD to cloud", "Change Source of Authority from cloud to AD"]


async def test_what_cannot_be_handed_over(world: World) -> None:
    """Nobody, a body that says nothing, an object that had no source, and without the permission."""
    ada = await world.user("Ada")
    path = f"users/{ada}/onPremisesSyncBehavior"
    assert (await world.get(path)).status_code == 403
    world.client.headers.update(world.bearer(*ALL))
    assert (await world.get(path)).json()["isCloudManaged"] is True
    answer = await world.client.patch(path, json={"isCloudManaged": False})
    assert (answer.status_code, code(answer)) == (400, "Request_BadRequest")
    assert (await world.client.patch(path, json={})).status_code == 400
    answer = await world.client.patch(f"users/{uuid4()}/onPremisesSyncBehavior", json={"isCloudManaged": True})
    assert (answer.status_code, code(answer)) == (404, "Request_ResourceNotFound")
