"""The expression builder: functions with their help, attributes of a real object, what comes of an expression."""

from __future__ import annotations

from contextlib import suppress
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dirbridge.contract.wire import SEARCH_TEXT
from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.configurations import documents, jobs, trying
from dirbridge.service.portal.configurations.documents import Document, Place
from dirbridge.service.portal.configurations.trying import VALUE, Entry
from dirbridge.service.portal.forms import Form
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

EXACT = (VALUE, "constant", "default")
"""Fields whose blanks count."""

LEAST, SUGGESTED = 2, 10
"""Characters from which on objects are suggested, and how many of them."""


@router.get("/{job}/expression")
async def show(
    request: Request, who: Viewer, job: str, of: str = "", target: str = "", expression: str = "", name: str = ""
) -> Response:
    """Show the builder, with an expression or an empty one."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        document = await ours.get(jobs.in_api(found, "schema"))
        place = documents.place(document, of)
        entry = await trying.read(ours, found, place, name) if name else Entry()
        values = await builder(ours, found, document, place, target, expression, entry)
    return _page(request, who, found, document, values)


@router.post("/{job}/expression")
async def act(request: Request, who: Viewer, job: str) -> Response:
    """Do what a button of the page says, where no script does it in place."""
    form = await forms.read(request, EXACT)
    if form.one("act") == "map":
        asked = {"of": form.one("of"), "target": form.one("target"), "expression": form.one("expression")}
        return RedirectResponse(f"{jobs.page_of(job, 'mapping/row')}?{urlencode(asked)}", status_code=303)
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        document = await ours.get(jobs.in_api(found, "schema"))
        place = documents.place(document, form.one("of"))
        entry = await entry_of(ours, found, place, form)
        values = await builder(ours, found, document, place, form.one("target"), form.one("expression"), entry)
    return _page(request, who, found, document, values)


@router.post("/{job}/expression/try")
async def attempt(request: Request, who: Viewer, job: str) -> Response:
    """Say what comes of the expression, in place."""
    form = await forms.read(request, EXACT)
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        document = await ours.get(jobs.in_api(found, "schema"))
        place = documents.place(document, form.one("of"))
        entry = trying.of_form(form)
        target = form.one("target")
        result = await trying.attempt(ours, found, document, place, form.one("expression"), entry, target)
    return rendering.piece(request, who, "expression/result.html", result=result, entry=entry)


@router.post("/{job}/expression/entry")
async def read(request: Request, who: Viewer, job: str) -> Response:
    """Read an object into the boxes, in place."""
    form = await forms.read(request, EXACT)
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        document = await ours.get(jobs.in_api(found, "schema"))
        place = documents.place(document, form.one("of"))
        entry = await trying.read(ours, found, place, form.one("name"))
    full, others = trying.boxes(document, place, entry)
    answer = rendering.piece(request, who, "expression/values.html", entry=entry, full=full, others=others)
    answer.headers["HX-Trigger-After-Swap"] = "entry-read"
    return answer


@router.post("/{job}/expression/names")
async def suggest(request: Request, who: Viewer, job: str) -> Response:
    """Suggest objects by a part of their name, in place; where nobody can look around, suggest none."""
    form = await forms.read(request, EXACT)
    text, found = form.one("name"), []
    if LEAST <= len(text) <= SEARCH_TEXT and "=" not in text:
        async with api.of(request, who) as ours:
            document = await ours.get(jobs.in_api(await jobs.one(ours, job), "schema"))
            kind = documents.place(document, form.one("of")).mapping["sourceObjectName"]
            with suppress(ApiRefusal):
                wish = {"text": text, "objectTypes": [kind], "top": SUGGESTED}
                found = (await ours.post(f"{jobs.OURS}/{api.key(job)}/search", wish))["value"]
    return rendering.piece(request, who, "expression/names.html", found=found)


async def entry_of(ours: Api, job: dict[str, Any], place: Place, form: Form) -> Entry:
    """Give what an expression is tried on: read anew where the form's button says so."""
    return await trying.read(ours, job, place, form.one("name")) if form.one("act") == "read" else trying.of_form(form)


async def builder(
    ours: Api, job: dict[str, Any], document: Document, place: Place, target: str, expression: str, entry: Entry
) -> dict[str, Any]:
    """Give what the builder's part of a page needs."""
    functions = (await ours.get("/beta/dirbridge/functions"))["value"]
    full, others = trying.boxes(document, place, entry)
    return {
        "place": place,
        "target": target,
        "expression": expression,
        "entry": entry,
        "full": full,
        "others": others,
        "result": await trying.attempt(ours, job, document, place, expression, entry, target),
        "families": [(name, list(some)) for name, some in groupby(functions, key=lambda each: each["category"])],
    }


def _page(request: Request, who: SignedIn, job: dict[str, Any], document: Document, values: dict[str, Any]) -> Response:
    place: Place = values["place"]
    targets = documents.definitions(document, place.target_directory, place.mapping["targetObjectName"])
    return rendering.page(
        request, who, "expression.html", **jobs.values(job), places=list(documents.places(document)),
        targets=targets, **values,
    )  # fmt: skip
