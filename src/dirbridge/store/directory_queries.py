"""Reading the tenant directory: objects, their references, and the recycle bin, page by page.

Pages go by key, never by offset, so that the thousandth costs what the first does and no insert shifts what follows.
Writing is in `directory` (for cycles) and `administration` (for people).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from dirbridge.store.conditions import EVERYTHING, Where
from dirbridge.store.directory_properties import SORTED_NAME, SORTED_SIGN_IN_NAME

Conn = AsyncConnection[Any]


class DirectoryObject(msgspec.Struct, frozen=True):
    """A user, group or contact as it is stored; `properties` is keyed by Graph's property names."""

    id: UUID
    object_type: str
    properties: dict[str, Any]
    created_at: datetime
    modified_at: datetime
    deleted_at: datetime | None
    sync_job: str | None
    sort_key: str = ""


class Order(StrEnum):
    """What a list of objects can be sorted by; the id always decides between equals."""

    ID = "id"
    DISPLAY_NAME = "displayName"
    USER_PRINCIPAL_NAME = "userPrincipalName"
    CREATED = "createdDateTime"
    DELETED = "deletedDateTime"


_SORT_KEYS: dict[Order, sql.Composable] = {
    Order.DISPLAY_NAME: SORTED_NAME,
    Order.USER_PRINCIPAL_NAME: SORTED_SIGN_IN_NAME,
    Order.CREATED: sql.SQL("o.created_at"),
    Order.DELETED: sql.SQL("o.deleted_at"),
}
"""The expressions of the indexes that lists are read in order by."""
_TIMES = frozenset({Order.CREATED, Order.DELETED})

_COLUMNS = sql.SQL("o.id, o.object_type, o.properties, o.created_at, o.modified_at, o.deleted_at, o.sync_job")


# Single objects -------------------------------------------------------------------------------------------------------


async def get(
    conn: Conn, tenant: UUID, id: UUID, *, object_type: str | None = None, deleted: bool = False
) -> DirectoryObject | None:
    """Give one object by its id, from the live ones or from the recycle bin."""
    text = sql.SQL(
        "select {columns} from directory_objects o where o.tenant = %(tenant)s and o.id = %(id)s"
        " and (%(type)s::text is null or o.object_type = %(type)s) and (o.deleted_at is not null) = %(deleted)s"
    ).format(columns=_COLUMNS)
    return await _one(conn, text, {"tenant": tenant, "id": id, "type": object_type, "deleted": deleted})


async def hold(conn: Conn, tenant: UUID, id: UUID) -> datetime | None:
    """Give when an object was changed last, and let nobody change it until the transaction ends."""
    cursor = await conn.execute(
        "select modified_at from directory_objects where tenant = %s and id = %s for no key update", (tenant, id)
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def get_user(conn: Conn, tenant: UUID, name: str) -> DirectoryObject | None:
    """Give a live user by its userPrincipalName, whose case does not count."""
    text = sql.SQL(
        "select {columns} from directory_objects o where o.tenant = %(tenant)s and o.object_type = 'user'"
        " and {key} = lower(%(name)s::text) and o.deleted_at is null"
    ).format(columns=_COLUMNS, key=SORTED_SIGN_IN_NAME)
    return await _one(conn, text, {"tenant": tenant, "name": name})


async def manager(conn: Conn, tenant: UUID, owner: UUID) -> DirectoryObject | None:
    """Give the manager of a user or contact."""
    text = sql.SQL(
        "select {columns} from directory_references r"
        " join directory_objects o on o.tenant = r.tenant and o.id = r.referenced and o.deleted_at is null"
        " where r.tenant = %(tenant)s and r.owner = %(owner)s and r.attribute = 'manager' order by r.referenced limit 1"
    ).format(columns=_COLUMNS)
    return await _one(conn, text, {"tenant": tenant, "owner": owner})


async def get_many(conn: Conn, tenant: UUID, ids: Iterable[UUID], types: Iterable[str]) -> list[DirectoryObject]:
    """Give the live ones among several ids."""
    text = sql.SQL(
        "select {columns} from directory_objects o where o.tenant = %(tenant)s and o.id = any(%(ids)s)"
        " and o.object_type = any(%(types)s) and o.deleted_at is null order by o.id"
    ).format(columns=_COLUMNS)
    return await _many(conn, text, {"tenant": tenant, "ids": list(ids), "types": list(types)})


# Lists ----------------------------------------------------------------------------------------------------------------


class Collection(msgspec.Struct, frozen=True):
    """Which objects a list is made of: the tables, the condition, and the column that its pages go by."""

    tables: sql.Composable
    condition: sql.Composable
    parameters: dict[str, Any]
    key: sql.Composable


def live(tenant: UUID, object_type: str) -> Collection:
    """All live objects of a type."""
    return Collection(
        sql.SQL("directory_objects o"),
        sql.SQL("o.tenant = %(tenant)s and o.object_type = %(type)s and o.deleted_at is null"),
        {"tenant": tenant, "type": object_type},
        sql.SQL("o.id"),
    )


def deleted(tenant: UUID, object_type: str) -> Collection:
    """All objects of a type in the recycle bin."""
    return Collection(
        sql.SQL("directory_objects o"),
        sql.SQL("o.tenant = %(tenant)s and o.object_type = %(type)s and o.deleted_at is not null"),
        {"tenant": tenant, "type": object_type},
        sql.SQL("o.id"),
    )


def referenced(tenant: UUID, owner: UUID, attribute: str, object_type: str | None = None) -> Collection:
    """What an object's reference attribute names: the members of a group."""
    return _direct(tenant, owner, attribute, _FORWARD, object_type)


def referring(tenant: UUID, id: UUID, attribute: str, object_type: str | None = None) -> Collection:
    """Whose reference attribute names an object: the groups it is in, the people it manages."""
    return _direct(tenant, id, attribute, _BACKWARD, object_type)


def members_of_members(tenant: UUID, group: UUID, object_type: str | None = None) -> Collection:
    """All members of a group, through groups at any depth; circles end by themselves."""
    return _closure(tenant, group, "members", _FORWARD, object_type)


def groups_of_groups(tenant: UUID, member: UUID, object_type: str | None = None) -> Collection:
    """All groups that an object is in, through groups at any depth."""
    return _closure(tenant, member, "members", _BACKWARD, object_type)


_Way = tuple[sql.Composable, sql.Composable]
_FORWARD: _Way = (sql.SQL("r.owner"), sql.SQL("r.referenced"))
_BACKWARD: _Way = (sql.SQL("r.referenced"), sql.SQL("r.owner"))
"""The end of a reference that is known, and the one that is looked for."""


def _start(known: UUID | None) -> sql.Composable:
    """The object that a relation starts from: one, or each of a list `given`."""
    return sql.SQL("given.id") if known is None else sql.SQL("%(start)s")


def _direct(tenant: UUID, known: UUID | None, attribute: str, way: _Way, object_type: str | None = None) -> Collection:
    return Collection(
        sql.SQL(
            "directory_references r join directory_objects o"
            " on o.tenant = r.tenant and o.id = {} and o.deleted_at is null"
        ).format(way[1]),
        sql.SQL(
            "r.tenant = %(tenant)s and {} = {} and r.attribute = %(attribute)s"
            " and (%(type)s::text is null or o.object_type = %(type)s)"
        ).format(way[0], _start(known)),
        {"tenant": tenant, "start": known, "attribute": attribute, "type": object_type},
        way[1],
    )


def _closure(tenant: UUID, known: UUID | None, attribute: str, way: _Way, object_type: str | None = None) -> Collection:
    tables = sql.SQL(
        "(with recursive closure (id) as ("
        "   select {next} from directory_references r"
        "   where r.tenant = %(tenant)s and {known} = {start} and r.attribute = %(attribute)s"
        "   union select {next} from closure c"
        "   join directory_references r on r.tenant = %(tenant)s and {known} = c.id and r.attribute = %(attribute)s"
        "   join directory_objects g on g.tenant = r.tenant and g.id = c.id and g.deleted_at is null"
        " ) select id from closure) closed"
        " join directory_objects o on o.tenant = %(tenant)s and o.id = closed.id and o.deleted_at is null"
    ).format(known=way[0], next=way[1], start=_start(known))
    return Collection(
        tables,
        sql.SQL("(%(type)s::text is null or o.object_type = %(type)s)"),
        {"tenant": tenant, "start": known, "attribute": attribute, "type": object_type},
        sql.SQL("o.id"),
    )


class Relation(StrEnum):
    """Relations of an object by Graph's names."""

    MANAGER = "manager"
    DIRECT_REPORTS = "directReports"
    MEMBERS = "members"
    MEMBER_OF = "memberOf"
    TRANSITIVE_MEMBERS = "transitiveMembers"
    TRANSITIVE_MEMBER_OF = "transitiveMemberOf"
    OWNERS = "owners"
    OWNED_OBJECTS = "ownedObjects"


_RELATIONS: dict[Relation, tuple[Callable[[UUID, None, str, _Way], Collection], str, _Way]] = {
    Relation.MANAGER: (_direct, "manager", _FORWARD),
    Relation.DIRECT_REPORTS: (_direct, "manager", _BACKWARD),
    Relation.MEMBERS: (_direct, "members", _FORWARD),
    Relation.MEMBER_OF: (_direct, "members", _BACKWARD),
    Relation.TRANSITIVE_MEMBERS: (_closure, "members", _FORWARD),
    Relation.TRANSITIVE_MEMBER_OF: (_closure, "members", _BACKWARD),
    Relation.OWNERS: (_direct, "owners", _FORWARD),
    Relation.OWNED_OBJECTS: (_direct, "owners", _BACKWARD),
}


class Related(DirectoryObject, frozen=True, kw_only=True):
    """An object and the one that it is related with."""

    of: UUID


async def related(conn: Conn, tenant: UUID, relation: Relation, ids: Sequence[UUID], limit: int) -> list[Related]:
    """Give what each of some objects is related with, up to a limit for each."""
    build, attribute, way = _RELATIONS[relation]
    collection = build(tenant, None, attribute, way)
    text = sql.SQL(
        "select given.id as of, found.* from unnest(%(ids)s::uuid[]) as given (id) cross join lateral"
        " (select {columns} from {tables} where {condition} order by {key} limit %(limit)s) as found"
    ).format(columns=_COLUMNS, tables=collection.tables, condition=collection.condition, key=collection.key)
    async with conn.cursor(row_factory=class_row(Related)) as cursor:
        await cursor.execute(text, {**collection.parameters, "ids": list(ids), "limit": limit})
        return await cursor.fetchall()


class After(msgspec.Struct, frozen=True, array_like=True):
    """Where the page before ended."""

    id: UUID
    key: str = ""

    def place(self, order: Order) -> str | datetime:
        """Give the value that the order goes by; ValueError where the key is none."""
        return datetime.fromisoformat(self.key) if order in _TIMES else self.key


def page_query(
    collection: Collection,
    *,
    where: Where = EVERYTHING,
    order: Order = Order.ID,
    descending: bool = False,
    after: After | None = None,
    limit: int,
) -> tuple[sql.Composed, dict[str, Any]]:
    """Build the statement of one page."""
    key: sql.Composable = collection.key
    sort: sql.Composable = sql.SQL("''")
    position: sql.Composable = sql.SQL("%(after_id)s")
    if order is not Order.ID:
        sort = _SORT_KEYS[order]
        key = sql.SQL("({}, {})").format(sort, collection.key)
        position = sql.SQL("(%(after_key)s, %(after_id)s)")
    direction = sql.SQL("desc" if descending else "asc")
    keys = [collection.key] if order is Order.ID else [sort, collection.key]
    text = sql.SQL(
        "select {columns}, ({sort})::text as sort_key from {tables} where {condition} and {where} and {after}"
        " order by {order} limit %(limit)s"
    ).format(
        columns=_COLUMNS,
        sort=sort,
        tables=collection.tables,
        condition=collection.condition,
        where=where.text,
        after=sql.SQL("true")
        if after is None
        else sql.SQL("{} {} {}").format(key, sql.SQL("<" if descending else ">"), position),
        order=sql.SQL(", ").join(sql.SQL("{} {}").format(each, direction) for each in keys),
    )
    parameters = {**collection.parameters, **where.parameters, "limit": limit}
    if after is not None:
        parameters |= {"after_id": after.id, "after_key": after.place(order)}
    return text, parameters


async def page(
    conn: Conn,
    collection: Collection,
    *,
    where: Where = EVERYTHING,
    order: Order = Order.ID,
    descending: bool = False,
    after: After | None = None,
    limit: int,
) -> list[DirectoryObject]:
    """Give up to `limit` objects that follow `after`."""
    text, parameters = page_query(collection, where=where, order=order, descending=descending, after=after, limit=limit)
    return await _many(conn, text, parameters)


def count_query(collection: Collection, where: Where = EVERYTHING) -> tuple[sql.Composed, dict[str, Any]]:
    """Build the statement of a count."""
    text = sql.SQL("select count(*) from {} where {} and {}").format(
        collection.tables, collection.condition, where.text
    )
    return text, {**collection.parameters, **where.parameters}


async def count(conn: Conn, collection: Collection, where: Where = EVERYTHING) -> int:
    """Count a collection."""
    cursor = await conn.execute(*count_query(collection, where))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


SECURITY_ENABLED = Where(sql.SQL("o.properties -> 'securityEnabled' = 'true'::jsonb"))


async def ids(
    conn: Conn, collection: Collection, limit: int, *, among: Sequence[UUID] | None = None, where: Where = EVERYTHING
) -> list[UUID]:
    """Give the ids of a collection in their order, up to a limit.

    Args:
        among: only those that are among these.
    """
    text = sql.SQL(
        "select {key} from {tables} where {condition} and {where}"
        " and (%(among)s::uuid[] is null or {key} = any(%(among)s)) order by 1 limit %(limit)s"
    ).format(key=collection.key, tables=collection.tables, condition=collection.condition, where=where.text)
    wanted = None if among is None else list(among)
    parameters = {**collection.parameters, **where.parameters, "among": wanted, "limit": limit}
    cursor = await conn.execute(text, parameters)
    return [row[0] for row in await cursor.fetchall()]


# The tenant itself ----------------------------------------------------------------------------------------------------


class Organization(msgspec.Struct, frozen=True):
    """The tenant as Graph's organization shows it."""

    id: UUID
    name: str
    initial_domain: str
    created_at: datetime
    synced: bool
    last_sync: str | None


async def organization(conn: Conn, tenant: UUID) -> Organization | None:
    """Give the tenant and when it was last synchronized."""
    async with conn.cursor(row_factory=class_row(Organization)) as cursor:
        await cursor.execute(
            """select id, name, initial_domain, created_at,
                      exists (select from jobs j where j.tenant = t.id) as synced,
                      (select max(j.last_success ->> 'timeEnded') from jobs j where j.tenant = t.id) as last_sync
               from tenants t where id = %s""",
            (tenant,),
        )
        return await cursor.fetchone()


async def users_up_to(conn: Conn, tenant: UUID, most: int) -> int:
    """Count live users, no further than a number."""
    cursor = await conn.execute(
        """select count(*) from (select from directory_objects
             where tenant = %s and object_type = 'user' and deleted_at is null limit %s) as found""",
        (tenant, most),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def _one(conn: Conn, text: sql.Composed, parameters: dict[str, Any]) -> DirectoryObject | None:
    found = await _many(conn, text, parameters)
    return found[0] if found else None


async def _many(conn: Conn, text: sql.Composed, parameters: dict[str, Any]) -> list[DirectoryObject]:
    async with conn.cursor(row_factory=class_row(DirectoryObject)) as cursor:
        await cursor.execute(text, parameters)
        return await cursor.fetchall()
