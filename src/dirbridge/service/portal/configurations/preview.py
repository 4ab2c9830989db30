"""Previews of a whole cycle: ask for one, follow it, stop or forget it. What one found is in `preview_changes`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, forms, live, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.configurations import jobs, preview_changes
from dirbridge.service.portal.configurations.preview_changes import UNDER_WAY
from dirbridge.service.portal.forms import Form
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

PAGE = 20
_FEW = "id,status,withProposedSchema,proposedSettings,requestedBy,createdDateTime,endedDateTime,progress"
"""What a list shows; what was found is not counted for it."""
_MOVING = f"{_FEW},startedDateTime,error"

SETTINGS = {
    "DeleteThresholdValue": "Deletes that may go in 24 hours",
    "MemberThresholdValue": "Members that a group may lose in 24 hours",
}
"""Settings that the form offers to try, and what they say."""


@router.get("/{job}/preview")
async def show_all(request: Request, who: Viewer, job: str) -> Response:
    """List the previews, and offer another one."""
    return await _list(request, who, job)


@router.get("/{job}/preview/live")
async def follow_all(request: Request, who: Viewer, job: str) -> StreamingResponse:
    """Send the list when it changes."""

    async def pieces() -> dict[str, str]:
        async with api.of(request, who) as ours:
            shown = await _page(ours, job, request.query_params.get("after", ""))
        return {"previews": rendering.part("configurations/trial/previews.html", job_id=job, **shown)}

    return live.stream(request, pieces)


@router.post("/{job}/preview")
async def begin(request: Request, who: Viewer, job: str) -> Response:
    """Ask for a preview of what is saved, or of what is proposed beside it."""
    form = await forms.read(request)
    settings = {name: form.one(name) for name in SETTINGS if form.has(name)}
    try:
        wish: dict[str, Any] = {"settings": settings} if settings else {}
        if proposed := _proposed(form):
            wish["schema"] = json.loads(proposed)
        async with api.of(request, who) as ours:
            made = await ours.post(f"{jobs.OURS}/{api.key(job)}/previews", wish)
    except (ValueError, RecursionError) as error:
        return await _list(request, who, job, form=form, fault=f"The schema is not JSON: {error}.", status=400)
    except ApiRefusal as refusal:
        if refusal.status not in {400, 429, 503}:
            raise
        return await _list(request, who, job, form=form, fault=str(refusal), status=refusal.status)
    return rendering.done(
        request, "You asked for a preview. Nothing of it is written.", preview_changes.page_of(job, made["id"])
    )


@router.get("/{job}/preview/{preview}")
async def show_one(request: Request, who: Viewer, job: str, preview: str) -> Response:
    """Show one: how far it is, or what it found."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        shown = await preview_changes.whole(ours, request.query_params, job, preview)
    return rendering.page(request, who, "configurations/preview.html", job=found, tabs=jobs.tabs(found), **shown)


@router.get("/{job}/preview/{preview}/live")
async def follow_one(request: Request, who: Viewer, job: str, preview: str) -> StreamingResponse:
    """Send how far it is; when it has ended, all that it found, and that no more follows."""
    ended: dict[str, str] = {}

    async def pieces() -> dict[str, str]:
        if ended:
            return ended
        try:
            async with api.of(request, who) as ours:
                return await _pieces(ours)
        except ApiRefusal as refusal:
            if refusal.status != 404:
                raise
            ended["state"] = rendering.part("configurations/trial/forgotten.html", job_id=job)
            ended["ended"] = "forgotten"
            return ended

    async def _pieces(ours: Api) -> dict[str, str]:
        now = await ours.get(preview_changes.in_api(job, preview), None, select=_MOVING)
        if now["status"] in UNDER_WAY:
            return {"state": rendering.part("configurations/trial/preview-state.html", job_id=job, preview=now)}
        shown = await preview_changes.whole(ours, {}, job, preview)
        for piece in ("state", "findings", "changes"):
            ended[piece] = rendering.part(f"configurations/trial/preview-{piece}.html", **shown)
        ended["ended"] = "ended"
        return ended

    return live.stream(request, pieces)


@router.get("/{job}/preview/{preview}/delete")
async def ask_to_delete(request: Request, who: Viewer, job: str, preview: str) -> Response:
    """Say what is forgotten, and ask."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        shown = await ours.get(preview_changes.in_api(job, preview))
    return rendering.page(
        request, who, "configurations/trial/delete.html", job=found, tabs=jobs.tabs(found), preview=shown, job_id=job,
        found=sum(count["number"] for count in shown["counts"]),
    )  # fmt: skip


@router.post("/{job}/preview/{preview}/delete")
async def delete(request: Request, who: Viewer, job: str, preview: str) -> Response:
    """Stop it where it still runs, and forget what it found."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        await ours.delete(preview_changes.in_api(job, preview))
    return rendering.done(request, "The preview is forgotten.", jobs.page_of(job, "preview"))


def _proposed(form: Form) -> bytes | str:
    """Give the schema document to try: a file, or the text that another page of the portal sends."""
    return form.files.get("schema") or form.one("schema")


async def _list(
    request: Request, who: SignedIn, job: str, *, form: Form | None = None, fault: str = "", status: int = 200
) -> Response:
    after = request.query_params.get("after", "")
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        shown = await _page(ours, job, after)
    filled = {name: form.one(name) if form else "" for name in SETTINGS}
    return rendering.page(
        request, who, "configurations/previews.html", status=status, job=found, tabs=jobs.tabs(found), job_id=job,
        objects=sum(count["value"] for count in found["status"]["synchronizedEntryCountByType"]), filled=filled,
        fault=fault, offered=SETTINGS, after=after, **shown,
    )  # fmt: skip


async def _page(ours: Api, job: str, after: str) -> dict[str, Any]:
    """Read a page of previews, and where the pages beside it are."""
    query: dict[str, str | int] = {"top": PAGE, "select": _FEW}
    if after:
        query["skiptoken"] = after
    found = await ours.get(f"{jobs.OURS}/{api.key(job)}/previews", None, **query)
    here = jobs.page_of(job, "preview")
    return {"previews": found["value"], "newest": here if after else "", "older": _older(here, found)}


def _older(here: str, found: Mapping[str, Any]) -> str:
    link = found.get("@odata.nextLink")
    token = parse_qs(urlsplit(link).query)["$skiptoken"][0] if link else ""
    return f"{here}?{urlencode({'after': token})}" if token else ""
