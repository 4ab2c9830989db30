"""Reading the provisioning log, newest first, page by page. Writing it is in `events`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.errors import QueryCanceled
from psycopg.rows import args_row, class_row

from dirbridge.contract.event import Detail, Status
from dirbridge.contract.export import Action
from dirbridge.store import timeline
from dirbridge.store.conditions import BEGINNING, EVERYTHING, Kind, Property, Where
from dirbridge.store.events import unpack
from dirbridge.store.timeline import After

Conn = AsyncConnection[Any]

SOURCE_NAME = "Active Directory"
TARGET_NAME = "Azure Active Directory"
INITIATOR = "dirbridge"


class EventRow(msgspec.Struct, frozen=True):
    """A row of `events`, in the order of `_COLUMNS`."""

    id: UUID
    at: datetime
    job: str
    cycle: UUID
    change: UUID
    action: str
    status: str
    reason: str
    source_id: str
    source_type: str
    source_name: str
    target_id: str
    target_type: str
    target_name: str
    duration: int
    detail: bytes

    def unpacked(self) -> Detail:
        """Give the part that nobody filters by."""
        return unpack(self.detail)


class JobNames(msgspec.Struct, frozen=True):
    """What the log shows of a job: its application and the ends of its first rule."""

    id: str
    service_principal: UUID
    service_principal_name: str
    app_id: UUID
    source_id: str | None
    source_name: str | None
    target_id: str | None
    target_name: str | None


_COLUMNS = sql.SQL(
    "r.id, r.at, r.job, r.cycle, r.change, r.action, r.status, r.reason, r.source_id, r.source_type, r.source_name,"
    " r.target_id, r.target_type, r.target_name, r.duration, r.detail"
)


def _column(name: str, column: str, kind: Kind = Kind.EXACT) -> Property:
    return Property(name, kind, sql.SQL("r.{}").format(sql.Identifier(column)))


def _name(name: str, column: str) -> Property:
    """A name: its beginning is found by an index, in whatever case."""
    folded = sql.SQL('left(lower(r.{}), {}) collate "C"').format(sql.Identifier(column), sql.Literal(BEGINNING))
    return Property(name, Kind.EXACT, sql.SQL("r.{}").format(sql.Identifier(column)), beginning=folded)


def _code(name: str, column: str, codes: type[StrEnum]) -> Property:
    return Property(name, Kind.TEXT, sql.SQL("r.{}").format(sql.Identifier(column)), codes=tuple(codes))


def _constant(name: str, value: str) -> Property:
    return Property(name, Kind.EXACT, sql.SQL("{}::text").format(sql.Literal(value)))


def _of_job(name: str, column: str) -> Property:
    """A property of the job's application, looked up once a statement and job."""
    value = sql.SQL(
        "(select p.{}::text from jobs j join service_principals p on p.tenant = j.tenant and p.id = j.service_principal"
        " where j.tenant = r.tenant and j.id = r.job)"
    ).format(sql.Identifier(column))
    return Property(name, Kind.EXACT, value)


PROPERTIES: Mapping[str, Property] = {
    each.name.lower(): each
    for each in (
        _column("id", "id", Kind.GUID),
        _column("activityDateTime", "at", Kind.TIME),
        Property("tenantId", Kind.GUID, sql.SQL("r.tenant")),
        _column("jobId", "job"),
        _column("cycleId", "cycle", Kind.GUID),
        _column("changeId", "change", Kind.GUID),
        _code("provisioningAction", "action", Action),
        _code("action", "action", Action),
        _code("provisioningStatusInfo/status", "status", Status),
        _code("statusInfo/status", "status", Status),
        _column("provisioningStatusInfo/errorInformation/errorCode", "reason"),
        _column("durationInMilliseconds", "duration", Kind.NUMBER),
        _column("sourceIdentity/id", "source_id"),
        _column("sourceIdentity/identityType", "source_type"),
        _name("sourceIdentity/displayName", "source_name"),
        _column("targetIdentity/id", "target_id"),
        _column("targetIdentity/identityType", "target_type"),
        _name("targetIdentity/displayName", "target_name"),
        _of_job("servicePrincipal/id", "id"),
        _of_job("servicePrincipal/displayName", "display_name"),
        _constant("sourceSystem/displayName", SOURCE_NAME),
        _constant("targetSystem/displayName", TARGET_NAME),
        _constant("initiatedBy/displayName", INITIATOR),
    )
}


def page_query(
    tenant: UUID, *, where: Where = EVERYTHING, after: After | None = None, ascending: bool = False, limit: int
) -> tuple[sql.Composed, dict[str, Any]]:
    """Build the statement of one page."""
    return timeline.page_query(
        sql.SQL("events"), _COLUMNS, tenant, where=where, after=after, ascending=ascending, limit=limit
    )


async def page(
    conn: Conn,
    tenant: UUID,
    *,
    where: Where = EVERYTHING,
    after: After | None = None,
    ascending: bool = False,
    limit: int,
) -> list[EventRow]:
    """Give up to `limit` events that follow `after`."""
    text, parameters = page_query(tenant, where=where, after=after, ascending=ascending, limit=limit)
    # Ids, times and bytes come faster as they are than as text.
    async with conn.cursor(binary=True, row_factory=args_row(EventRow)) as cursor:
        await cursor.execute(text, parameters)
        return await cursor.fetchall()


async def count(conn: Conn, tenant: UUID, where: Where, most: int, within: timedelta) -> int | None:
    """Count events, up to one more than `most`; None where that takes longer than it may.

    Args:
        conn: not within a transaction, which would be undone where it takes too long.
    """
    text = sql.SQL(
        "select count(*) from (select from events r where r.tenant = %(tenant)s and {} limit %(limit)s) as found"
    ).format(where.text)
    try:
        async with conn.transaction():
            patience = str(int(within.total_seconds() * 1000))
            await conn.execute("select set_config('statement_timeout', %s, true)", (patience,))
            cursor = await conn.execute(text, {**where.parameters, "tenant": tenant, "limit": most + 1})
            row = await cursor.fetchone()
    except QueryCanceled:
        return None
    return int(row[0]) if row else 0


async def get(conn: Conn, tenant: UUID, id: UUID) -> EventRow | None:
    """Give one event."""
    text = sql.SQL("select {} from events r where r.tenant = %s and r.id = %s limit 1").format(_COLUMNS)
    async with conn.cursor(row_factory=class_row(EventRow)) as cursor:
        await cursor.execute(text, (tenant, id))
        return await cursor.fetchone()


def job_names_query(tenant: UUID, jobs: Collection[str]) -> tuple[LiteralString, Sequence[Any]]:
    """Build the statement of what the log shows of jobs."""
    text = """select j.id, p.id as service_principal, p.display_name as service_principal_name, p.app_id,
                j.ends[1] as source_name, j.ends[2] as source_id, j.ends[3] as target_name, j.ends[4] as target_id
              from jobs j
              join service_principals p on p.tenant = j.tenant and p.id = j.service_principal
              where j.tenant = %s and j.id = any(%s)"""
    return text, (tenant, list(jobs))


async def job_names(conn: Conn, tenant: UUID, jobs: Collection[str]) -> dict[str, JobNames]:
    """Give what the log shows of jobs; those that were deleted are missing."""
    async with conn.cursor(row_factory=class_row(JobNames)) as cursor:
        await cursor.execute(*job_names_query(tenant, jobs))
        return {row.id: row for row in await cursor.fetchall()}
