"""The source's tree of containers, by anchor, so that a rename is one row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.contract.entry import Container


async def put(conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[Container]) -> None:
    """Store containers as they are now, and drop the deleted ones."""
    latest = {row.anchor: row for row in rows}
    live = sorted((row for row in latest.values() if not row.deleted), key=lambda row: row.anchor)
    gone = [row.anchor for row in latest.values() if row.deleted]
    if live:
        await conn.execute(
            """insert into containers as c (tenant, job, anchor, parent, name)
               select %s, %s, u.* from unnest(%s::text[], %s::text[], %s::text[]) as u
               on conflict (tenant, job, anchor) do update set parent = excluded.parent, name = excluded.name
               where (c.parent, c.name) is distinct from (excluded.parent, excluded.name)""",
            (tenant, job, [row.anchor for row in live], [row.parent for row in live], [row.name for row in live]),
        )
    if gone:
        await conn.execute(
            "delete from containers where tenant = %s and job = %s and anchor = any(%s)", (tenant, job, gone)
        )
