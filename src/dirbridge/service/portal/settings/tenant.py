"""The tenant: its verified domains, the account that configurations write as, and the keys that sign tokens."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.settings import places
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=places.TENANT, route_class=PortalRoute, include_in_schema=False)

_KEYS = "/beta/dirbridge/signingKeys"
_ACCOUNT = "/beta/dirbridge/synchronizationAccount"

ASKED = {
    "keys/rotate": (
        "Make a new signing key", "Make key",
        (
            "A new key is made and begins to sign tokens in a day. Until then everybody who verifies tokens learns of "
            "it; what the old key signed stays good."
        ),
    ),
    "account/repair": (
        "Repair the synchronization account", "Repair",
        (
            "The account is brought back to what it must be, with new credentials; configurations that wait in "
            "quarantine for it begin at once."
        ),
    ),
}  # fmt: skip
"""What is asked before: title, button, and what it does."""


@router.get("")
async def show(request: Request, who: Viewer) -> Response:
    """Show it."""
    async with api.of(request, who) as ours:
        return await _show(request, who, ours)


@router.post("/domains")
async def add_domain(request: Request, who: Viewer) -> Response:
    """Add a domain."""
    name = (await forms.read(request)).one("name")
    async with api.of(request, who) as ours:
        try:
            made = await ours.post("/v1.0/domains", {"id": name})
        except ApiRefusal as refusal:
            return await _show(request, who, ours, name=name, refusal=refusal)
    return rendering.done(request, f"{made['id']} is a verified domain of the tenant now.", places.TENANT)


@router.get("/keys/{kid}/remove")
async def ask_to_remove_key(request: Request, who: Viewer, kid: str) -> Response:
    """Say what goes with a key, and ask."""
    async with api.of(request, who) as ours:
        keys = (await ours.get(_KEYS))["value"]
    if kid not in {each["id"] for each in keys}:
        raise PageRefusal(404, "PageRefused", "This key is not there any more.")
    text = (
        f"Of {len(keys)} key{'s'[: len(keys) != 1]} this one goes for good. Every token that it signed is refused "
        "within seconds, and who holds one signs in again."
    )
    return _ask(request, who, "Remove a signing key", "Remove key", text, f"keys/{api.key(kid)}/remove")


@router.post("/keys/{kid}/remove")
async def remove_key(request: Request, who: Viewer, kid: str) -> Response:
    """Remove a key."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        await ours.delete(f"{_KEYS}/{api.key(kid)}")
    return rendering.done(request, "The key is removed.", places.TENANT)


@router.get("/keys/rotate")
@router.get("/account/repair")
async def ask(request: Request, who: Viewer) -> Response:
    """Say what an act does, and ask."""
    name = request.url.path.removeprefix(f"{places.TENANT}/")
    title, button, text = ASKED[name]
    return _ask(request, who, title, button, text, name)


@router.post("/keys/rotate")
async def rotate(request: Request, who: Viewer) -> Response:
    """Make a new key."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        await ours.post(_KEYS)
    return rendering.done(request, "A new key is made; it begins to sign in a day.", places.TENANT)


@router.post("/account/repair")
async def repair(request: Request, who: Viewer) -> Response:
    """Repair the account."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        made = await ours.post(f"{_ACCOUNT}/repair")
    number = len(made["jobsDueNow"])
    return rendering.done(
        request, f"The account is repaired. {number} configuration{'s'[: number != 1]} begin{'s'[: number == 1]} now.",
        places.TENANT,
    )  # fmt: skip


async def _show(
    request: Request, who: Viewer, ours: Api, *, name: str = "", refusal: ApiRefusal | None = None
) -> Response:
    organization = (await ours.get("/v1.0/organization"))["value"][0]
    domains = (await ours.get("/v1.0/domains"))["value"]
    account, account_refused = await _allowed(ours, _ACCOUNT)
    keys, keys_refused = await _allowed(ours, _KEYS)
    return rendering.page(
        request, who, "settings/tenant.html", status=refusal.status if refusal else 200, tabs=places.TABS,
        organization=organization, domains=domains, account=account, account_refused=account_refused,
        keys=keys.get("value", []), keys_refused=keys_refused, name=name, fault=str(refusal or ""),
    )  # fmt: skip


async def _allowed(ours: Api, path: str) -> tuple[dict[str, Any], str]:
    """Give what is there, or why the viewer does not see it."""
    try:
        return await ours.get(path), ""
    except ApiRefusal as refusal:
        if refusal.status != 403:
            raise
        return {}, str(refusal)


def _ask(request: Request, who: Viewer, title: str, button: str, text: str, action: str) -> Response:
    return rendering.page(
        request, who, "settings/ask.html", tabs=places.TABS, ask_title=title, text=text, button=button,
        action=f"{places.TENANT}/{action}", back=places.TENANT, up=(places.TENANT, "Tenant"),
    )  # fmt: skip
