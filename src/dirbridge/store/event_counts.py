"""How many events there were: by hour, job, action, status, code, and how soon they came.

Counted in the transaction that writes the events, so both agree. `fold`, called by housekeeping, adds up what was
written since; readers take both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.contract.event import Event, Status
from dirbridge.contract.export import Action

Conn = AsyncConnection[Any]

LATENCIES = tuple(
    timedelta(seconds=seconds) for seconds in (1, 2, 5, 10, 30, 60, 5 * 60, 15 * 60, 60 * 60, 24 * 60 * 60)
)
"""Spans that times from notice to target are sorted into: the first that is not shorter. One more is for all longer."""

UNMEASURED = -1

_WRITES = frozenset({Action.CREATE, Action.UPDATE, Action.DISABLE, Action.DELETE})

_COPY = """copy new_event_counts (tenant, job, hour, action, status, reason, latency, number) from stdin
           (format binary)"""
_TYPES = ["uuid", "text", "timestamptz", "text", "text", "text", "int2", "int8"]


class Total(msgspec.Struct, frozen=True):
    """So many events of one kind in one span of time.

    Attributes:
        at: its beginning.
        latency: index into `LATENCIES`, one past the end for what took longer, `UNMEASURED` where nobody can know.
    """

    at: datetime
    action: str
    status: str
    reason: str
    latency: int
    number: int


async def add(conn: Conn, tenant: UUID, rows: Sequence[Event], latency: timedelta | None) -> None:
    """Count events that the same transaction stores.

    Args:
        latency: how long ago what they are about was first heard of; None where that is not known.
    """
    span = UNMEASURED if latency is None else _span(latency)
    found = Counter(
        (
            row.job,
            _hour(row.at),
            row.action.value,
            row.status.value,
            row.reason,
            span if row.status is Status.SUCCESS and row.action in _WRITES else UNMEASURED,
        )
        for row in rows
    )
    async with conn.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for key, number in found.items():
            await copy.write_row((tenant, *key, number))


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _span(took: timedelta) -> int:
    return next((number for number, span in enumerate(LATENCIES) if took <= span), len(LATENCIES))


async def totals(
    conn: Conn,
    tenant: UUID,
    *,
    since: datetime,
    until: datetime,
    unit: Literal["hour", "day"],
    job: str = "",
    action: str = "",
    status: str = "",
    reason: str = "",
) -> list[Total]:
    """Give what there was, the oldest first.

    Args:
        since: where the first hour begins. until: where the last one ends.
        unit: what is added up; days are those of UTC.
        job: of this one alone; likewise action, status and reason. Empty means all.
    """
    async with conn.cursor(row_factory=class_row(Total)) as cursor:
        await cursor.execute(
            """with counted as (
                   select hour, action, status, reason, latency, number from event_counts
                   where tenant = %(tenant)s and job = %(job)s and hour >= %(since)s and hour < %(until)s
                   union all
                   select hour, action, status, reason, latency, number from new_event_counts
                   where tenant = %(tenant)s and (%(job)s = '' or job = %(job)s)
                     and hour >= %(since)s and hour < %(until)s
               )
               select date_trunc(%(unit)s, hour, 'UTC') as at, action, status, reason, latency,
                 sum(number)::bigint as number
               from counted
               where %(action)s in ('', action) and %(status)s in ('', status) and %(reason)s in ('', reason)
               group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5""",
            {
                "tenant": tenant, "job": job, "since": since, "until": until, "unit": unit, "action": action,
                "status": status, "reason": reason,
            },
        )  # fmt: skip
        return await cursor.fetchall()


async def fold(conn: Conn) -> None:
    """Add up what was counted since the last time; what previews would have done is no part of it.

    Only one may at a time. Whoever writes meanwhile is not waited for: their rows are folded the next time.
    """
    await conn.execute(
        """with gone as (delete from new_event_counts returning *)
           insert into event_counts as c (tenant, job, hour, action, status, reason, latency, number)
           select g.tenant, coalesce(g.job, ''), g.hour, g.action, g.status, g.reason, g.latency, sum(g.number)
           from gone g join tenants t on t.id = g.tenant and t.preview_of is null
           group by grouping sets ((g.tenant, g.job, g.hour, g.action, g.status, g.reason, g.latency),
                                   (g.tenant, g.hour, g.action, g.status, g.reason, g.latency))
           on conflict (tenant, job, hour, action, status, reason, latency)
             do update set number = c.number + excluded.number"""
    )


async def forget(conn: Conn, tenant: UUID, before: datetime) -> None:
    """Remove the counts of a tenant's days whose events are gone."""
    await conn.execute(
        "delete from event_counts where tenant = %s and hour < date_trunc('day', %s::timestamptz, 'UTC')",
        (tenant, before),
    )
