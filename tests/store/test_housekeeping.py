"""What is old is cleared away; nobody who reads or writes waits long for that."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from dirbridge.contract.event import Event
from dirbridge.store import event_queries, events, housekeeping, identity, retention
from dirbridge.store.event_queries import After
from tests.engine.world import World
from tests.store.test_events import event, partitions

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)


async def fill(world: World, days: int, *, without: frozenset[int] = frozenset()) -> dict[int, UUID]:
    """An event at noon of each of the last days, by its age; days in `without` get no partition."""
    made: dict[int, Event] = {}
    async with world.database.transaction() as conn:
        for age in range(days - 1, -1, -1):
            made[age] = event(NOW - age * DAY)
            if age not in without:
                await events.ensure_partitions(conn, (NOW - age * DAY).date(), ahead=0)
        await events.write(conn, world.tenant, list(made.values()))
    return {age: one.id for age, one in made.items()}


async def ids(world: World) -> set[UUID]:
    return {row[0] for row in await world.rows("select id from events where tenant = %s")}


def named(age: int) -> str:
    return f"events_{NOW - age * DAY:%Y%m%d}"


@pytest.mark.parametrize("keep", [1, 7, 30])
async def test_the_log_is_kept_for_so_many_days(world: World, keep: int) -> None:
    """A day goes as a whole once all of it is older, whether it has a partition or not."""
    made = await fill(world, 40, without=frozenset({0, 3, 8, 31, 33}))
    await housekeeping.tidy(world.database, NOW, keep * DAY)
    # Noon of the day at the limit is kept by its partition, and by its age to the second where it has none.
    assert await ids(world) == {id for age, id in made.items() if age <= keep}
    kept = await partitions(world)
    assert [named(age) in kept for age in (1, keep, keep + 1, 39)] == [True, True, False, False]
    assert await world.rows("select count(*) from events_default where tenant = %s and at < %s", NOW - keep * DAY) == [
        (0,)
    ]


async def test_partitions_are_made_for_the_days_to_come(world: World) -> None:
    """So that rows lie in the default partition only where housekeeping was off for days."""
    await housekeeping.tidy(world.database, NOW)
    assert await partitions(world) == [named(-age) for age in range(4)] + ["events_default"]
    async with world.database.transaction() as conn:
        await events.write(conn, world.tenant, [event(NOW + 3 * DAY), event(NOW + 4 * DAY)])
    assert await world.rows("select count(*) from events_default where tenant = %s") == [(1,)]


async def test_an_overflowing_default_partition_is_emptied_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Housekeeping was off for long: rows without a partition go by age, some at a time; the young ones stay."""
    monkeypatch.setattr(housekeeping, "ROWS", 10)
    async with world.database.transaction() as conn:
        await events.write(conn, world.tenant, [event(NOW - 40 * DAY) for _ in range(35)])
        await events.write(conn, world.tenant, [event(NOW - 2 * DAY) for _ in range(5)])
    deletes: list[int] = []
    prune = events.prune_default

    async def counted(conn, before, most):  # type: ignore[no-untyped-def]
        deletes.append(await prune(conn, before, most))
        return deletes[-1]

    monkeypatch.setattr(events, "prune_default", counted)
    await housekeeping.tidy(world.database, NOW)
    assert (deletes, len(await ids(world))) == ([10, 10, 10, 5], 5)


async def test_a_reader_is_not_held_up_and_holds_up_nothing_else(world: World) -> None:
    """While somebody reads the log, its old days stay; the rest is done, and other readers go on."""
    await fill(world, 33)
    async with world.database.transaction() as conn:
        await conn.execute(
            """insert into enrolment_codes (tenant, secret_hash, domains, expires_at)
               values (%s, '', '{}', now() - interval '400 days')""",
            (world.tenant,),
        )
    async with world.database.transaction() as reader:
        first = await event_queries.page(reader, world.tenant, limit=5)
        began = time.monotonic()
        tidying = asyncio.create_task(housekeeping.tidy(world.database, NOW))
        waited = 0.0
        while not tidying.done():
            asked = time.monotonic()
            async with world.database.connection() as other:
                assert len(await event_queries.page(other, world.tenant, limit=5)) == 5
            waited = max(waited, time.monotonic() - asked)
            await asyncio.sleep(0.01)
        await tidying
        assert waited < 3  # 250 ms, and what a busy machine adds
        assert time.monotonic() - began < 30
        last = first[-1]
        assert len(await event_queries.page(reader, world.tenant, after=After(last.at, last.id), limit=100)) == 28
    assert {named(31), named(32)} <= set(await partitions(world))
    assert await world.rows("select 1 from enrolment_codes where tenant = %s") == []
    await housekeeping.tidy(world.database, NOW)
    assert {named(31), named(32)} & set(await partitions(world)) == set()


async def test_the_log_can_be_read_while_its_days_are_dropped(world: World) -> None:
    """Page after page, with no error and without missing what stays."""
    made = await fill(world, 45)
    reading = True
    rounds = 0

    async def read() -> None:
        nonlocal rounds
        while reading or not rounds:
            after: After | None = None
            seen: set[UUID] = set()
            while True:
                async with world.database.connection() as conn:
                    found = await event_queries.page(conn, world.tenant, after=after, limit=4)
                seen |= {row.id for row in found}
                if len(found) < 4:
                    break
                after = After(found[-1].at, found[-1].id)
            assert {id for age, id in made.items() if age <= 30} <= seen
            rounds += 1

    async with asyncio.TaskGroup() as tasks:
        readers = [tasks.create_task(read()) for _ in range(3)]
        while {named(age) for age in range(31, 45)} & set(await partitions(world)):
            await housekeeping.tidy(world.database, NOW)
        reading = False
        await asyncio.wait(readers)
    assert rounds >= 3


async def test_two_processes_that_tidy_at_once_do_it_once(world: World) -> None:
    """The one leaves to the other what it is at."""
    made = await fill(world, 40)
    await asyncio.gather(*(housekeeping.tidy(world.database, NOW) for _ in range(4)))
    await housekeeping.tidy(world.database, NOW)
    assert await ids(world) == {id for age, id in made.items() if age <= 30}


async def test_a_tenant_may_keep_less_or_more(world: World) -> None:
    """Rows of who keeps less go one by one; days go when nobody keeps them. One tenant's word is not another's."""
    made = await fill(world, 40, without=frozenset({5}))
    other = uuid4()
    async with world.database.transaction() as conn:
        await identity.create_tenant(conn, other, name="Other", initial_domain="other.test", base_url="https://o.test")
        await events.write(conn, other, [event(NOW - age * DAY) for age in range(40)])
        await retention.put(conn, world.tenant, 7 * DAY)
        await retention.put(conn, other, 35 * DAY)
    await housekeeping.tidy(world.database, NOW, 2 * DAY)
    assert await ids(world) == {id for age, id in made.items() if age <= 7}
    assert named(35) in await partitions(world)
    assert named(36) not in await partitions(world)
    assert await world.rows("select count(*) from events where tenant <> %s") == [(36,)]
