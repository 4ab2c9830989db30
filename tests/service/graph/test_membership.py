"""Members and managers written through the API, on a real database."""

from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from tests.service.graph.conftest import BASE, World, add_job, code, message

JOB = "AD2AADProvisioning.test"


def at(id: UUID | str, place: str = "directoryObjects") -> dict[str, str]:
    return {"@odata.id": f"{BASE}/v1.0/{place}/{id}"}


async def put(world: World, path: str, body: Any) -> httpx2.Response:
    return await world.client.put(path, json=body)


async def test_members_come_and_go(world: World) -> None:
    """A member is added by its address, refused the second time, taken out, and is no member after that."""
    group, ada = await world.put("group", "Engineers"), await world.user("Ada")
    answer = await world.client.post(f"groups/{group}/members/$ref", json=at(ada))
    assert (answer.status_code, answer.content) == (204, b"")
    assert await world.names(f"groups/{group}/members") == ["Ada"]
    again = await world.client.post(f"groups/{group}/members/$ref", json=at(ada))
    assert (again.status_code, code(again)) == (400, "Request_BadRequest")
    assert "already exist" in message(again)
    assert (await world.client.delete(f"groups/{group}/members/{ada}/$ref")).status_code == 204
    assert await world.names(f"groups/{group}/members") == []
    gone = await world.client.delete(f"groups/{group}/members/{ada}/$ref")
    assert (gone.status_code, code(gone)) == (404, "Request_ResourceNotFound")
    assert await world.names("users") == ["Ada"]
    activities = await world.run("select activity, target from audits order by at")
    assert activities == [("Add member to group", str(group)), ("Remove member from group", str(group))]


@pytest.mark.parametrize(
    "address",
    [
        "https://graph.microsoft.com/v1.0/directoryObjects/{id}",
        "https://graph.microsoft.com/v1.0/directoryObjects('{id}')",
        "https://dirbridge.test/beta/users/{id}",
        "/USERS/{id}/",
        "directoryObjects/{id}",
    ],
)
async def test_addresses_in_every_form(world: World, address: str) -> None:
    """Clients write the other end in several ways, and not always with this host."""
    group, ada = await world.put("group", "Engineers"), await world.user("Ada")
    body = {"@odata.id": address.format(id=ada)}
    assert (await world.client.post(f"groups/{group}/members/$ref", json=body)).status_code == 204


@pytest.mark.parametrize(
    "address", ["", "nonsense", "https://[x/users/a", "https://h/v1.0/domains/contoso.test", "https://h/v1.0/users/a@b"]
)
async def test_addresses_of_nothing(world: World, address: str) -> None:
    """What names no directory object is a 400 that shows the form expected."""
    group = await world.put("group", "Engineers")
    answer = await world.client.post(f"groups/{group}/members/$ref", json={"@odata.id": address})
    assert (answer.status_code, code(answer)) == (400, "Request_BadRequest")
    assert "directoryObjects/{id}" in message(answer)


async def test_unknown_and_deleted_ends_are_404(world: World) -> None:
    """Neither an unknown group nor an unknown or deleted member gets a relation; a group is not in itself."""
    group, ada = await world.put("group", "Engineers"), await world.user("Ada")
    gone = await world.put("user", "Gone", deleted=True)
    for owner, member in ((group, gone), (group, uuid4()), (uuid4(), ada)):
        answer = await world.client.post(f"groups/{owner}/members/$ref", json=at(member))
        assert (answer.status_code, code(answer)) == (404, "Request_ResourceNotFound")
    assert (await world.client.post(f"groups/{group}/members/$ref", json=at(group))).status_code == 400
    assert (await world.client.post(f"groups/{group}/members/$ref", json={})).status_code == 400
    assert (await world.client.delete(f"groups/{group}/members/x/$ref")).status_code == 400
    assert await world.run("select count(*) from directory_references") == [(0,)]


async def test_bound_members_are_all_or_nothing(world: World) -> None:
    """PATCH adds up to twenty; with one unknown or present nothing is added, nor changed."""
    group = await world.put("group", "Engineers")
    people = [await world.user(f"Person {number:02}") for number in range(21)]
    bound = [at(id)["@odata.id"] for id in people]
    for addresses, status in (
        (bound, 400),
        ([*bound[:3], at(uuid4())["@odata.id"]], 404),
        ([bound[0], bound[0]], 400),
        ([*bound[:3], "nonsense"], 400),
    ):
        answer = await world.client.patch(
            f"groups/{group}", json={"members@odata.bind": addresses, "description": "new"}
        )
        assert answer.status_code == status, answer.text
        assert await world.names(f"groups/{group}/members") == []
    assert (await world.get(f"groups/{group}")).json()["description"] is None
    answer = await world.client.patch(f"groups/{group}", json={"members@odata.bind": bound[:20]})
    assert answer.status_code == 204, answer.text
    assert len(await world.names(f"groups/{group}/members")) == 20
    refused = await world.client.patch(f"groups/{group}", json={"members@odata.bind": bound[19:]})
    assert refused.status_code == 400
    assert len(await world.names(f"groups/{group}/members")) == 20
    new = {"displayName": "New", "mailEnabled": False, "mailNickname": "new", "securityEnabled": True}
    made = (await world.client.post("groups", json={**new, "members@odata.bind": bound[:2]})).json()
    assert await world.names(f"groups/{made['id']}/members") == ["Person 00", "Person 01"]
    assert "members@odata.bind" not in str(await world.run("select properties from directory_objects"))


async def test_members_of_a_synchronized_group_are_its_sources(world: World) -> None:
    """Adding to it and taking from it is refused in every form; a synchronized user can be in a group of the cloud."""
    await add_job(world)
    group = await world.put("group", "Synced", job=JOB)
    cloud = await world.put("group", "Cloud")
    ada, bert = await world.user("Ada", job=JOB), await world.user("Bert")
    await world.refer(group, "members", ada)
    for answer in (
        await world.client.post(f"groups/{group}/members/$ref", json=at(bert)),
        await world.client.patch(f"groups/{group}", json={"members@odata.bind": [at(bert)["@odata.id"]]}),
        await world.client.delete(f"groups/{group}/members/{ada}/$ref"),
    ):
        assert (answer.status_code, code(answer)) == (400, "Request_BadRequest")
        assert "on-premises mastered" in message(answer)
    assert await world.names(f"groups/{group}/members") == ["Ada"]
    assert (await world.client.post(f"groups/{cloud}/members/$ref", json=at(ada))).status_code == 204


async def test_a_member_is_not_deleted_by_mistake(world: World) -> None:
    """DELETE of the member without $ref, which would delete the object in Graph, is refused and changes nothing."""
    group, ada = await world.put("group", "Engineers"), await world.user("Ada")
    await world.refer(group, "members", ada)
    answer = await world.client.delete(f"groups/{group}/members/{ada}")
    assert (answer.status_code, code(answer)) == (405, "Request_BadRequest")
    assert "$ref" in message(answer)
    assert await world.names(f"groups/{group}/members") == ["Ada"]


async def test_manager_is_set_replaced_and_removed(world: World) -> None:
    """A user has one manager at a time; taking away none is 404."""
    ada, boss, pat = await world.user("Ada"), await world.user("Boss"), await world.put("contact", "Pat")
    for manager in (boss, pat):
        assert (await put(world, f"users/{ada}/manager/$ref", at(manager, "users"))).status_code == 204
        assert (await world.get(f"users/{ada}/manager")).json()["id"] == str(manager)
    assert await world.run("select count(*) from directory_references") == [(1,)]
    assert (await world.client.delete(f"users/{ada}/manager/$ref")).status_code == 204
    assert (await world.get(f"users/{ada}/manager")).status_code == 404
    assert (await world.client.delete(f"users/{ada}/manager/$ref")).status_code == 404


async def test_managers_that_cannot_be(world: World) -> None:
    """A group manages nobody, an unknown object is 404, and a synchronized user's manager is its source's."""
    await add_job(world)
    ada, group, synced = await world.user("Ada"), await world.put("group", "G"), await world.user("S", job=JOB)
    refused = await put(world, f"users/{ada}/manager/$ref", at(group))
    assert (refused.status_code, "is a group" in message(refused)) == (400, True)
    assert (await put(world, f"users/{ada}/manager/$ref", at(uuid4()))).status_code == 404
    await world.refer(synced, "manager", ada)
    for answer in (
        await put(world, f"users/{synced}/manager/$ref", at(ada)),
        await world.client.delete(f"users/{synced}/manager/$ref"),
    ):
        assert (answer.status_code, code(answer)) == (400, "Request_BadRequest")
        assert "on-premises mastered" in message(answer)
    assert (await world.get(f"users/{synced}/manager")).json()["id"] == str(ada)


async def test_who_may_write_members(world: World) -> None:
    """The members' permission adds members but changes nothing else of a group; reading is not enough."""
    group, ada = await world.put("group", "Engineers"), await world.user("Ada")
    members = world.bearer("GroupMember.ReadWrite.All")
    bind = {"members@odata.bind": [at(ada)["@odata.id"]]}
    refused = await world.client.patch(f"groups/{group}", json={**bind, "description": "x"}, headers=members)
    assert (refused.status_code, code(refused)) == (403, "Authorization_RequestDenied")
    assert (await world.client.patch(f"groups/{group}", json=bind, headers=members)).status_code == 204
    reader = world.bearer("Group.Read.All", "User.Read.All")
    for method, path in (
        ("POST", f"groups/{group}/members/$ref"),
        ("DELETE", f"groups/{group}/members/{ada}/$ref"),
        ("PUT", f"users/{ada}/manager/$ref"),
        ("DELETE", f"users/{ada}/manager/$ref"),
    ):
        answer = await world.client.request(method, path, headers=reader, json=at(ada))
        assert (answer.status_code, code(answer)) == (403, "Authorization_RequestDenied"), path


async def test_owners_come_and_go(world: World) -> None:
    """Users own groups, those of a source too; each is shown from both sides, expanded as well, and is no member."""
    await add_job(world, JOB)
    group, ada = await world.put("group", "Engineers", job=JOB), await world.user("Ada")
    answer = await world.client.post(f"groups/{group}/owners/$ref", json=at(ada))
    assert (answer.status_code, answer.content) == (204, b"")
    assert await world.names(f"groups/{group}/owners") == ["Ada"]
    assert await world.names(f"groups/{group}/owners/graph.user") == ["Ada"]
    assert await world.names(f"users/{ada}/ownedObjects") == ["Engineers"]
    assert await world.names(f"users/{ada}/memberOf") == []
    shown = (await world.get(f"groups/{group}", expand="owners($select=displayName)")).json()
    assert [each["displayName"] for each in shown["owners"]] == ["Ada"]
    again = await world.client.post(f"groups/{group}/owners/$ref", json=at(ada))
    assert (again.status_code, "already exist" in message(again)) == (400, True)
    assert (await world.client.delete(f"groups/{group}/owners/{ada}/$ref")).status_code == 204
    gone = await world.client.delete(f"groups/{group}/owners/{ada}/$ref")
    assert (gone.status_code, code(gone)) == (404, "Request_ResourceNotFound")
    activities = await world.run("select activity, target from audits order by at")
    assert activities == [("Add owner to group", str(group)), ("Remove owner from group", str(group))]


async def test_who_cannot_own_a_group(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group, a contact, nobody, and one more than there is room for."""
    group, other = await world.put("group", "Engineers"), await world.put("group", "Other")
    contact, ada, bob = await world.put("contact", "Cid"), await world.user("Ada"), await world.user("Bob")
    for owner, status in ((other, 400), (contact, 400), (uuid4(), 404)):
        assert (await world.client.post(f"groups/{group}/owners/$ref", json=at(owner))).status_code == status
    monkeypatch.setattr("dirbridge.tenant.membership.MOST_OWNERS", 1)
    assert (await world.client.post(f"groups/{group}/owners/$ref", json=at(ada))).status_code == 204
    full = await world.client.post(f"groups/{group}/owners/$ref", json=at(bob))
    assert (full.status_code, "no room" in message(full)) == (400, True)
