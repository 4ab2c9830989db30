"""Saving a mapping: what the draft changes, row by row, how many objects that concerns, and then doing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import ApiRefusal
from dirbridge.service.portal.configurations import documents, jobs, mapping, rows
from dirbridge.service.portal.configurations.documents import Document
from dirbridge.service.portal.configurations.mapping import State
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

CHANGED_MEANWHILE = 412


@router.get("/{job}/mapping/save")
async def review(request: Request, who: Viewer, job: str, draft: str = "") -> Response:
    """Say what saving does, and ask."""
    return await _ask(request, who, await mapping.state(request, who, job, draft))


@router.post("/{job}/mapping/save")
async def save(request: Request, who: Viewer, job: str) -> Response:
    """Save the draft, unless somebody changed the document since it was reviewed."""
    form = await forms.read(request)
    found = await mapping.state(request, who, job, form.one("draft"))
    document = found.applied().document
    try:
        async with api.of(request, who) as ours:
            wanted = {"synchronizationRules": document["synchronizationRules"]}
            await ours.patch(jobs.in_api(found.job, "schema"), wanted, match=form.one("tag") or found.tag)
    except ApiRefusal as refusal:
        if refusal.status not in {400, CHANGED_MEANWHILE}:
            raise
        said = "Somebody else changed the schema meanwhile. Below is what saving would change now."
        fault = said if refusal.status == CHANGED_MEANWHILE else str(refusal)
        return await _ask(request, who, found, fault=fault, status=409)
    return rendering.done(request, saved(found.job), mapping.address(job, of=form.one("of")))


def objects(job: Mapping[str, Any]) -> int:
    """Count what a job keeps in step: all of it is looked at again after a change of its schema."""
    return sum(count["value"] for count in job["status"]["synchronizedEntryCountByType"])


def saved(job: Mapping[str, Any]) -> str:
    """Say what follows from a schema that was saved."""
    if job["schedule"]["state"] != "Active":
        return "The schema is saved. It applies when the configuration is enabled."
    return f"The schema is saved. The next cycle begins now and re-evaluates {objects(job):,} objects."


async def _ask(request: Request, who: SignedIn, found: State, *, fault: str = "", status: int = 200) -> Response:
    applied = found.applied()
    async with api.of(request, who) as ours:
        defects = await rows.check(ours, found.job, applied.document)
    changed: list[documents.Difference] = documents.differences(found.saved, applied.document)
    return rendering.page(
        request, who, "mapping/save.html", status=status, **jobs.values(found.job), state=found,
        differences=changed, defects=defects, objects=objects(found.job), fault=fault,
        conflicts=[(_named(applied.document, each.at), each.target or "its settings") for each in applied.conflicts],
        lost=len(applied.lost), proposal=_written(applied.document),
    )  # fmt: skip


def _written(document: Document) -> str:
    """Write what a preview is to use instead of the saved rules."""
    return msgspec.json.encode({"synchronizationRules": document["synchronizationRules"]}).decode()


def _named(document: Document, at: str) -> str:
    return str(documents.place(document, at).mapping["name"])
