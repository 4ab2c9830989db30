"""Agents that are to be updated at once, whatever is set for all. An order ends by its time, or when it is done.

`service/releases/updating` reads them at heartbeats. Times are the database's. Nothing here commits.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.store import traces

LASTS = timedelta(hours=1)
"""An agent that has not managed it within this time goes by what is set for all again."""


class UpdateOrder(msgspec.Struct, frozen=True):
    """An order.

    Attributes:
        id: an updater that hears of another one looks at once.
    """

    id: UUID
    until: datetime


async def put(conn: AsyncConnection[Any], tenant: UUID, agent: UUID, order: UUID) -> bool:
    """Order it from now on, in place of any order before; False where there is no such agent, or it was revoked."""
    cursor = await conn.execute(
        """insert into update_orders (tenant, agent, id, until)
           select tenant, id, %s, now() + %s::interval from agents
           where tenant = %s and id = %s and revoked_at is null
           on conflict (tenant, agent) do update set id = excluded.id, until = excluded.until""",
        (order, LASTS, tenant, agent),
    )
    await traces.call(conn, agent)
    return cursor.rowcount > 0


async def get(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> UpdateOrder | None:
    """Give the order that counts for an agent now."""
    async with conn.cursor(row_factory=class_row(UpdateOrder)) as cursor:
        await cursor.execute(
            "select id, until from update_orders where tenant = %s and agent = %s and until > now()", (tenant, agent)
        )
        return await cursor.fetchone()


async def end(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> None:
    """Let what is set for all count again."""
    await conn.execute("delete from update_orders where tenant = %s and agent = %s", (tenant, agent))
