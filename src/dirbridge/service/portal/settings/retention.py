"""How long the log is kept; a shorter time says first how many events go."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.settings import places
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=places.RETENTION, route_class=PortalRoute, include_in_schema=False)

_API = "/beta/dirbridge/retention"


@router.get("")
async def show(request: Request, who: Viewer) -> Response:
    """Show for how many days."""
    async with api.of(request, who) as ours:
        return await _show(request, who, ours)


@router.post("")
async def change(request: Request, who: Viewer) -> Response:
    """Change it; ask before anything goes."""
    form = await forms.read(request)
    typed = form.one("days")
    async with api.of(request, who) as ours:
        now = await ours.get(_API)
        if form.one("was") != str(now["logDays"]):
            fault = f"Somebody else has changed it meanwhile: it is {now['logDays']} days now. Nothing was changed."
            return await _show(request, who, ours, fault=fault, status=409)
        wanted = _days(typed)
        if wanted is None and not form.has("reset"):
            fault = f"'{typed[:20]}' is no number of days; one from 1 to 3650 is expected."
            return await _show(request, who, ours, fault=fault, typed=typed, status=400)
        days = now["defaultLogDays"] if form.has("reset") else wanted
        try:
            if days < now["logDays"] and not form.has("sure"):
                going = await ours.post(f"{_API}/estimate", {"logDays": days})
                return rendering.page(
                    request, who, "settings/retention-ask.html", tabs=places.TABS, now=now, going=going,
                    reset=form.has("reset"),
                )  # fmt: skip
            await ours.patch(_API, {"logDays": None if form.has("reset") else wanted})
        except ApiRefusal as refusal:
            return await _show(request, who, ours, fault=str(refusal), typed=typed, status=refusal.status)
    return rendering.done(request, f"The log is kept for {days} day{'s'[: days != 1]}.", places.RETENTION)


def _days(typed: str) -> int | None:
    return int(typed) if re.fullmatch(r"[0-9]{1,4}", typed) and 1 <= int(typed) <= 3650 else None


async def _show(
    request: Request, who: Viewer, ours: Api, *, fault: str = "", typed: str | None = None, status: int = 200
) -> Response:
    now: dict[str, Any] = await ours.get(_API)
    return rendering.page(
        request, who, "settings/retention.html", status=status, tabs=places.TABS, now=now, fault=fault,
        typed=str(now["logDays"]) if typed is None else typed,
    )  # fmt: skip
