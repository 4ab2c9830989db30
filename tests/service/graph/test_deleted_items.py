"""The recycle bin through the API."""

from uuid import uuid4

import pytest

from dirbridge.store import links, people
from tests.service import registered
from tests.service.graph.conftest import BASE, TENANT, World, add_job, code, message

BIN = "directory/deletedItems"


async def test_delete_list_restore(world: World) -> None:
    """A deleted user is listed under its type, has the time of its delete, and comes back with the same id."""
    id = await world.user("Ada", mail="ada@contoso.test")
    await world.put("group", "Gone", deleted=True)
    assert (await world.client.delete("users/ada@contoso.test")).status_code == 204
    listed = (await world.get("directory/deletedItems/microsoft.graph.user", select="id,deletedDateTime")).json()
    assert [each["id"] for each in listed["value"]] == [str(id)]
    assert listed["value"][0]["deletedDateTime"].endswith("Z")
    assert (await world.get("directory/deletedItems/graph.user/$count", advanced=True)).text == "1"
    one = (await world.get(f"directory/deletedItems/{id}")).json()
    assert one["deletedDateTime"] == listed["value"][0]["deletedDateTime"]
    assert (one["@odata.type"], one["displayName"]) == ("#microsoft.graph.user", "Ada")
    answer = await world.client.post(f"directory/deletedItems/{id}/restore")
    assert answer.status_code == 200, answer.text
    back = answer.json()
    assert back["@odata.context"] == f"{BASE}/v1.0/$metadata#directoryObjects/$entity"
    assert (back["@odata.type"], back["id"]) == ("#microsoft.graph.user", str(id))
    assert (await world.get("users/ada@contoso.test")).json()["id"] == str(id)
    assert await world.run("select kind, value from unique_values order by 1") == [
        ("address", "ada@contoso.test"),
        ("userPrincipalName", "ada@contoso.test"),
    ]


async def test_restore_of_a_taken_name_is_refused(world: World) -> None:
    """What another user holds by now is not taken from it; the refusal names the holder."""
    id = await world.user("Ada")
    await world.client.delete(f"users/{id}")
    await world.user("New Ada", userPrincipalName="ada@contoso.test")
    answer = await world.client.post(f"directory/deletedItems/{id}/restore")
    assert (answer.status_code, code(answer)) == (409, "Request_MultipleObjectsWithSameKeyValue")
    assert "ada@contoso.test" in message(answer)
    assert (await world.get(f"directory/deletedItems/{id}")).status_code == 200


async def test_purge_removes_for_good(world: World) -> None:
    """A purged object is gone; an entry that was linked to it is as if it had never been written, and due."""
    await add_job(world, "job")
    id = await world.user("Ada", job="job")
    async with world.database.transaction() as conn:
        await links.put(conn, TENANT, "job", [links.Link("a", "user", "Ada", None, id, "provisioned", "", b"d")])
    await world.client.delete(f"users/{id}")
    assert (await world.client.delete(f"directory/deletedItems/{id}")).status_code == 204
    assert (await world.client.delete(f"directory/deletedItems/{id}")).status_code == 404
    assert await world.run("select count(*) from directory_objects") == [(0,)]
    assert await world.run("select state, target, digest from links") == [("failed", None, None)]
    assert await world.run("select anchor, reason from due") == [("a", "TargetChanged")]


async def test_each_type_asks_for_its_own_permission(world: World) -> None:
    """Who may handle users only neither sees nor touches deleted groups, and the other way round."""
    group = await world.put("group", "Gone", deleted=True)
    user = await world.put("user", "Ada", deleted=True)
    users, groups = world.bearer("User.ReadWrite.All", "User.DeleteRestore.All"), world.bearer("Group.ReadWrite.All")
    for headers, mine, other, kind in ((users, user, group, "group"), (groups, group, user, "user")):
        for method, path in (
            ("GET", f"{BIN}/graph.{kind}"),
            ("GET", f"{BIN}/graph.{kind}/$count"),
            ("GET", f"{BIN}/{other}"),
            ("POST", f"{BIN}/{other}/restore"),
            ("DELETE", f"{BIN}/{other}"),
        ):
            answer = await world.client.request(method, path, headers={**headers, "ConsistencyLevel": "eventual"})
            assert (answer.status_code, code(answer)) == (403, "Authorization_RequestDenied"), path
        assert (await world.client.get(f"{BIN}/{mine}", headers=headers)).status_code == 200
    for headers, mine in ((users, user), (groups, group)):
        assert (await world.client.post(f"{BIN}/{mine}/restore", headers=headers)).status_code == 200


async def test_live_objects_are_not_in_the_bin(world: World) -> None:
    """A live or unknown id is 404; a list needs a cast that is known."""
    id = await world.user("Ada")
    for key in (str(id), str(uuid4()), "graph.planet"):
        assert (await world.get(f"directory/deletedItems/{key}")).status_code == 404
        assert (await world.client.post(f"directory/deletedItems/{key}/restore")).status_code == 404
        assert (await world.client.delete(f"directory/deletedItems/{key}")).status_code == 404


async def test_deleted_users_in_order(world: World) -> None:
    """By name and sign-in name plainly, by the time of their delete in an advanced query; page by page to the end."""
    for name in ("Carl", "Ada", "Bert"):
        await world.client.delete(f"users/{await world.user(name)}")
    listed = f"{BIN}/microsoft.graph.user"
    refused = await world.get(listed, orderby="deletedDateTime")
    assert (refused.status_code, code(refused)) == (400, "Request_UnsupportedQuery")
    for order, advanced, wanted in (
        ("displayName", False, ["Ada", "Bert", "Carl"]),
        ("userPrincipalName desc", False, ["Carl", "Bert", "Ada"]),
        ("deletedDateTime", True, ["Carl", "Ada", "Bert"]),
        ("deletedDateTime desc", True, ["Bert", "Ada", "Carl"]),
    ):
        pages = [page async for page in world.pages(listed, advanced=advanced, orderby=order, top="1")]
        assert [each["displayName"] for page in pages for each in page] == wanted, order
    counted = (await world.get(listed, advanced=True, filter="startsWith(displayName,'a')")).json()
    assert counted["@odata.count"] == 1


@pytest.mark.parametrize(
    ("role", "reads", "purges"),
    [("Global Reader", 200, 403), ("Groups Administrator", 200, 403), ("User Administrator", 200, 204)],
)
async def test_role_that_an_object_asks_for(world: World, role: str, reads: int, purges: int) -> None:
    """Every administrator reads a deleted user; only who writes users removes one for good."""
    id = await world.user("Ada")
    await world.client.delete(f"users/{id}")
    administrator = uuid4()
    async with world.database.transaction() as conn:
        await people.add(
            conn, TENANT, administrator, user_name="a@contoso.test", password_hash="none", roles=[role]
        )  # fmt: skip
    headers = registered.person(world.tokens, administrator, "a@contoso.test", [role], ["User.ReadWrite.All"])
    assert (await world.client.get(f"directory/deletedItems/{id}", headers=headers)).status_code == reads
    assert (await world.client.delete(f"directory/deletedItems/{id}", headers=headers)).status_code == purges


async def test_restore_without_what_others_took(world: World) -> None:
    """Addresses that another object holds by now are left out where that is asked for, and a new name is taken."""
    addresses = ["SMTP:ada@contoso.test", "smtp:a@contoso.test", "x500:/o=contoso"]
    id = await world.user("Ada", mail="ada@contoso.test", proxyAddresses=addresses)
    await world.client.delete(f"users/{id}")
    await world.user("New Ada", userPrincipalName="ada@contoso.test", mail="ada@contoso.test")
    path = f"{BIN}/{id}/microsoft.graph.restore"
    for refused in ({}, {"autoReconcileProxyConflict": True}, {"newUserPrincipalName": "ada2@contoso.test"}):
        assert (await world.client.post(path, json=refused)).status_code == 409
    wrong = {"autoReconcileProxyConflict": True, "newUserPrincipalName": "ada2@elsewhere.test"}
    answer = await world.client.post(path, json=wrong)
    assert (answer.status_code, code(answer)) == (400, "Request_BadRequest")
    wanted = {"autoReconcileProxyConflict": True, "newUserPrincipalName": "ada2@contoso.test"}
    answer = await world.client.post(path, json=wanted)
    assert answer.status_code == 200, answer.text
    back = (await world.get(f"users/{id}", select="userPrincipalName,mail,proxyAddresses")).json()
    assert (back["userPrincipalName"], back["mail"], back["proxyAddresses"]) == (
        "ada2@contoso.test", None, ["smtp:a@contoso.test", "x500:/o=contoso"],
    )  # fmt: skip


async def test_name_of_what_a_source_masters_stays_at_its_restore(world: World) -> None:
    """And a group has none."""
    await add_job(world, "job")
    user = await world.put("user", "Ada", job="job", deleted=True, userPrincipalName="ada@contoso.test")
    group = await world.put("group", "Staff", deleted=True)
    for id in (user, group):
        answer = await world.client.post(f"{BIN}/{id}/restore", json={"newUserPrincipalName": "new@contoso.test"})
        assert (answer.status_code, code(answer)) == (400, "Request_BadRequest")


async def test_types_of_which_nothing_is_kept_are_empty(world: World) -> None:
    """As lists; who may read users only does not see even that."""
    for kind in ("device", "administrativeUnit"):
        answer = await world.get(f"{BIN}/microsoft.graph.{kind}")
        assert (answer.status_code, answer.json()["value"]) == (200, [])
    world.client.headers.update(world.bearer("User.Read.All"))
    assert (await world.get(f"{BIN}/graph.device")).status_code == 403
