"""How many entries are at the target, by job and by what they are and became.

Triggers on `links` add every difference as a row of its own, so that nobody waits for another; `fold`, called by
housekeeping, adds them up. A sum over the rows is right at any time.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

Conn = AsyncConnection[Any]

Pair = tuple[str, str]
"""What entries are, and what they became."""


async def of_jobs(conn: Conn, tenant: UUID, jobs: Collection[str]) -> dict[str, dict[Pair, int]]:
    """Count by job, in the order of what entries are and became."""
    cursor = await conn.execute(
        """select job, object_type, target_type, sum(number)::bigint from link_counts
           where tenant = %s and job = any(%s) group by 1, 2, 3 having sum(number) > 0 order by 1, 2, 3""",
        (tenant, list(jobs)),
    )
    found: dict[str, dict[Pair, int]] = {}
    rows: list[tuple[str, str, str, int]] = await cursor.fetchall()
    for job, kind, became, number in rows:
        found.setdefault(job, {})[kind, became] = number
    return found


async def of_tenant(conn: Conn, tenant: UUID) -> dict[Pair, int]:
    """Count for all jobs together."""
    cursor = await conn.execute(
        """select object_type, target_type, sum(number)::bigint from link_counts
           where tenant = %s group by 1, 2 having sum(number) > 0 order by 1, 2""",
        (tenant,),
    )
    rows: list[tuple[str, str, int]] = await cursor.fetchall()
    return {(kind, became): number for kind, became, number in rows}


async def fold(conn: Conn) -> None:
    """Leave one row for what several say; only one may at a time, and nobody waits for it."""
    await conn.execute(
        """with several as (
               select tenant, job from link_counts group by tenant, job, object_type, target_type
               having count(*) > 1 or sum(number) = 0
           ), gone as (
               delete from link_counts c using (select distinct tenant, job from several) s
               where c.tenant = s.tenant and c.job = s.job returning c.*
           )
           insert into link_counts
           select tenant, job, object_type, target_type, sum(number) from gone
           group by 1, 2, 3, 4 having sum(number) <> 0"""
    )
