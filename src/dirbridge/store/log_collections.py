"""Copies of what agents have on their hosts, for an administrator to fetch: wanted, brought in parts, kept for a day.

`service/relay/log_collections` calls these. At most one is waited for of an agent. Nothing here commits.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.store.agents import CALLS

KEEP = timedelta(days=1)
MOST_PARTS = 64
"""Parts that a collection may have."""


class LogCollection(msgspec.Struct, frozen=True):
    """A row of `log_collections`.

    Attributes:
        state: waiting, ready or failed.
        size: bytes, once it is ready.
    """

    id: UUID
    agent: UUID
    hours: int
    state: str
    failure: str
    size: int
    wanted_at: datetime
    ended_at: datetime | None


_COLUMNS = "id, agent, hours, state, failure, size, wanted_at, ended_at"


async def want(
    conn: AsyncConnection[Any], tenant: UUID, agent: UUID, collection: UUID, hours: int
) -> LogCollection | None:
    """Want one; gives the one that is waited for where there is one already. None where there is no such agent."""
    async with conn.cursor(row_factory=class_row(LogCollection)) as cursor:
        await cursor.execute(
            f"""insert into log_collections (tenant, id, agent, hours)
                select tenant, %s, id, %s from agents where tenant = %s and id = %s and revoked_at is null
                on conflict (tenant, agent) where state = 'waiting'
                do update set hours = greatest(log_collections.hours, excluded.hours)
                returning {_COLUMNS}""",
            (collection, hours, tenant, agent),
        )
        found = await cursor.fetchone()
    await conn.execute("select pg_notify(%s, %s)", (CALLS, str(agent)))
    return found


async def waiting(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> LogCollection | None:
    """Give the one that is waited for of an agent."""
    async with conn.cursor(row_factory=class_row(LogCollection)) as cursor:
        await cursor.execute(
            f"select {_COLUMNS} from log_collections where tenant = %s and agent = %s and state = 'waiting'",
            (tenant, agent),
        )
        return await cursor.fetchone()


async def list_of(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> list[LogCollection]:
    """Give those of an agent, the newest first."""
    async with conn.cursor(row_factory=class_row(LogCollection)) as cursor:
        await cursor.execute(
            f"select {_COLUMNS} from log_collections where tenant = %s and agent = %s order by wanted_at desc, id",
            (tenant, agent),
        )
        return await cursor.fetchall()


async def get(conn: AsyncConnection[Any], tenant: UUID, agent: UUID, collection: UUID) -> LogCollection | None:
    """Look one up."""
    async with conn.cursor(row_factory=class_row(LogCollection)) as cursor:
        await cursor.execute(
            f"select {_COLUMNS} from log_collections where tenant = %s and agent = %s and id = %s",
            (tenant, agent, collection),
        )
        return await cursor.fetchone()


async def remove(conn: AsyncConnection[Any], tenant: UUID, agent: UUID, collection: UUID) -> bool:
    """Remove one, or want it no more; False where there is none."""
    cursor = await conn.execute(
        "delete from log_collections where tenant = %s and agent = %s and id = %s returning id",
        (tenant, agent, collection),
    )
    return await cursor.fetchone() is not None


async def insert_part(
    conn: AsyncConnection[Any], tenant: UUID, agent: UUID, collection: UUID, number: int, body: bytes, *, is_last: bool
) -> bool:
    """Store a part; the last one makes it ready. Part 0 begins afresh: an agent that was restarted brings another file.

    False where it is not waited for, or parts before the last are missing.
    """
    values = {"tenant": tenant, "agent": agent, "id": collection, "number": number, "body": body}
    cursor = await conn.execute(
        """select from log_collections
           where tenant = %(tenant)s and agent = %(agent)s and id = %(id)s and state = 'waiting' for update""",
        values,
    )
    if cursor.rowcount == 0 or number >= MOST_PARTS:
        return False
    await conn.execute(
        """delete from log_collection_parts
           where tenant = %(tenant)s and collection = %(id)s and number >= %(number)s""",
        values,
    )
    cursor = await conn.execute(
        """insert into log_collection_parts (tenant, collection, number, body)
           select %(tenant)s, %(id)s, %(number)s, %(body)s
           where (select count(*) from log_collection_parts where tenant = %(tenant)s and collection = %(id)s)
                 = %(number)s""",
        values,
    )
    if cursor.rowcount == 0:
        return False
    if is_last:
        await conn.execute(
            """update log_collections set state = 'ready', ended_at = now(),
                   size = (select sum(length(body)) from log_collection_parts
                           where tenant = %(tenant)s and collection = %(id)s)
               where tenant = %(tenant)s and id = %(id)s""",
            values,
        )
    return True


async def fail(conn: AsyncConnection[Any], tenant: UUID, agent: UUID, collection: UUID, reason: str) -> bool:
    """Note why an agent does not bring it; False where it is not waited for."""
    cursor = await conn.execute(
        """update log_collections set state = 'failed', failure = %s, ended_at = now()
           where tenant = %s and agent = %s and id = %s and state = 'waiting' returning id""",
        (reason, tenant, agent, collection),
    )
    return await cursor.fetchone() is not None


async def part(conn: AsyncConnection[Any], tenant: UUID, collection: UUID, number: int) -> bytes | None:
    """Give a part; None after the last."""
    cursor = await conn.execute(
        "select body from log_collection_parts where tenant = %s and collection = %s and number = %s",
        (tenant, collection, number),
    )
    row = await cursor.fetchone()
    return None if row is None else bytes(row[0])


async def forget(conn: AsyncConnection[Any], before: datetime) -> None:
    """Remove what was wanted before a time, brought or not."""
    await conn.execute("delete from log_collections where wanted_at < %s", (before,))
