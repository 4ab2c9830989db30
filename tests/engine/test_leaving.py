"""Members that groups lose: a threshold of their own for each group, and a person's word."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.engine import leaving
from dirbridge.store import jobs, member_removals, staged
from tests.engine.world import World, key

SALES, STAFF = anchor_of(9000), anchor_of(9001)


async def company(world: World, size: int, groups: Iterable[str] = (SALES,)) -> list[str]:
    """People who are all members of every group, after their first cycle."""
    people = [anchor_of(i) for i in range(size)]
    for number, anchor in enumerate(people):
        world.person(anchor, f"Person {number}")
    for group in groups:
        world.team(group, f"Team {group[:6]}")
        for anchor in people:
            world.directory.add_member(group, anchor)
    await world.cycle()
    return people


def lose(world: World, people: Iterable[str], group: str = SALES) -> None:
    """Take members out of a group at the source."""
    for anchor in people:
        world.directory.remove_member(group, anchor)


async def members(world: World, group: str = SALES) -> set[str]:
    """Who is a member in the tenant, by immutable id."""
    return {member for owner, member in await world.references("members") if owner == key(group)}


async def reason(world: World) -> str | None:
    quarantine = (await world.state()).quarantine
    return None if quarantine is None else quarantine["reason"]


async def waiting(world: World) -> int:
    async with world.database.connection() as conn:
        return await staged.count(conn, world.tenant, world.job)


async def settings(world: World, **values: str | None) -> None:
    async with world.database.transaction() as conn:
        await jobs.set_settings(conn, world.tenant, world.job, values)


async def decide(world: World, word: str, *ids: str) -> None:
    async with world.database.transaction() as conn:
        if word == "reject":
            await staged.reject(conn, world.tenant, world.job, ids or None, world.clock())
        else:
            await staged.allow(conn, world.tenant, world.job, ids or None)


async def settled(world: World) -> None:
    """The next cycle writes nothing."""
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


def wide(world: World, page_entries: int = 1000) -> None:
    """Let the source hand out large pages."""
    world.source = lambda: MemorySource(world.directory, page_entries=page_entries)


# How many -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "going", "goes"),
    [(12, 10, True), (12, 11, False), (12, 12, False), (10, 10, True), (60, 12, True), (60, 13, False)],
)
async def test_ten_or_a_fifth_of_a_group(world: World, size: int, going: int, goes: bool) -> None:
    """So many members leave in a cycle; one more, and all of them wait."""
    people = await company(world, size)
    lose(world, people[:going])
    await world.cycle()
    assert len(await members(world)) == (size - going if goes else size)
    assert (await reason(world), await waiting(world)) == ((None, 0) if goes else ("TooManyDeletes", going))
    await settled(world)


@pytest.mark.parametrize(("going", "goes"), [(500, True), (501, False)])
async def test_the_most_however_large_the_group(world: World, going: int, goes: bool) -> None:
    """Of 2,600 a fifth would be 520; more than 500 wait all the same."""
    wide(world)
    people = await company(world, 2600)
    lose(world, people[:going])
    await world.cycle()
    assert len(await members(world)) == (2600 - going if goes else 2600)
    assert await waiting(world) == (0 if goes else 501)


async def test_members_leave_bit_by_bit(world: World) -> None:
    """What a group lost within 24 hours counts, whatever the cycles; a day later it does not."""
    people = await company(world, 40)
    for first in (0, 4, 8):
        lose(world, people[first : first + 4])
        await world.cycle()
    assert (len(await members(world)), await waiting(world), await reason(world)) == (32, 4, "TooManyDeletes")
    lose(world, people[12:13])
    await world.cycle()
    assert (len(await members(world)), await waiting(world)) == (32, 5)
    world.clock.forward(hours=24.1)
    await world.cycle()
    assert (len(await members(world)), await waiting(world), await reason(world)) == (27, 0, None)


async def test_each_group_counts_by_itself(world: World) -> None:
    """One group over its threshold holds back neither another group nor any change of an entry."""
    people = await company(world, 30, (SALES, STAFF))
    lose(world, people[:20])
    lose(world, people[:5], STAFF)
    world.directory.set(people[0], "title", "Clerk")
    world.person(anchor_of(500), "New One")
    world.directory.add_member(SALES, anchor_of(500))
    await world.cycle()
    assert (len(await members(world)), len(await members(world, STAFF))) == (31, 25)
    assert (await world.users())[key(people[0])]["jobTitle"] == "Clerk"
    assert await reason(world) == "TooManyDeletes"
    await settled(world)


@pytest.mark.parametrize("page_entries", [3, 1000])
async def test_a_whole_list_that_lost_many(world: World, page_entries: int) -> None:
    """The same for a full read, in which the group's list comes as a whole, in parts or not."""
    people = await company(world, 40)
    lose(world, people[:15])
    wide(world, page_entries)
    await world.restart("Watermark")
    await world.cycle()
    assert (len(await members(world)), await waiting(world)) == (40, 15)
    await decide(world, "allow")
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (25, None)
    await settled(world)


async def test_a_half_read_member_list_removed_members(world: World) -> None:
    """An empty list of members is no evidence strong enough for a whole group: all of them wait."""
    await company(world, 11)
    world.directory.nodes[SALES].members.clear()
    world.directory.set(SALES, "description", "emptied")
    await world.restart("Watermark")
    await world.cycle()
    assert (len(await members(world)), await waiting(world)) == (11, 11)


async def test_threshold_of_the_settings(world: World) -> None:
    """A person's own limit holds from the next cycle on; what waits goes once it is raised or switched off."""
    people = await company(world, 60)
    await settings(world, MemberThresholdValue="2")
    lose(world, people[:3])
    await world.cycle()
    assert (len(await members(world)), await waiting(world)) == (60, 3)
    await settings(world, MemberThresholdValue="3")
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (57, None)
    await settings(world, MemberThresholdEnabled="False")
    lose(world, people)
    await world.cycle()
    assert (await members(world), await reason(world)) == (set(), None)
    await settled(world)


async def test_switched_off_while_members_wait(world: World) -> None:
    """They go, in chunks however many there are."""
    people = await company(world, 40)
    lose(world, people[:35])
    await world.cycle()
    await settings(world, MemberThresholdEnabled="False")
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (5, None)


# What does not count --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
async def test_members_who_are_deleted_do_not_count(world: World, full: bool) -> None:
    """Twenty of a hundred go with their accounts, however the directory tells it: the group's ten are untouched."""
    people = await company(world, 100)
    for anchor in people[:20]:
        world.directory.delete(anchor)
    if full:
        await world.restart("Watermark")
    await world.cycle()
    assert (len(await members(world)), await waiting(world), await reason(world)) == (80, 0, None)
    lose(world, people[20:30])
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (70, None)
    await settled(world)


async def test_members_whose_delete_waits_do_not_count(world: World) -> None:
    """They are out of the count and stay members until somebody decides about their accounts."""
    people = await company(world, 40)
    for anchor in people[:30]:
        world.directory.delete(anchor)
    await world.restart("Watermark")
    await world.cycle()
    assert (len(await members(world)), await waiting(world)) == (40, 30)
    await decide(world, "reject")
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (40, None)
    for anchor in people[:15]:
        world.directory.restore(anchor, with_links=True)
    await world.cycle()
    await settled(world)
    assert await world.rows("select count(*) from member_removals where tenant = %s") == [(15,)]
    await decide(world, "allow", *people[15:30])
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (25, None)
    assert await world.rows("select count(*) from member_removals where tenant = %s") == [(0,)]


async def test_a_group_that_goes_itself_does_not_count(world: World) -> None:
    """Its members are no loss of a group."""
    people = await company(world, 30, (SALES, STAFF))
    lose(world, people)
    world.directory.set(SALES, "adminDescription", "Group_1")
    await world.cycle()
    assert (set(await world.groups()), await waiting(world), await reason(world)) == ({key(STAFF)}, 0, None)
    assert await world.rows("select count(*) from member_removals where tenant = %s") == [(0,)]


async def test_a_member_who_only_changed_the_way_in_is_not_lost(world: World) -> None:
    """Listed members who become primary ones stay members, and nothing counts."""
    people = await company(world, 30)
    for anchor in people[:20]:
        world.directory.remove_member(SALES, anchor)
        world.directory.set_primary_group(anchor, SALES)
    await world.cycle()
    assert (len(await members(world)), await waiting(world)) == (30, 0)


async def test_what_a_person_allowed_does_not_count(world: World) -> None:
    """Fifteen that were allowed leave the day's ten untouched."""
    people = await company(world, 45)
    lose(world, people[:15])
    await world.cycle()
    await decide(world, "allow", SALES)
    await world.cycle()
    lose(world, people[15:24])
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (21, None)
    lose(world, people[24:26])
    await world.cycle()
    assert (len(await members(world)), await waiting(world)) == (21, 2)


# A person's word ------------------------------------------------------------------------------------------------------


async def test_every_member_that_waits_is_in_the_log_once(world: World) -> None:
    """One event a group with the members' names, however many cycles follow."""
    people = await company(world, 30)
    lose(world, people[:11])
    await world.cycle()
    await world.cycle()
    (event,) = [e for e in await world.events() if e["action"] == "stagedDelete"]
    assert (event["source"], event["status"], event["reason"]) == (SALES, "warning", "TooManyDeletes")
    names = {str(change.old).partition(" (")[0] for change in event["detail"].modified}
    assert names == {f"Person {number}" for number in range(11)}
    assert {(change.name, change.new) for change in event["detail"].modified} == {("Member", None)}


async def test_members_allowed_one_by_one(world: World) -> None:
    """Of a list that waits, some go, some stay for good, and the rest goes on waiting while it is too much."""
    people = await company(world, 40)
    lose(world, people[:25])
    await world.cycle()
    await decide(world, "allow", f"{SALES}/{people[0]}", f"{SALES}/{people[1]}")
    await decide(world, "reject", *(f"{SALES}/{anchor}" for anchor in people[2:5]))
    await world.cycle()
    assert (len(await members(world)), await waiting(world)) == (38, 20)
    assert {key(people[0]), key(people[1])}.isdisjoint(await members(world))
    await decide(world, "allow")
    await world.cycle()
    assert await members(world) == {key(anchor) for anchor in (*people[2:5], *people[25:])}
    assert await reason(world) is None
    await settled(world)


@pytest.mark.parametrize("full", [False, True])
async def test_rejected_members_stay(world: World, full: bool) -> None:
    """Whatever the source says again; named there again and lost once more, they are a new question."""
    people = await company(world, 30)
    lose(world, people[:12])
    await world.cycle()
    await decide(world, "reject")
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (30, None)
    world.directory.set(SALES, "description", "changed")
    if full:
        async with world.database.transaction() as conn:
            await jobs.want_full_read(conn, world.tenant, world.job)
    await world.cycle()
    await settled(world)
    assert len(await members(world)) == 30
    for anchor in people[:12]:
        world.directory.add_member(SALES, anchor)
    await world.cycle()
    assert await world.rows("select count(*) from member_removals where tenant = %s") == [(0,)]
    lose(world, people[:3])
    await world.cycle()
    assert len(await members(world)) == 27


async def test_a_restart_asks_again_about_rejected_members(world: World) -> None:
    """They wait anew."""
    people = await company(world, 30)
    lose(world, people[:12])
    await world.cycle()
    await decide(world, "reject")
    await world.cycle()
    await world.restart()
    await world.cycle()
    assert (len(await members(world)), await waiting(world), await reason(world)) == (30, 12, "TooManyDeletes")
    await world.restart("ForceDeletes")
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (18, None)


async def test_members_who_come_back_before_a_person_spoke(world: World) -> None:
    """They leave the list by themselves; nothing is written for them, as the target never lost them."""
    people = await company(world, 30)
    lose(world, people[:12])
    await world.cycle()
    for anchor in people[:2]:
        world.directory.add_member(SALES, anchor)
    before = len(await world.events())
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (20, None)
    (event,) = (await world.events())[before:]
    assert [change.new for change in event["detail"].modified] == [None] * 10
    await settled(world)


async def test_a_member_deleted_while_it_waits(world: World) -> None:
    """Its own removal decides, and restored it is no member, as the source says."""
    people = await company(world, 30)
    lose(world, people[:12])
    await world.cycle()
    world.directory.delete(people[0])
    await world.cycle()
    assert (len(await members(world)), await waiting(world)) == (29, 11)
    world.directory.restore(people[0], with_links=True)
    await world.cycle()
    assert (len(await members(world)), await waiting(world)) == (29, 11)
    await decide(world, "allow")
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (18, None)


async def test_a_cycle_that_dies_between_two_chunks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one goes on; nobody is taken away twice, and the log names each once."""
    people = await company(world, 40)
    lose(world, people[:30])
    await world.cycle()
    await decide(world, "allow")
    monkeypatch.setattr(leaving, "CHUNK", 7)
    take, left = member_removals.take, [3]

    async def dying(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise RuntimeError("the process ended here")
        return await take(*args, **{**options, "limit": 7})

    monkeypatch.setattr(member_removals, "take", dying)
    with pytest.raises(RuntimeError):
        await world.cycle()
    assert len(await members(world)) == 40 - 21
    left[0] = 99
    await world.cycle()
    assert (len(await members(world)), await reason(world)) == (10, None)
    told = [c.old for e in await world.events() if e["action"] == "update" for c in e["detail"].modified if not c.new]
    assert (len(told), len(set(told))) == (30, 30)
    await settled(world)


async def test_deleted_job_leaves_nothing(world: World) -> None:
    """What waits for a person goes with its job; the members stay in the tenant."""
    people = await company(world, 30)
    lose(world, people[:12])
    await world.cycle()
    async with world.database.transaction() as conn:
        await jobs.delete(conn, world.tenant, world.job)
    assert await world.rows("select count(*) from member_removals where tenant = %s") == [(0,)]
    assert len(await members(world)) == 30


# Groups that are left alone -------------------------------------------------------------------------------------------


async def test_members_of_a_group_that_is_left_alone(world: World) -> None:
    """Nothing changes in it while it is out of scope; back in scope it is as the source says, under its threshold."""
    people = await company(world, 30)
    world.directory.set_manager(people[0], people[1])
    await world.cycle()
    await settings(world, SkipOutOfScopeDeletions="True")
    for anchor in (SALES, people[0]):
        world.directory.set(anchor, "adminDescription", "Group_1" if anchor == SALES else "User_1")
    await world.cycle()
    lose(world, people[:5])
    world.person(anchor_of(500), "New One")
    world.directory.add_member(SALES, anchor_of(500))
    world.directory.set_manager(people[0], people[2])
    await world.cycle()
    assert await members(world) == {key(anchor) for anchor in people}
    assert await world.references("manager") == {(key(people[0]), key(people[1]))}
    await settled(world)
    for anchor in (SALES, people[0]):
        world.directory.set(anchor, "adminDescription")
    await world.cycle()
    assert await members(world) == {key(anchor) for anchor in (*people[5:], anchor_of(500))}
    assert await world.references("manager") == {(key(people[0]), key(people[2]))}
    await settled(world)
