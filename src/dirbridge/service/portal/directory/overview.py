"""One user or group: what it is, the entry that it came from with what is due for it, and its last events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from dirbridge.service.portal import api, live, rendering
from dirbridge.service.portal.api import Api, ApiRefusal
from dirbridge.service.portal.directory import kinds, values
from dirbridge.service.portal.directory.kinds import GROUP, USER, Kind
from dirbridge.service.portal.viewer import PortalRoute, Viewer
from dirbridge.store.housekeeping import KEEP_DELETED

router = APIRouter(route_class=PortalRoute, include_in_schema=False)

EVENTS = 6
"""Of the log, so many of the last ones."""

_PIECES = ("origins", "events")


@router.get(USER.path + "/{id}")
@router.get(GROUP.path + "/{id}")
async def show(request: Request, who: Viewer, id: str) -> Response:
    """Show one."""
    kind = kinds.asked(request)
    async with api.of(request, who) as ours:
        found = await kinds.one(ours, kind, id)
        moving = await _moving(ours, found["id"])
        manager = await _manager(ours, kind, found)
    return rendering.page(
        request, who, "directory/overview.html", **about(kind, found), **moving, manager=manager,
        until=_until(found), path_of=kind.page,
    )  # fmt: skip


@router.get(USER.path + "/{id}/live")
@router.get(GROUP.path + "/{id}/live")
async def follow(request: Request, who: Viewer, id: str) -> StreamingResponse:
    """Send what is known of its source, and its events, when they change."""
    frame = rendering.frame(request, who)

    async def pieces() -> dict[str, str]:
        async with api.of(request, who) as ours:
            moving = await _moving(ours, id)
        return {name: rendering.part(f"directory/{name}.html", **frame, **moving) for name in _PIECES}

    return live.stream(request, pieces)


@router.get(USER.path + "/{id}/attributes")
@router.get(GROUP.path + "/{id}/attributes")
async def show_attributes(request: Request, who: Viewer, id: str) -> Response:
    """Show all that is known of one."""
    kind = kinds.asked(request)
    async with api.of(request, who) as ours:
        found = await kinds.one(ours, kind, id)
    shown, empty = values.of(found)
    return rendering.page(request, who, "directory/attributes.html", **about(kind, found), shown=shown, empty=empty)


def about(kind: Kind, found: Mapping[str, Any]) -> dict[str, Any]:
    """Give what every page of one object needs."""
    return {"kind": kind, "found": found, "name": kinds.title(found), "tabs": kind.pages(found)}


async def _moving(ours: Api, id: str) -> dict[str, Any]:
    origins = await ours.get(f"/beta/dirbridge/directoryObjects/{api.key(id)}/origins")
    events, refusal = await _events(ours, id)
    logs = "/portal/logs?" + urlencode({"span": "all", "target": id})
    return {"origins": origins["value"], "events": events, "events_refused": refusal, "logs": logs}


async def _events(ours: Api, id: str) -> tuple[list[dict[str, Any]], str]:
    """Give the last events of an object, or why the viewer does not see any."""
    condition = "targetIdentity/id eq '{}'".format(id.replace("'", "''"))
    try:
        found = await ours.get(
            "/beta/auditLogs/provisioning", filter=condition, orderby="activityDateTime desc", top=EVENTS
        )
    except ApiRefusal as refusal:
        if refusal.status != 403:
            raise
        return [], str(refusal)
    return list(found["value"]), ""


async def _manager(ours: Api, kind: Kind, found: Mapping[str, Any]) -> dict[str, Any] | None:
    if kind is not USER or found["deletedDateTime"]:
        return None
    try:
        return await ours.get(f"{kind.api}/{api.key(found['id'])}/manager", select="id,displayName")
    except ApiRefusal as refusal:
        if refusal.status != 404:
            raise
        return None


def _until(found: Mapping[str, Any]) -> str | None:
    """Give until when a deleted object can be restored."""
    deleted = found["deletedDateTime"]
    return (datetime.fromisoformat(deleted) + KEEP_DELETED).isoformat() if deleted else None
