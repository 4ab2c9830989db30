"""Who is taken: everybody, or those in chosen containers and groups, which are looked for in the live directory.

The form works without a script: each of its buttons sends it, and what is ticked comes back ticked. Saving says first
what follows, in numbers. The wizard (`wizard.steps`) shows the same form in its own frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import PageRefusal, SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.configurations import choices, jobs, limits, surroundings
from dirbridge.service.portal.configurations.choices import Choice
from dirbridge.service.portal.configurations.documents import Document
from dirbridge.service.portal.configurations.surroundings import Level
from dirbridge.service.portal.forms import Form
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

PAGE = "scope"
CHANGED_MEANWHILE = 412


@dataclass(slots=True)
class Shown:
    """What the page shows beside the choice.

    Attributes:
        tree: None until somebody asks for it. opened: anchors of what is open in it.
        texts: what is searched for, by kind. found: what was found.
        fault: what is wrong with the choice.
    """

    choice: Choice
    tag: str
    tree: Level | None = None
    opened: tuple[str, ...] = ()
    texts: dict[str, str] = field(default_factory=dict)
    found: dict[str, Level] = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A job with its scope and its schema document."""

    job: Mapping[str, Any]
    scope: Mapping[str, Any]
    document: Document
    tag: str
    choice: Choice

    @property
    def rules(self) -> list[dict[str, Any]]:
        """The rules of its document."""
        found: list[dict[str, Any]] = self.document["synchronizationRules"]
        return found


@router.get("/{job}/scope")
async def show(request: Request, who: Viewer, job: str) -> Response:
    """Show what is chosen."""
    async with api.of(request, who) as ours:
        here = await stored(ours, job)
    return _page(request, who, here, Shown(here.choice, here.tag))


@router.post("/{job}/scope")
async def change(request: Request, who: Viewer, job: str) -> Response:
    """Look around further, say what saving does, save, or preview what a run would do."""
    form = await forms.read(request)
    async with api.of(request, who) as ours:
        here = await stored(ours, job)
        shown = await looked(ours, here, form)
        if shown is not None:
            return _page(request, who, here, shown, status=400 if shown.fault else 200)
        wanted = choices.of_form(form, here.choice)
        try:
            match form.one("act"):
                case "save":
                    await save(ours, here, wanted, form.one("tag"))
                case "preview":
                    begun = await _preview(ours, here, wanted)
                    return rendering.done(request, "A preview with this scope begins. Nothing was saved.", begun)
                case _:
                    return _review(request, who, here, wanted)
        except ApiRefusal as refusal:
            if refusal.status == CHANGED_MEANWHILE:
                said = "Somebody else changed the schema meanwhile. Below is what saving would change now."
                return _review(request, who, here, wanted, fault=said, status=409)
            if refusal.status in {400, 503}:
                return _page(request, who, here, Shown(wanted, here.tag, fault=str(refusal)), status=refusal.status)
            raise
    return rendering.done(request, limits.saved(here.job), jobs.page_of(job, PAGE))


@router.get("/{job}/scope/tree")
async def show_level(request: Request, who: Viewer, job: str, below: str = "") -> Response:
    """Give a level of the tree as a piece: of the head and what is in it where none is named."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        level = await surroundings.below(ours, found, below) if below else await surroundings.tree(ours, found)
    return rendering.piece(request, who, "scope/level.html", job=found, level=level, taken=())


@router.get("/{job}/scope/found")
async def show_found(request: Request, who: Viewer, job: str, kind: str = "") -> Response:
    """Give what has a text in its name as a piece."""
    text = request.query_params.get(f"{kind}-text", "").strip()
    if kind not in surroundings.KINDS:
        raise PageRefusal(404, "PageRefused", f"Nothing called '{kind}' can be searched for here.")
    async with api.of(request, who) as ours:
        here = await stored(ours, job)
        level = await _search(ours, here, kind, text) if text else None
    return rendering.piece(request, who, "scope/found.html", kind=kind, level=level, text=text, taken=())


async def stored(ours: Api, job: str) -> Stored:
    """Ask for a job and all that this page is about."""
    found = await jobs.one(ours, job)
    schema, tag = await ours.tagged(jobs.in_api(found, "schema"))
    scope = await ours.get(f"{jobs.OURS}/{api.key(job)}/scope")
    return Stored(found, scope, schema, tag, choices.stored(scope))


async def looked(ours: Api, here: Stored, form: Form) -> Shown | None:
    """Look around as a button of the form says, or find fault with what is ticked; None where all is well."""
    act, wanted = form.one("act"), choices.of_form(form, here.choice)
    shown = Shown(wanted, form.one("tag") or here.tag, opened=tuple(dict.fromkeys(form.all("opened"))))
    if form.has("open"):
        shown.opened = (*shown.opened, form.one("open"))
        act = "browse"
    if act == "browse":
        shown.tree = await surroundings.tree(ours, here.job, shown.opened)
        return shown
    for kind in surroundings.KINDS:
        if act == f"find-{kind}" and (text := form.one(f"{kind}-text")):
            shown.texts[kind] = text
            shown.found[kind] = await _search(ours, here, kind, text)
            return shown
    if wanted.is_empty:
        shown.fault = "Nothing is chosen. Choose a container or a group, or take everybody."
        return shown
    return None


async def save(ours: Api, here: Stored, wanted: Choice, tag: str) -> None:
    """Store a choice, unless somebody changed the document since it was shown."""
    await ours.patch(
        jobs.in_api(here.job, "schema"),
        {"synchronizationRules": choices.into(here.rules, wanted)},
        match=tag or here.tag,
    )


async def _preview(ours: Api, here: Stored, wanted: Choice) -> str:
    rules = choices.into(here.rules, wanted)
    where = f"{jobs.OURS}/{api.key(here.job['id'])}/previews"
    made = await ours.post(where, {"schema": {"synchronizationRules": rules}})
    return jobs.page_of(here.job["id"], f"preview/{api.key(made['id'])}")


async def _search(ours: Api, here: Stored, kind: str, text: str) -> Level:
    types = ["container"] if kind == "container" else _group_types(here)
    return await surroundings.search(ours, here.job, text, types)


def _group_types(here: Stored) -> list[str]:
    """Name the source's object types that have members."""
    sources = {rule["sourceDirectoryName"] for rule in here.rules}
    return [
        one["name"]
        for each in here.document["directories"]
        if each["name"] in sources
        for one in each["objects"]
        if any(attribute["name"] == "member" for attribute in one["attributes"])
    ]


def _page(request: Request, who: SignedIn, here: Stored, shown: Shown, *, status: int = 200) -> Response:
    return rendering.page(
        request, who, "configurations/scope.html", status=status, tabs=jobs.tabs(here.job), **values(here, shown)
    )


def values(here: Stored, shown: Shown) -> dict[str, Any]:
    """Give what the form's template needs."""
    return {
        "job": here.job,
        "at": jobs.page_of(here.job["id"]),
        "shown": shown,
        "choice": shown.choice,
        "differ": choices.differ(here.scope),
        "counts": limits.counts(here.job),
        "filtered": sum(
            len((mapping.get("scope") or {}).get("groups") or ()) > 0
            for rule in here.rules
            for mapping in rule["objectMappings"]
        ),
    }


def _review(
    request: Request, who: SignedIn, here: Stored, wanted: Choice, *, fault: str = "", status: int = 200
) -> Response:
    return rendering.page(
        request, who, "scope/review.html", status=status, job=here.job, tabs=jobs.tabs(here.job),
        at=jobs.page_of(here.job["id"]), tag=here.tag, choice=wanted, fault=fault,
        difference=choices.compare(here.choice, wanted), leaving=limits.leaving(here.job),
        objects=limits.objects(here.job),
    )  # fmt: skip
