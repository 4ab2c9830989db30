"""The provisioning log: `/auditLogs/provisioning`, newest first.

Source: Graph provisioningObjectSummary.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import LOG_READERS
from dirbridge.service.graph import odata, reasons, steps
from dirbridge.service.graph.context import context, database, guid, version
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.store import event_queries
from dirbridge.store.event_queries import INITIATOR, SOURCE_NAME, TARGET_NAME, EventRow, JobNames
from dirbridge.store.timeline import After

router = APIRouter()

Reader = Annotated[
    Caller,
    Depends(
        require(
            "ProvisioningLog.Read.All",
            "AuditLog.Read.All",
            "Directory.Read.All",
            "Directory.ReadWrite.All",
            roles=LOG_READERS,
        )
    ),
]

TYPE = "microsoft.graph.provisioningObjectSummary"
MAX_TOP = 1000
_NAMES = (
    "id", "activityDateTime", "tenantId", "jobId", "cycleId", "changeId", "provisioningAction",
    "durationInMilliseconds", "sourceSystem", "targetSystem", "initiatedBy", "servicePrincipal", "sourceIdentity",
    "targetIdentity", "provisioningStatusInfo", "provisioningSteps", "modifiedProperties",
)  # fmt: skip
KNOWN = {name.lower(): name for name in (*_NAMES, "action", "statusInfo")}
ORDER = {"activitydatetime": "activityDateTime"}


@router.get("/auditLogs/provisioning")
async def list_events(request: Request, caller: Reader) -> Response:
    """List what happened to entries."""
    query = odata.read(request, odata.LIST - {"count"}, max_top=MAX_TOP)
    select = odata.selected(query, KNOWN, TYPE)
    where = query.where(event_queries.PROPERTIES, TYPE, advanced=True)
    _, descending = odata.order(query, ORDER, TYPE) or ("", True)
    after = odata.position(query, After)
    async with database(request).connection() as conn:
        rows = await event_queries.page(
            conn, caller.tenant, where=where, after=after, ascending=not descending, limit=query.top + 1
        )
        told = {row.job for row in rows}
        names = await event_queries.job_names(conn, caller.tenant, told)
    jobs = {job: ends(names.get(job)) for job in told}
    return GraphResponse(
        odata.page(
            request,
            query,
            rows,
            fragment=odata.with_select("auditLogs/provisioning", query),
            render=lambda row: odata.chosen(render(request, caller, row, jobs[row.job]), select),
            key=lambda row: After(row.at, row.id),
        )
    )


@router.get("/auditLogs/provisioning/{key}")
async def get_event(request: Request, key: str, caller: Reader) -> Response:
    """Give one event."""
    query = odata.read(request, odata.ITEM)
    select = odata.selected(query, KNOWN, TYPE)
    id = guid(key)
    async with database(request).connection() as conn:
        row = await event_queries.get(conn, caller.tenant, id) if id else None
        if row is None:
            raise not_found("provisioning event", key)
        names = await event_queries.job_names(conn, caller.tenant, [row.job])
    address = context(request, odata.with_select("auditLogs/provisioning", query) + "/$entity")
    shown = render(request, caller, row, ends(names.get(row.job)))
    return GraphResponse({"@odata.context": address, **odata.chosen(shown, select)})


class Ends(msgspec.Struct, frozen=True):
    """What all events of a job show alike: from where to where, and for which application."""

    source_name: str
    target_name: str
    source: dict[str, Any]
    target: dict[str, Any]
    principal: dict[str, Any]


def ends(job: JobNames | None) -> Ends:
    """Show the ends of a job; None for one that was deleted."""
    source_name = (job.source_name if job else None) or SOURCE_NAME
    target_name = (job.target_name if job else None) or TARGET_NAME
    return Ends(
        source_name,
        target_name,
        {"id": (job.source_id if job else None) or "", "displayName": source_name, "details": {}},
        {"id": (job.target_id if job else None) or "", "displayName": target_name, "details": _application(job)},
        {
            "id": str(job.service_principal) if job else "",
            "displayName": job.service_principal_name if job else "",
        },
    )


class _Identity(msgspec.Struct, gc=False, rename="camel"):
    id: str
    display_name: str
    identity_type: str
    details: dict[str, str] = {}


class _Modified(msgspec.Struct, gc=False, rename="camel"):
    display_name: str
    old_value: str | None
    new_value: str | None


_INITIATOR = {"id": "", "displayName": INITIATOR, "initiatorType": "system"}


def render(request: Request, caller: Caller, row: EventRow, of: Ends) -> dict[str, Any]:
    """Show an event as Graph's provisioningObjectSummary.

    Ids, times and codes stay what they are: the encoder writes them, and faster than they are turned into text here.
    """
    detail = row.unpacked()
    of_event = scene(row, of)
    status = {"status": row.status, "errorInformation": reasons.information(row.reason, row.status, detail)}
    shown: dict[str, Any] = {
        "id": row.id,
        "activityDateTime": row.at,
        "tenantId": caller.tenant,
        "jobId": row.job,
        "cycleId": row.cycle,
        "changeId": row.change,
        "provisioningAction": row.action,
        "durationInMilliseconds": row.duration,
        "sourceSystem": of.source,
        "targetSystem": of.target,
        "initiatedBy": _INITIATOR,
        "servicePrincipal": of.principal,
        "sourceIdentity": _Identity(row.source_id, row.source_name, row.source_type),
        "targetIdentity": _Identity(row.target_id, row.target_name, row.target_type),
        "provisioningStatusInfo": status,
        "provisioningSteps": [steps.render(step, of_event) for step in detail.steps],
        "modifiedProperties": [_Modified(each.name, each.old, each.new) for each in detail.modified],
    }
    if version(request) == "beta":
        shown |= {"action": row.action[:1].upper() + row.action[1:], "statusInfo": status}
    return shown


def scene(row: EventRow, of: Ends) -> steps.Scene:
    """Give what the sentences of an event name."""
    return steps.Scene(
        row.source_type, row.source_name, of.source_name, row.target_type, row.target_name, of.target_name
    )


def _application(job: JobNames | None) -> dict[str, str]:
    if job is None:
        return {}
    return {
        "ApplicationId": str(job.app_id),
        "ServicePrincipalId": str(job.service_principal),
        "ServicePrincipalDisplayName": job.service_principal_name,
    }
