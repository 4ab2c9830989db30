"""Lists of users and of groups: found by how they begin, in pages; and what lies in the recycle bin."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dirbridge.service.portal import api, rendering
from dirbridge.service.portal.api import Api
from dirbridge.service.portal.directory import kinds
from dirbridge.service.portal.directory.kinds import DELETED, GROUP, USER, Kind
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(route_class=PortalRoute, include_in_schema=False)

PAGE = 50
LONGEST = 200
"""Characters of what is looked for."""


@router.get(USER.path)
@router.get(GROUP.path)
async def show_live(request: Request, who: Viewer) -> Response:
    """List those that are there, by name."""
    kind = kinds.asked(request)
    asked = _asked(request)
    async with api.of(request, who) as ours:
        found = await _live(ours, kind, asked, request.query_params.get("after", ""))
    return _page(request, who, kind, asked, found, deleted=False)


@router.get(f"{USER.path}/deleted")
@router.get(f"{GROUP.path}/deleted")
async def show_deleted(request: Request, who: Viewer) -> Response:
    """List those that can be restored, the one deleted last first."""
    kind = kinds.asked(request)
    asked = _asked(request)
    options: dict[str, str | int] = {"top": PAGE, "orderby": "deletedDateTime desc", "count": "true"}
    options["select"] = ",".join(kind.listed)
    if asked:
        options["search"] = _search(kind, asked)
    if after := request.query_params.get("after"):
        options["skiptoken"] = after
    async with api.of(request, who) as ours:
        found = await ours.advanced(f"{DELETED}/microsoft.graph.{kind.name}", None, **options)
    return _page(request, who, kind, asked, found, deleted=True)


@router.get("/portal/objects/{id}")
async def lead(request: Request, who: Viewer, id: str) -> Response:
    """Lead to the page of an object whose type is not known."""
    async with api.of(request, who) as ours:
        found = await ours.get(f"/beta/directoryObjects/{api.key(id)}", select="id")
    kind = kinds.BY_TYPE.get(found["@odata.type"])
    if kind is None:
        return rendering.page(
            request, who, "refused.html", status=404, code="PageRefused",
            message=f"'{id}' is neither a user nor a group; others have no page here.",
        )  # fmt: skip
    return RedirectResponse(kind.page(found["id"]), status_code=303)


async def _live(ours: Api, kind: Kind, asked: str, after: str) -> dict[str, Any]:
    options: dict[str, str | int] = {"top": PAGE, "select": ",".join(kind.listed)}
    if after:
        options["skiptoken"] = after
    if not asked:
        return await ours.get(kind.api, None, orderby="displayName", **options)
    id = _id(asked)
    if id:
        return await ours.get(kind.api, None, filter=f"id eq '{id}'", **options)
    return await ours.advanced(kind.api, None, orderby="displayName", search=_search(kind, asked), **options)


def _page(request: Request, who: Viewer, kind: Kind, asked: str, found: dict[str, Any], *, deleted: bool) -> Response:
    path = f"{kind.path}/deleted" if deleted else kind.path
    here = {"q": asked} if asked else {}
    following = api.following(found)
    return rendering.page(
        request, who, "directory/list.html", kind=kind, asked=asked, found=found["value"], deleted=deleted,
        total=found.get("@odata.count"), longest=LONGEST,
        tabs=[(kind.path, f"All {kind.many}"), (f"{kind.path}/deleted", "Deleted")],
        first=_address(path, here) if request.query_params.get("after") else "",
        following=_address(path, {**here, "after": following}) if following else "",
    )  # fmt: skip


def _asked(request: Request) -> str:
    return request.query_params.get("q", "").strip()[:LONGEST]


def _search(kind: Kind, asked: str) -> str:
    """Write a search as the API takes it: any of the properties that a type is found by."""
    text = asked.replace("\\", "\\\\").replace('"', '\\"')
    return " OR ".join(f'"{name}:{text}"' for name in kind.searched)


def _id(asked: str) -> str:
    try:
        return str(UUID(asked))
    except ValueError:
        return ""


def _address(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
