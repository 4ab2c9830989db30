"""Objects at a target outside that no link knows yet: an entry that goes meanwhile leaves none of them behind."""

from __future__ import annotations

from typing import Any

import pytest

from dirbridge.connectors.memory.cloud import Cloud, Operation, Record, Trouble
from dirbridge.store.database import Database
from tests.engine.stepping import Crash
from tests.engine.world import DOMAIN, World, key

ANN, BOB = (f"00000000-0000-4000-8000-00000000000{n}" for n in "12")

LOST_CREATE = Trouble(0, done=1, operations=frozenset({Operation.CREATE}), about="Bob")
LOST_UPDATE = Trouble(0, done=1, operations=frozenset({Operation.UPDATE}), about="Bob")


@pytest.fixture
async def world(database: Database) -> World:
    """A started job that writes an application in memory, and two people."""
    made = World(database, "cloud")
    await made.found()
    made.person(ANN, "Ann")
    made.person(BOB, "Bob")
    return made


def cloud_of(world: World) -> Cloud:
    assert world.cloud is not None
    return world.cloud


def lose_answers(world: World, *troubles: Trouble) -> None:
    cloud_of(world).troubles = [Trouble(t.status, t.done, operations=t.operations, about=t.about) for t in troubles]


async def crash_when_bob_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a cycle that dies with the application's answer on its way."""
    cloud = cloud_of(world)
    create = cloud.create

    def make(kind: str, values: Any) -> Any:
        answer = create(kind, values)
        if values["DisplayName"] == "Bob":
            raise Crash
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(cloud, "create", make)
        with pytest.raises(Crash):
            await world.cycle()
    assert [record.values["DisplayName"] for record in cloud.live("User")].count("Bob") == 1
    assert await world.rows("select anchor from links where tenant = %s and anchor = %s", BOB) == []


async def is_settled(world: World) -> bool:
    """Nothing is remembered as begun, nothing is due, and an idle cycle asks no more than whether we are known."""
    left = await world.rows("select anchor from begun_exports where tenant = %s")
    left += await world.rows("select anchor from due where tenant = %s")
    asked, before = dict(cloud_of(world).requests), await world.fingerprint()
    await world.cycle()
    quiet = cloud_of(world).requests == {**asked, Operation.READ: asked[Operation.READ] + 1}
    return not left and quiet and await world.fingerprint() == before


async def told_of_bob(world: World) -> list[tuple[str, str]]:
    return [(e["action"], e["status"]) for e in await world.events() if e["source"] == BOB]


async def test_deleted_after_a_crash(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by a cycle that died, deleted before the next one: the object goes too, and the log has its delete."""
    await crash_when_bob_is_made(world, monkeypatch)
    world.directory.delete(BOB)
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    assert await told_of_bob(world) == [("delete", "success")]
    assert await is_settled(world)


async def test_out_of_scope_after_a_crash(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of one that is not to be synchronized any more; when it is again, it has the same object."""
    await crash_when_bob_is_made(world, monkeypatch)
    (id,) = (record.id for record in cloud_of(world).live("User") if record.values["DisplayName"] == "Bob")
    world.directory.set(BOB, "adminDescription", "User_none")
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    world.directory.set(BOB, "adminDescription")
    await world.cycle()
    assert (await world.users())[key(BOB)]["id"] == id
    assert await is_settled(world)


async def test_still_there_after_a_crash(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that stays is linked with what was made for it, once, and nothing is left to remember."""
    await crash_when_bob_is_made(world, monkeypatch)
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(BOB)}
    assert len(cloud_of(world).records) == 2
    assert await is_settled(world)


async def test_deleted_after_a_lost_answer(world: World) -> None:
    """The answer about a create is lost, then the entry is deleted: its object goes with it."""
    lose_answers(world, LOST_CREATE)
    await world.cycle()
    world.directory.delete(BOB)
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    assert await told_of_bob(world) == [("create", "failure"), ("delete", "success")]
    assert await is_settled(world)


async def test_application_is_busy_when_asked(world: World) -> None:
    """It asks for patience when the object is looked for: that is waited for, within the same cycle."""
    lose_answers(world, LOST_CREATE)
    await world.cycle()
    world.directory.delete(BOB)
    cloud_of(world).troubles = [Trouble(429, retry_after=30, operations=frozenset({Operation.FIND}))]
    await world.cycle()
    assert cloud_of(world).troubles[0].times == 0
    assert set(await world.users()) == {key(ANN)}
    assert cloud_of(world).impatient == 0


async def test_deleted_after_two_lost_answers(world: World) -> None:
    """The object was found again, but that answer was lost as well: it goes all the same."""
    lose_answers(world, LOST_CREATE, LOST_UPDATE)
    await world.cycle()
    world.clock.forward(minutes=2)
    await world.cycle()
    assert await told_of_bob(world) == [("create", "failure"), ("update", "failure")]
    world.directory.delete(BOB)
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    assert await is_settled(world)


async def test_nothing_was_made(world: World) -> None:
    """The create never reached the application: when the entry goes, there is nothing to delete and nothing to tell."""
    cloud_of(world).troubles = [Trouble(0, operations=frozenset({Operation.CREATE}), about="Bob")]
    await world.cycle()
    world.directory.delete(BOB)
    await world.cycle()
    assert cloud_of(world).requests[Operation.DELETE] == 0
    assert await told_of_bob(world) == [("create", "failure")]
    assert await is_settled(world)


async def test_brought_back_with_a_lost_answer_and_deleted_again(world: World) -> None:
    """Out of the bin unknown to us, and gone at the source before we asked again: back into the bin."""
    await world.cycle()
    world.directory.delete(BOB)
    await world.cycle()
    world.directory.restore(BOB, with_links=True)
    lose_answers(world, LOST_UPDATE)
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(BOB)}
    world.directory.delete(BOB)
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    assert await is_settled(world)


async def test_made_anew_with_a_lost_answer_and_deleted(world: World) -> None:
    """Purged there, made anew unknown to us, gone at the source: the new object goes, although the link has the old."""
    await world.cycle()
    cloud_of(world).purge((await world.users())[key(BOB)]["id"])
    world.directory.set(BOB, "department", "Sales")
    lose_answers(world, LOST_CREATE)
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(BOB)}
    world.directory.delete(BOB)
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    assert await is_settled(world)


async def test_object_of_somebody_else_is_let_be(world: World) -> None:
    """One that has the sign-in name and never got our source anchor was not taken over: it stays."""
    theirs = Record("01a00000-0000-7000-8000-000000000001", "User", {"UserPrincipalName": f"bob@{DOMAIN}"})
    cloud_of(world).records[theirs.id] = theirs
    cloud_of(world).troubles = [Trouble(0, operations=frozenset({Operation.UPDATE}))]
    await world.cycle()
    assert await told_of_bob(world) == [("update", "failure")]
    world.directory.delete(BOB)
    await world.cycle()
    assert not theirs.deleted
    assert await is_settled(world)
