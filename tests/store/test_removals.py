"""Deletes and disables: pending, staged, allowed, done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from dirbridge.store import directory, links, removals, staged
from dirbridge.store.directory import ObjectRow
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal
from dirbridge.store.staged import Decided, Staged
from tests.engine.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def states(world: World) -> dict[str, tuple[str, str, str]]:
    rows = await world.rows("select anchor, action, evidence, state from removals where tenant = %s")
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


async def test_story_of_a_removal(world: World) -> None:
    """Found, set aside once, found again, done; what is done can be found anew."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await removals.put(
            *key, [Removal("a", "user", "disable", "Disabled"), Removal("b", "user", "delete", "Tombstone")]
        )
        assert await removals.stage(*key, ["a", "b", "c"], NOW) == ["a", "b"]
        assert await removals.stage(*key, ["a"], NOW) == []
        assert await staged.count(*key) == 2
        await removals.put(*key, [Removal("a", "user", "delete", "Tombstone")])
        await removals.done(*key, ["b"], NOW)
    assert await states(world) == {"a": ("delete", "Tombstone", "staged"), "b": ("delete", "Tombstone", "done")}
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await removals.put(*key, [Removal("b", "user", "delete", "OutOfScope")])
        assert await removals.pending_by_type(*key) == {"user": 2}
        await removals.cancel(*key, ["a", "b"])
    assert await states(world) == {}


async def test_open_ones_come_in_order_and_in_batches(world: World) -> None:
    """All but what is done."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await removals.put(*key, [Removal(a, "user", "delete", "Tombstone") for a in "cabd"])
        await removals.stage(*key, ["b"], NOW)
        await removals.done(*key, ["c"], NOW)
        assert [r.anchor for r in await removals.open_ones(*key, now=NOW, limit=2)] == ["a", "b"]
        assert [r.anchor for r in await removals.open_ones(*key, now=NOW, after="b", limit=2)] == ["d"]
        await removals.cancel(*key, ["c"])
    assert (await states(world))["c"][2] == "done"


async def test_what_counts_within_a_day(world: World) -> None:
    """Deletes and disables of the window, by type; what a person allowed does not count."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await removals.put(*key, [Removal(a, "user", "delete", "Tombstone") for a in "abc"])
        await conn.execute("update removals set state = 'allowed' where anchor = 'b'")
        await removals.done(*key, ["a", "b"], NOW)
        await removals.done(*key, ["c"], NOW - timedelta(hours=25))
        await removals.record(
            *key, [Removal("d", "user", "disable", "Disabled"), Removal("g", "group", "disable", "x")], NOW
        )
        await removals.record(*key, [Removal("e", "user", "disable", "Disabled", "allowed")], NOW)
        since = NOW - removals.WINDOW
        assert await removals.done_since(*key, since) == {"user": 2, "group": 1}
        assert await removals.done_since(*key, since, "delete") == {"user": 1}
        await removals.prune(*key, since)
    assert set(await states(world)) == {"a", "b", "d", "e", "g"}


async def test_a_persons_word(world: World) -> None:
    """All that is staged or some of it; what was rejected can be allowed by name, and stays until evidence is new."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await removals.put(*key, [Removal(a, "user", "delete", "OutOfScope") for a in "abcde"])
        await removals.stage(*key, list("abcd"), NOW)
        assert await staged.reject(*key, ["a", "b", "e", "x"], NOW) == Decided(2, frozenset("ab"))
        assert await staged.allow(*key, None) == Decided(2, frozenset())
        assert await staged.allow(*key, ["a", "c"]) == Decided(1, frozenset("a"))
        assert await staged.reject(*key, None, NOW) == Decided(0, frozenset())
        assert [r.anchor for r in await removals.open_ones(*key, now=NOW, limit=9)] == ["a", "c", "d", "e"]
        assert await removals.still_open(*key, list("abx")) == ["a"]
        assert await removals.pending_by_type(*key) == {"user": 1}
        await removals.put(*key, [Removal("b", "user", "delete", "OutOfScope")])
        assert (await staged.count(*key, "rejected"), await staged.count(*key)) == (1, 0)
        await removals.put(*key, [Removal("b", "user", "delete", "Tombstone")])
        assert await removals.pending_by_type(*key) == {"user": 2}


async def test_staged_ones_are_listed_page_by_page(world: World) -> None:
    """In the order of anchors, with what the link and the tenant know of them; what is not staged is not there."""
    target = uuid4()
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await removals.put(*key, [Removal(a, "user", "delete", "Tombstone") for a in "cabd"])
        await removals.stage(*key, list("abc"), NOW)
        await links.put(*key, [Link("b", "user", "Bob", None, target, "provisioned", "", None)])
        row = ObjectRow(target, "user", None, world.job, {"userPrincipalName": "bob@contoso.test"}, {})
        await directory.insert(conn, world.tenant, [row], NOW)
        first = await staged.page(*key, state="staged", after=None, limit=2)
        rest = await staged.page(*key, state="staged", after=staged.After.of(first[-1]), limit=2)
    assert [each.id for each in first + rest] == ["a", "b", "c"]
    assert first[1] == Staged("b", "delete", "Tombstone", "staged", NOW, "b", "user", "Bob", target, "bob@contoso.test")
    assert (first[0].source_name, first[0].target_id, first[0].target_name) == ("", None, "")
