"""Who masters a user or group that came from a source: `onPremisesSyncBehavior`.

Source: Graph onPremisesSyncBehavior.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import HYBRID
from dirbridge.service.graph import groups, odata, users
from dirbridge.service.graph.context import body, context, database
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.store import audits
from dirbridge.store.directory_queries import Conn, DirectoryObject
from dirbridge.tenant import authority

router = APIRouter()

OF_USER, OF_GROUP = "User-OnPremisesSyncBehavior.ReadWrite.All", "Group-OnPremisesSyncBehavior.ReadWrite.All"
UserReader = Annotated[Caller, Depends(require(OF_USER))]
UserWriter = Annotated[Caller, Depends(require(OF_USER, roles=HYBRID))]
GroupReader = Annotated[Caller, Depends(require(OF_GROUP))]
GroupWriter = Annotated[Caller, Depends(require(OF_GROUP, roles=HYBRID))]


class SyncBehavior(msgspec.Struct, rename="camel"):
    """Who masters an object."""

    is_cloud_managed: bool


@router.get("/users/{key}/onPremisesSyncBehavior")
async def get_of_user(request: Request, key: str, caller: UserReader) -> Response:
    """Say who masters a user: its source, or people here."""
    async with database(request).connection() as conn:
        return await _show(request, conn, caller, await users.find(conn, caller, key))


@router.patch("/users/{key}/onPremisesSyncBehavior")
async def change_of_user(request: Request, key: str, caller: UserWriter) -> Response:
    """Hand a user over to people, or give it back to its source."""
    wanted = await body(request, SyncBehavior)
    async with database(request).transaction() as conn:
        await _change(conn, caller, await users.find(conn, caller, key), wanted)
    return no_content()


@router.get("/groups/{key}/onPremisesSyncBehavior")
async def get_of_group(request: Request, key: str, caller: GroupReader) -> Response:
    """Say who masters a group: its source, or people here."""
    async with database(request).connection() as conn:
        return await _show(request, conn, caller, await groups.find(conn, caller, key))


@router.patch("/groups/{key}/onPremisesSyncBehavior")
async def change_of_group(request: Request, key: str, caller: GroupWriter) -> Response:
    """Hand a group over to people, or give it back to its source."""
    wanted = await body(request, SyncBehavior)
    async with database(request).transaction() as conn:
        await _change(conn, caller, await groups.find(conn, caller, key), wanted)
    return no_content()


async def _show(request: Request, conn: Conn, caller: Caller, row: DirectoryObject) -> Response:
    odata.read(request, odata.ITEM)
    return GraphResponse({
        "@odata.context": context(request, f"{row.object_type}s('{row.id}')/onPremisesSyncBehavior/$entity"),
        "id": str(row.id),
        "isCloudManaged": await authority.is_cloud_managed(conn, caller.tenant, row.id),
    })  # fmt: skip


async def _change(conn: Conn, caller: Caller, row: DirectoryObject, wanted: SyncBehavior) -> None:
    transfer = authority.to_cloud if wanted.is_cloud_managed else authority.to_source
    if not await transfer(conn, caller.tenant, row.id, datetime.now(UTC)):
        return
    there = "AD to cloud" if wanted.is_cloud_managed else "cloud to AD"
    await audits.record(
        conn, caller.tenant, actor=caller.actor, activity=f"Change Source of Authority from {there}",
        target=str(row.id), detail={"isCloudManaged": wanted.is_cloud_managed},
    )  # fmt: skip
