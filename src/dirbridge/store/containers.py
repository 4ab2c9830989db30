"""The source's tree of containers, by anchor, so that a rename is one row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.contract.entry import Container


async def put(conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[Container]) -> None:
    """Store containers as they are now, and drop the deleted ones."""
    latest = {row.anchor: row for row in rows}
    live = sorted((row for row in latest.values() if not row.deleted), key=lambda row: row.anchor)
    gone = [row.anchor for row in latest.values() if row.deleted]
    if live:
        await conn.execute(
            """insert into containers as c (tenant, job, anchor, parent, name)
               select %s, %s, u.* from unnest(%s::text[], %s::text[], %s::text[]) as u
               on conflict (tenant, job, anchor) do update set parent = excluded.parent, name = excluded.name
               where (c.parent, c.name) is distinct from (excluded.parent, excluded.name)""",
            (tenant, job, [row.anchor for row in live], [row.parent for row in live], [row.name for row in live]),
        )
    if gone:
        await conn.execute(
            "delete from containers where tenant = %s and job = %s and anchor = any(%s)", (tenant, job, gone)
        )


async def lie_in(
    conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Collection[str], chosen: Sequence[str]
) -> dict[str, bool | None]:
    """Say of each container whether it is one of the chosen or lies in one, at any depth.

    Returns:
        None for one whose way up is not known to its end and met none of the chosen.
    """
    cursor = await conn.execute(
        """with recursive way(origin, anchor) as (
             select a collate "C", a collate "C" from unnest(%(anchors)s::text[]) as a
             union
             select way.origin, c.parent from way
             join containers c on c.tenant = %(tenant)s and c.job = %(job)s and c.anchor = way.anchor
             where c.parent is not null and way.anchor <> all(%(chosen)s::text[]))
           select way.origin, case
             when bool_or(way.anchor = any(%(chosen)s::text[])) then true
             when bool_or(c.anchor is not null and c.parent is null) then false end
           from way left join containers c on c.tenant = %(tenant)s and c.job = %(job)s and c.anchor = way.anchor
           group by way.origin""",
        {"tenant": tenant, "job": job, "anchors": list(anchors), "chosen": list(chosen)},
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def above(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Collection[str]) -> list[str]:
    """Give these containers and all that they lie in, as far as is known."""
    cursor = await conn.execute(
        """with recursive way(anchor) as (
             select a collate "C" from unnest(%(anchors)s::text[]) as a
             union
             select c.parent from way
             join containers c on c.tenant = %(tenant)s and c.job = %(job)s and c.anchor = way.anchor
             where c.parent is not null)
           select anchor from way order by anchor""",
        {"tenant": tenant, "job": job, "anchors": list(anchors)},
    )
    return [row[0] for row in await cursor.fetchall()]


async def any_known(conn: AsyncConnection[Any], tenant: UUID, job: str) -> bool:
    """Tell whether any container was ever read."""
    cursor = await conn.execute("select exists (select from containers where tenant = %s and job = %s)", (tenant, job))
    row = await cursor.fetchone()
    return bool(row and row[0])


async def drop_unseen(conn: AsyncConnection[Any], tenant: UUID, job: str, full_read: UUID) -> None:
    """Forget containers that a full read did not show: what lies in them is nowhere that is known."""
    await conn.execute(
        """delete from containers c where c.tenant = %(tenant)s and c.job = %(job)s and not exists (
             select from seen s where s.tenant = %(tenant)s and s.job = %(job)s and s.full_read = %(full_read)s
               and s.anchor = c.anchor)""",
        {"tenant": tenant, "job": job, "full_read": full_read},
    )


async def paths(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Collection[str]) -> dict[str, list[str]]:
    """Give the present names on the way from the top down to each container that is known."""
    cursor = await conn.execute(
        """with recursive way(origin, anchor, names, visited) as (
             select c.anchor, c.parent, array[c.name], array[c.anchor] from unnest(%(anchors)s::text[]) as a
             join containers c on c.tenant = %(tenant)s and c.job = %(job)s and c.anchor = a
             union all
             select way.origin, c.parent, c.name || way.names, c.anchor || way.visited from way
             join containers c on c.tenant = %(tenant)s and c.job = %(job)s and c.anchor = way.anchor
             where c.anchor <> all(way.visited))
           select distinct on (origin) origin, names from way order by origin, cardinality(names) desc""",
        {"tenant": tenant, "job": job, "anchors": list(anchors)},
    )
    return {row[0]: list(row[1]) for row in await cursor.fetchall()}
