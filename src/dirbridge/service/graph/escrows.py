"""What a job has set aside because it failed: read one by one. Restarting with `Escrows` forgets it.

Graph has no word for these, so they lie under /beta/dirbridge, in Graph's conventions.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.contract import codes
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import OBSERVERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import database
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse, moment
from dirbridge.store import due, escrows, jobs
from dirbridge.store.escrows import After, Escrow

router = APIRouter(prefix="/beta/dirbridge")

Reader = Annotated[
    Caller, Depends(require("Synchronization.Read.All", "Synchronization.ReadWrite.All", roles=OBSERVERS))
]


@router.get("/jobs/{job}/escrows")
async def list_escrows(request: Request, job: str, caller: Reader) -> Response:
    """List the entries that failed and wait to be tried again."""
    query = odata.read(request, frozenset({"top", "skiptoken", "count", "format"}))
    after = odata.position(query, After)
    async with database(request).connection() as conn:
        found = await jobs.get(conn, caller.tenant, job)
        if found is None or found.state == jobs.PREVIEW:
            raise not_found("synchronization job", job)
        rows = await escrows.page(conn, caller.tenant, job, after=after, limit=query.top + 1)
        total = await due.count_escrows(conn, caller.tenant, job) if query.count and after is None else None
    return GraphResponse(
        odata.page(request, query, rows, fragment="dirbridge/escrows", render=_show, key=After.of, total=total)
    )


def _show(row: Escrow) -> dict[str, Any]:
    return {
        "sourceIdentity": {"id": row.anchor, "displayName": row.name, "identityType": row.object_type},
        "targetIdentity": {"id": str(row.target or "")},
        "errorCode": row.reason,
        "reason": codes.meaning(row.reason),
        "recommendedAction": codes.recommended_action(row.reason) or None,
        "attempts": row.attempt,
        "firstFailureDateTime": moment(row.since),
        "nextAttemptDateTime": moment(row.at),
    }
