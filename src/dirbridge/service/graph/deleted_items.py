"""The recycle bin: `/directory/deletedItems`. A cast names the type to list.

Source: Graph directory deletedItems.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import ANYONE, GROUP_WRITERS, USER_WRITERS, Roles
from dirbridge.service.graph import collections, objects, odata
from dirbridge.service.graph.context import body, context, database, guid
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.store import audits, directory_queries
from dirbridge.store.directory_queries import Conn, DirectoryObject
from dirbridge.tenant import administration

router = APIRouter()


class Restoring(msgspec.Struct, rename="camel"):
    """How to bring an object back."""

    auto_reconcile_proxy_conflict: bool = False
    new_user_principal_name: Annotated[str, msgspec.Meta(min_length=3, max_length=113)] | None = None


# What each type asks for; an object's type is known only once it was found.
_WRITE = {
    "user": ("User.ReadWrite.All", "Directory.ReadWrite.All"),
    "group": ("Group.ReadWrite.All", "Directory.ReadWrite.All"),
}
_RESTORE = {**_WRITE, "user": ("User.DeleteRestore.All", *_WRITE["user"])}
_READ = {
    "user": ("User.Read.All", "Directory.Read.All", *_WRITE["user"]),
    "group": ("Group.Read.All", "Directory.Read.All", *_WRITE["group"]),
}


_FOREIGN = ("Directory.Read.All", "Directory.ReadWrite.All")
"""Who may ask for types of which nothing is kept."""
_ROLES = {"user": USER_WRITERS, "group": GROUP_WRITERS}


def _any(permissions: Mapping[str, Sequence[str]], roles: Roles) -> object:
    return Depends(require(*dict.fromkeys(name for names in permissions.values() for name in names), roles=roles))


Reader = Annotated[Caller, _any(_READ, ANYONE)]
Restorer = Annotated[Caller, _any(_RESTORE, USER_WRITERS | GROUP_WRITERS)]
Writer = Annotated[Caller, _any(_WRITE, USER_WRITERS | GROUP_WRITERS)]


@router.get("/directory/deletedItems/{key}")
async def get_or_list(request: Request, key: str, caller: Reader) -> Response:
    """List deleted objects of the type that a cast names, or give one by its id."""
    if key in collections.CASTS:
        kind = _kept(key)
        caller.need(_READ[kind])
        return await collections.listing(
            request,
            directory_queries.deleted(caller.tenant, kind),
            fragment=f"{kind}s",
            object_type=kind,
            orders=collections.DELETED_ORDERS[kind],
        )
    if key in collections.FOREIGN_CASTS:
        caller.need(_FOREIGN)
        return await collections.related(
            request, lambda kind: directory_queries.deleted(caller.tenant, kind or ""), key
        )
    query = odata.read(request, odata.ITEM)
    async with database(request).connection() as conn:
        row = await _find(conn, caller, key)
    caller.need(_READ[row.object_type])
    select = objects.selected(query, row.object_type)
    return collections.entity(request, row, query, select, "directoryObjects", typed=True)


@router.get("/directory/deletedItems/{cast}/$count")
async def count(request: Request, cast: str, caller: Reader) -> Response:
    """Count deleted objects of a type."""
    kind = _kept(cast)
    caller.need(_READ[kind])
    return await collections.counting(request, directory_queries.deleted(caller.tenant, kind), object_type=kind)


@router.post("/directory/deletedItems/{key}/restore")
async def restore(request: Request, key: str, caller: Restorer) -> Response:
    """Bring an object back with its id."""
    wanted = await body(request, Restoring, optional=True)
    async with database(request).transaction() as conn:
        row = await _find(conn, caller, key)
        caller.need(_RESTORE[row.object_type], _ROLES[row.object_type])
        await administration.restore_object(
            conn, caller.tenant, row.id, datetime.now(UTC),
            reconcile=wanted.auto_reconcile_proxy_conflict, name=wanted.new_user_principal_name,
        )  # fmt: skip
        await audits.record(
            conn, caller.tenant, actor=caller.actor, activity=f"Restore {row.object_type}", target=str(row.id)
        )
        back = await directory_queries.get(conn, caller.tenant, row.id)
    if back is None:
        raise not_found("deleted object", key)
    shown = objects.render(request, back, typed=True)
    return GraphResponse({"@odata.context": context(request, "directoryObjects/$entity"), **shown})


@router.delete("/directory/deletedItems/{key}")
async def purge(request: Request, key: str, caller: Writer) -> Response:
    """Remove an object for good."""
    async with database(request).transaction() as conn:
        row = await _find(conn, caller, key)
        caller.need(_WRITE[row.object_type], _ROLES[row.object_type])
        await administration.purge(conn, caller.tenant, row.id)
        await audits.record(
            conn, caller.tenant, actor=caller.actor, activity=f"Hard Delete {row.object_type}", target=str(row.id)
        )
    return no_content()


def _kept(cast: str) -> str:
    """Read a cast that names a type of which deleted objects are kept."""
    kind = collections.object_type_of(cast)
    if kind not in _READ:
        raise bad_request(f"Objects of the type '{cast}' are deleted for good: the recycle bin has none.")
    return kind


async def _find(conn: Conn, caller: Caller, key: str) -> DirectoryObject:
    id = guid(key)
    row = await directory_queries.get(conn, caller.tenant, id, deleted=True) if id else None
    if row is None:
        raise not_found("deleted object", key)
    return row
