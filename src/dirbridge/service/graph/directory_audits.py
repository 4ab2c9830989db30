"""The audit trail: `/auditLogs/directoryAudits`, who did which administrative act to what, newest first.

Source: Graph directoryAudit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import LOG_READERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import context, database, guid
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse, moment
from dirbridge.store import audit_queries
from dirbridge.store.audit_queries import APPLICATION, SERVICE, AuditRow
from dirbridge.store.timeline import After

router = APIRouter()

Reader = Annotated[
    Caller,
    Depends(require("AuditLog.Read.All", "Directory.Read.All", "Directory.ReadWrite.All", roles=LOG_READERS)),
]

TYPE = "microsoft.graph.directoryAudit"
MAX_TOP = 1000
_NAMES = (
    "id", "category", "correlationId", "result", "resultReason", "activityDisplayName", "activityDateTime",
    "loggedByService", "operationType", "initiatedBy", "targetResources", "additionalDetails",
)  # fmt: skip
KNOWN = {name.lower(): name for name in _NAMES}
_ORDER = {"activitydatetime": "activityDateTime"}
_TARGETS = {
    "UserManagement": "User",
    "GroupManagement": "Group",
    "ApplicationManagement": "ServicePrincipal",
    "DirectoryManagement": "Directory",
}

Names = Mapping[UUID, tuple[UUID, str]]


@router.get("/auditLogs/directoryAudits")
async def list_audits(request: Request, caller: Reader) -> Response:
    """List administrative acts."""
    query = odata.read(request, odata.LIST - {"count"}, max_top=MAX_TOP)
    select = odata.selected(query, KNOWN, TYPE)
    where = query.where(audit_queries.PROPERTIES, TYPE, advanced=True)
    _, descending = odata.order(query, _ORDER, TYPE) or ("", True)
    after = odata.position(query, After)
    async with database(request).connection() as conn:
        rows = await audit_queries.page(
            conn, caller.tenant, where=where, after=after, ascending=not descending, limit=query.top + 1
        )
        names = await audit_queries.application_names(conn, caller.tenant, _app_ids(rows))
    return GraphResponse(
        odata.page(
            request,
            query,
            rows,
            fragment=odata.with_select("auditLogs/directoryAudits", query),
            render=lambda row: odata.chosen(_render(row, names), select),
            key=lambda row: After(row.at, row.id),
        )
    )


@router.get("/auditLogs/directoryAudits/{key}")
async def get_audit(request: Request, key: str, caller: Reader) -> Response:
    """Give one act."""
    query = odata.read(request, odata.ITEM)
    select = odata.selected(query, KNOWN, TYPE)
    id = guid(key)
    async with database(request).connection() as conn:
        row = await audit_queries.get(conn, caller.tenant, id) if id else None
        if row is None:
            raise not_found("directory audit", key)
        names = await audit_queries.application_names(conn, caller.tenant, _app_ids([row]))
    address = context(request, odata.with_select("auditLogs/directoryAudits", query) + "/$entity")
    return GraphResponse({"@odata.context": address, **odata.chosen(_render(row, names), select)})


def _render(row: AuditRow, names: Names) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "category": row.category,
        "correlationId": str(row.id),
        "result": "failure" if row.is_refusal else "success",
        "resultReason": str(row.detail.get("reason", "")) if row.is_refusal else "",
        "activityDisplayName": row.activity,
        "activityDateTime": moment(row.at),
        "loggedByService": SERVICE,
        "operationType": row.operation,
        "initiatedBy": _initiator(row.actor, names),
        "targetResources": _targets(row),
        "additionalDetails": [{"key": name, "value": _text(value)} for name, value in sorted(row.detail.items())],
    }


def _initiator(actor: str, names: Names) -> dict[str, Any]:
    app_id = _app_id(actor)
    if app_id is None:
        person = {"id": None, "displayName": actor, "userPrincipalName": actor, "ipAddress": None}
        return {"user": person, "app": None}
    object_id, name = names.get(app_id, (None, None))
    application = {
        "appId": str(app_id),
        "displayName": name,
        "servicePrincipalId": None if object_id is None else str(object_id),
        "servicePrincipalName": None,
    }
    return {"user": None, "app": application}


def _targets(row: AuditRow) -> list[dict[str, Any]]:
    if not row.target:
        return []
    kind = _TARGETS.get(row.category, "Other")
    return [{"id": row.target, "displayName": None, "type": kind, "modifiedProperties": []}]


def _app_ids(rows: list[AuditRow]) -> set[UUID]:
    return {found for row in rows if (found := _app_id(row.actor)) is not None}


def _app_id(actor: str) -> UUID | None:
    return guid(actor.removeprefix(APPLICATION)) if actor.startswith(APPLICATION) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
