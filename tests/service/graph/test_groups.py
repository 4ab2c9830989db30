"""Groups, their members, and single directory objects."""

from uuid import uuid4

import pytest

from tests.service.graph.conftest import BASE, World, add_job, code


async def test_group_shows_its_default_set(world: World) -> None:
    """A group without $select has Graph's default properties, on-premises ones included."""
    id = await world.put(
        "group", "Engineers", securityEnabled=True, mailEnabled=False, onPremisesSyncEnabled=True, groupTypes=[]
    )
    shown = (await world.get(f"groups/{id}")).json()
    assert shown["@odata.context"] == f"{BASE}/v1.0/$metadata#groups/$entity"
    assert len(shown) == 31
    assert (shown["id"], shown["displayName"], shown["groupTypes"]) == (str(id), "Engineers", [])
    assert (shown["securityEnabled"], shown["mailEnabled"], shown["onPremisesSyncEnabled"]) == (True, False, True)
    assert shown["description"] is None


async def test_members_of_both_types_say_what_they_are(world: World) -> None:
    """Mixed lists carry @odata.type; casts, references and counts are of the same members; deleted ones are none."""
    group = await world.put("group", "Engineers")
    inner = await world.put("group", "Inner")
    ada, bert = await world.user("Ada"), await world.user("Bert")
    await world.refer(group, "members", inner, ada, bert)
    answer = (await world.get(f"groups/{group}/members", select="id,displayName,userPrincipalName")).json()
    by_name = {each["displayName"]: each for each in answer["value"]}
    assert by_name["Inner"] == {"@odata.type": "#microsoft.graph.group", "id": str(inner), "displayName": "Inner"}
    assert by_name["Ada"] == {
        "@odata.type": "#microsoft.graph.user",
        "id": str(ada),
        "displayName": "Ada",
        "userPrincipalName": "ada@contoso.test",
    }
    assert await world.names(f"groups/{group}/members/microsoft.graph.user") == ["Ada", "Bert"]
    assert await world.names(f"groups/{group}/members/graph.group") == ["Inner"]
    references = (await world.get(f"groups/{group}/members/$ref")).json()["value"]
    assert {str(ada), str(inner)} <= {each["@odata.id"].split("/")[5] for each in references}
    assert (await world.get(f"groups/{group}/members/$count", advanced=True)).text == "3"
    assert await world.names(f"groups/{group}/members", advanced=True, filter="startsWith(displayName,'b')") == ["Bert"]
    await world.client.delete(f"users/{ada}")
    assert await world.names(f"groups/{group}/members") == ["Bert", "Inner"]
    assert (await world.get(f"groups/{group}/members/graph.planet")).status_code == 400


async def test_members_page_to_the_end_while_others_join(world: World) -> None:
    """Each member that was there at the start comes exactly once."""
    group = await world.put("group", "Large")
    people = [await world.user(f"Person {number}") for number in range(17)]
    await world.refer(group, "members", *people)
    seen: list[str] = []
    async for page in world.pages(f"groups/{group}/members", top="4", select="id"):
        seen += [each["id"] for each in page]
        await world.refer(group, "members", await world.user(f"Late {len(seen)} {uuid4().hex[:4]}"))
        assert len(seen) < 200
    assert len(seen) == len(set(seen))
    assert {str(id) for id in people} <= set(seen)


async def test_transitive_members_come_once(world: World) -> None:
    """Nested groups, a diamond and a circle: each member once."""
    top, left, right = [await world.put("group", name) for name in ("Top", "Left", "Right")]
    ada = await world.user("Ada")
    await world.refer(top, "members", left, right)
    await world.refer(left, "members", ada, top)
    await world.refer(right, "members", ada)
    assert await world.names(f"groups/{top}/transitiveMembers") == ["Ada", "Left", "Right", "Top"]
    assert await world.names(f"groups/{top}/transitiveMembers/microsoft.graph.user") == ["Ada"]
    assert (await world.get(f"groups/{top}/transitiveMembers/$count", advanced=True)).text == "4"
    assert await world.names(f"groups/{left}/memberOf") == ["Top"]
    assert await world.names(f"groups/{right}/transitiveMemberOf") == ["Left", "Top"]


async def test_create_change_and_delete_a_cloud_group(world: World) -> None:
    """A group of the cloud can be made, changed and put into the recycle bin."""
    wanted = {"displayName": "New", "mailEnabled": False, "mailNickname": "new", "securityEnabled": True}
    answer = await world.client.post("groups", json=wanted)
    assert answer.status_code == 201, answer.text
    id = answer.json()["id"]
    assert (await world.client.patch(f"groups/{id}", json={"description": "Text"})).status_code == 204
    assert (await world.get(f"groups/{id}")).json()["description"] == "Text"
    assert (await world.client.delete(f"groups/{id}")).status_code == 204
    assert await world.names("directory/deletedItems/microsoft.graph.group") == ["New"]
    missing = await world.client.post("groups", json={"displayName": "New"})
    assert (missing.status_code, code(missing)) == (400, "Request_BadRequest")


async def test_a_synchronized_group_belongs_to_its_source(world: World) -> None:
    """Its name cannot be changed here."""
    await add_job(world)
    id = await world.put("group", "Engineers", job="AD2AADProvisioning.test")
    assert (await world.client.patch(f"groups/{id}", json={"displayName": "X"})).status_code == 400
    assert (await world.get(f"groups/{id}")).json()["displayName"] == "Engineers"


@pytest.mark.parametrize(("key", "status"), [("nonsense", 400), (str(uuid4()), 404)], ids=["no GUID", "unknown"])
async def test_unknown_groups(world: World, key: str, status: int) -> None:
    """A group's key is a GUID; one that names none is 404, below it too."""
    assert (await world.get(f"groups/{key}")).status_code == status
    assert (await world.get(f"groups/{key}/members")).status_code == status


async def test_a_user_is_no_group(world: World) -> None:
    """An id of another type is not found."""
    ada = await world.user("Ada")
    assert (await world.get(f"groups/{ada}")).status_code == 404


async def test_directory_objects(world: World) -> None:
    """Objects of any type by id, one or several."""
    ada, group = await world.user("Ada"), await world.put("group", "Engineers")
    shown = (await world.get(f"directoryObjects/{group}")).json()
    assert (shown["@odata.type"], shown["displayName"]) == ("#microsoft.graph.group", "Engineers")
    wanted = {"ids": [str(ada), str(group), str(uuid4())], "types": ["user"]}
    found = (await world.client.post("directoryObjects/getByIds", json=wanted)).json()["value"]
    assert [each["id"] for each in found] == [str(ada)]
    assert (await world.client.post("directoryObjects/getByIds", json={"ids": ["x"]})).status_code == 400


async def test_members_are_sorted_in_an_advanced_query(world: World) -> None:
    """By name, page by page, both ways; without the header it is refused."""
    group = await world.put("group", "Engineers")
    for name in ("Cid", "ada", "Bob", "Dan"):
        await world.refer(group, "members", await world.user(name))
    names = [
        each["displayName"]
        async for page in world.pages(f"groups/{group}/members", advanced=True, orderby="displayName desc", top="3")
        for each in page
    ]
    assert names == ["Dan", "Cid", "Bob", "ada"]
    path = f"groups/{group}/members/graph.user"
    found = (await world.get(path, advanced=True, orderby="userPrincipalName")).json()["value"]
    assert [each["displayName"] for each in found] == ["ada", "Bob", "Cid", "Dan"]
    refused = await world.get(f"groups/{group}/members", orderby="displayName")
    assert (refused.status_code, code(refused)) == (400, "Request_UnsupportedQuery")


@pytest.mark.parametrize("kind", ["device", "servicePrincipal", "directoryRole", "administrativeUnit", "application"])
async def test_types_that_are_nobodys_here_are_empty_lists(world: World, kind: str) -> None:
    """Scripts ask for them wherever Graph has them."""
    group, ada = await world.put("group", "Engineers"), await world.user("Ada")
    await world.refer(group, "members", ada)
    for path in (f"groups/{group}/members", f"users/{ada}/memberOf"):
        answer = await world.get(f"{path}/microsoft.graph.{kind}", select="id,displayName")
        assert (answer.status_code, answer.json()["value"]) == (200, [])
        assert f"#{kind}s(" in answer.json()["@odata.context"]
