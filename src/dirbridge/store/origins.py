"""The way back from an object of the tenant: which entries of which jobs it came from, and what is due for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.store import jobs

Conn = AsyncConnection[Any]

MOST = 100
"""Origins that are given of one object; more than two are rare."""


class Origin(msgspec.Struct, frozen=True):
    """An entry that an object came from.

    Attributes:
        is_master: the entry's job masters the object; another one wrote it before.
        state: as `links.Link` has it.
        reason: why the last attempt did not go well; empty where it did.
    """

    job: str
    domain: str
    service_principal: UUID
    anchor: str
    object_type: str
    name: str
    container: str | None
    state: str
    reason: str
    changed_at: datetime
    is_master: bool


class Pending(msgspec.Struct, frozen=True):
    """What is due for an entry.

    Attributes:
        waits_for: the unique value that another object has, as `kind:value`.
        holder: the object that has it.
    """

    job: str
    anchor: str
    reason: str
    at: datetime
    attempt: int
    since: datetime
    waits_for: str | None
    holder: UUID | None


async def of(conn: Conn, tenant: UUID, id: UUID) -> list[Origin]:
    """Give the entries that an object came from, that of its master first."""
    async with conn.cursor(row_factory=class_row(Origin)) as cursor:
        await cursor.execute(
            """select l.job, j.domain, j.service_principal, l.anchor, l.object_type, l.name, l.container, l.state,
                 l.reason, l.changed_at, coalesce(o.sync_job = l.job, false) as is_master
               from links l
               join jobs j on j.tenant = l.tenant and j.id = l.job and j.state <> %(preview)s
               left join directory_objects o on o.tenant = l.tenant and o.id = l.target
               where l.tenant = %(tenant)s and l.target = %(id)s and l.state in ('provisioned', 'deprovisioned')
               order by is_master desc, l.changed_at desc, l.job, l.anchor limit %(most)s""",
            {"tenant": tenant, "id": id, "preview": jobs.PREVIEW, "most": MOST},
        )
        return await cursor.fetchall()


async def pending(conn: Conn, tenant: UUID, origins: Sequence[Origin]) -> list[Pending]:
    """Give what is due for some entries, what failed longest first."""
    async with conn.cursor(row_factory=class_row(Pending)) as cursor:
        await cursor.execute(
            """select d.job, d.anchor, d.reason, d.at, d.attempt, d.since, d.waits_for, v.owner as holder
               from unnest(%s::text[], %s::text[]) as asked (job, anchor)
               join due d on d.tenant = %s and d.job = asked.job and d.anchor = asked.anchor
               left join unique_values v on v.tenant = d.tenant and v.kind = split_part(d.waits_for, ':', 1)
                 and v.value = substr(d.waits_for, strpos(d.waits_for, ':') + 1)
               order by d.attempt desc, d.since, d.reason""",
            ([each.job for each in origins], [each.anchor for each in origins], tenant),
        )
        return await cursor.fetchall()
