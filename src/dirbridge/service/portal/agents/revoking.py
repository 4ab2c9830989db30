"""Shutting an agent out: what that means is said in numbers before it is done."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.agents import inventory
from dirbridge.service.portal.agents.inventory import PATH, quoted
from dirbridge.service.portal.api import Api
from dirbridge.service.portal.viewer import PortalRoute, Viewer

MOST_DOMAINS = 20
"""Of so many domains of an agent it is said who else serves them."""

router = APIRouter(prefix=PATH, route_class=PortalRoute, include_in_schema=False)


@router.get("/{agent}/revoke")
async def ask(request: Request, who: Viewer, agent: str) -> Response:
    """Say what it means, and ask."""
    async with api.of(request, who) as ours:
        found = await inventory.one(ours, agent)
        left = [await _left(ours, found, domain) for domain in found["domains"][:MOST_DOMAINS]]
    return rendering.page(request, who, "agents/revoke.html", agent=found, tabs=inventory.tabs(found["id"]), left=left)


@router.post("/{agent}/revoke")
async def revoke(request: Request, who: Viewer, agent: str) -> Response:
    """Shut it out."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        await ours.post(inventory.in_api(agent, "revoke"))
        found = await inventory.one(ours, agent)
    return rendering.done(request, f"The agent on {found['machineName']} is shut out.", inventory.page_of(agent))


async def _left(ours: Api, agent: dict[str, Any], domain: str) -> dict[str, Any]:
    """Count who else serves a domain of an agent, and the configurations that read it."""
    others = await ours.get(
        inventory.OURS, None, top=1, count="true",
        filter=f"domains/any(each:each eq {quoted(domain)}) and revokedDateTime eq null and id ne {agent['id']}",
    )  # fmt: skip
    jobs = await ours.get("/beta/dirbridge/jobs", None, top=1, count="true", filter=f"domain eq {quoted(domain)}")
    return {"domain": domain, "agents": others["@odata.count"], "jobs": jobs["@odata.count"]}
