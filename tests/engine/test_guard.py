"""The tenant's guard against deletes by accident, beside the job's own threshold."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.engine import guard
from dirbridge.engine.guard import Guard
from dirbridge.store import jobs, removals, staged, tenant_settings
from dirbridge.store.database import Database
from dirbridge.store.removals import Removal
from tests.engine.world import World


@pytest.mark.parametrize(
    ("kind", "threshold", "deletes", "objects", "stops"),
    [
        ("disabled", 0, 1_000_000, 1, False),
        ("enabledForCount", 500, 500, 0, False),
        ("enabledForCount", 500, 501, 0, True),
        ("enabledForCount", 0, 1, 0, True),
        ("enabledForPercentage", 10, 10, 100, False),
        ("enabledForPercentage", 10, 11, 100, True),
        ("enabledForPercentage", 100, 7, 7, False),
        ("enabledForPercentage", 0, 0, 0, False),
    ],
)
def test_what_it_stops(kind: Any, threshold: int, deletes: int, objects: int, stops: bool) -> None:
    """More than a number, or than hundredths of all that there were."""
    assert Guard(threshold, kind).stops(deletes, objects) is stops


def test_what_is_not_set_has_its_default() -> None:
    """Five hundred by count, whatever is stored beside."""
    assert guard.of({}) == guard.of({"features": {}, "configuration": {}}) == Guard(500, "enabledForCount")
    stored = {"configuration": {"accidentalDeletionPrevention": {"alertThreshold": 3}}}
    assert guard.of(stored) == Guard(3, "enabledForCount")


async def _set(world: World, kind: str, threshold: int) -> None:
    prevention = {"synchronizationPreventionType": kind, "alertThreshold": threshold}
    document = {"configuration": {"accidentalDeletionPrevention": prevention}}
    async with world.database.transaction() as conn:
        await tenant_settings.put(conn, world.tenant, tenant_settings.ON_PREMISES, document)


async def _company(world: World, size: int) -> list[str]:
    people = [anchor_of(i) for i in range(size)]
    for number, anchor in enumerate(people):
        world.person(anchor, f"Person {number}")
    await world.cycle()
    return people


async def _after(world: World) -> tuple[int, str | None, int]:
    """Users that are left, why the job is in quarantine, and how many removals wait."""
    quarantine = (await world.state()).quarantine
    async with world.database.connection() as conn:
        waiting = await staged.count(conn, world.tenant, world.job)
    return len(await world.users()), quarantine and quarantine["reason"], waiting


@pytest.mark.parametrize(("kind", "threshold"), [("enabledForCount", 3), ("enabledForPercentage", 15)])
async def test_deletes_over_it_wait_although_the_job_would_let_them_go(world: World, kind: str, threshold: int) -> None:
    """Three of twenty go; the fourth and fifth wait until a day later, or a person's word."""
    people = await _company(world, 20)
    await _set(world, kind, threshold)
    for anchor in people[:3]:
        world.directory.delete(anchor)
    await world.cycle()
    assert await _after(world) == (17, None, 0)
    for anchor in people[3:5]:
        world.directory.delete(anchor)
    await world.cycle()
    assert await _after(world) == (17, "TooManyDeletes", 2)
    await world.restart("ForceDeletes")
    await world.cycle()
    assert await _after(world) == (15, None, 0)
    world.clock.forward(hours=25)
    world.directory.delete(people[5])
    await world.cycle()
    assert await _after(world) == (14, None, 0)


async def test_it_is_about_deletes_only(world: World) -> None:
    """Accounts are disabled as ever; switched off, it stops nothing."""
    people = await _company(world, 20)
    await _set(world, "enabledForCount", 0)
    for anchor in people[:2]:
        world.directory.set(anchor, "userAccountControl", "514")
    world.directory.delete(people[2])
    await world.cycle()
    assert await _after(world) == (20, "TooManyDeletes", 1)
    assert sum(not user["accountEnabled"] for user in (await world.users()).values()) == 2
    await _set(world, "disabled", 0)
    await world.cycle()
    assert await _after(world) == (19, None, 0)


async def test_what_other_jobs_deleted_counts(world: World) -> None:
    """The guard is the tenant's: two jobs share it."""
    people = await _company(world, 20)
    await _set(world, "enabledForCount", 2)
    other = await _another_job(world)
    async with world.database.transaction() as conn:
        await removals.record(conn, world.tenant, other, _DELETES, world.clock())
    world.directory.delete(people[0])
    await world.cycle()
    assert await _after(world) == (20, "TooManyDeletes", 1)


@pytest.mark.parametrize(("state", "left"), [("Active", 20), ("Paused", 19)])
async def test_what_another_job_is_about_to_delete_counts(world: World, state: str, left: int) -> None:
    """Two jobs that run at the same time do not each delete as much as both may; one that is paused deletes nothing."""
    people = await _company(world, 20)
    await _set(world, "enabledForCount", 2)
    other = await _another_job(world)
    async with world.database.transaction() as conn:
        await removals.put(conn, world.tenant, other, _DELETES)
        await (jobs.start if state == "Active" else jobs.pause)(conn, world.tenant, other)
    world.directory.delete(people[0])
    await world.cycle()
    assert (await _after(world))[::2] == (left, left - 19)


_DELETES = [Removal(f"other{n}", "user", "delete", "Tombstone") for n in range(2)]


async def _another_job(world: World) -> str:
    other = f"AD2AADProvisioning.{uuid4().hex}"
    async with world.database.transaction() as conn:
        own = await jobs.get(conn, world.tenant, world.job)
        assert own is not None
        await jobs.create(
            conn,
            world.tenant,
            other,
            service_principal=own.service_principal,
            template_id=own.template_id,
            domain="fabrikam.test",
            schema=own.document(),
            settings={},
        )
    return other


async def test_it_holds_although_the_jobs_threshold_is_off(world: World) -> None:
    """Whoever switches a job's own threshold off still has the tenant's."""
    people = await _company(world, 20)
    await _set(world, "enabledForCount", 10)
    async with world.database.transaction() as conn:
        await jobs.set_settings(conn, world.tenant, world.job, {"DeleteThresholdEnabled": "False"})
    for anchor in people[:11]:
        world.directory.delete(anchor)
    await world.cycle()
    assert await _after(world) == (20, "TooManyDeletes", 11)


async def test_a_target_outside_has_no_part_in_it(database: Database) -> None:
    """What a cloud application loses is for the job's threshold alone."""
    world = World(database, "cloud")
    await world.found()
    people = await _company(world, 20)
    await _set(world, "enabledForCount", 0)
    world.directory.delete(people[0])
    await world.cycle()
    assert (await world.state()).quarantine is None
