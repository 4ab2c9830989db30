"""$expand on a real database: one relation with each object, nested $select, and Graph's limits."""

from tests.service.graph.conftest import BASE, World, code, message


async def test_a_manager_with_each_user(world: World) -> None:
    """A list shows each user's manager in one answer; one without has none; nested $select bounds what is shown."""
    boss, ada = await world.user("Boss"), await world.user("Ada")
    await world.user("Bert")
    await world.refer(ada, "manager", boss)
    answer = (await world.get("users", select="displayName", expand="manager($select=id,displayName)")).json()
    assert answer["@odata.context"] == f"{BASE}/v1.0/$metadata#users(displayName,manager(id,displayName))"
    by_name = {each["displayName"]: each for each in answer["value"]}
    manager = {"@odata.type": "#microsoft.graph.user", "id": str(boss), "displayName": "Boss"}
    assert by_name["Ada"] == {"displayName": "Ada", "manager": manager}
    assert by_name["Bert"] == {"displayName": "Bert"}
    one = (await world.get(f"users/{ada}", expand="manager")).json()
    assert one["manager"]["userPrincipalName"] == "boss@contoso.test"
    assert one["jobTitle"] is None


async def test_relations_in_every_direction(world: World) -> None:
    """Reports, groups and members, direct and through groups; deleted objects are in none."""
    ada, bert = await world.user("Ada"), await world.user("Bert")
    pat, gone = await world.put("contact", "Pat"), await world.put("user", "Gone", deleted=True)
    inner, outer = await world.put("group", "Inner"), await world.put("group", "Outer")
    await world.refer(bert, "manager", ada)
    await world.refer(inner, "members", bert, pat, gone)
    await world.refer(outer, "members", inner)
    for path, relation, wanted in (
        (f"users/{ada}", "directReports", {"Bert"}),
        (f"users/{ada}", "memberOf", set()),
        (f"users/{bert}", "memberOf", {"Inner"}),
        (f"users/{bert}", "transitiveMemberOf", {"Inner", "Outer"}),
        (f"contacts/{pat}", "transitiveMemberOf", {"Inner", "Outer"}),
        (f"groups/{inner}", "members", {"Bert", "Pat"}),
        (f"groups/{outer}", "transitiveMembers", {"Inner", "Bert", "Pat"}),
        (f"groups/{inner}", "MEMBEROF", {"Outer"}),
    ):
        answer = await world.get(path, expand=relation)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        name = next(key for key in shown if key.lower() == relation.lower())
        assert {each["displayName"] for each in shown[name]} == wanted, (path, relation)


async def test_at_most_twenty_of_each(world: World) -> None:
    """Each object of a page shows up to twenty, without a link to more."""
    large, small = await world.put("group", "Large"), await world.put("group", "Small")
    people = [await world.user(f"Person {number}") for number in range(23)]
    await world.refer(large, "members", *people)
    await world.refer(small, "members", *people[:2])
    answer = (await world.get("groups", expand="members($select=id)")).json()
    assert {each["displayName"]: len(each["members"]) for each in answer["value"]} == {"Large": 20, "Small": 2}
    assert "members@odata.nextLink" not in str(answer)


async def test_the_next_page_expands_too(world: World) -> None:
    """The link to the next page repeats the option."""
    for name in ("A", "B", "C"):
        await world.put("group", name)
    pages = [page async for page in world.pages("groups", top="1", expand="members", select="displayName")]
    assert [each for page in pages for each in page if each["members"] != []] == []
    assert len(pages) == 3


async def test_expansion_in_an_advanced_query_is_refused(world: World) -> None:
    """As Graph does."""
    answer = await world.get("users", advanced=True, expand="manager")
    assert (answer.status_code, code(answer)) == (400, "Request_UnsupportedQuery")
    assert "advanced" in message(answer)


async def test_members_are_not_read_by_a_side_door(world: World) -> None:
    """Who may list groups but not members gets none by expansion."""
    group = await world.put("group", "Engineers")
    headers = world.bearer("Group.ReadBasic.All")
    for path in ("groups", f"groups/{group}"):
        assert (await world.client.get(path, headers=headers)).status_code == 200
        refused = await world.client.get(f"{path}?$expand=members", headers=headers)
        assert (refused.status_code, code(refused)) == (403, "Authorization_RequestDenied")
