"""`/me`: who an application acts for. Administrators are no users of the tenant, and are shown as one here.

Source: Graph, get a user.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.graph import collections, objects, odata
from dirbridge.service.graph.context import database
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import moment
from dirbridge.service.graph.users import READ
from dirbridge.store import people
from dirbridge.store.directory_queries import DirectoryObject
from dirbridge.store.people import Administrator

router = APIRouter()

Reader = Annotated[Caller, Depends(require("User.Read", *READ))]


@router.get("/me")
async def me(request: Request, caller: Reader) -> Response:
    """Give the person behind the token."""
    if caller.person is None:
        raise bad_request("/me request is only valid with delegated authentication flow.")
    query = odata.read(request, odata.ITEM)
    select = objects.selected(query, "user")
    async with database(request).connection() as conn:
        found = await people.get(conn, caller.tenant, caller.person.id)
    if found is None:  # removed since the token was looked at
        raise not_found("administrator", caller.person.id)
    return collections.entity(request, _as_user(found), query, select, "users", whole=True)


def _as_user(found: Administrator) -> DirectoryObject:
    properties = {
        "accountEnabled": not found.is_disabled,
        "displayName": found.display_name or found.user_name,
        "lastPasswordChangeDateTime": moment(found.password_changed_at),
        "userPrincipalName": found.user_name,
        "userType": "Member",
    }
    return DirectoryObject(found.id, "user", properties, found.created_at, found.created_at, None, None)
