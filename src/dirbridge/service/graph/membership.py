"""Relations that people write: members of groups and managers of users, by the address of the other object.

Source: Graph group: add members, remove member; user: assign manager, remove manager.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import GROUP_WRITERS, USER_WRITERS
from dirbridge.service.graph import groups, relations, users
from dirbridge.service.graph.context import body, database, guid
from dirbridge.service.graph.errors import GraphError, not_found
from dirbridge.service.graph.responses import no_content
from dirbridge.store import audits
from dirbridge.tenant import membership

router = APIRouter()

_may_write_members = Depends(require(*groups.WRITE_MEMBERS, roles=GROUP_WRITERS))
MemberWriter = Annotated[Caller, _may_write_members]
OwnerWriter = Annotated[Caller, Depends(require(*groups.WRITE, roles=GROUP_WRITERS))]
ManagerWriter = Annotated[Caller, Depends(require(*users.WRITE, roles=USER_WRITERS))]


class Address(msgspec.Struct):
    """The object at the other end of a relation."""

    id: str = msgspec.field(name="@odata.id")


@router.post("/groups/{key}/members/$ref")
async def add_member(request: Request, key: str, caller: MemberWriter) -> Response:
    """Add one member to a group of the cloud."""
    member = relations.object_id((await body(request, Address)).id)
    async with database(request).transaction() as conn:
        group = await groups.find(conn, caller, key)
        await relations.add_members(conn, caller, group.id, [member])
    return no_content()


@router.delete("/groups/{key}/members/{member}/$ref")
async def remove_member(request: Request, key: str, member: str, caller: MemberWriter) -> Response:
    """Take a member out of a group of the cloud; the member itself stays."""
    id = _key(member)
    async with database(request).transaction() as conn:
        group = await groups.find(conn, caller, key)
        await membership.remove_member(conn, caller.tenant, group.id, id)
        await audits.record(
            conn, caller.tenant, actor=caller.actor, activity="Remove member from group", target=str(group.id),
            detail={"members": [str(id)]},
        )  # fmt: skip
    return no_content()


@router.post("/groups/{key}/owners/$ref")
async def add_owner(request: Request, key: str, caller: OwnerWriter) -> Response:
    """Give a group an owner."""
    owner = relations.object_id((await body(request, Address)).id)
    async with database(request).transaction() as conn:
        group = await groups.find(conn, caller, key)
        await relations.add_owner(conn, caller, group.id, owner)
    return no_content()


@router.delete("/groups/{key}/owners/{owner}/$ref")
async def remove_owner(request: Request, key: str, owner: str, caller: OwnerWriter) -> Response:
    """Take an owner off a group; the owner itself stays."""
    async with database(request).transaction() as conn:
        group = await groups.find(conn, caller, key)
        await membership.remove_owner(conn, caller.tenant, group.id, _key(owner))
        await audits.record(
            conn, caller.tenant, actor=caller.actor, activity="Remove owner from group", target=str(group.id),
            detail={"owner": owner},
        )  # fmt: skip
    return no_content()


@router.put("/users/{key}/manager/$ref")
async def set_manager(request: Request, key: str, caller: ManagerWriter) -> Response:
    """Give a user of the cloud a manager."""
    manager = relations.object_id((await body(request, Address)).id)
    async with database(request).transaction() as conn:
        user = await users.find(conn, caller, key)
        await membership.set_manager(conn, caller.tenant, user.id, manager)
        await audits.record(
            conn, caller.tenant, actor=caller.actor, activity="Set user manager", target=str(user.id),
            detail={"manager": str(manager)},
        )  # fmt: skip
    return no_content()


@router.delete("/users/{key}/manager/$ref")
async def remove_manager(request: Request, key: str, caller: ManagerWriter) -> Response:
    """Take the manager of a user of the cloud away."""
    async with database(request).transaction() as conn:
        user = await users.find(conn, caller, key)
        if not await membership.remove_manager(conn, caller.tenant, user.id):
            raise not_found("manager", "manager")
        await audits.record(
            conn, caller.tenant, actor=caller.actor, activity="Remove user manager", target=str(user.id)
        )
    return no_content()


@router.delete("/groups/{key}/members/{member}", dependencies=[_may_write_members])
async def refuse_member_delete(key: str, member: str) -> Response:
    """Refuse what would delete the member itself in Graph: nobody who writes this means it."""
    raise GraphError(
        405, "Request_BadRequest",
        f"DELETE is not allowed for '/groups/{key}/members/{member}'. To take the member out of the group append /$ref;"
        f" to delete it as such, delete it where it lies.",
        headers={"Allow": "GET"},
    )  # fmt: skip


def _key(text: str) -> UUID:
    id = guid(text)
    if id is None:
        raise GraphError(400, "Request_BadRequest", f"Invalid object identifier '{text}'.")
    return id
