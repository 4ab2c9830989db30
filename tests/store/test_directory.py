"""References of the tenant against deletes at the same time, on real PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from dirbridge.store import directory
from dirbridge.store.database import Database
from dirbridge.store.directory import ObjectRow
from dirbridge.tenant import administration

TENANT = UUID("11111111-2222-3333-4444-555555555555")
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def ends(database: Database) -> tuple[UUID, UUID]:
    """A group and a user."""
    group, user = uuid4(), uuid4()
    async with database.transaction() as conn:
        await conn.execute(
            "insert into tenants (id, name, initial_domain, base_url) values (%s, 'C', 'c.test', 'https://c.test')",
            (TENANT,),
        )
        rows = [ObjectRow(group, "group", None, None, {}, {}), ObjectRow(user, "user", None, None, {}, {})]
        await directory.insert(conn, TENANT, rows, NOW)
    return group, user


async def dangling(database: Database) -> int:
    """Count references with an end that is not live."""
    async with database.connection() as conn:
        cursor = await conn.execute(
            """select count(*) from directory_references r where not exists (select from directory_objects o
                 where o.tenant = r.tenant and o.id = r.referenced and o.deleted_at is null)
               or not exists (select from directory_objects o
                 where o.tenant = r.tenant and o.id = r.owner and o.deleted_at is null)"""
        )
        row = await cursor.fetchone()
        return int(row[0]) if row else 0


async def count(database: Database) -> int:
    async with database.connection() as conn:
        cursor = await conn.execute("select count(*) from directory_references")
        row = await cursor.fetchone()
        return int(row[0]) if row else 0


async def waits(database: Database) -> None:
    """Return once some session waits for another's lock."""
    async with database.connection() as conn:
        for _ in range(500):
            cursor = await conn.execute(
                "select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            )
            if cursor.rowcount:
                return
            await asyncio.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("which", ["owner", "referenced"])
async def test_delete_waits_for_a_reference_and_takes_it_away(
    database: Database, ends: tuple[UUID, UUID], which: str
) -> None:
    """Who deletes an end of a reference that is not committed yet sees it in the end."""
    group, user = ends
    victim = group if which == "owner" else user

    async def delete() -> None:
        async with database.transaction() as conn:
            await directory.soft_delete(conn, TENANT, [victim], NOW)

    async with database.transaction() as conn:
        await directory.refer(conn, TENANT, [(str(group), "members", str(user))])
        deleting = asyncio.create_task(delete())
        await waits(database)
    await deleting
    assert (await count(database), await dangling(database)) == (0, 0)


@pytest.mark.parametrize("which", ["owner", "referenced"])
async def test_reference_waits_for_a_delete_and_is_not_made(
    database: Database, ends: tuple[UUID, UUID], which: str
) -> None:
    """Who refers to an object that is being deleted gets no reference once it is."""
    group, user = ends
    victim = group if which == "owner" else user

    async def refer() -> None:
        async with database.transaction() as conn:
            await directory.refer(conn, TENANT, [(str(group), "members", str(user))])

    async with database.transaction() as conn:
        await administration.delete_object(conn, TENANT, victim, None, NOW)
        referring = asyncio.create_task(refer())
        await waits(database)
    await referring
    assert (await count(database), await dangling(database)) == (0, 0)


async def test_references_of_one_object_do_not_wait_for_each_other(database: Database, ends: tuple[UUID, UUID]) -> None:
    """Two transactions refer from and to the same objects at the same time."""
    group, user = ends
    async with database.transaction() as one, database.transaction() as other:
        await directory.refer(one, TENANT, [(str(group), "members", str(user))])
        async with asyncio.timeout(10):
            await directory.refer(other, TENANT, [(str(group), "owners", str(user))])
    assert await count(database) == 2


async def test_many_rounds_leave_nothing_dangling(database: Database, ends: tuple[UUID, UUID]) -> None:
    """Deletes, restores and references in any order that happens."""
    group, user = ends

    async def delete() -> None:
        async with database.transaction() as conn:
            await administration.delete_object(conn, TENANT, user, None, NOW)

    async def refer() -> None:
        async with database.transaction() as conn:
            await directory.refer(conn, TENANT, [(str(group), "members", str(user))])

    for _ in range(20):
        await asyncio.gather(refer(), delete(), refer())
        assert await dangling(database) == 0
        async with database.transaction() as conn:
            await administration.restore_object(conn, TENANT, user, NOW)
