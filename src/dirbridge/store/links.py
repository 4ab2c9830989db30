"""Links: which source entry became which target object, and what was last written there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.contract.export import TargetValue

_encoder = msgspec.msgpack.Encoder()

LEFT_ALONE = "SkipOutOfScopeDeletions"
"""Reason of a provisioned link whose entry left scope and whose object nobody touches any more."""


BEHIND = b""
"""Digest of a provisioned link whose object went, or came back, behind the job's back; SQL writes it as ''."""


class Link(msgspec.Struct, frozen=True, gc=False):
    """One entry of one job.

    Attributes:
        state: `provisioned` (the target object is ours), `skipped` (not in scope), `failed` (never reached the target),
            `deprovisioned` (the target object was removed; it can come back while `target` still names it).
        reason: code of the skip, or of the failure of the last attempt; a provisioned entry may carry one too.
        digest: of the values last written; None where it must be compared with the target, `BEHIND` where
            nothing may refer to the object either before it was exported again.
        target_type: what the entry became at the target, or would have; empty where no mapping said so.
    """

    anchor: str
    object_type: str
    name: str
    container: str | None
    target: UUID | None
    state: str
    reason: str
    digest: bytes | None
    target_type: str = ""


def unsure(link: Link) -> Link:
    """The same link where the target may have other values than those last written; one that is behind stays so."""
    return link if link.digest == BEHIND else msgspec.structs.replace(link, digest=None)


_COLUMNS = "anchor, object_type, name, container, target, state, reason, digest, target_type"


async def get(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> dict[str, Link]:
    """Give the links of these anchors, locked in anchor order."""
    async with conn.cursor(row_factory=class_row(Link)) as cursor:
        await cursor.execute(
            f"""select {_COLUMNS} from links where tenant = %s and job = %s and anchor = any(%s)
                order by anchor for no key update""",
            (tenant, job, list(anchors)),
        )
        return {link.anchor: link for link in await cursor.fetchall()}


async def put(conn: AsyncConnection[Any], tenant: UUID, job: str, rows: Sequence[Link]) -> None:
    """Store links as they are now."""
    if not rows:
        return
    ordered = sorted(rows, key=lambda row: row.anchor)
    await conn.execute(
        f"""insert into links as l (tenant, job, {_COLUMNS})
           select %s, %s, u.* from unnest(
             %s::text[], %s::text[], %s::text[], %s::text[], %s::uuid[], %s::text[], %s::text[], %s::bytea[],
             %s::text[]) as u
           on conflict (tenant, job, anchor) do update set
             object_type = excluded.object_type, name = excluded.name, container = excluded.container,
             target = excluded.target, state = excluded.state, reason = excluded.reason, digest = excluded.digest,
             target_type = excluded.target_type, changed_at = now()""",
        (
            tenant,
            job,
            [row.anchor for row in ordered],
            [row.object_type for row in ordered],
            [row.name for row in ordered],
            [row.container for row in ordered],
            [row.target for row in ordered],
            [row.state for row in ordered],
            [row.reason for row in ordered],
            [row.digest for row in ordered],
            [row.target_type for row in ordered],
        ),
    )


async def keep_written(
    conn: AsyncConnection[Any], tenant: UUID, job: str, values: Mapping[str, Mapping[str, TargetValue]]
) -> None:
    """Store what target objects outside have, by anchor, to compare the next change with."""
    if values:
        await conn.execute(
            """update links l set written = u.written from unnest(%s::text[], %s::bytea[]) as u(anchor, written)
               where l.tenant = %s and l.job = %s and l.anchor = u.anchor""",
            (list(values), [_encoder.encode(one) for one in values.values()], tenant, job),
        )


async def written(
    conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]
) -> dict[str, dict[str, TargetValue]]:
    """Give what target objects outside have as far as we know, by anchor; where nothing is kept, they are missing."""
    if not anchors:
        return {}
    cursor = await conn.execute(
        "select anchor, written from links where tenant = %s and job = %s and anchor = any(%s) and written is not null",
        (tenant, job, list(anchors)),
    )
    return {row[0]: _values(msgspec.msgpack.decode(row[1])) for row in await cursor.fetchall()}


async def written_there(
    conn: AsyncConnection[Any], tenant: UUID, job: str, targets: Sequence[UUID]
) -> dict[str, dict[str, TargetValue]]:
    """Give the same by the target objects' own ids."""
    if not targets:
        return {}
    cursor = await conn.execute(
        """select target::text, written from links
           where tenant = %s and job = %s and target = any(%s) and written is not null""",
        (tenant, job, list(targets)),
    )
    return {row[0]: _values(msgspec.msgpack.decode(row[1])) for row in await cursor.fetchall()}


def _values(stored: dict[str, Any]) -> dict[str, TargetValue]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}


async def forget(conn: AsyncConnection[Any], tenant: UUID, job: str, anchors: Sequence[str]) -> None:
    """Drop links of entries that never reached the target."""
    await conn.execute(
        "delete from links where tenant = %s and job = %s and anchor = any(%s)", (tenant, job, list(anchors))
    )


class Holder(msgspec.Struct, frozen=True, gc=False):
    """The entry that a target object belongs to, or belonged to before it was removed."""

    job: str
    anchor: str
    name: str
    state: str


async def holders(conn: AsyncConnection[Any], tenant: UUID, targets: Sequence[UUID]) -> dict[UUID, Holder]:
    """Say which entry of which job has each of these target objects; a live one goes before one of the past."""
    cursor = await conn.execute(
        """select target, job, anchor, name, state from links
           where tenant = %s and target = any(%s) and state in ('provisioned', 'deprovisioned')
           order by state""",
        (tenant, list(targets)),
    )
    return {row[0]: Holder(*row[1:]) for row in await cursor.fetchall()}


async def forget_targets(conn: AsyncConnection[Any], tenant: UUID, targets: Sequence[UUID]) -> None:
    """Note that objects were changed behind the jobs' backs: their links must be compared afresh and become due."""
    await conn.execute(
        """with touched as (
             update links set digest = '' where tenant = %s and target = any(%s) and state = 'provisioned'
             returning tenant, job, anchor)
           insert into due (tenant, job, anchor, reason, at)
           select tenant, job, anchor, 'TargetChanged', now() from touched
           on conflict (tenant, job, anchor, reason) do update set at = now()""",
        (tenant, list(targets)),
    )


async def total(conn: AsyncConnection[Any], tenant: UUID, job: str) -> int:
    """Count the entries that are known, in scope or not."""
    cursor = await conn.execute("select count(*) from links where tenant = %s and job = %s", (tenant, job))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def count_live(conn: AsyncConnection[Any], tenant: UUID) -> int:
    """Count the entries, of all jobs, that have an object."""
    cursor = await conn.execute("select count(*) from links where tenant = %s and state = 'provisioned'", (tenant,))
    row = await cursor.fetchone()
    return 0 if row is None else int(row[0])
