"""Pages of what is ordered by time, the newest first or the oldest: the provisioning log and the audit trail.

A page begins behind the last row of the one before, so that it costs what the first one does and no insert shifts it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import sql

from dirbridge.store.conditions import EVERYTHING, Where


class After(msgspec.Struct, frozen=True, array_like=True):
    """Where the page before ended."""

    at: datetime
    id: UUID


def page_query(
    table: sql.SQL,
    columns: sql.Composable,
    tenant: UUID,
    *,
    where: Where = EVERYTHING,
    after: After | None = None,
    ascending: bool = False,
    limit: int,
) -> tuple[sql.Composed, dict[str, Any]]:
    """Build the statement of one page, and its parameters.

    Args:
        table: with columns tenant, at and id; `r` is its row in `columns` and `where`.
    """
    text = sql.SQL(
        "select {columns} from {table} r where r.tenant = %(tenant)s and {where} and {after}"
        " order by r.at {direction}, r.id {direction} limit %(limit)s"
    ).format(
        columns=columns,
        table=table,
        where=where.text,
        after=sql.SQL("true")
        if after is None
        # The first part alone lets PostgreSQL leave out the partitions that cannot hold the page.
        else sql.SQL("r.at {0}= %(after_at)s and (r.at, r.id) {0} (%(after_at)s, %(after_id)s)").format(
            sql.SQL(">" if ascending else "<")
        ),
        direction=sql.SQL("asc" if ascending else "desc"),
    )
    parameters: dict[str, Any] = {**where.parameters, "tenant": tenant, "limit": limit}
    if after is not None:
        parameters |= {"after_at": after.at, "after_id": after.id}
    return text, parameters
