"""The entries of a job that are set aside because they failed, page by page. When each is tried again is in `due`."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

Conn = AsyncConnection[Any]


class Escrow(msgspec.Struct, frozen=True):
    """One entry that failed.

    Attributes:
        reason: code of the failure. attempt: how often it failed.
        since: when it failed first. at: when it is tried again.
        target: its object, where it has one.
    """

    anchor: str
    reason: str
    attempt: int
    since: datetime
    at: datetime
    object_type: str
    name: str
    target: UUID | None


class After(msgspec.Struct, frozen=True, array_like=True):
    """Where the page before ended."""

    anchor: str = ""
    reason: str = ""

    @classmethod
    def of(cls, row: Escrow) -> After:
        """Give the place behind a row."""
        return cls(row.anchor, row.reason)


async def page(conn: Conn, tenant: UUID, job: str, *, after: After | None, limit: int) -> list[Escrow]:
    """Give what is set aside, in the order of anchors."""
    place = after or After()
    async with conn.cursor(row_factory=class_row(Escrow)) as cursor:
        await cursor.execute(
            """select d.anchor, d.reason, d.attempt, d.since, d.at, coalesce(l.object_type, '') as object_type,
                 coalesce(l.name, '') as name, l.target
               from due d left join links l on l.tenant = d.tenant and l.job = d.job and l.anchor = d.anchor
               where d.tenant = %(tenant)s and d.job = %(job)s and d.attempt > 0
                 and d.anchor >= %(anchor)s and (d.anchor, d.reason) > (%(anchor)s, %(reason)s)
               order by d.anchor, d.reason limit %(limit)s""",
            {"tenant": tenant, "job": job, "anchor": place.anchor, "reason": place.reason, "limit": limit},
        )
        return await cursor.fetchall()
