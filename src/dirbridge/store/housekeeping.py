"""What is cleared away in the background: rows that nobody will read again.

Called by `service.worker` every few minutes; any number of workers may, only one at a time does. Each part is a
transaction of its own, so that none holds its locks for the others, and what cannot be done now is left for the next
round.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.contract.errors import TransientError
from dirbridge.store import (
    directory,
    event_counts,
    events,
    feed,
    grants,
    guesses,
    link_counts,
    log_collections,
    notifications,
    previews,
    retention,
    sessions,
    signing_keys,
)
from dirbridge.store.agents import KEEP_CODES
from dirbridge.store.database import Database, Failure

KEEP_DELETED = timedelta(days=30)
"""How long a deleted object can be restored."""
KEEP_REQUESTS = timedelta(hours=1)
"""How long a request to agents is kept whose reader is silent; readers remove their own, unless they are killed."""
KEEP_GRANTS = timedelta(hours=1)
"""How long what has expired of grants and codes is kept, so that a late client hears so."""

PATIENCE = timedelta(milliseconds=250)
"""How long a lock on the log is waited for: meanwhile everybody who reads or writes it waits behind us."""
ROWS = 10_000
"""Rows that are deleted together."""

_LOCK = 0x64_69_72_68

Part = Callable[[AsyncConnection[Any]], Awaitable[object]]

logger = logging.getLogger(__name__)


async def tidy(database: Database, now: datetime, keep: timedelta = events.RETENTION) -> None:
    """Do everything once, for every tenant.

    Args:
        database: where.
        now: decides which day's partition is needed and what is old.
        keep: how long the log and notifications are kept where a tenant says nothing else.
    """
    async with database.connection() as conn:
        kept = await retention.of_all(conn, keep)
        longest = max(kept.values(), default=keep)
        old = await events.expired(conn, now - longest)
    parts: list[Part] = [lambda conn: events.ensure_partitions(conn, now.date())]
    parts += [partial(_drop, name) for name in old]
    parts += [
        event_counts.fold,
        link_counts.fold,
        _forget_agents_leftovers,
        lambda conn: previews.prune(conn, now),
        lambda conn: sessions.forget(conn, now),
        lambda conn: guesses.forget(conn, now),
        lambda conn: feed.forget(conn, now - feed.KEPT - feed.MARGIN),
        lambda conn: signing_keys.forget(conn, now - signing_keys.KEEP),
        lambda conn: grants.forget(conn, now - KEEP_GRANTS),
        lambda conn: log_collections.forget(conn, now - log_collections.KEEP),
    ]
    parts += [partial(_forget_told, tenant, now - each) for tenant, each in kept.items()]
    parts += [partial(_purge, tenant, now - KEEP_DELETED) for tenant in kept]
    for part in parts:
        await _do(database, part)
    while await _do(database, partial(_prune_default, now - longest)) == ROWS:
        pass
    for tenant, each in kept.items():
        # Tenants share the log's partitions, so who keeps less than another loses rows, not days.
        while each < longest and await _do(database, partial(_prune, tenant, now - each)) == ROWS:
            pass


async def _do(database: Database, part: Part) -> object:
    """Do one part, unless another process is at it or a lock is not to be had soon."""
    try:
        async with database.transaction() as conn:
            await conn.execute("select set_config('lock_timeout', %s, true)", [f"{PATIENCE.total_seconds() * 1000:g}"])
            cursor = await conn.execute("select pg_try_advisory_xact_lock(%s)", [_LOCK])
            return await part(conn) if await cursor.fetchone() == (True,) else None
    except TransientError as error:
        if error.code != Failure.TIMEOUT:
            raise
        logger.debug("A part of housekeeping is left for the next round: %s", error)
        return None


async def _drop(partition: str, conn: AsyncConnection[Any]) -> None:
    await events.drop(conn, partition)


async def _prune_default(before: datetime, conn: AsyncConnection[Any]) -> int:
    return await events.prune_default(conn, before, ROWS)


async def _prune(tenant: UUID, before: datetime, conn: AsyncConnection[Any]) -> int:
    return await retention.prune(conn, tenant, before, ROWS)


async def _forget_told(tenant: UUID, before: datetime, conn: AsyncConnection[Any]) -> None:
    await event_counts.forget(conn, tenant, before)
    await notifications.forget(conn, tenant, before)


async def _purge(tenant: UUID, before: datetime, conn: AsyncConnection[Any]) -> None:
    await directory.purge(conn, tenant, before)


async def _forget_agents_leftovers(conn: AsyncConnection[Any]) -> None:
    await conn.execute("delete from used_assertions where expires_at < now()")
    await conn.execute("delete from enrolment_codes where expires_at < now() - %s::interval", [KEEP_CODES])
    await conn.execute("delete from agent_requests where read_at < now() - %s::interval", [KEEP_REQUESTS])
