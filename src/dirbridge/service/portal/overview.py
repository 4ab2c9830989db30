"""The first page: what needs somebody first, how every job and agent is at a glance, and what the last day brought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from dirbridge.service.auth.sign_in.browser import SignedIn
from dirbridge.service.portal import api, charts, live, rendering
from dirbridge.service.portal.api import Api
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(route_class=PortalRoute, include_in_schema=False)

HOME = "/portal"

PAGE, MOST = 20, 10
"""How many jobs or agents a page has, and how many that need somebody."""

AGENTS = 999
"""So many are looked through for those that are not well, which no filter finds: it follows from their reports."""

_PIECES = ("attention", "totals", "standing", "activity", "jobs", "agents")
_ABSENT = ("inactive", "degraded")


@router.get("/")
async def root() -> Response:
    """Lead to the portal."""
    return RedirectResponse(HOME, status_code=303)


@router.get(HOME)
async def show(request: Request, who: Viewer) -> Response:
    """Show how everything is."""
    after = request.query_params.get("after", "")
    async with api.of(request, who) as ours:
        return rendering.page(request, who, "overview.html", **await _state(ours, after))


@router.get(HOME + "/live")
async def follow(request: Request, who: Viewer) -> StreamingResponse:
    """Send what changes of it."""
    return live.stream(request, lambda: _pieces(request, who))


async def _pieces(request: Request, who: SignedIn) -> dict[str, str]:
    async with api.of(request, who) as ours:
        state = await _state(ours, request.query_params.get("after", ""))
    return {name: rendering.part(f"overview/{name}.html", **state) for name in _PIECES}


async def _state(ours: Api, after: str) -> dict[str, Any]:
    """Read what the page shows."""
    whole = await ours.get("/beta/dirbridge/overview")
    troubled = await ours.get(jobs.OURS, filter="needsAttention eq true", top=MOST)
    listed = await ours.get(jobs.OURS, {"$skiptoken": after} if after else None, top=PAGE)
    known = (await ours.get("/beta/dirbridge/agents", top=AGENTS, filter="revokedDateTime eq null"))["value"]
    known.sort(key=lambda agent: (agent["status"] not in _ABSENT, agent["machineName"]))
    absent = [agent for agent in known if agent["status"] in _ABSENT]
    return {
        "whole": whole,
        "totals": _totals(whole["synchronizedEntryCountByType"]),
        "troubled": [{**job, "need": _need(job)} for job in troubled["value"]],
        "further": whole["jobsNeedingAttention"] - len(troubled["value"]),
        "jobs": listed["value"],
        "after": after,
        "next": _next(listed),
        "agents": known[:PAGE],
        "agent_count": len(known),
        "agent_states": Counter(agent["status"] for agent in known),
        "absent": absent[:MOST],
        "absent_count": len(absent),
        "chart": await _chart(ours),
    }


def _totals(counts: list[dict[str, Any]]) -> dict[str, int]:
    """Add up by what entries are at the source."""
    totals: dict[str, int] = {}
    for count in counts:
        kind = str(count["key"]).partition(" ")[0]
        totals[kind] = totals.get(kind, 0) + count["value"]
    return totals


async def _chart(ours: Api) -> charts.Chart:
    """Give the last 24 hours of the log."""
    found = await ours.get("/beta/dirbridge/insights")
    return charts.columns(found["by"], found["periods"], "status", charts.STATUSES)


def _next(listed: Mapping[str, Any]) -> str:
    """Give the address of the page that follows; empty where there is none."""
    found = parse_qs(urlsplit(listed.get("@odata.nextLink", "")).query).get("$skiptoken")
    return f"{HOME}?after={quote(found[0], safe='')}" if found else ""


def _need(job: Mapping[str, Any]) -> dict[str, str]:
    """Say in a word and a sentence what a job needs, and where that is mended."""
    status, failures = job["status"], job["status"]["countSuccessiveCompleteFailures"]
    last: Mapping[str, Any] = status["lastExecution"] or {}
    if status["quarantine"]:
        held = status["quarantine"]["reason"] == "TooManyDeletes"
        return {
            "word": "Quarantine",
            "kind": "bad",
            "text": (status["quarantine"].get("error") or {}).get("message") or status["quarantine"]["reason"],
            "href": jobs.page_of(job["id"], "deletes") if held else f"{jobs.page_of(job['id'])}#quarantine",
            "act": "Decide on its deletes" if held else "Open the quarantine",
        }
    if failures:
        return {
            "word": "Failing",
            "kind": "bad",
            "text": f"{_cycles(failures)} failed. {(last.get('error') or {}).get('message') or ''}",
            "href": jobs.page_of(job["id"]),
            "act": "Open the configuration",
        }
    if status["code"] == "NotConfigured":
        return {
            "word": "No agent",
            "kind": "warn",
            "text": "No agent reads this directory.",
            "href": "/portal/agents/new",
            "act": "Add an agent",
        }
    return {
        "word": "Errors",
        "kind": "warn",
        "text": f"{last.get('countEscrowed', 0):,} objects were set aside in the last cycle and are tried again.",
        "href": f"/portal/logs?job={api.key(job['id'])}&status=failure&span=all",
        "act": "See which",
    }


def _cycles(number: int) -> str:
    return "The last cycle" if number == 1 else f"The last {number:,} cycles"
