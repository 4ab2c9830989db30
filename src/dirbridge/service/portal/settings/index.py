"""What can be set, with what each page is for."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.portal import rendering
from dirbridge.service.portal.settings import places
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(route_class=PortalRoute, include_in_schema=False)


@router.get(places.PATH)
async def show(request: Request, who: Viewer) -> Response:
    """Show what there is."""
    return rendering.page(request, who, "settings/index.html", pages=places.PAGES)
