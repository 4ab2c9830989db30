"""All configurations with their status, the worst first, from which each can be looked into and steered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.auth.sign_in.browser import PageRefusal, SignedIn
from dirbridge.service.portal import api, live, rendering
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

STATES = {
    "": "Any status",
    "attention": "Needs attention",
    "Quarantine": "In quarantine",
    "Active": "Running",
    "Paused": "Paused or disabled",
    "NotRun": "Not run yet",
    "NotConfigured": "Without an agent",
}
"""What the list can be narrowed to, by the code of the API."""

SHOWN = 50
"""So many are on one page."""


@router.get("")
async def show(request: Request, who: Viewer) -> Response:
    """List the configurations."""
    asked = _asked(request)
    state = await _state(request, who, asked)
    here = {name: value for name, value in asked.items() if value}
    first = _address("", {**here, "after": ""}) if asked["after"] else ""
    following = _address("", {**here, "after": state["token"]}) if state["token"] else ""
    return rendering.page(
        request, who, "configurations.html", **state, asked=asked, states=STATES, live=_address("/live", here),
        first=first, next=following,
    )  # fmt: skip


@router.get("/live")
async def follow(request: Request, who: Viewer) -> StreamingResponse:
    """Send the page of the list when it changes."""
    frame = rendering.frame(request, who)
    asked = _asked(request)

    async def pieces() -> dict[str, str]:
        return {"jobs": rendering.part("configurations/list.html", **frame, **await _state(request, who, asked))}

    return live.stream(request, pieces)


async def _state(request: Request, who: SignedIn, asked: Mapping[str, str]) -> dict[str, Any]:
    query = {"$filter": _filter(asked), "$skiptoken": asked["after"]}
    async with api.of(request, who) as ours:
        answer = await ours.get(jobs.OURS, {name: value for name, value in query.items() if value}, top=SHOWN)
    return {
        "jobs": answer["value"],
        "filtered": bool(query["$filter"] or query["$skiptoken"]),
        "token": jobs.position_behind(answer),
    }


def _asked(request: Request) -> dict[str, str]:
    asked = {name: request.query_params.get(name, "").strip() for name in ("state", "domain", "after")}
    if asked["state"] not in STATES:
        raise PageRefusal(400, "PageRefused", f"There is no status '{asked['state'][:40]}' to show.")
    return asked


def _filter(asked: Mapping[str, str]) -> str:
    """Write what the list is narrowed to as the API's filter."""
    clauses = []
    if asked["state"] == "attention":
        clauses.append("needsAttention eq true")
    elif asked["state"]:
        clauses.append(f"status/code eq '{asked['state']}'")
    if asked["domain"]:
        text = asked["domain"].replace("'", "''")
        clauses.append(f"contains(domain,'{text}')")
    return " and ".join(clauses)


def _address(name: str, query: Mapping[str, str]) -> str:
    asked = urlencode({name: value for name, value in query.items() if value})
    return jobs.PATH + name + (f"?{asked}" if asked else "")
