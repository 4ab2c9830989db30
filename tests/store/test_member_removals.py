"""Members that groups lost: put aside, counted, staged and taken in chunks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from dirbridge.store import links, member_removals, references, removals
from dirbridge.store.links import LEFT_ALONE, Link
from dirbridge.store.member_removals import Tally
from dirbridge.store.references import Row
from dirbridge.store.removals import Removal
from tests.engine.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY_BEFORE = NOW - timedelta(hours=24)
START: Row = ("", "", "")


def lost(members: str, group: str = "g") -> dict[Row, bool]:
    return {(group, "member", member): True for member in members}


class Store:
    """The module's functions, for one job."""

    def __init__(self, conn: Any, world: World) -> None:
        self.key = (conn, world.tenant, world.job)
        self.conn = conn
        self.world = world
        self.jobs = [world.job]

    async def part(self, rows: dict[Row, bool], always: int = 3, at: datetime = NOW) -> str:
        """Put aside; gives the members that must not go."""
        held = await member_removals.part(
            *self.key, rows, self.jobs, always=always, since=at - timedelta(hours=24), at=at
        )
        return "".join(sorted(row[2] for row in held))

    async def link(self, *anchors: str, state: str = "provisioned", reason: str = "") -> None:
        await links.put(*self.key, [Link(a, "user", a.upper(), None, uuid4(), state, reason, None) for a in anchors])

    async def states(self) -> dict[str, str]:
        cursor = await self.conn.execute(
            "select owner || referenced, state from member_removals where tenant = %s", (self.world.tenant,)
        )
        return dict(await cursor.fetchall())


@pytest.fixture
async def store(world: World):  # type: ignore[no-untyped-def]
    async with world.database.transaction() as conn:
        yield Store(conn, world)


async def test_few_go_at_once(store: Store) -> None:
    """So many within a day, over all that is told; then everything is put aside, and while something is."""
    assert await store.part(lost("ab")) == ""
    assert await store.part(lost("c") | lost("xyz", "h")) == ""
    assert await store.part(lost("d")) == "d"
    assert await store.part(lost("e"), always=100) == "e"
    assert await store.part(lost("f"), at=NOW + timedelta(hours=25)) == "f"
    assert await store.part(lost("w", "h")) == "w"
    assert await store.part(lost("v", "h"), at=NOW + timedelta(hours=49), always=9) == "v"


async def test_what_went_longer_ago_does_not_count(store: Store) -> None:
    """Nor does one whose own object was removed since; one that comes and goes counts once."""
    await store.part(lost("abc"))
    assert await store.part(lost("a")) == ""
    await store.link("a", state="deprovisioned")
    assert await store.part(lost("d")) == ""
    assert await store.part(lost("efg"), at=NOW + timedelta(hours=24)) == ""
    await member_removals.prune(*store.key, NOW + timedelta(hours=1))
    assert await store.states() == dict.fromkeys(["ge", "gf", "gg"], "done")


async def test_members_whose_end_is_undecided(store: Store) -> None:
    """Who is to be deleted, whose group is, or whose group is left alone: put aside, neither counted nor taken."""
    await removals.put(
        *store.key,
        [
            Removal("a", "user", "delete", "Tombstone"),
            Removal("h", "group", "delete", "Tombstone"),
            Removal("b", "user", "disable", "Disabled"),
        ],
    )
    await store.link("i", reason=LEFT_ALONE)
    rows = lost("ab") | lost("c", "h") | lost("d", "i") | {("i", "manager", "e"): False, ("g", "manager", "e"): False}
    assert await store.part(rows) == "acde"
    assert set(await store.states()) == {"ga", "gb", "hc", "id", "ie"}
    found = await member_removals.tallies(*store.key, ["g", "h", "i"], store.jobs, DAY_BEFORE)
    assert sorted(found, key=lambda tally: tally.owner) == [
        Tally("g", 0, 1, 1, 1, 0),
        Tally("h", 0, 0, 1, 1, 0),
        Tally("i", 0, 0, 2, 2, 0),
    ]
    everybody = ["g", "h", "i"]
    assert await member_removals.take(*store.key, everybody, everybody, store.jobs, after=START, at=NOW) == []
    assert await member_removals.stage(*store.key, everybody, store.jobs, after=START, at=NOW) == []
    await removals.cancel(*store.key, ["a", "h"])
    assert await member_removals.take(*store.key, everybody, everybody, store.jobs, after=START, at=NOW) == [
        ("g", "member", "a"),
        ("h", "member", "c"),
    ]


async def test_staged_and_taken_in_chunks(store: Store) -> None:
    """In order, from where the last chunk ended; what a person allowed is not kept, the rest counts."""
    await store.part(lost("abcdef", "g") | lost("abcd", "h"))
    first = await member_removals.stage(*store.key, ["g"], store.jobs, after=START, at=NOW, limit=4)
    assert [row[2] for row in first] == list("abcd")
    rest = await member_removals.stage(*store.key, ["g"], store.jobs, after=first[-1], at=NOW, limit=4)
    assert [row[2] for row in rest] == ["e", "f"]
    await store.conn.execute("update member_removals set state = 'allowed' where owner = 'g' and referenced < 'c'")
    await store.conn.execute("update member_removals set state = 'rejected' where owner = 'g' and referenced = 'f'")
    assert await member_removals.owners(*store.key, limit=9) == ["g", "h"]
    assert await member_removals.owners(*store.key, after="g", limit=9) == ["h"]
    assert await member_removals.owners(*store.key, limit=1) == ["g"]
    taken = await member_removals.take(*store.key, ["g", "h"], ["h"], store.jobs, after=START, at=NOW, limit=4)
    taken += await member_removals.take(*store.key, ["g", "h"], ["h"], store.jobs, after=taken[-1], at=NOW, limit=4)
    assert ["".join((row[0], row[2])) for row in taken] == ["ga", "gb", "ha", "hb", "hc", "hd"]
    assert await store.states() == {
        **dict.fromkeys(["gc", "gd", "ge"], "staged"),
        "gf": "rejected",
        **dict.fromkeys(["ha", "hb", "hc", "hd"], "done"),
    }
    assert await member_removals.owners(*store.key, limit=9) == ["g"]


async def test_named_again_by_the_source(store: Store) -> None:
    """What the target never lost is written already; what it lost is written anew."""
    await store.link("g", "a", "b")
    await references.add(*store.key, [("g", "member", "a"), ("g", "member", "b")], ["member"], store.jobs)
    ended = await references.remove(*store.key, [("g", "member", "a"), ("g", "member", "b")])
    assert await store.part(dict.fromkeys(ended[:1], True), always=0) == "a"
    assert await store.part({ended[1]: True}, at=NOW) == "b"
    await store.conn.execute("update member_removals set state = 'done' where referenced = 'b'")
    new = await references.add(*store.key, [("g", "member", "a"), ("g", "member", "b")], ["member"], store.jobs)
    assert [row.referenced for row in new] == ["b"]
    assert await store.states() == {"gb": "done"}
    cursor = await store.conn.execute("select referenced from entry_references where is_written order by 1")
    assert [row[0] for row in await cursor.fetchall()] == ["a", "b"]


async def test_lost_ends_are_nobodys_members(store: Store) -> None:
    """When the object of either end goes, nothing is left to be taken away; what counted goes on counting."""
    await store.part(lost("ab"), always=0)
    await store.part(lost("a", "h"), always=0)
    await store.part(lost("c", "i"))
    await references.lose(*store.key, ["a", "i"])
    assert await store.states() == {"gb": "pending", "ic": "done"}
