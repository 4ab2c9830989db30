"""References across the jobs of a tenant: what waits in one job for an entry that another brought.

A job writes its own references only. When an entry of its own gets its object, it notes that for every other job in
which a reference waits for it; the other job's next cycle, which is then due, writes that reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection


async def siblings(conn: AsyncConnection[Any], tenant: UUID, job: str) -> list[str]:
    """Give the other jobs of a tenant, all of which write to the same directory."""
    cursor = await conn.execute("select id from jobs where tenant = %s and id <> %s order by id", (tenant, job))
    return [row[0] for row in await cursor.fetchall()]


async def together(conn: AsyncConnection[Any], tenant: UUID) -> None:
    """Let only one job of a tenant at a time look for the other ends of references, until its transaction ends.

    Otherwise one could add a reference while another brings its other end, and neither would see what the other did.
    """
    await conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"references of {tenant}",))


async def note(conn: AsyncConnection[Any], tenant: UUID, jobs: Sequence[str], anchors: Sequence[str]) -> None:
    """These entries have their objects now: jobs in which references wait for them shall know."""
    await conn.execute(
        """insert into arrivals (tenant, job, anchor)
           select distinct r.tenant, r.job, r.referenced from entry_references r
           where r.tenant = %s and r.job = any(%s) and r.referenced = any(%s) and not r.is_written
           on conflict do nothing""",
        (tenant, list(jobs), list(anchors)),
    )


async def take(conn: AsyncConnection[Any], tenant: UUID, job: str, limit: int) -> list[str]:
    """Give, and forget, entries of other jobs that a job's references waited for."""
    cursor = await conn.execute(
        """delete from arrivals where tenant = %(tenant)s and job = %(job)s and anchor = any(array(
             select anchor from arrivals where tenant = %(tenant)s and job = %(job)s order by anchor limit %(limit)s))
           returning anchor""",
        {"tenant": tenant, "job": job, "limit": limit},
    )
    return sorted(row[0] for row in await cursor.fetchall())


async def wake(conn: AsyncConnection[Any], tenant: UUID, jobs: Sequence[str]) -> None:
    """Make jobs due for which something arrived, or whose escrows are due since another job gave a value up."""
    await conn.execute(
        """update jobs j set next_run = now()
           where tenant = %s and id = any(%s) and state = 'Active' and next_run > now() and quarantine is null
             and (exists (select from arrivals a where a.tenant = j.tenant and a.job = j.id)
               or exists (select from due d
                 where d.tenant = j.tenant and d.job = j.id and d.waits_for is not null and d.at <= now()))""",
        (tenant, list(jobs)),
    )
