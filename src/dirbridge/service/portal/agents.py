"""All agents: how each is and why, what it serves; new ones are added here and old ones shut out."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, live, rendering
from dirbridge.service.portal.api import ApiRefusal
from dirbridge.service.portal.viewer import PortalRoute, Viewer

PATH = "/portal/agents"
_API = "/beta/dirbridge/agents"

router = APIRouter(prefix=PATH, route_class=PortalRoute, include_in_schema=False)


@router.get("")
async def show_all(request: Request, who: Viewer) -> Response:
    """List the agents."""
    return rendering.page(request, who, "agents.html", agents=await _all(request, who))


@router.get("/live")
async def follow_all(request: Request, who: Viewer) -> StreamingResponse:
    """Send the list when it changes."""

    async def pieces() -> dict[str, str]:
        return {"agents": rendering.part("agents/list.html", agents=await _all(request, who))}

    return live.stream(request, pieces)


@router.get("/new")
async def ask_for_new(request: Request, who: Viewer) -> Response:
    """Ask which directories a new agent is to read."""
    return rendering.page(request, who, "agents/new.html", made=None, domains="", fault="")


@router.post("/new")
async def make_code(request: Request, who: Viewer) -> Response:
    """Make a one-time code and show the commands that use it."""
    form = await browser.read_form(request)
    domains = form.get("domains", "")
    try:
        async with api.of(request, who) as ours:
            wanted = [each for each in domains.replace(",", " ").split() if each]
            made = await ours.post("/beta/dirbridge/enrolmentCodes", {"domains": wanted})
    except ApiRefusal as refusal:
        return rendering.page(
            request, who, "agents/new.html", status=refusal.status, made=None, domains=domains, fault=str(refusal)
        )
    return rendering.page(
        request, who, "agents/new.html", made=made, domains=domains, fault="", url=request.app.state.base_url
    )


@router.get("/{agent}")
async def show_one(request: Request, who: Viewer, agent: str) -> Response:
    """Show one agent."""
    return rendering.page(request, who, "agent.html", agent=await _one(request, who, agent))


@router.get("/{agent}/live")
async def follow_one(request: Request, who: Viewer, agent: str) -> StreamingResponse:
    """Send its state when it changes."""

    async def pieces() -> dict[str, str]:
        return {"agent": rendering.part("agents/facts.html", agent=await _one(request, who, agent))}

    return live.stream(request, pieces)


@router.post("/{agent}/revoke")
async def revoke(request: Request, who: Viewer, agent: str) -> Response:
    """Shut it out."""
    await browser.read_form(request)
    async with api.of(request, who) as ours:
        await ours.post(f"{_API}/{quote(agent, safe='')}/revoke")
    return RedirectResponse(f"{PATH}/{quote(agent, safe='')}", status_code=303)


async def _all(request: Request, who: SignedIn) -> list[dict[str, Any]]:
    async with api.of(request, who) as ours:
        found: list[dict[str, Any]] = (await ours.get(_API))["value"]
    return found


async def _one(request: Request, who: SignedIn, agent: str) -> dict[str, Any]:
    async with api.of(request, who) as ours:
        return await ours.get(f"{_API}/{quote(agent, safe='')}")
