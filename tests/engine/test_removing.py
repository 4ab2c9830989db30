"""Deletes and disables: the threshold, the review, and a person's word."""

from __future__ import annotations

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.engine.threshold import allowance
from dirbridge.store import jobs, staged
from tests.engine.world import World, key


@pytest.mark.parametrize(
    ("total", "most"),
    [(0, 10), (1, 10), (49, 10), (50, 10), (54, 10), (55, 11), (100, 20), (2499, 499), (2500, 500), (1_000_000, 500)],
)
def test_threshold(total: int, most: int) -> None:
    """A fifth, but ten at least and 500 at most."""
    assert allowance(total, 500) == most


@pytest.mark.parametrize(
    ("total", "limit", "most"), [(3, 1, 1), (1000, 5, 5), (1000, 10, 10), (1000, 100, 100), (10_000, 1500, 1500)]
)
def test_threshold_that_a_person_set(total: int, limit: int, most: int) -> None:
    """The limit replaces the 500, and holds where it is lower than what may always go."""
    assert allowance(total, limit) == most


async def _company(world: World, size: int) -> list[str]:
    people = [anchor_of(i) for i in range(size)]
    for number, anchor in enumerate(people):
        world.person(anchor, f"Person {number}")
    await world.cycle()
    return people


async def _set(world: World, **settings: str | None) -> None:
    async with world.database.transaction() as conn:
        await jobs.set_settings(conn, world.tenant, world.job, settings)


async def _settled(world: World) -> None:
    """The next cycle writes nothing."""
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


async def _reason(world: World) -> str | None:
    quarantine = (await world.state()).quarantine
    return None if quarantine is None else quarantine["reason"]


@pytest.mark.parametrize(("going", "left"), [(10, 10), (11, 20)])
async def test_deletes_at_and_over_the_threshold(world: World, going: int, left: int) -> None:
    """Ten of twenty go; eleven wait, all of them."""
    people = await _company(world, 20)
    for anchor in people[:going]:
        world.directory.delete(anchor)
    await world.cycle()
    assert len(await world.users()) == left
    assert await _reason(world) == (None if left == 10 else "TooManyDeletes")


async def test_deletes_add_up_over_a_day(world: World) -> None:
    """What went in the last 24 hours counts; after them it does not."""
    people = await _company(world, 25)
    for anchor in people[:6]:
        world.directory.delete(anchor)
    await world.cycle()
    for anchor in people[6:12]:
        world.directory.delete(anchor)
    await world.cycle()
    assert len(await world.users()) == 19
    assert await _reason(world) == "TooManyDeletes"
    world.clock.forward(hours=25)
    await world.cycle()
    assert len(await world.users()) == 13
    assert await _reason(world) is None


@pytest.mark.parametrize(("going", "left"), [(500, 2001), (501, 2501)])
async def test_the_most_that_go_however_many_there_are(world: World, going: int, left: int) -> None:
    """Of 2,501, a fifth would be 500 as well; the 501st makes all of them wait."""
    world.source = lambda: MemorySource(world.directory, page_entries=1000)
    people = await _company(world, 2501)
    for anchor in people[:going]:
        world.directory.delete(anchor)
    await world.cycle()
    assert len(await world.users()) == left
    assert await _reason(world) == (None if left == 2001 else "TooManyDeletes")


Step = tuple[float, int, int, int, int]
"""Hours that pass, users deleted, users disabled; then live users and staged removals after the cycle."""


@pytest.mark.parametrize(
    "story",
    [
        pytest.param([(0, 10, 0, 30, 0), (23.9, 1, 0, 30, 1), (0.2, 0, 0, 29, 0)], id="ten, one more, a day is over"),
        pytest.param([(0, 5, 5, 35, 0), (0, 0, 1, 35, 1), (24.1, 0, 0, 35, 0)], id="disables count"),
        pytest.param([(0, 9, 0, 31, 0), (0, 2, 0, 31, 2), (0, 1, 0, 31, 3)], id="all of a batch wait, and who comes"),
        pytest.param([(0, 6, 0, 34, 0), (12, 4, 0, 30, 0), (12.1, 6, 0, 24, 0), (0, 1, 0, 24, 1)], id="a window moves"),
        pytest.param([(0, 11, 0, 40, 11), (48, 0, 0, 40, 11)], id="what is too much alone does not go by waiting"),
    ],
)
async def test_what_goes_within_a_day(world: World, story: list[Step]) -> None:
    """Ten of forty in any 24 hours, deletes and disables together, whatever the cycles."""
    people = iter(await _company(world, 40))
    for hours, deletes, disables, live, waiting in story:
        world.clock.forward(hours=hours)
        for _ in range(deletes):
            world.directory.delete(next(people))
        for _ in range(disables):
            world.directory.set(next(people), "userAccountControl", "514")
        await world.cycle()
        async with world.database.connection() as conn:
            found = (len(await world.users()), await staged.count(conn, world.tenant, world.job))
        assert found == (live, waiting)


async def test_what_a_person_allowed_does_not_count(world: World) -> None:
    """Fifteen that were allowed leave the day's ten untouched."""
    people = await _company(world, 50)
    for anchor in people[:15]:
        world.directory.delete(anchor)
    await world.cycle()
    await world.restart("ForceDeletes")
    await world.cycle()
    for anchor in people[15:25]:
        world.directory.delete(anchor)
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (25, None)
    world.directory.delete(people[25])
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (25, "TooManyDeletes")


async def test_threshold_of_the_settings(world: World) -> None:
    """A person's own limit holds from the next cycle on, what it holds back goes once it is raised or switched off."""
    people = await _company(world, 100)
    await _set(world, DeleteThresholdValue="2")
    for anchor in people[:3]:
        world.directory.delete(anchor)
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (100, "TooManyDeletes")
    await _set(world, DeleteThresholdValue="3")
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (97, None)
    await _set(world, DeleteThresholdEnabled="False")
    for anchor in people[3:]:
        world.directory.delete(anchor)
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (0, None)


async def test_disables_do_not_raise_their_own_threshold(world: World) -> None:
    """Disabled accounts are still there: 60 people may lose twelve, not thirteen, in however many cycles."""
    people = await _company(world, 60)
    for batch in (people[:12], people[12:13]):
        for anchor in batch:
            world.directory.set(anchor, "userAccountControl", "514")
        await world.cycle()
    users = await world.users()
    assert sum(not user["accountEnabled"] for user in users.values()) == 12
    assert await _reason(world) == "TooManyDeletes"


async def test_last_of_a_type_waits_for_a_person(world: World) -> None:
    """All groups never go without review, not even the only one, nor one after the other."""
    await _company(world, 3)
    for number in (50, 51):
        world.team(anchor_of(number), f"Team {number}")
    await world.cycle()
    for number, left in ((50, 1), (51, 1)):
        world.directory.delete(anchor_of(number))
        await world.cycle()
        assert len(await world.groups()) == left
    assert await _reason(world) == "TooManyDeletes"


@pytest.mark.parametrize(
    "scopes",
    [
        {"ForceDeletes"},
        {"ForceDeletes", "QuarantineState"},
        {"ForceDeletes", "Watermark"},
        {"ForceDeletes", "Escrows", "QuarantineState", "Watermark"},
        {"ForceDeletes", "Full"},
    ],
)
async def test_a_persons_word_lets_them_go_in_one_cycle(world: World, scopes: set[str]) -> None:
    """Allowed deletes go, whatever else the restart clears and however they are found again."""
    people = await _company(world, 30)
    for anchor in people[:8]:
        world.directory.delete(anchor)
    for anchor in people[8:16]:
        world.directory.set(anchor, "adminDescription", "User_1")
    await world.cycle()
    assert await _reason(world) == "TooManyDeletes"
    await world.restart(*scopes)
    await world.cycle()
    assert len(await world.users()) == 14
    assert await _reason(world) is None


async def test_a_person_allows_only_what_was_staged(world: World) -> None:
    """Deletes that came after a person's word are counted anew."""
    people = await _company(world, 60)
    for anchor in people[:13]:
        world.directory.delete(anchor)
    await world.cycle()
    await world.restart("ForceDeletes")
    for anchor in people[13:30]:
        world.directory.delete(anchor)
    await world.cycle()
    assert len(await world.users()) == 47
    assert await _reason(world) == "TooManyDeletes"


async def test_staged_delete_that_is_taken_back(world: World) -> None:
    """Users restored or back in scope before a person spoke stay, and the quarantine ends."""
    people = await _company(world, 20)
    for anchor in people[:6]:
        world.directory.delete(anchor)
    for anchor in people[6:12]:
        world.directory.set(anchor, "adminDescription", "User_1")
    await world.cycle()
    assert await _reason(world) == "TooManyDeletes"
    for anchor in people[:6]:
        world.directory.restore(anchor, with_links=True)
    for anchor in people[6:12]:
        world.directory.set(anchor, "adminDescription")
    await world.cycle()
    assert len(await world.users()) == 20
    assert await _reason(world) is None
    assert await world.rows("select anchor from removals where tenant = %s") == []


async def test_delete_that_the_review_does_not_confirm(world: World) -> None:
    """A user restored between the page and the review is not deleted."""
    people = await _company(world, 5)
    world.directory.delete(people[0])
    source = world.source()

    class Restoring(type(source)):  # type: ignore[misc]
        def read(self, selection, anchors):  # type: ignore[no-untyped-def]
            if self.directory.nodes[people[0]].deleted:
                self.directory.restore(people[0], with_links=True)
            return super().read(selection, anchors)

    world.source = lambda: Restoring(world.directory)
    await world.cycle()
    assert len(await world.users()) == 5
    assert "delete" not in [event["action"] for event in await world.events()]
    await world.cycle()
    assert (await world.users())[key(people[0])]["accountEnabled"] is True


async def test_delete_whose_entry_is_out_of_sight_at_the_review_is_held(world: World) -> None:
    """A tombstone that cannot be found again is no evidence any more: nothing is deleted."""
    people = await _company(world, 5)
    world.directory.delete(people[0])
    source = world.source()

    class Blind(type(source)):  # type: ignore[misc]
        def read(self, selection, anchors):  # type: ignore[no-untyped-def]
            self.directory.nodes[people[0]].hidden = True
            return super().read(selection, anchors)

    world.source = lambda: Blind(world.directory)
    await world.cycle()
    assert len(await world.users()) == 5
    assert [event["reason"] for event in await world.events()][-1] == "NotVisibleInSource"
    world.directory.nodes[people[0]].hidden = False
    world.source = lambda: source
    world.clock.forward(hours=7)
    await world.cycle()
    assert len(await world.users()) == 4


# A person's word ------------------------------------------------------------------------------------------------------


async def _decide(world: World, word: str, *anchors: str) -> None:
    async with world.database.transaction() as conn:
        if word == "reject":
            await staged.reject(conn, world.tenant, world.job, anchors or None, world.clock())
        else:
            await staged.allow(conn, world.tenant, world.job, anchors or None)


async def _staged_company(world: World) -> list[str]:
    """Twenty people, of whom six deletes and six that left scope wait."""
    people = await _company(world, 20)
    for anchor in people[:6]:
        world.directory.delete(anchor)
    for anchor in people[6:12]:
        world.directory.set(anchor, "adminDescription", "User_1")
    await world.cycle()
    assert await _reason(world) == "TooManyDeletes"
    return people


async def test_a_filter_was_narrowed_and_users_vanished_bit_by_bit(world: World) -> None:
    """Leaving scope counts like a delete: nobody vanishes, bit by bit or at once, and all else goes on."""
    people = await _company(world, 30)
    for first in (0, 7, 14):
        for anchor in people[first : first + 7]:
            world.directory.set(anchor, "adminDescription", "User_1")
        world.directory.set(people[25], "title", f"Clerk {first}")
        world.person(anchor_of(100 + first), f"New {first}")
        await world.cycle()
    users = await world.users()
    assert (len(users), await _reason(world)) == (30 - 7 + 3, "TooManyDeletes")
    assert users[key(people[25])]["jobTitle"] == "Clerk 14"
    assert [e["source"] for e in await world.events() if e["action"] == "stagedDelete"] == people_in_order(
        people[7:14], people[14:21]
    )
    await _settled(world)


def people_in_order(*batches: list[str]) -> list[str]:
    """Anchors as the log has them: by batch, in anchor order."""
    return [anchor for batch in batches for anchor in sorted(batch)]


@pytest.mark.parametrize("full", [False, True])
async def test_rejected_deletes_stay_and_are_not_staged_again(world: World, full: bool) -> None:
    """The quarantine ends, nothing is repeated in log or list, and the entries stay at the target."""
    people = await _staged_company(world)
    await _decide(world, "reject")
    await world.cycle()
    assert await _reason(world) is None
    for anchor in people[6:12]:
        world.directory.set(anchor, "title", "Clerk")
    if full:
        async with world.database.transaction() as conn:
            await jobs.want_full_read(conn, world.tenant, world.job)
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (20, None)
    assert len([e for e in await world.events() if e["action"] == "stagedDelete"]) == 12
    await _settled(world)


async def test_rejected_delete_that_is_deleted_after_all(world: World) -> None:
    """New evidence is a new question: what left scope and is deleted now goes, within the threshold."""
    people = await _staged_company(world)
    await _decide(world, "reject")
    await world.cycle()
    for anchor in people[6:9]:
        world.directory.delete(anchor)
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (17, None)


async def test_rejected_delete_that_is_taken_back(world: World) -> None:
    """An entry that is back in scope is like any other: when it leaves again, that counts again."""
    people = await _staged_company(world)
    await _decide(world, "reject")
    for anchor in people[6:12]:
        world.directory.set(anchor, "adminDescription")
        world.directory.set(anchor, "title", "Clerk")
    await world.cycle()
    users = await world.users()
    assert [users[key(anchor)].get("jobTitle") for anchor in people[6:12]] == ["Clerk"] * 6
    world.directory.set(people[6], "adminDescription", "User_1")
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (19, None)


async def test_rejected_deletes_and_a_persons_second_thought(world: World) -> None:
    """What was rejected can be allowed by name; a restart asks again about the rest."""
    people = await _staged_company(world)
    await _decide(world, "reject")
    await world.cycle()
    await _decide(world, "allow", *people[:2])
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (18, None)
    await world.restart()
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (8, None)


async def test_some_are_allowed_and_some_rejected(world: World) -> None:
    """Each of those that wait has its own answer; who has none goes on waiting only while it is too much."""
    people = await _company(world, 40)
    for anchor in people[:30]:
        world.directory.delete(anchor)
    await world.cycle()
    await _decide(world, "allow", *people[:5])
    await _decide(world, "reject", *people[5:10])
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (35, "TooManyDeletes")
    await _decide(world, "reject", *people[10:22])
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (27, None)


async def test_rejected_while_a_cycle_is_about_to_delete(world: World) -> None:
    """A day later the staged ones would go; who is rejected in the very cycle stays."""
    people = await _company(world, 25)
    for batch in (people[:6], people[6:12]):
        for anchor in batch:
            world.directory.delete(anchor)
        await world.cycle()
    world.clock.forward(hours=25)

    class Interrupted(MemorySource):
        async def read(self, selection, anchors):  # type: ignore[no-untyped-def]
            async for answer in super().read(selection, anchors):
                yield answer
            await _decide(world, "reject", *people[6:9])

    world.source = lambda: Interrupted(world.directory)
    await world.cycle()
    assert {key(anchor) for anchor in people[6:9]} < set(await world.users())
    assert (len(await world.users()), await _reason(world)) == (16, None)


# Leaving scope without leaving the target -----------------------------------------------------------------------------


async def test_what_leaves_scope_is_left_alone(world: World) -> None:
    """With SkipOutOfScopeDeletions nothing is removed, changed or counted; the log says so once."""
    people = await _company(world, 20)
    await _set(world, SkipOutOfScopeDeletions="True")
    for anchor in people[:15]:
        world.directory.set(anchor, "adminDescription", "User_1")
        world.directory.set(anchor, "title", "Clerk")
    await world.cycle()
    users = await world.users()
    assert ([user.get("jobTitle") for user in users.values()], await _reason(world)) == ([None] * 20, None)
    told = [e for e in await world.events() if e["reason"] == "SkipOutOfScopeDeletions"]
    assert sorted(e["source"] for e in told) == sorted(people[:15])
    assert {(e["action"], e["status"], e["target"] != "") for e in told} == {("other", "skipped", True)}
    await _settled(world)
    world.directory.set(people[0], "title", "Chief")
    await world.restart("Watermark")
    await world.cycle()
    assert len([e for e in await world.events() if e["reason"] == "SkipOutOfScopeDeletions"]) == 15
    await _settled(world)


async def test_left_alone_until_the_setting_is_off(world: World) -> None:
    """Then the next full read removes it, under the threshold as ever."""
    people = await _company(world, 20)
    await _set(world, SkipOutOfScopeDeletions="True")
    for anchor in people[:5]:
        world.directory.set(anchor, "adminDescription", "User_1")
    await world.cycle()
    await _set(world, SkipOutOfScopeDeletions=None)
    await world.cycle()
    assert len(await world.users()) == 20
    await world.restart("Watermark")
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (15, None)


async def test_staged_when_the_setting_is_switched_on(world: World) -> None:
    """What left scope and waits is left alone from then on; what was deleted goes on waiting."""
    await _staged_company(world)
    await _set(world, SkipOutOfScopeDeletions="True")
    await world.cycle()
    rows = await world.rows("select evidence, state from removals where tenant = %s")
    assert rows == [("Tombstone", "staged")] * 6
    await world.cycle()
    assert (len(await world.users()), await _reason(world)) == (14, None)


async def test_left_alone_and_deleted_after_all(world: World) -> None:
    """The setting is about scope: a tombstone is evidence as ever."""
    people = await _company(world, 5)
    await _set(world, SkipOutOfScopeDeletions="True")
    world.directory.set(people[0], "adminDescription", "User_1")
    await world.cycle()
    world.directory.delete(people[0])
    await world.cycle()
    assert len(await world.users()) == 4


async def test_left_alone_and_back_in_scope(world: World) -> None:
    """It is the same object again, with all that changed meanwhile."""
    people = await _company(world, 5)
    before = (await world.users())[key(people[0])]["id"]
    await _set(world, SkipOutOfScopeDeletions="True")
    world.directory.set(people[0], "adminDescription", "User_1")
    await world.cycle()
    world.directory.set(people[0], "title", "Clerk")
    await world.cycle()
    world.directory.set(people[0], "adminDescription")
    await world.cycle()
    after = (await world.users())[key(people[0])]
    assert (after["id"], after["jobTitle"]) == (before, "Clerk")
    await _settled(world)
