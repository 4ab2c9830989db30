"""What hangs below any object that can have a manager or be in a group: the same for users, contacts and groups."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import collections, objects, odata
from dirbridge.service.graph.context import context, database, root
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.store import directory_queries
from dirbridge.store.directory_queries import DirectoryObject


async def manager(request: Request, caller: Caller, id: UUID) -> Response:
    """Answer with an object's manager; 404 where there is none."""
    query = odata.read(request, odata.ITEM)
    select = objects.selected(query, None)
    row = await _manager(request, caller, id)
    return collections.entity(request, row, query, select, "directoryObjects", typed=True)


async def manager_reference(request: Request, caller: Caller, id: UUID) -> Response:
    """Answer with the address of an object's manager."""
    row = await _manager(request, caller, id)
    return GraphResponse({
        "@odata.context": context(request, "$ref"), "@odata.id": f"{root(request)}/directoryObjects/{row.id}",
    })  # fmt: skip


async def direct_reports(request: Request, caller: Caller, id: UUID, cast: str | None) -> Response:
    """Answer with whom an object manages."""
    return await collections.related(
        request, lambda kind: directory_queries.referring(caller.tenant, id, "manager", kind), cast
    )


async def member_of(request: Request, caller: Caller, id: UUID, cast: str | None) -> Response:
    """Answer with the groups that an object is in."""
    return await collections.related(
        request, lambda kind: directory_queries.referring(caller.tenant, id, "members", kind), cast
    )


async def transitive_member_of(request: Request, caller: Caller, id: UUID, cast: str | None) -> Response:
    """Answer with the groups that an object is in, through other groups too."""
    return await collections.related(
        request, lambda kind: directory_queries.groups_of_groups(caller.tenant, id, kind), cast
    )


async def _manager(request: Request, caller: Caller, id: UUID) -> DirectoryObject:
    async with database(request).connection() as conn:
        row = await directory_queries.manager(conn, caller.tenant, id)
    if row is None:
        raise not_found("manager", "manager")
    return row
