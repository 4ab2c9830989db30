"""Deletes and disables: found on evidence, reviewed, staged or done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row


class Removal(msgspec.Struct, frozen=True):
    """One delete or disable.

    Attributes:
        action: `delete` or `disable`. evidence: `Tombstone`, `OutOfScope` or `Disabled`.
        state: `pending`, `staged` (over the threshold), `rejected` or `allowed` (by a person), `done`.
    """

    anchor: str
    object_type: str
    action: str
    evidence: str
    state: str = "pending"


async def put(conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[Removal]) -> None:
    """Store what was found. One that is staged or allowed already stays so; a rejected one, until evidence is new."""
    if not rows:
        return
    await conn.execute(
        """insert into removals as r (tenant, job, anchor, object_type, action, evidence)
           select %s, %s, u.* from unnest(%s::text[], %s::text[], %s::text[], %s::text[]) as u
           on conflict (tenant, job, anchor) do update set
             action = excluded.action, evidence = excluded.evidence,
             state = case when r.state = 'done' then 'pending'
                          when r.state = 'rejected' and (r.action, r.evidence) <> (excluded.action, excluded.evidence)
                          then 'pending' else r.state end""",
        (
            tenant,
            job,
            [row.anchor for row in rows],
            [row.object_type for row in rows],
            [row.action for row in rows],
            [row.evidence for row in rows],
        ),
    )


async def cancel(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> None:
    """These are not to be removed after all."""
    await conn.execute(
        "delete from removals where tenant = %s and job = %s and anchor = any(%s) and state <> 'done'",
        (tenant, job, list(anchors)),
    )


async def open_ones(
    conn: AsyncConnection[Any], tenant: UUID, job: str, *, now: datetime, after: str = "", limit: int
) -> list[Removal]:
    """Give what is pending, staged or allowed, in anchor order; not what the target refused and is due later."""
    async with conn.cursor(row_factory=class_row(Removal)) as cursor:
        await cursor.execute(
            """select anchor, object_type, action, evidence, state from removals
               where tenant = %s and job = %s and state in ('pending', 'staged', 'allowed') and anchor > %s
                 and (retry_at is null or retry_at <= %s)
               order by anchor limit %s""",
            (tenant, job, after, now, limit),
        )
        return await cursor.fetchall()


async def done_since(
    conn: AsyncConnection[Any], tenant: UUID, job: str, since: datetime, action: str | None = None
) -> dict[str, int]:
    """Count what was removed since a time, by source object type; what a person allowed does not count.

    Args:
        action: `delete` or `disable`; None counts both.
    """
    cursor = await conn.execute(
        """select object_type, count(*) from removals
           where tenant = %s and job = %s and state = 'done' and done_at > %s and evidence <> 'Allowed'
             and (%s::text is null or action = %s)
           group by object_type""",
        (tenant, job, since, action, action),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def deleted_since(conn: AsyncConnection[Any], tenant: UUID, since: datetime) -> int:
    """Count what all jobs of a tenant deleted since a time; what a person allowed does not count."""
    cursor = await conn.execute(
        """select count(*) from removals
           where tenant = %s and state = 'done' and done_at > %s and action = 'delete' and evidence <> 'Allowed'""",
        (tenant, since),
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def stage(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str], at: datetime) -> list[str]:
    """Set aside for a person what exceeds the threshold; gives the ones that were not staged before."""
    cursor = await conn.execute(
        """update removals set state = 'staged', staged_at = %s
           where tenant = %s and job = %s and anchor = any(%s) and state = 'pending' returning anchor""",
        (at, tenant, job, list(anchors)),
    )
    return [row[0] for row in await cursor.fetchall()]


async def still_open(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> list[str]:
    """Give those that may still go, locked in anchor order: a person may have rejected some meanwhile."""
    cursor = await conn.execute(
        """select anchor from removals
           where tenant = %s and job = %s and anchor = any(%s) and state in ('pending', 'staged', 'allowed')
           order by anchor for update""",
        (tenant, job, list(anchors)),
    )
    return [row[0] for row in await cursor.fetchall()]


async def done(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str], at: datetime) -> None:
    """These were removed. What a person had allowed is not counted against the threshold again."""
    await conn.execute(
        """update removals set evidence = case when state = 'allowed' then 'Allowed' else evidence end,
             state = 'done', done_at = %s, attempt = 0, failing_since = null, retry_at = null
           where tenant = %s and job = %s and anchor = any(%s)""",
        (at, tenant, job, list(anchors)),
    )


async def failing(
    conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]
) -> dict[str, tuple[int, datetime]]:
    """Give how often the target refused each of these, and since when."""
    cursor = await conn.execute(
        """select anchor, attempt, failing_since from removals
           where tenant = %s and job = %s and anchor = any(%s) and attempt > 0""",
        (tenant, job, list(anchors)),
    )
    return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}


async def put_off(
    conn: AsyncConnection[Any], tenant: UUID, job: str, at: Mapping[str, datetime], now: datetime
) -> None:
    """The target refused these: each is tried again at its time."""
    await conn.execute(
        """update removals r set attempt = r.attempt + 1, failing_since = coalesce(r.failing_since, %s), retry_at = u.at
           from unnest(%s::text[], %s::timestamptz[]) as u(anchor, at)
           where r.tenant = %s and r.job = %s and r.anchor = u.anchor""",
        (now, list(at), list(at.values()), tenant, job),
    )


async def record(conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[Removal], at: datetime) -> None:
    """Note removals that went the common way (disables), as done."""
    if not rows:
        return
    await conn.execute(
        """insert into removals (tenant, job, anchor, object_type, action, evidence, state, done_at)
           select %s, %s, u.*, 'done', %s from unnest(%s::text[], %s::text[], %s::text[], %s::text[]) as u
           on conflict (tenant, job, anchor) do update set
             action = excluded.action, evidence = excluded.evidence, state = 'done', done_at = excluded.done_at""",
        (
            tenant,
            job,
            at,
            [row.anchor for row in rows],
            [row.object_type for row in rows],
            [row.action for row in rows],
            ["Allowed" if row.state == "allowed" else row.evidence for row in rows],
        ),
    )


async def pending_by_type(conn: AsyncConnection[Any], tenant: UUID, job: str) -> dict[str, int]:
    """Count what is to be removed and was not allowed by a person, by source object type."""
    cursor = await conn.execute(
        """select object_type, count(*) from removals
           where tenant = %s and job = %s and state in ('pending', 'staged')
           group by object_type""",
        (tenant, job),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def deletes_to_go(conn: AsyncConnection[Any], tenant: UUID, job: str) -> int:
    """Count the deletes that a job wants and no person allowed, and those that other active jobs may do meanwhile."""
    cursor = await conn.execute(
        """select count(*) from removals r
           where r.tenant = %(tenant)s and r.action = 'delete'
             and (r.job = %(job)s and r.state in ('pending', 'staged')
               or r.state = 'pending' and exists (
                 select from jobs j where j.tenant = r.tenant and j.id = r.job and j.state = 'Active'))""",
        {"tenant": tenant, "job": job},
    )
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])


async def prune(conn: AsyncConnection[Any], tenant: UUID, job: str, before: datetime) -> None:
    """Drop what no longer counts against the threshold."""
    await conn.execute(
        "delete from removals where tenant = %s and job = %s and state = 'done' and done_at < %s", (tenant, job, before)
    )


WINDOW = timedelta(hours=24)
"""How long a removal counts against the threshold."""
