"""The log as files: all that is filtered, not only the page."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.service.portal import api
from dirbridge.service.portal.api import Carried
from dirbridge.service.portal.logs import filters
from dirbridge.service.portal.viewer import PortalRoute, Viewer

LOG = "/beta/dirbridge/provisioningLog"
FILES = {
    "events.csv": "Events as CSV",
    "steps.csv": "Their steps as CSV",
    "modifiedProperties.csv": "Their modified properties as CSV",
    "events.json": "All of it as JSON",
}
"""What is offered; CSV files are joined by the change id."""

router = APIRouter(prefix=filters.PATH, route_class=PortalRoute, include_in_schema=False)


@router.get("/download/{file}")
async def download(request: Request, who: Viewer, file: str) -> Response:
    """Hand on what the API streams."""
    if file not in FILES:
        raise PageRefusal(404, "PageRefused", f"There is no file '{file}' of the log.")
    async with api.of(request, who) as ours:
        asked = await filters.resolved(ours, filters.read(request))
    if asked.faults:
        raise PageRefusal(400, "PageRefused", " ".join(asked.faults.values()))
    condition = asked.condition()
    options = {"filter": condition} if condition else {}
    return Carried(request, who, api.address(f"{LOG}/{file}", None, **options), f"provisioning-{file}")
