"""Guesses: how often somebody tried at a name, a code or from an address, and until when no more is listened to.

An attempt is counted before it is made. Of many at once, each waits for the row of the one before it, so that together
they are no more than one after the other. Every function takes an open connection; the caller commits at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)
FORGIVEN_AFTER = timedelta(days=1)
"""Without a further attempt."""


async def count(conn: AsyncConnection[Any], tenant: UUID, key: bytes, free: int, at: datetime) -> datetime | None:
    """Count an attempt that is about to be made.

    Args:
        key: digest of what is guessed at, or of where from.
        free: the attempt after which nobody is listened to for a while; each further one doubles that time.

    Returns:
        None where it may be made; else until when none may, and nothing was counted.
    """
    values = {
        "tenant": tenant, "key": key, "at": at, "free": free, "first": FIRST_WAIT.total_seconds(),
        "longest": LONGEST_WAIT.total_seconds(), "old": at - FORGIVEN_AFTER,
    }  # fmt: skip
    made = await conn.execute(
        """insert into guesses as g (tenant, key, failures, last_at, blocked_until)
           values (%(tenant)s, %(key)s, 1, %(at)s, %(at)s)
           on conflict (tenant, key) do update set
               failures = case when g.last_at < %(old)s then 1 else g.failures + 1 end,
               last_at = %(at)s,
               blocked_until = case
                   when g.last_at < %(old)s or g.failures + 1 < %(free)s then %(at)s
                   else %(at)s + make_interval(secs =>
                       least(%(longest)s, %(first)s * power(2, least(g.failures + 1 - %(free)s, 20))))
               end
           where g.blocked_until <= %(at)s""",
        values,
    )
    if made.rowcount == 1:
        return None
    return await blocked_until(conn, tenant, key)


async def blocked_until(conn: AsyncConnection[Any], tenant: UUID, key: bytes) -> datetime | None:
    """Give until when nobody is listened to; None where nobody tried."""
    cursor = await conn.execute("select blocked_until from guesses where tenant = %s and key = %s", [tenant, key])
    row = await cursor.fetchone()
    return row[0] if row else None


async def forgive(conn: AsyncConnection[Any], tenant: UUID, key: bytes) -> bool:
    """Forget the attempts at what was guessed right in the end; False where there were none."""
    forgiven = await conn.execute("delete from guesses where tenant = %s and key = %s", [tenant, key])
    return forgiven.rowcount == 1


async def take_back(conn: AsyncConnection[Any], tenant: UUID, key: bytes, at: datetime) -> None:
    """Uncount the attempt of a time, which did not fail; others, and the wait that they brought, stay."""
    await conn.execute(
        """update guesses set failures = failures - 1,
               blocked_until = case when last_at = %(at)s then %(at)s else blocked_until end
           where tenant = %(tenant)s and key = %(key)s and failures > 0""",
        {"tenant": tenant, "key": key, "at": at},
    )


async def forget(conn: AsyncConnection[Any], now: datetime) -> None:
    """Remove what is forgiven, of every tenant."""
    await conn.execute("delete from guesses where last_at < %s and blocked_until < %s", [now - FORGIVEN_AFTER, now])
