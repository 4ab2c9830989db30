"""What waits for a person, one by one, and the person's word on it: allow, or reject.

A removal of an entry is named by the entry's anchor. Finding and doing removals is in `removals`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

Conn = AsyncConnection[Any]


class Staged(msgspec.Struct, frozen=True):
    """One removal that waits for a person, or that a person rejected.

    Attributes:
        id: names it among those of its job.
        action: `delete` or `disable`. evidence: `Tombstone`, `OutOfScope` or `Disabled`.
        state: `staged` or `rejected`.
        since: when it was staged, or rejected.
        target_name: what the object is called now; empty where only its id is known.
    """

    id: str
    action: str
    evidence: str
    state: str
    since: datetime | None
    source_id: str
    source_type: str
    source_name: str
    target_id: UUID | None
    target_name: str


class After(msgspec.Struct, frozen=True, array_like=True):
    """Where the page before ended."""

    id: str


async def page(conn: Conn, tenant: UUID, job: str, *, state: str, after: After | None, limit: int) -> list[Staged]:
    """Give what waits, or what was rejected, in the order of anchors."""
    async with conn.cursor(row_factory=class_row(Staged)) as cursor:
        await cursor.execute(
            """select r.anchor as id, r.action, r.evidence, r.state, r.staged_at as since,
                 r.anchor as source_id, r.object_type as source_type, coalesce(l.name, '') as source_name,
                 l.target as target_id, coalesce(o.user_principal_name, o.display_name, '') as target_name
               from removals r
               left join links l on l.tenant = r.tenant and l.job = r.job and l.anchor = r.anchor
               left join directory_objects o on o.tenant = r.tenant and o.id = l.target
               where r.tenant = %s and r.job = %s and r.state = %s and r.anchor > %s
               order by r.anchor limit %s""",
            (tenant, job, state, "" if after is None else after.id, limit),
        )
        return await cursor.fetchall()


async def count(conn: Conn, tenant: UUID, job: str, state: str = "staged") -> int:
    """Count what waits for a person, or was rejected by one."""
    cursor = await conn.execute(
        "select count(*) from removals where tenant = %s and job = %s and state = %s", (tenant, job, state)
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def allow(conn: Conn, tenant: UUID, job: str, ids: Collection[str] | None) -> set[str]:
    """Let removals go: all that are staged, or those named, which may also be ones that were rejected before.

    Returns:
        The ids of those that the job's next cycle carries out.
    """
    return await _decide(conn, tenant, job, "allowed", ("staged",) if ids is None else ("staged", "rejected"), ids)


async def reject(conn: Conn, tenant: UUID, job: str, ids: Collection[str] | None, at: datetime) -> set[str]:
    """Keep what was to be removed: all that is staged, or those named. It is not staged again for the same evidence."""
    return await _decide(conn, tenant, job, "rejected", ("staged",), ids, at)


async def reopen(conn: Conn, tenant: UUID, job: str) -> None:
    """Take back what was rejected: everything is read and judged afresh, and a person asked again if need be."""
    await conn.execute(
        """update removals set state = 'pending', staged_at = null
           where tenant = %s and job = %s and state = 'rejected'""",
        (tenant, job),
    )


async def _decide(
    conn: Conn,
    tenant: UUID,
    job: str,
    state: str,
    of: Collection[str],
    ids: Collection[str] | None,
    at: datetime | None = None,
) -> set[str]:
    cursor = await conn.execute(
        """with chosen as materialized (
             select anchor from removals
             where tenant = %(tenant)s and job = %(job)s and state = any(%(of)s)
               and (%(ids)s::text[] is null or anchor = any(%(ids)s))
             order by anchor for update)
           update removals r set state = %(state)s, staged_at = coalesce(%(at)s, r.staged_at) from chosen
           where r.tenant = %(tenant)s and r.job = %(job)s and r.anchor = chosen.anchor
           returning r.anchor""",
        {
            "tenant": tenant,
            "job": job,
            "state": state,
            "of": list(of),
            "ids": None if ids is None else sorted(ids),
            "at": at,
        },
    )
    return {row[0] for row in await cursor.fetchall()}
