"""Statements that only people's acts on the tenant directory need; sets of a cycle are in `directory`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection


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
    await conn.execute("delete from directory_objects where tenant = %(tenant)s and id = %(id)s", key)


async def add_member(conn: AsyncConnection[Any], tenant: UUID, owner: UUID, attribute: str, referenced: UUID) -> bool:
    """Add one reference. False where it is there."""
    result = await conn.execute(
        """insert into directory_references (tenant, owner, attribute, referenced) values (%s, %s, %s, %s)
           on conflict do nothing""",
        (tenant, owner, attribute, referenced),
    )
    return result.rowcount == 1
