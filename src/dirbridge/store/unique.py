"""Values that only one live object of a tenant may have, with their owners."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

Key = tuple[str, str]
"""Kind (`userPrincipalName`, `address`) and folded value."""


async def holders(conn: AsyncConnection[Any], tenant: UUID, keys: Collection[Key]) -> dict[Key, UUID]:
    """Give who holds these values, locking them in order."""
    if not keys:
        return {}
    ordered = sorted(keys)
    cursor = await conn.execute(
        """select v.kind, v.value, v.owner from unique_values v
           join unnest(%s::text[], %s::text[]) as u(kind, value) on v.kind = u.kind and v.value = u.value
           where v.tenant = %s order by v.kind, v.value for update of v""",
        ([key[0] for key in ordered], [key[1] for key in ordered], tenant),
    )
    return {(row[0], row[1]): row[2] for row in await cursor.fetchall()}


async def held(conn: AsyncConnection[Any], tenant: UUID, owners: Sequence[UUID]) -> dict[UUID, set[Key]]:
    """Give all values that these objects hold."""
    cursor = await conn.execute(
        "select owner, kind, value from unique_values where tenant = %s and owner = any(%s)", (tenant, list(owners))
    )
    found: dict[UUID, set[Key]] = {}
    for owner, kind, value in await cursor.fetchall():
        found.setdefault(owner, set()).add((kind, value))
    return found


async def release(conn: AsyncConnection[Any], tenant: UUID, rows: Collection[tuple[Key, UUID]]) -> None:
    """Free values of their owners."""
    if not rows:
        return
    ordered = sorted(rows)
    await conn.execute(
        """delete from unique_values v using unnest(%s::text[], %s::text[], %s::uuid[]) as u(kind, value, owner)
           where v.tenant = %s and v.kind = u.kind and v.value = u.value and v.owner = u.owner""",
        ([row[0][0] for row in ordered], [row[0][1] for row in ordered], [row[1] for row in ordered], tenant),
    )


async def claim(conn: AsyncConnection[Any], tenant: UUID, rows: Collection[tuple[Key, UUID]]) -> set[Key]:
    """Take values; gives those that somebody else took in the meantime."""
    if not rows:
        return set()
    ordered = sorted(rows)
    cursor = await conn.execute(
        """insert into unique_values (tenant, kind, value, owner)
           select %s, u.* from unnest(%s::text[], %s::text[], %s::uuid[]) as u on conflict do nothing
           returning kind, value""",
        (tenant, [row[0][0] for row in ordered], [row[0][1] for row in ordered], [row[1] for row in ordered]),
    )
    taken = {(row[0], row[1]) for row in await cursor.fetchall()}
    return {row[0] for row in ordered} - taken


async def names(conn: AsyncConnection[Any], tenant: UUID, owners: Collection[UUID]) -> dict[UUID, str]:
    """Give a name to show for each of these objects."""
    cursor = await conn.execute(
        """select id, coalesce(user_principal_name, display_name, id::text) from directory_objects
           where tenant = %s and id = any(%s)""",
        (tenant, list(owners)),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}
