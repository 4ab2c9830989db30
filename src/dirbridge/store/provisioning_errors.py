"""Objects of the tenant that a job cannot bring up to date, because another object holds a value that they should have.

Nothing is kept of it at the object: the entry that waits for the value says so, as long as it waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

_COLUMNS = sql.SQL(
    """'PropertyConflict'::text as category, d.since as occurred,
       case when d.waits_for like 'userPrincipalName:%%' then 'UserPrincipalName' else 'ProxyAddress' end as property,
       substr(d.waits_for, strpos(d.waits_for, ':') + 1) as value"""
)
_WAITING = sql.SQL(
    """links l join due d on d.tenant = l.tenant and d.job = l.job and d.anchor = l.anchor and d.waits_for is not null
       where l.state = 'provisioned' and l.tenant = """
)
OF_OBJECT = sql.SQL("(select {} from {}o.tenant and l.target = o.id) as error").format(_COLUMNS, _WAITING)
"""The errors of an object `o`, as a table with the columns category, occurred, property and value."""


class ProvisioningError(msgspec.Struct, frozen=True):
    """One value that another object holds.

    Attributes:
        id: of the object that should have it.
        property: `UserPrincipalName` or `ProxyAddress`.
        value: folded, as values are compared.
    """

    id: UUID
    category: str
    occurred: datetime
    property: str
    value: str


async def of(conn: AsyncConnection[Any], tenant: UUID, ids: Sequence[UUID]) -> list[ProvisioningError]:
    """Give the errors of some objects."""
    text = sql.SQL("select l.target as id, {} from {}%s and l.target = any(%s) order by l.target, d.since").format(
        _COLUMNS, _WAITING
    )
    async with conn.cursor(row_factory=class_row(ProvisioningError)) as cursor:
        await cursor.execute(text, (tenant, list(ids)))
        return await cursor.fetchall()
