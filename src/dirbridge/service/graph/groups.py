"""Groups of the tenant directory: `/groups`, their members, and `/directoryObjects`.

Source: Graph group and directoryObject resources.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import GROUP_WRITERS
from dirbridge.service.graph import changes, collections, objects, odata, relations
from dirbridge.service.graph.context import body, context, database, guid
from dirbridge.service.graph.errors import GraphError, bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.store import audits, directory_queries, unique
from dirbridge.store.directory_queries import Conn, DirectoryObject
from dirbridge.tenant import administration, rules

router = APIRouter()

DIRECTORY = ("Directory.Read.All", "Directory.ReadWrite.All")
READ = ("Group.ReadBasic.All", "GroupMember.Read.All", "Group.Read.All", "Group.ReadWrite.All", *DIRECTORY)
MEMBERS = ("GroupMember.Read.All", "GroupMember.ReadWrite.All", "Group.Read.All", "Group.ReadWrite.All", *DIRECTORY)
WRITE = ("Group.ReadWrite.All", "Directory.ReadWrite.All")
WRITE_MEMBERS = ("GroupMember.ReadWrite.All", *WRITE)
Reader = Annotated[Caller, Depends(require(*READ))]
MemberReader = Annotated[Caller, Depends(require(*MEMBERS))]
Creator = Annotated[Caller, Depends(require("Group.Create", *WRITE, roles=GROUP_WRITERS))]
Writer = Annotated[Caller, Depends(require(*WRITE, roles=GROUP_WRITERS))]
Changer = Annotated[Caller, Depends(require(*WRITE_MEMBERS, roles=GROUP_WRITERS))]
AnyReader = Annotated[Caller, Depends(require("User.Read.All", "User.ReadWrite.All", "Group.Read.All", *DIRECTORY))]


BOUND, BOUND_OWNERS = "members@odata.bind", "owners@odata.bind"
MAX_BOUND = 20
"""Members that one request can add."""


class GroupChange(msgspec.Struct, rename="camel"):
    """What a client may say of a group; what it leaves out stays as it is."""

    classification: str | msgspec.UnsetType | None = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    display_name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | msgspec.UnsetType = msgspec.UNSET
    group_types: list[str] | msgspec.UnsetType = msgspec.UNSET
    is_assignable_to_role: bool | msgspec.UnsetType = msgspec.UNSET
    mail_enabled: bool | msgspec.UnsetType = msgspec.UNSET
    members: Annotated[list[str], msgspec.Meta(max_length=MAX_BOUND)] | msgspec.UnsetType = msgspec.field(
        name=BOUND, default=msgspec.UNSET
    )
    owners: Annotated[list[str], msgspec.Meta(max_length=MAX_BOUND)] | msgspec.UnsetType = msgspec.field(
        name=BOUND_OWNERS, default=msgspec.UNSET
    )
    mail_nickname: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | msgspec.UnsetType = msgspec.UNSET
    preferred_data_location: str | msgspec.UnsetType | None = msgspec.UNSET
    preferred_language: str | msgspec.UnsetType | None = msgspec.UNSET
    security_enabled: bool | msgspec.UnsetType = msgspec.UNSET
    theme: str | msgspec.UnsetType | None = msgspec.UNSET
    unique_name: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | msgspec.UnsetType = msgspec.UNSET
    visibility: str | msgspec.UnsetType | None = msgspec.UNSET


class Wanted(msgspec.Struct):
    """Ids to look up, and the types that are wanted."""

    ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=1000)]
    types: list[str] | None = None


REQUIRED = ("displayName", "mailEnabled", "mailNickname", "securityEnabled")


@router.get("/groups")
async def list_groups(request: Request, caller: Reader) -> Response:
    """List live groups."""
    return await collections.listing(
        request,
        directory_queries.live(caller.tenant, "group"),
        fragment="groups",
        object_type="group",
        orders=collections.LIVE_ORDERS["group"],
        caller=caller,
    )


@router.get("/groups/$count")
async def count_groups(request: Request, caller: Reader) -> Response:
    """Count live groups."""
    return await collections.counting(request, directory_queries.live(caller.tenant, "group"), object_type="group")


@router.post("/groups")
async def create_group(request: Request, caller: Creator) -> Response:
    """Make a group that lives in the cloud only."""
    wanted = await changes.read(request, GroupChange, "group")
    missing = [name for name in REQUIRED if wanted.get(name) is None]
    if missing:
        raise bad_request(
            f"A required property is missing for the creation of a group: {', '.join(missing)}.",
            code="Request_BadRequest",
        )
    members, owners = _bound(wanted, BOUND), _bound(wanted, BOUND_OWNERS)
    group = uuid4()
    async with database(request).transaction() as conn:
        await administration.create_group(conn, caller.tenant, group, wanted, datetime.now(UTC))
        await audits.record(conn, caller.tenant, actor=caller.actor, activity="Add group", target=str(group))
        if members:
            await relations.add_members(conn, caller, group, members)
        for owner in owners:
            await relations.add_owner(conn, caller, group, owner)
        row = await find(conn, caller, str(group))
    return changes.made(request, row, "groups")


@router.get("/groups/{key}")
async def get_group(request: Request, key: str, caller: Reader) -> Response:
    """Give one group, by id or by uniqueName."""
    return await collections.single(request, caller, lambda conn: find(conn, caller, key), "group")


@router.patch("/groups/{key}")
async def update_group(request: Request, key: str, caller: Changer) -> Response:
    """Change a group, and add members to it: all or nothing. A synchronized one belongs to its source."""
    wanted = await changes.read(request, GroupChange, "group")
    members = _bound(wanted, BOUND)
    if wanted:
        caller.need(WRITE, GROUP_WRITERS)
    if BOUND_OWNERS in wanted:
        raise bad_request("Owners are added by POST to owners/$ref.", code="Request_BadRequest", target=BOUND_OWNERS)
    async with database(request).transaction() as conn:
        row = await find(conn, caller, key)
        await changes.unchanged(request, conn, caller, row)
        if members:
            await relations.add_members(conn, caller, row.id, members)
        if wanted or not members:
            await administration.update(conn, caller.tenant, row.id, "group", wanted, datetime.now(UTC))
            await audits.record(
                conn, caller.tenant, actor=caller.actor, activity="Update group", target=str(row.id),
                detail={"properties": sorted(wanted)},
            )  # fmt: skip
        now = await directory_queries.get(conn, caller.tenant, row.id)
    return changes.changed(request, now, "groups")


@router.delete("/groups/{key}")
async def delete_group(request: Request, key: str, caller: Writer) -> Response:
    """Put a group into the recycle bin."""
    async with database(request).transaction() as conn:
        row = await find(conn, caller, key)
        await changes.unchanged(request, conn, caller, row)
        await administration.delete_object(conn, caller.tenant, row.id, "group", datetime.now(UTC))
        await audits.record(conn, caller.tenant, actor=caller.actor, activity="Delete group", target=str(row.id))
    return no_content()


@router.get("/groups/{key}/members")
@router.get("/groups/{key}/members/{cast}")
async def members(request: Request, key: str, caller: MemberReader, cast: str | None = None) -> Response:
    """List a group's direct members."""
    group = await _id(request, caller, key)
    return await collections.related(
        request, lambda kind: directory_queries.referenced(caller.tenant, group, "members", kind), cast
    )


@router.get("/groups/{key}/transitiveMembers")
@router.get("/groups/{key}/transitiveMembers/{cast}")
async def transitive_members(request: Request, key: str, caller: MemberReader, cast: str | None = None) -> Response:
    """List a group's members, through its member groups too."""
    group = await _id(request, caller, key)
    return await collections.related(
        request, lambda kind: directory_queries.members_of_members(caller.tenant, group, kind), cast
    )


@router.get("/groups/{key}/memberOf")
@router.get("/groups/{key}/memberOf/{cast}")
async def member_of(request: Request, key: str, caller: MemberReader, cast: str | None = None) -> Response:
    """List the groups that a group is in."""
    return await relations.member_of(request, caller, await _id(request, caller, key), cast)


@router.get("/groups/{key}/transitiveMemberOf")
@router.get("/groups/{key}/transitiveMemberOf/{cast}")
async def transitive_member_of(request: Request, key: str, caller: MemberReader, cast: str | None = None) -> Response:
    """List the groups that a group is in, through other groups too."""
    return await relations.transitive_member_of(request, caller, await _id(request, caller, key), cast)


@router.get("/groups/{key}/owners")
@router.get("/groups/{key}/owners/{cast}")
async def owners(request: Request, key: str, caller: MemberReader, cast: str | None = None) -> Response:
    """List who owns a group."""
    return await relations.owners(request, caller, await _id(request, caller, key), cast)


@router.get("/directoryObjects/{key}")
async def get_object(request: Request, key: str, caller: AnyReader) -> Response:
    """Give a user, group or contact by its id."""
    query = odata.read(request, odata.ITEM)
    id = guid(key)
    async with database(request).connection() as conn:
        row = await directory_queries.get(conn, caller.tenant, id) if id else None
    if row is None:
        raise not_found("directory object", key)
    select = objects.selected(query, row.object_type)
    return collections.entity(request, row, query, select, "directoryObjects", typed=True)


@router.post("/directoryObjects/getByIds")
async def get_by_ids(request: Request, caller: AnyReader) -> Response:
    """Give those of some ids that exist."""
    wanted = await body(request, Wanted)
    ids = [guid(each) for each in wanted.ids]
    if None in ids:
        raise bad_request(f"Invalid GUID '{wanted.ids[ids.index(None)]}' in ids.", code="Request_BadRequest")
    asked = {each.rpartition(".")[2].lower() for each in wanted.types or objects.GRAPH_TYPES.values()}
    types = [kind for kind, name in objects.GRAPH_TYPES.items() if name.lower() in asked or kind in asked]
    async with database(request).connection() as conn:
        rows = await directory_queries.get_many(conn, caller.tenant, [id for id in ids if id], types)
    return GraphResponse({
        "@odata.context": context(request, "directoryObjects"),
        "value": [objects.render(request, row, typed=True) for row in rows],
    })  # fmt: skip


def _bound(wanted: dict[str, Any], name: str) -> list[UUID]:
    """Take the objects that a change binds out of it."""
    return [relations.object_id(address) for address in wanted.pop(name, ())]


async def find(conn: Conn, caller: Caller, key: str) -> DirectoryObject:
    """Find a live group by its id, or by `uniqueName=…`.

    Raises:
        GraphError: 400 where the key is no GUID, 404 where there is no such group.
    """
    unique_name = key.removeprefix(f"{rules.UNIQUE_NAME}=")
    if unique_name != key:
        claimed = (rules.UNIQUE_NAME, rules.fold(unique_name))
        id = (await unique.holders(conn, caller.tenant, {claimed})).get(claimed)
        if id is None:
            raise not_found("group", unique_name)
    else:
        id = guid(key)
    if id is None:
        raise GraphError(400, "Request_BadRequest", f"Invalid object identifier '{key}'.")
    row = await directory_queries.get(conn, caller.tenant, id, object_type="group")
    if row is None:
        raise not_found("group", key)
    return row


async def _id(request: Request, caller: Caller, key: str) -> UUID:
    async with database(request).connection() as conn:
        return (await find(conn, caller, key)).id
