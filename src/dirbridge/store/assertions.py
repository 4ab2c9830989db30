"""Client assertions that were used, remembered until they have expired: each is good once.

Agents and applications share the table; the issuer is the agent's id or the application's client id.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection


async def use(conn: AsyncConnection[Any], tenant: UUID, issuer: str, jti: str, keep: timedelta) -> bool:
    """Note that an assertion was used, and forget those that have expired. False where it was used before."""
    cursor = await conn.execute(
        """with pruned as (
               delete from used_assertions
               where tenant = %(tenant)s and issuer = %(issuer)s and expires_at < now() and jti <> %(jti)s
           )
           insert into used_assertions (tenant, issuer, jti, expires_at)
           values (%(tenant)s, %(issuer)s, %(jti)s, now() + %(keep)s::interval)
           on conflict do nothing returning jti""",
        {"tenant": tenant, "issuer": issuer, "jti": jti, "keep": keep},
    )
    return await cursor.fetchone() is not None
