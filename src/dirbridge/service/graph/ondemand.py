"""Provision on demand: one user or group through the steps of a cycle, at once, with all that each step saw.

Of members that are named with a group the second document tells as well, under `links`, an addition to Graph's.

Source: Graph synchronizationJob: provisionOnDemand; its answer holds two JSON documents as text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.contract.event import Event
from dirbridge.engine import ondemand
from dirbridge.engine.ondemand import Shown, Wish
from dirbridge.engine.run import Context
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import SYNCHRONIZERS
from dirbridge.service.graph import reasons, steps
from dirbridge.service.graph.context import body, context, database
from dirbridge.service.graph.errors import GraphError, bad_request
from dirbridge.service.graph.responses import GraphResponse, moment
from dirbridge.service.graph.synchronization import find_job
from dirbridge.store import audits, event_queries
from dirbridge.store.directory_queries import Conn
from dirbridge.store.event_queries import SOURCE_NAME, TARGET_NAME, JobNames
from dirbridge.store.jobs import Job

tree = APIRouter()

Writer = Annotated[
    Caller, Depends(require("Synchronization.ReadWrite.All", "Application.ReadWrite.OwnedBy", roles=SYNCHRONIZERS))
]

ACTIVITY = "Provision on demand"
MOST, WITHIN = 5, timedelta(seconds=10)
"""Requests that a tenant may make in a time."""
MEMBERS = 5
"""Members of a group that may be named with it."""


class Subject(msgspec.Struct, rename="camel"):
    """Who is to be provisioned: the distinguished name, in Graph's words its object id."""

    object_id: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    object_type_name: str | None = None
    links: Links | None = None


class Links(msgspec.Struct):
    """Who is to be provisioned together with a group."""

    members: list[Subject] | None = None
    manager: Subject | None = None
    owners: list[Subject] | None = None


class Parameters(msgspec.Struct, rename="camel"):
    """Subjects, under one rule of the schema."""

    subjects: list[Subject]
    rule_id: str | None = None


class Demand(msgspec.Struct, rename="camel"):
    """The request's body.

    Attributes:
        regardless_of_scope: an addition to Graph's: provision what is not in scope, too.
    """

    parameters: list[Parameters]
    regardless_of_scope: bool = False


@tree.post("/jobs/{job}/provisionOnDemand")
async def provision_on_demand(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Provision one user, or one group with up to five of its members."""
    demand = await body(request, Demand)
    async with database(request).transaction() as conn:
        found = await find_job(conn, caller, sp, job)
        subject = _subject(demand, found)
        await _throttle(conn, caller)
        detail = {"name": subject.object_id}
        await audits.record(conn, caller.tenant, actor=caller.actor, activity=ACTIVITY, target=job, detail=detail)
        names = (await event_queries.job_names(conn, caller.tenant, [job])).get(job)
    members = [
        await _provision(request, caller.tenant, job, one, demand)
        for one in (subject.links.members if subject.links else None) or ()
    ]
    shown = await _provision(request, caller.tenant, job, subject, demand)
    document = _document(shown, names)
    if members:
        document["links"] = {"members": [{**_outcome(each), **_document(each, names)} for each in members]}
    answer = {"key": _text(_outcome(shown)), "value": _text(document)}
    return GraphResponse({"@odata.context": context(request, "microsoft.graph.stringKeyStringValuePair"), **answer})


def _subject(demand: Demand, job: Job) -> Subject:
    """Give the one subject that there must be.

    Raises:
        GraphError: 400 that says what is expected.
    """
    subjects = [subject for each in demand.parameters for subject in each.subjects]
    if len(subjects) != 1:
        raise bad_request(f"parameters expects one subject, a user or a group; found {len(subjects)}.")
    rules = {str(rule.get("id")) for rule in job.schema["synchronizationRules"]}
    for each in demand.parameters:
        # Some clients mark the version of a rule behind its id.
        if each.rule_id and each.rule_id.partition("#")[0] not in rules:
            raise bad_request(f"ruleId expects one of {', '.join(sorted(rules))}; found '{each.rule_id}'.")
    links = subjects[0].links
    if links is not None and (links.manager is not None or links.owners):
        raise bad_request("links expects members only: manager and owners follow from the subject itself.")
    if links is not None and len(links.members or ()) > MEMBERS:
        raise bad_request(f"links.members expects up to {MEMBERS} members; found {len(links.members or ())}.")
    return subjects[0]


async def _throttle(conn: Conn, caller: Caller) -> None:
    recent = await audits.count_since(conn, caller.tenant, ACTIVITY, datetime.now(UTC) - WITHIN)
    if recent >= MOST:
        raise GraphError(
            429,
            "TooManyRequests",
            f"{recent} entries were provisioned on demand within {WITHIN.total_seconds():.0f} seconds.",
            headers={"Retry-After": str(int(WITHIN.total_seconds()))},
        )


async def _provision(request: Request, tenant: UUID, job: str, subject: Subject, demand: Demand) -> Shown:
    engine: Context = request.app.state.engine
    wish = Wish(subject.object_id, (subject.object_type_name or "").lower(), demand.regardless_of_scope)
    shown = await ondemand.provision_one(engine, tenant, job, wish)
    if shown is None:
        raise GraphError(404, "NotFound", f"The synchronization job '{job}' does not exist any more.")
    return shown


# The answer -----------------------------------------------------------------------------------------------------------


def _text(document: dict[str, Any]) -> str:
    return msgspec.json.encode(document).decode()


_RESULTS = {"success": "Success", "failure": "Failure", "skipped": "Skipped", "warning": "Success"}


def _outcome(shown: Shown) -> dict[str, Any]:
    event = shown.event
    fault = event.detail.fault
    code = fault.code if fault else event.reason
    details = {"errorCode": code, "errorMessage": _said(shown)} if code else {}
    return {"result": _RESULTS[event.status.value], "details": details}


def _said(shown: Shown) -> str:
    fault = shown.event.detail.fault
    if fault:
        return fault.reason
    last = shown.event.detail.steps[-1]
    return " ".join(part for part in (steps.describe(last, _scene(shown.event, None)), shown.remark) if part)


def _scene(event: Event, names: JobNames | None) -> steps.Scene:
    source = (names.source_name if names else None) or SOURCE_NAME
    target = (names.target_name if names else None) or TARGET_NAME
    return steps.Scene(event.source_type, event.source_name, source, event.target_type, event.target_name, target)


def _document(shown: Shown, names: JobNames | None) -> dict[str, Any]:
    event = shown.event
    scene = _scene(event, names)
    said = reasons.information(event.reason, event.status.value, event.detail) or {}
    return {
        "action": _pascal(event.action.value),
        "changeId": str(event.change),
        "startTime": moment(shown.began),
        "endTime": moment(shown.ended),
        "reportableIdentifier": event.source_name,
        "modifiedProperties": [
            {"displayName": each.name, "oldValue": each.old, "newValue": each.new} for each in event.detail.modified
        ],
        "provisioningSteps": [
            {
                "name": step.code,
                "type": _pascal(step.type.value),
                "status": _pascal(step.status.value),
                "description": steps.describe(step, scene),
                "timestamp": moment(event.at),
                "details": step.details,
            }
            for step in event.detail.steps
        ],
        "sourceIdentity": _identity(event.source_id, event.source_type, event.source_name),
        "sourceSystem": {"id": (names.source_id if names else None) or "", "name": scene.source_system, "details": {}},
        "targetIdentity": _identity(event.target_id, event.target_type, event.target_name),
        "targetSystem": {"id": (names.target_id if names else None) or "", "name": scene.target_system, "details": {}},
        "statusInfo": {
            "status": _pascal(event.status.value),
            "errorCode": said.get("errorCode"),
            "reason": shown.remark or said.get("reason"),
            "additionalDetails": said.get("additionalDetails"),
            "errorCategory": _pascal(said["errorCategory"]) if said else None,
            "recommendedAction": said.get("recommendedAction"),
        },
        "remark": shown.remark or None,
    }


def _identity(id: str, kind: str, name: str) -> dict[str, Any]:
    return {"id": id, "type": kind, "displayName": name, "details": {}}


def _pascal(word: str) -> str:
    return word[:1].upper() + word[1:]
