"""The steps of a new configuration after its domain: scope, mapping, a test with one user, and enabling it.

Each is a page of a job that is there already and paused; who leaves comes back to any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import ApiRefusal
from dirbridge.service.portal.configurations import choices, documents, jobs, on_demand, scope
from dirbridge.service.portal.configurations.on_demand import Tried, Wish
from dirbridge.service.portal.configurations.scope import Shown, Stored
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=f"{jobs.PATH}/new", route_class=PortalRoute, include_in_schema=False)

STEPS = (("scope", "Scope"), ("mapping", "Mapping"), ("test", "Test"), ("enable", "Enable"))
"""The last part of each step's path, and its name. The domain comes before them."""


def page_of(job: str, step: str) -> str:
    """Give the path of a step."""
    return f"{jobs.PATH}/new/{api.key(job)}/{step}"


def is_new(job: Mapping[str, Any]) -> bool:
    """Tell whether a configuration was begun, and never ran."""
    return job["schedule"]["state"] != "Active" and not job["status"]["lastExecution"]


@router.get("/{job}")
async def begin(job: str, _who: Viewer) -> Response:
    """Go to the first step of a configuration that was begun."""
    return RedirectResponse(page_of(job, "scope"), status_code=303)


@router.get("/{job}/scope")
async def show_scope(request: Request, who: Viewer, job: str) -> Response:
    """Ask who is taken."""
    async with api.of(request, who) as ours:
        here = await scope.stored(ours, job)
    if not is_new(here.job):
        return _ran(request, job)
    return _scope(request, who, here, Shown(here.choice, here.tag))


@router.post("/{job}/scope")
async def choose_scope(request: Request, who: Viewer, job: str) -> Response:
    """Look around further, or store who is taken: nobody is in step yet, so there is nothing to warn of."""
    form = await forms.read(request)
    async with api.of(request, who) as ours:
        here = await scope.stored(ours, job)
        if not is_new(here.job):
            return _ran(request, job)
        shown = await scope.looked(ours, here, form)
        if shown is not None:
            return _scope(request, who, here, shown, status=400 if shown.fault else 200)
        wanted = choices.of_form(form, here.choice)
        try:
            await scope.save(ours, here, wanted, form.one("tag"))
        except ApiRefusal as refusal:
            if refusal.status not in {400, 503, scope.CHANGED_MEANWHILE}:
                raise
            is_late = refusal.status == scope.CHANGED_MEANWHILE
            said = (
                "Somebody else changed the schema meanwhile. Look at it again, and continue."
                if is_late
                else str(refusal)
            )
            return _scope(request, who, here, Shown(wanted, here.tag, fault=said), status=409 if is_late else 400)
    return RedirectResponse(page_of(job, "mapping"), status_code=303)


@router.get("/{job}/mapping")
async def show_mapping(request: Request, who: Viewer, job: str) -> Response:
    """Show what becomes what; the editor has the rows."""
    async with api.of(request, who) as ours:
        here = await scope.stored(ours, job)
    places = [each.mapping for each in documents.places(here.document)]
    return _page(request, who, here.job, "mapping", mappings=places)


@router.get("/{job}/test")
async def ask_whom(request: Request, who: Viewer, job: str) -> Response:
    """Ask who is provisioned for a test."""
    return await _test(request, who, job, None, Tried())


@router.post("/{job}/test")
async def test(request: Request, who: Viewer, job: str) -> Response:
    """Provision one entry, and show the steps."""
    form = await forms.read(request)
    wish = Wish(form.one("dn"), regardless=form.has("regardless"))
    if not wish.dn:
        return await _test(request, who, job, wish, Tried(fault="Say who is to be provisioned.", status=400))
    return await _test(request, who, job, wish, await on_demand.carry_out(request, who, job, wish))


@router.get("/{job}/enable")
async def ask_to_enable(request: Request, who: Viewer, job: str) -> Response:
    """Say what begins, and ask."""
    async with api.of(request, who) as ours:
        here = await scope.stored(ours, job)
        agents = [
            each
            for each in (await ours.get("/beta/dirbridge/agents"))["value"]
            if here.job["domain"] in each["domains"] and each["status"] != "revoked"
        ]
    return _page(
        request, who, here.job, "enable", choice=here.choice, agents=agents,
        mappings=[each.mapping for each in documents.places(here.document)],
    )  # fmt: skip


@router.post("/{job}/enable")
async def enable(request: Request, who: Viewer, job: str) -> Response:
    """Enable it; its first cycle begins."""
    await forms.read(request)
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        await ours.post(jobs.in_api(found, "start"))
    said = f"The configuration is enabled. Its first cycle reads all of {found['domain']}."
    return rendering.done(request, said, jobs.page_of(job))


async def _test(request: Request, who: SignedIn, job: str, wish: Wish | None, tried: Tried) -> Response:
    shown: dict[str, Any] = {"outcome": tried.outcome, "fault": tried.fault}
    if rendering.is_piece(request):
        return rendering.piece(request, who, "configurations/trial/answer.html", **shown)
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        chosen = not choices.stored(await ours.get(f"{jobs.OURS}/{api.key(job)}/scope")).everything
    wish = wish or Wish(regardless=chosen)
    return _page(request, who, found, "test", status=tried.status, wish=wish, chosen=chosen, **shown)


def _ran(request: Request, job: str) -> Response:
    """Lead to where a scope is saved that objects are in already: what leaves it is said there in numbers."""
    said = "This configuration runs already, so its scope is changed here. Nothing was saved."
    return rendering.done(request, said, jobs.page_of(job, scope.PAGE), rendering.Level.WARN)


def _scope(request: Request, who: SignedIn, here: Stored, shown: Shown, *, status: int = 200) -> Response:
    values = {name: value for name, value in scope.values(here, shown).items() if name not in {"job", "at"}}
    return _page(request, who, here.job, "scope", status=status, **values)


def _page(
    request: Request, who: SignedIn, job: Mapping[str, Any], step: str, *, status: int = 200, **values: Any
) -> Response:
    shown = {"job": job, "at": jobs.page_of(job["id"]), **values}
    names = [name for name, _ in STEPS]
    later = names[names.index(step) + 1 :]
    return rendering.page(
        request, who, f"wizard/{step}.html", status=status, step=step,
        steps=[(page_of(job["id"], name), name, words) for name, words in STEPS],
        following=page_of(job["id"], later[0]) if later else "", **shown,
    )  # fmt: skip
