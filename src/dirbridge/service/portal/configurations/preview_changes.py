"""What a preview found: counted by what would happen, listed with filters, one by one, and as a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.contract.event import Status
from dirbridge.contract.export import Action
from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.service.portal import api, rendering
from dirbridge.service.portal.api import Api, Carried
from dirbridge.service.portal.configurations import jobs, stages
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(prefix=jobs.PATH, route_class=PortalRoute, include_in_schema=False)

PAGE = 50
UNDER_WAY = frozenset({"waiting", "running"})

WORDS = {
    ("create", "success"): "Would be created",
    ("update", "success"): "Would be updated",
    ("disable", "success"): "Would be disabled",
    ("delete", "success"): "Would be deleted",
    ("stagedDelete", "warning"): "Would wait for a person's word",
    ("other", "skipped"): "Would be left out",
    ("other", "warning"): "Could not be judged",
}
"""What action and status of a change mean as long as nothing of it has happened."""

_EXACT = {
    "action": "provisioningAction",
    "status": "provisioningStatusInfo/status",
    "reason": "provisioningStatusInfo/errorInformation/errorCode",
}


def page_of(job: str, preview: str) -> str:
    """Give the path of a preview's page."""
    return jobs.page_of(job, f"preview/{api.key(preview)}")


def in_api(job: str, preview: str, name: str = "") -> str:
    """Give the path at which the API has a preview, or what belongs to it."""
    path = f"{jobs.OURS}/{api.key(job)}/previews/{api.key(preview)}"
    return f"{path}/{name}" if name else path


def meaning(action: str, status: str) -> str:
    """Say what a change would do."""
    if status == Status.FAILURE:
        return "Would fail" if action == Action.OTHER else f"Would fail to {action}"
    return WORDS.get((action, status), f"{action}, {status}")


async def whole(ours: Api, asked: Mapping[str, str], job: str, preview: str) -> dict[str, Any]:
    """Read what the page of a preview shows.

    Args:
        asked: the filters, and where the page begins.
    """
    shown = await ours.get(in_api(job, preview))
    under_way = shown["status"] in UNDER_WAY
    listed = None if under_way else await _list(ours, _filters(asked), asked.get("after", ""), job, preview)
    return {
        "job_id": job,
        "preview": shown,
        "here": page_of(job, preview),
        "under_way": under_way,
        "findings": [{**count, "meaning": meaning(count["action"], count["status"])} for count in shown["counts"]],
        "listed": listed,
    }


@router.get("/{job}/preview/{preview}/changes.csv")
async def download(request: Request, who: Viewer, job: str, preview: str) -> Response:
    """Give what the filters leave as CSV."""
    condition = _condition(_filters(request.query_params))
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        shown = await ours.get(in_api(job, preview), None, select="status,createdDateTime")
    if shown["status"] in UNDER_WAY:
        raise PageRefusal(409, "PageRefused", "The preview has not ended yet; its list is complete when it has.")
    options = {"filter": condition} if condition else {}
    name = f"preview-{found['domain']}-{shown['createdDateTime'][:10]}.csv"
    return Carried(request, who, api.address(in_api(job, preview, "changes.csv"), None, **options), name)


@router.get("/{job}/preview/{preview}/changes/{change}")
async def show_one(request: Request, who: Viewer, job: str, preview: str, change: str) -> Response:
    """Show one change: the steps that led to it, and what would be written."""
    async with api.of(request, who) as ours:
        found = await jobs.one(ours, job)
        listed = await ours.get(in_api(job, preview, "changes"), None, filter=f"id eq {api.key(change)}", top=1)
    if not listed["value"]:
        raise PageRefusal(404, "PageRefused", f"The preview found no change with the id '{change}'.")
    one = listed["value"][0]
    return rendering.page(
        request, who, "configurations/trial/change.html", job=found, tabs=jobs.tabs(found), one=_with_meaning(one),
        here=page_of(job, preview), modified=one["modifiedProperties"],
        stages=stages.of(one["provisioningSteps"], one["sourceIdentity"]["identityType"], one["targetIdentity"]),
    )  # fmt: skip


def _filters(asked: Mapping[str, str]) -> dict[str, str]:
    return {name: asked.get(name, "").strip() for name in (*_EXACT, "type", "name")}


async def _list(ours: Api, filters: Mapping[str, str], after: str, job: str, preview: str) -> dict[str, Any]:
    query: dict[str, str | int] = {"top": PAGE}
    if condition := _condition(filters):
        query["filter"] = condition
    if after:
        query["skiptoken"] = after
    found = await ours.get(in_api(job, preview, "changes"), None, **query)
    here = page_of(job, preview)
    kept = {name: value for name, value in filters.items() if value}
    link = found.get("@odata.nextLink")
    token = parse_qs(urlsplit(link).query)["$skiptoken"][0] if link else ""
    return {
        "changes": [_with_meaning(change) for change in found["value"]],
        "filters": filters,
        "actions": list(Action),
        "statuses": list(Status),
        "first": _address(here, kept) if after else "",
        "further": _address(here, {**kept, "after": token}) if token else "",
        "csv": _address(f"{here}/changes.csv", kept),
    }


def _with_meaning(change: Mapping[str, Any]) -> dict[str, Any]:
    return {**change, "meaning": meaning(change["provisioningAction"], change["provisioningStatusInfo"]["status"])}


def _condition(filters: Mapping[str, str]) -> str:
    """Write the filters as the API takes them."""
    parts = [f"{path} eq {_quoted(filters[name])}" for name, path in _EXACT.items() if filters[name]]
    if kind := filters["type"]:
        parts.append(
            f"(targetIdentity/identityType eq {_quoted(kind)} or sourceIdentity/identityType eq {_quoted(kind)})"
        )
    if name := filters["name"]:
        ends = ("sourceIdentity", "targetIdentity")
        parts.append(f"({' or '.join(f'startsWith({end}/displayName, {_quoted(name)})' for end in ends)})")
    return " and ".join(parts)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _address(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
