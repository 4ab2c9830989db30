"""All configurations with their status, from which each can be looked into and steered."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, live, rendering
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)


@router.get("")
async def show(request: Request, who: Viewer) -> Response:
    """List the configurations."""
    return rendering.page(request, who, "configurations.html", jobs=await _all(request, who))


@router.get("/live")
async def follow(request: Request, who: Viewer) -> StreamingResponse:
    """Send the list when it changes."""
    frame = rendering.frame(request, who)

    async def pieces() -> dict[str, str]:
        return {"jobs": rendering.part("configurations/list.html", **frame, jobs=await _all(request, who))}

    return live.stream(request, pieces)


async def _all(request: Request, who: SignedIn) -> list[dict[str, Any]]:
    async with api.of(request, who) as ours:
        found: list[dict[str, Any]] = (await ours.get(jobs.OURS))["value"]
    return found
