"""Deletes and disables: the threshold, the review, and a person's word."""

from __future__ import annotations

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.engine.removing import threshold
from tests.engine.world import World, key


@pytest.mark.parametrize(
    ("total", "most"),
    [(0, 10), (1, 10), (49, 10), (50, 10), (54, 10), (55, 11), (100, 20), (2499, 499), (2500, 500), (1_000_000, 500)],
)
def test_threshold(total: int, most: int) -> None:
    """A fifth, but ten at least and 500 at most."""
    assert threshold(total) == most


async def _company(world: World, size: int) -> list[str]:
    people = [anchor_of(i) for i in range(size)]
    for number, anchor in enumerate(people):
        world.person(anchor, f"Person {number}")
    await world.cycle()
    return people


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
