"""The updates of one agent: what it runs, what it is to have, and the order to update at once."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, forms, live, rendering
from dirbridge.service.portal.agents import inventory
from dirbridge.service.portal.agents.inventory import PATH
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=PATH, route_class=PortalRoute, include_in_schema=False)


@router.get("/{agent}/updates")
async def show(request: Request, who: Viewer, agent: str) -> Response:
    """Show them."""
    found = await _read(request, who, agent)
    return rendering.page(request, who, "agents/updates.html", tabs=inventory.tabs(found["agent"]["id"]), **found)


@router.get("/{agent}/updates/live")
async def follow(request: Request, who: Viewer, agent: str) -> StreamingResponse:
    """Send what the updater says."""

    async def pieces() -> dict[str, str]:
        return {"update": rendering.part("agents/update.html", **await _read(request, who, agent))}

    return live.stream(request, pieces)


@router.post("/{agent}/updates/release")
async def choose(request: Request, who: Viewer, agent: str) -> Response:
    """Say which version it is to have."""
    form = await forms.read(request)
    version = form.one("version") or None
    async with api.of(request, who) as ours:
        await ours.post("/beta/dirbridge/releases/choose", {"version": version, "agentId": agent})
    said = f"The agent is to have version {version}." if version else "The agent goes with all others again."
    return rendering.done(request, said, inventory.page_of(agent, "updates"))


@router.post("/{agent}/updates/now")
async def update(request: Request, who: Viewer, agent: str) -> Response:
    """Have it updated at once."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        await ours.post(inventory.in_api(agent, "updateNow"))
    said = "The agent is told to update itself now. What its updater does is shown here."
    return rendering.done(request, said, inventory.page_of(agent, "updates"))


async def _read(request: Request, who: SignedIn, agent: str) -> dict[str, Any]:
    async with api.of(request, who) as ours:
        found = await inventory.one(ours, agent)
        update = await ours.get(inventory.in_api(agent, "update"))
    said = update["reported"]
    return {
        "agent": found,
        "update": update,
        "phase": inventory.words_of(said, "phase"),
        "said": inventory.words_of(said, "message"),
        "said_at": inventory.moment(said, "at"),
    }
