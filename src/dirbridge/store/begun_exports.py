"""Exports to a target outside the transaction that were begun and whose outcome is not known.

A row is committed before the target is asked to make an object, or to give one to an entry, and goes when the outcome
is stored. What is left after a crash or a lost answer may have an object that no link knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.store import due
from dirbridge.store.due import Due


class Begun(msgspec.Struct, frozen=True, gc=False):
    """One such export: what its entry's link would say, and the source anchor by which its object can be found."""

    anchor: str
    object_type: str
    target_type: str
    name: str
    container: str | None
    source_anchor: str


_COLUMNS = "anchor, object_type, target_type, name, container, source_anchor"


async def put(conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[Begun], at: datetime) -> None:
    """Note exports that are about to begin. Their entries are due, until one of them has an outcome."""
    ordered = sorted(rows, key=lambda row: row.anchor)
    await conn.execute(
        f"""insert into begun_exports (tenant, job, {_COLUMNS})
           select %s, %s, u.* from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]) as u
           on conflict (tenant, job, anchor) do update set
             object_type = excluded.object_type, target_type = excluded.target_type, name = excluded.name,
             container = excluded.container, source_anchor = excluded.source_anchor""",
        (
            tenant,
            job,
            [row.anchor for row in ordered],
            [row.object_type for row in ordered],
            [row.target_type for row in ordered],
            [row.name for row in ordered],
            [row.container for row in ordered],
            [row.source_anchor for row in ordered],
        ),
    )
    await due.put(conn, tenant, job, [Due(row.anchor, due.EXPORT_BEGUN, at) for row in ordered])


async def get(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> list[Begun]:
    """Give those of these anchors."""
    async with conn.cursor(row_factory=class_row(Begun)) as cursor:
        await cursor.execute(
            f"select {_COLUMNS} from begun_exports where tenant = %s and job = %s and anchor = any(%s) order by anchor",
            (tenant, job, list(anchors)),
        )
        return await cursor.fetchall()


async def done(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> None:
    """What became of these is known."""
    await conn.execute(
        "delete from begun_exports where tenant = %s and job = %s and anchor = any(%s)", (tenant, job, list(anchors))
    )
