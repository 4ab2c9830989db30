"""The provisioning log: filtered by what stands in the address, newest first; and one event with all that it tells."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.contract.event import Status
from dirbridge.contract.export import Action
from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.service.portal import api, rendering
from dirbridge.service.portal.viewer import PortalRoute, Viewer

PATH = "/portal/logs"
_API = "/beta/auditLogs/provisioning"
PAGE = 50

router = APIRouter(prefix=PATH, route_class=PortalRoute, include_in_schema=False)

SPANS = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(days=1)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
    "all": ("All that is kept", None),
}
"""What the date filter offers."""

_EXACT = {
    "status": "provisioningStatusInfo/status",
    "action": "provisioningAction",
    "job": "jobId",
    "cycle": "cycleId",
    "change": "changeId",
    "code": "provisioningStatusInfo/errorInformation/errorCode",
}
_NAMES = {"source": "sourceIdentity", "target": "targetIdentity"}
_UNQUOTED = frozenset({"cycle", "change"})
FIELDS = ("span", "from", *_EXACT, *_NAMES)
"""What may stand in the address, besides where the page begins."""


@router.get("")
async def show_all(request: Request, who: Viewer) -> Response:
    """Show a page of events."""
    asked = {name: request.query_params.get(name, "").strip() for name in FIELDS}
    asked["span"] = asked["span"] if asked["span"] in SPANS else "24h"
    asked["from"] = _begin(asked)
    query: dict[str, str | int] = {"top": PAGE, "orderby": "activityDateTime desc"}
    if condition := _condition(asked):
        query["filter"] = condition
    if after := request.query_params.get("after"):
        query["skiptoken"] = after
    async with api.of(request, who) as ours:
        found = await ours.get(_API, None, **query)
    return rendering.page(
        request, who, "logs.html", events=found["value"], asked=asked, spans=SPANS, statuses=list(Status),
        actions=list(Action), older=_older(asked, found), is_first=not after,
    )  # fmt: skip


@router.get("/{event}")
async def show_one(request: Request, who: Viewer, event: str) -> Response:
    """Show one event."""
    async with api.of(request, who) as ours:
        found = await ours.get(f"{_API}/{quote(event, safe='')}")
    return rendering.page(request, who, "event.html", event=found)


def _begin(asked: Mapping[str, str]) -> str:
    """Give the time from which on events are shown: pages that follow begin where the first one did."""
    if asked["from"]:
        try:
            at = datetime.fromisoformat(asked["from"])
        except ValueError as error:
            raise PageRefusal(
                400, "PageRefused", f"'{asked['from']}' is no time such as 2030-08-20T12:00:00Z."
            ) from error
        return f"{at.replace(tzinfo=at.tzinfo or UTC).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    length = SPANS[asked["span"]][1]
    return f"{datetime.now(UTC) - length:%Y-%m-%dT%H:%M:%SZ}" if length else ""


def _condition(asked: Mapping[str, str]) -> str:
    """Write the filter as the API takes it."""
    parts = [f"activityDateTime ge {asked['from']}"] if asked["from"] else []
    parts += [
        f"{path} eq {asked[name] if name in _UNQUOTED else _quoted(asked[name])}"
        for name, path in _EXACT.items()
        if asked[name]
    ]
    parts += [
        f"({path}/id eq {_quoted(asked[name])} or startsWith({path}/displayName, {_quoted(asked[name])}))"
        for name, path in _NAMES.items()
        if asked[name]
    ]
    return " and ".join(parts)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _older(asked: Mapping[str, str], found: Mapping[str, Any]) -> str:
    """Give the address of the next page; empty where this is the last."""
    link = found.get("@odata.nextLink")
    if not link:
        return ""
    token = parse_qs(urlsplit(link).query)["$skiptoken"][0]
    return f"{PATH}?{urlencode({**{name: value for name, value in asked.items() if value}, 'after': token})}"
