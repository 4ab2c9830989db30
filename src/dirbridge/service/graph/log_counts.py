"""How many events fit a filter, without counting a million of them.

Graph's provisioning log knows no $count, so this lies under /beta/dirbridge.
"""

from __future__ import annotations

from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.graph import odata
from dirbridge.service.graph.context import context, database
from dirbridge.service.graph.provisioning_logs import TYPE, Reader
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.store import event_queries

router = APIRouter(prefix="/beta/dirbridge/provisioningLog")

MOST = 10_000
"""Up to here a count is exact."""
WITHIN = timedelta(seconds=1)
"""Longer than this nobody waits for a number."""


@router.get("/count")
async def count_events(request: Request, caller: Reader) -> Response:
    """Count events up to 10,000; null where even that takes longer than a second."""
    query = odata.read(request, frozenset({"filter", "format"}))
    where = query.where(event_queries.PROPERTIES, TYPE, advanced=True)
    async with database(request).connection() as conn:
        found = await event_queries.count(conn, caller.tenant, where, MOST, WITHIN)
    return GraphResponse(
        {
            "@odata.context": context(request, "dirbridge/provisioningLog/count"),
            "value": None if found is None else min(found, MOST),
            "isExact": found is not None and found <= MOST,
        }
    )
