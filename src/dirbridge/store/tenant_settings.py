"""Documents of which a tenant has one each, in the shape in which Graph shows them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

UPDATER = "hybridAgentUpdaterConfiguration"
ON_PREMISES = "onPremisesSynchronization"
ORGANIZATION = "organization"
RETENTION = "retention"


async def get(conn: AsyncConnection[Any], tenant: UUID, name: str, *, lock: bool = False) -> dict[str, Any]:
    """Give what was changed of the defaults; nothing where nobody changed anything.

    Args:
        lock: nobody else changes it before this transaction ends.
    """
    if lock:
        await conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{tenant}/{name}",))
    cursor = await conn.execute("select document from tenant_settings where tenant = %s and name = %s", (tenant, name))
    row = await cursor.fetchone()
    return {} if row is None else dict(row[0])


async def put(conn: AsyncConnection[Any], tenant: UUID, name: str, document: dict[str, Any]) -> None:
    """Keep a document in the place of the one before."""
    await conn.execute(
        """insert into tenant_settings (tenant, name, document) values (%s, %s, %s)
           on conflict (tenant, name) do update set document = excluded.document, changed_at = now()""",
        (tenant, name, Jsonb(document)),
    )
