"""Statements that only people's acts on the tenant directory need; sets of a cycle are in `directory`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.store import directory


async def remove(conn: AsyncConnection[Any], tenant: UUID, id: UUID) -> None:
    """Remove an object for good. Links of entries that still exist lead nowhere now, as if never written."""
    key = {"tenant": tenant, "id": id}
    await conn.execute(
        "delete from links where tenant = %(tenant)s and target = %(id)s and state = 'deprovisioned'", key
    )
    await conn.execute(
        """update links set target = null, digest = null, state = 'failed', reason = 'TargetRemoved'
           where tenant = %(tenant)s and target = %(id)s""",
        key,
    )
    await directory.remove(conn, tenant, [id])


async def among(
    conn: AsyncConnection[Any], tenant: UUID, owner: UUID, attribute: str, referenced: Sequence[UUID]
) -> set[UUID]:
    """Say which of some objects an object's relation names."""
    cursor = await conn.execute(
        """select referenced from directory_references
           where tenant = %s and owner = %s and attribute = %s and referenced = any(%s)""",
        (tenant, owner, attribute, list(referenced)),
    )
    return {row[0] for row in await cursor.fetchall()}


async def size(conn: AsyncConnection[Any], tenant: UUID, owner: UUID, attribute: str, most: int) -> int:
    """Count what an object's relation names, no further than a number."""
    cursor = await conn.execute(
        """select count(*) from (select from directory_references
             where tenant = %s and owner = %s and attribute = %s limit %s) as found""",
        (tenant, owner, attribute, most),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def end_relation(conn: AsyncConnection[Any], tenant: UUID, owner: UUID, attribute: str) -> bool:
    """Take away all that an object's relation names. False where it names nothing."""
    cursor = await conn.execute(
        "select referenced from directory_references where tenant = %s and owner = %s and attribute = %s",
        (tenant, owner, attribute),
    )
    rows = [(str(owner), attribute, str(row[0])) for row in await cursor.fetchall()]
    await directory.unrefer(conn, tenant, rows)
    return bool(rows)
