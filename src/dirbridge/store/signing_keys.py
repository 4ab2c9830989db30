"""The keys that sign tokens: which there are, which of them signs, and when one is needed no longer.

A key is published from the moment it is stored, signs from `signs_from` on until another begins to, and is kept until
nothing that it signed can be good. Every process reads the same rows, so none needs to tell another.

Every function takes an open connection and the tenant, and leaves the commit to its caller.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

KEEP = timedelta(hours=2)
"""How long a key is kept after another took over: longer than any token lives, and than clocks differ."""


class SigningKey(msgspec.Struct, frozen=True):
    """A row of `keys` for tokens: the private part sealed."""

    id: str
    sealed: bytes
    created_at: datetime
    signs_from: datetime


async def list_all(conn: AsyncConnection[Any], tenant: UUID) -> list[SigningKey]:
    """Give all keys, the one that begins to sign last first."""
    async with conn.cursor(row_factory=class_row(SigningKey)) as cursor:
        await cursor.execute(
            """select id, sealed, created_at, signs_from from keys
               where tenant = %s and purpose = 'token' and retired_at is null order by signs_from desc, id desc""",
            [tenant],
        )
        return await cursor.fetchall()


async def lock(conn: AsyncConnection[Any], tenant: UUID) -> None:
    """Let one transaction at a time change which keys there are."""
    await conn.execute("select from tenants where id = %s for no key update", [tenant])


async def add(
    conn: AsyncConnection[Any],
    tenant: UUID,
    key: str,
    sealed: bytes,
    public: bytes,
    *,
    at: datetime,
    signs_from: datetime,
) -> None:
    """Store a key."""
    await conn.execute(
        """insert into keys (tenant, purpose, id, sealed, public, created_at, signs_from)
           values (%s, 'token', %s, %s, %s, %s, %s)""",
        [tenant, key, sealed, public, at, signs_from],
    )


async def sign_from(conn: AsyncConnection[Any], tenant: UUID, key: str, at: datetime) -> None:
    """Let a key begin to sign at another time than it was to."""
    await conn.execute(
        "update keys set signs_from = %s where tenant = %s and purpose = 'token' and id = %s", [at, tenant, key]
    )


async def remove(conn: AsyncConnection[Any], tenant: UUID, key: str) -> None:
    """Remove a key; what it signed is void in each process that reads the keys afresh."""
    await conn.execute("delete from keys where tenant = %s and purpose = 'token' and id = %s", [tenant, key])


async def forget(conn: AsyncConnection[Any], before: datetime) -> None:
    """Remove the keys of all tenants in whose place another signed already before a time."""
    await conn.execute(
        """delete from keys k where purpose = 'token' and exists (
               select from keys later where later.tenant = k.tenant and later.purpose = 'token'
                   and later.retired_at is null and later.signs_from <= %s
                   and (later.signs_from, later.id) > (k.signs_from, k.id)
           )""",
        [before],
    )
