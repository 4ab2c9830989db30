"""The closure of scoping groups as rows: brought up to date step by step, it is what a plain search would find."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dirbridge.store import due, links, references, removals, scope
from dirbridge.store.database import Connection, Database
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal
from tests.engine.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Closure:
    """The module's functions for one job, driven as a page drives them."""

    def __init__(self, conn: Connection, world: World) -> None:
        self.conn = conn
        self.key = (conn, world.tenant, world.job)

    async def choose(self, *groups: str) -> None:
        await scope.choose(*self.key, groups)

    async def change(
        self,
        added: Iterable[tuple[str, str]] = (),
        removed: Iterable[tuple[str, str]] = (),
        at: datetime | None = NOW,
    ) -> None:
        """Tell of memberships that came and went, as pairs of group and member."""
        added, removed = list(added), list(removed)
        await scope.enter(*self.key, added, [], at=at)
        await references.remove(*self.key, [(group, "member", member) for group, member in removed])
        await references.add(*self.key, [(group, "member", member) for group, member in added], [])
        await scope.leave(*self.key, members=sorted({member for _, member in removed}), owners=[], at=at)

    async def link(self, state: str, *anchors: str) -> None:
        target = UUID(int=1) if state in ("provisioned", "deprovisioned") else None
        await links.put(*self.key, [Link(a, "user", a, None, target, state, "", None) for a in anchors])

    async def members(self) -> str:
        rows = await self._rows("select anchor from scope_members where tenant = %s and job = %s order by anchor")
        return "".join(row[0] for row in rows)

    async def due(self) -> str:
        """Who is due, and nobody afterwards."""
        rows = await self._rows("delete from due where tenant = %s and job = %s returning anchor, reason, at")
        assert {row[1:] for row in rows} <= {(due.SCOPE, NOW)}
        return "".join(sorted(row[0] for row in rows))

    async def _rows(self, query: str) -> list[Any]:
        cursor = await self.conn.execute(query.encode(), self.key[1:])
        return await cursor.fetchall()


@pytest.fixture
async def closure(world: World):  # type: ignore[no-untyped-def]
    async with world.database.transaction() as conn:
        yield Closure(conn, world)


def pairs(text: str) -> list[tuple[str, str]]:
    """Read `Aa Bb` as the memberships of a in A and of b in B."""
    return [(word[0], word[1]) for word in text.split()]


async def test_nested_groups_count_at_any_depth(closure: Closure) -> None:
    """The scoping group, the groups in it and the members of all of them are in scope."""
    await closure.choose("A")
    await closure.change(pairs("Aa AB Bb BC Cc Dd"))
    assert await closure.members() == "ABCabc"


async def test_order_of_telling_does_not_matter(closure: Closure) -> None:
    """Members told before their group was let in come in with it."""
    await closure.choose("A")
    await closure.change(pairs("Cc"))
    await closure.change(pairs("BC Bb"))
    assert await closure.members() == "A"
    await closure.change(pairs("AB"))
    assert await closure.members() == "ABCbc"


async def test_diamond_holds_until_both_paths_end(closure: Closure) -> None:
    """One of two ways into scope may end without anybody leaving."""
    await closure.choose("A")
    await closure.change(pairs("AB AC BD CD Dd"))
    await closure.change(removed=pairs("BD"))
    assert await closure.members() == "ABCDd"
    await closure.change(removed=pairs("CD"))
    assert await closure.members() == "ABC"


async def test_groups_in_a_circle_hold_nobody_by_themselves(closure: Closure) -> None:
    """Two groups that are members of each other leave together when the way to them ends."""
    await closure.choose("A")
    await closure.change(pairs("AB BC CB Cc BB CA"))
    assert await closure.members() == "ABCc"
    await closure.change(removed=pairs("AB"))
    assert await closure.members() == "A"


async def test_a_scoping_group_inside_another_stays_when_it_is_dropped(closure: Closure) -> None:
    """What is nested in a group that is still chosen is in scope through that one."""
    await closure.choose("A", "B")
    await closure.change(pairs("AB Bb Aa"))
    await closure.choose("A")
    assert await closure.members() == "ABab"
    await closure.choose("B")
    assert await closure.members() == "Bb"
    await closure.choose()
    assert await closure.members() == ""


async def test_choosing_takes_in_what_is_stored(closure: Closure) -> None:
    """A group that is chosen later needs not to be told again."""
    await closure.change(pairs("AB Bb"))
    await closure.choose("A")
    assert await closure.members() == "ABb"
    assert await closure.due() == ""


async def test_only_those_whose_scope_changed_are_due(closure: Closure) -> None:
    """Entering: who is not at the target. Leaving: who is, or failed to get there."""
    await closure.choose("A")
    await closure.link("skipped", "a", "B")
    await closure.link("deprovisioned", "b")
    await closure.link("provisioned", "c")
    await closure.change(pairs("AB Ba Bb Bc Bd"))
    assert await closure.due() == "Bab"
    await closure.change(pairs("Aa"))
    assert await closure.due() == ""
    await closure.link("provisioned", "a", "B")
    await closure.link("failed", "d")
    await closure.change(removed=pairs("AB"))
    assert await closure.due() == "Bcd"
    assert await closure.members() == "Aa"


async def test_nobody_is_due_while_everything_is_about_to_be_read(closure: Closure) -> None:
    """The survey before a full read changes the closure and nothing else."""
    await closure.choose("A")
    await closure.link("skipped", "a")
    await closure.link("provisioned", "b")
    await closure.change(pairs("Aa Ab"), at=None)
    await closure.change(removed=pairs("Ab"), at=None)
    assert (await closure.members(), await closure.due()) == ("Aa", "")


async def test_a_deleted_nested_group_lets_nobody_in_until_it_is_back(closure: Closure) -> None:
    """Its members leave although its list is still stored; restored, it lets them in again."""
    await closure.choose("A")
    await closure.change(pairs("AB Bb BC Cc"))
    await scope.bury(*closure.key, ["B", "c"])
    await scope.leave(*closure.key, members=[], owners=["B"], at=NOW)
    assert await closure.members() == "AB"
    assert await scope.revive(*closure.key, ["A", "B", "c"]) == ["B"]
    await scope.enter(*closure.key, [], ["B"], at=NOW)
    assert await closure.members() == "ABCbc"


async def test_a_group_whose_delete_is_pending_lets_nobody_in(closure: Closure) -> None:
    """A group with a tombstone that comes into scope by a stale membership brings nobody along."""
    await closure.choose("A")
    await closure.change(pairs("Bb"))
    await removals.put(*closure.key, [Removal("B", "group", "delete", "Tombstone")])
    await closure.change(pairs("AB"))
    assert await closure.members() == "AB"


async def test_a_whole_list_lets_go_whom_it_does_not_name(closure: Closure) -> None:
    """The members of a group whose list was told afresh are looked at, and nobody else."""
    await closure.choose("A")
    await closure.change(pairs("Aa Ab AB Bb"))
    await references.remove(*closure.key, [("A", "member", "a"), ("A", "member", "b")])
    await scope.leave(*closure.key, members=[], owners=["A"], at=NOW)
    assert await closure.members() == "ABb"


async def _touched(conn: Connection) -> int:
    """Rows of all tables that this transaction has read or written so far."""
    cursor = await conn.execute(
        """select sum(seq_tup_read + coalesce(idx_tup_fetch, 0) + n_tup_ins + n_tup_upd + n_tup_del)
           from pg_stat_xact_user_tables"""
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_a_member_of_a_group_of_100_000_costs_work_for_that_member(closure: Closure) -> None:
    """Neither reading nor writing depends on how many others there are, each with a manager."""
    await closure.conn.execute(
        """insert into entry_references (tenant, job, owner, attribute, referenced)
           select %s, %s, 'm' || n, 'manager', 'm1' from generate_series(1, 100000) as n""",
        closure.key[1:],
    )
    await closure.conn.execute(
        """insert into entry_references (tenant, job, owner, attribute, referenced)
           select %s, %s, 'A', 'member', 'm' || n from generate_series(1, 100000) as n""",
        closure.key[1:],
    )
    await closure.choose("A")
    await closure.link("skipped", "x")
    await closure.conn.execute("analyze scope_members, entry_references, links")
    for change in ({"added": [("A", "x")]}, {"removed": [("A", "x")]}):
        before = await _touched(closure.conn)
        await closure.change(**change)
        assert await _touched(closure.conn) - before < 60
    rows = await closure._rows("select count(*) from scope_members where tenant = %s and job = %s")
    assert rows[0][0] == 100_001


# Against a plain search -----------------------------------------------------------------------------------------------

GROUPS, USERS = "ABCDEF", "abcd"
edges = st.tuples(st.sampled_from(GROUPS), st.sampled_from(GROUPS + USERS))
steps = st.one_of(
    st.tuples(st.just("change"), st.lists(edges, max_size=6), st.lists(edges, max_size=6)),
    st.tuples(st.just("choose"), st.sets(st.sampled_from(GROUPS), max_size=3), st.none()),
    st.tuples(st.just("delete"), st.sampled_from(GROUPS), st.none()),
    st.tuples(st.just("restore"), st.sampled_from(GROUPS), st.none()),
)


def reachable(chosen: set[str], edges: set[tuple[str, str]], deleted: set[str]) -> set[str]:
    """Everybody below the chosen groups, worked out from nothing."""
    found, rest = set(), list(chosen)
    while rest:
        one = rest.pop()
        if one not in found:
            found.add(one)
            rest += [member for group, member in edges if group == one and one not in deleted]
    return found


async def follow(closure: Closure, story: list[tuple[str, Any, Any]]) -> None:
    """Take the steps of a story; after each, the rows are the closure and those whose scope changed are due."""
    chosen: set[str] = set()
    stored: set[tuple[str, str]] = set()
    deleted: set[str] = set()
    before: set[str] = set()
    await closure.link("skipped", *GROUPS, *USERS)
    for kind, first, second in story:
        if kind == "change":
            gone = set(second) - set(first)
            await closure.change(first, gone)
            stored = (stored | set(first)) - gone
        elif kind == "choose":
            chosen = first
            await closure.choose(*chosen)
            await removals.cancel(*closure.key, sorted(chosen))
            deleted -= chosen
        elif kind == "delete" and first not in chosen:
            deleted.add(first)
            await removals.put(*closure.key, [Removal(first, "group", "delete", "Tombstone")])
            await scope.bury(*closure.key, [first])
            await scope.leave(*closure.key, members=[], owners=[first], at=NOW)
        elif kind == "restore":
            deleted.discard(first)
            await removals.cancel(*closure.key, [first])
            await scope.enter(*closure.key, [], await scope.revive(*closure.key, [first]), at=NOW)
        now = set(await closure.members())
        assert now == reachable(chosen, stored, deleted), (kind, first, second)
        moved = before ^ now
        told = set(await closure.due())
        wanted = set() if kind == "choose" else moved
        # Who comes and goes in one step is asked about once more than needed.
        assert told >= wanted if kind == "change" and first and second else told == wanted, (kind, first, second)
        await closure.link("provisioned", *(now - before))
        await closure.link("skipped", *(before - now))
        before = now


def test_any_story_of_edges_gives_what_a_plain_search_finds(database_url: str) -> None:
    """After each step the rows are the closure, and exactly those whose scope changed are due."""
    with asyncio.Runner() as runner:
        database = Database(database_url, most=2)

        async def prepare() -> World:
            await database.open()
            world = World(database)
            await world.found()
            return world

        world = runner.run(prepare())

        @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
        @given(story=st.lists(steps, min_size=1, max_size=10))
        def check(story: list[Any]) -> None:
            async def run() -> None:
                async with database.connection() as conn, conn.transaction(force_rollback=True):
                    await follow(Closure(conn, world), story)

            runner.run(run())

        try:
            check()
        finally:
            runner.run(database.close())
