"""All jobs of a tenant at a glance: pages of them with the worst first, and their status codes.

Each question is one statement for all jobs that it is about. None reads a schema document, which is long.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import LiteralString
from uuid import UUID

import msgspec
from psycopg import sql
from psycopg.rows import class_row

from dirbridge.store.conditions import EVERYTHING, Kind, Property, Where
from dirbridge.store.directory_queries import Conn
from dirbridge.store.jobs import PREVIEW, JobOutline

CODES = ("Active", "NotConfigured", "NotRun", "Paused", "Quarantine")
"""Graph's synchronizationStatusCode."""

TROUBLE = 3
"""The last rank that somebody must look at."""

_SERVED: LiteralString = """
    select a.tenant, d.domain from agents a cross join unnest(a.domains) as d(domain)
    where a.tenant = %(tenant)s and a.revoked_at is null
      and coalesce((select bool_or(assigned.agent is not distinct from a.id) from assigned_agents assigned
                    where assigned.tenant = a.tenant and assigned.domain = d.domain), true)"""
"""Domains that an agent is there for: enrolled, and not assigned to others."""

_CODE: LiteralString = """
    case when j.state = 'Paused' then 'Paused'
         when j.quarantine is not null then 'Quarantine'
         when j.state <> 'Active' then 'Paused'
         when j.steady_first is not null or coalesce(j.last_execution ->> 'state', 'Failed') <> 'Failed' then 'Active'
         when j.domain in (select domain from served) then 'NotRun'
         else 'NotConfigured' end"""
"""A job whose first cycle has not gone through is *not run*; before any agent is there for its domain, nobody has given
it leave to read there: *not configured*."""

_RANK: LiteralString = """
    case when code = 'Quarantine' then 0
         when code = 'Paused' then 6
         when successive_failures > 0 then 1
         when code = 'NotConfigured' then 2
         when last_execution ->> 'state' = 'EntryLevelErrors' then 3
         when code = 'NotRun' then 4
         else 5 end"""
"""Worse ones are lower: in quarantine, failing, without an agent, with entries that failed, new, well, paused."""


class Listed(JobOutline, frozen=True, kw_only=True):
    """A job in a list.

    Attributes:
        code: Graph's synchronizationStatusCode. rank: how bad it is, the worst are 0.
    """

    code: str
    rank: int

    @property
    def needs_attention(self) -> bool:
        """Whether somebody must do something for it."""
        return self.rank <= TROUBLE


class After(msgspec.Struct, frozen=True, array_like=True):
    """Where the page before ended."""

    rank: int
    domain: str
    id: str


def _property(name: str, kind: Kind, column: LiteralString) -> Property:
    return Property(name, kind, sql.SQL(column))


PROPERTIES: Mapping[str, Property] = {
    each.name.lower(): each
    for each in (
        _property("id", Kind.EXACT, "r.id"),
        _property("domain", Kind.TEXT, "r.domain"),
        _property("servicePrincipalId", Kind.GUID, "r.service_principal"),
        _property("templateId", Kind.EXACT, "r.template_id"),
        _property("schedule/state", Kind.EXACT, "r.state"),
        _property("status/code", Kind.EXACT, "r.code"),
        Property("needsAttention", Kind.BOOLEAN, sql.SQL("to_jsonb(r.rank <= {})").format(TROUBLE)),
    )
}

_COLUMNS = sql.SQL(", ").join(sql.SQL("j.{}").format(sql.Identifier(name)) for name in JobOutline.__struct_fields__)
_LISTED = sql.SQL(
    "with served as materialized ({served}),"
    " coded as (select {columns}, {code} as code from jobs j where j.tenant = %(tenant)s and j.state <> {preview}),"
    " listed as (select *, {rank} as rank from coded)"
).format(
    served=sql.SQL(_SERVED), columns=_COLUMNS, code=sql.SQL(_CODE), rank=sql.SQL(_RANK), preview=sql.Literal(PREVIEW)
)


class Order(StrEnum):
    """What pages can go by."""

    WORST = "rank asc, domain asc, id asc"
    DOMAIN = "domain asc, id asc"
    DOMAIN_DESCENDING = "domain desc, id desc"


_BEHIND: Mapping[Order, LiteralString] = {
    Order.WORST: "(r.rank, r.domain, r.id) > (%(rank)s, %(domain)s, %(id)s)",
    Order.DOMAIN: "(r.domain, r.id) > (%(domain)s, %(id)s)",
    Order.DOMAIN_DESCENDING: "(r.domain, r.id) < (%(domain)s, %(id)s)",
}


async def page(
    conn: Conn,
    tenant: UUID,
    *,
    where: Where = EVERYTHING,
    order: Order = Order.WORST,
    after: After | None = None,
    limit: int,
) -> list[Listed]:
    """Give jobs with the worst first, or by the name of their domain."""
    text = sql.SQL("{} select * from listed r where {} and {} order by {} limit %(limit)s").format(
        _LISTED,
        where.text,
        sql.SQL("true" if after is None else _BEHIND[order]),
        sql.SQL(order.value),
    )
    place = {} if after is None else {"rank": after.rank, "domain": after.domain, "id": after.id}
    async with conn.cursor(row_factory=class_row(Listed)) as cursor:
        await cursor.execute(text, {**where.parameters, **place, "tenant": tenant, "limit": limit})
        return await cursor.fetchall()


async def one(conn: Conn, tenant: UUID, job: str) -> Listed | None:
    """Give one job as the list has it, or None."""
    rows = await page(conn, tenant, where=Where(sql.SQL("r.id = %(wanted)s"), {"wanted": job}), limit=1)
    return rows[0] if rows else None


async def count(conn: Conn, tenant: UUID, where: Where = EVERYTHING) -> int:
    """Count the jobs that a page's filter is about."""
    text = sql.SQL("{} select count(*) from listed r where {}").format(_LISTED, where.text)
    cursor = await conn.execute(text, {**where.parameters, "tenant": tenant})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def codes(conn: Conn, tenant: UUID, jobs: Collection[str]) -> dict[str, str]:
    """Give the status codes of these jobs."""
    text = sql.SQL(
        "with served as materialized ({}) select j.id, {} from jobs j"
        " where j.tenant = %(tenant)s and j.id = any(%(jobs)s)"
    ).format(sql.SQL(_SERVED), sql.SQL(_CODE))
    cursor = await conn.execute(text, {"tenant": tenant, "jobs": list(jobs)})
    found: list[tuple[str, str]] = await cursor.fetchall()
    return dict(found)


class Standing(msgspec.Struct, frozen=True):
    """How a tenant's jobs are."""

    by_code: dict[str, int]
    need_attention: int


async def standing(conn: Conn, tenant: UUID) -> Standing:
    """Count all jobs by their status codes, and those that need somebody."""
    text = sql.SQL(
        "{} select code, count(*), count(*) filter (where rank <= {}) from listed group by 1 order by 1"
    ).format(_LISTED, TROUBLE)
    cursor = await conn.execute(text, {"tenant": tenant})
    found: list[tuple[str, int, int]] = await cursor.fetchall()
    return Standing({code: number for code, number, _ in found}, sum(troubled for *_, troubled in found))
