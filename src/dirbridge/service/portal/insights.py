"""Insights: what the provisioning log comes to, of all configurations or of one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.contract.event import Status
from dirbridge.contract.export import Action
from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.service.portal import api, charts, rendering
from dirbridge.service.portal.api import Api
from dirbridge.service.portal.configurations import jobs
from dirbridge.service.portal.viewer import PortalRoute, Viewer

PATH = "/portal/insights"

router = APIRouter(route_class=PortalRoute, include_in_schema=False)

SPANS = {
    "24h": ("Last 24 hours", "hour", timedelta(hours=24)),
    "3d": ("Last 3 days, by hour", "hour", timedelta(hours=72)),
    "7d": ("Last 7 days", "day", timedelta(days=7)),
    "30d": ("Last 30 days", "day", timedelta(days=30)),
    "90d": ("Last 90 days", "day", timedelta(days=90)),
}
"""What the date filter offers, by what it is shown, how long it is."""
CAUSES = 15
"""So many causes are shown."""
SAME = 20
"""So many configurations of one domain are offered."""


@router.get(PATH)
async def show(request: Request, who: Viewer) -> Response:
    """Show the insights into all configurations, or into the one that is named."""
    asked = _asked(request)
    wanted = request.query_params.get("job", "").strip()
    async with api.of(request, who) as ours:
        found = await _named(ours, wanted) if wanted else []
        chosen = found[0] if len(found) == 1 else None
        missed = bool(wanted) and chosen is None
        shown = {} if missed else await _shown(ours, asked, chosen)
    status = 404 if missed and not found else 200
    return rendering.page(
        request, who, "insights.html", status=status, **_frame(asked), **shown, wanted=wanted, chosen=chosen,
        found=found, missed=missed, back=PATH,
    )  # fmt: skip


@router.get(f"{jobs.PATH}/{{job}}/insights")
async def show_one(request: Request, who: Viewer, job: str) -> Response:
    """Show the insights into a configuration, among its pages."""
    asked = _asked(request)
    async with api.of(request, who) as ours:
        chosen = await jobs.one(ours, job)
        shown = await _shown(ours, asked, chosen)
    return rendering.page(
        request, who, "configurations/insights.html", **_frame(asked), **shown, job=chosen, tabs=jobs.tabs(chosen),
        back=jobs.page_of(job, "insights"),
    )  # fmt: skip


def _asked(request: Request) -> dict[str, str]:
    asked = {name: request.query_params.get(name, "").strip() for name in ("span", "status", "action")}
    asked["span"] = asked["span"] or "7d"
    for name, known in (("span", [*SPANS]), ("status", ["", *Status]), ("action", ["", *Action])):
        if asked[name] not in known:
            raise PageRefusal(400, "BadRequest", f"'{asked[name]}' is no {name}. Choose one of the list.")
    return asked


def _frame(asked: Mapping[str, str]) -> dict[str, Any]:
    return {"asked": asked, "spans": SPANS, "statuses": list(Status), "actions": list(Action)}


async def _named(ours: Api, wanted: str) -> list[dict[str, Any]]:
    """Find the configuration by its domain or id; several where a domain has several."""
    quoted = wanted.replace("'", "''")
    condition = f"id eq '{quoted}' or domain eq '{quoted}'"
    found: list[dict[str, Any]] = (await ours.get(jobs.OURS, filter=condition, top=SAME))["value"]
    return found


async def _shown(ours: Api, asked: Mapping[str, str], job: Mapping[str, Any] | None) -> dict[str, Any]:
    """Read what the page shows."""
    _, by, length = SPANS[asked["span"]]
    step = timedelta(hours=1) if by == "hour" else timedelta(days=1)
    query = {"by": by, "from": (datetime.now(UTC) - length + step).isoformat()}
    query |= {name: asked[name] for name in ("status", "action") if asked[name]}
    if job is not None:
        query["jobId"] = job["id"]
    found = await ours.get("/beta/dirbridge/insights", query)
    causes = [{**cause, "href": _log(cause, job)} for cause in found["causes"]]
    return {
        "by_status": charts.columns(by, found["periods"], "status", charts.STATUSES),
        "by_action": charts.columns(by, found["periods"], "action", charts.ACTIONS),
        "errors": [cause for cause in causes if cause["status"] != "skipped"][:CAUSES],
        "skips": [cause for cause in causes if cause["status"] == "skipped"][:CAUSES],
        "latencies": charts.latencies(found["latencies"]),
    }


def _log(cause: Mapping[str, Any], job: Mapping[str, Any] | None) -> str:
    """Give the address of the events of a cause."""
    fields = {"status": cause["status"], "code": cause["errorCode"], "span": "all"}
    return f"/portal/logs?{urlencode({**fields, **({'job': job['id']} if job else {})})}"
