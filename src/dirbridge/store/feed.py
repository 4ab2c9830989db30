"""The tenant's change feed: what changed between two moments, by the transactions that changed it.

A moment is a snapshot: which transactions had ended. An object or a reference carries the id of the transaction that
wrote it last, so it changed since a moment if that moment's snapshot does not see this transaction. Neither the order
of ids nor a clock would do: a transaction that began early and commits late would be skipped.

Every page shows the present state of what changed in its round; what changes while a round is read belongs to the
next. Pages go by key. Written by `directory` and `administration`, read by Graph's delta queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row

from dirbridge.store.directory_queries import DirectoryObject

Conn = AsyncConnection[Any]

KEPT = timedelta(days=30)
"""How long a moment can be asked for."""
MARGIN = timedelta(days=1)
"""How much longer its traces are kept, for who reads a round slowly."""


class Moment(msgspec.Struct, frozen=True):
    """A moment of the feed.

    Attributes:
        epoch: of the database; transaction ids of another one mean nothing here.
        snapshot: which transactions had ended, in PostgreSQL's form `xmin:xmax:xip,…`.
    """

    epoch: str
    snapshot: str

    @property
    def first_open(self) -> int:
        """The lowest transaction id that had not ended."""
        return int(self.snapshot.split(":")[0])

    @property
    def next_id(self) -> int:
        """The lowest transaction id that had not been given out."""
        return int(self.snapshot.split(":")[1])


class ObjectChange(msgspec.Struct, frozen=True):
    """An object that changed.

    Attributes:
        changed: by which transaction; 0 where the page does not go by it.
        object: None where it is gone for good.
    """

    id: UUID
    object_type: str
    changed: int
    object: DirectoryObject | None

    @property
    def purged(self) -> bool:
        """It is gone for good."""
        return self.object is None


class ReferenceChange(msgspec.Struct, frozen=True):
    """A reference that a live object has, or has no more.

    Attributes:
        referenced_type: None where nothing is known of the referenced object any more.
    """

    changed: int
    owner: UUID
    referenced: UUID
    referenced_type: str | None
    removed: bool


NOW = """select substr(md5(concat_ws('/',
           (select system_identifier from pg_control_system()),
           left(pg_walfile_name(pg_current_wal_lsn()), 8),
           (select oid from pg_database where datname = current_database()),
           'directory_objects'::regclass::oid)), 1, 16) as epoch,
         pg_current_snapshot()::text as snapshot"""
"""The statement of the present moment."""


async def now(conn: Conn) -> Moment:
    """Give the present moment.

    The epoch changes when the database comes out of a back-up: its tables were made anew (logical restore), or its
    history branched off (recovery to a point in time, promotion of a standby).
    """
    async with conn.cursor(row_factory=class_row(Moment)) as cursor:
        await cursor.execute(NOW)
        found = await cursor.fetchone()
    if found is None:
        raise AssertionError("A select without a table gives one row.")
    return found


_COLUMNS = sql.SQL("o.id, o.object_type, o.properties, o.created_at, o.modified_at, o.deleted_at, o.sync_job")

_LIVE = sql.SQL(
    """(select {columns}, 0::bigint as changed, false as purged from directory_objects o
        where o.tenant = %(tenant)s and o.object_type = {type} and o.deleted_at is null
          and o.id > coalesce(%(after_id)s, '00000000-0000-0000-0000-000000000000'::uuid) and {chosen}
        order by o.id limit %(limit)s)"""
)
# The bounds on `changed` are what the index needs; the snapshots decide.
_ROUND = sql.SQL(
    """{row}.changed >= %(first)s::text::xid8 and {row}.changed < %(last)s::text::xid8
       and not pg_visible_in_snapshot({row}.changed, %(since)s::text::pg_snapshot)
       and pg_visible_in_snapshot({row}.changed, %(until)s::text::pg_snapshot)"""
)
_CHANGED = sql.SQL(
    """(select {columns}, o.changed::text::bigint as changed, false as purged from directory_objects o
        where o.tenant = %(tenant)s and o.object_type = {type} and {in_round} and {after} and {chosen}
        order by o.changed, o.id limit %(limit)s)"""
)
_PURGED = sql.SQL(
    """(select o.id, o.object_type, '{{}}'::jsonb, o.removed_at, o.removed_at, o.removed_at, null,
          o.changed::text::bigint as changed, true from purged_objects o
        where o.tenant = %(tenant)s and o.object_type = {type} and {in_round} and {after} and {chosen}
        order by o.changed, o.id limit %(limit)s)"""
)
_ALL = sql.SQL("true")


async def objects(
    conn: Conn,
    tenant: UUID,
    types: Sequence[str],
    *,
    since: Moment | None,
    until: Moment,
    ids: Sequence[UUID] | None = None,
    after: tuple[int, UUID] | None = None,
    limit: int,
) -> list[ObjectChange]:
    """Give the objects that changed in a round: live, deleted and purged ones. Arguments as in `objects_query`."""
    text, parameters = objects_query(tenant, types, since=since, until=until, ids=ids, after=after, limit=limit)
    cursor = await conn.execute(text, parameters)
    return [
        ObjectChange(row[0], row[1], changed, None if purged else DirectoryObject(*row))
        for *row, changed, purged in await cursor.fetchall()
    ]


def objects_query(
    tenant: UUID,
    types: Sequence[str],
    *,
    since: Moment | None,
    until: Moment,
    ids: Sequence[UUID] | None = None,
    after: tuple[int, UUID] | None = None,
    limit: int,
) -> tuple[sql.Composed, dict[str, Any]]:
    """Build the statement of one page of objects.

    Args:
        since: None for all that are live.
        ids: only these.
        after: the last one of the page before, as transaction and id.
    """
    chosen = _ALL if ids is None else sql.SQL("o.id = any(%(ids)s)")
    parts = []
    for each in types:
        named = {"type": sql.Literal(each), "columns": _COLUMNS, "chosen": chosen}
        if since is None:
            parts.append(_LIVE.format(**named))
            continue
        position = sql.SQL("true" if after is None else "(o.changed, o.id) > (%(after)s::text::xid8, %(after_id)s)")
        named |= {"after": position, "in_round": _ROUND.format(row=sql.Identifier("o"))}
        parts += [_CHANGED.format(**named), _PURGED.format(**named)]
    text = sql.SQL("select * from ({}) as found order by changed, id limit %(limit)s").format(
        sql.SQL(" union all ").join(parts)
    )
    parameters = {"tenant": tenant, "limit": limit, "ids": None if ids is None else list(ids)}
    parameters |= {"after": None, "after_id": None} if after is None else {"after": str(after[0]), "after_id": after[1]}
    return text, {**parameters, **_bounds(since, until)}


_OWNER = sql.SQL(
    """join directory_objects g on g.tenant = r.tenant and g.id = r.owner and g.deleted_at is null
       and g.object_type = any(%(types)s)"""
)
_PRESENT = sql.SQL(
    """(select r.changed, r.owner, r.referenced, m.object_type as referenced_type, false as removed
        from directory_references r {owner}
        join directory_objects m on m.tenant = r.tenant and m.id = r.referenced and m.deleted_at is null
        where r.tenant = %(tenant)s and r.attribute = %(attribute)s and {in_round} and {after} and {chosen}
        order by r.changed, r.owner, r.referenced limit %(limit)s)"""
)
_REMOVED = sql.SQL(
    """(select r.changed, r.owner, r.referenced, coalesce(m.object_type, p.object_type), true
        from removed_references r {owner}
        left join directory_objects m on m.tenant = r.tenant and m.id = r.referenced
        left join purged_objects p on p.tenant = r.tenant and p.id = r.referenced
        where r.tenant = %(tenant)s and r.attribute = %(attribute)s and {in_round} and {after} and {chosen}
          and (m.id is null or m.deleted_at is not null or not exists (select from directory_references n
            where n.tenant = r.tenant and n.owner = r.owner and n.attribute = r.attribute
              and n.referenced = r.referenced))
        order by r.changed, r.owner, r.referenced limit %(limit)s)"""
)


async def references(
    conn: Conn,
    tenant: UUID,
    types: Sequence[str],
    attribute: str,
    *,
    since: Moment | None,
    until: Moment,
    ids: Sequence[UUID] | None = None,
    after: tuple[int, UUID, UUID] | None = None,
    limit: int,
) -> list[ReferenceChange]:
    """Give the references of live objects that changed in a round, those of one owner and one transaction together.

    Args:
        types: of the owners. ids: of the owners.
        since: None for all that are there.
        after: the last one of the page before, as transaction, owner and referenced.
    """
    named = {
        "owner": _OWNER,
        "chosen": _ALL if ids is None else sql.SQL("r.owner = any(%(ids)s)"),
        "in_round": _ALL if since is None else _ROUND.format(row=sql.Identifier("r")),
        "after": _ALL
        if after is None
        else sql.SQL("(r.changed, r.owner, r.referenced) > (%(after)s::text::xid8, %(owner)s, %(referenced)s)"),
    }
    parts = [_PRESENT.format(**named)] + ([] if since is None else [_REMOVED.format(**named)])
    text = sql.SQL(
        "select changed::text::bigint as changed, owner, referenced, referenced_type, removed from ({}) as found"
        " order by found.changed, owner, referenced limit %(limit)s"
    ).format(sql.SQL(" union all ").join(parts))
    parameters: dict[str, Any] = {
        "tenant": tenant,
        "types": list(types),
        "attribute": attribute,
        "ids": None if ids is None else list(ids),
        "limit": limit,
    }
    if after is not None:
        parameters |= {"after": str(after[0]), "owner": after[1], "referenced": after[2]}
    async with conn.cursor(row_factory=class_row(ReferenceChange)) as cursor:
        await cursor.execute(text, {**parameters, **_bounds(since, until)})
        return await cursor.fetchall()


def _bounds(since: Moment | None, until: Moment) -> dict[str, str]:
    if since is None:
        return {}
    return {
        "first": str(since.first_open),
        "last": str(until.next_id),
        "since": since.snapshot,
        "until": until.snapshot,
    }


async def forget(conn: Conn, before: datetime) -> None:
    """Drop the traces of what was removed before a time."""
    await conn.execute("delete from purged_objects where removed_at < %s", (before,))
    await conn.execute("delete from removed_references where removed_at < %s", (before,))
