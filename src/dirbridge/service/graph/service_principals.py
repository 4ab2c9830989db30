"""Service principals: an application as the tenant lets it act.

Source: Graph servicePrincipal.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.applications import ownership, registrations
from dirbridge.service.auth.permissions import APPLICATION_WRITERS
from dirbridge.service.graph import application_bodies, application_lists
from dirbridge.service.graph.application_bodies import NewPrincipal, PrincipalWish
from dirbridge.service.graph.application_lists import READ, WRITE, changeable
from dirbridge.service.graph.applications import act_of, certify
from dirbridge.service.graph.context import context, database, root
from dirbridge.service.graph.errors import GraphError
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.store import applications
from dirbridge.store.application_queries import Listed

router = APIRouter()

_SYNCHRONIZATION = ("Synchronization.Read.All", "Synchronization.ReadWrite.All")
Reader = Annotated[Caller, Depends(require(*READ, *_SYNCHRONIZATION))]
Writer = Annotated[Caller, Depends(require(*WRITE, roles=APPLICATION_WRITERS))]


@router.get("/servicePrincipals")
async def list_principals(request: Request, caller: Reader) -> Response:
    """List the tenant's service principals."""
    return await application_lists.listing(request, caller, Listed.PRINCIPALS)


@router.get("/servicePrincipals/$count")
async def count_principals(request: Request, caller: Reader) -> Response:
    """Count them."""
    return await application_lists.counting(request, caller, Listed.PRINCIPALS)


@router.get("/servicePrincipals/{key}")
async def get_principal(request: Request, key: str, caller: Reader) -> Response:
    """Give one, by object id or `appId=…`."""
    return await application_lists.single(request, caller, key)


@router.post("/servicePrincipals")
async def create(request: Request, caller: Writer) -> Response:
    """Let a registered application be acted as."""
    wish = await application_bodies.read(request, NewPrincipal)
    async with database(request).transaction() as conn:
        found = await applications.find(conn, caller.tenant, wish.app_id, "app_id", lock=True)
        if found is None:
            raise GraphError(
                400, "NoBackingApplicationObject",
                f"The appId '{wish.app_id}' of the service principal does not reference a valid application object.",
            )  # fmt: skip
        if found.has_principal:
            raise GraphError(
                409, "Request_MultipleObjectsWithSameKeyValue",
                f"The application '{wish.app_id}' has a service principal already: '{found.id}'.",
            )  # fmt: skip
        await ownership.need_owner(conn, caller, found.id)
        after = application_bodies.principal(found, wish)
        act = act_of(conn, caller)
        await registrations.add_principal(act, found, after)
        await certify(act, caller, found, wish.key_credentials)
        made = await application_lists.find(conn, caller, str(found.id))
        shown = await application_lists.shown(request, conn, caller, made, Listed.PRINCIPALS)
    address = context(request, "servicePrincipals/$entity")
    headers = {"Location": f"{root(request)}/servicePrincipals/{found.id}"}
    return GraphResponse({"@odata.context": address, **shown}, status_code=201, headers=headers)


@router.patch("/servicePrincipals/{key}")
async def change(request: Request, key: str, caller: Writer) -> Response:
    """Change what is given."""
    wish = await application_bodies.read(request, PrincipalWish)
    async with database(request).transaction() as conn:
        before = await changeable(conn, caller, key)
        after = application_bodies.principal(before, wish)
        if after.is_enabled != before.is_enabled:
            ownership.need_reach(caller, before.reach)
            if not after.is_enabled:
                ownership.need_other(caller, before, "disable")
        act = act_of(conn, caller)
        await registrations.change(act, before, after, "Update service principal")
        await certify(act, caller, before, wish.key_credentials)
    return no_content()


@router.delete("/servicePrincipals/{key}")
async def remove(request: Request, key: str, caller: Writer) -> Response:
    """Let nobody act as the application any longer; it stays registered."""
    async with database(request).transaction() as conn:
        found = await changeable(conn, caller, key)
        ownership.need_other(caller, found, "delete")
        ownership.need_reach(caller, found.reach)
        await registrations.remove_principal(act_of(conn, caller), found)
    return no_content()
