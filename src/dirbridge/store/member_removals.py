"""Members that groups lost at the source: taken away at once, at the end of the cycle, or on a person's word.

A row is open while the target still has the member. Its reference has left `entry_references`, which says what the
source has; should the source name it again, `references.add` puts it back.

Hundreds of thousands of rows may come in one cycle, before the planner has looked at them. Rows that a statement chose
are therefore changed by their place (ctid) and not by a join, for which it might compare each with each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from dirbridge.store.links import LEFT_ALONE
from dirbridge.store.references import CHUNK, Row

Conn = AsyncConnection[Any]

_WAITS: LiteralString = f"""(
    exists (select from removals x
      where x.tenant = %(tenant)s and x.job = any(%(jobs)s) and x.anchor in (m.owner, m.referenced)
        and x.action = 'delete' and x.state <> 'done')
    or m.owner = any(array(select l.anchor from links l where l.tenant = %(tenant)s and l.job = %(job)s
      and l.anchor = any(%(groups)s) and l.reason = '{LEFT_ALONE}')))"""
"""Of a row `m` of one of `groups`: what becomes of an end of it is not decided yet, so that it neither counts nor goes.

The groups that are left alone are looked up once a statement: whatever the planner believes, not once a row.
"""

_COUNTS: LiteralString = """m.state = 'done' and m.done_at > %(since)s and not exists (
    select from links l where l.tenant = %(tenant)s and l.job = any(%(jobs)s) and l.anchor = m.referenced
      and l.state = 'deprovisioned')"""
"""Of a row `m`: it was taken away lately, for another reason than that the member itself was removed."""


class Tally(msgspec.Struct, frozen=True):
    """What one group loses.

    Attributes:
        going: members that are to go and were not allowed by a person.
        gone: members that went since a time.
        open: all that the target still has and the source does not, those that wait for another decision too.
        found: of these, those that nobody has judged yet; `allowed`, those that a person allowed.
    """

    owner: str
    going: int
    gone: int
    open: int
    found: int
    allowed: int


async def part(
    conn: Conn,
    tenant: UUID,
    job: str,
    rows: Mapping[Row, bool],
    jobs: Sequence[str],
    *,
    always: int,
    since: datetime,
    at: datetime,
) -> set[Row]:
    """Note members that are lost; gives those that must not be taken from the target yet.

    A group may lose `always` of them at once. What else its fate depends on is found at the end of the cycle.

    Args:
        rows: whether each counts; one that does not is held only while the fate of an end of it is undecided.
        jobs: whose entries may be members.
        since: what went after this time counts as well.
    """
    keys = sorted(rows)
    cursor = await conn.execute(
        f"""with told as materialized (
              select %(tenant)s::uuid as tenant, %(job)s::text as job, u.*
              from unnest(%(owners)s::text[], %(attributes)s::text[], %(referenced)s::text[], %(counted)s::boolean[])
                as u(owner, attribute, referenced, is_counted)),
            too_many as materialized (
              select t.owner from (select owner, count(*) as going from told where is_counted group by owner) t
              where exists (select from member_removals o where o.tenant = %(tenant)s and o.job = %(job)s
                  and o.owner = t.owner and o.state in ('pending', 'staged', 'allowed'))
                or t.going + (select count(*) from member_removals m where m.tenant = %(tenant)s and m.job = %(job)s
                  and m.owner = t.owner and {_COUNTS}
                  and (m.owner, m.attribute, m.referenced) not in (select owner, attribute, referenced from told)
                ) > %(always)s),
            judged as materialized (
              select m.*, {_WAITS} or is_counted and owner in (select owner from too_many) as is_held from told m)
            insert into member_removals as r (tenant, job, owner, attribute, referenced, state, done_at)
            select tenant, job, owner, attribute, referenced, case when is_held then 'pending' else 'done' end,
              case when not is_held then %(at)s::timestamptz end
            from judged where is_counted or is_held order by owner, attribute, referenced
            on conflict (tenant, job, owner, attribute, referenced) do update set
              state = excluded.state, done_at = excluded.done_at, staged_at = null
            returning r.owner, r.attribute, r.referenced, r.state""",
        {
            "tenant": tenant,
            "job": job,
            "groups": sorted({row[0] for row in keys}),
            "owners": [row[0] for row in keys],
            "attributes": [row[1] for row in keys],
            "referenced": [row[2] for row in keys],
            "counted": [rows[row] for row in keys],
            "jobs": list(jobs),
            "always": always,
            "since": since,
            "at": at,
        },
    )
    return {(row[0], row[1], row[2]) for row in await cursor.fetchall() if row[3] == "pending"}


async def owners(conn: Conn, tenant: UUID, job: str, *, after: str = "", limit: int) -> list[str]:
    """Give the groups that have members to lose, in order."""
    cursor = await conn.execute(
        """with recursive found(owner) as (
             (select owner from member_removals
              where tenant = %(tenant)s and job = %(job)s and owner > %(after)s
                and state in ('pending', 'staged', 'allowed') order by owner limit 1)
             union all
             select (select m.owner from member_removals m
                     where m.tenant = %(tenant)s and m.job = %(job)s and m.owner > found.owner
                       and m.state in ('pending', 'staged', 'allowed') order by m.owner limit 1)
             from found where found.owner is not null)
           select owner from found where owner is not null limit %(limit)s""",
        {"tenant": tenant, "job": job, "after": after, "limit": limit},
    )
    return [row[0] for row in await cursor.fetchall()]


async def tallies(
    conn: Conn, tenant: UUID, job: str, groups: Sequence[str], jobs: Sequence[str], since: datetime
) -> list[Tally]:
    """Count what groups lose. What is staged counts as it is; what was found since is looked at one by one."""
    cursor = await conn.execute(
        f"""select m.owner,
              count(*) filter (where m.state = 'staged' or m.state = 'pending' and not {_WAITS}),
              count(*) filter (where {_COUNTS}),
              count(*) filter (where m.state <> 'done'),
              count(*) filter (where m.state = 'pending'),
              count(*) filter (where m.state = 'allowed')
            from member_removals m
            where m.tenant = %(tenant)s and m.job = %(job)s and m.owner = any(%(groups)s) group by m.owner""",
        {"tenant": tenant, "job": job, "groups": list(groups), "jobs": list(jobs), "since": since},
    )
    return [Tally(*row) for row in await cursor.fetchall()]


async def stage(
    conn: Conn,
    tenant: UUID,
    job: str,
    groups: Sequence[str],
    jobs: Sequence[str],
    *,
    after: Row,
    at: datetime,
    limit: int = CHUNK,
) -> list[Row]:
    """Set aside for a person what these groups are to lose; gives, in order, the next ones that were not staged."""
    cursor = await conn.execute(
        f"""with chosen as materialized (
              select m.ctid from member_removals m
              where m.tenant = %(tenant)s and m.job = %(job)s and m.owner = any(%(groups)s) and m.state = 'pending'
                and (m.owner, m.attribute, m.referenced) > (%(o)s, %(a)s, %(r)s) and not {_WAITS}
              order by m.owner, m.attribute, m.referenced limit %(limit)s for update of m)
            update member_removals set state = 'staged', staged_at = %(at)s
            where ctid = any(array(select ctid from chosen)) returning owner, attribute, referenced""",
        {
            "tenant": tenant,
            "job": job,
            "groups": list(groups),
            "jobs": list(jobs),
            "at": at,
            "limit": limit,
            **dict(zip("oar", after, strict=True)),
        },
    )
    return sorted((row[0], row[1], row[2]) for row in await cursor.fetchall())


async def take(
    conn: Conn,
    tenant: UUID,
    job: str,
    groups: Sequence[str],
    free: Sequence[str],
    jobs: Sequence[str],
    *,
    after: Row,
    at: datetime,
    limit: int = CHUNK,
) -> list[Row]:
    """Close what is to be taken from the target now; gives, in order, the next of them.

    Args:
        groups: whose members go that a person allowed; what they allowed does not count afterwards.
        free: of these, the groups that may lose the others as well.
    """
    cursor = await conn.execute(
        f"""with chosen as materialized (
              select m.ctid, m.owner, m.attribute, m.referenced, m.state from member_removals m
              where m.tenant = %(tenant)s and m.job = %(job)s and m.owner = any(%(groups)s)
                and (m.owner, m.attribute, m.referenced) > (%(o)s, %(a)s, %(r)s)
                and (m.state = 'allowed'
                  or m.state in ('pending', 'staged') and m.owner = any(%(free)s) and not {_WAITS})
              order by m.owner, m.attribute, m.referenced limit %(limit)s for update of m),
            allowed as (
              delete from member_removals
              where ctid = any(array(select ctid from chosen where state = 'allowed'))),
            counted as (
              update member_removals set state = 'done', done_at = %(at)s, staged_at = null
              where ctid = any(array(select ctid from chosen where state <> 'allowed')))
            select owner, attribute, referenced from chosen order by owner, attribute, referenced""",
        {
            "tenant": tenant,
            "job": job,
            "groups": list(groups),
            "free": list(free),
            "jobs": list(jobs),
            "at": at,
            "limit": limit,
            **dict(zip("oar", after, strict=True)),
        },
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


async def prune(conn: Conn, tenant: UUID, job: str, before: datetime) -> None:
    """Drop what no longer counts against the threshold."""
    await conn.execute(
        "delete from member_removals where tenant = %s and job = %s and state = 'done' and done_at < %s",
        (tenant, job, before),
    )
