"""Traces and logs of one agent: a verbose trace for a time, and what its host has as one file."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.auth.sign_in.browser import PageRefusal, SignedIn
from dirbridge.service.portal import api, forms, live, rendering
from dirbridge.service.portal.agents import inventory
from dirbridge.service.portal.agents.inventory import PATH
from dirbridge.service.portal.api import Carried
from dirbridge.service.portal.rendering import Level
from dirbridge.service.portal.viewer import PortalRoute, Viewer

MINUTES = (5, 10, 30, 60, 240)
HOURS = (1, 6, 24, 72, 168)
"""What the forms offer."""

router = APIRouter(prefix=PATH, route_class=PortalRoute, include_in_schema=False)

_PIECES = ("trace", "collections")


@router.get("/{agent}/traces")
async def show(request: Request, who: Viewer, agent: str) -> Response:
    """Show them."""
    found = await _read(request, who, agent)
    return rendering.page(
        request, who, "agents/traces.html", tabs=inventory.tabs(found["agent"]["id"]), minutes=MINUTES, hours=HOURS,
        **found,
    )  # fmt: skip


@router.get("/{agent}/traces/live")
async def follow(request: Request, who: Viewer, agent: str) -> StreamingResponse:
    """Send what changes of them."""
    frame = rendering.frame(request, who)

    async def pieces() -> dict[str, str]:
        found = await _read(request, who, agent)
        return {name: rendering.part(f"agents/{name}.html", **frame, **found) for name in _PIECES}

    return live.stream(request, pieces)


@router.post("/{agent}/traces/start")
async def start(request: Request, who: Viewer, agent: str) -> Response:
    """Want a verbose trace for some minutes."""
    form = await forms.read(request)
    minutes = _number(form.one("minutes"), "minutes")
    async with api.of(request, who) as ours:
        wish = {"minutes": minutes, "values": form.has("values")}
        await ours.post(inventory.in_api(agent, "startTrace"), wish)
    said = f"A verbose trace of {minutes} minutes begins as soon as the agent hears of it."
    return rendering.done(request, said, inventory.page_of(agent, "traces"))


@router.post("/{agent}/traces/stop")
async def stop(request: Request, who: Viewer, agent: str) -> Response:
    """Want none any more."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        await ours.post(inventory.in_api(agent, "stopTrace"))
    return rendering.done(request, "The verbose trace ends.", inventory.page_of(agent, "traces"))


@router.post("/{agent}/collections")
async def collect(request: Request, who: Viewer, agent: str) -> Response:
    """Want what its host has."""
    form = await forms.read(request)
    hours = _number(form.one("hours"), "hours")
    async with api.of(request, who) as ours:
        await ours.post(inventory.in_api(agent, "logCollections"), {"hours": hours})
    said = "The agent is asked for its logs. The file is listed below as soon as it is here."
    return rendering.done(request, said, inventory.page_of(agent, "traces"))


@router.get("/{agent}/collections/{collection}/download")
async def download(request: Request, who: Viewer, agent: str, collection: str) -> Response:
    """Hand out the file."""
    at = inventory.in_api(agent, f"logCollections/{api.key(collection)}")
    async with api.of(request, who) as ours:
        found = await ours.get(at)
    if found["status"] != "ready":
        raise PageRefusal(409, "PageRefused", "The file is not here yet. It is listed as soon as the agent brought it.")
    return Carried(request, who, f"{at}/content")


@router.post("/{agent}/collections/{collection}/remove")
async def remove(request: Request, who: Viewer, agent: str, collection: str) -> Response:
    """Remove a file, or want it no more."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        await ours.delete(inventory.in_api(agent, f"logCollections/{api.key(collection)}"))
    return rendering.done(request, "The file was removed.", inventory.page_of(agent, "traces"), Level.GOOD)


async def _read(request: Request, who: SignedIn, agent: str) -> dict[str, Any]:
    async with api.of(request, who) as ours:
        found = await inventory.one(ours, agent)
        trace = await ours.get(inventory.in_api(agent, "trace"))
        collections = await ours.get(inventory.in_api(agent, "logCollections"))
    said = trace["reported"]
    return {
        "agent": found,
        "wanted": trace["wanted"],
        "on_until": inventory.moment(said, "until"),
        "shows_values": bool((said or {}).get("values")),
        "begun_by": inventory.words_of(said, "by"),
        "refused": inventory.words_of(said, "refused"),
        "collections": collections["value"],
    }


def _number(text: str, unit: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise PageRefusal(400, "PageRefused", f"'{text[:20]}' is no number of {unit}. Choose one of those offered.")
    return int(text)
