"""Pages of the log, newest first: how many events fit, and those that come while somebody looks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.contract.event import Status
from dirbridge.contract.export import Action
from dirbridge.service.portal import api, live, rendering, spans
from dirbridge.service.portal.api import Api
from dirbridge.service.portal.logs import columns, download, filters
from dirbridge.service.portal.logs.filters import Filters
from dirbridge.service.portal.viewer import PortalRoute, Viewer

API = "/beta/auditLogs/provisioning"
PAGE = 50
OVERLAP = timedelta(seconds=60)
"""Events are dated before their transaction ends: so much later one may still come in between."""
_SHOWN = (
    "id,activityDateTime,jobId,cycleId,provisioningAction,provisioningStatusInfo,sourceIdentity,targetIdentity,"
    "sourceSystem,targetSystem,servicePrincipal,durationInMilliseconds"
)
SUGGESTED = 20

router = APIRouter(prefix=filters.PATH, route_class=PortalRoute, include_in_schema=False)


@router.get("")
async def show_all(request: Request, who: Viewer) -> Response:
    """Show a page of events."""
    after = request.query_params.get("after", "")
    total: Mapping[str, Any] | None = None
    found: Mapping[str, Any] = {"value": []}
    watch = ""
    async with api.of(request, who) as ours:
        asked = await filters.resolved(ours, filters.read(request))
        if not asked.faults:
            found = await _page(ours, asked, after)
            total = await _count(ours, asked.condition())
            watch = "" if after or asked.span.end else await _watch(ours, asked, found["value"])
    return rendering.page(
        request, who, "logs/list.html", status=400 if asked.faults else 200, asked=asked, events=found["value"],
        total=total, watch=watch, older=_older(asked, found), newest=asked.address() if after else "",
        spans=spans.NAMES, statuses=list(Status), actions=list(Action), names=columns.NAMES,
        columns=columns.chosen(request), files=download.FILES,
    )  # fmt: skip


@router.get("/live")
async def follow(request: Request, who: Viewer, since: datetime | None = None, known: int = 0) -> StreamingResponse:
    """Say how many events have come since a page was shown, and how many fit by now."""
    frame = rendering.frame(request, who)
    async with api.of(request, who) as ours:
        asked = await filters.resolved(ours, filters.read(request))
    told: dict[str, Any] = {"fresh": None, "pieces": {}}

    async def pieces() -> dict[str, str]:
        async with api.of(request, who) as ours:
            later = await _count(ours, asked.condition(*_from(since)))
            if told["fresh"] != later:
                total = await _count(ours, asked.condition())
                values = {**frame, "asked": asked, "total": total, "fresh": _fresh(later, known)}
                told["pieces"] = {name: rendering.part(f"logs/{name}.html", **values) for name in ("total", "fresh")}
                told["fresh"] = later
        return dict(told["pieces"])

    return live.stream(request, pieces)


@router.get("/configurations")
async def suggest(request: Request, who: Viewer, job: str = "") -> Response:
    """Name configurations while one is typed."""
    async with api.of(request, who) as ours:
        found = await filters.named(ours, job.strip()[:400], SUGGESTED)
    return rendering.piece(request, who, "logs/suggested.html", domains=sorted({domain for _, domain in found}))


async def _page(ours: Api, asked: Filters, after: str) -> dict[str, Any]:
    options: dict[str, str | int] = {"top": PAGE, "orderby": "activityDateTime desc", "select": _SHOWN}
    if condition := asked.condition():
        options["filter"] = condition
    if after:
        options["skiptoken"] = after
    return await ours.get(API, None, **options)


async def _count(ours: Api, condition: str) -> dict[str, Any]:
    options = {"filter": condition} if condition else {}
    return await ours.get(f"{download.LOG}/count", None, **options)


async def _watch(ours: Api, asked: Filters, events: list[dict[str, Any]]) -> str:
    """Give where later events are told: from a little before the newest one, with how many of these are shown."""
    path = f"{filters.PATH}/live"
    if not events:
        return asked.fixed(path)
    newest = datetime.fromisoformat(events[0]["activityDateTime"])
    since = newest - OVERLAP
    seen = await _count(ours, asked.condition(*_from(since)))
    if not seen["isExact"]:
        since, seen = newest + timedelta(microseconds=1), {"value": 0}
    return asked.fixed(path, since=spans.moment(since), known=str(seen["value"]))


def _from(since: datetime | None) -> list[str]:
    return [f"activityDateTime ge {spans.moment(since)}"] if since else []


def _fresh(later: Mapping[str, Any], known: int) -> dict[str, Any]:
    return {"count": max(0, (later["value"] or 0) - known), "isExact": later["isExact"]}


def _older(asked: Filters, found: Mapping[str, Any]) -> str:
    """Give the address of the next page, which begins at the same time as this one; empty where this is the last."""
    token = api.following(found)
    return asked.fixed(after=token) if token else ""
