"""Objects that are handed over to people, and given back to their source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.contract.errors import EntryError
from dirbridge.store import directory
from dirbridge.store.database import Database
from dirbridge.tenant import administration, authority, membership
from tests.engine.world import DOMAIN, World, key

ANN, BOB, CAT = (anchor_of(number) for number in range(3))
SALES, STAFF = anchor_of(100), anchor_of(101)


@pytest.fixture
async def world(database: Database) -> World:
    """Ann and Bob are in Sales, Ann is Bob's manager; after a cycle."""
    made = World(database)
    await made.found()
    for anchor, name in ((ANN, "Ann"), (BOB, "Bob"), (CAT, "Cat")):
        made.person(anchor, name, mail=f"{name.lower()}@{DOMAIN}", department="Sales")
    made.team(SALES, "Sales")
    made.directory.add_member(SALES, ANN)
    made.directory.add_member(SALES, BOB)
    made.directory.set_manager(BOB, ANN)
    made.clock.now = datetime.now(UTC) + timedelta(hours=1)  # acts by hand are due by the database's clock
    await made.cycle()
    return made


async def target(world: World, anchor: str) -> UUID:
    return UUID((await world.users() | await world.groups())[key(anchor)]["id"])


async def hand_over(world: World, anchor: str) -> UUID:
    id = await target(world, anchor)
    async with world.database.transaction() as conn:
        assert await authority.to_cloud(conn, world.tenant, id, world.clock())
        assert not await authority.to_cloud(conn, world.tenant, id, world.clock())
        assert await authority.is_cloud_managed(conn, world.tenant, id)
    return id


async def give_back(world: World, id: UUID) -> None:
    async with world.database.transaction() as conn:
        assert await authority.to_source(conn, world.tenant, id, world.clock())
        assert not await authority.to_source(conn, world.tenant, id, world.clock())
        assert not await authority.is_cloud_managed(conn, world.tenant, id)


async def last_event(world: World, anchor: str) -> dict[str, Any]:
    return [event for event in await world.events() if event["source"] == anchor][-1]


async def test_source_no_longer_writes_what_was_handed_over(world: World) -> None:
    """People change it, its source does not, and the log says why; the next cycle is quiet."""
    id = await hand_over(world, ANN)
    async with world.database.transaction() as conn:
        changes = {"department": "Research", "displayName": "Ann of the cloud"}
        assert await administration.update(conn, world.tenant, id, "user", changes, world.clock())
    world.directory.set(ANN, "department", "Marketing")
    await world.cycle()
    ann = (await world.users())[key(ANN)]
    assert (ann["department"], ann["displayName"]) == ("Research", "Ann of the cloud")
    assert ann["onPremisesSyncEnabled"] is False
    event = await last_event(world, ANN)
    assert (event["action"], event["status"], event["reason"]) == ("update", "skipped", "ManagedInCloud")
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


async def test_what_is_given_back_becomes_what_its_source_says(world: World) -> None:
    """Values that people changed are overwritten by the next cycle, and a further one writes nothing."""
    id = await hand_over(world, ANN)
    async with world.database.transaction() as conn:
        await administration.update(conn, world.tenant, id, "user", {"department": "Research"}, world.clock())
    world.directory.set(ANN, "title", "Director")
    await world.cycle()
    await give_back(world, id)
    await world.cycle()
    ann = (await world.users())[key(ANN)]
    assert (ann["department"], ann["jobTitle"], ann["onPremisesSyncEnabled"]) == ("Sales", "Director", True)
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


async def test_delete_at_the_source_leaves_the_object(world: World) -> None:
    """It stays, leaves the groups of the source, and cannot be given back."""
    id = await hand_over(world, ANN)
    world.directory.delete(ANN)
    await world.cycle()
    assert key(ANN) in await world.users()
    assert await world.references("members") == {(key(SALES), key(BOB))}
    event = await last_event(world, ANN)
    assert (event["action"], event["status"], event["reason"]) == ("delete", "skipped", "ManagedInCloud")
    async with world.database.transaction() as conn:
        with pytest.raises(EntryError, match="no entry in a source"):
            await authority.to_source(conn, world.tenant, id, world.clock())


async def test_members_of_a_group_that_was_handed_over_are_peoples(world: World) -> None:
    """Until it is given back: then its source's members come, and no others stay."""
    group = await hand_over(world, SALES)
    cat = await target(world, CAT)
    async with world.database.transaction() as conn:
        await membership.add_members(conn, world.tenant, group, [cat])
        await membership.remove_member(conn, world.tenant, group, await target(world, ANN))
    told = len(await world.events())
    world.directory.remove_member(SALES, BOB)
    await world.cycle()
    assert await world.references("members") == {(key(SALES), key(BOB)), (key(SALES), key(CAT))}
    assert not [event for event in (await world.events())[told:] if event["status"] == "success"]
    await give_back(world, group)
    await world.cycle()
    assert await world.references("members") == {(key(SALES), key(ANN))}
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


async def test_account_that_its_source_disables_stays_enabled(world: World) -> None:
    """It is people's; the next cycles are quiet."""
    await hand_over(world, ANN)
    world.directory.set(ANN, "userAccountControl", "514")
    world.directory.set(ANN, "title", "Director")
    await world.cycle()
    ann = (await world.users())[key(ANN)]
    assert (ann["accountEnabled"], ann.get("jobTitle")) == (True, None)
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


async def test_what_people_deleted_of_their_own_stays_deleted(world: World) -> None:
    """No group takes it in again, in fact or in the log, until somebody restores it; the next cycle is quiet."""
    id = await hand_over(world, ANN)
    async with world.database.transaction() as conn:
        assert await administration.delete_object(conn, world.tenant, id, "user", world.clock())
    told = len(await world.events())
    await world.cycle()
    assert not [event for event in (await world.events())[told:] if event["status"] == "success"]
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before
    assert await world.references("members") == {(key(SALES), key(BOB))}
    async with world.database.transaction() as conn:
        assert await administration.restore_object(conn, world.tenant, id, world.clock())
    await world.cycle()
    assert await world.references("members") == {(key(SALES), key(ANN)), (key(SALES), key(BOB))}
    assert (await world.users())[key(ANN)]["onPremisesSyncEnabled"] is False


async def test_restart_leaves_what_was_handed_over(world: World) -> None:
    """A full read with links to be confirmed finds it again, and still does not write it."""
    id = await hand_over(world, ANN)
    async with world.database.transaction() as conn:
        await administration.update(conn, world.tenant, id, "user", {"department": "Research"}, world.clock())
    await world.restart("Full")
    await world.cycle()
    ann = (await world.users())[key(ANN)]
    assert (ann["id"], ann["department"]) == (str(id), "Research")


async def test_what_never_had_a_source_cannot_be_given_to_one(world: World) -> None:
    """It belongs to the cloud as it is."""
    id = uuid4()
    row = directory.ObjectRow(id, "user", None, None, {"userPrincipalName": f"own@{DOMAIN}"}, {})
    async with world.database.transaction() as conn:
        await directory.insert(conn, world.tenant, [row], world.clock())
        assert await authority.is_cloud_managed(conn, world.tenant, id)
        assert not await authority.to_cloud(conn, world.tenant, id, world.clock())
        with pytest.raises(EntryError, match="no entry in a source"):
            await authority.to_source(conn, world.tenant, id, world.clock())
