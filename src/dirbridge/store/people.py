"""Administrators: who may sign in, with which roles.

Every function takes an open connection and leaves the commit to its caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row


class Administrator(msgspec.Struct, frozen=True):
    """A row of `administrators`."""

    id: UUID
    user_name: str
    display_name: str
    password_hash: str
    roles: list[str]
    is_disabled: bool
    created_at: datetime
    password_changed_at: datetime
    tokens_not_before: datetime | None


_ADMINISTRATOR = """select id, user_name, display_name, password_hash, roles, is_disabled, created_at,
    password_changed_at, nullif(tokens_not_before, '-infinity') as tokens_not_before from administrators"""


async def administrators(conn: AsyncConnection[Any], tenant: UUID) -> list[Administrator]:
    """Give the tenant's administrators, the first one first."""
    async with conn.cursor(row_factory=class_row(Administrator)) as cursor:
        await cursor.execute(f"{_ADMINISTRATOR} where tenant = %s order by created_at, id", [tenant])
        return await cursor.fetchall()


async def get(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID) -> Administrator | None:
    """Give an administrator by id."""
    async with conn.cursor(row_factory=class_row(Administrator)) as cursor:
        await cursor.execute(f"{_ADMINISTRATOR} where tenant = %s and id = %s", [tenant, administrator])
        return await cursor.fetchone()


async def find(conn: AsyncConnection[Any], tenant: UUID, user_name: str) -> Administrator | None:
    """Give an administrator by sign-in name, in any case."""
    async with conn.cursor(row_factory=class_row(Administrator)) as cursor:
        await cursor.execute(
            f"{_ADMINISTRATOR} where tenant = %s and lower(user_name) = lower(%s)", [tenant, user_name]
        )
        return await cursor.fetchone()


async def lock(conn: AsyncConnection[Any], tenant: UUID) -> None:
    """Let one transaction at a time change who administers the tenant."""
    await conn.execute("select from tenants where id = %s for no key update", [tenant])


async def add(
    conn: AsyncConnection[Any],
    tenant: UUID,
    administrator: UUID,
    *,
    user_name: str,
    password_hash: str,
    roles: Sequence[str],
    display_name: str = "",
) -> bool:
    """Store a new administrator; False where another has the name."""
    added = await conn.execute(
        """insert into administrators (tenant, id, user_name, password_hash, roles, display_name)
           values (%s, %s, %s, %s, %s, %s) on conflict do nothing""",
        [tenant, administrator, user_name, password_hash, list(roles), display_name],
    )
    return added.rowcount == 1


async def change(
    conn: AsyncConnection[Any],
    tenant: UUID,
    administrator: UUID,
    *,
    display_name: str | None = None,
    roles: Sequence[str] | None = None,
    is_disabled: bool | None = None,
) -> None:
    """Change what is given."""
    await conn.execute(
        """update administrators set display_name = coalesce(%s, display_name), roles = coalesce(%s, roles),
               is_disabled = coalesce(%s, is_disabled)
           where tenant = %s and id = %s""",
        [display_name, None if roles is None else list(roles), is_disabled, tenant, administrator],
    )


async def set_password(
    conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, password_hash: str, at: datetime
) -> None:
    """Replace a password."""
    await conn.execute(
        "update administrators set password_hash = %s, password_changed_at = %s where tenant = %s and id = %s",
        [password_hash, at, tenant, administrator],
    )


async def delete(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID) -> None:
    """Remove an administrator."""
    await conn.execute("delete from administrators where tenant = %s and id = %s", [tenant, administrator])


async def refuse_tokens(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, before: datetime) -> None:
    """Refuse from now on every token that was issued to them before a time."""
    await conn.execute(
        "update administrators set tokens_not_before = %s where tenant = %s and id = %s",
        [before, tenant, administrator],
    )


async def count_with_role(conn: AsyncConnection[Any], tenant: UUID, role: str) -> int:
    """Count who holds a role and can sign in."""
    cursor = await conn.execute(
        "select count(*) from administrators where tenant = %s and %s = any(roles) and not is_disabled", [tenant, role]
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
