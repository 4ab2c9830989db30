"""The one list of what is due: entries to be read afresh at a time, with the reason.

Reasons: `UniqueValueTaken` (another holds a value it wants), `NotVisibleInSource` (neither live nor tombstone),
`AccountExpires` (its expiry passes), `TargetChanged` (its object was changed by hand), `ScopeChanged` (groups let it in
or no longer do), `ContainerUnknown` (where it lies is not known), `ExportBegun` (what became of its export is not
known), and any failure's own code.

A row with attempts is an escrow: an entry that failed. When it is tried again is the engine's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

COLLISION = "UniqueValueTaken"
EXPIRY = "AccountExpires"
NOT_VISIBLE = "NotVisibleInSource"
SCOPE = "ScopeChanged"
CONTAINER = "ContainerUnknown"
TARGET_CHANGED = "TargetChanged"
EXPORT_BEGUN = "ExportBegun"


class Due(msgspec.Struct, frozen=True):
    """One anchor that is due for one reason.

    Attributes:
        attempt: how often it failed; 0 for what is due for another reason.
        waits_for: the unique value that another holds, as `kind:value`.
        since: when it began to be due; None for now.
    """

    anchor: str
    reason: str
    at: datetime
    attempt: int = 0
    waits_for: str | None = None
    since: datetime | None = None


async def put(conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[Due]) -> set[str]:
    """Store what becomes due.

    Returns:
        The anchors for which this reason is new.
    """
    if not rows:
        return set()
    cursor = await conn.execute(
        """insert into due as d (tenant, job, anchor, reason, at, attempt, waits_for, since)
           select %s, %s, u.anchor, u.reason, u.at, u.attempt, u.waits_for, coalesce(u.since, now())
           from unnest(
             %s::text[], %s::text[], %s::timestamptz[], %s::int[], %s::text[], %s::timestamptz[]
           ) as u(anchor, reason, at, attempt, waits_for, since)
           on conflict (tenant, job, anchor, reason) do update
             set at = excluded.at, attempt = greatest(d.attempt, excluded.attempt), waits_for = excluded.waits_for,
               since = least(d.since, excluded.since)
           returning d.anchor, (xmax = 0)""",
        (
            tenant,
            job,
            [row.anchor for row in rows],
            [row.reason for row in rows],
            [row.at for row in rows],
            [row.attempt for row in rows],
            [row.waits_for for row in rows],
            [row.since for row in rows],
        ),
    )
    return {row[0] for row in await cursor.fetchall() if row[1]}


async def take(
    conn: AsyncConnection[Any],
    tenant: UUID,
    job: str,
    *,
    now: datetime,
    collisions: bool,
    limit: int,
) -> list[str]:
    """Give anchors that are due, in order; collisions and all else are asked for apart."""
    cursor = await conn.execute(
        """select anchor from due where tenant = %s and job = %s and at <= %s and (reason = %s) = %s
           group by anchor order by anchor limit %s""",
        (tenant, job, now, COLLISION, collisions, limit),
    )
    return [row[0] for row in await cursor.fetchall()]


async def attempts(
    conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]
) -> dict[str, tuple[int, datetime]]:
    """Give how often each of these has failed, and since when; expiries do not count."""
    cursor = await conn.execute(
        """select anchor, max(attempt), min(since) from due
           where tenant = %s and job = %s and anchor = any(%s) and reason <> %s group by anchor""",
        (tenant, job, list(anchors), EXPIRY),
    )
    return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}


async def settle(
    conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]
) -> dict[str, tuple[int, datetime]]:
    """These have been handled: nothing is due for them any more.

    Returns:
        Of those that were set aside, how often they had failed, and since when.
    """
    cursor = await conn.execute(
        """with gone as (
             delete from due where tenant = %s and job = %s and anchor = any(%s) returning anchor, attempt, since)
           select anchor, max(attempt), min(since) from gone where attempt > 0 group by anchor""",
        (tenant, job, list(anchors)),
    )
    return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}


async def count_escrows(conn: AsyncConnection[Any], tenant: UUID, job: str) -> int:
    """Count the entries that are set aside because they failed; each has one such row."""
    cursor = await conn.execute(
        "select count(*) from due where tenant = %s and job = %s and attempt > 0", (tenant, job)
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def postpone(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str], at: datetime) -> None:
    """What was due for these before a time is due then."""
    await conn.execute(
        "update due set at = %s where tenant = %s and job = %s and anchor = any(%s) and at < %s",
        (at, tenant, job, list(anchors), at),
    )


async def wake(conn: AsyncConnection[Any], tenant: UUID, freed: Sequence[str], at: datetime) -> None:
    """Values were freed (`kind:value`): who waits for them, in any job, is due now."""
    await conn.execute(
        "update due set at = least(at, %s) where tenant = %s and waits_for = any(%s)", (at, tenant, list(freed))
    )


async def wake_reason(conn: AsyncConnection[Any], tenant: UUID, job: str, reason: str, at: datetime) -> None:
    """What is due for this reason later is due then."""
    await conn.execute(
        "update due set at = %s where tenant = %s and job = %s and reason = %s and at > %s",
        (at, tenant, job, reason, at),
    )
