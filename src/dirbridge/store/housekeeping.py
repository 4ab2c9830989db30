"""What is cleared away in the background: rows that nobody will read again.

Called by `service.worker` every few minutes; any number of workers may, only one at a time does. Each part is a
transaction of its own, so that none holds its locks for the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.store import directory, events, notifications, previews
from dirbridge.store.agents import KEEP_CODES
from dirbridge.store.database import Database

KEEP_DELETED = timedelta(days=30)
"""How long a deleted object can be restored."""
KEEP_REQUESTS = timedelta(hours=1)
"""How long a request to agents is kept whose reader is silent; readers remove their own, unless they are killed."""

_LOCK = 0x64_69_72_68

Part = Callable[[AsyncConnection[Any]], Awaitable[object]]


async def tidy(database: Database, now: datetime, keep: timedelta = events.RETENTION) -> None:
    """Do everything once, for every tenant.

    Args:
        database: where.
        now: decides which day's partition is needed and what is old.
        keep: how long the log and notifications are kept.
    """
    async with database.connection() as conn:
        cursor = await conn.execute("select id from tenants where preview_of is null")
        tenants: list[UUID] = [tenant for (tenant,) in await cursor.fetchall()]
    parts: list[Part] = [
        lambda conn: events.ensure_partitions(conn, now.date()),
        lambda conn: events.prune(conn, now, keep),
        lambda conn: notifications.forget(conn, now - keep),
        _forget_agents_leftovers,
        lambda conn: previews.prune(conn, now),
    ]
    parts += [partial(_purge, tenant, now - KEEP_DELETED) for tenant in tenants]
    for part in parts:
        async with database.transaction() as conn:
            # A partition's lock must not be waited for long: everybody who writes the log would wait behind it.
            await conn.execute("set local lock_timeout = '3s'")
            cursor = await conn.execute("select pg_try_advisory_xact_lock(%s)", [_LOCK])
            if await cursor.fetchone() == (True,):
                await part(conn)


async def _purge(tenant: UUID, before: datetime, conn: AsyncConnection[Any]) -> None:
    await directory.purge(conn, tenant, before)


async def _forget_agents_leftovers(conn: AsyncConnection[Any]) -> None:
    await conn.execute("delete from used_assertions where expires_at < now()")
    await conn.execute("delete from enrolment_codes where expires_at < now() - %s::interval", [KEEP_CODES])
    await conn.execute("delete from agent_requests where read_at < now() - %s::interval", [KEEP_REQUESTS])
