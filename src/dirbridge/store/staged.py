"""What waits for a person, one by one, and the person's word on it: allow, or reject.

A removal of an entry is named by the entry's anchor; one of a member, by group and member with a slash between. A
group's anchor stands for all members that it lost, too. Finding and doing removals is in `removals` and
`member_removals`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

Conn = AsyncConnection[Any]

REMOVE_MEMBER, NOT_LISTED = "removeMember", "NotListed"
"""Action and evidence where a group lost a member: the source lists it no longer."""


class Staged(msgspec.Struct, frozen=True):
    """One removal that waits for a person, or that a person rejected.

    Attributes:
        id: names it among those of its job.
        action: `delete`, `disable` or `removeMember`. evidence: `Tombstone`, `OutOfScope`, `Disabled` or `NotListed`.
        state: `staged` or `rejected`.
        since: when it was staged, or rejected.
        target_name: what the object is called now; empty where only its id is known.
        group_id, group_name: whose member it is; empty for other actions.
    """

    id: str
    action: str
    evidence: str
    state: str
    since: datetime | None
    source_id: str
    source_type: str
    source_name: str
    target_id: UUID | None
    target_name: str
    group_id: str = ""
    group_name: str = ""


class After(msgspec.Struct, frozen=True, array_like=True):
    """Where the page before ended: with an entry, or with a member of a group."""

    anchor: str = ""
    group: str = ""

    @classmethod
    def of(cls, row: Staged) -> After:
        """Give the place behind a row."""
        return cls(row.source_id, row.group_id)


class Kind(msgspec.Struct, frozen=True, rename="camel"):
    """How many removals of one kind wait, or were rejected.

    Attributes:
        identity_type: of the entries; empty for members, which may be of any.
    """

    state: str
    action: str
    identity_type: str
    count: int


class Decided(msgspec.Struct, frozen=True):
    """What a word decided.

    Attributes:
        ids: of those that were named, the ones that waited.
    """

    count: int
    ids: frozenset[str]


async def page(conn: Conn, tenant: UUID, job: str, *, state: str, after: After | None, limit: int) -> list[Staged]:
    """Give what waits, or what was rejected: entries in the order of anchors, then members by group."""
    place = after or After()
    rows = [] if place.group else await _entries(conn, tenant, job, state, place.anchor, limit)
    if len(rows) < limit:
        rows += await _members(conn, tenant, job, state, place if place.group else After(), limit - len(rows))
    return rows


async def _entries(conn: Conn, tenant: UUID, job: str, state: str, after: str, limit: int) -> list[Staged]:
    async with conn.cursor(row_factory=class_row(Staged)) as cursor:
        await cursor.execute(
            """select r.anchor as id, r.action, r.evidence, r.state, r.staged_at as since,
                 r.anchor as source_id, r.object_type as source_type, coalesce(l.name, '') as source_name,
                 l.target as target_id, coalesce(o.user_principal_name, o.display_name, '') as target_name
               from removals r
               left join links l on l.tenant = r.tenant and l.job = r.job and l.anchor = r.anchor
               left join directory_objects o on o.tenant = r.tenant and o.id = l.target
               where r.tenant = %s and r.job = %s and r.state = %s and r.anchor > %s
               order by r.anchor limit %s""",
            (tenant, job, state, after, limit),
        )
        return await cursor.fetchall()


async def _members(conn: Conn, tenant: UUID, job: str, state: str, after: After, limit: int) -> list[Staged]:
    """Give members in order; one that a group holds in two ways is given once."""
    async with conn.cursor(row_factory=class_row(Staged)) as cursor:
        await cursor.execute(
            """with found as materialized (
                 select owner, referenced, min(staged_at) as since from member_removals
                 where tenant = %(tenant)s and job = %(job)s and state = %(state)s
                   and owner >= %(group)s and (owner, referenced) > (%(group)s, %(anchor)s)
                 group by owner, referenced order by owner, referenced limit %(limit)s)
               select f.owner || '/' || f.referenced as id, %(action)s as action, %(evidence)s as evidence,
                 %(state)s as state, f.since, f.referenced as source_id, coalesce(l.object_type, '') as source_type,
                 coalesce(l.name, '') as source_name, l.target as target_id,
                 coalesce(o.user_principal_name, o.display_name, '') as target_name,
                 f.owner as group_id, coalesce(g.name, '') as group_name
               from found f
               left join links g on g.tenant = %(tenant)s and g.job = %(job)s and g.anchor = f.owner
               left join links l on l.tenant = %(tenant)s and l.job = %(job)s and l.anchor = f.referenced
               left join directory_objects o on o.tenant = %(tenant)s and o.id = l.target
               order by f.owner, f.referenced""",
            {
                "tenant": tenant,
                "job": job,
                "state": state,
                "group": after.group,
                "anchor": after.anchor,
                "limit": limit,
                "action": REMOVE_MEMBER,
                "evidence": NOT_LISTED,
            },
        )
        return await cursor.fetchall()


async def count(conn: Conn, tenant: UUID, job: str, state: str = "staged") -> int:
    """Count what waits for a person, or was rejected by one."""
    cursor = await conn.execute(
        """select (select count(*) from removals
                   where tenant = %(tenant)s and job = %(job)s and state = %(state)s)
             + (select count(*) from member_removals
                where tenant = %(tenant)s and job = %(job)s and state = %(state)s)""",
        {"tenant": tenant, "job": job, "state": state},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def summary(conn: Conn, tenant: UUID, job: str) -> list[Kind]:
    """Count what waits for a person, and what one rejected, by what would become of it."""
    async with conn.cursor(row_factory=class_row(Kind)) as cursor:
        await cursor.execute(
            """select state, action, object_type as identity_type, count(*) as count from removals
               where tenant = %(tenant)s and job = %(job)s and state in ('staged', 'rejected') group by 1, 2, 3
               union all
               select state, %(action)s, '', count(*) from member_removals
               where tenant = %(tenant)s and job = %(job)s and state in ('staged', 'rejected') group by state
               order by state desc, action, identity_type""",
            {"tenant": tenant, "job": job, "action": REMOVE_MEMBER},
        )
        return await cursor.fetchall()


async def allow(conn: Conn, tenant: UUID, job: str, ids: Collection[str] | None) -> Decided:
    """Let removals go: all that are staged, or those named, which may also be ones that were rejected before."""
    return await _decide(conn, tenant, job, "allowed", ("staged",) if ids is None else ("staged", "rejected"), ids)


async def reject(conn: Conn, tenant: UUID, job: str, ids: Collection[str] | None, at: datetime) -> Decided:
    """Keep what was to be removed: all that is staged, or those named. It is not staged again for the same evidence."""
    return await _decide(conn, tenant, job, "rejected", ("staged",), ids, at)


async def reopen(conn: Conn, tenant: UUID, job: str) -> None:
    """Take back what was rejected: everything is read and judged afresh, and a person asked again if need be."""
    for table in ("removals", "member_removals"):
        await conn.execute(
            f"""update {table} set state = 'pending', staged_at = null
                where tenant = %s and job = %s and state = 'rejected'""".encode(),
            (tenant, job),
        )


async def _decide(
    conn: Conn,
    tenant: UUID,
    job: str,
    state: str,
    of: Collection[str],
    ids: Collection[str] | None,
    at: datetime | None = None,
) -> Decided:
    """Change the state of what is named, or of all, rows locked in order and then changed by their place."""
    cursor = await conn.execute(
        """with entry as materialized (
             select ctid, anchor from removals
             where tenant = %(tenant)s and job = %(job)s and state = any(%(of)s)
               and (%(all)s or anchor = any(%(ids)s)) order by anchor for update),
           member as materialized (
             select ctid, owner, referenced from member_removals
             where tenant = %(tenant)s and job = %(job)s and state = any(%(of)s)
               and (%(all)s or owner = any(%(ids)s) or owner || '/' || referenced = any(%(ids)s))
             order by owner, attribute, referenced for update),
           entries as (
             update removals set state = %(state)s, staged_at = coalesce(%(at)s, staged_at)
             where ctid = any(array(select ctid from entry))),
           members as (
             update member_removals set state = %(state)s, staged_at = coalesce(%(at)s, staged_at)
             where ctid = any(array(select ctid from member)))
           select (select count(*) from entry) + (select count(*) from member),
             array(select i.id from unnest(%(ids)s::text[]) as i(id) where i.id in (select anchor from entry)
               or i.id in (select owner from member) or i.id in (select owner || '/' || referenced from member))""",
        {
            "tenant": tenant,
            "job": job,
            "state": state,
            "of": list(of),
            "all": ids is None,
            "ids": sorted(ids or ()),
            "at": at,
        },
    )
    row = await cursor.fetchone()
    return Decided(row[0], frozenset(row[1])) if row else Decided(0, frozenset())
