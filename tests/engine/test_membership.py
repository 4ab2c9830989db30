"""Scope by containers and groups, cycle by cycle: who comes, who goes, who stays, and who is asked about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from dirbridge.connectors.memory.directory import ROOT, anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.entry import ChangePage, Selection, Watermark
from dirbridge.contract.schema import ContainerFilter, GroupFilter, Schema
from dirbridge.store import jobs
from dirbridge.store.database import Database
from tests.engine.world import World, default_schema, key

ANN, BOB, CAT, DAN, EVE = (anchor_of(i) for i in range(5))
NORTH, CITY, SHOP, SOUTH = (anchor_of(i) for i in range(20, 24))
SALES, EAST, WEST, OTHER = (anchor_of(i) for i in range(100, 104))
PEOPLE = {ANN: "Ann", BOB: "Bob", CAT: "Cat", DAN: "Dan", EVE: "Eve"}


def chosen(world: World, *, containers: Sequence[str] = (), groups: Sequence[str] = ()) -> Schema:
    """The default schema document with a scope."""
    schema = default_schema(world.job)
    (rule,) = schema.synchronization_rules
    rule = msgspec.structs.replace(
        rule,
        container_filter=ContainerFilter(tuple(containers)),
        group_filter=GroupFilter(tuple(groups)),
    )
    return msgspec.structs.replace(schema, synchronization_rules=(rule,))


async def choose(world: World, *, containers: Sequence[str] = (), groups: Sequence[str] = ()) -> None:
    """Change the job's scope."""
    schema = chosen(world, containers=containers, groups=groups)
    async with world.database.transaction() as conn:
        await jobs.set_schema(conn, world.tenant, world.job, schema)


async def names(world: World) -> set[str]:
    """The users at the target."""
    return {user["displayName"] for user in (await world.users()).values()}


async def teams(world: World) -> set[str]:
    """The groups at the target."""
    return {group["displayName"] for group in (await world.groups()).values()}


async def settled(world: World) -> None:
    """The next cycle writes nothing."""
    before = await world.fingerprint()
    await world.cycle()
    after = await world.fingerprint()
    assert after == before, [table for table in after if after[table] != before[table]]


async def reasons(world: World) -> list[str]:
    """The codes of the warnings in the log, oldest first."""
    return [event["reason"] for event in await world.events() if event["status"] == "warning"]


def places(world: World) -> None:
    """North holds a city, which holds a shop; south stands beside it. One person in each, one at the top."""
    directory = world.directory
    tree = ((NORTH, "North", ROOT), (CITY, "City", NORTH), (SHOP, "Shop", CITY), (SOUTH, "South", ROOT))
    for anchor, name, parent in tree:
        directory.create(anchor, "container", name, parent)
    for person, place in ((ANN, NORTH), (BOB, CITY), (CAT, SHOP), (DAN, SOUTH), (EVE, ROOT)):
        world.person(person, PEOPLE[person])
        directory.move(person, place)


def company(world: World) -> None:
    """Sales has Ann and the group East, East has Bob and West, West has Cat. Dan is in another group, Eve in none."""
    for anchor, name in PEOPLE.items():
        world.person(anchor, name)
    for anchor, name in ((SALES, "Sales"), (EAST, "East"), (WEST, "West"), (OTHER, "Other")):
        world.team(anchor, name)
    for group, member in ((SALES, ANN), (SALES, EAST), (EAST, BOB), (EAST, WEST), (WEST, CAT), (OTHER, DAN)):
        world.directory.add_member(group, member)


class Reading(MemorySource):
    """A source that notes which anchors it was asked for one by one."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.asked: list[str] = []

    async def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncIterator[ChangePage]:
        self.asked += anchors
        async for page in super().read(selection, anchors):
            yield page


class ContainersLast(MemorySource):
    """A source that tells of containers after the entries in them, as a directory in the order of changes may."""

    async def changes(self, selection: Selection, since: Watermark | None) -> AsyncIterator[ChangePage]:
        late: list[Any] = []
        async for page in super().changes(selection, since):
            late += page.containers
            yield msgspec.structs.replace(page, containers=tuple(late) if page.last else ())


# Containers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ([NORTH], {"Ann", "Bob", "Cat"}),
        ([CITY], {"Bob", "Cat"}),
        ([SHOP], {"Cat"}),
        ([NORTH, SHOP], {"Ann", "Bob", "Cat"}),
        ([CITY, SOUTH], {"Bob", "Cat", "Dan"}),
        ([ROOT], {"Ann", "Bob", "Cat", "Dan", "Eve"}),
    ],
)
async def test_containers_count_at_any_depth(world: World, chosen: list[str], found: set[str]) -> None:
    """What lies in a chosen container or below is in scope, once, also where one chosen lies in another."""
    places(world)
    await choose(world, containers=chosen)
    await world.cycle()
    assert await names(world) == found
    await settled(world)


async def test_scope_is_stored_by_guid_and_follows_renames_and_moves(world: World) -> None:
    """Containers at every level change their names and places; nobody leaves scope for it."""
    places(world)
    await choose(world, containers=[CITY])
    await world.cycle()
    before = {user["id"] for user in (await world.users()).values()}
    for anchor in (NORTH, CITY, SHOP):
        world.directory.rename(anchor, f"new-{anchor[:4]}")
        await world.cycle()
    world.directory.move(CITY, SOUTH)
    await world.cycle()
    users = await world.users()
    assert {user["id"] for user in users.values()} == before
    assert users[key(CAT)]["onPremisesDistinguishedName"] == world.directory.dn(world.directory.nodes[CAT])
    assert "delete" not in [event["action"] for event in await world.events()]
    await settled(world)


async def test_a_container_that_moves_out_takes_its_people_along_and_back(world: World) -> None:
    """Those below leave and return although nothing of themselves changed; their ids are the same."""
    places(world)
    await choose(world, containers=[NORTH])
    await world.cycle()
    before = await world.users()
    world.directory.move(SHOP, SOUTH)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob"}
    await settled(world)
    world.directory.move(SOUTH, CITY)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat", "Dan"}
    assert (await world.users())[key(CAT)]["id"] == before[key(CAT)]["id"]
    await settled(world)


async def test_a_person_who_moves_leaves_and_enters(world: World) -> None:
    """A move out of the chosen container is a delete, a move into it a create; the log says why."""
    places(world)
    await choose(world, containers=[NORTH])
    await world.cycle()
    world.directory.move(ANN, SOUTH)
    world.directory.move(EVE, SHOP)
    await world.cycle()
    assert await names(world) == {"Bob", "Cat", "Eve"}
    skipped = [e for e in await world.events() if e["status"] == "skipped" and e["source"] == DAN]
    assert skipped[0]["detail"].steps[-1].details["clause"] == "it lies in no chosen container"
    await settled(world)


async def test_containers_that_come_after_their_entries(world: World) -> None:
    """Nobody is judged before it is known where they lie: no create is missed, no delete begun."""
    places(world)
    world.source = lambda: ContainersLast(world.directory)
    await choose(world, containers=[NORTH])
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat"}
    late = anchor_of(30)
    world.directory.create(late, "container", "Late", NORTH)
    world.directory.move(ANN, late)
    world.directory.move(EVE, late)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat", "Eve"}
    assert {e["status"] for e in await world.events() if e["source"] in (ANN, EVE)} == {"success", "skipped"}
    assert "delete" not in [event["action"] for event in await world.events()]
    await settled(world)


async def test_an_unknown_container_decides_nothing(world: World) -> None:
    """Whoever lies where the reader may not look stays as they are, with the reason, until the container is shown."""
    places(world)
    await choose(world, containers=[NORTH])
    await world.cycle()
    secret = anchor_of(31)
    world.directory.create(secret, "container", "Secret", NORTH)
    world.directory.hide(secret)
    world.directory.move(ANN, secret)
    world.directory.move(EVE, secret)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat"}
    failed = {e["source"]: e["reason"] for e in await world.events() if e["status"] == "failure"}
    assert failed == {ANN: "ContainerUnknown", EVE: "ContainerUnknown"}
    await settled(world)
    world.directory.show(secret)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat", "Eve"}
    await settled(world)


async def test_a_deleted_container_deletes_nobody_by_itself(world: World) -> None:
    """Those in it are moved or deleted on their own evidence; who is said to lie there still is left alone."""
    places(world)
    await choose(world, containers=[CITY])
    await world.cycle()
    world.directory.delete(CITY)
    world.directory.set(BOB, "title", "Clerk")
    await world.cycle()
    assert await names(world) == {"Bob", "Cat"}
    world.directory.move(BOB, SOUTH)
    await world.cycle()
    assert await names(world) == {"Cat"}


async def test_containers_that_vanished_unseen_are_forgotten_by_a_full_read(world: World) -> None:
    """A container whose deletion nobody told is gone after the next full read, and what lay in it waits."""
    places(world)
    await choose(world, containers=[NORTH])
    await world.cycle()
    world.directory.hide(CITY)
    await world.restart()
    await world.cycle()
    known = {row[0] for row in await world.rows("select anchor from containers where tenant = %s")}
    assert known == {ROOT, NORTH, SHOP, SOUTH}
    assert await names(world) == {"Ann", "Bob", "Cat"}


async def test_a_move_back_is_seen_before_anybody_is_removed(world: World) -> None:
    """The review reads the containers above afresh: a move that was taken back meanwhile removes nobody."""
    places(world)
    await choose(world, containers=[NORTH])
    await world.cycle()
    world.directory.move(SHOP, SOUTH)

    class Back(MemorySource):
        async def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncIterator[ChangePage]:
            self.directory.move(SHOP, CITY)
            async for page in super().read(selection, anchors):
                yield page

    world.source = lambda: Back(world.directory)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat"}
    world.source = lambda: MemorySource(world.directory)
    await world.cycle()
    assert "delete" not in [event["action"] for event in await world.events()]
    await settled(world)


# Groups ---------------------------------------------------------------------------------------------------------------


async def test_nested_groups_and_the_groups_themselves_are_in_scope(world: World) -> None:
    """Members at any depth, and the groups between, with their memberships; each is read and logged once."""
    company(world)
    source = Reading(world.directory)
    world.source = lambda: source
    await choose(world, groups=[SALES])
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat"}
    assert await teams(world) == {"Sales", "East", "West"}
    assert await world.references("members") == {
        (key(group), key(member))
        for group, member in ((SALES, ANN), (SALES, EAST), (EAST, BOB), (EAST, WEST), (WEST, CAT))
    }
    assert source.asked == []
    told = [event["source"] for event in await world.events() if event["action"] != "update"]
    assert sorted(told) == sorted([ANN, BOB, CAT, DAN, EVE, SALES, EAST, WEST, OTHER])
    await settled(world)


async def test_a_member_comes_and_goes(world: World) -> None:
    """One more or less is one entry read afresh, in the same cycle; the others are not touched."""
    company(world)
    await choose(world, groups=[SALES])
    await world.cycle()
    source = Reading(world.directory)
    world.source = lambda: source
    world.directory.add_member(WEST, EVE)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat", "Eve"}
    assert (key(WEST), key(EVE)) in await world.references("members")
    assert source.asked == [EVE]
    await settled(world)
    world.directory.remove_member(WEST, EVE)
    world.directory.remove_member(SALES, ANN)
    source.asked.clear()
    await world.cycle()
    assert await names(world) == {"Bob", "Cat"}
    assert set(source.asked) == {ANN, EVE}
    await settled(world)


async def test_a_new_user_and_its_membership_in_one_page(world: World) -> None:
    """Somebody who is made and put into the group at once is created, without a word about being out of scope."""
    company(world)
    await choose(world, groups=[SALES])
    await world.cycle()
    new = anchor_of(9)
    world.source = lambda: MemorySource(world.directory, page_entries=50)
    world.person(new, "Fay")
    world.directory.add_member(WEST, new)
    await world.cycle()
    assert "Fay" in await names(world)
    assert [e["action"] for e in await world.events() if e["source"] == new] == ["create"]


async def test_groups_in_a_circle(world: World) -> None:
    """Groups that are members of each other are no trouble, and go together when the way to them ends."""
    company(world)
    world.directory.add_member(WEST, EAST)
    world.directory.add_member(WEST, SALES)
    await choose(world, groups=[SALES])
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat"}
    world.directory.remove_member(SALES, EAST)
    await world.cycle()
    assert await names(world) == {"Ann"}
    assert await teams(world) == {"Sales"}
    await settled(world)


async def test_one_of_two_paths_ends(world: World) -> None:
    """Who is in scope by two ways stays until both have ended."""
    company(world)
    world.directory.add_member(SALES, CAT)
    await choose(world, groups=[SALES])
    await world.cycle()
    world.directory.remove_member(WEST, CAT)
    await world.cycle()
    assert "Cat" in await names(world)
    world.directory.remove_member(SALES, CAT)
    await world.cycle()
    assert "Cat" not in await names(world)
    await settled(world)


async def test_the_primary_group_counts(world: World) -> None:
    """A user's primary group does not list it and lets it in all the same; a change of it is one of scope."""
    company(world)
    world.directory.set_primary_group(EVE, SALES)
    source = Reading(world.directory)
    world.source = lambda: source
    await choose(world, groups=[SALES])
    await world.cycle()
    assert "Eve" in await names(world)
    assert source.asked == []
    world.directory.set_primary_group(EVE, OTHER)
    world.directory.set_primary_group(DAN, WEST)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat", "Dan"}
    await settled(world)


async def test_a_group_that_is_emptied_lets_its_members_go_under_the_threshold(world: World) -> None:
    """All of them at once wait for a person's word."""
    company(world)
    people = [anchor_of(i) for i in range(200, 212)]
    for number, anchor in enumerate(people):
        world.person(anchor, f"Member {number}")
        world.directory.add_member(SALES, anchor)
    await choose(world, groups=[SALES])
    await world.cycle()
    assert len(await names(world)) == 15
    for anchor in (*people, ANN, EAST):
        world.directory.remove_member(SALES, anchor)
    await world.cycle()
    assert len(await names(world)) == 15
    quarantine = (await world.state()).quarantine
    assert quarantine is not None
    assert quarantine["reason"] == "TooManyDeletes"


async def test_a_nested_group_that_is_deleted_lets_its_members_go(world: World) -> None:
    """It lets nobody in any more, whether its own delete is done or waits; restored, all come back with their ids."""
    company(world)
    await choose(world, groups=[SALES])
    await world.cycle()
    before = await world.users()
    world.directory.delete(EAST)
    await world.cycle()
    assert await names(world) == {"Ann"}
    await world.restart("ForceDeletes")
    await world.cycle()
    assert await teams(world) == {"Sales"}
    await settled(world)
    world.directory.restore(EAST, with_links=True)
    await world.cycle()
    assert await world.users() == before
    assert await teams(world) == {"Sales", "East", "West"}
    await settled(world)


async def test_a_person_restored_without_links_is_out_of_scope(world: World) -> None:
    """A tombstone that comes back without its memberships belongs to nothing that is chosen."""
    company(world)
    await choose(world, groups=[SALES])
    await world.cycle()
    world.directory.delete(CAT)
    await world.cycle()
    world.directory.restore(CAT, with_links=False)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob"}
    await settled(world)


# Groups that hold -----------------------------------------------------------------------------------------------------


async def test_the_scoping_group_was_deleted(world: World) -> None:
    """Its people stay, one warning says so, changes go on; restored, it decides again."""
    company(world)
    await choose(world, groups=[SALES, OTHER])
    await world.cycle()
    world.directory.delete(SALES)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat", "Dan"}
    assert await reasons(world) == ["ScopingGroupMissing"]
    assert (await world.state()).quarantine is None
    await settled(world)
    world.directory.set(ANN, "title", "Clerk")
    world.directory.remove_member(EAST, BOB)
    await world.cycle()
    assert await names(world) == {"Ann", "Cat", "Dan"}
    assert (await world.users())[key(ANN)]["jobTitle"] == "Clerk"
    await world.restart("Full")
    await world.cycle()
    assert await names(world) == {"Ann", "Cat", "Dan"}
    assert await reasons(world) == ["ScopingGroupMissing"]
    world.directory.restore(SALES, with_links=False)
    await world.cycle()
    assert await names(world) == {"Dan"}
    await settled(world)


async def test_the_scoping_group_is_out_of_sight(world: World) -> None:
    """A group that can no longer be read holds its scope; nobody leaves, and it is warned of once."""
    company(world)
    await choose(world, groups=[SALES])
    await world.cycle()
    world.directory.hide(SALES)
    await world.restart()
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat"}
    assert sorted(await reasons(world)) == ["NotVisibleInSource", "ScopingGroupMissing"]
    await settled(world)


async def test_a_chosen_group_that_was_never_seen_removes_nobody(world: World) -> None:
    """A narrowed scope whose group cannot be read yet is no evidence; once it can, those outside leave."""
    company(world)
    world.directory.hide(SALES)
    await world.cycle()
    assert len(await names(world)) == 5
    await choose(world, groups=[SALES])
    await world.cycle()
    assert len(await names(world)) == 5
    assert "ScopingGroupMissing" in await reasons(world)
    new = anchor_of(9)
    world.person(new, "Fay")
    await world.cycle()
    assert "Fay" not in await names(world)
    await settled(world)
    world.directory.nodes[SALES].hidden = False
    world.clock.forward(hours=7)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat"}
    await settled(world)


async def test_a_group_of_another_domain_holds_and_warns(world: World) -> None:
    """A group that this job's directory does not have cannot say who is out."""
    company(world)
    await world.cycle()
    await choose(world, groups=[anchor_of(999)])
    await world.cycle()
    assert len(await names(world)) == 5
    assert await reasons(world) == ["ScopingGroupMissing"]
    await world.restart()
    await world.cycle()
    assert await reasons(world) == ["ScopingGroupMissing"]
    await settled(world)


async def test_dropping_a_deleted_scoping_group_lets_its_people_go(world: World) -> None:
    """Who chooses another group has decided: the hold ends."""
    company(world)
    await choose(world, groups=[SALES, OTHER])
    await world.cycle()
    world.directory.delete(SALES)
    await world.cycle()
    await choose(world, groups=[OTHER, WEST])
    await world.cycle()
    assert await names(world) == {"Cat", "Dan"}
    await settled(world)


# Both, and changes of scope -------------------------------------------------------------------------------------------


async def test_containers_and_groups_together_take_either(world: World) -> None:
    """Whoever lies in a chosen container or belongs to a chosen group is in."""
    company(world)
    world.directory.create(NORTH, "container", "North")
    world.directory.move(EVE, NORTH)
    world.directory.move(ANN, NORTH)
    await choose(world, containers=[NORTH], groups=[WEST])
    await world.cycle()
    assert await names(world) == {"Ann", "Cat", "Eve"}
    world.directory.move(CAT, NORTH)
    world.directory.remove_member(WEST, CAT)
    await world.cycle()
    assert await names(world) == {"Ann", "Cat", "Eve"}
    await settled(world)


async def test_a_filter_narrows_what_was_chosen(world: World) -> None:
    """Being chosen lets nobody in whom an attribute excludes."""
    company(world)
    world.directory.set(ANN, "adminDescription", "User_1")
    await choose(world, groups=[SALES])
    await world.cycle()
    assert await names(world) == {"Bob", "Cat"}


async def test_narrowing_the_scope_is_one_planned_step_under_the_threshold(world: World) -> None:
    """More than the threshold waits for a person's word; less goes in one cycle; widening brings all back."""
    company(world)
    crowd = [anchor_of(i) for i in range(200, 220)]
    for number, anchor in enumerate(crowd):
        world.person(anchor, f"Member {number}")
    await world.cycle()
    before = await world.users()
    assert len(before) == 25
    await choose(world, groups=[SALES])
    await world.cycle()
    assert len(await world.users()) == 25
    await world.restart("ForceDeletes")
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat"}
    await choose(world)
    await world.cycle()
    assert await world.users() == before
    assert await world.rows("select * from scope_members where tenant = %s") == []
    await settled(world)


async def test_an_idle_cycle_under_scope_writes_nothing(world: World) -> None:
    """Whatever is chosen, a cycle without changes leaves every row as it is."""
    company(world)
    places_of = world.directory
    places_of.create(NORTH, "container", "North")
    await choose(world, containers=[NORTH], groups=[SALES, OTHER])
    await world.cycle()
    for _ in range(3):
        await settled(world)
        world.clock.forward(hours=1)


async def test_a_crash_in_the_survey_is_made_good(world: World) -> None:
    """A survey that was cut off is repeated as a whole by the next cycle; until then nothing is judged."""
    company(world)

    class Cut(MemorySource):
        async def changes(self, selection: Selection, since: Watermark | None) -> AsyncIterator[ChangePage]:
            async for page in super().changes(selection, since):
                if page.last:
                    return
                yield page

    world.source = lambda: Cut(world.directory)
    await choose(world, groups=[SALES])
    await world.cycle()
    assert (await names(world), (await world.state()).last_success) == (set(), None)
    world.source = lambda: MemorySource(world.directory)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat"}
    await settled(world)


async def test_one_member_of_a_large_group_costs_a_few_rows(world: World) -> None:
    """One member more or less writes the same number of rows in a group of ten as in one of two hundred."""
    world.source = lambda: MemorySource(world.directory, page_entries=500)
    counts = []
    for size, group in ((10, SALES), (200, OTHER)):
        world.team(group, f"Team {size}")
        for number in range(size):
            anchor = anchor_of(number, salt=f"{size}-")
            world.person(anchor, f"Member {size} {number}")
            world.directory.add_member(group, anchor)
    world.person(EVE, "Eve")
    await choose(world, groups=[SALES, OTHER])
    await world.cycle()
    for group in (SALES, OTHER):
        world.directory.add_member(group, EVE)
        counts.append(await _rows_written(world))
        world.directory.remove_member(group, EVE)
        counts.append(await _rows_written(world))
    assert counts[:2] == counts[2:]
    assert counts[0] == {
        "links": 1,
        "entry_references": 1,
        "scope_members": 1,
        "directory_objects": 1,
        "directory_references": 1,
        "events": 2,
    }


async def _rows_written(world: World) -> dict[str, int]:
    """Run a cycle and count the rows of each table that it wrote and that are still there."""
    (before,) = (await world.rows("select pg_current_xact_id()::text::bigint, %s"))[0][:1]
    await world.cycle()
    world.clock.forward(days=2)  # so that no delete counts against the next
    found = {}
    for table in ("links", "entry_references", "scope_members", "directory_objects", "directory_references", "events"):
        rows = await world.rows(f"select count(*) from {table} where tenant = %s and xmin::text::bigint > %s", before)
        found[table] = rows[0][0]
    return found


# Other mappings, other targets ----------------------------------------------------------------------------------------


async def test_groups_that_are_not_mapped_scope_all_the_same(world: World) -> None:
    """Who maps no groups can still choose by them: their members are read, the groups are not written."""
    company(world)
    schema = chosen(world, groups=[SALES])
    (rule,) = schema.synchronization_rules
    mappings = tuple(
        msgspec.structs.replace(each, enabled=each.source_object_name != "group") for each in rule.object_mappings
    )
    rule = msgspec.structs.replace(rule, object_mappings=mappings)
    async with world.database.transaction() as conn:
        document = msgspec.structs.replace(schema, synchronization_rules=(rule,))
        await jobs.set_schema(conn, world.tenant, world.job, document)
    await world.cycle()
    assert await names(world) == {"Ann", "Bob", "Cat"}
    assert await teams(world) == set()
    world.directory.add_member(WEST, EVE)
    world.directory.delete(EAST)
    await world.cycle()
    assert await names(world) == {"Ann"}
    await settled(world)


async def test_a_target_outside_the_transaction(database: Database) -> None:
    """There too a page's memberships are known before its people are judged, whatever the batches."""
    world = World(database, "cloud")
    await world.found()
    company(world)
    world.source = lambda: MemorySource(world.directory, page_entries=50)
    await choose(world, groups=[SALES])
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(BOB), key(CAT)}
    new = anchor_of(9)
    world.person(new, "Fay")
    world.directory.add_member(WEST, new)
    world.directory.remove_member(EAST, BOB)
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(CAT), key(new)}
    assert [e["action"] for e in await world.events() if e["source"] == new] == ["create"]
    await settled(world)
