"""Verbose traces that the service wants of agents: one order an agent, which ends by its time.

`service/relay/traces` writes them, heartbeats carry them. Times are the database's. Nothing here commits.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.store.agents import CALLS


class TraceOrder(msgspec.Struct, frozen=True):
    """A trace that is wanted.

    Attributes:
        id: an agent that has seen it does not follow it a second time.
        left: what remains until its end.
    """

    id: UUID
    until: datetime
    left: timedelta
    shows_values: bool


_COLUMNS = "id, until, until - now() as left, shows_values"


async def want(
    conn: AsyncConnection[Any], tenant: UUID, agent: UUID, order: UUID, duration: timedelta, *, values: bool
) -> TraceOrder | None:
    """Want a trace from now on, in place of any before; None where there is no such agent, or it was revoked."""
    async with conn.cursor(row_factory=class_row(TraceOrder)) as cursor:
        await cursor.execute(
            f"""insert into trace_orders (tenant, agent, id, until, shows_values)
                select tenant, id, %s, now() + %s::interval, %s from agents
                where tenant = %s and id = %s and revoked_at is null
                on conflict (tenant, agent) do update
                set id = excluded.id, until = excluded.until, shows_values = excluded.shows_values
                returning {_COLUMNS}""",
            (order, duration, values, tenant, agent),
        )
        found = await cursor.fetchone()
    await call(conn, agent)
    return found


async def stop(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> bool:
    """Want none any more; tells whether one was wanted."""
    cursor = await conn.execute(
        "delete from trace_orders where tenant = %s and agent = %s returning until > now()", (tenant, agent)
    )
    row = await cursor.fetchone()
    await call(conn, agent)
    return row is not None and bool(row[0])


async def wanted(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> TraceOrder | None:
    """Give the trace that is wanted of an agent now."""
    async with conn.cursor(row_factory=class_row(TraceOrder)) as cursor:
        await cursor.execute(
            f"select {_COLUMNS} from trace_orders where tenant = %s and agent = %s and until > now()", (tenant, agent)
        )
        return await cursor.fetchone()


async def call(conn: AsyncConnection[Any], agent: UUID) -> None:
    """Have an agent that waits for requests come at once, when this transaction commits."""
    await conn.execute("select pg_notify(%s, %s)", (CALLS, str(agent)))
