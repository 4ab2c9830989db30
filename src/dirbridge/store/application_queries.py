"""Lists of applications and of service principals: filtered, sorted, page by page; and what hangs at each.

Pages go by key, never by offset, as those of the directory do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from dirbridge.store.applications import COLUMNS, Application
from dirbridge.store.conditions import EVERY, EVERYTHING, Kind, Operator, Property, Where

Conn = AsyncConnection[Any]


class Order(StrEnum):
    """What a list can be sorted by; the id always decides between equals."""

    ID = "id"
    DISPLAY_NAME = "displayName"
    CREATED = "createdDateTime"


class Listed(StrEnum):
    """Which rows a list has: an application need not have a service principal, nor the other way round."""

    APPLICATIONS = "p.built_in is distinct from 'graph'"
    PRINCIPALS = "p.has_principal"


class After(msgspec.Struct, frozen=True, array_like=True):
    """Where the page before ended."""

    id: UUID
    key: str = ""

    def place(self, order: Order) -> str | datetime:
        """Give the value that the order goes by; ValueError where the key is none."""
        return datetime.fromisoformat(self.key) if order is Order.CREATED else self.key


class Secret(msgspec.Struct, frozen=True):
    """What is shown of a row of `service_principal_credentials`."""

    service_principal: UUID
    id: UUID
    display_name: str
    hint: str
    created_at: datetime
    expires_at: datetime


class ShownCertificate(msgspec.Struct, frozen=True):
    """What is shown of a row of `application_certificates`."""

    service_principal: UUID
    id: UUID
    display_name: str
    certificate: bytes
    sha1: bytes
    starts_at: datetime
    expires_at: datetime


_NAME = sql.SQL('(lower(p.display_name) collate "C")')
_SORT_KEYS: dict[Order, sql.Composable] = {Order.DISPLAY_NAME: _NAME, Order.CREATED: sql.SQL("p.created_at")}

_EQUAL = frozenset({Operator.EQ, Operator.IN})
_RANGE = _EQUAL | {Operator.GE, Operator.LE}
_COMMON = (
    Property("appId", Kind.GUID, sql.SQL("p.app_id"), plain=_EQUAL),
    Property(
        "displayName", Kind.TEXT, sql.SQL("p.display_name"), folded=_NAME, plain=_RANGE | {Operator.STARTS_WITH},
        allowed=EVERY - {Operator.ENDS_WITH}, words=sql.SQL("words_of(p.display_name)"),
    ),
    Property("createdDateTime", Kind.TIME, sql.SQL("p.created_at"), plain=_RANGE),
    Property("description", Kind.TEXT, sql.SQL("p.description"), plain=_EQUAL | {Operator.STARTS_WITH}),
    Property("applicationTemplateId", Kind.GUID, sql.SQL("p.template_id"), plain=_EQUAL),
    Property("tags", Kind.TEXTS, sql.SQL("to_jsonb(p.tags)"), plain=_EQUAL | {Operator.STARTS_WITH}),
)  # fmt: skip


def _table(*properties: Property) -> Mapping[str, Property]:
    return {each.name.lower(): each for each in (*properties, *_COMMON)}


PROPERTIES = {
    Listed.APPLICATIONS: _table(
        Property("id", Kind.GUID, sql.SQL("p.app_id"), plain=_EQUAL),
        Property("isFallbackPublicClient", Kind.BOOLEAN, sql.SQL("to_jsonb(p.is_public)"), plain=_EQUAL),
    ),
    Listed.PRINCIPALS: _table(
        Property("id", Kind.GUID, sql.SQL("p.id"), plain=_EQUAL),
        Property("accountEnabled", Kind.BOOLEAN, sql.SQL("to_jsonb(p.is_enabled)"), plain=_EQUAL),
        Property("servicePrincipalType", Kind.TEXT, sql.SQL("'Application'"), plain=_EQUAL),
        Property(
            "servicePrincipalNames", Kind.TEXTS, sql.SQL("jsonb_build_array(p.app_id)"),
            plain=_EQUAL | {Operator.STARTS_WITH},
        ),
    ),
}  # fmt: skip
"""What each list can be filtered by."""


async def page(
    conn: Conn,
    tenant: UUID,
    listed: Listed,
    *,
    where: Where = EVERYTHING,
    order: Order = Order.ID,
    descending: bool = False,
    after: After | None = None,
    limit: int,
) -> list[Application]:
    """Give up to `limit` rows that follow `after`."""
    sort: sql.Composable = _SORT_KEYS.get(order, sql.SQL("''::text"))
    keys = [sql.SQL("p.id")] if order is Order.ID else [sort, sql.SQL("p.id")]
    places = [sql.SQL("%(after_id)s")] if order is Order.ID else [sql.SQL("%(after_key)s"), sql.SQL("%(after_id)s")]
    direction = sql.SQL("desc" if descending else "asc")
    text = sql.SQL(
        "select {columns}, ({sort})::text as sort_key from service_principals p where p.tenant = %(tenant)s"
        " and {listed} and {where} and {after} order by {order} limit %(limit)s"
    ).format(
        columns=COLUMNS,
        sort=sort,
        listed=sql.SQL(listed.value),
        where=where.text,
        after=sql.SQL("true")
        if after is None
        else sql.SQL("({}) {} ({})").format(
            sql.SQL(", ").join(keys), sql.SQL("<" if descending else ">"), sql.SQL(", ").join(places)
        ),
        order=sql.SQL(", ").join(sql.SQL("{} {}").format(each, direction) for each in keys),
    )
    parameters = {**where.parameters, "tenant": tenant, "limit": limit}
    if after is not None:
        parameters |= {"after_id": after.id, "after_key": after.place(order)}
    async with conn.cursor(row_factory=class_row(Application)) as cursor:
        await cursor.execute(text, parameters)
        return await cursor.fetchall()


async def count(conn: Conn, tenant: UUID, listed: Listed, where: Where = EVERYTHING) -> int:
    """Count a list."""
    text = sql.SQL("select count(*) from service_principals p where p.tenant = %(tenant)s and {} and {}").format(
        sql.SQL(listed.value), where.text
    )
    cursor = await conn.execute(text, {**where.parameters, "tenant": tenant})
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def holders(conn: Conn, tenant: UUID, permissions: Sequence[str]) -> list[Application]:
    """Give the service principals that hold one of some application permissions, by name."""
    text = sql.SQL(
        "select {} from service_principals p where p.tenant = %s and p.has_principal and p.app_roles && %s"
        " order by {}, p.id"
    ).format(COLUMNS, _NAME)
    async with conn.cursor(row_factory=class_row(Application)) as cursor:
        await cursor.execute(text, [tenant, list(permissions)])
        return await cursor.fetchall()


async def secrets(conn: Conn, tenant: UUID, ids: Sequence[UUID]) -> list[Secret]:
    """Give the client secrets of some applications, expired ones too, without their hashes."""
    async with conn.cursor(row_factory=class_row(Secret)) as cursor:
        await cursor.execute(
            """select service_principal, id, display_name, hint, created_at, expires_at
               from service_principal_credentials where tenant = %s and service_principal = any(%s)
               order by created_at desc, id""",
            [tenant, list(ids)],
        )
        return await cursor.fetchall()


async def certificates(conn: Conn, tenant: UUID, ids: Sequence[UUID]) -> list[ShownCertificate]:
    """Give the certificates of some applications, expired ones too."""
    async with conn.cursor(row_factory=class_row(ShownCertificate)) as cursor:
        await cursor.execute(
            """select service_principal, id, display_name, certificate, sha1, starts_at, expires_at
               from application_certificates where tenant = %s and service_principal = any(%s)
               order by expires_at desc, id""",
            [tenant, list(ids)],
        )
        return await cursor.fetchall()
