"""References as rows: complete for their owners, written once both ends are there."""

from __future__ import annotations

from uuid import UUID

import pytest

from dirbridge.contract.entry import BackReferences
from dirbridge.store import links, references
from dirbridge.store.database import Connection
from dirbridge.store.links import Link
from dirbridge.store.references import Lists, Row
from tests.engine.world import World

ATTRIBUTES = ["manager", "member", "primaryMember"]
TARGETS = {"manager": "Manager", "member": "Member", "primaryMember": "Member"}


class Store:
    """The module's functions, for one job."""

    def __init__(self, conn: Connection, world: World) -> None:
        self.key = (conn, world.tenant, world.job)
        self.world = world
        self.conn = conn
        self.jobs = [world.job]

    async def link(self, *anchors: str, state: str = "provisioned") -> None:
        rows = [Link(a, "user", a.upper(), None, UUID(int=ord(a)), state, "", None) for a in anchors]
        await links.put(*self.key, rows)

    async def add(self, *rows: Row) -> list[Row]:
        return sorted(
            (r.owner, r.attribute, r.referenced) for r in await references.add(*self.key, rows, ATTRIBUTES, self.jobs)
        )

    async def rows(self) -> dict[Row, bool]:
        cursor = await self.conn.execute(
            "select owner, attribute, referenced, is_written from entry_references where tenant = %s",
            (self.world.tenant,),
        )
        return {(row[0], row[1], row[2]): row[3] for row in await cursor.fetchall()}


@pytest.fixture
async def store(world: World):  # type: ignore[no-untyped-def]
    async with world.database.transaction() as conn:
        yield Store(conn, world)


def member(referenced: str, owner: str = "g") -> Row:
    return (owner, "member", referenced)


async def test_added_is_written_where_both_ends_are(store: Store) -> None:
    """The others wait; once more changes nothing."""
    await store.link("g", "a")
    await store.link("d", state="deprovisioned")
    rows = [member("a"), member("b"), member("d"), ("g", "owner", "a")]
    assert await store.add(*rows, *rows) == [member("a")]
    assert await store.rows() == {member("a"): True, member("b"): False, member("d"): False, ("g", "owner", "a"): False}
    assert await store.add(*rows) == []
    assert await references.count_missing(*store.key, ["g", "x"]) == {"g": 3}


@pytest.mark.parametrize(("owners", "referenced"), [(["g"], []), ([], ["b"]), (["g"], ["b"])])
async def test_resolve_once_the_other_end_arrives(store: Store, owners: list[str], referenced: list[str]) -> None:
    """From either end, and only once."""
    await store.link("g")
    await store.add(member("b"), member("c"))
    await store.link("b")

    async def resolve() -> list[references.Resolved]:
        return await references.resolve(
            *store.key, owners=owners, referenced=referenced, attributes=ATTRIBUTES, jobs=store.jobs
        )

    (found,) = await resolve()
    assert (found.owner, found.referenced, found.referenced_name) == ("g", "b", "B")
    assert (found.owner_target, found.referenced_target) == (str(UUID(int=ord("g"))), str(UUID(int=ord("b"))))
    assert await resolve() == []


async def test_resolve_in_chunks(store: Store) -> None:
    """As many as asked at a time, in order, until all are done."""
    await store.add(*(member(letter) for letter in "abcde"))
    await store.link("g", *"abcde")
    found = []
    while chunk := await references.resolve(
        *store.key, owners=["g"], referenced=[], attributes=ATTRIBUTES, jobs=store.jobs, limit=2
    ):
        assert len(chunk) <= 2
        found += [row.referenced for row in chunk]
    assert found == list("abcde")


async def test_lost_end_turns_to_missing(store: Store) -> None:
    """At either end; only the source ends a reference."""
    await store.link("g", "a", "b")
    await store.add(member("a"), member("b"), ("a", "manager", "b"))
    await references.lose(*store.key, ["a"])
    assert await store.rows() == {member("a"): False, member("b"): True, ("a", "manager", "b"): False}
    await references.forget_owners(*store.key, ["a"])
    assert set(await store.rows()) == {member("a"), member("b")}


async def test_remove_gives_what_was_written(store: Store) -> None:
    """One that the target never had, or that is not there, is not taken from it."""
    await store.link("g", "a")
    await store.add(member("a"), member("b"))
    assert await references.remove(*store.key, [member("a"), member("b"), member("c")]) == [member("a")]
    assert await store.rows() == {}


async def test_end_unlisted(store: Store) -> None:
    """Whole lists end what they do not name: of owners under all their attributes, or of single pairs."""
    await store.link("g", "h", "a", "b")
    await store.add(
        member("a"), member("b"), member("a", "h"), ("g", "manager", "a"), ("h", "manager", "a"), ("h", "owner", "b")
    )
    lists = Lists(owners=["g", "h"], attributes=["manager", "owner"], pairs=[("g", "member")])
    ended = await references.end_unlisted(*store.key, lists, [("h", "manager", "a"), member("b")])
    assert sorted(ended) == [("g", "manager", "a"), member("a")]
    assert set(await store.rows()) == {("h", "manager", "a"), member("b"), member("a", "h")}
    assert await references.end_unlisted(*store.key, Lists(), []) == []


async def test_end_unlisted_owners(store: Store) -> None:
    """The same seen from the entry that is referred to."""
    await store.link("g", "h", "a")
    await store.add(member("a"), member("a", "h"), ("b", "manager", "a"))
    backs = [BackReferences("a", "member", ("h",))]
    assert await references.end_unlisted_owners(*store.key, backs) == [member("a")]
    assert set(await store.rows()) == {member("a", "h"), ("b", "manager", "a")}


async def test_list_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the end of the last part ends anything; a list begun anew forgets the parts before."""
    monkeypatch.setattr(references, "CHUNK", 2)
    await store.link("g", *"abcde")
    await store.add(*(member(letter) for letter in "abcde"), member("a", "h"))
    await references.begin_whole(*store.key, "g", "member")
    await references.note_whole(*store.key, [member("a")])
    await references.begin_whole(*store.key, "g", "member")
    await references.note_whole(*store.key, [member("b"), member("b")])
    await references.note_whole(*store.key, [member("f")])
    assert len(await store.rows()) == 6
    chunks = [chunk async for chunk in references.end_whole(*store.key, "g", "member")]
    assert sorted(row[2] for chunk in chunks for row in chunk) == ["a", "c", "d", "e"]
    assert max(map(len, chunks)) <= 2
    assert set(await store.rows()) == {member("b"), member("a", "h")}
    assert await store.world.rows("select 1 from seen_references where tenant = %s") == []


async def test_ended_leaves_what_a_twin_still_holds(store: Store) -> None:
    """A listed member that is a primary one as well stays at the target."""
    await store.link("g", "a", "b")
    await store.add(member("a"), member("b"), ("g", "primaryMember", "a"))
    gone = await references.remove(*store.key, [member("a"), member("b")])
    found = await references.ended(*store.key, gone, TARGETS, store.jobs)
    assert [row.referenced for row in found] == ["b"]
    gone = await references.remove(*store.key, [("g", "primaryMember", "a")])
    assert [row.referenced for row in await references.ended(*store.key, gone, TARGETS, store.jobs)] == ["a"]
