"""Device codes: what a device without a browser waits with, until a person enters the user code somewhere else.

The device's code is known here by its SHA-256 digest, the user code as it is: it is good for minutes, and for nothing
without a person who is signed in. Every function takes an open connection and the tenant, and leaves the commit to its
caller.

Source: RFC 8628.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row


class DeviceCode(msgspec.Struct, frozen=True):
    """A row of `device_codes`.

    Attributes:
        asked: the scopes as the client spelled them.
        state: `pending`, `approved`, `declined` or `redeemed`.
        administrator, methods, signed_in_at: who approved or declined it, and how and when they had signed in.
        polled_at: when the device asked last.
    """

    service_principal: UUID
    scopes: list[str]
    asked: str
    state: str
    administrator: UUID | None
    methods: list[str] | None
    signed_in_at: datetime | None
    polled_at: datetime | None
    interval_seconds: int
    expires_at: datetime


_DEVICE_CODE = """select service_principal, scopes, asked, state, administrator, methods, signed_in_at, polled_at,
interval_seconds, expires_at from device_codes"""


async def add(
    conn: AsyncConnection[Any],
    tenant: UUID,
    digest: bytes,
    user_code: str,
    *,
    service_principal: UUID,
    scopes: Sequence[str],
    asked: str,
    interval_seconds: int,
    expires_at: datetime,
) -> bool:
    """Store a code; False where another one has the user code."""
    added = await conn.execute(
        """insert into device_codes
               (tenant, digest, user_code, service_principal, scopes, asked, interval_seconds, expires_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s) on conflict do nothing""",
        [tenant, digest, user_code, service_principal, list(scopes), asked, interval_seconds, expires_at],
    )
    return added.rowcount == 1


async def count_waiting(conn: AsyncConnection[Any], tenant: UUID, at: datetime) -> int:
    """Count the codes that wait for a person."""
    cursor = await conn.execute(
        "select count(*) from device_codes where tenant = %s and state = 'pending' and expires_at > %s", [tenant, at]
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def waiting(conn: AsyncConnection[Any], tenant: UUID, user_code: str, at: datetime) -> DeviceCode | None:
    """Give the code that waits for a person; None where there is none, or it was answered or has expired."""
    async with conn.cursor(row_factory=class_row(DeviceCode)) as cursor:
        await cursor.execute(
            f"{_DEVICE_CODE} where tenant = %s and user_code = %s and state = 'pending' and expires_at > %s",
            [tenant, user_code, at],
        )
        return await cursor.fetchone()


async def answer(
    conn: AsyncConnection[Any],
    tenant: UUID,
    user_code: str,
    state: Literal["approved", "declined"],
    *,
    administrator: UUID,
    methods: Sequence[str],
    signed_in_at: datetime,
    at: datetime,
) -> bool:
    """Keep a person's answer; False where it was answered before or has expired."""
    cursor = await conn.execute(
        """update device_codes set state = %s, administrator = %s, methods = %s, signed_in_at = %s
           where tenant = %s and user_code = %s and state = 'pending' and expires_at > %s returning digest""",
        [state, administrator, list(methods), signed_in_at, tenant, user_code, at],
    )
    return await cursor.fetchone() is not None


async def get(conn: AsyncConnection[Any], tenant: UUID, digest: bytes) -> DeviceCode | None:
    """Give the code that a device presents."""
    async with conn.cursor(row_factory=class_row(DeviceCode)) as cursor:
        await cursor.execute(f"{_DEVICE_CODE} where tenant = %s and digest = %s", [tenant, digest])
        return await cursor.fetchone()


async def note_poll(conn: AsyncConnection[Any], tenant: UUID, digest: bytes, at: datetime) -> None:
    """Note that the device asked."""
    await conn.execute("update device_codes set polled_at = %s where tenant = %s and digest = %s", [at, tenant, digest])


async def redeem(conn: AsyncConnection[Any], tenant: UUID, digest: bytes) -> bool:
    """Exchange an approved code; False where it was exchanged before, or is approved no longer."""
    cursor = await conn.execute(
        """update device_codes set state = 'redeemed'
           where tenant = %s and digest = %s and state = 'approved' returning digest""",
        [tenant, digest],
    )
    return await cursor.fetchone() is not None
