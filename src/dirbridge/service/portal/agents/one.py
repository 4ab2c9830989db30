"""One agent: how it is and why, each check, what went wrong lately."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, live, rendering
from dirbridge.service.portal.agents import inventory
from dirbridge.service.portal.agents.inventory import PATH
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=PATH, route_class=PortalRoute, include_in_schema=False)

_PIECES = ("facts", "checks", "errors")


@router.get("/{agent}")
async def show(request: Request, who: Viewer, agent: str) -> Response:
    """Show it."""
    found = await _read(request, who, agent)
    return rendering.page(request, who, "agents/one.html", tabs=inventory.tabs(found["agent"]["id"]), **found)


@router.get("/{agent}/live")
async def follow(request: Request, who: Viewer, agent: str) -> StreamingResponse:
    """Send what changes of it."""

    async def pieces() -> dict[str, str]:
        found = await _read(request, who, agent)
        return {name: rendering.part(f"agents/{name}.html", **found) for name in _PIECES}

    return live.stream(request, pieces)


async def _read(request: Request, who: SignedIn, agent: str) -> dict[str, Any]:
    async with api.of(request, who) as ours:
        found = await inventory.one(ours, agent)
        errors = await ours.get(inventory.in_api(agent, "errors"))
    return {"agent": found, "errors": errors["value"], "started": _started(found)}


def _started(agent: Mapping[str, Any]) -> str:
    """Say when its process began: so long before its last report as it says that it runs."""
    if agent["uptimeInSeconds"] is None or agent["lastReportDateTime"] is None:
        return ""
    try:
        began = datetime.fromisoformat(agent["lastReportDateTime"]) - timedelta(seconds=agent["uptimeInSeconds"])
    except OverflowError:
        return ""
    return f"{began:%Y-%m-%dT%H:%M:%SZ}"
