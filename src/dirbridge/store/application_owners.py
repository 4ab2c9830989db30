"""Who owns which application: other applications, and administrators.

Every function takes an open connection and the tenant, and leaves the commit to its caller.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

MOST = 100
"""Owners of one application."""


class Owner(msgspec.Struct, frozen=True):
    """An owner.

    Attributes:
        app_id: None for an administrator.
        user_name: None for an application.
    """

    id: UUID
    display_name: str
    app_id: UUID | None
    user_name: str | None


async def owners(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID) -> list[Owner]:
    """Give the owners of an application, by id."""
    async with conn.cursor(row_factory=class_row(Owner)) as cursor:
        await cursor.execute(
            """select o.owner as id, coalesce(p.display_name, nullif(a.display_name, ''), a.user_name) as display_name,
                      p.app_id, a.user_name
               from application_owners o
               left join service_principals p on p.tenant = o.tenant and p.id = o.application
               left join administrators a on a.tenant = o.tenant and a.id = o.administrator
               where o.tenant = %s and o.service_principal = %s order by o.owner""",
            [tenant, service_principal],
        )
        return await cursor.fetchall()


async def owns(conn: AsyncConnection[Any], tenant: UUID, owner: UUID, service_principal: UUID) -> bool:
    """Tell whether somebody owns an application."""
    cursor = await conn.execute(
        "select 1 from application_owners where tenant = %s and service_principal = %s and owner = %s",
        [tenant, service_principal, owner],
    )
    return await cursor.fetchone() is not None


async def add(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID, owner: UUID) -> bool:
    """Give an application an owner; False where nobody has this id. An owner that is there stays one."""
    cursor = await conn.execute(
        """with found as (
               select id as application, null::uuid as administrator from service_principals
               where tenant = %(tenant)s and id = %(owner)s and has_principal and built_in is distinct from 'graph'
               union all
               select null, id from administrators where tenant = %(tenant)s and id = %(owner)s
           ), added as (
               insert into application_owners (tenant, service_principal, application, administrator)
               select %(tenant)s, %(principal)s, application, administrator from found on conflict do nothing
           )
           select 1 from found""",
        {"tenant": tenant, "principal": service_principal, "owner": owner},
    )
    return await cursor.fetchone() is not None


async def remove(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID, owner: UUID) -> bool:
    """Take an owner away; False where it was none."""
    removed = await conn.execute(
        "delete from application_owners where tenant = %s and service_principal = %s and owner = %s",
        [tenant, service_principal, owner],
    )
    return removed.rowcount == 1
