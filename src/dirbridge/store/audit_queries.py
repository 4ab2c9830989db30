"""Reading the audit trail, newest first, page by page. Writing it is in `audits`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from dirbridge.store import timeline
from dirbridge.store.conditions import EVERYTHING, Kind, Property, Where
from dirbridge.store.timeline import After

Conn = AsyncConnection[Any]

SERVICE = "dirbridge"
"""Who logged an act."""
APPLICATION = "application "
"""What an actor begins with that is an application; its client id follows."""
OTHER = "Other"

_CATEGORIES = (
    ("Authentication", "sign in|sign out|sign-in|session|second factor|lock out|unlock|device code"),
    ("UserManagement", "user"),
    ("GroupManagement", "group"),
    ("RoleManagement", "role"),
    ("ApplicationManagement", "service principal|application|client secret|certificate|app role"),
    ("DirectoryManagement", "domain|tenant|organization"),
    ("ProvisioningManagement", "provisioning|synchronization|job|agent|enrolment|notification|staged|quarantine"),
)
"""Category of an act by a word of its activity; the first that fits."""


class AuditRow(msgspec.Struct, frozen=True):
    """An act.

    Attributes:
        actor: an administrator's sign-in name, `application` and its client id, or `command line`.
        target: the id of what it was done to.
    """

    id: UUID
    at: datetime
    actor: str
    activity: str
    category: str
    operation: str
    target: str
    detail: dict[str, Any]

    @property
    def is_refusal(self) -> bool:
        """Whether somebody was kept from doing something."""
        return self.operation == "Refuse" or self.activity == "Lock out"


_CATEGORY = sql.SQL("case {} else {} end").format(
    sql.SQL(" ").join(
        sql.SQL("when r.activity ~* {} then {}").format(sql.Literal(rf"\y({words})"), sql.Literal(name))
        for name, words in _CATEGORIES
    ),
    sql.Literal(OTHER),
)
_OPERATION = sql.SQL("split_part(r.activity, ' ', 1)")
_APP_ID = sql.SQL("case when starts_with(r.actor, {0}) then substr(r.actor, {1}) end").format(
    sql.Literal(APPLICATION), sql.Literal(len(APPLICATION) + 1)
)
_PERSON = sql.SQL("case when not starts_with(r.actor, {}) then r.actor end").format(sql.Literal(APPLICATION))
_COLUMNS = sql.SQL("r.id, r.at, r.actor, r.activity, {} as category, {} as operation, r.target, r.detail").format(
    _CATEGORY, _OPERATION
)

PROPERTIES: Mapping[str, Property] = {
    each.name.lower(): each
    for each in (
        Property("id", Kind.GUID, sql.SQL("r.id")),
        Property("correlationId", Kind.GUID, sql.SQL("r.id")),
        Property("activityDateTime", Kind.TIME, sql.SQL("r.at")),
        Property("activityDisplayName", Kind.TEXT, sql.SQL("r.activity")),
        Property("category", Kind.TEXT, _CATEGORY),
        Property("operationType", Kind.TEXT, _OPERATION),
        Property("loggedByService", Kind.EXACT, sql.SQL("{}::text").format(sql.Literal(SERVICE))),
        Property("initiatedBy/user/userPrincipalName", Kind.TEXT, _PERSON),
        Property("initiatedBy/user/displayName", Kind.TEXT, _PERSON),
        Property("initiatedBy/app/appId", Kind.TEXT, _APP_ID),
        Property("targetResources/id", Kind.TEXT, sql.SQL("r.target")),
    )
}
"""What a filter may ask for, by name in lower case."""


async def page(
    conn: Conn,
    tenant: UUID,
    *,
    where: Where = EVERYTHING,
    after: After | None = None,
    ascending: bool = False,
    limit: int,
) -> list[AuditRow]:
    """Give up to `limit` acts that follow `after`."""
    text, parameters = timeline.page_query(
        sql.SQL("audits"), _COLUMNS, tenant, where=where, after=after, ascending=ascending, limit=limit
    )
    async with conn.cursor(row_factory=class_row(AuditRow)) as cursor:
        await cursor.execute(text, parameters)
        return await cursor.fetchall()


async def get(conn: Conn, tenant: UUID, id: UUID) -> AuditRow | None:
    """Give one act."""
    text = sql.SQL("select {} from audits r where r.tenant = %s and r.id = %s").format(_COLUMNS)
    async with conn.cursor(row_factory=class_row(AuditRow)) as cursor:
        await cursor.execute(text, (tenant, id))
        return await cursor.fetchone()


async def application_names(conn: Conn, tenant: UUID, app_ids: set[UUID]) -> dict[UUID, tuple[UUID, str]]:
    """Give object id and name of applications by client id; those that were deleted are missing."""
    cursor = await conn.execute(
        "select app_id, id, display_name from service_principals where tenant = %s and app_id = any(%s)",
        (tenant, list(app_ids)),
    )
    return {row[0]: (row[1], row[2]) for row in await cursor.fetchall()}
