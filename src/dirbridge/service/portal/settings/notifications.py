"""Notifications: how they are sent, a test of it, and what became of the last ones."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.settings import places
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=places.NOTIFICATIONS, route_class=PortalRoute, include_in_schema=False)

_API = "/beta/dirbridge/notifications"
SHOWN = 50
"""The last messages that are shown."""


@router.get("")
async def show(request: Request, who: Viewer) -> Response:
    """Show them."""
    async with api.of(request, who) as ours:
        return await _show(request, who, ours)


@router.post("/test")
async def test(request: Request, who: Viewer) -> Response:
    """Send a test, and show what the other side said."""
    recipient = (await forms.read(request)).one("recipient")
    async with api.of(request, who) as ours:
        try:
            tried = await ours.post(f"{_API}/test", {"recipient": recipient or None})
        except ApiRefusal as refusal:
            return await _show(request, who, ours, recipient=recipient, refusal=refusal)
        return await _show(request, who, ours, recipient=recipient, tried=tried["value"])


async def _show(
    request: Request,
    who: Viewer,
    ours: Api,
    *,
    recipient: str = "",
    tried: list[dict[str, Any]] | None = None,
    refusal: ApiRefusal | None = None,
) -> Response:
    messages = (await ours.get(_API, top=SHOWN))["value"]
    ways = await ours.get("/beta/dirbridge/notificationWays")
    return rendering.page(
        request, who, "settings/notifications.html", status=refusal.status if refusal else 200, tabs=places.TABS,
        messages=messages, shown=SHOWN, ways=ways, recipient=recipient, tried=tried or [], fault=str(refusal or ""),
    )  # fmt: skip
