"""The schema documents that new jobs of an application begin with, where somebody changed the template's own.

Nothing here commits.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from dirbridge.contract.schema import Schema

Conn = AsyncConnection[Any]


async def get(conn: Conn, tenant: UUID, application: UUID, template: str) -> dict[str, Any] | None:
    """Give the document as JSON; None where the template's own holds.

    Args:
        application: its client id.
    """
    return (await all_of(conn, tenant, application)).get(template)


async def all_of(conn: Conn, tenant: UUID, application: UUID) -> dict[str, dict[str, Any]]:
    """Give an application's documents by template."""
    cursor = await conn.execute(
        "select template, schema from template_schemas where tenant = %s and application = %s", (tenant, application)
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def put(conn: Conn, tenant: UUID, application: UUID, template: str, schema: Schema) -> None:
    """Keep a document in the place of the one before."""
    await conn.execute(
        """insert into template_schemas (tenant, application, template, schema) values (%s, %s, %s, %s)
           on conflict (tenant, application, template) do update set schema = excluded.schema, changed_at = now()""",
        (tenant, application, template, Jsonb(msgspec.to_builtins(schema))),
    )


async def delete(conn: Conn, tenant: UUID, application: UUID, template: str | None = None) -> bool:
    """Go back to the template's own, of one template or of all. False where it holds already."""
    result = await conn.execute(
        """delete from template_schemas
           where tenant = %s and application = %s and (%s::text is null or template = %s)""",
        (tenant, application, template, template),
    )
    return result.rowcount > 0
