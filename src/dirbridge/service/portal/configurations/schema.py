"""The schema document of a configuration as JSON: to read, to download, to bring another one, checked first."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api, ApiRefusal, Carried
from dirbridge.service.portal.configurations import documents, jobs, mapping_saving, rows
from dirbridge.service.portal.configurations.documents import Document
from dirbridge.service.portal.forms import Form
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

_COLLECTIONS = ("synchronizationRules", "directories")


@router.get("/{job}/schema")
async def show(request: Request, who: Viewer, job: str) -> Response:
    """Show the document."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        document, tag = await ours.tagged(jobs.in_api(found, "schema"))
    return _page(request, who, found, document, tag, _written(document))


@router.get("/{job}/schema/download")
async def download(request: Request, who: Viewer, job: str) -> Response:
    """Give the document as a file."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
    return Carried(request, who, jobs.in_api(found, "schema"), f"{found['domain']}-schema.json")


@router.post("/{job}/schema")
async def change(request: Request, who: Viewer, job: str) -> Response:
    """Check a document that somebody brings, and say what it changes; save it once that was confirmed."""
    form = await forms.read(request)
    text = _brought(form)
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        document, tag = await ours.tagged(jobs.in_api(found, "schema"))
        wanted, defects = await _checked(ours, found, text)
        if wanted is None:
            return _page(request, who, found, document, tag, text, defects=defects, status=400)
        changed = documents.differences(document, wanted)
        fault = ""
        if form.one("act") == "save":
            try:
                await ours.put(jobs.in_api(found, "schema"), wanted, match=form.one("tag"))
            except ApiRefusal as refusal:
                if refusal.status != mapping_saving.CHANGED_MEANWHILE:
                    raise
                fault = "Somebody else changed the schema meanwhile. Below is what saving would change now."
            else:
                return rendering.done(request, mapping_saving.saved(found), jobs.page_of(job, "schema"))
    return rendering.page(
        request, who, "schema/save.html", **jobs.values(found), text=text, differences=changed,
        tag=tag, fault=fault, objects=mapping_saving.objects(found), status=409 if fault else 200,
    )  # fmt: skip


@router.get("/{job}/schema/reset")
async def ask_to_reset(request: Request, who: Viewer, job: str) -> Response:
    """Say what going back to the default document changes, and ask."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        document, tag = await ours.tagged(jobs.in_api(found, "schema"))
        templates = f"/v1.0/servicePrincipals/{found['servicePrincipalId']}/synchronization/templates"
        default = await ours.get(f"{templates}/{api.key(found['templateId'])}/schema")
    return rendering.page(
        request, who, "schema/reset.html", **jobs.values(found), tag=tag,
        differences=documents.differences(document, default), objects=mapping_saving.objects(found),
    )  # fmt: skip


@router.post("/{job}/schema/reset")
async def reset(request: Request, who: Viewer, job: str) -> Response:
    """Go back to the default document."""
    form = await forms.read(request)
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        await ours.delete(jobs.in_api(found, "schema"), match=form.one("tag"))
    return rendering.done(request, mapping_saving.saved(found), jobs.page_of(job, "schema"))


def _brought(form: Form) -> str:
    """Give the text of a document: of the file, where one was chosen."""
    file = form.files.get("file")
    return file.decode("utf-8-sig", errors="replace") if file is not None else form.one("text")


async def _checked(ours: Api, job: dict[str, Any], text: str) -> tuple[Document | None, list[dict[str, str]]]:
    """Read a document and have the API check it; None where it cannot be used, with what is wrong by its path."""
    try:
        wanted = msgspec.json.decode(text.encode(), type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        return None, [{"target": "", "message": f"This is no JSON object: {error}."}]
    missing = [name for name in _COLLECTIONS if not isinstance(wanted.get(name), list)]
    if missing:
        return None, [{"target": name, "message": "It is missing, or no list."} for name in missing]
    try:
        defects = await rows.check(ours, job, wanted)
    except ApiRefusal as refusal:
        if refusal.status not in {400, 413}:
            raise
        return None, [{"target": "", "message": str(refusal)}]
    if defects:
        return None, defects
    return {name: wanted[name] for name in _COLLECTIONS}, []


def _written(document: Document) -> str:
    plain = {name: value for name, value in document.items() if "@odata." not in name}
    return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()


def _page(
    request: Request,
    who: SignedIn,
    job: dict[str, Any],
    document: Document,
    tag: str,
    text: str,
    defects: list[dict[str, str]] | None = None,
    status: int = 200,
) -> Response:
    return rendering.page(
        request, who, "schema.html", **jobs.values(job), version=document.get("version"), tag=tag, text=text,
        defects=defects or [], status=status, size=len(text.encode()),
    )  # fmt: skip
