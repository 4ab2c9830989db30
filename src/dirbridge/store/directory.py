"""Writing the tenant directory: objects and their references, in sets."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row


class ObjectRow(msgspec.Struct, frozen=True, gc=False):
    """One user, group or contact.

    Attributes:
        properties: by Graph's names.
        shadow: what was asked for and is not visible.
        cloud_managed: it came from a source and is changed here now; no job writes it.
    """

    id: UUID
    object_type: str
    immutable_id: str | None
    sync_job: str | None
    properties: dict[str, Any]
    shadow: dict[str, Any]
    deleted_at: datetime | None = None
    cloud_managed: bool = False


_COLUMNS = "id, object_type, immutable_id, sync_job, properties, shadow, deleted_at, cloud_managed"


_NO_ACCOUNT = "not exists (select from synchronization_accounts a where a.tenant = o.tenant and a.id = o.id)"
"""The synchronization service account matches nobody."""


async def read(
    conn: AsyncConnection[Any], tenant: UUID, ids: Sequence[UUID], *, lock: bool = False
) -> dict[UUID, ObjectRow]:
    """Give objects, deleted ones too."""
    async with conn.cursor(row_factory=class_row(ObjectRow)) as cursor:
        await cursor.execute(
            f"select {_COLUMNS} from directory_objects where tenant = %s and id = any(%s) order by id"
            + (" for no key update" if lock else ""),
            (tenant, list(ids)),
        )
        return {row.id: row for row in await cursor.fetchall()}


async def by_immutable_id(
    conn: AsyncConnection[Any],
    tenant: UUID,
    object_type: str,
    immutable_ids: Sequence[str],
    *,
    only_synchronized: bool = False,
) -> dict[str, UUID]:
    """Find objects by source anchor, live ones before deleted ones.

    Args:
        only_synchronized: not those that were made in the cloud, or handed over to people.
    """
    cursor = await conn.execute(
        f"""select distinct on (immutable_id) immutable_id, id from directory_objects o
           where tenant = %s and object_type = %s and immutable_id = any(%s) and {_NO_ACCOUNT}
             and (not %s or sync_job is not null and not cloud_managed)
           order by immutable_id, deleted_at desc nulls first, id""",
        (tenant, object_type, list(immutable_ids), only_synchronized),
    )
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def by_claim(
    conn: AsyncConnection[Any],
    tenant: UUID,
    object_type: str,
    keys: Sequence[tuple[str, str]],
    *,
    only_cloud: bool = False,
) -> dict[tuple[str, str], UUID]:
    """Find live objects by a unique value, as kind and folded value.

    Args:
        only_cloud: those made in the cloud and never synchronized.
    """
    cursor = await conn.execute(
        f"""select v.kind, v.value, o.id from unnest(%s::text[], %s::text[]) as u(kind, value)
           join unique_values v on v.tenant = %s and v.kind = u.kind and v.value = u.value
           join directory_objects o on o.tenant = v.tenant and o.id = v.owner
           where o.object_type = %s and o.deleted_at is null
             and (not %s or o.immutable_id is null and o.sync_job is null) and {_NO_ACCOUNT}""",
        ([key[0] for key in keys], [key[1] for key in keys], tenant, object_type, only_cloud),
    )
    return {(row[0], row[1]): row[2] for row in await cursor.fetchall()}


async def by_property(
    conn: AsyncConnection[Any], tenant: UUID, object_type: str, path: Sequence[str], values: Sequence[str]
) -> dict[str, list[UUID]]:
    """Find live objects by the text of any property, whatever its case. Reads every object of the type.

    Args:
        path: of the property. values: in lower case.
    """
    cursor = await conn.execute(
        f"""with wanted as materialized (select distinct value, lower(value) as folded from unnest(%s::text[]) as value)
           select wanted.value, o.id from directory_objects o
           join wanted on wanted.folded = lower(o.properties #>> %s::text[])
           where o.tenant = %s and o.object_type = %s and o.deleted_at is null and {_NO_ACCOUNT} order by o.id""",
        (list(values), list(path), tenant, object_type),
    )
    found: dict[str, list[UUID]] = {}
    for value, id in await cursor.fetchall():
        found.setdefault(value, []).append(id)
    return found


def _arrays(rows: Sequence[ObjectRow]) -> tuple[list[Any], ...]:
    encode = msgspec.json.encode
    return (
        [row.id for row in rows],
        [row.object_type for row in rows],
        [row.properties.get("displayName") for row in rows],
        [row.properties.get("userPrincipalName") for row in rows],
        [row.properties.get("mail") for row in rows],
        [row.immutable_id for row in rows],
        [row.sync_job for row in rows],
        [encode(row.properties).decode() for row in rows],
        [encode(row.shadow).decode() for row in rows],
    )


_UNNEST = """unnest(%s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[])
    as u(id, object_type, display_name, user_principal_name, mail, immutable_id, sync_job, properties, shadow)"""


async def insert(conn: AsyncConnection[Any], tenant: UUID, rows: Sequence[ObjectRow], at: datetime) -> None:
    """Create objects."""
    if rows:
        await conn.execute(
            f"""insert into directory_objects (tenant, id, object_type, display_name, user_principal_name, mail,
                  immutable_id, sync_job, properties, shadow, created_at, modified_at)
                select %s, u.id, u.object_type, u.display_name, u.user_principal_name, u.mail, u.immutable_id,
                  u.sync_job, u.properties::jsonb, u.shadow::jsonb, %s, %s from {_UNNEST}""",
            (tenant, at, at, *_arrays(rows)),
        )


async def update(conn: AsyncConnection[Any], tenant: UUID, rows: Sequence[ObjectRow], at: datetime) -> None:
    """Replace what objects are; a deleted one comes back."""
    if rows:
        cursor = await conn.execute(
            f"""with back as materialized (select id from directory_objects
                  where tenant = %s and id = any(%s) and deleted_at is not null),
                written as (update directory_objects o set display_name = u.display_name,
                  user_principal_name = u.user_principal_name, mail = u.mail, immutable_id = u.immutable_id,
                  sync_job = u.sync_job, properties = u.properties::jsonb, shadow = u.shadow::jsonb,
                  modified_at = %s, deleted_at = null, changed = pg_current_xact_id()
                  from {_UNNEST} where o.tenant = %s and o.id = u.id)
                select id from back""",
            (tenant, [row.id for row in rows], at, *_arrays(rows), tenant),
        )
        back = [row[0] for row in await cursor.fetchall()]
        if back:
            await _show_references(conn, tenant, back)


async def _show_references(conn: AsyncConnection[Any], tenant: UUID, ids: Sequence[UUID]) -> None:
    """Let the feed tell references of objects that came back: as long as these were deleted it was silent on them."""
    for end in ("owner", "referenced"):
        await conn.execute(
            f"""update directory_references set changed = pg_current_xact_id()
                where tenant = %s and {end} = any(%s) and changed <> pg_current_xact_id()""",
            (tenant, list(ids)),
        )


async def soft_delete(conn: AsyncConnection[Any], tenant: UUID, ids: Sequence[UUID], at: datetime) -> list[UUID]:
    """Put objects into the recycle bin; their references go. Gives those that were live."""
    # The lock of one who removes a row: it waits for those who refer to it just now, which a mere update does not.
    cursor = await conn.execute(
        """with held as materialized (select id from directory_objects
             where tenant = %s and id = any(%s) and deleted_at is null order by id for update)
           update directory_objects o set deleted_at = %s, modified_at = %s, changed = pg_current_xact_id()
           from held where o.tenant = %s and o.id = held.id returning o.id""",
        (tenant, list(ids), at, at, tenant),
    )
    # Of all: one that lay there already may have been referred to since, by who did not know.
    await _cut_off(conn, tenant, ids)
    return [row[0] for row in await cursor.fetchall()]


async def remove(conn: AsyncConnection[Any], tenant: UUID, ids: Sequence[UUID]) -> None:
    """Remove objects for good, without a stay in the recycle bin; their references go with them."""
    if ids:
        await conn.execute(
            f"""with gone as (delete from directory_objects where tenant = %s and id = any(%s)
                  returning tenant, id, object_type)
                {_FEED_OF_PURGED}""",
            (tenant, list(ids)),
        )
        await _cut_off(conn, tenant, ids)


_FEED_OF_PURGED = """insert into purged_objects (tenant, id, object_type) select tenant, id, object_type from gone
    on conflict (tenant, id) do update set changed = excluded.changed, removed_at = excluded.removed_at"""
"""Lets the feed tell the objects of a `with gone` as removed for good."""

_FEED_OF_REMOVED = """insert into removed_references (tenant, owner, attribute, referenced)
    select tenant, owner, attribute, referenced from gone
    on conflict (tenant, owner, attribute, referenced)
      do update set changed = excluded.changed, removed_at = excluded.removed_at"""


async def _cut_off(conn: AsyncConnection[Any], tenant: UUID, ids: Sequence[UUID]) -> None:
    """Take away the references of objects and those to them."""
    for end in ("owner", "referenced"):
        await conn.execute(
            f"""with gone as (delete from directory_references where tenant = %s and {end} = any(%s)
                  returning tenant, owner, attribute, referenced)
                {_FEED_OF_REMOVED}""",
            (tenant, list(ids)),
        )


async def refer(conn: AsyncConnection[Any], tenant: UUID, rows: Sequence[tuple[str, str, str]]) -> None:
    """Add references between live objects: owner, attribute, referenced.

    Both ends are held until the transaction ends: who deletes one meanwhile waits, and then takes these away as well.
    One that is deleted already gets none.
    """
    cursor = await conn.execute(
        """select id::text from directory_objects where tenant = %s and id = any(%s::uuid[]) and deleted_at is null
           order by id for key share""",
        (tenant, list({str(id) for owner, _, other in rows for id in (owner, other)})),
    )
    live = {row[0] for row in await cursor.fetchall()}
    rows = sorted(row for row in rows if str(row[0]) in live and str(row[2]) in live)
    if rows:
        await conn.execute(
            """insert into directory_references (tenant, owner, attribute, referenced)
               select %s, u.* from unnest(%s::uuid[], %s::text[], %s::uuid[]) as u
               on conflict do nothing""",
            (tenant, [row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]),
        )


async def unrefer(conn: AsyncConnection[Any], tenant: UUID, rows: Sequence[tuple[str, str, str]]) -> None:
    """Take references away."""
    if rows:
        await conn.execute(
            f"""with gone as (delete from directory_references r
                  using unnest(%s::uuid[], %s::text[], %s::uuid[]) as u(owner, attribute, referenced)
                  where r.tenant = %s and r.owner = u.owner and r.attribute = u.attribute
                    and r.referenced = u.referenced
                  returning r.tenant, r.owner, r.attribute, r.referenced)
                {_FEED_OF_REMOVED}""",
            ([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], tenant),
        )


async def cloud_managed(conn: AsyncConnection[Any], tenant: UUID, ids: Sequence[UUID]) -> set[UUID]:
    """Give those that came from a source and are changed here now."""
    cursor = await conn.execute(
        "select id from directory_objects where tenant = %s and id = any(%s) and cloud_managed", (tenant, list(ids))
    )
    return {row[0] for row in await cursor.fetchall()}


async def hand_over(
    conn: AsyncConnection[Any], tenant: UUID, id: UUID, properties: dict[str, Any], job: str | None, at: datetime
) -> None:
    """Let a job master an object from now on, or people where there is none."""
    await conn.execute(
        """update directory_objects set cloud_managed = %s, sync_job = %s, properties = %s::jsonb, modified_at = %s,
             changed = pg_current_xact_id()
           where tenant = %s and id = %s""",
        (job is None, job, msgspec.json.encode(properties).decode(), at, tenant, id),
    )


async def leave_groups(conn: AsyncConnection[Any], tenant: UUID, ids: Sequence[UUID]) -> None:
    """Take objects out of all that a job masters: its source does not name them any more."""
    await conn.execute(
        f"""with gone as (delete from directory_references r using directory_objects o
              where r.tenant = %s and r.referenced = any(%s)
                and o.tenant = r.tenant and o.id = r.owner and o.sync_job is not null
              returning r.tenant, r.owner, r.attribute, r.referenced)
            {_FEED_OF_REMOVED}""",
        (tenant, list(ids)),
    )


async def unrefer_unsourced(conn: AsyncConnection[Any], tenant: UUID, id: UUID, job: str, anchor: str) -> None:
    """Take away what an object refers to and its entry at the source does not."""
    await conn.execute(
        f"""with gone as (delete from directory_references r
              where r.tenant = %(tenant)s and r.owner = %(id)s and r.attribute in ('members', 'manager')
                and not exists (select from entry_references e
                  join links l on l.tenant = e.tenant and l.anchor = e.referenced and l.target = r.referenced
                  where e.tenant = r.tenant and e.job = %(job)s and e.owner = %(anchor)s)
              returning r.tenant, r.owner, r.attribute, r.referenced)
            {_FEED_OF_REMOVED}""",
        {"tenant": tenant, "id": id, "job": job, "anchor": anchor},
    )


async def verified_domains(conn: AsyncConnection[Any], tenant: UUID) -> tuple[frozenset[str], str]:
    """Give the tenant's verified domains, folded, and the initial one."""
    cursor = await conn.execute(
        "select lower(name), is_initial from domains where tenant = %s and is_verified", (tenant,)
    )
    rows = await cursor.fetchall()
    initial = [row[0] for row in rows if row[1]]
    return frozenset(row[0] for row in rows), initial[0] if initial else ""


async def purge(conn: AsyncConnection[Any], tenant: UUID, before: datetime) -> int:
    """Remove for good what lies in the recycle bin since before a time, with the links to it."""
    cursor = await conn.execute(
        f"""with gone as (delete from directory_objects where tenant = %s and deleted_at < %s
               returning tenant, id, object_type),
             unlinked as (delete from links l using gone
               where l.tenant = %s and l.target = gone.id and l.state = 'deprovisioned'),
             told as ({_FEED_OF_PURGED})
           select count(*) from gone""",
        (tenant, before, tenant),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0
