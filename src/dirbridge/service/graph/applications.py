"""Applications: registered, listed, changed, removed.

An application and its service principal are one row, and the client id is the application's object id (decision 0022).
A new one is registered only: nobody can act as it until `POST /servicePrincipals`.

Source: Graph application.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request
from psycopg import AsyncConnection
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.applications import ownership, registrations
from dirbridge.service.auth.people import Act
from dirbridge.service.auth.permissions import APPLICATION_WRITERS, BEYOND_FOR_PEOPLE
from dirbridge.service.graph import application_bodies, application_lists, credential_keys
from dirbridge.service.graph.application_bodies import ApplicationWish
from dirbridge.service.graph.application_lists import READ, WRITE, changeable
from dirbridge.service.graph.context import context, database, root
from dirbridge.service.graph.credential_keys import KeyCredential
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.store import applications as store
from dirbridge.store.application_queries import Listed
from dirbridge.store.applications import Application
from dirbridge.store.identifiers import new_id

router = APIRouter()

Reader = Annotated[Caller, Depends(require(*READ))]
Writer = Annotated[Caller, Depends(require(*WRITE, roles=APPLICATION_WRITERS))]


@router.get("/applications")
async def list_applications(request: Request, caller: Reader) -> Response:
    """List the tenant's applications."""
    return await application_lists.listing(request, caller, Listed.APPLICATIONS)


@router.get("/applications/$count")
async def count_applications(request: Request, caller: Reader) -> Response:
    """Count them."""
    return await application_lists.counting(request, caller, Listed.APPLICATIONS)


@router.get("/applications/{key:application}")
async def get_application(request: Request, key: str, caller: Reader) -> Response:
    """Give one, by client id."""
    return await application_lists.single(request, caller, key)


@router.post("/applications")
async def create(request: Request, caller: Writer) -> Response:
    """Register one; the caller owns it."""
    wish = await application_bodies.read(request, ApplicationWish)
    if wish.display_name is msgspec.UNSET:
        raise bad_request("A value is required for property 'displayName' of resource 'Application'.")
    now = datetime.now(UTC)
    blank = Application(id=new_id(), app_id=new_id(), display_name="", created_at=now, has_principal=False)
    new = application_bodies.application(blank, wish)
    async with database(request).transaction() as conn:
        act = act_of(conn, caller)
        await registrations.create(act, new, caller.object_id)
        await certify(act, caller, new, wish.key_credentials)
        shown = await application_lists.shown(request, conn, caller, new, Listed.APPLICATIONS)
    address = context(request, "applications/$entity")
    headers = {"Location": f"{root(request)}/applications/{new.app_id}"}
    return GraphResponse({"@odata.context": address, **shown}, status_code=201, headers=headers)


@router.patch("/applications/{key:application}")
async def change(request: Request, key: str, caller: Writer) -> Response:
    """Change what is given."""
    wish = await application_bodies.read(request, ApplicationWish)
    async with database(request).transaction() as conn:
        before = await changeable(conn, caller, key)
        after = application_bodies.application(before, wish)
        if (after.redirect_uris, after.is_public) != (before.redirect_uris, before.is_public):
            ownership.need_reach(caller, before.reach)
            ownership.need_reach(caller, before.delegated_permissions, BEYOND_FOR_PEOPLE)
        act = act_of(conn, caller)
        await registrations.change(act, before, after)
        await certify(act, caller, before, wish.key_credentials)
    return no_content()


@router.delete("/applications/{key:application}")
async def remove(request: Request, key: str, caller: Writer) -> Response:
    """Remove one for good, with its service principal."""
    async with database(request).transaction() as conn:
        found = await changeable(conn, caller, key)
        ownership.need_other(caller, found, "delete")
        ownership.need_reach(caller, found.reach)
        await registrations.remove(act_of(conn, caller), found)
    return no_content()


def act_of(conn: AsyncConnection[Any], caller: Caller) -> Act:
    """Give who does something, where and now."""
    return Act(conn, caller.tenant, caller.actor, datetime.now(UTC))


async def certify(
    act: Act, caller: Caller, application: Application, wanted: Sequence[KeyCredential] | msgspec.UnsetType
) -> None:
    """Replace the certificates of an application: those that are named stay, those with a key are new, others go.

    Raises:
        GraphError: 400 where one is none, 404 where one names one that is not there.
        HTTPException: 403 where the application may do more than the caller may.
    """
    if isinstance(wanted, msgspec.UnsetType):
        return
    there = {each.id: each for each in await store.certificates(act.conn, act.tenant, application.id)}
    by_thumbprint = {each.sha256: each.id for each in there.values()}
    kept: set[UUID] = set()
    added = []
    for wish in wanted:
        if wish.key_id in there:
            kept.add(there[wish.key_id].id)
            continue
        if wish.key is None and wish.key_id is None:
            raise bad_request(
                "keyCredentials names each certificate by key, or one that is there by keyId; one has neither.",
                code="InvalidKeyCredential",
                target="keyCredentials",
            )
        if wish.key is None:
            raise not_found("certificate", wish.key_id)
        certificate = credential_keys.read(wish, new_id(), act.at)
        known = by_thumbprint.setdefault(certificate.sha256, certificate.id)
        if known == certificate.id:
            added.append(certificate)
        kept.add(known)
    removed = [id for id in there if id not in kept]
    if added or removed:
        ownership.need_reach(caller, application.reach)
        await registrations.replace_certificates(act, application, added=added, removed=removed)
