"""The audit trail: who did which administrative act to what, newest first; and one act with all that it tells."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.portal import api, rendering, spans
from dirbridge.service.portal.spans import Span
from dirbridge.service.portal.viewer import PortalRoute, Viewer

PATH = "/portal/audit"
PAGE = 50
_API = "/v1.0/auditLogs/directoryAudits"
CATEGORIES = (
    "Authentication", "UserManagement", "GroupManagement", "RoleManagement", "ApplicationManagement",
    "DirectoryManagement", "ProvisioningManagement", "Other",
)  # fmt: skip
_FIELDS = ("who", "activity", "category", "target")
_PLACES = {"User": "/portal/users", "Group": "/portal/groups"}

router = APIRouter(prefix=PATH, route_class=PortalRoute, include_in_schema=False)


@router.get("")
async def show_all(request: Request, who: Viewer) -> Response:
    """Show a page of acts."""
    span, values, faults = _read(request)
    after = request.query_params.get("after", "")
    found: Mapping[str, Any] = {"value": []}
    if not faults:
        options: dict[str, str | int] = {"top": PAGE, "orderby": "activityDateTime desc"}
        if condition := _condition(span, values):
            options["filter"] = condition
        if after:
            options["skiptoken"] = after
        async with api.of(request, who) as ours:
            found = await ours.get(_API, None, **options)
    asked = {**span.fields, **{name: value for name, value in values.items() if value}}
    return rendering.page(
        request, who, "audit/list.html", status=400 if faults else 200, acts=found["value"], span=span, values=values,
        faults=faults, asked=urlencode(asked), spans=spans.NAMES, categories=CATEGORIES,
        is_narrow=bool(asked.keys() - {"span"}) or span.name != "all", older=_older(span, asked, found),
        newest=f"{PATH}?{urlencode(asked)}" if after else "", initiator=initiator,
    )  # fmt: skip


@router.get("/{act}")
async def show_one(request: Request, who: Viewer, act: str) -> Response:
    """Show one act; the way back leads to the list with its filters."""
    async with api.of(request, who) as ours:
        found = await ours.get(f"{_API}/{api.key(act)}")
    span, values, _ = _read(request)
    asked = urlencode({**span.fields, **{name: value for name, value in values.items() if value}})
    places = {
        target["id"]: f"{_PLACES[target['type']]}/{api.key(target['id'])}"
        for target in found["targetResources"]
        if target["type"] in _PLACES and _is_guid(target["id"])
    }
    return rendering.page(
        request, who, "audit/act.html", act=found, back=f"{PATH}?{asked}" if asked else PATH, places=places,
        initiator=initiator,
    )  # fmt: skip


def initiator(act: Mapping[str, Any]) -> tuple[str, str]:
    """Give the name of who acted, and what finds their other acts."""
    by = act["initiatedBy"]
    if by["app"] is not None:
        return by["app"]["displayName"] or by["app"]["appId"], by["app"]["appId"]
    return by["user"]["displayName"], by["user"]["userPrincipalName"]


def _read(request: Request) -> tuple[Span, dict[str, str], dict[str, str]]:
    """Read what the address asks, and what is wrong with it, by field."""
    asked = {
        name: request.query_params.get(name, "").replace("\0", "").strip()[:400] for name in (*spans.FIELDS, *_FIELDS)
    }
    values = {name: asked[name] for name in _FIELDS}
    span = spans.read(asked, datetime.now(UTC), usual="7d")
    faults = dict(span.faults)
    if values["category"] and values["category"] not in CATEGORIES:
        faults["category"] = f"There is no category '{values['category']}'. Choose one."
        values["category"] = ""
    return span, values, faults


def _condition(span: Span, values: Mapping[str, str]) -> str:
    """Write the filter as the API takes it."""
    said = {name: api.quoted(value) for name, value in values.items() if value}
    parts = span.conditions()
    if "who" in said:
        person = f"startsWith(initiatedBy/user/userPrincipalName, {said['who']})"
        parts.append(f"({person} or initiatedBy/app/appId eq {said['who']})")
    if "activity" in said:
        parts.append(f"startsWith(activityDisplayName, {said['activity']})")
    if "category" in said:
        parts.append(f"category eq {said['category']}")
    if "target" in said:
        parts.append(f"targetResources/id eq {said['target']}")
    return " and ".join(parts)


def _older(span: Span, asked: Mapping[str, str], found: Mapping[str, Any]) -> str:
    token = api.following(found)
    if not token:
        return ""
    return f"{PATH}?{urlencode({**asked, **span.fixed, 'after': token})}"


def _is_guid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
