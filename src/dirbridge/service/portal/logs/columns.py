"""The columns of the log that somebody wants to see, remembered by their browser."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dirbridge.service.auth.sign_in import browser
from dirbridge.service.portal import forms
from dirbridge.service.portal.logs import filters
from dirbridge.service.portal.viewer import PortalRoute, Viewer

COOKIE = "__Host-dirbridge-columns"
_REMEMBERED = 400 * 86_400
"""Seconds; browsers keep a cookie no longer."""

NAMES: Mapping[str, str] = {
    "status": "Status",
    "code": "Code",
    "action": "Action",
    "source": "Source",
    "sourceId": "Source id",
    "sourceSystem": "Source system",
    "target": "Target",
    "targetId": "Target id",
    "targetSystem": "Target system",
    "configuration": "Configuration",
    "cycle": "Cycle",
    "duration": "Duration",
}
"""What can be shown beside the time, in this order."""
USUAL = ("status", "action", "source", "target", "configuration")

router = APIRouter(prefix=filters.PATH, route_class=PortalRoute, include_in_schema=False)


@router.post("/columns")
async def choose(request: Request, _who: Viewer) -> Response:
    """Remember which columns are wanted, and show the log again as it was."""
    form = await forms.read(request)
    chosen = [name for name in NAMES if name in form.all("column")] or list(USUAL)
    answer = RedirectResponse(filters.read(request).address(), status_code=303)
    browser.set_cookie(answer, COOKIE, ".".join(chosen), seconds=_REMEMBERED)
    return answer


def chosen(request: Request) -> list[str]:
    """Give the columns of this browser."""
    wanted = request.cookies.get(COOKIE, "").split(".")
    return [name for name in NAMES if name in wanted] or list(USUAL)
