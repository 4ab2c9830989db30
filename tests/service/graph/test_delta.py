"""Delta queries: rounds, pages, tokens, links."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from psycopg import sql

from dirbridge.store import feed
from tests.service.graph.conftest import TENANT, World, code, message


async def follow(world: World, address: str, headers: dict[str, str] | None = None) -> tuple[list[dict[str, Any]], str]:
    """Read a round to its end: entries and the delta link."""
    entries: list[dict[str, Any]] = []
    while True:
        answer = await world.client.get(address, headers=headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        entries += page["value"]
        assert ("@odata.nextLink" in page) != ("@odata.deltaLink" in page)
        if "@odata.deltaLink" in page:
            return entries, page["@odata.deltaLink"]
        address = page["@odata.nextLink"]


def names(entries: list[dict[str, Any]]) -> list[str]:
    return sorted(each["displayName"] for each in entries)


async def test_a_first_round_tells_all_and_the_next_what_changed(world: World) -> None:
    """The first round has every live object, the next only what changed since."""
    for number in range(3):
        await world.user(f"User {number}")
    entries, link = await follow(world, "users/delta")
    assert names(entries) == ["User 0", "User 1", "User 2"]
    assert (await follow(world, link))[0] == []
    await world.user("User 3")
    entries, link = await follow(world, link)
    assert names(entries) == ["User 3"]
    assert (await follow(world, link))[0] == []


@pytest.mark.parametrize("path", ["users/delta", "users/delta()", "users/microsoft.graph.delta()", "USERS/Delta"])
async def test_the_ways_to_write_it(world: World, path: str) -> None:
    """The function is called with or without parentheses, by its short or full name."""
    await world.user("Ann")
    assert names((await follow(world, path))[0]) == ["Ann"]


async def test_deleted_restored_and_purged(world: World) -> None:
    """A deleted object is removed as changed, comes back when restored, and is removed as deleted when purged."""
    ann = await world.user("Ann")
    _, link = await follow(world, "users/delta")
    await world.client.delete(f"users/{ann}")
    entries, link = await follow(world, link)
    assert entries == [{"id": str(ann), "@removed": {"reason": "changed"}}]
    assert (await world.client.post(f"directory/deletedItems/{ann}/restore")).status_code == 200
    entries, link = await follow(world, link)
    assert names(entries) == ["Ann"]
    await world.client.delete(f"users/{ann}")
    await world.client.delete(f"directory/deletedItems/{ann}")
    entries, link = await follow(world, link)
    assert entries == [{"id": str(ann), "@removed": {"reason": "deleted"}}]
    assert (await follow(world, "users/delta"))[0] == []


async def test_members_of_a_large_group_come_in_pages(world: World) -> None:
    """A group recurs with members of its own on each page; then only what changed is told."""
    group = await world.put("group", "All")
    people = [await world.put("user", f"P{number}") for number in range(50)]
    await world.refer(group, "members", *people)
    headers = {"Prefer": "odata.maxpagesize=1"}
    entries, link = await follow(world, "groups/delta", headers)
    told = [each["id"] for entry in entries for each in entry.get("members@delta", [])]
    assert {entry["id"] for entry in entries} == {str(group)}
    assert sorted(told) == sorted(map(str, people))
    assert len(entries) > 2
    await world.client.delete(f"users/{people[0]}")
    entries, _ = await follow(world, link, {"Prefer": "return=minimal"})
    removed = {"@odata.type": "#microsoft.graph.user", "id": str(people[0]), "@removed": {"reason": "deleted"}}
    assert entries == [{"id": str(group), "members@delta": [removed]}]


async def test_managers_are_told_when_selected(world: World) -> None:
    """A manager that changes is told as one removed and one added."""
    ann, bob, eve = [await world.user(name) for name in ("Ann", "Bob", "Eve")]
    await world.refer(ann, "manager", bob)
    entries, link = await follow(world, "users/delta?$select=displayName,manager")
    (entry,) = [each for each in entries if "manager@delta" in each]
    told = [{"@odata.type": "#microsoft.graph.user", "id": str(bob)}]
    assert entry == {"displayName": "Ann", "id": str(ann), "manager@delta": told}
    body = {"@odata.id": f"https://dirbridge.test/v1.0/users/{eve}"}
    assert (await world.client.put(f"users/{ann}/manager/$ref", json=body)).status_code == 204
    (entry,) = (await follow(world, link))[0]
    assert {(each["id"], "@removed" in each) for each in entry["manager@delta"]} == {
        (str(bob), True),
        (str(eve), False),
    }


async def test_the_present_alone_can_be_asked_for(world: World) -> None:
    """`$deltatoken=latest` gives no object, and a link to what follows."""
    await world.user("Ann")
    entries, link = await follow(world, "users/delta?$deltatoken=latest&$select=displayName")
    assert entries == []
    bob = await world.user("Bob")
    assert (await follow(world, link))[0] == [{"displayName": "Bob", "id": str(bob)}]


async def test_ids_and_types_filter(world: World) -> None:
    """Only the objects with these ids, or of these types, are told."""
    ann, bob = await world.user("Ann"), await world.user("Bob")
    group = await world.put("group", "Team")
    entries, link = await follow(world, f"users/delta?$filter=id eq '{ann}' or id eq '{bob}'")
    assert names(entries) == ["Ann", "Bob"]
    await world.user("Eve")
    assert (await follow(world, link))[0] == []
    entries, _ = await follow(world, "directoryObjects/delta?$filter=isof('microsoft.graph.group')")
    assert [(each["id"], each["@odata.type"]) for each in entries] == [(str(group), "#microsoft.graph.group")]
    assert len((await follow(world, "directoryObjects/delta"))[0]) == 4


REFUSED = {
    "$top=5": (400, "Request_UnsupportedQuery"),
    "$orderby=displayName": (400, "Request_UnsupportedQuery"),
    "$expand=memberOf": (400, "Request_UnsupportedQuery"),
    "$filter=displayName eq 'a'": (400, "Request_UnsupportedQuery"),
    "$filter=" + " or ".join(f"id eq '{UUID(int=number)}'" for number in range(51)): (400, "Request_UnsupportedQuery"),
    "$select=nothing": (400, "BadRequest"),
    "$select=memberOf": (501, "NotImplemented"),
    "$skiptoken=": (400, "BadRequest"),
    "$deltatoken=abc": (400, "BadRequest"),
    "$deltatoken=%ff": (400, "BadRequest"),
    "$select=id&$select=id": (400, "BadRequest"),
}


@pytest.mark.parametrize("options", REFUSED)
async def test_what_cannot_be_asked(world: World, options: str) -> None:
    """Options without a meaning here are refused, not left out in silence."""
    answer = await world.client.get(f"users/delta?{options}")
    assert (answer.status_code, code(answer)) == REFUSED[options], message(answer)


async def test_a_token_of_another_collection_or_with_options(world: World) -> None:
    """A token fits its collection only, and nothing is added to it."""
    _, link = await follow(world, "users/delta")
    assert (await world.client.get(link.replace("/users/", "/groups/"))).status_code == 400
    assert (await world.client.get(link + "&$select=mail")).status_code == 400


async def test_a_token_of_another_epoch(world: World) -> None:
    """After a restore, whose tables are new, tokens lead back to the beginning."""
    ann = await world.user("Ann")
    _, link = await follow(world, f"users/delta?$select=displayName&$filter=id eq '{ann}'")
    await world.run("create table restored (like directory_objects including all)")
    await world.run("alter table directory_objects rename to old")
    await world.run("insert into restored select * from old")
    await world.run("alter table restored rename to directory_objects")
    answer = await world.client.get(link)
    assert (answer.status_code, code(answer)) == (410, "resyncRequired")
    entries, _ = await follow(world, answer.headers["Location"])
    assert entries == [{"displayName": "Ann", "id": str(ann)}]


async def test_an_old_token(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that has outlived what is kept leads back to the beginning."""
    _, named = await follow(world, "groups/delta?$select=extension_\u0436%0d%0ax,id")
    _, link = await follow(world, "groups/delta")
    monkeypatch.setattr(feed, "KEPT", timedelta(0))
    answer = await world.client.get(link)
    assert (answer.status_code, code(answer)) == (410, "syncStateNotFound")
    assert answer.headers["Location"] == "https://dirbridge.test/v1.0/groups/delta?$deltatoken="
    answer = await world.client.get(named)
    assert (answer.status_code, code(answer)) == (410, "syncStateNotFound")
    assert "/delta?$select=extension_%D0%B6%0D%0Ax,id&$deltatoken=" in answer.headers["Location"]


async def test_members_need_their_permission(world: World) -> None:
    """Who may only know groups is told of no members, and refused when asking for them."""
    group = await world.put("group", "Team")
    await world.refer(group, "members", await world.user("Ann"))
    world.client.headers.update(world.bearer("Group.ReadBasic.All"))
    (entry,) = (await follow(world, "groups/delta"))[0]
    assert "members@delta" not in entry
    assert (await world.client.get("groups/delta?$select=members")).status_code == 403


async def test_pages_of_a_large_feed_use_its_index(world: World) -> None:
    """No page sorts or reads more than it shows, in any round."""
    await world.run(
        """insert into directory_objects (tenant, id, object_type, display_name, properties)
           select %s, gen_random_uuid(), 'user', 'u' || n, '{}' from generate_series(1, 20000) n""",
        [TENANT],
    )
    async with world.database.connection() as conn:
        start = await feed.now(conn)
        await conn.execute("analyze directory_objects")
        since = msgspec.structs.replace(start, snapshot="1:1:")
        found = await feed.objects(conn, TENANT, ["user"], since=since, until=start, limit=101)
        after = (found[-1].changed, found[-1].id)
        text, parameters = feed.objects_query(TENANT, ["user"], since=since, until=start, after=after, limit=101)
        cursor = await conn.execute(sql.SQL("explain ") + text, parameters)
        plan = "\n".join(row[0] for row in await cursor.fetchall())
    assert "directory_objects_changed" in plan
    assert "Seq Scan" not in plan
