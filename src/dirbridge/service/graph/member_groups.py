"""Which groups an object is in, through other groups too, by their ids: all of them, or those among some.

Source: Graph directoryObject: getMemberGroups, checkMemberGroups, getMemberObjects, checkMemberObjects. Objects that
have members are groups here, so the latter two say the same as the former.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.graph import contacts, groups, users
from dirbridge.service.graph.context import body, context, database, guid
from dirbridge.service.graph.errors import GraphError, bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.store import directory_queries
from dirbridge.store.conditions import EVERYTHING
from dirbridge.store.directory_queries import Conn, DirectoryObject

router = APIRouter()

MOST_CHECKED = 20
"""Ids that one request can ask for."""
MOST_GIVEN = 11_000
"""Ids that one answer can hold, as there."""

Reader = Annotated[Caller, Depends(require(*groups.MEMBERS))]
_Ids = Annotated[list[str], msgspec.Meta(max_length=MOST_CHECKED)]


class WantedGroups(msgspec.Struct, rename="camel"):
    """Which groups to give."""

    security_enabled_only: bool = False


class CheckedGroups(msgspec.Struct, rename="camel"):
    """Which groups to look for."""

    group_ids: _Ids


class CheckedObjects(msgspec.Struct):
    """Which objects to look for."""

    ids: _Ids


@router.post("/users/{key}/getMemberGroups")
@router.post("/groups/{key}/getMemberGroups")
@router.post("/contacts/{key}/getMemberGroups")
@router.post("/directoryObjects/{key}/getMemberGroups")
async def get_member_groups(request: Request, key: str, caller: Reader) -> Response:
    """Give the ids of the groups that an object is in, through other groups too."""
    return await _all(request, key, caller, await body(request, WantedGroups))


@router.post("/users/{key}/getMemberObjects")
@router.post("/groups/{key}/getMemberObjects")
@router.post("/contacts/{key}/getMemberObjects")
@router.post("/directoryObjects/{key}/getMemberObjects")
async def get_member_objects(request: Request, key: str, caller: Reader) -> Response:
    """Give the ids of what an object is in, through other groups too."""
    return await _all(request, key, caller, await body(request, WantedGroups))


@router.post("/users/{key}/checkMemberGroups")
@router.post("/groups/{key}/checkMemberGroups")
@router.post("/contacts/{key}/checkMemberGroups")
@router.post("/directoryObjects/{key}/checkMemberGroups")
async def check_member_groups(request: Request, key: str, caller: Reader) -> Response:
    """Give those of some groups that an object is in, through other groups too."""
    return await _among(request, key, caller, (await body(request, CheckedGroups)).group_ids, "groupIds")


@router.post("/users/{key}/checkMemberObjects")
@router.post("/groups/{key}/checkMemberObjects")
@router.post("/contacts/{key}/checkMemberObjects")
@router.post("/directoryObjects/{key}/checkMemberObjects")
async def check_member_objects(request: Request, key: str, caller: Reader) -> Response:
    """Give those of some objects that an object is in, through other groups too."""
    return await _among(request, key, caller, (await body(request, CheckedObjects)).ids, "ids")


async def _all(request: Request, key: str, caller: Caller, wanted: WantedGroups) -> Response:
    async with database(request).connection() as conn:
        row = await _FIND[_place(request)](conn, caller, key)
        if wanted.security_enabled_only and row.object_type != "user":
            raise bad_request("securityEnabledOnly can be true for users only.", code="Request_BadRequest")
        where = directory_queries.SECURITY_ENABLED if wanted.security_enabled_only else EVERYTHING
        above = directory_queries.groups_of_groups(caller.tenant, row.id)
        found = await directory_queries.ids(conn, above, MOST_GIVEN + 1, where=where)
    if len(found) > MOST_GIVEN:
        raise GraphError(
            400,
            "Directory_ResultSizeLimitExceeded",
            f"The object is in more than {MOST_GIVEN:,} groups. Read them page by page by transitiveMemberOf.",
        )
    return _answer(request, found)


async def _among(request: Request, key: str, caller: Caller, asked: Sequence[str], name: str) -> Response:
    ids = [guid(each) for each in asked]
    if None in ids:
        raise bad_request(f"Invalid GUID '{asked[ids.index(None)]}' in {name}.", code="Request_BadRequest")
    async with database(request).connection() as conn:
        row = await _FIND[_place(request)](conn, caller, key)
        above = directory_queries.groups_of_groups(caller.tenant, row.id)
        found = await directory_queries.ids(conn, above, len(ids), among=[id for id in ids if id])
    return _answer(request, found)


def _answer(request: Request, ids: Sequence[UUID]) -> Response:
    return GraphResponse({"@odata.context": context(request, "Collection(Edm.String)"), "value": [*map(str, ids)]})


async def _any_object(conn: Conn, caller: Caller, key: str) -> DirectoryObject:
    id = guid(key)
    row = await directory_queries.get(conn, caller.tenant, id) if id else None
    if row is None:
        raise not_found("directory object", key)
    return row


def _place(request: Request) -> str:
    return str(request.scope["path"].split("/")[2])


_FIND: dict[str, Callable[[Conn, Caller, str], Awaitable[DirectoryObject]]] = {
    "users": users.find,
    "groups": groups.find,
    "contacts": contacts.find,
    "directoryObjects": _any_object,
}
