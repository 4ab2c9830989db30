"""The source's references as rows: owner, attribute, referenced, and whether the target has them.

Every owner's rows are complete, in scope or not. Only the source ends a row; losing an end at the target turns it to
missing, so that it is written again when that end returns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from dirbridge.contract.entry import BackReferences
from dirbridge.store import reference_exports
from dirbridge.store.links import LEFT_ALONE

Row = tuple[str, str, str]
"""Owner, source attribute, referenced: anchors."""

CHUNK = 5000
"""Rows that are handled at a time where their number has no bound."""


class Lists(msgspec.Struct):
    """Lists that are known whole: those of all `owners` under all `attributes`, and single `pairs` of the two."""

    owners: list[str] = []
    attributes: list[str] = []
    pairs: list[tuple[str, str]] = []


class Resolved(msgspec.Struct, frozen=True, gc=False):
    """A reference with both its ends at the target."""

    owner: str
    attribute: str
    referenced: str
    owner_target: str
    referenced_target: str
    referenced_name: str


def _columns(rows: Sequence[Row]) -> tuple[list[str], list[str], list[str]]:
    return [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]


async def add(
    conn: AsyncConnection[Any],
    tenant: UUID,
    job: str,
    rows: Sequence[Row],
    attributes: Sequence[str],
    jobs: Sequence[str] = (),
) -> list[Resolved]:
    """Store references that the source has; those whose two ends are provisioned count as written, and are given.

    One that the target never lost, because its removal is still open, is written already; that removal goes.

    Args:
        attributes: source attributes that are mapped.
        jobs: whose entries may be at the other end, all that write to this target; the job alone where none is named.
    """
    if not rows:
        return []
    cursor = await conn.execute(
        """with row as materialized (
             select u.owner, u.attribute, u.referenced,
               o.target::text as owner_target, t.target::text as referenced_target, t.name as referenced_name,
               o.anchor is not null and t.anchor is not null and u.attribute = any(%(attributes)s)
                 and o.reason <> %(left_alone)s as is_ready
             from unnest(%(o)s::text[], %(a)s::text[], %(r)s::text[]) as u(owner, attribute, referenced)
             left join links o on o.tenant = %(tenant)s and o.job = %(job)s and o.anchor = u.owner
               and o.state = 'provisioned' and o.digest is distinct from ''
             left join links t on t.tenant = %(tenant)s and t.job = any(%(jobs)s) and t.anchor = u.referenced
               and t.state = 'provisioned' and t.digest is distinct from ''),
           kept as (
             delete from member_removals where ctid = any(array(
               select m.ctid from row cross join lateral (
                 select ctid from member_removals m
                 where m.tenant = %(tenant)s and m.job = %(job)s and m.state <> 'done'
                   and m.owner = row.owner and m.attribute = row.attribute and m.referenced = row.referenced
                 limit 1) m))
             returning owner, attribute, referenced),
           new as (
             insert into entry_references (tenant, job, owner, attribute, referenced, is_written)
             select %(tenant)s, %(job)s, owner, attribute, referenced, is_ready or kept.owner is not null
             from row left join kept using (owner, attribute, referenced)
             on conflict do nothing returning owner, attribute, referenced, is_written)
           select new.owner, new.attribute, new.referenced, row.owner_target, row.referenced_target,
             row.referenced_name
           from new join row using (owner, attribute, referenced) left join kept using (owner, attribute, referenced)
           where new.is_written and kept.owner is null""",
        {
            "tenant": tenant,
            "job": job,
            "attributes": list(attributes),
            "jobs": list(jobs) or [job],
            "left_alone": LEFT_ALONE,
            **dict(zip("oar", _columns(sorted(set(rows))), strict=True)),
        },
    )
    return [Resolved(*row) for row in await cursor.fetchall()]


async def remove(conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[Row]) -> list[Row]:
    """End references; gives those that the target had."""
    if not rows:
        return []
    cursor = await conn.execute(
        """delete from entry_references r
           using unnest(%s::text[], %s::text[], %s::text[]) as u(owner, attribute, referenced)
           where r.tenant = %s and r.job = %s
             and r.owner = u.owner and r.attribute = u.attribute and r.referenced = u.referenced
           returning r.owner, r.attribute, r.referenced, r.is_written""",
        (*_columns(rows), tenant, job),
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall() if row[3]]


async def end_unlisted(
    conn: AsyncConnection[Any], tenant: UUID, job: str, lists: Lists, rows: Sequence[Row]
) -> list[Row]:
    """End what whole lists no longer name; gives those that the target had.

    Args:
        rows: all that the lists name, others too; to be added apart.
    """
    if not lists.pairs and not (lists.owners and lists.attributes):
        return []
    cursor = await conn.execute(
        """with had as materialized (
             select r.owner, r.attribute, r.referenced from entry_references r
             where r.tenant = %(tenant)s and r.job = %(job)s
               and r.owner = any(%(touched)s) and r.attribute = any(%(names)s)),
           gone as materialized (
             select h.* from had h
             where h.attribute = any(%(attributes)s) and h.owner in (select unnest(%(owners)s::text[]))
               or (h.owner, h.attribute) in (select * from unnest(%(listed)s::text[], %(under)s::text[]))
             except select * from unnest(%(o)s::text[], %(a)s::text[], %(r)s::text[]))
           delete from entry_references r using gone g
           where r.tenant = %(tenant)s and r.job = %(job)s
             and r.owner = g.owner and r.attribute = g.attribute and r.referenced = g.referenced
           returning r.owner, r.attribute, r.referenced, r.is_written""",
        {
            "tenant": tenant,
            "job": job,
            "touched": [*lists.owners, *(pair[0] for pair in lists.pairs)],
            "names": sorted({*lists.attributes, *(pair[1] for pair in lists.pairs)}),
            "owners": lists.owners,
            "attributes": lists.attributes,
            "listed": [pair[0] for pair in lists.pairs],
            "under": [pair[1] for pair in lists.pairs],
            **dict(zip("oar", _columns(rows), strict=True)),
        },
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall() if row[3]]


async def end_unlisted_owners(
    conn: AsyncConnection[Any], tenant: UUID, job: str, backs: Sequence[BackReferences]
) -> list[Row]:
    """End what owners no longer refer to single entries; gives those that the target had."""
    if not backs:
        return []
    rows = [(owner, back.attribute, back.referenced) for back in backs for owner in back.owners]
    cursor = await conn.execute(
        """with had as materialized (
             select r.owner, r.attribute, r.referenced from entry_references r
             where r.tenant = %(tenant)s and r.job = %(job)s and r.referenced = any(%(referenced)s)),
           gone as materialized (
             select h.* from had h
             join unnest(%(referenced)s::text[], %(attributes)s::text[]) as l(referenced, attribute)
               using (referenced, attribute)
             except select * from unnest(%(o)s::text[], %(a)s::text[], %(r)s::text[]))
           delete from entry_references r using gone g
           where r.tenant = %(tenant)s and r.job = %(job)s
             and r.owner = g.owner and r.attribute = g.attribute and r.referenced = g.referenced
           returning r.owner, r.attribute, r.referenced, r.is_written""",
        {
            "tenant": tenant,
            "job": job,
            "referenced": [back.referenced for back in backs],
            "attributes": [back.attribute for back in backs],
            **dict(zip("oar", _columns(rows), strict=True)),
        },
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall() if row[3]]


async def begin_whole(conn: AsyncConnection[Any], tenant: UUID, job: str, owner: str, attribute: str) -> None:
    """Start to collect a list that comes in parts."""
    await conn.execute(
        "delete from seen_references where tenant = %s and job = %s and owner = %s and attribute = %s",
        (tenant, job, owner, attribute),
    )


async def note_whole(conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[Row]) -> None:
    """Note a part of a whole list; to be added apart."""
    await conn.execute(
        """insert into seen_references (tenant, job, owner, attribute, referenced)
           select %s, %s, u.* from unnest(%s::text[], %s::text[], %s::text[]) as u on conflict do nothing""",
        (tenant, job, *_columns(rows)),
    )


async def end_whole(
    conn: AsyncConnection[Any], tenant: UUID, job: str, owner: str, attribute: str
) -> AsyncIterator[list[Row]]:
    """End what no part of a whole list named; gives, in chunks, those that the target had."""
    while True:
        cursor = await conn.execute(
            """with gone as materialized (
                 select referenced from entry_references
                 where tenant = %(tenant)s and job = %(job)s and owner = %(owner)s and attribute = %(attribute)s
                 except
                 select referenced from seen_references
                 where tenant = %(tenant)s and job = %(job)s and owner = %(owner)s and attribute = %(attribute)s
                 limit %(chunk)s)
               delete from entry_references r
               where r.tenant = %(tenant)s and r.job = %(job)s and r.owner = %(owner)s
                 and r.attribute = %(attribute)s and r.referenced = any(array(select referenced from gone))
               returning r.owner, r.attribute, r.referenced, r.is_written""",
            {"tenant": tenant, "job": job, "owner": owner, "attribute": attribute, "chunk": CHUNK},
        )
        rows = await cursor.fetchall()
        if rows:
            yield [(row[0], row[1], row[2]) for row in rows if row[3]]
        if len(rows) < CHUNK:
            break
    await begin_whole(conn, tenant, job, owner, attribute)


async def forget_owners(conn: AsyncConnection[Any], tenant: UUID, job: str, owners: Sequence[str]) -> None:
    """Drop the lists of entries that were deleted at the source."""
    await conn.execute(
        "delete from entry_references where tenant = %s and job = %s and owner = any(%s)", (tenant, job, list(owners))
    )


async def lose(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> None:
    """The target objects of these entries went: every reference with such an end, of any job, is missing there now.

    A member that was still to be taken away, or from such a group, is gone with it.
    """
    await conn.execute(
        """update entry_references set is_written = false
           where tenant = %(tenant)s and job in (select id from jobs where tenant = %(tenant)s) and is_written
             and referenced = any(%(anchors)s)""",
        {"tenant": tenant, "job": job, "anchors": list(anchors)},
    )
    await conn.execute(
        """update entry_references set is_written = false
           where tenant = %(tenant)s and job = %(job)s and is_written and owner = any(%(anchors)s)""",
        {"tenant": tenant, "job": job, "anchors": list(anchors)},
    )
    await conn.execute(
        """delete from member_removals where tenant = %(tenant)s and state <> 'done'
             and (job = %(job)s and owner = any(%(anchors)s)
               or job in (select id from jobs where tenant = %(tenant)s) and referenced = any(%(anchors)s))""",
        {"tenant": tenant, "job": job, "anchors": list(anchors)},
    )
    await reference_exports.forget(conn, tenant, job, anchors)


async def resolve(
    conn: AsyncConnection[Any],
    tenant: UUID,
    job: str,
    *,
    owners: Sequence[str],
    referenced: Sequence[str],
    attributes: Sequence[str],
    jobs: Sequence[str] = (),
    limit: int = CHUNK,
) -> list[Resolved]:
    """Mark missing references as written whose two ends are provisioned now, and give them.

    Args:
        owners, referenced: anchors at either end that may have made the difference.
        attributes: source attributes that are mapped.
        jobs: whose entries may be at the other end; the job alone where none is named.
        limit: at most so many at a time; ask again while as many come.
    """
    cursor = await conn.execute(
        """with candidate as (
             select r.owner, r.attribute, r.referenced from entry_references r
             where r.tenant = %(tenant)s and r.job = %(job)s and not r.is_written
               and r.owner = any(%(owners)s) and r.attribute = any(%(attributes)s)
             union
             select r.owner, r.attribute, r.referenced from entry_references r
             where r.tenant = %(tenant)s and r.job = %(job)s and not r.is_written
               and r.referenced = any(%(referenced)s) and r.attribute = any(%(attributes)s)),
           ready as (
             select c.*, o.target::text as owner_target, t.target::text as referenced_target, t.name as referenced_name
             from candidate c
             join links o on o.tenant = %(tenant)s and o.job = %(job)s and o.anchor = c.owner
               and o.state = 'provisioned' and o.reason <> %(left_alone)s and o.digest is distinct from ''
             join links t on t.tenant = %(tenant)s and t.job = any(%(jobs)s) and t.anchor = c.referenced
               and t.state = 'provisioned' and t.digest is distinct from ''
             order by c.owner, c.attribute, c.referenced limit %(limit)s)
           update entry_references r set is_written = true from ready
           where r.tenant = %(tenant)s and r.job = %(job)s
             and r.owner = ready.owner and r.attribute = ready.attribute and r.referenced = ready.referenced
           returning r.owner, r.attribute, r.referenced, ready.owner_target, ready.referenced_target,
             ready.referenced_name""",
        {
            "tenant": tenant,
            "job": job,
            "owners": list(owners),
            "referenced": list(referenced),
            "attributes": list(attributes),
            "jobs": list(jobs) or [job],
            "left_alone": LEFT_ALONE,
            "limit": limit,
        },
    )
    return sorted(
        (Resolved(*row) for row in await cursor.fetchall()), key=lambda r: (r.owner, r.attribute, r.referenced)
    )


async def ended(
    conn: AsyncConnection[Any],
    tenant: UUID,
    job: str,
    rows: Sequence[Row],
    targets: Mapping[str, str],
    jobs: Sequence[str] = (),
) -> list[Resolved]:
    """Of ended references, give those to be taken from the target.

    One stays that another source attribute still holds under the same target attribute (a primary group's member who
    was a listed member before).

    Args:
        targets: target attribute by source attribute.
        jobs: whose entries may be at the other end; the job alone where none is named.
    """
    if not rows:
        return []
    twins: dict[str, list[str]] = {}
    for source, target in targets.items():
        twins.setdefault(target, []).append(source)
    shared = [source for sources in twins.values() if len(sources) > 1 for source in sources]
    cursor = await conn.execute(
        """select u.owner, u.attribute, u.referenced, o.target::text, t.target::text, t.name
           from unnest(%(owner)s::text[], %(attribute)s::text[], %(referenced)s::text[])
             as u(owner, attribute, referenced)
           join links o on o.tenant = %(tenant)s and o.job = %(job)s and o.anchor = u.owner
           join links t on t.tenant = %(tenant)s and t.job = any(%(jobs)s) and t.anchor = u.referenced
           where o.target is not null and t.target is not null
             and not (u.attribute = any(%(shared)s) and exists (
               select from entry_references x
               where x.tenant = %(tenant)s and x.job = %(job)s and x.owner = u.owner and x.referenced = u.referenced
                 and x.attribute <> u.attribute and x.attribute = any(%(shared)s)))""",
        {
            "owner": [row[0] for row in rows],
            "attribute": [row[1] for row in rows],
            "referenced": [row[2] for row in rows],
            "tenant": tenant,
            "job": job,
            "jobs": list(jobs) or [job],
            "shared": shared,
        },
    )
    return [Resolved(*row) for row in await cursor.fetchall()]


async def sizes(conn: AsyncConnection[Any], tenant: UUID, job: str, owners: Sequence[str]) -> dict[str, int]:
    """Count the references of these owners that both source and target have."""
    cursor = await conn.execute(
        """select owner, count(*) from entry_references
           where tenant = %s and job = %s and owner = any(%s) and is_written group by owner""",
        (tenant, job, list(owners)),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def count_failed(conn: AsyncConnection[Any], tenant: UUID, job: str, attributes: Sequence[str]) -> int:
    """Count the missing references whose other end never reached the target because it failed.

    Args:
        attributes: source attributes that are mapped.
    """
    cursor = await conn.execute(
        """select count(*) from links t
           join entry_references r on r.tenant = t.tenant and r.job = t.job and r.referenced = t.anchor
             and r.attribute = any(%(attributes)s) and not r.is_written
           join links o on o.tenant = r.tenant and o.job = r.job and o.anchor = r.owner and o.state = 'provisioned'
           where t.tenant = %(tenant)s and t.job = %(job)s and t.state = 'failed'""",
        {"tenant": tenant, "job": job, "attributes": list(attributes)},
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def count_missing(conn: AsyncConnection[Any], tenant: UUID, job: str, owners: Sequence[str]) -> dict[str, int]:
    """Count the references of these owners that the target does not have yet."""
    cursor = await conn.execute(
        """select owner, count(*) from entry_references
           where tenant = %s and job = %s and owner = any(%s) and not is_written group by owner""",
        (tenant, job, list(owners)),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}
