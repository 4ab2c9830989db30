"""The page of attribute filters, by object mapping. It is one form, which each of its buttons sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, forms, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.configurations import documents, filters, jobs, limits, scope
from dirbridge.service.portal.configurations.documents import Place
from dirbridge.service.portal.configurations.filters import Groups
from dirbridge.service.portal.configurations.scope import Stored
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

PAGE = "scope/filters"
Operators = Sequence[Mapping[str, Any]]


@router.get("/{job}/scope/filters")
async def show(request: Request, who: Viewer, job: str, of: str = "") -> Response:
    """Show the filters of one object mapping."""
    async with api.of(request, who) as ours:
        here = await scope.stored(ours, job)
        place = documents.place(here.document, of)
        return await _page(request, who, ours, here, place, filters.stored(place), here.tag)


@router.post("/{job}/scope/filters")
async def change(request: Request, who: Viewer, job: str) -> Response:
    """Add or take away a clause, say what saving does, or save."""
    form = await forms.read(request)
    act = form.one("act")
    async with api.of(request, who) as ours:
        here = await scope.stored(ours, job)
        place = documents.place(here.document, form.one("of"))
        groups = filters.of_form(form)
        tag = form.one("tag") or here.tag
        if act == "edit" or filters.acted(groups, act):
            return await _page(request, who, ours, here, place, groups, tag)
        rules = filters.into(here.rules, place.at, groups, _unary(await _operators(ours, here)))
        rest = filters.blame(groups, place, await _defects(ours, here, rules))
        if rest or any(clause.faults for group in groups for clause in group):
            return await _page(request, who, ours, here, place, groups, tag, faults=rest, status=400)
        if act != "save":
            return _review(request, who, here, place, groups)
        try:
            await ours.patch(jobs.in_api(here.job, "schema"), {"synchronizationRules": rules}, match=tag)
        except ApiRefusal as refusal:
            if refusal.status != scope.CHANGED_MEANWHILE:
                raise
            said = "Somebody else changed the schema meanwhile. Below is what saving would change now."
            return _review(request, who, here, place, groups, fault=said, status=409)
    return rendering.done(request, limits.saved(here.job, "The filters are saved."), _address(here, place))


def _address(here: Stored, place: Place) -> str:
    return f"{jobs.page_of(here.job['id'], PAGE)}?of={place.at}"


async def _operators(ours: Api, here: Stored) -> Operators:
    """Ask what clauses can ask; who may only read is not told, and cannot change anything either."""
    try:
        found: Operators = (await ours.get(jobs.in_api(here.job, "schema/filterOperators")))["value"]
    except ApiRefusal as refusal:
        if refusal.status != 403:
            raise
        return []
    return found


def _unary(operators: Operators) -> frozenset[str]:
    return frozenset(str(one["name"]) for one in operators if one["arity"] == "Unary")


async def _defects(ours: Api, here: Stored, rules: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Have the API check a document, which it does not store."""
    where = jobs.in_api(here.job, "schema/validate").replace("/v1.0/", "/beta/dirbridge/", 1)
    found: list[Mapping[str, Any]] = (await ours.post(where, {"synchronizationRules": rules}))["defects"]
    return found


async def _page(
    request: Request,
    who: SignedIn,
    ours: Api,
    here: Stored,
    place: Place,
    groups: Groups,
    tag: str,
    *,
    faults: Sequence[str] = (),
    status: int = 200,
) -> Response:
    operators = await _operators(ours, here)
    known = documents.definitions(here.document, place.source_directory, place.mapping["sourceObjectName"])
    return rendering.page(
        request, who, "scope/filters.html", status=status, **jobs.values(here.job), place=place, groups=groups, tag=tag,
        places=list(documents.places(here.document)), always=filters.always(place), attributes=known, faults=faults,
        operators=[one["name"] for one in operators],
    )  # fmt: skip


def _review(
    request: Request, who: SignedIn, here: Stored, place: Place, groups: Groups, *, fault: str = "", status: int = 200
) -> Response:
    return rendering.page(
        request, who, "scope/filters-review.html", status=status, **jobs.values(here.job),
        place=place, groups=groups, tag=here.tag, fault=fault,
        before=[_line(group) for group in filters.stored(place)], after=[_line(group) for group in groups],
        objects=limits.objects(here.job), leaving=limits.leaving(here.job),
    )  # fmt: skip


def _line(group: Sequence[filters.Clause]) -> str:
    return " and ".join(filters.said(clause) for clause in group)
