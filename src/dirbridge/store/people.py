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

from dirbridge.store import grants


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
    last_sign_in: datetime | None
    has_second_factor: bool
    external_subject: str | None


class SecondFactor(msgspec.Struct, frozen=True):
    """The second factor of an administrator.

    Attributes:
        secret: sealed.
        is_confirmed: a code of it was shown; before that it is not asked for.
        step: the last time step whose code was used.
    """

    secret: bytes
    is_confirmed: bool
    step: int


_ADMINISTRATOR = """select id, user_name, display_name, password_hash, roles, is_disabled, created_at,
    password_changed_at, nullif(tokens_not_before, '-infinity') as tokens_not_before, last_sign_in,
    totp_secret is not null and totp_confirmed as has_second_factor, external_subject from administrators"""


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
    """Give an administrator by sign-in name, in any case.

    Some databases take more letters for one than whoever counts attempts at a name does, such as U+0130 for an i.
    """
    async with conn.cursor(row_factory=class_row(Administrator)) as cursor:
        await cursor.execute(
            f"{_ADMINISTRATOR} where tenant = %s and lower(user_name) = lower(%s)", [tenant, user_name]
        )
        found = await cursor.fetchone()
    return found if found is not None and found.user_name.casefold() == user_name.casefold() else None


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


async def hold(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID) -> None:
    """Wait for whoever changes an administrator, and make the next one wait for us."""
    await conn.execute(
        "select from administrators where tenant = %s and id = %s for no key update", [tenant, administrator]
    )


async def set_password(
    conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, password_hash: str, at: datetime
) -> None:
    """Replace a password."""
    await conn.execute(
        "update administrators set password_hash = %s, password_changed_at = %s where tenant = %s and id = %s",
        [password_hash, at, tenant, administrator],
    )


async def rehash(
    conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, before: str, password_hash: str
) -> None:
    """Store another hash of the same password, unless it was replaced meanwhile."""
    await conn.execute(
        "update administrators set password_hash = %s where tenant = %s and id = %s and password_hash = %s",
        [password_hash, tenant, administrator, before],
    )


async def note_sign_in(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, at: datetime) -> None:
    """Keep when somebody signed in last."""
    await conn.execute(
        "update administrators set last_sign_in = %s where tenant = %s and id = %s", [at, tenant, administrator]
    )


async def delete(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID) -> None:
    """Remove an administrator."""
    await conn.execute("delete from administrators where tenant = %s and id = %s", [tenant, administrator])


async def refuse_tokens(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, before: datetime) -> None:
    """Refuse from now on every token that was issued to them before a time, and end what applications do for them."""
    await conn.execute(
        "update administrators set tokens_not_before = %s where tenant = %s and id = %s",
        [before, tenant, administrator],
    )
    because = "the account was disabled, given other roles or another password, or signed out everywhere."
    await grants.end_of_person(conn, tenant, administrator, because, before)


async def count_with_role(conn: AsyncConnection[Any], tenant: UUID, role: str) -> int:
    """Count who holds a role and can sign in."""
    cursor = await conn.execute(
        "select count(*) from administrators where tenant = %s and %s = any(roles) and not is_disabled", [tenant, role]
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


# Second factor -------------------------------------------------------------------------------------------------------


async def second_factor(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID) -> SecondFactor | None:
    """Give an administrator's second factor, confirmed or not."""
    async with conn.cursor(row_factory=class_row(SecondFactor)) as cursor:
        await cursor.execute(
            """select totp_secret as secret, totp_confirmed as is_confirmed, totp_step as step from administrators
               where tenant = %s and id = %s and totp_secret is not null""",
            [tenant, administrator],
        )
        return await cursor.fetchone()


async def propose_second_factor(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, secret: bytes) -> bool:
    """Keep a second factor until it is confirmed; False where there is a confirmed one."""
    kept = await conn.execute(
        """update administrators set totp_secret = %s, totp_confirmed = false, totp_step = 0
           where tenant = %s and id = %s and not totp_confirmed""",
        [secret, tenant, administrator],
    )
    return kept.rowcount == 1


async def use_code(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, secret: bytes, step: int) -> bool:
    """Use a time step's code up, and confirm the second factor by it; False where it, or a later one, was used."""
    used = await conn.execute(
        """update administrators set totp_step = %(step)s, totp_confirmed = true
           where tenant = %(tenant)s and id = %(id)s and totp_secret = %(secret)s and totp_step < %(step)s""",
        {"tenant": tenant, "id": administrator, "secret": secret, "step": step},
    )
    return used.rowcount == 1


async def remove_second_factor(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID) -> bool:
    """Ask for none any longer; False where none was."""
    removed = await conn.execute(
        """update administrators set totp_secret = null, totp_confirmed = false, totp_step = 0
           where tenant = %s and id = %s and totp_secret is not null""",
        [tenant, administrator],
    )
    return removed.rowcount == 1


# An outside provider -------------------------------------------------------------------------------------------------


async def find_external(conn: AsyncConnection[Any], tenant: UUID, subject: str) -> Administrator | None:
    """Give the administrator who is bound to an issuer's subject."""
    async with conn.cursor(row_factory=class_row(Administrator)) as cursor:
        await cursor.execute(f"{_ADMINISTRATOR} where tenant = %s and external_subject = %s", [tenant, subject])
        return await cursor.fetchone()


async def bind_external(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, subject: str) -> bool:
    """Bind an administrator who is bound to none yet; False where they are."""
    bound = await conn.execute(
        """update administrators set external_subject = %s
           where tenant = %s and id = %s and external_subject is null""",
        [subject, tenant, administrator],
    )
    return bound.rowcount == 1


async def unbind_external(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID) -> bool:
    """Free an administrator of the subject that they are bound to; False where they were bound to none."""
    freed = await conn.execute(
        """update administrators set external_subject = null
           where tenant = %s and id = %s and external_subject is not null""",
        [tenant, administrator],
    )
    return freed.rowcount == 1
