"""References that a target outside the transaction is still to get, or to lose: a queue, emptied in batches.

`entry_references` says what the source has, and whether the target has it or is about to. What is here is the rest of
the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row


class Pending(msgspec.Struct, frozen=True, gc=False):
    """One reference to be added or taken away.

    Attributes:
        attribute: at the target.
        attempt, since: how often it has failed, and since when.
    """

    owner: str
    attribute: str
    is_added: bool
    referenced: str
    owner_target: str
    referenced_target: str
    referenced_name: str
    attempt: int = 0
    since: datetime | None = None


_COLUMNS = (
    """owner, attribute, is_added, referenced, owner_target, referenced_target, referenced_name, attempt, since"""
)


async def put(conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[Pending], at: datetime) -> None:
    """Queue references; the last word on one counts. Rows must be unique."""
    if not rows:
        return
    await conn.execute(
        """insert into reference_exports as e
             (tenant, job, owner, attribute, is_added, referenced, owner_target, referenced_target, referenced_name, at)
           select %s, %s, u.*, %s from unnest(
             %s::text[], %s::text[], %s::boolean[], %s::text[], %s::text[], %s::text[], %s::text[]) as u
           on conflict (tenant, job, owner, attribute, referenced) do update set
             is_added = excluded.is_added, owner_target = excluded.owner_target,
             referenced_target = excluded.referenced_target, referenced_name = excluded.referenced_name,
             at = excluded.at, attempt = 0, since = null""",
        (
            tenant,
            job,
            at,
            [row.owner for row in rows],
            [row.attribute for row in rows],
            [row.is_added for row in rows],
            [row.referenced for row in rows],
            [row.owner_target for row in rows],
            [row.referenced_target for row in rows],
            [row.referenced_name for row in rows],
        ),
    )


async def take(conn: AsyncConnection[Any], tenant: UUID, job: str, *, now: datetime, limit: int) -> list[Pending]:
    """Give what is due, by owner and attribute, removals first."""
    async with conn.cursor(row_factory=class_row(Pending)) as cursor:
        await cursor.execute(
            f"""select {_COLUMNS} from reference_exports where tenant = %s and job = %s and at <= %s
                order by owner, attribute, is_added, referenced limit %s""",
            (tenant, job, now, limit),
        )
        return await cursor.fetchall()


async def done(conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[Pending]) -> None:
    """These are as they should be."""
    if rows:
        await conn.execute(
            """delete from reference_exports e
               using unnest(%s::text[], %s::text[], %s::text[]) as u(owner, attribute, referenced)
               where e.tenant = %s and e.job = %s
                 and e.owner = u.owner and e.attribute = u.attribute and e.referenced = u.referenced""",
            (*_keys(rows), tenant, job),
        )


async def put_off(
    conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[tuple[Pending, datetime]], now: datetime
) -> None:
    """These failed: each is due again at its time."""
    if rows:
        await conn.execute(
            """update reference_exports e set at = u.at, attempt = e.attempt + 1, since = coalesce(e.since, %s)
               from unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[]) as u(owner, attribute, referenced, at)
               where e.tenant = %s and e.job = %s
                 and e.owner = u.owner and e.attribute = u.attribute and e.referenced = u.referenced""",
            (now, *_keys([row for row, _ in rows]), [at for _, at in rows], tenant, job),
        )


async def put_off_owners(
    conn: AsyncConnection[Any], tenant: UUID, job: str, at: Mapping[str, datetime], now: datetime
) -> None:
    """The target was too busy for these owners: all that is due for each is due at its time."""
    if at:
        await conn.execute(
            """update reference_exports e set at = u.at, attempt = e.attempt + 1, since = coalesce(e.since, %s)
               from unnest(%s::text[], %s::timestamptz[]) as u(owner, at)
               where e.tenant = %s and e.job = %s and e.owner = u.owner and e.at <= %s""",
            (now, list(at), list(at.values()), tenant, job, now),
        )


async def forget(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> None:
    """The target objects of these entries went, and with them what was to become of their references."""
    await conn.execute(
        """delete from reference_exports where tenant = %(tenant)s and job = %(job)s and owner = any(%(anchors)s)""",
        {"tenant": tenant, "job": job, "anchors": list(anchors)},
    )
    await conn.execute(
        """delete from reference_exports
           where tenant = %(tenant)s and job = %(job)s and referenced = any(%(anchors)s)""",
        {"tenant": tenant, "job": job, "anchors": list(anchors)},
    )


async def hasten(conn: AsyncConnection[Any], tenant: UUID, job: str) -> None:
    """Let what failed be due at once, as if it had failed never."""
    await conn.execute(
        """update reference_exports set at = '-infinity', attempt = 0, since = null
           where tenant = %s and job = %s and attempt > 0""",
        (tenant, job),
    )


async def count_failed(conn: AsyncConnection[Any], tenant: UUID, job: str) -> int:
    """Count what failed and waits to be tried again."""
    cursor = await conn.execute(
        "select count(*) from reference_exports where tenant = %s and job = %s and attempt > 0", (tenant, job)
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


def _keys(rows: Sequence[Pending]) -> tuple[list[str], list[str], list[str]]:
    return [row.owner for row in rows], [row.attribute for row in rows], [row.referenced for row in rows]
