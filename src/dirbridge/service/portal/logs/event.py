"""One event: what was done step by step, what is to be done about it, what was written."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.portal import api, rendering
from dirbridge.service.portal.logs import filters
from dirbridge.service.portal.logs.listing import API
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=filters.PATH, route_class=PortalRoute, include_in_schema=False)

PEOPLE = {"user": "/portal/users", "group": "/portal/groups"}
"""Where an object of the tenant is shown, by its type in lower case."""

CAPTIONS = {
    "import": "Import the object",
    "scoping": "Determine if the object is in scope",
    "matching": "Match the object between source and target",
    "processing": "Evaluate the object before it is provisioned",
    "referenceResolution": "Resolve references to other objects",
    "export": "Provision the object",
}
"""What each kind of step is there for."""


@router.get("/{event}")
async def show_one(request: Request, who: Viewer, event: str) -> Response:
    """Show one event; the way back leads to the list with its filters."""
    async with api.of(request, who) as ours:
        found = await ours.get(f"{API}/{api.key(event)}")
    target = found["targetIdentity"]
    place = PEOPLE.get(str(target["identityType"]).lower(), "")
    return rendering.page(
        request, who, "logs/event.html", event=found, back=filters.read(request).address(),
        captions=CAPTIONS,
        target=f"{place}/{api.key(target['id'])}" if place and target["id"] else "",
    )  # fmt: skip
