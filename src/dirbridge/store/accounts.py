"""The synchronization service account of a tenant: its user, its role, what it accepts and what its jobs present.

Who it must be and what follows from it is decided in `tenant/account`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row


class Account(msgspec.Struct, frozen=True):
    """The account as it is now.

    Attributes:
        id: of its user, whether there is one or not.
        name: the user's sign-in name; None where the user is gone for good.
        is_deleted: the user lies in the recycle bin.
        is_enabled: the user may sign in.
    """

    id: UUID
    name: str | None
    is_deleted: bool
    is_enabled: bool
    roles: list[str]


class Presented(msgspec.Struct, frozen=True):
    """What a job presents, and what the account says to it.

    Attributes:
        sealed: the secret; None where the job was given none.
        digest: of the secret that the account accepts under this credential's id; None where it accepts none.
    """

    sealed: bytes | None
    digest: bytes | None
    expires_at: datetime | None


async def get(conn: AsyncConnection[Any], tenant: UUID, *, lock: bool = False) -> Account | None:
    """Give the account; None where the tenant never had one."""
    async with conn.cursor(row_factory=class_row(Account)) as cursor:
        await cursor.execute(
            """select a.id, coalesce(o.user_principal_name, case when o.id is not null then '' end) as name,
                 o.deleted_at is not null as is_deleted,
                 coalesce(o.properties -> 'accountEnabled' = 'true', false) as is_enabled, a.roles
               from synchronization_accounts a
               left join directory_objects o on o.tenant = a.tenant and o.id = a.id
               where a.tenant = %s"""
            + (" for update of a" if lock else ""),
            (tenant,),
        )
        return await cursor.fetchone()


async def put(conn: AsyncConnection[Any], tenant: UUID, account: UUID, roles: Sequence[str]) -> None:
    """Say which user is the account, and what it may do."""
    await conn.execute(
        """insert into synchronization_accounts (tenant, id, roles) values (%s, %s, %s)
           on conflict (tenant) do update set id = excluded.id, roles = excluded.roles""",
        (tenant, account, list(roles)),
    )


async def presented(conn: AsyncConnection[Any], tenant: UUID, job: str) -> Presented | None:
    """Give what a job presents to the account; None where there is no account or no such job."""
    async with conn.cursor(row_factory=class_row(Presented)) as cursor:
        await cursor.execute(
            """select p.sealed, c.digest, c.expires_at
               from jobs j
               join synchronization_accounts a on a.tenant = j.tenant
               left join job_credentials p on p.tenant = j.tenant and p.job = j.id
               left join synchronization_credentials c
                 on c.tenant = j.tenant and c.id = p.credential and c.account = a.id
               where j.tenant = %s and j.id = %s""",
            (tenant, job),
        )
        return await cursor.fetchone()


async def grant(
    conn: AsyncConnection[Any],
    tenant: UUID,
    account: UUID,
    job: str,
    *,
    credential: UUID,
    digest: bytes,
    sealed: bytes,
    expires_at: datetime | None,
) -> None:
    """Let the account accept a secret, and give it to a job in place of the one that it had."""
    await release(conn, tenant, job)
    await conn.execute(
        """insert into synchronization_credentials (tenant, id, account, digest, expires_at)
           values (%s, %s, %s, %s, %s)""",
        (tenant, credential, account, digest, expires_at),
    )
    await conn.execute(
        """insert into job_credentials (tenant, job, credential, sealed) values (%s, %s, %s, %s)
           on conflict (tenant, job) do update set credential = excluded.credential, sealed = excluded.sealed""",
        (tenant, job, credential, sealed),
    )


async def without_credential(conn: AsyncConnection[Any], tenant: UUID) -> list[str]:
    """Give the jobs that were never given a secret."""
    cursor = await conn.execute(
        """select id from jobs j where tenant = %s
             and not exists (select from job_credentials p where p.tenant = j.tenant and p.job = j.id) order by id""",
        (tenant,),
    )
    return [row[0] for row in await cursor.fetchall()]


async def revoke(conn: AsyncConnection[Any], tenant: UUID, account: UUID) -> None:
    """Let the account accept no secret any more; a user that is not the account has none."""
    await conn.execute("delete from synchronization_credentials where tenant = %s and account = %s", (tenant, account))


async def expire(conn: AsyncConnection[Any], tenant: UUID, account: UUID, at: datetime) -> None:
    """Let every secret of the account end at a time, unless it ends before."""
    await conn.execute(
        """update synchronization_credentials set expires_at = least(expires_at, %s)
           where tenant = %s and account = %s""",
        (at, tenant, account),
    )


async def release(conn: AsyncConnection[Any], tenant: UUID, job: str) -> None:
    """Let the account accept a job's secret no more: the job goes."""
    await conn.execute(
        """delete from synchronization_credentials c using job_credentials p
           where p.tenant = %s and p.job = %s and c.tenant = p.tenant and c.id = p.credential""",
        (tenant, job),
    )


async def is_account(conn: AsyncConnection[Any], tenant: UUID, user: UUID) -> bool:
    """Tell whether a user is the account."""
    cursor = await conn.execute("select from synchronization_accounts where tenant = %s and id = %s", (tenant, user))
    return await cursor.fetchone() is not None
