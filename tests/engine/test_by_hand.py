"""Objects of the tenant that a person deletes or brings back: nothing refers to one before it was exported again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.contract.schema import Schema
from dirbridge.store import jobs
from dirbridge.store.database import Database
from dirbridge.tenant import administration
from tests.engine import model
from tests.engine.world import DOMAIN, World, key

ANN, BOB, CAT = (anchor_of(number) for number in range(3))
SALES, STAFF = anchor_of(100), anchor_of(101)
IN_SALES = (key(SALES), key(ANN))
IN_STAFF = (key(STAFF), key(ANN))


@pytest.fixture
async def world(database: Database) -> World:
    """Three people, of whom one is a member of Sales and another's manager, after a cycle."""
    made = World(database)
    await made.found()
    for anchor, name in ((ANN, "Ann"), (BOB, "Bob"), (CAT, "Cat")):
        made.person(anchor, name, mail=f"{name.lower()}@{DOMAIN}")
    made.team(SALES, "Sales")
    made.team(STAFF, "Staff")
    made.directory.add_member(SALES, ANN)
    made.directory.set_manager(BOB, ANN)
    made.clock.now = datetime.now(UTC) + timedelta(hours=1)  # acts by hand are due by the database's clock
    await made.cycle()
    return made


async def delete(world: World, anchor: str, *, back: bool = False) -> None:
    """Delete an entry's object, and perhaps bring it back, as a person does."""
    target = UUID((await world.users())[key(anchor)]["id"])
    async with world.database.transaction() as conn:
        assert await administration.delete_object(conn, world.tenant, target, "user", world.clock())
        if back:
            assert await administration.restore_object(conn, world.tenant, target, world.clock())


async def remap(world: World, change: Callable[[dict[str, Any]], None]) -> None:
    """Change how users are mapped."""
    document = msgspec.to_builtins((await world.state()).document())
    mappings = document["synchronizationRules"][0]["objectMappings"]
    change({mapping["sourceObjectName"]: mapping for mapping in mappings}["user"])
    async with world.database.transaction() as conn:
        await jobs.set_schema(conn, world.tenant, world.job, msgspec.convert(document, Schema))


async def set_policy(world: World, **settings: str) -> None:
    """Change the job's settings."""
    async with world.database.transaction() as conn:
        await jobs.set_settings(conn, world.tenant, world.job, settings)


async def referred_to(world: World, anchor: str) -> set[tuple[str, str]]:
    """Every reference at the target to or from an entry's object, in the recycle bin too."""
    found = await world.references("members") | await world.references("manager")
    return {pair for pair in found if key(anchor) in pair}


async def told_of_members(world: World) -> list[tuple[str, str | None, str | None]]:
    """What the log says of members: whose, who went, who came."""
    return [
        (event["source"], changed.old, changed.new)
        for event in await world.events()
        for changed in event["detail"].modified
        if changed.name == "Member"
    ]


async def is_settled(world: World) -> bool:
    """The next cycle writes nothing."""
    before = await world.fingerprint()
    await world.cycle()
    return await world.fingerprint() == before


async def test_deleted_and_restored_and_changed_at_the_source(world: World) -> None:
    """One cycle later the change is there, the memberships are back, and the log says so once."""
    before = await told_of_members(world)
    await delete(world, ANN, back=True)
    assert await referred_to(world, ANN) == set()
    world.directory.set(ANN, "department", "Sales")
    await world.cycle()
    assert (await world.users())[key(ANN)]["department"] == "Sales"
    assert await referred_to(world, ANN) == {IN_SALES, (key(BOB), key(ANN))}
    (told,) = (await told_of_members(world))[len(before) :]
    assert told[0] == SALES
    assert told[2] is not None
    assert told[2].startswith("Ann (")
    assert await is_settled(world)
    await model.check(world)


async def test_deleted_and_then_in_the_way_of_another(world: World) -> None:
    """While another holds its address nothing refers to what lies in the bin; then object and memberships return."""
    id = (await world.users())[key(ANN)]["id"]
    await delete(world, ANN)
    world.directory.set(BOB, "mail", f"ann@{DOMAIN}")
    world.directory.add_member(STAFF, ANN)
    world.directory.set_manager(CAT, ANN)
    await world.cycle()
    links = await world.rows("select state, reason, digest from links where tenant = %s and anchor = %s", ANN)
    assert links == [("provisioned", "AttributeValueMustBeUnique", b"")]
    assert key(ANN) not in await world.users()
    assert await referred_to(world, ANN) == set()
    assert await is_settled(world)
    world.directory.set(ANN, "department", "Sales")
    await world.restart("Full")
    await world.cycle()
    assert await referred_to(world, ANN) == set(), "a full read writes none either"
    world.directory.set(BOB, "mail", f"bob@{DOMAIN}")
    await world.cycle()
    assert (await world.users())[key(ANN)]["id"] == id
    managed = {(key(BOB), key(ANN)), (key(CAT), key(ANN))}
    assert await referred_to(world, ANN) == {IN_SALES, IN_STAFF, *managed}
    assert await is_settled(world)
    await model.check(world)


async def test_deleted_where_the_mapping_lets_nothing_come_back(world: World) -> None:
    """Where flowTypes leave out Update it stays in the bin, and no new membership refers to it."""
    await remap(world, lambda users: users.update(flowTypes="Add,Delete"))
    await world.cycle()
    await delete(world, ANN)
    await world.cycle()
    world.directory.add_member(STAFF, ANN)
    await world.cycle()
    assert key(ANN) not in await world.users()
    assert await referred_to(world, ANN) == set()
    await remap(world, lambda users: users.update(flowTypes="Add,Update,Delete"))
    await world.cycle()
    assert await referred_to(world, ANN) == {IN_SALES, IN_STAFF, (key(BOB), key(ANN))}
    assert await is_settled(world)


async def test_deleted_and_out_of_scope_to_be_left_alone(world: World) -> None:
    """With SkipOutOfScopeDeletions it stays as the person left it, and no new membership refers to it."""
    await set_policy(world, SkipOutOfScopeDeletions="True")
    await delete(world, ANN)
    world.directory.set(ANN, "adminDescription", "User_none")
    await world.cycle()
    world.directory.add_member(STAFF, ANN)
    await world.cycle()
    assert key(ANN) not in await world.users()
    assert await referred_to(world, ANN) == set()
    world.directory.set(ANN, "adminDescription")
    await world.cycle()
    assert await referred_to(world, ANN) == {IN_SALES, IN_STAFF, (key(BOB), key(ANN))}
    assert await is_settled(world)


async def test_restored_while_its_disable_waits_for_a_person(world: World) -> None:
    """The object is there and stays enabled until somebody decides; its memberships need not wait for that."""
    for anchor in (BOB, CAT):
        world.directory.delete(anchor)
    world.clock.forward(hours=1)
    await world.cycle()
    await delete(world, ANN, back=True)
    world.directory.set(ANN, "userAccountControl", "514")
    await world.cycle()
    assert await world.rows("select state, action from removals where tenant = %s and anchor = %s", ANN) == [
        ("staged", "disable")
    ]
    assert (await world.users())[key(ANN)]["accountEnabled"] is True
    assert await referred_to(world, ANN) == {IN_SALES}
