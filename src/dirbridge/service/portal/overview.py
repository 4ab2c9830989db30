"""The first page: how every job and agent is at a glance, and what needs somebody first."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, live, rendering
from dirbridge.service.portal.api import Api
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(route_class=PortalRoute, include_in_schema=False)

HOME = "/portal"

_PIECES = ("attention", "totals", "jobs", "agents")


@router.get("/")
async def root() -> Response:
    """Lead to the portal."""
    return RedirectResponse(HOME, status_code=303)


@router.get(HOME)
async def show(request: Request, who: Viewer) -> Response:
    """Show how everything is."""
    async with api.of(request, who) as ours:
        return rendering.page(request, who, "overview.html", **await _state(ours))


@router.get(HOME + "/live")
async def follow(request: Request, who: Viewer) -> StreamingResponse:
    """Send what changes of it."""
    return live.stream(request, lambda: _pieces(request, who))


async def _pieces(request: Request, who: SignedIn) -> dict[str, str]:
    async with api.of(request, who) as ours:
        state = await _state(ours)
    return {
        name: rendering.part(f"overview/{name}.html", **state) for name in ("attention", "totals", "jobs", "agents")
    }


async def _state(ours: Api) -> dict[str, Any]:
    """Read what the page shows."""
    jobs = (await ours.get("/beta/dirbridge/jobs"))["value"]
    agents = (await ours.get("/beta/dirbridge/agents"))["value"]
    totals: dict[str, int] = {}
    for job in jobs:
        for count in job["status"]["synchronizedEntryCountByType"]:
            kind = str(count["key"]).partition(" ")[0]
            totals[kind] = totals.get(kind, 0) + count["value"]
    return {
        "jobs": jobs,
        "agents": [agent for agent in agents if agent["status"] != "revoked"],
        "totals": totals,
        "troubled": [job for job in jobs if job["status"]["code"] == "Quarantine"],
        "absent": [agent for agent in agents if agent["status"] in {"degraded", "inactive"}],
    }
