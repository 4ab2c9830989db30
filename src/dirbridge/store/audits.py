"""The audit trail: who did which administrative act to what. Written in the transaction of the act itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

LONGEST = 256
"""Letters of an actor's or a target's name that are kept."""


class Audit(msgspec.Struct, frozen=True):
    """A row of `audits`."""

    id: UUID
    at: datetime
    actor: str
    activity: str
    target: str
    detail: dict[str, Any]


async def record(
    conn: AsyncConnection[Any],
    tenant: UUID,
    *,
    actor: str,
    activity: str,
    target: str = "",
    detail: Mapping[str, object] | None = None,
) -> None:
    """Store one act.

    Args:
        conn: the connection of the act.
        tenant: whose act.
        actor: who did it: an administrator's name, an application's id, or `command line`.
        activity: what was done, in words as Graph's directory audits use them, such as `Start job`.
        target: the id of what it was done to.
        detail: further facts; no secret.
    """
    await conn.execute(
        "insert into audits (tenant, id, actor, activity, target, detail) values (%s, %s, %s, %s, %s, %s)",
        [tenant, uuid4(), _short(actor), activity, _short(target), Jsonb(dict(detail or {}))],
    )


def _short(name: str) -> str:
    """Cut what somebody typed for a name: an act is recorded however long that was, and found by an index."""
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


async def count_since(conn: AsyncConnection[Any], tenant: UUID, activity: str, since: datetime) -> int:
    """Count how often something was done since a time."""
    cursor = await conn.execute(
        "select count(*) from audits where tenant = %s and at > %s and activity = %s", [tenant, since, activity]
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def latest(conn: AsyncConnection[Any], tenant: UUID, limit: int = 100) -> list[Audit]:
    """Give the newest acts, the last one first."""
    async with conn.cursor(row_factory=class_row(Audit)) as cursor:
        await cursor.execute(
            """select id, at, actor, activity, target, detail from audits
               where tenant = %s order by at desc, id desc limit %s""",
            [tenant, limit],
        )
        return await cursor.fetchall()
