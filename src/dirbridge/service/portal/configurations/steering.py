"""What is done with a configuration: start, pause, run now, restart, clear its quarantine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.forms import Form
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

NOTICES = {
    "clear": "The quarantine is being cleared; the next cycle begins now and tells.",
    "run": "A cycle begins now.",
    "start": "The configuration is enabled.",
    "pause": "The configuration is paused. What it wrote stays.",
    "restart": "Provisioning begins anew.",
}
"""What can be done, and what the page says of it afterwards."""

RESETS = {"escrows": "Escrows", "quarantine": "QuarantineState", "watermark": "Watermark"}
"""What a restart can clear, by the field of the form."""


@router.get("/{job}/restart")
async def ask_to_restart(request: Request, who: Viewer, job: str) -> Response:
    """Say what a restart does, in numbers, and ask."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
    objects = sum(count["value"] for count in found["status"]["synchronizedEntryCountByType"])
    return rendering.page(
        request, who, "configurations/restart.html", job=found, tabs=jobs.tabs(found), objects=objects
    )


@router.post("/{job}/act/{act}")
async def act_on(request: Request, who: Viewer, job: str, act: str) -> Response:
    """Do something with a job."""
    form = await forms.read(request)
    if act not in NOTICES:
        raise PageRefusal(404, "PageRefused", f"There is nothing called '{act}' that could be done.")
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        await ours.post(_address(found, act), _body(act, form))
    return rendering.done(request, NOTICES[act], jobs.page_of(job))


def _address(job: Mapping[str, Any], act: str) -> str:
    """Give where the API does it: start, pause and restart are Graph's own."""
    match act:
        case "clear":
            return f"{jobs.OURS}/{api.key(job['id'])}/clearQuarantine"
        case "run":
            return f"{jobs.OURS}/{api.key(job['id'])}/run"
    return jobs.in_api(job, act)


def _body(act: str, form: Form) -> dict[str, Any] | None:
    if act != "restart":
        return None
    chosen = [scope for field, scope in RESETS.items() if form.has(field)]
    if not chosen:
        raise PageRefusal(400, "PageRefused", "Choose at least one thing that the restart shall clear.")
    return {"criteria": {"resetScope": ", ".join(chosen)}}
