"""How everything is, in a few numbers: jobs by their status, and what is in sync."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.graph import odata, status
from dirbridge.service.graph.all_jobs import Reader
from dirbridge.service.graph.context import context, database
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.store import job_listing, link_counts

router = APIRouter(prefix="/beta/dirbridge")


@router.get("/overview")
async def show(request: Request, caller: Reader) -> Response:
    """Say how many jobs the tenant has and how they are, and how many entries all of them have in sync."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        standing = await job_listing.standing(conn, caller.tenant)
        in_sync = await link_counts.of_tenant(conn, caller.tenant)
    return GraphResponse({
        "@odata.context": context(request, "dirbridge/overview"),
        "jobCount": sum(standing.by_code.values()),
        "jobsNeedingAttention": standing.need_attention,
        "jobCountByStatus": [{"key": code, "value": number} for code, number in standing.by_code.items()],
        "synchronizedEntryCountByType": status.counts(in_sync),
    })  # fmt: skip
