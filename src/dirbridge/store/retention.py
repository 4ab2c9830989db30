"""How long each tenant keeps its log: the provisioning log and the notifications.

Where nobody said anything the service's own setting counts. The trail of people's acts is kept for good.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.store import tenant_settings

Conn = AsyncConnection[Any]

_DAYS = "logDays"


async def of(conn: Conn, tenant: UUID, *, lock: bool = False) -> timedelta | None:
    """Give how long a tenant keeps its log; None where nobody said."""
    days = (await tenant_settings.get(conn, tenant, tenant_settings.RETENTION, lock=lock)).get(_DAYS)
    return None if days is None else timedelta(days=days)


async def put(conn: Conn, tenant: UUID, kept: timedelta | None) -> None:
    """Keep what somebody said; None takes it back."""
    document = {} if kept is None else {_DAYS: kept.days}
    await tenant_settings.put(conn, tenant, tenant_settings.RETENTION, document)


async def of_all(conn: Conn, default: timedelta) -> dict[UUID, timedelta]:
    """Give how long each tenant keeps its log; a preview's copy is none."""
    cursor = await conn.execute(
        """select t.id, (s.document ->> 'logDays')::integer from tenants t
           left join tenant_settings s on s.tenant = t.id and s.name = %s where t.preview_of is null""",
        (tenant_settings.RETENTION,),
    )
    return {tenant: default if days is None else timedelta(days=days) for tenant, days in await cursor.fetchall()}


async def oldest(conn: Conn, tenant: UUID) -> datetime | None:
    """Give when the oldest event that is kept happened."""
    cursor = await conn.execute("select at from events where tenant = %s order by at limit 1", (tenant,))
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def older(conn: Conn, tenant: UUID, before: datetime, most: int) -> int:
    """Count events that are older, no further than a number."""
    cursor = await conn.execute(
        "select count(*) from (select from events where tenant = %s and at < %s limit %s) as found",
        (tenant, before, most),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def prune(conn: Conn, tenant: UUID, before: datetime, most: int) -> int:
    """Delete up to `most` older events of one tenant; gives how many."""
    result = await conn.execute(
        """delete from events e using (
             select at, id from events where tenant = %(tenant)s and at < %(before)s order by at, id limit %(most)s
           ) as old where e.tenant = %(tenant)s and e.at = old.at and e.id = old.id and e.at < %(before)s""",
        {"tenant": tenant, "before": before, "most": most},
    )
    return result.rowcount
