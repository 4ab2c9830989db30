"""Applications that act in the tenant: found by name, a new one, and one with its permissions and credentials."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.settings import places
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=places.APPLICATIONS, route_class=PortalRoute, include_in_schema=False)

API = "/v1.0/servicePrincipals"
GRAPH = "00000003-0000-0000-c000-000000000000"
"""Client id of Microsoft Graph, whose permissions are granted."""
PAGE = 50
LONGEST = 200
MONTHS = (3, 6, 12, 24)
"""For how long a secret may be good."""

_LISTED = "id,appId,displayName,accountEnabled,applicationTemplateId,createdDateTime"


def page_of(id: str, name: str = "") -> str:
    """Give the path of a page of one."""
    return f"{places.APPLICATIONS}/{api.key(id)}" + (f"/{name}" if name else "")


@router.get("")
async def show_all(request: Request, who: Viewer) -> Response:
    """List them by name."""
    asked = request.query_params.get("q", "").strip()[:LONGEST]
    options: dict[str, str | int] = {"top": PAGE, "select": _LISTED, "orderby": "displayName"}
    if after := request.query_params.get("after"):
        options["skiptoken"] = after
    if asked:
        text = asked.replace("\\", "\\\\").replace('"', '\\"')
        options["search"] = f'"displayName:{text}"'
    async with api.of(request, who) as ours:
        found = await ours.advanced(API, None, **options)
    here = {"q": asked} if asked else {}
    following = api.following(found)
    return rendering.page(
        request, who, "settings/applications.html", tabs=places.TABS, found=found["value"], asked=asked,
        longest=LONGEST, graph=GRAPH, page_of=page_of, first=_address(here) if after else "",
        following=_address({**here, "after": following}) if following else "",
    )  # fmt: skip


@router.get("/new")
async def ask_for_new(request: Request, who: Viewer) -> Response:
    """Ask for the name of a new one."""
    return _new(request, who, "")


@router.post("/new")
async def make(request: Request, who: Viewer) -> Response:
    """Register one, and let it act in the tenant."""
    form = await forms.read(request)
    name = form.one("name")
    try:
        async with api.of(request, who) as ours:
            registered = await ours.post("/v1.0/applications", {"displayName": name})
            try:
                made = await ours.post(API, {"appId": registered["appId"]})
            except ApiRefusal:
                await ours.delete(f"/v1.0/applications/{api.key(registered['id'])}")
                raise
    except ApiRefusal as refusal:
        return _new(request, who, name, refusal)
    message = f"'{made['displayName']}' is registered. It needs permissions, and a secret to sign in with."
    return rendering.done(request, message, page_of(made["id"]))


@router.get("/{id}")
async def show_one(request: Request, who: Viewer, id: str) -> Response:
    """Show one."""
    async with api.of(request, who) as ours:
        return await one(request, who, ours, id)


async def one(request: Request, who: Viewer, ours: Api, id: str, refusal: ApiRefusal | None = None) -> Response:
    """Show one, with what could not be done to it."""
    found = await ours.get(f"{API}/{api.key(id)}")
    held = await permissions(ours, id)
    known = await roles(ours)
    return rendering.page(
        request, who, "settings/application.html", status=refusal.status if refusal else 200, tabs=places.TABS,
        found=found, held=held, free=sorted(name for name in known if name not in {each["name"] for each in held}),
        months=MONTHS, graph=GRAPH, page_of=page_of, fault=str(refusal or ""), base=request.app.state.base_url,
        tenant=str(request.app.state.tenant),
    )  # fmt: skip


async def permissions(ours: Api, id: str) -> list[dict[str, str]]:
    """Give the permissions that one holds, by name, with the id of each grant."""
    known = {id: name for name, id in (await roles(ours)).items()}
    found = (await ours.get(f"{API}/{api.key(id)}/appRoleAssignments"))["value"]
    held = [{"id": each["id"], "name": known.get(each["appRoleId"], each["appRoleId"])} for each in found]
    return sorted(held, key=lambda each: each["name"])


async def roles(ours: Api) -> dict[str, str]:
    """Give the permissions that can be granted: id by name."""
    return {each["value"]: each["id"] for each in (await graph(ours))["appRoles"]}


async def graph(ours: Api) -> dict[str, Any]:
    """Give Microsoft Graph's own service principal."""
    return await ours.get(f"{API}(appId='{GRAPH}')", select="id,appRoles")


def _new(request: Request, who: Viewer, name: str, refusal: ApiRefusal | None = None) -> Response:
    return rendering.page(
        request, who, "settings/application-new.html", status=refusal.status if refusal else 200, tabs=places.TABS,
        name=name, fault=str(refusal or ""),
    )  # fmt: skip


def _address(query: dict[str, str]) -> str:
    return f"{places.APPLICATIONS}?{urlencode(query)}" if query else places.APPLICATIONS
