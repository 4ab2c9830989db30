"""All agents of a tenant, in pages: by the name of their host, those that were revoked last."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import msgspec
from psycopg import sql
from psycopg.rows import class_row

from dirbridge.store.agents import COLUMNS, Agent
from dirbridge.store.conditions import EVERYTHING, Kind, Property, Where
from dirbridge.store.directory_queries import Conn

PROPERTIES: Mapping[str, Property] = {
    each.name.lower(): each
    for each in (
        Property("id", Kind.GUID, sql.SQL("r.id")),
        Property("machineName", Kind.TEXT, sql.SQL("r.machine_name")),
        Property("externalIp", Kind.EXACT, sql.SQL("r.address")),
        Property("version", Kind.EXACT, sql.SQL("r.version")),
        Property("domains", Kind.TEXTS, sql.SQL("to_jsonb(r.domains)")),
        Property("enrolledDateTime", Kind.TIME, sql.SQL("r.enrolled_at")),
        Property("lastHeardDateTime", Kind.TIME, sql.SQL("r.last_heard")),
        Property("revokedDateTime", Kind.TIME, sql.SQL("r.revoked_at")),
    )
}

_KEY = sql.SQL("""(r.revoked_at is not null, lower(r.machine_name) collate "C", r.id)""")


class After(msgspec.Struct, frozen=True, array_like=True):
    """Where the page before ended."""

    is_revoked: bool
    name: str
    id: UUID

    @classmethod
    def of(cls, agent: Agent) -> After:
        """Give the place behind an agent."""
        return cls(agent.revoked_at is not None, agent.folded_name, agent.id)


async def page(
    conn: Conn, tenant: UUID, *, where: Where = EVERYTHING, after: After | None, limit: int, heard_within: timedelta
) -> list[Agent]:
    """Give agents."""
    text = sql.SQL(
        "select {} from agents r where tenant = %(tenant)s and {} and {} order by {} limit %(limit)s"
    ).format(
        sql.SQL(COLUMNS),
        where.text,
        sql.SQL("true") if after is None else sql.SQL("{} > (%(revoked)s, %(name)s, %(id)s)").format(_KEY),
        _KEY,
    )
    place = {} if after is None else {"revoked": after.is_revoked, "name": after.name, "id": after.id}
    values = {**where.parameters, **place, "tenant": tenant, "limit": limit, "heard_within": heard_within}
    async with conn.cursor(row_factory=class_row(Agent)) as cursor:
        await cursor.execute(text, values)
        return await cursor.fetchall()


async def count(conn: Conn, tenant: UUID, where: Where = EVERYTHING) -> int:
    """Count the agents that a page's filter is about."""
    text = sql.SQL("select count(*) from agents r where tenant = %(tenant)s and {}").format(where.text)
    cursor = await conn.execute(text, {**where.parameters, "tenant": tenant})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
