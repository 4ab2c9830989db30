"""One row of a mapping in its form: added, edited, tried, and put into the draft."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.configurations import documents, drafts, expressions, jobs, mapping, rows, trying
from dirbridge.service.portal.configurations.documents import BEHAVIOURS, FLOWS, KINDS, Document, Place
from dirbridge.service.portal.configurations.mapping import State
from dirbridge.service.portal.configurations.rows import Faults
from dirbridge.service.portal.configurations.trying import Entry
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)


@router.get("/{job}/mapping/row")
async def show(
    request: Request, who: Viewer, job: str, of: str = "", target: str = "", expression: str = "", draft: str = ""
) -> Response:
    """Show the form of a row, or of a new one."""
    found = await mapping.state(request, who, job, draft)
    document = found.applied().document
    place = documents.place(document, of)
    row = place.row(target)
    typed = rows.fields(row, target) | ({"kind": "Function"} if expression else {})
    text = expression or documents.written((row or {}).get("source"))
    was = target if row else ""
    return await _form(request, who, found, document, place, typed, text, Entry(), {}, was)


@router.post("/{job}/mapping/row")
async def keep(request: Request, who: Viewer, job: str) -> Response:
    """Put the row into the draft where the API has nothing against it; else show the form again, with what is wrong."""
    form = await forms.read(request, expressions.EXACT)
    found = await mapping.state(request, who, job, form.one("draft"))
    document = found.applied().document
    place = documents.place(document, form.one("of"))
    was, target, text = form.one("was"), form.one("target"), form.one("expression")
    async with api.of(request, who) as ours:
        entry = await expressions.entry_of(ours, found.job, place, form)
        if form.one("act") in {"try", "read"}:
            return await _form(request, who, found, document, place, rows.typed(form), text, entry, {}, was)
        result = await trying.attempt(ours, found.job, document, place, text, entry, target)
        row, faults = rows.of_form(form, place.row(was) if was else None, result)
        if target != was and place.row(target):
            faults["target"] = f"{target} is mapped already. Edit that row instead."
        draft = found.draft
        if not faults:
            if was and was != target:
                draft = drafts.with_change(draft, found.saved, place.at, was, None)
            draft = drafts.with_change(draft, found.saved, place.at, target, row)
            wanted = drafts.apply(draft, found.saved).document
            faults = rows.by_field(await rows.check(ours, found.job, wanted), documents.place(wanted, place.at), row)
    if faults:
        typed = rows.typed(form)
        return await _form(request, who, found, document, place, typed, text, entry, faults, was, status=400)
    query = {"of": place.at, "draft": drafts.write(draft)}
    return RedirectResponse(mapping.address(job, **query), status_code=303)


async def _form(
    request: Request,
    who: SignedIn,
    found: State,
    document: Document,
    place: Place,
    typed: dict[str, str],
    text: str,
    entry: Entry,
    faults: Faults,
    was: str,
    status: int = 200,
) -> Response:
    async with api.of(request, who) as ours:
        values: dict[str, Any] = await expressions.builder(
            ours, found.job, document, place, typed["target"], text, entry
        )
    targets = documents.definitions(document, place.target_directory, place.mapping["targetObjectName"])
    free = [each for each in targets if each["mutability"] != "ReadOnly"]
    return rendering.page(
        request, who, "mapping/row.html", status=status, **jobs.values(found.job), state=found,
        typed=typed, faults=faults, was=was, kinds=KINDS, flows=FLOWS, behaviours=BEHAVIOURS,
        targets=[each for each in free if each["name"] == was or not place.row(each["name"])],
        sources=trying.definitions(document, place), references=_references(document, place), **values,
    )  # fmt: skip


def _references(document: Document, place: Place) -> list[dict[str, Any]]:
    """References of several values: they are mapped as they are, and no expression can ask for them."""
    known = documents.definitions(document, place.source_directory, place.mapping["sourceObjectName"])
    return [each for each in known if each["type"] == "Reference" and each["multivalued"]]
