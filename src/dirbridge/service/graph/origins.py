"""The way back from an object of the tenant: the entries that it came from, with what is due for them.

Graph says only that an object came from a directory on premises. Everybody who may read the tenant's objects may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.contract import codes
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import context, database, guid
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse, moment
from dirbridge.service.graph.scopes import canonical
from dirbridge.store import containers, directory_queries, due, origins
from dirbridge.store.directory_queries import Conn
from dirbridge.store.origins import Origin, Pending

router = APIRouter(prefix="/beta/dirbridge")

Reader = Annotated[Caller, Depends(require("Directory.Read.All", "Directory.ReadWrite.All"))]

_PROPERTIES = {"userPrincipalName": "userPrincipalName", "address": "proxyAddresses"}
"""The property that holds a unique value, by the value's kind."""
_REASONS = {
    due.COLLISION: "Another object has a value that this one should have.",
    due.EXPIRY: "The account expires then.",
    due.SCOPE: "Groups let the entry into scope, or no longer do.",
    due.TARGET_CHANGED: "The object was changed here by hand; the entry is compared with it again.",
    due.EXPORT_BEGUN: "What became of the last write is not known yet.",
}
"""What is due without a failure, or for one with a code of its own."""


@router.get("/directoryObjects/{key}/origins")
async def list_origins(request: Request, key: str, caller: Reader) -> Response:
    """Give the entries that an object, live or deleted, came from; nothing where people made it here."""
    odata.read(request, frozenset({"format"}))
    id = guid(key)
    async with database(request).connection() as conn:
        live = await directory_queries.get(conn, caller.tenant, id) if id else None
        row = live or (await directory_queries.get(conn, caller.tenant, id, deleted=True) if id else None)
        if row is None:
            raise not_found("directory object", key)
        found = await origins.of(conn, caller.tenant, row.id)
        pending = await origins.pending(conn, caller.tenant, found)
        places = await _places(conn, caller, found)
    where = f"dirbridge/directoryObjects('{row.id}')/origins"
    return GraphResponse({
        "@odata.context": context(request, where), "value": [_shown(each, pending, places) for each in found],
    })  # fmt: skip


async def _places(conn: Conn, caller: Caller, found: Sequence[Origin]) -> dict[tuple[str, str], list[str]]:
    """Give the names on the way to each container that one of the entries lies in, by job and container."""
    named: dict[str, set[str]] = {}
    for each in found:
        if each.container is not None:
            named.setdefault(each.job, set()).add(each.container)
    return {
        (job, anchor): names
        for job, anchors in named.items()
        for anchor, names in (await containers.paths(conn, caller.tenant, job, anchors)).items()
    }


def _shown(origin: Origin, pending: Sequence[Pending], places: Mapping[tuple[str, str], list[str]]) -> dict[str, Any]:
    above = places.get((origin.job, origin.container or ""), [])
    return {
        "jobId": origin.job,
        "domain": origin.domain,
        "servicePrincipalId": str(origin.service_principal),
        "isMaster": origin.is_master,
        "state": origin.state,
        "errorCode": origin.reason or None,
        "changedDateTime": moment(origin.changed_at),
        "source": {
            "id": origin.anchor,
            "identityType": origin.object_type,
            "displayName": origin.name,
            "canonicalName": canonical([*above, origin.name]) if above and origin.name else None,
        },
        "pending": [_pending(each) for each in pending if (each.job, each.anchor) == (origin.job, origin.anchor)],
    }


def _pending(each: Pending) -> dict[str, Any]:
    kind, _, value = (each.waits_for or "").partition(":")
    return {
        "code": each.reason,
        "message": _REASONS.get(each.reason) or codes.meaning(each.reason),
        "recommendedAction": codes.recommended_action(each.reason) or None,
        "attempts": each.attempt,
        "sinceDateTime": moment(each.since),
        "nextAttemptDateTime": moment(each.at),
        "waitsFor": {
            "property": _PROPERTIES.get(kind, kind),
            "value": value,
            "holderId": str(each.holder) if each.holder else None,
        }
        if each.waits_for
        else None,
    }
