"""Administrators: all of them, a new one, and one with how they sign in."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.permissions import ROLES
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.settings import places
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=places.ADMINISTRATORS, route_class=PortalRoute, include_in_schema=False)

API = "/beta/dirbridge/administrators"

_FIELDS = {
    "InvalidUserName": "name", "AdministratorExists": "name", "InvalidDisplayName": "display",
    "UnknownRole": "roles", "LastGlobalAdministrator": "roles",
}  # fmt: skip
"""Which field a refusal is about."""


def page_of(id: str, name: str = "") -> str:
    """Give the path of a page of one."""
    return f"{places.ADMINISTRATORS}/{api.key(id)}" + (f"/{name}" if name else "")


@router.get("")
async def show_all(request: Request, who: Viewer) -> Response:
    """List them."""
    async with api.of(request, who) as ours:
        found = (await ours.get(API))["value"]
    return rendering.page(request, who, "settings/administrators.html", tabs=places.TABS, found=found, page_of=page_of)


@router.get("/new")
async def ask_for_new(request: Request, who: Viewer) -> Response:
    """Ask who the new one is."""
    return _new(request, who, {"name": "", "display": "", "roles": []})


@router.post("/new")
async def make(request: Request, who: Viewer) -> Response:
    """Make one; the password is shown once."""
    form = await forms.read(request)
    given = {"name": form.one("name"), "display": form.one("display"), "roles": form.all("roles")}
    body = {"userName": given["name"], "displayName": given["display"], "roles": given["roles"]}
    try:
        async with api.of(request, who) as ours:
            made = await ours.post(API, body)
    except ApiRefusal as refusal:
        return _new(request, who, given, refusal)
    return shown_once(request, who, made, "was made")


@router.get("/{id}")
async def show_one(request: Request, who: Viewer, id: str) -> Response:
    """Show one."""
    async with api.of(request, who) as ours:
        return await _one(request, who, ours, id)


@router.post("/{id}")
async def change(request: Request, who: Viewer, id: str) -> Response:
    """Change name and roles, unless somebody else did meanwhile."""
    form = await forms.read(request)
    body = {"displayName": form.one("display"), "roles": form.all("roles")}
    async with api.of(request, who) as ours:
        now = await ours.get(f"{API}/{api.key(id)}")
        if form.one("was") != mark(now):
            said = "Somebody else has changed it meanwhile; what is there now is shown. Nothing was changed."
            return await _one(request, who, ours, id, ApiRefusal(409, "Changed", said))
        try:
            await ours.patch(f"{API}/{api.key(id)}", body)
        except ApiRefusal as refusal:
            return await _one(request, who, ours, id, refusal, {"display": body["displayName"], "roles": body["roles"]})
    return rendering.done(request, f"'{now['userName']}' is changed.", page_of(id))


def mark(found: dict[str, Any]) -> str:
    """Give what tells whether somebody changed an administrator since a form was filled with them."""
    return json.dumps([found["displayName"], found["roles"]])


def shown_once(request: Request, who: Viewer, made: dict[str, Any], what: str) -> Response:
    """Show a password that is shown nowhere else."""
    return rendering.page(
        request, who, "settings/password.html", tabs=places.TABS, made=made, what=what, back=page_of(made["id"])
    )


def _new(request: Request, who: Viewer, given: dict[str, Any], refusal: ApiRefusal | None = None) -> Response:
    return rendering.page(
        request, who, "settings/administrator-new.html", status=refusal.status if refusal else 200, tabs=places.TABS,
        given=given, roles=ROLES, **_fault(refusal),
    )  # fmt: skip


async def _one(
    request: Request,
    who: Viewer,
    ours: Api,
    id: str,
    refusal: ApiRefusal | None = None,
    given: dict[str, Any] | None = None,
) -> Response:
    found = await ours.get(f"{API}/{api.key(id)}")
    sessions = (await ours.get(f"{API}/{api.key(id)}/sessions"))["value"]
    given = given or {"display": found["displayName"], "roles": found["roles"]}
    return rendering.page(
        request, who, "settings/administrator.html", status=refusal.status if refusal else 200, tabs=places.TABS,
        found=found, sessions=sessions, given=given, roles=ROLES, was=mark(found), page_of=page_of, **_fault(refusal),
    )  # fmt: skip


def _fault(refusal: ApiRefusal | None) -> dict[str, str]:
    return {"fault": str(refusal or ""), "field": _FIELDS.get(refusal.code, "") if refusal else ""}
