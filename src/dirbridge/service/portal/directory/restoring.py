"""An object is brought back out of the recycle bin; what stands in its way is said where it can be changed."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import ApiRefusal
from dirbridge.service.portal.directory import kinds
from dirbridge.service.portal.directory.kinds import DELETED, GROUP, USER
from dirbridge.service.portal.directory.overview import about
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(route_class=PortalRoute, include_in_schema=False)


@router.get(USER.path + "/{id}/restore")
@router.get(GROUP.path + "/{id}/restore")
async def ask(request: Request, who: Viewer, id: str) -> Response:
    """Say what a restore does, and ask."""
    return await _ask(request, who, id)


@router.post(USER.path + "/{id}/restore")
@router.post(GROUP.path + "/{id}/restore")
async def restore(request: Request, who: Viewer, id: str) -> Response:
    """Restore one."""
    form = await forms.read(request)
    kind = kinds.asked(request)
    name = form.one("name")
    body: dict[str, Any] = {"autoReconcileProxyConflict": form.has("reconcile")}
    if name:
        body["newUserPrincipalName"] = name
    try:
        async with api.of(request, who) as ours:
            back = await ours.post(f"{DELETED}/{api.key(id)}/restore", body)
    except ApiRefusal as refusal:
        if refusal.status == 404:
            raise
        return await _ask(request, who, id, refusal, name=name, reconcile=form.has("reconcile"))
    message = f"'{kinds.title(back)}' is back, with its id and what it had."
    return rendering.done(request, message, kind.page(back["id"]))


async def _ask(
    request: Request,
    who: Viewer,
    id: str,
    refusal: ApiRefusal | None = None,
    *,
    name: str = "",
    reconcile: bool = False,
) -> Response:
    kind = kinds.asked(request)
    async with api.of(request, who) as ours:
        found = await kinds.one(ours, kind, id)
    return rendering.page(
        request, who, "directory/restore.html", status=refusal.status if refusal else 200, **about(kind, found),
        fault=str(refusal or ""), wanted=name, reconcile=reconcile,
        may_rename=kind is USER and not found.get("onPremisesSyncEnabled"),
    )  # fmt: skip
