"""What is done with an application: permissions granted and taken away, secrets made and removed, its end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import ApiRefusal
from dirbridge.service.portal.settings import applications, places
from dirbridge.service.portal.settings.applications import API, MONTHS, page_of
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=places.APPLICATIONS, route_class=PortalRoute, include_in_schema=False)

_MONTH = timedelta(days=30)


@router.post("/{id}/permissions")
async def grant(request: Request, who: Viewer, id: str) -> Response:
    """Grant a permission."""
    form = await forms.read(request)
    name = form.one("permission")
    async with api.of(request, who) as ours:
        resource = await applications.graph(ours)
        known = {each["value"]: each["id"] for each in resource["appRoles"]}
        if name not in known:
            raise PageRefusal(400, "PageRefused", f"'{name[:100]}' is no permission; choose one of the list.")
        body = {"principalId": id, "resourceId": resource["id"], "appRoleId": known[name]}
        try:
            await ours.post(f"{API}/{api.key(id)}/appRoleAssignments", body)
        except ApiRefusal as refusal:
            return await applications.one(request, who, ours, id, refusal)
    return rendering.done(request, f"{name} is granted.", page_of(id))


@router.post("/{id}/permissions/{grant}/remove")
async def take_away(request: Request, who: Viewer, id: str, grant: str) -> Response:
    """Take a permission away."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        await ours.delete(f"{API}/{api.key(id)}/appRoleAssignments/{api.key(grant)}")
    return rendering.done(
        request, "The permission is taken away, and the tokens that had it are good no more.", page_of(id)
    )


@router.post("/{id}/secrets")
async def add_secret(request: Request, who: Viewer, id: str) -> Response:
    """Make a secret and show it, once."""
    form = await forms.read(request)
    months = form.one("months")
    if months not in {str(each) for each in MONTHS}:
        raise PageRefusal(400, "PageRefused", f"A secret is good for {', '.join(map(str, MONTHS))} months; choose one.")
    ends = datetime.now(UTC) + int(months) * _MONTH
    body = {"passwordCredential": {"displayName": form.one("name"), "endDateTime": ends.isoformat()}}
    async with api.of(request, who) as ours:
        found = await ours.get(f"{API}/{api.key(id)}", select="id,appId,displayName")
        try:
            made = await ours.post(f"{API}/{api.key(id)}/addPassword", body)
        except ApiRefusal as refusal:
            return await applications.one(request, who, ours, id, refusal)
    return rendering.page(
        request, who, "settings/secret.html", tabs=places.TABS, found=found, made=made, back=page_of(id),
        base=request.app.state.base_url, tenant=str(request.app.state.tenant),
    )  # fmt: skip


@router.get("/{id}/secrets/{key}/remove")
async def ask_to_remove_secret(request: Request, who: Viewer, id: str, key: str) -> Response:
    """Say what goes with a secret, and ask."""
    async with api.of(request, who) as ours:
        found = await ours.get(f"{API}/{api.key(id)}")
    secret = next((each for each in found["passwordCredentials"] if each["keyId"] == key), None)
    if secret is None:
        raise PageRefusal(404, "PageRefused", "This secret is not there any more; somebody else removed it.")
    left = len(found["passwordCredentials"]) + len(found["keyCredentials"]) - 1
    text = (
        f"The secret '{secret['displayName'] or secret['hint'] + '…'}' of '{found['displayName']}' goes for good, and "
        f"the tokens that it brought. {left} other credential{'s'[: left != 1]} stay{'s'[: left == 1]}."
    )
    return _ask(
        request, who, "Remove a secret", text, "Remove secret", page_of(id, f"secrets/{api.key(key)}/remove"), id
    )


@router.post("/{id}/secrets/{key}/remove")
async def remove_secret(request: Request, who: Viewer, id: str, key: str) -> Response:
    """Remove a secret."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        await ours.post(f"{API}/{api.key(id)}/removePassword", {"keyId": key})
    return rendering.done(request, "The secret is removed.", page_of(id))


@router.post("/{id}/enabled")
async def switch(request: Request, who: Viewer, id: str) -> Response:
    """Let an application sign in, or do not."""
    wanted = (await forms.read(request)).one("enabled") == "1"
    async with api.of(request, who) as ours:
        await ours.patch(f"{API}/{api.key(id)}", {"accountEnabled": wanted})
    said = "It can sign in again." if wanted else "It is disabled, and its tokens are good no more."
    return rendering.done(request, said, page_of(id))


@router.get("/{id}/remove")
async def ask_to_remove(request: Request, who: Viewer, id: str) -> Response:
    """Say what goes with an application, in numbers, and ask."""
    async with api.of(request, who) as ours:
        found = await ours.get(f"{API}/{api.key(id)}")
        held = await applications.permissions(ours, id)
    counted = {"permission": held, "secret": found["passwordCredentials"], "certificate": found["keyCredentials"]}
    going = ", ".join(f"{len(those)} {what}{'s'[: len(those) != 1]}" for what, those in counted.items())
    text = f"'{found['displayName']}' goes for good, with {going}. Whatever signs in as it stops working at once."
    return _ask(request, who, f"Remove {found['displayName']}", text, "Remove application", page_of(id, "remove"), id)


@router.post("/{id}/remove")
async def remove(request: Request, who: Viewer, id: str) -> Response:
    """Remove an application."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        found = await ours.get(f"{API}/{api.key(id)}", select="appId,displayName")
        await ours.delete(f"/v1.0/applications/{api.key(found['appId'])}")
    return rendering.done(request, f"'{found['displayName']}' is removed.", places.APPLICATIONS)


def _ask(request: Request, who: Viewer, title: str, text: str, button: str, action: str, id: str) -> Response:
    return rendering.page(
        request, who, "settings/ask.html", tabs=places.TABS, ask_title=title, text=text, button=button, action=action,
        back=page_of(id), up=(places.APPLICATIONS, "Applications"),
    )  # fmt: skip
