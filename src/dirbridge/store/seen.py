"""What a full read has shown so far, and what it has not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection


async def add(conn: AsyncConnection[Any], tenant: UUID, job: str, full_read: UUID, anchors: Sequence[str]) -> None:
    """Note that a full read showed these anchors."""
    await conn.execute(
        """insert into seen (tenant, job, full_read, anchor)
           select %s, %s, %s, a from unnest(%s::text[]) as a order by a on conflict do nothing""",
        (tenant, job, full_read, list(anchors)),
    )


async def count(conn: AsyncConnection[Any], tenant: UUID, job: str, full_read: UUID) -> int:
    """Count what a full read has shown."""
    cursor = await conn.execute(
        "select count(*) from seen where tenant = %s and job = %s and full_read = %s", (tenant, job, full_read)
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def unseen(
    conn: AsyncConnection[Any], tenant: UUID, job: str, full_read: UUID, *, after: str, limit: int
) -> list[str]:
    """Give links that the full read did not show, in anchor order from after `after`."""
    cursor = await conn.execute(
        """select l.anchor from links l
           where l.tenant = %(tenant)s and l.job = %(job)s and l.state <> 'deprovisioned' and l.anchor > %(after)s
             and not exists (select from seen s
               where s.tenant = %(tenant)s and s.job = %(job)s and s.full_read = %(full_read)s and s.anchor = l.anchor)
           order by l.anchor limit %(limit)s""",
        {"tenant": tenant, "job": job, "full_read": full_read, "after": after, "limit": limit},
    )
    return [row[0] for row in await cursor.fetchall()]
