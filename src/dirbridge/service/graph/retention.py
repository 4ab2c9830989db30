"""How long the provisioning log and notifications are kept, and what a shorter time would remove.

Graph has no word for it, so it lies under /beta/dirbridge, in Graph's conventions.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import HYBRID, LOG_READERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import context, database, exact_body
from dirbridge.service.graph.responses import GraphResponse, moment, no_content
from dirbridge.store import audits, events, retention

router = APIRouter(prefix="/beta/dirbridge/retention")

_WRITE = "Organization.ReadWrite.All"
Reader = Annotated[Caller, Depends(require("Organization.Read.All", _WRITE, roles=LOG_READERS))]
Writer = Annotated[Caller, Depends(require(_WRITE, roles=HYBRID))]

COUNTED = 100_000
"""As far as is counted what a shorter time would remove."""

Days = Annotated[int, msgspec.Meta(ge=1, le=3650)]


class Wish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """For how many days to keep the log; null is the service's own setting."""

    log_days: Days | None


class Question(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """For how many days it might be kept."""

    log_days: Days


@router.get("")
async def show(request: Request, caller: Reader) -> Response:
    """Say how long the log is kept, and when its oldest event happened."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        shown = await _show(request, conn, caller)
    return GraphResponse({"@odata.context": context(request, "dirbridge/retention"), **shown})


@router.patch("")
async def change(request: Request, caller: Writer) -> Response:
    """Keep the log for longer or shorter; what is older then goes within minutes, for good."""
    wish = await exact_body(request, Wish)
    async with database(request).transaction() as conn:
        before = await retention.of(conn, caller.tenant, lock=True)
        wanted = None if wish.log_days is None else timedelta(days=wish.log_days)
        if wanted != before:
            await retention.put(conn, caller.tenant, wanted)
            detail = {"before": before.days if before else None, "after": wish.log_days}
            await audits.record(
                conn, caller.tenant, actor=caller.actor, activity="Change retention of the log", detail=detail
            )
    return no_content()


@router.post("/estimate")
async def estimate(request: Request, caller: Reader) -> Response:
    """Count the events that would go if the log were kept for so many days."""
    asked = await exact_body(request, Question)
    before = datetime.now(UTC) - timedelta(days=asked.log_days)
    async with database(request).connection() as conn:
        found = await retention.older(conn, caller.tenant, before, COUNTED + 1)
    return GraphResponse({
        "@odata.context": context(request, "dirbridge/retentionEstimate"),
        "logDays": asked.log_days, "eventsToRemove": min(found, COUNTED), "isMore": found > COUNTED,
    })  # fmt: skip


async def _show(request: Request, conn: Any, caller: Caller) -> dict[str, Any]:
    default: timedelta = getattr(request.app.state, "log_retention", events.RETENTION)
    said = await retention.of(conn, caller.tenant)
    return {
        "logDays": (said or default).days,
        "isDefault": said is None,
        "defaultLogDays": default.days,
        "oldestEventDateTime": moment(await retention.oldest(conn, caller.tenant)),
    }
