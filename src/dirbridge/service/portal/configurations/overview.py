"""One configuration: how it is, what its last cycle did, and why it is in quarantine."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.portal import api, live, rendering
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

_PIECES = ("status", "quarantine")


@router.get("/{job}")
async def show(request: Request, who: Viewer, job: str) -> Response:
    """Show it."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
    return rendering.page(request, who, "configuration.html", job=found, tabs=jobs.tabs(found))


@router.get("/{job}/live")
async def follow(request: Request, who: Viewer, job: str) -> StreamingResponse:
    """Send its status when it changes."""
    frame = rendering.frame(request, who)

    async def pieces() -> dict[str, str]:
        async with api.of(request, who) as ours:
            found = await jobs.one(ours, job)
        return {name: rendering.part(f"configurations/{name}.html", **frame, job=found) for name in _PIECES}

    return live.stream(request, pieces)
