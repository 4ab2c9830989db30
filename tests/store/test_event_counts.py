"""Counts of events: kept with them, folded without a gap, forgotten with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.contract.event import Status
from dirbridge.contract.export import Action
from dirbridge.store import event_counts, events, housekeeping, jobs
from dirbridge.store.event_counts import LATENCIES, Total
from tests.engine.world import World
from tests.store.test_events import event

NOW = datetime(2026, 3, 15, 12, 30, tzinfo=UTC)
ANN = anchor_of(0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def write(world: World, *rows: Any, latency: timedelta | None = None) -> None:
    async with world.database.transaction() as conn:
        await events.write(conn, world.tenant, rows, latency=latency)


async def totals(world: World, **options: Any) -> list[Total]:
    asked: dict[str, Any] = {"since": NOW - 60 * DAY, "until": NOW + DAY, "unit": "day", **options}
    async with world.database.connection() as conn:
        return await event_counts.totals(conn, world.tenant, **asked)


async def number(world: World, **options: Any) -> int:
    return sum(total.number for total in await totals(world, **options))


async def fold(world: World) -> None:
    async with world.database.transaction() as conn:
        await event_counts.fold(conn)


async def test_events_are_counted_by_what_they_are(world: World) -> None:
    """In their transaction; folded or not, the answer is the same."""
    failed = {"action": Action.UPDATE, "status": Status.FAILURE, "reason": "TargetRefused"}
    await write(world, event(NOW), event(NOW), event(NOW - HOUR, job="other"), event(NOW - DAY, **failed))
    expected = [
        Total(datetime(2026, 3, 14, tzinfo=UTC), "update", "failure", "TargetRefused", -1, 1),
        Total(datetime(2026, 3, 15, tzinfo=UTC), "create", "success", "", -1, 3),
    ]
    for _ in range(3):
        assert await totals(world) == expected
        assert [total.at.hour for total in await totals(world, unit="hour")] == [12, 11, 12]
        assert await number(world, job="other") == 1
        assert await number(world, job="none") == 0
        assert await number(world, action="update") == await number(world, reason="TargetRefused") == 1
        assert await number(world, status="success", job="job") == 2
        assert await number(world, since=NOW.replace(minute=0), until=NOW + HOUR) == 2
        await fold(world)
    await write(world, event(NOW))
    assert await number(world) == 5
    assert await number(world, job="job") == 4
    await fold(world)
    assert await number(world) == 5
    assert await world.rows("select count(*) from new_event_counts where tenant = %s") == [(0,)]


async def test_what_is_rolled_back_is_not_counted(world: World) -> None:
    """Neither event nor count."""
    with pytest.raises(RuntimeError):
        async with world.database.transaction() as conn:
            await events.write(conn, world.tenant, [event(NOW)])
            raise RuntimeError
    assert await number(world) == 0


@pytest.mark.parametrize(
    ("took", "place"),
    [
        (timedelta(), 0),
        (LATENCIES[0], 0),
        (LATENCIES[0] + timedelta(microseconds=1), 1),
        (LATENCIES[-1], len(LATENCIES) - 1),
        (40 * DAY, len(LATENCIES)),
    ],
)
async def test_time_from_notice_to_target(world: World, took: timedelta, place: int) -> None:
    """Of what was written; nobody waited for what was left out or failed."""
    await write(
        world, event(NOW), event(NOW, status=Status.FAILURE), event(NOW, action=Action.OTHER), latency=took
    )  # fmt: skip
    assert sorted((total.action, total.status, total.latency) for total in await totals(world)) == [
        ("create", "failure", -1), ("create", "success", place), ("other", "success", -1)
    ]  # fmt: skip


@pytest.mark.parametrize("keep", [1, 7])
async def test_counts_go_with_their_events(world: World, keep: int) -> None:
    """After housekeeping there are as many counted as there are events."""
    for age in range(10):
        async with world.database.transaction() as conn:
            await events.ensure_partitions(conn, (NOW - age * DAY).date(), ahead=0)
        await write(world, event(NOW - age * DAY), event(NOW - age * DAY, job="other"))
    await housekeeping.tidy(world.database, NOW, keep * DAY)
    (kept,) = await world.rows("select count(*) from events where tenant = %s")
    assert await number(world) == kept[0] == 2 * (keep + 1)
    assert await number(world, job="other") == keep + 1


async def test_previews_are_no_part_of_it(world: World) -> None:
    """What a preview would have done was not done."""
    await world.rows("update tenants set preview_of = id where id = %s returning 1")
    await write(world, event(NOW))
    await fold(world)
    assert await number(world) == 0


async def test_a_cycle_counts_what_it_logs(world: World) -> None:
    """How long it took since the directory told is known of changes, not of what a full read shows."""
    span = {"since": world.clock() - DAY, "until": world.clock() + DAY}
    world.person(ANN, "Ann Lee")
    await world.cycle()
    logged = await world.rows("select count(*) from events where tenant = %s")
    assert await number(world, **span) == logged[0][0] > 0
    assert {total.latency for total in await totals(world, **span)} == {-1}
    world.directory.set(ANN, "department", "Sales")
    async with world.database.transaction() as conn:
        await conn.execute("update jobs set nudged_at = %s", (world.clock() - timedelta(seconds=7),))
    await world.cycle()
    assert [(total.action, LATENCIES[total.latency]) for total in await totals(world, action="update", **span)] == [
        ("update", timedelta(seconds=10))
    ]


async def test_the_first_word_of_a_change_counts(world: World) -> None:
    """Not the last: who changed something first has waited longest."""
    async with world.database.transaction() as conn:
        domain = (await world.state()).domain
        await jobs.changed(conn, world.tenant, domain, timedelta(seconds=9))
        await jobs.changed(conn, world.tenant, domain, timedelta(seconds=1))
        begun = await jobs.begin(conn, world.tenant, world.job, uuid4())
        ((age,),) = await (await conn.execute("select now() - noticed_at from jobs")).fetchall()
    assert begun is not None
    assert age == timedelta(seconds=9)
