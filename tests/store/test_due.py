"""The list of what is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dirbridge.store import due
from dirbridge.store.due import COLLISION, EXPIRY, NOT_VISIBLE, Due
from tests.engine.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


async def test_put_tells_what_is_new(world: World) -> None:
    """The same reason again moves its time, never its number of attempts back."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        assert await due.put(*key, []) == set()
        assert await due.put(*key, [Due("a", NOT_VISIBLE, NOW, 3), Due("b", NOT_VISIBLE, NOW)]) == {"a", "b"}
        assert await due.put(*key, [Due("a", NOT_VISIBLE, NOW + HOUR), Due("a", EXPIRY, NOW)]) == {"a"}
        tried = await due.attempts(*key, ["a", "b", "c"])
        assert {anchor: number for anchor, (number, _) in tried.items()} == {"a": 3, "b": 0}


async def test_take(world: World) -> None:
    """What is due by now, each anchor once, in order; collisions apart."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await due.put(
            *key,
            [
                Due("b", NOT_VISIBLE, NOW),
                Due("b", EXPIRY, NOW - HOUR),
                Due("a", "EntryFailed", NOW),
                Due("c", EXPIRY, NOW + HOUR),
                Due("d", COLLISION, NOW),
            ],
        )

        async def take(at: datetime, collisions: bool = False, limit: int = 9) -> list[str]:
            return await due.take(*key, now=at, collisions=collisions, limit=limit)

        assert await take(NOW) == ["a", "b"]
        assert await take(NOW, limit=1) == ["a"]
        assert await take(NOW + HOUR) == ["a", "b", "c"]
        assert await take(NOW, collisions=True) == ["d"]
        await due.settle(*key, ["a", "d"])
        assert await take(NOW) == ["b"]
        assert await take(NOW, collisions=True) == []


async def test_postpone_moves_what_would_come_earlier(world: World) -> None:
    """What is due later than that stays where it is."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await due.put(*key, [Due("a", "EntryFailed", NOW), Due("a", EXPIRY, NOW + 9 * HOUR), Due("b", EXPIRY, NOW)])
        await due.postpone(*key, ["a"], NOW + HOUR)
    rows = await world.rows("select anchor, reason, at from due where tenant = %s order by anchor, reason")
    assert rows == [("a", EXPIRY, NOW + 9 * HOUR), ("a", "EntryFailed", NOW + HOUR), ("b", EXPIRY, NOW)]


async def test_wake_reaches_all_jobs_that_wait_for_a_value(world: World) -> None:
    """Nobody is put off by it, and nobody else is woken."""
    async with world.database.transaction() as conn:
        for job in (world.job, "another"):
            await due.put(
                conn,
                world.tenant,
                job,
                [
                    Due("a", COLLISION, NOW + HOUR, waits_for="address:x"),
                    Due("b", COLLISION, NOW - HOUR, waits_for="address:x"),
                    Due("c", COLLISION, NOW + HOUR, waits_for="address:y"),
                ],
            )
        await due.wake(conn, world.tenant, ["address:x", "address:z"], NOW)
    rows = await world.rows("select anchor, at from due where tenant = %s order by anchor, job")
    assert rows == [("a", NOW)] * 2 + [("b", NOW - HOUR)] * 2 + [("c", NOW + HOUR)] * 2


async def test_settle_gives_what_was_set_aside(world: World) -> None:
    """How often an entry failed and since when outlives its row: whoever fails again hands it back."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await due.put(
            *key,
            [
                Due("a", "EntryFailed", NOW + HOUR, 3, since=NOW),
                Due("a", EXPIRY, NOW),
                Due("b", EXPIRY, NOW),
                Due("c", COLLISION, NOW, 1, "address:x", since=NOW - HOUR),
                Due("d", "EntryFailed", NOW, 7),
            ],
        )
        assert await due.count_escrows(*key) == 3
        assert await due.settle(*key, ["a", "b", "c"]) == {"a": (3, NOW), "c": (1, NOW - HOUR)}
        assert await due.count_escrows(*key) == 1
        assert await due.settle(*key, ["a", "b", "c"]) == {}
    assert await world.rows("select anchor from due where tenant = %s") == [("d",)]


async def test_put_keeps_the_first_failure(world: World) -> None:
    """Whatever is stored later for the same anchor and reason, the clock goes on from the first time."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await due.put(*key, [Due("a", COLLISION, NOW, 2, "address:x", since=NOW - HOUR)])
        await due.put(*key, [Due("a", COLLISION, NOW, 0, "address:y")])
        assert await due.settle(*key, ["a"]) == {"a": (2, NOW - HOUR)}
