"""The secrets of a configuration, as they lie in the database: sealed. What they say is `service.configuration`'s."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb


class Secret(msgspec.Struct, frozen=True):
    """A row of `configuration_secrets`."""

    key: str
    bound_to: str
    sealed: bytes


async def lock(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID) -> None:
    """Let one transaction at a time change a configuration's secrets, or make jobs that take settings from them."""
    await conn.execute(
        "select from service_principals where tenant = %s and id = %s for no key update", (tenant, service_principal)
    )


async def list_all(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID) -> list[Secret]:
    """Give a configuration's secrets, by key."""
    async with conn.cursor(row_factory=class_row(Secret)) as cursor:
        await cursor.execute(
            """select key, bound_to, sealed from configuration_secrets
               where tenant = %s and service_principal = %s order by key""",
            (tenant, service_principal),
        )
        return await cursor.fetchall()


async def replace(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID, rows: Sequence[Secret]) -> None:
    """Replace the whole set."""
    await conn.execute(
        "delete from configuration_secrets where tenant = %s and service_principal = %s", (tenant, service_principal)
    )
    await conn.execute(
        """insert into configuration_secrets (tenant, service_principal, key, bound_to, sealed)
           select %s, %s, * from unnest(%s::text[], %s::text[], %s::bytea[])""",
        (
            tenant,
            service_principal,
            [row.key for row in rows],
            [row.bound_to for row in rows],
            [row.sealed for row in rows],
        ),
    )


async def share(
    conn: AsyncConnection[Any],
    tenant: UUID,
    service_principal: UUID,
    *,
    settings: Mapping[str, str],
    dropped: Sequence[str],
) -> None:
    """Write what the secrets decide into the settings of the configuration's jobs; those in quarantine are due now.

    Args:
        settings: by name.
        dropped: names that the secrets decided before and do not any more.
    """
    await conn.execute(
        """update jobs set settings = (settings - %s::text[]) || %s,
             next_run = case when state = 'Active' and quarantine is not null then now() else next_run end
           where tenant = %s and service_principal = %s""",
        (list(dropped), Jsonb(dict(settings)), tenant, service_principal),
    )
