"""Scope by groups, as rows: a job's scoping groups, and who is in scope through them.

Called by `engine/membership`. The memberships themselves are rows of `entry_references`, complete for every group of
the domain. What is kept here is their closure below the scoping groups, brought up to date by what a page told: a
member more or less costs work for that member, however large the group.

Each row of the closure hangs from one group that lets it in (`via`). Where that membership ends, the row and all that
hangs from it are doubted, and stay if another way into scope is found from what is not doubted. A way found so ends at
a scoping group, so groups that are members of each other hold nobody in scope by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.store import due, references

MEMBERSHIPS = ["member", "primaryMember"]
"""Source attributes of a group by which somebody is its member."""

Membership = tuple[str, str]
"""Group and member: anchors."""

NOT_READ_YET = "NotReadYet"
DELETED = "Deleted"

# Rows of these attributes, in a form that no index serves: the planner believes a table that is being filled to be
# small, and would look for an owner's rows by way of the attribute, which nearly every row has.
_OF_GROUPS = "(r.attribute || '') = any(%(attributes)s)"

# Whether `m` has members.
_IS_GROUP = f"""(
    select r.owner from entry_references r
    where r.tenant = %(tenant)s and r.job = %(job)s and r.owner = m.anchor and {_OF_GROUPS}
    order by r.attribute, r.referenced limit 1) is not null"""

# A membership that lets its member in. It stands where `m` is a row of the closure.
_HOLDS = """exists (
    select from entry_references r
    join scope_members o on o.tenant = r.tenant and o.job = r.job and o.anchor = r.owner and not o.is_deleted
    where r.tenant = m.tenant and r.job = m.job and r.owner = m.via and r.referenced = m.anchor
      and r.attribute = any(%(attributes)s))"""

# Whether anything hangs from `lost`, asked of the index: where most rows hang from one group, a join reads them all.
_HAS_SOME = """(
    select k.anchor from scope_members k where k.tenant = %(tenant)s and k.job = %(job)s and k.via = lost.anchor
    order by k.anchor limit 1) is not null"""


class Group(msgspec.Struct, frozen=True):
    """One scoping group.

    Attributes:
        name, container: as it was last seen.
        reason: why its members are held in scope, a code; empty where it can be read.
        is_read: its members have been known whole.
    """

    anchor: str
    name: str
    container: str | None
    reason: str
    is_read: bool
    changed_at: datetime


async def groups(conn: AsyncConnection[Any], tenant: UUID, job: str) -> dict[str, Group]:
    """Give the scoping groups by anchor."""
    async with conn.cursor(row_factory=class_row(Group)) as cursor:
        await cursor.execute(
            """select anchor, name, container, reason, is_read, changed_at from scope_groups
               where tenant = %s and job = %s order by anchor""",
            (tenant, job),
        )
        return {group.anchor: group for group in await cursor.fetchall()}


async def note(
    conn: AsyncConnection[Any],
    tenant: UUID,
    job: str,
    anchor: str,
    *,
    name: str,
    container: str | None,
    reason: str,
    is_read: bool,
) -> None:
    """Keep what was learnt of a scoping group."""
    await conn.execute(
        """update scope_groups set name = %s, container = %s, reason = %s, is_read = %s,
             changed_at = case when reason = %s then changed_at else now() end
           where tenant = %s and job = %s and anchor = %s""",
        (name, container, reason, is_read, reason, tenant, job, anchor),
    )


async def choose(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> None:
    """Make these the scoping groups, and nothing else; where they are already, nothing is written.

    Nothing becomes due by it: a job whose scoping groups change reads everything.
    """
    known = await groups(conn, tenant, job)
    new = sorted(set(anchors) - known.keys())
    dropped = sorted(known.keys() - set(anchors))
    if dropped:
        await _drop(conn, tenant, job, dropped, [one for one in dropped if known[one].reason == DELETED])
    if new:
        key = {"tenant": tenant, "job": job, "anchors": new}
        await conn.execute(
            """insert into scope_groups (tenant, job, anchor)
               select %(tenant)s, %(job)s, a from unnest(%(anchors)s::text[]) as a""",
            key,
        )
        await conn.execute(
            """insert into scope_members (tenant, job, anchor)
               select %(tenant)s, %(job)s, a from unnest(%(anchors)s::text[]) as a
               on conflict (tenant, job, anchor) do update set via = null, is_deleted = false""",
            key,
        )
        await enter(conn, tenant, job, [], new, at=None)


async def _drop(
    conn: AsyncConnection[Any], tenant: UUID, job: str, dropped: Sequence[str], deleted: Sequence[str]
) -> None:
    """These are scoping groups no longer. Of the deleted ones the members were held; now nothing speaks for them."""
    key = {"tenant": tenant, "job": job, "dropped": list(dropped), "deleted": list(deleted)}
    await conn.execute(
        "delete from scope_groups where tenant = %(tenant)s and job = %(job)s and anchor = any(%(dropped)s)", key
    )
    await conn.execute(
        """update scope_members set is_deleted = true
           where tenant = %(tenant)s and job = %(job)s and anchor = any(%(deleted)s)""",
        key,
    )
    cursor = await conn.execute(
        """select a from unnest(%(deleted)s::text[]) as a where not exists (
             select from links where tenant = %(tenant)s and job = %(job)s and anchor = a and state = 'provisioned')""",
        key,
    )
    gone = [row[0] for row in await cursor.fetchall()]
    if gone:
        await references.forget_owners(conn, tenant, job, gone)
    await conn.execute(
        """with recursive lost(anchor) as (
             select a collate "C" from unnest(%(dropped)s::text[]) as a
             union
             select c.anchor from scope_members c join lost on c.via = lost.anchor
             where c.tenant = %(tenant)s and c.job = %(job)s)
           update scope_members set is_doubted = true
           where tenant = %(tenant)s and job = %(job)s and anchor = any(array(select anchor from lost))""",
        key,
    )
    await _settle(conn, tenant, job, at=None)


async def among(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> set[str]:
    """Give those of the anchors that are in scope through groups."""
    cursor = await conn.execute(
        "select anchor from scope_members where tenant = %s and job = %s and anchor = any(%s)",
        (tenant, job, list(anchors)),
    )
    return {row[0] for row in await cursor.fetchall()}


async def enter(
    conn: AsyncConnection[Any],
    tenant: UUID,
    job: str,
    told: Sequence[Membership],
    opened: Sequence[str],
    *,
    at: datetime | None,
) -> None:
    """Take in whoever is let in by memberships, at any depth.

    Args:
        told: memberships that are new; they need not be stored yet.
        opened: groups in scope all of whose stored members are to be taken in.
        at: when those that are not at the target, or not as they should be, are due; None where all are read anyway.
    """
    owners = list(opened)
    while told or owners:
        cursor = await conn.execute(
            f"""with edge as materialized (
                 select u.owner, u.referenced from unnest(%(o)s::text[], %(r)s::text[]) as u(owner, referenced)
                 join scope_members m on m.tenant = %(tenant)s and m.job = %(job)s and m.anchor = u.owner
                   and not m.is_deleted
                 union all
                 select r.owner, r.referenced from entry_references r
                 where r.tenant = %(tenant)s and r.job = %(job)s and r.owner = any(%(owners)s) and {_OF_GROUPS}),
               new as (
                 insert into scope_members (tenant, job, anchor, via, is_deleted)
                 select distinct on (referenced) %(tenant)s, %(job)s, referenced, owner, exists (
                   select from removals x where x.tenant = %(tenant)s and x.job = %(job)s and x.anchor = referenced
                     and x.evidence = 'Tombstone' and x.state <> 'done')
                 from edge order by referenced, owner
                 on conflict do nothing returning anchor, is_deleted),
               noted as (
                 insert into due as d (tenant, job, anchor, reason, at)
                 select l.tenant, l.job, l.anchor, %(reason)s, %(at)s::timestamptz from new
                 join links l on l.tenant = %(tenant)s and l.job = %(job)s and l.anchor = new.anchor
                   and (l.state <> 'provisioned' or l.reason <> '')
                 where %(at)s::timestamptz is not null
                 on conflict (tenant, job, anchor, reason) do update set at = least(d.at, excluded.at))
               select anchor from new as m where not is_deleted and (anchor = any(%(o)s) or {_IS_GROUP})""".encode(),
            {
                "tenant": tenant,
                "job": job,
                "o": [pair[0] for pair in told],
                "r": [pair[1] for pair in told],
                "owners": owners,
                "attributes": MEMBERSHIPS,
                "reason": due.SCOPE,
                "at": at,
            },
        )
        owners = [row[0] for row in await cursor.fetchall()]
        if not owners:
            return


async def revive(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> list[str]:
    """These are live; gives the groups among them that had a tombstone and may let their members in again."""
    cursor = await conn.execute(
        """update scope_members set is_deleted = false
           where tenant = %s and job = %s and anchor = any(%s) and is_deleted returning anchor""",
        (tenant, job, list(anchors)),
    )
    return [row[0] for row in await cursor.fetchall()]


async def bury(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> None:
    """These have a tombstone: the groups among them let nobody in. Their own place is the memberships' affair."""
    await conn.execute(
        f"""update scope_members m set is_deleted = true
           where m.tenant = %(tenant)s and m.job = %(job)s and m.anchor = any(%(anchors)s) and not m.is_deleted
             and {_IS_GROUP}""".encode(),
        {"tenant": tenant, "job": job, "anchors": list(anchors), "attributes": MEMBERSHIPS},
    )


async def leave(
    conn: AsyncConnection[Any],
    tenant: UUID,
    job: str,
    *,
    members: Sequence[str],
    owners: Sequence[str],
    at: datetime | None,
) -> int:
    """Let go whom no stored membership lets in any more, at any depth; gives how many.

    Args:
        members: who may have lost a membership. owners: groups of which any member may have.
        at: when those that are at the target, or failed to get there, are due; None where all are read anyway.
    """
    result = await conn.execute(
        f"""with recursive lost(anchor) as (
             (select m.anchor from scope_members m
              where m.tenant = %(tenant)s and m.job = %(job)s and m.anchor = any(%(members)s) and m.via is not null
                and not {_HOLDS}
              union
              select m.anchor from scope_members m
              where m.tenant = %(tenant)s and m.job = %(job)s and m.via = any(%(owners)s) and not {_HOLDS})
             union
             select c.anchor from scope_members c join lost on c.via = lost.anchor and {_HAS_SOME}
             where c.tenant = %(tenant)s and c.job = %(job)s)
           update scope_members set is_doubted = true
           where tenant = %(tenant)s and job = %(job)s and anchor = any(array(select anchor from lost))""".encode(),
        {
            "tenant": tenant,
            "job": job,
            "members": list(members),
            "owners": list(owners),
            "attributes": MEMBERSHIPS,
        },
    )
    return await _settle(conn, tenant, job, at=at) if result.rowcount else 0


async def _settle(conn: AsyncConnection[Any], tenant: UUID, job: str, at: datetime | None) -> int:
    """Hang what is doubted from whatever else lets it in, and let go of the rest; gives how many go."""
    key = {"tenant": tenant, "job": job, "attributes": MEMBERSHIPS, "reason": due.SCOPE, "at": at}
    while True:
        result = await conn.execute(
            """with found as materialized (
                 select distinct on (d.anchor) d.anchor, o.anchor as via from scope_members d
                 join entry_references r on r.tenant = %(tenant)s and r.job = %(job)s and r.referenced = d.anchor
                   and r.attribute = any(%(attributes)s)
                 join scope_members o on o.tenant = %(tenant)s and o.job = %(job)s and o.anchor = r.owner
                   and not o.is_doubted and not o.is_deleted
                 where d.tenant = %(tenant)s and d.job = %(job)s and d.is_doubted
                 order by d.anchor, o.anchor)
               update scope_members m set via = found.via, is_doubted = false from found
               where m.tenant = %(tenant)s and m.job = %(job)s and m.anchor = found.anchor""",
            key,
        )
        if result.rowcount == 0:
            break
    cursor = await conn.execute(
        """with gone as (
             delete from scope_members where tenant = %(tenant)s and job = %(job)s and is_doubted returning anchor),
           noted as (
             insert into due as d (tenant, job, anchor, reason, at)
             select l.tenant, l.job, l.anchor, %(reason)s, %(at)s::timestamptz from gone
             join links l on l.tenant = %(tenant)s and l.job = %(job)s and l.anchor = gone.anchor
               and l.state in ('provisioned', 'failed')
             where %(at)s::timestamptz is not null
             on conflict (tenant, job, anchor, reason) do update set at = least(d.at, excluded.at))
           select count(*) from gone""",
        key,
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def doubt_strangers(conn: AsyncConnection[Any], tenant: UUID, job: str, at: datetime) -> None:
    """A group that could not be read now was: whoever is at the target without being let in is due."""
    await conn.execute(
        """insert into due as d (tenant, job, anchor, reason, at)
           select l.tenant, l.job, l.anchor, %(reason)s, %(at)s::timestamptz from links l
           where l.tenant = %(tenant)s and l.job = %(job)s and l.state = 'provisioned'
             and not exists (select from scope_members m
               where m.tenant = %(tenant)s and m.job = %(job)s and m.anchor = l.anchor)
           on conflict (tenant, job, anchor, reason) do update set at = least(d.at, excluded.at)""",
        {"tenant": tenant, "job": job, "reason": due.SCOPE, "at": at},
    )
