"""The attribute mapping of a configuration: its rows by object type, what is changed in them, and how that is saved.

Changes gather in a draft (`drafts`) until somebody reviews and saves them together: each save makes the next cycle
read everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dirbridge.service.auth.sign_in.browser import PageRefusal, SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.configurations import documents, drafts, jobs
from dirbridge.service.portal.configurations.documents import ACTIONS, FLOWS, KINDS, Document, Place, Row
from dirbridge.service.portal.configurations.drafts import Applied, Draft
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Line:
    """A row as the list shows it.

    Attributes:
        mark: what the draft does with it: `new`, `changed`, `removed`, or nothing.
    """

    target: str
    source: str
    kind: str
    flow: str
    default: str
    match: int
    mark: str


@dataclass(frozen=True, slots=True)
class State:
    """What every page of the mapping needs.

    Attributes:
        saved: the document as it is saved. tag: of its version.
        draft: what is not saved yet. text: the same as it stands in the address.
    """

    job: dict[str, Any]
    saved: Document
    tag: str
    draft: Draft
    text: str

    def applied(self) -> Applied:
        """Give the document as it will be."""
        return drafts.apply(self.draft, self.saved)

    def address(self, name: str = "", **asked: str) -> str:
        """Give the address of a page of the mapping that keeps the draft."""
        return address(self.job["id"], name, draft=self.text, **asked)


async def state(request: Request, who: SignedIn, job: str, text: str) -> State:
    """Ask for the document as it is saved."""
    draft = drafts.read(text)
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        saved, tag = await ours.tagged(jobs.in_api(found, "schema"))
    return State(found, saved, tag, draft, text)


def address(job: str, name: str = "", **asked: str) -> str:
    """Give the address of a page of a job's mapping."""
    query = urlencode({key: value for key, value in asked.items() if value})
    return jobs.page_of(job, f"mapping/{name}" if name else "mapping") + (f"?{query}" if query else "")


@router.get("/{job}/mapping")
async def show(request: Request, who: Viewer, job: str, of: str = "", q: str = "", draft: str = "") -> Response:
    """Show the rows of one object mapping, with the draft's changes."""
    found = await state(request, who, job, draft)
    applied = found.applied()
    place = documents.place(applied.document, of)
    saved = documents.place(found.saved, place.at)
    lines = [each for each in _lines(saved, place) if _has(each, q)]
    return rendering.page(
        request, who, "mapping.html", **jobs.values(found.job), state=found, applied=applied,
        place=place, places=list(documents.places(applied.document)), lines=lines, q=q, actions=ACTIONS,
        wanted=_actions(place.mapping),
    )  # fmt: skip


@router.post("/{job}/mapping/change/{act}")
async def change(request: Request, who: Viewer, job: str, act: str) -> Response:
    """Put a change into the draft, or take one out: a row that goes, one that comes back, the mapping's settings."""
    form = await forms.read(request)
    found = await state(request, who, job, form.one("draft"))
    at, target = form.one("of"), form.one("target")
    match act:
        case "remove":
            draft = drafts.with_change(found.draft, found.saved, at, target, None)
        case "undo":
            draft = drafts.undone(found.draft, at, target)
        case "settings":
            chosen = ",".join(name for name in ACTIONS if form.has(name)) or "None"
            settings = {"enabled": form.has("enabled"), "flowTypes": chosen}
            draft = drafts.with_change(found.draft, found.saved, at, "", settings)
        case _:
            raise PageRefusal(404, "PageRefused", f"There is nothing called '{act}' that could be done.")
    query = {"of": at, "q": form.one("q"), "draft": drafts.write(draft)}
    return RedirectResponse(address(job, **query), status_code=303)


@router.post("/{job}/mapping/defaults")
async def restore(request: Request, who: Viewer, job: str) -> Response:
    """Put into the draft what leads back to the template's rows; scope and filters stay."""
    form = await forms.read(request)
    found = await state(request, who, job, form.one("draft"))
    async with api.of(request, who) as ours:
        principal = f"/v1.0/servicePrincipals/{found.job['servicePrincipalId']}/synchronization"
        default = await ours.get(f"{principal}/templates/{api.key(found.job['templateId'])}/schema")
    draft: Draft = ()
    here = {_pair(each): each for each in documents.places(found.saved)}
    for each in documents.places(default):
        if place := here.get(_pair(each)):
            draft = _towards(draft, found.saved, place, each)
    back = address(job, of=form.one("of"), draft=drafts.write(draft))
    said = f"{len(draft)} changes lead back to the default mapping. They are not saved yet."
    if not draft:
        return rendering.done(request, "The mapping is the default one already.", back)
    return rendering.done(request, said, back, rendering.Level.WARN)


def _towards(draft: Draft, saved: Document, place: Place, default: Place) -> Draft:
    """Add what makes one mapping the default one."""
    wanted = {row["targetAttributeName"]: row for row in default.rows}
    for target in {*wanted, *(row["targetAttributeName"] for row in place.rows)}:
        draft = drafts.with_change(draft, saved, place.at, target, wanted.get(target))
    return drafts.with_change(draft, saved, place.at, "", default.settings())


def _pair(place: Place) -> tuple[str, str, str]:
    return (place.mapping["name"], place.mapping["sourceObjectName"], place.mapping["targetObjectName"])


def _lines(saved: Place, wanted: Place) -> list[Line]:
    before = {row["targetAttributeName"]: row for row in saved.rows}
    after = {row["targetAttributeName"]: row for row in wanted.rows}
    found = []
    for target in sorted({*before, *after}, key=str.lower):
        old, new = before.get(target), after.get(target)
        mark = "" if old == new else "new" if old is None else "removed" if new is None else "changed"
        found.append(_line(target, new or old or {}, mark))
    return found


def _line(target: str, row: Row, mark: str) -> Line:
    flow = str(row.get("flowType") or "Always")
    return Line(
        target=target,
        source=documents.written(row.get("source")),
        kind=KINDS[documents.kind(row)],
        flow=FLOWS.get(flow, flow),
        default=str(row.get("defaultValue") or ""),
        match=int(row.get("matchingPriority") or 0),
        mark=mark,
    )


def _has(line: Line, q: str) -> bool:
    wanted = q.strip().lower()
    return wanted in f"{line.target}\n{line.source}\n{line.kind}\n{line.default}".lower()


def _actions(mapping: Row) -> set[str]:
    return {part.strip() for part in mapping.get("flowTypes", "").split(",")}
