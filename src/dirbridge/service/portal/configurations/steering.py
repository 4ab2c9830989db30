"""What is done with a configuration: start, pause, run now, restart, clear its quarantine, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import PageRefusal, SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.forms import Form
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

NOTICES = {
    "clear": "The quarantine is being cleared; the next cycle begins now and tells.",
    "retry": "What failed is tried again by the next cycle, which begins now.",
    "run": "A cycle begins now.",
    "start": "The configuration is enabled.",
    "pause": "The configuration is paused. What it wrote stays.",
    "restart": "Provisioning begins anew.",
}
"""What can be done, and what the page says of it afterwards."""

RESETS = {
    "escrows": "Escrows",
    "quarantine": "QuarantineState",
    "watermark": "Watermark",
    "links": "ConnectorDataStore",
}
"""What a restart can clear, by the field of the form."""
USUAL = ("escrows", "quarantine", "watermark")
"""What it clears unless somebody chooses otherwise."""


@router.get("/{job}/restart")
async def ask_to_restart(request: Request, who: Viewer, job: str) -> Response:
    """Say what a restart does, in numbers, and ask."""
    return await _ask(request, who, job, USUAL)


@router.get("/{job}/delete")
async def ask_to_delete(request: Request, who: Viewer, job: str) -> Response:
    """Say what is lost and what stays, in numbers, and ask."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
    return rendering.page(
        request, who, "configurations/delete.html", job=found, tabs=jobs.tabs(found), objects=_objects(found)
    )


@router.post("/{job}/delete")
async def delete(request: Request, who: Viewer, job: str) -> Response:
    """Delete it."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        await ours.delete(jobs.in_api(found))
    said = f"The configuration of {found['domain']} is deleted. What it brought into the tenant stays."
    return rendering.done(request, said, jobs.PATH)


@router.post("/{job}/act/{act}")
async def act_on(request: Request, who: Viewer, job: str, act: str) -> Response:
    """Do something with a job."""
    form = await forms.read(request)
    if act not in NOTICES:
        raise PageRefusal(404, "PageRefused", f"There is nothing called '{act}' that could be done.")
    if act == "restart" and not any(form.has(field) for field in RESETS):
        return await _ask(request, who, job, (), fault="Choose at least one thing that the restart clears.")
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        await ours.post(_address(found, act), _body(act, form))
    return rendering.done(request, NOTICES[act], jobs.page_of(job))


async def _ask(request: Request, who: SignedIn, job: str, chosen: tuple[str, ...], fault: str = "") -> Response:
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        escrows = await ours.get(f"{jobs.OURS}/{api.key(job)}/escrows", count="true", top=1)
    return rendering.page(
        request, who, "configurations/restart.html", status=400 if fault else 200, job=found, tabs=jobs.tabs(found),
        objects=_objects(found), escrows=escrows["@odata.count"], chosen=chosen, fault=fault,
    )  # fmt: skip


def _objects(job: Mapping[str, Any]) -> int:
    """Count what the job has in sync."""
    return sum(count["value"] for count in job["status"]["synchronizedEntryCountByType"])


def _address(job: Mapping[str, Any], act: str) -> str:
    """Give where the API does it: start, pause and restart are Graph's own."""
    match act:
        case "clear" | "retry":
            # Both try what failed at once; a job that is in no quarantine has none to lose.
            return f"{jobs.OURS}/{api.key(job['id'])}/clearQuarantine"
        case "run":
            return f"{jobs.OURS}/{api.key(job['id'])}/run"
    return jobs.in_api(job, act)


def _body(act: str, form: Form) -> dict[str, Any] | None:
    if act != "restart":
        return None
    return {"criteria": {"resetScope": ", ".join(scope for field, scope in RESETS.items() if form.has(field))}}
