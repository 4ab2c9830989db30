"""What hangs below any object that can have a manager or be in a group: the same for users, contacts and groups.

Graph names the other end of a relation by its address, here read and written.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit
from uuid import UUID

from fastapi import Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import collections, objects, odata
from dirbridge.service.graph.context import context, database, guid, root
from dirbridge.service.graph.errors import GraphError, not_found
from dirbridge.service.graph.gate import normalise
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.store import audits, directory_queries
from dirbridge.store.directory_queries import Conn, DirectoryObject
from dirbridge.tenant import membership

_PLACES = frozenset({"directoryObjects", "users", "groups", "contacts"})


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


async def owned(request: Request, caller: Caller, id: UUID, cast: str | None) -> Response:
    """Answer with the groups that an object owns."""
    return await collections.related(
        request, lambda kind: directory_queries.referring(caller.tenant, id, "owners", kind), cast
    )


async def owners(request: Request, caller: Caller, id: UUID, cast: str | None) -> Response:
    """Answer with who owns an object."""
    return await collections.related(
        request, lambda kind: directory_queries.referenced(caller.tenant, id, "owners", kind), cast
    )


async def _manager(request: Request, caller: Caller, id: UUID) -> DirectoryObject:
    async with database(request).connection() as conn:
        row = await directory_queries.manager(conn, caller.tenant, id)
    if row is None:
        raise not_found("manager", "manager")
    return row


async def add_members(conn: Conn, caller: Caller, group: UUID, members: Sequence[UUID]) -> None:
    """Add members to a group and note who did it."""
    await membership.add_members(conn, caller.tenant, group, members)
    await audits.record(
        conn, caller.tenant, actor=caller.actor, activity="Add member to group", target=str(group),
        detail={"members": [str(member) for member in members]},
    )  # fmt: skip


async def add_owner(conn: Conn, caller: Caller, group: UUID, owner: UUID) -> None:
    """Give a group an owner and note who did it."""
    await membership.add_owner(conn, caller.tenant, group, owner)
    await audits.record(
        conn, caller.tenant, actor=caller.actor, activity="Add owner to group", target=str(group),
        detail={"owner": str(owner)},
    )  # fmt: skip


def object_id(address: str) -> UUID:
    """Read the id out of an object's address, such as `https://host/v1.0/directoryObjects/{id}`.

    The host is not looked at: behind a proxy a service has several, and clients write that of the public cloud.

    Raises:
        GraphError: 400 where the address names no directory object.
    """
    try:
        place, key = normalise("/" + unquote(urlsplit(address).path).strip("/")).split("/")[-2:]
    except ValueError:
        place, key = "", ""
    id = guid(key)
    if id is None or place not in _PLACES:
        raise GraphError(
            400, "Request_BadRequest",
            f"Invalid URL format specified in payload: '{address}'. An address such as"
            " https://HOST/v1.0/directoryObjects/{id} is expected.",
            target="@odata.id",
        )  # fmt: skip
    return id
