"""Counts of what is at the target: whatever is done to links, they are what counting would give."""

from __future__ import annotations

import random
from uuid import UUID, uuid4

import pytest

from dirbridge.store import housekeeping, jobs, link_counts, links
from dirbridge.store.link_counts import Pair
from dirbridge.store.links import Link
from tests.engine.world import World
from tests.store.test_event_counts import NOW

STATES = ("provisioned", "provisioned", "skipped", "failed", "deprovisioned")


def link(anchor: str, state: str = "provisioned", kind: str = "user", became: str = "User") -> Link:
    return Link(anchor, kind, "", None, uuid4(), state, "", b"x", became)


async def counted(world: World, *of: str) -> dict[str, dict[Pair, int]]:
    async with world.database.connection() as conn:
        return await link_counts.of_jobs(conn, world.tenant, of or [world.job])


async def check(world: World) -> None:
    """Count the rows, and compare."""
    expected: dict[str, dict[Pair, int]] = {}
    for job, kind, became, number in await world.rows(
        """select job, object_type, target_type, count(*) from links
           where tenant = %s and state = 'provisioned' group by 1, 2, 3"""
    ):
        expected.setdefault(str(job), {})[str(kind), str(became)] = int(str(number))
    assert await counted(world, world.job, "other") == expected
    async with world.database.connection() as conn:
        whole = await link_counts.of_tenant(conn, world.tenant)
    assert sum(whole.values()) == sum(sum(each.values()) for each in expected.values())


async def put(world: World, *rows: Link, job: str = "") -> None:
    async with world.database.transaction() as conn:
        await links.put(conn, world.tenant, job or world.job, rows)


@pytest.mark.parametrize("seed", range(3))
async def test_any_edits(world: World, seed: int) -> None:
    """Put anew, put again, forgotten, told behind the job's back, folded in between."""
    chance = random.Random(seed)
    for _ in range(30):
        anchors = [str(chance.randrange(20)) for _ in range(chance.randrange(1, 8))]
        match chance.randrange(4):
            case 0 | 1:
                rows = {
                    anchor: link(anchor, chance.choice(STATES), *chance.choice([("user", "User"), ("group", "Group")]))
                    for anchor in anchors
                }
                await put(world, *rows.values(), job=chance.choice(["", "other"]))
            case 2:
                async with world.database.transaction() as conn:
                    await links.forget(conn, world.tenant, world.job, anchors)
            case 3:
                async with world.database.transaction() as conn:
                    await link_counts.fold(conn)
        await check(world)


async def test_one_row_is_left_of_many(world: World) -> None:
    """By housekeeping; nothing is left of what is gone."""
    for number in range(5):
        await put(world, link(str(number)))
    await put(world, link("g", kind="group", became="Group"))
    await put(world, link("g", "skipped", kind="group", became="Group"))
    await housekeeping.tidy(world.database, NOW)
    rows = await world.rows("select object_type, target_type, number from link_counts where tenant = %s")
    assert rows == [("user", "User", 5)]
    await check(world)


async def test_a_deleted_job_has_nothing_in_sync(world: World) -> None:
    """Nor has the tenant."""
    await put(world, link("a"))
    async with world.database.transaction() as conn:
        await jobs.delete(conn, world.tenant, world.job)
        assert await link_counts.of_tenant(conn, world.tenant) == {}
        await link_counts.fold(conn)
    assert await world.rows("select count(*) from link_counts where tenant = %s") == [(0,)]


async def test_what_is_rewritten_alike_adds_no_row(world: World) -> None:
    """A page that changes no state leaves no trace in the counts."""
    row = link("a")
    await put(world, row)
    before = await world.rows("select count(*) from link_counts where tenant = %s")
    await put(world, row)
    target = row.target
    assert isinstance(target, UUID)
    async with world.database.transaction() as conn:
        await links.forget_targets(conn, world.tenant, [target])
    assert await world.rows("select count(*) from link_counts where tenant = %s") == before
