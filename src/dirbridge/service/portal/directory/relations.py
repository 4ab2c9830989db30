"""Who is in a group, which groups somebody is in, and whom a user manages: in pages, by id."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.portal import api, rendering
from dirbridge.service.portal.directory import kinds
from dirbridge.service.portal.directory.kinds import GROUP, USER
from dirbridge.service.portal.directory.overview import about
from dirbridge.service.portal.viewer import PortalRoute, Viewer

router = APIRouter(route_class=PortalRoute, include_in_schema=False)

PAGE = 50

RELATIONS = {
    "memberships": ("memberOf", "transitiveMemberOf", "Groups"),
    "members": ("members", "transitiveMembers", "Members"),
    "reports": ("directReports", "", "Direct reports"),
}
"""By the last part of the path: the relation, the one through other groups too, and the heading."""
_SELECT = "id,displayName,userPrincipalName,mail"


@router.get(USER.path + "/{id}/memberships")
@router.get(USER.path + "/{id}/reports")
@router.get(GROUP.path + "/{id}/members")
@router.get(GROUP.path + "/{id}/memberships")
async def show(request: Request, who: Viewer, id: str) -> Response:
    """Show what one is related with."""
    kind = kinds.asked(request)
    name = request.url.path.rpartition("/")[2]
    direct, through, heading = RELATIONS[name]
    wants_all = bool(through) and request.query_params.get("all") == "1"
    options: dict[str, str | int] = {"top": PAGE, "select": _SELECT}
    if after := request.query_params.get("after"):
        options["skiptoken"] = after
    async with api.of(request, who) as ours:
        found = await kinds.one(ours, kind, id)
        related = await ours.get(
            f"{kind.api}/{api.key(found['id'])}/{through if wants_all else direct}", None, **options
        )
    here = {"all": "1"} if wants_all else {}
    following = api.following(related)
    path = kind.page(found["id"], name)
    return rendering.page(
        request, who, "directory/related.html", **about(kind, found), related=related["value"], heading=heading,
        relation=name, by_type=kinds.BY_TYPE, direct=path, through=f"{path}?all=1" if through else "",
        wants_all=wants_all, first=_address(path, here) if after else "",
        following=_address(path, {**here, "after": following}) if following else "",
    )  # fmt: skip


def _address(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
