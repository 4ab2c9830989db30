"""A client that follows the feed ends with exactly the directory, whatever happens meanwhile."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from dirbridge.store import administration, directory
from dirbridge.store.directory import ObjectRow
from dirbridge.store.directory_queries import Conn
from tests.service.graph.conftest import TENANT, World


class Follower:
    """A client of one collection: merges what it is told, as Graph's guide says."""

    def __init__(self, world: World, collection: str, size: int) -> None:
        self.world = world
        self.address = f"{collection}/delta"
        self.headers = {"Prefer": f"odata.maxpagesize={size}"}
        self.objects: dict[str, str | None] = {}
        self.links: dict[str, set[str]] = {}

    async def step(self) -> bool:
        """Take one page. True at the end of a round."""
        answer = await self.world.client.get(self.address, headers=self.headers)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        for entry in page["value"]:
            self._merge(entry)
        self.address = page.get("@odata.nextLink") or page["@odata.deltaLink"]
        return "@odata.deltaLink" in page

    def _merge(self, entry: dict[str, Any]) -> None:
        id = entry["id"]
        if "@removed" in entry:
            self.objects.pop(id, None)
            self.links.pop(id, None)
            return
        self.objects[id] = entry["displayName"]
        for link in entry.get("members@delta", []):
            mine = self.links.setdefault(id, set())
            (mine.discard if "@removed" in link else mine.add)(link["id"])


class Editor:
    """Somebody who edits the directory in transactions that overlap and end in any order."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.dice = random.Random(seed)
        self.open: list[tuple[Any, Conn]] = []
        self.busy: set[UUID] = set()
        """Objects that an open transaction wrote: another one would wait for it."""
        self.users: list[UUID] = []
        self.groups: list[UUID] = []

    async def step(self) -> None:
        """Begin a transaction, write in one, or end one."""
        if len(self.open) < 3 and self.dice.random() < 0.5:
            context = self.world.database.transaction()
            self.open.append((context, await context.__aenter__()))
        if self.open and self.dice.random() < 0.4:
            await self.end(self.dice.randrange(len(self.open)))
        if self.open:
            await self.write(self.dice.choice(self.open)[1])

    async def end(self, number: int) -> None:
        """Commit one of the open transactions, or take it back."""
        context, _ = self.open.pop(number)
        if self.dice.random() < 0.15:
            with pytest.raises(_Regret):
                error = _Regret()
                if not await context.__aexit__(_Regret, error, None):
                    raise error
        else:
            await context.__aexit__(None, None, None)
        if not self.open:
            self.busy.clear()

    async def write(self, conn: Conn) -> None:
        """Write one thing."""
        acts: list[Callable[[Conn], Awaitable[None]]] = [
            self._create, self._update, self._delete, self._purge, self._remove, self._refer, self._refer,
            self._refer, self._unrefer,
        ]  # fmt: skip
        await self.dice.choice(acts)(conn)

    def _free(self, known: list[UUID]) -> UUID | None:
        found = [id for id in known if id not in self.busy]
        return self.dice.choice(found) if found else None

    async def _create(self, conn: Conn) -> None:
        kind = self.dice.choice(["user", "group"])
        row = ObjectRow(uuid4(), kind, None, None, {"displayName": f"New {self.dice.random()}"}, {})
        await directory.insert(conn, TENANT, [row], datetime.now(UTC))
        (self.users if kind == "user" else self.groups).append(row.id)
        self.busy.add(row.id)

    async def _update(self, conn: Conn) -> None:
        id = self._free(self.users + self.groups)
        if id is None:
            return
        self.busy.add(id)
        for row in (await directory.read(conn, TENANT, [id])).values():  # brings a deleted one back
            changed = ObjectRow(id, row.object_type, None, None, {"displayName": f"New {self.dice.random()}"}, {})
            await directory.update(conn, TENANT, [changed], datetime.now(UTC))

    async def _delete(self, conn: Conn) -> None:
        if not self.busy and (id := self._free(self.users + self.groups)) is not None:
            self.busy |= {id, *self.groups}
            await directory.soft_delete(conn, TENANT, [id], datetime.now(UTC))

    async def _purge(self, conn: Conn) -> None:
        id = self._free(self.users + self.groups)
        if id is None:
            return
        self.busy.add(id)
        rows = await directory.read(conn, TENANT, [id])
        if id in rows and rows[id].deleted_at is not None:
            await administration.remove(conn, TENANT, id)

    async def _remove(self, conn: Conn) -> None:
        if not self.busy and (id := self._free(self.users)) is not None:
            self.busy |= {id, *self.groups}
            await directory.remove(conn, TENANT, [id])

    async def _refer(self, conn: Conn) -> None:
        group, user = self._free(self.groups), self._free(self.users)
        if group is None or user is None:
            return
        self.busy |= {group, user}
        live = [row for row in (await directory.read(conn, TENANT, [group, user])).values() if row.deleted_at is None]
        if len(live) == 2:
            await directory.refer(conn, TENANT, [(group, "members", user)])  # type: ignore[list-item]

    async def _unrefer(self, conn: Conn) -> None:
        group = self._free(self.groups)
        if group is None:
            return
        self.busy.add(group)
        cursor = await conn.execute("select referenced from directory_references where owner = %s limit 1", (group,))
        for (user,) in await cursor.fetchall():
            await directory.unrefer(conn, TENANT, [(group, "members", user)])  # type: ignore[list-item]


class _Regret(Exception):
    pass


@pytest.mark.parametrize("seed", range(12))
async def test_a_follower_ends_with_the_directory(world: World, seed: int) -> None:
    """Creates, updates, deletes, restores, purges and member changes in transactions that commit out of order."""
    dice = random.Random(seed)
    editor = Editor(world, seed)
    followers = [Follower(world, "users", dice.choice([1, 3, 50])), Follower(world, "groups", dice.choice([1, 3, 50]))]
    for _ in range(120):
        await editor.step()
        if dice.random() < 0.4:
            await asyncio.gather(*(each.step() for each in followers))
    while editor.open:
        await editor.end(0)
    for follower in followers:
        while not await follower.step():
            pass
        while not await follower.step():
            pass
    users, groups = followers
    live = {str(id): name for id, name in await _live(world, "user")}
    assert users.objects == live
    assert groups.objects == {str(id): name for id, name in await _live(world, "group")}
    assert {id: members for id, members in groups.links.items() if members} == await _members(world)


async def _live(world: World, kind: str) -> list[Any]:
    return await world.run(
        "select id, display_name from directory_objects where object_type = %s and deleted_at is null", [kind]
    )


async def _members(world: World) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for owner, referenced in await world.run(
        """select r.owner, r.referenced from directory_references r
           join directory_objects g on g.id = r.owner and g.deleted_at is null
           join directory_objects m on m.id = r.referenced and m.deleted_at is null"""
    ):
        found.setdefault(str(owner), set()).add(str(referenced))
    return found
