"""A new agent: a one-time code, the commands that use it, and whether it has come."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.portal import api, forms, live, rendering
from dirbridge.service.portal.agents import inventory
from dirbridge.service.portal.agents.inventory import PATH
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.viewer import PortalRoute, Viewer

CODES = "/beta/dirbridge/enrolmentCodes"

router = APIRouter(prefix=PATH, route_class=PortalRoute, include_in_schema=False)


@router.get("/new")
async def ask(request: Request, who: Viewer) -> Response:
    """Ask which directories a new agent is to read."""
    domains = request.query_params.get("domains", "")[:2000]
    return rendering.page(request, who, "agents/new.html", domains=domains, fault="")


@router.post("/new")
async def make(request: Request, who: Viewer) -> Response:
    """Make a one-time code and show the commands that use it; the code is on this page only."""
    form = await forms.read(request)
    domains = form.one("domains")
    wanted = [each for each in domains.replace(",", " ").split() if each]
    try:
        async with api.of(request, who) as ours:
            made = await ours.post(CODES, {"domains": wanted})
            code = await _code(ours, made["id"])
    except ApiRefusal as refusal:
        if refusal.status != 400:
            raise
        fault = str(refusal) if wanted else "Name at least one domain, such as corp.example.com."
        return rendering.page(request, who, "agents/new.html", status=400, domains=domains, fault=fault)
    return rendering.page(
        request, who, "agents/code.html", secret=made["code"], url=request.app.state.base_url.rstrip("/"), **code
    )


@router.get("/codes/{code}")
async def show(request: Request, who: Viewer, code: str) -> Response:
    """Show what became of a code."""
    async with api.of(request, who) as ours:
        found = await _code(ours, code)
    return rendering.page(request, who, "agents/code.html", secret="", url="", **found)


@router.get("/codes/{code}/live")
async def follow(request: Request, who: Viewer, code: str) -> StreamingResponse:
    """Say when the agent has come."""

    async def pieces() -> dict[str, str]:
        async with api.of(request, who) as ours:
            return {"arrival": rendering.part("agents/arrival.html", **await _code(ours, code))}

    return live.stream(request, pieces)


async def _code(ours: Api, code: str) -> dict[str, Any]:
    found = await ours.get(f"{CODES}/{api.key(code)}")
    agent = await inventory.one(ours, found["agentId"]) if found["agentId"] else None
    return {"code": found, "agent": agent}
