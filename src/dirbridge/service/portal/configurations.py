"""Configurations: each job with its status, and what can be done with it, by mouse, by keyboard or without a script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in.browser import PageRefusal, SignedIn
from dirbridge.service.portal import api, live, rendering
from dirbridge.service.portal.viewer import PortalRoute, Viewer

PATH = "/portal/configurations"
_API = "/beta/dirbridge/jobs"

router = APIRouter(prefix=PATH, route_class=PortalRoute, include_in_schema=False)

NOTICES = {
    "clear": "The quarantine is being cleared; the next cycle begins now and tells.",
    "run": "A cycle begins now.",
    "start": "The configuration is enabled.",
    "pause": "The configuration is paused. What it wrote stays.",
    "restart": "Provisioning begins anew.",
}
"""What the page says of what was done just now."""

RESETS = {"escrows": "Escrows", "quarantine": "QuarantineState", "watermark": "Watermark"}
"""What a restart can clear, by the field of the form."""


@router.get("")
async def show_all(request: Request, who: Viewer) -> Response:
    """List the configurations."""
    return rendering.page(request, who, "configurations.html", jobs=await _all(request, who))


@router.get("/live")
async def follow_all(request: Request, who: Viewer) -> StreamingResponse:
    """Send the list when it changes."""

    async def pieces() -> dict[str, str]:
        return {"jobs": rendering.part("configurations/list.html", jobs=await _all(request, who))}

    return live.stream(request, pieces)


@router.get("/{job}")
async def show_one(request: Request, who: Viewer, job: str) -> Response:
    """Show one."""
    notice = NOTICES.get(request.query_params.get("done", ""), "")
    return rendering.page(request, who, "configuration.html", job=await _one(request, who, job), notice=notice)


@router.get("/{job}/live")
async def follow_one(request: Request, who: Viewer, job: str) -> StreamingResponse:
    """Send its status when it changes."""

    async def pieces() -> dict[str, str]:
        found = await _one(request, who, job)
        return {name: rendering.part(f"configurations/{name}.html", job=found) for name in ("status", "quarantine")}

    return live.stream(request, pieces)


@router.get("/{job}/restart")
async def ask_to_restart(request: Request, who: Viewer, job: str) -> Response:
    """Say what a restart does, in numbers, and ask."""
    found = await _one(request, who, job)
    objects = sum(count["value"] for count in found["status"]["synchronizedEntryCountByType"])
    return rendering.page(request, who, "configurations/restart.html", job=found, objects=objects)


@router.post("/{job}/{act}")
async def act_on(request: Request, who: Viewer, job: str, act: str) -> Response:
    """Do something with a job."""
    form = await browser.read_form(request)
    if act not in NOTICES:
        raise PageRefusal(404, "PageRefused", f"There is nothing called '{act}' that could be done.")
    found = await _one(request, who, job)
    async with api.of(request, who) as ours:
        await ours.post(_address(found, act), _body(act, form))
    return RedirectResponse(f"{PATH}/{quote(job, safe='')}?done={act}", status_code=303)


def _address(job: Mapping[str, Any], act: str) -> str:
    """Give where the API does it: start, pause and restart are Graph's own."""
    key = quote(job["id"], safe="")
    match act:
        case "clear":
            return f"{_API}/{key}/clearQuarantine"
        case "run":
            return f"{_API}/{key}/run"
    return f"/v1.0/servicePrincipals/{job['servicePrincipalId']}/synchronization/jobs/{key}/{act}"


def _body(act: str, form: Mapping[str, str]) -> dict[str, Any] | None:
    if act != "restart":
        return None
    chosen = [scope for field, scope in RESETS.items() if form.get(field)]
    if not chosen:
        raise PageRefusal(400, "PageRefused", "Choose at least one thing that the restart shall clear.")
    return {"criteria": {"resetScope": ", ".join(chosen)}}


async def _all(request: Request, who: SignedIn) -> list[dict[str, Any]]:
    async with api.of(request, who) as ours:
        found: list[dict[str, Any]] = (await ours.get(_API))["value"]
    return found


async def _one(request: Request, who: SignedIn, job: str) -> dict[str, Any]:
    async with api.of(request, who) as ours:
        return await ours.get(f"{_API}/{quote(job, safe='')}")
