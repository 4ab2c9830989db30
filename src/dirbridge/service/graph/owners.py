"""Owners of applications, who may change them with the permission Application.ReadWrite.OwnedBy.

An application and its service principal have the same owners, as they are one row. An owner is a service principal or
an administrator.

Source: Graph application and servicePrincipal: list owners, add owner, remove owner.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.applications import ownership, registrations
from dirbridge.service.auth.permissions import APPLICATION_WRITERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.application_lists import READ, WRITE, changeable, find
from dirbridge.service.graph.applications import act_of
from dirbridge.service.graph.context import body, context, database, guid, root
from dirbridge.service.graph.errors import GraphError, not_found
from dirbridge.service.graph.gate import normalise
from dirbridge.service.graph.membership import Address
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.store import application_owners
from dirbridge.store.application_owners import Owner

router = APIRouter()

Reader = Annotated[Caller, Depends(require(*READ))]
Writer = Annotated[Caller, Depends(require(*WRITE, roles=APPLICATION_WRITERS))]

_PLACES = frozenset({"directoryObjects", "servicePrincipals", "users"})


@router.get("/applications/{key:application}/owners")
@router.get("/servicePrincipals/{key}/owners")
async def list_owners(request: Request, key: str, caller: Reader) -> Response:
    """Give the owners; there are few, so that one page holds them."""
    odata.read(request, frozenset({"format", "top"}))
    found = await _owners(request, key, caller)
    shown = [_shown(each) for each in found]
    return GraphResponse({"@odata.context": context(request, "directoryObjects"), "value": shown})


@router.get("/applications/{key:application}/owners/$ref")
@router.get("/servicePrincipals/{key}/owners/$ref")
async def list_references(request: Request, key: str, caller: Reader) -> Response:
    """Give their addresses."""
    odata.read(request, frozenset({"format", "top"}))
    found = await _owners(request, key, caller)
    shown = [{"@odata.id": f"{root(request)}/directoryObjects/{each.id}"} for each in found]
    return GraphResponse({"@odata.context": context(request, "Collection($ref)"), "value": shown})


@router.post("/applications/{key:application}/owners/$ref")
@router.post("/servicePrincipals/{key}/owners/$ref")
async def add_owner(request: Request, key: str, caller: Writer) -> Response:
    """Add one."""
    address = (await body(request, Address)).id
    owner = _id(address)
    async with database(request).transaction() as conn:
        found = await changeable(conn, caller, key)
        ownership.need_reach(caller, found.reach)
        if not await registrations.add_owner(act_of(conn, caller), found, owner):
            raise not_found("service principal or administrator", owner)
    return no_content()


@router.delete("/applications/{key:application}/owners/{owner}/$ref")
@router.delete("/servicePrincipals/{key}/owners/{owner}/$ref")
async def remove_owner(request: Request, key: str, owner: str, caller: Writer) -> Response:
    """Take one away; the owner itself stays."""
    id = guid(owner)
    async with database(request).transaction() as conn:
        found = await changeable(conn, caller, key)
        if id is None or not await registrations.remove_owner(act_of(conn, caller), found, id):
            raise not_found("owner", owner)
    return no_content()


async def _owners(request: Request, key: str, caller: Caller) -> list[Owner]:
    async with database(request).connection() as conn:
        found = await find(conn, caller, key)
        return await application_owners.owners(conn, caller.tenant, found.id)


def _id(address: str) -> UUID:
    """Read the id out of an owner's address."""
    try:
        place, key = normalise("/" + unquote(urlsplit(address).path).strip("/")).split("/")[-2:]
    except ValueError:
        place, key = "", ""
    id = guid(key)
    if id is None or place not in _PLACES:
        raise GraphError(
            400, "Request_BadRequest",
            f"Invalid URL format specified in payload: '{address[:200]}'. An address such as"
            " https://HOST/v1.0/directoryObjects/{id} is expected.",
            target="@odata.id",
        )  # fmt: skip
    return id


def _shown(owner: Owner) -> dict[str, Any]:
    common = {"id": str(owner.id), "displayName": owner.display_name}
    if owner.app_id is not None:
        return {"@odata.type": "#microsoft.graph.servicePrincipal", **common, "appId": str(owner.app_id)}
    return {"@odata.type": "#microsoft.graph.user", **common, "userPrincipalName": owner.user_name}
