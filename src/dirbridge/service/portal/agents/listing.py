"""All agents: how each is and why, and what it serves; by name or domain where there are many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, live, rendering
from dirbridge.service.portal.agents.inventory import OURS, PATH, quoted
from dirbridge.service.portal.viewer import PortalRoute, Viewer

PAGE = 50

router = APIRouter(prefix=PATH, route_class=PortalRoute, include_in_schema=False)


@router.get("")
async def show(request: Request, who: Viewer) -> Response:
    """List the agents."""
    return rendering.page(request, who, "agents/index.html", **await _read(request, who))


@router.get("/live")
async def follow(request: Request, who: Viewer) -> StreamingResponse:
    """Send the list when it changes."""

    async def pieces() -> dict[str, str]:
        return {"agents": rendering.part("agents/list.html", **await _read(request, who))}

    return live.stream(request, pieces)


async def _read(request: Request, who: SignedIn) -> dict[str, Any]:
    asked = {name: request.query_params.get(name, "").strip()[:400] for name in ("name", "domain", "revoked")}
    after = request.query_params.get("after", "")
    options: dict[str, str | int] = {"top": PAGE, "filter": _condition(asked)}
    if after:
        options["skiptoken"] = after
    async with api.of(request, who) as ours:
        found = await ours.get(OURS, None, **{name: value for name, value in options.items() if value})
    kept = {name: value for name, value in asked.items() if value}
    link = found.get("@odata.nextLink")
    further = {**kept, "after": parse_qs(urlsplit(link).query)["$skiptoken"][0]} if link else {}
    return {
        "agents": found["value"],
        "asked": asked,
        "live": _address(f"{PATH}/live", {**kept, "after": after} if after else kept),
        "first": _address(PATH, kept) if after else "",
        "older": _address(PATH, further) if further else "",
    }


def _condition(asked: Mapping[str, str]) -> str:
    parts = [] if asked["revoked"] else ["revokedDateTime eq null"]
    if asked["name"]:
        parts.append(f"contains(machineName, {quoted(asked['name'])})")
    if asked["domain"]:
        parts.append(f"domains/any(each:each eq {quoted(asked['domain'].lower())})")
    return " and ".join(parts)


def _address(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
