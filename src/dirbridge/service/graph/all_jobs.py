"""All jobs of the tenant in one list, whichever application they belong to: for who looks after them.

Graph lists jobs application by application. Source of each job's form: Graph synchronizationJob.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import OBSERVERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import context, database
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.service.graph.synchronization import outline
from dirbridge.store import job_listing
from dirbridge.store.job_listing import After, Listed, Pair

router = APIRouter(prefix="/beta/dirbridge")

Reader = Annotated[
    Caller, Depends(require("Synchronization.Read.All", "Synchronization.ReadWrite.All", roles=OBSERVERS))
]


TYPE = "dirbridge.job"


@router.get("/jobs")
async def list_all_jobs(request: Request, caller: Reader) -> Response:
    """List the tenant's jobs, each with its domain and its application: those that need somebody first."""
    query = odata.read(request, odata.LIST - {"select"})
    where = query.where(job_listing.PROPERTIES, TYPE, advanced=True)
    by_domain, descending = odata.order(query, {"domain": True}, TYPE) or (False, False)
    if descending:
        raise bad_request("$orderby takes 'domain' in ascending order here.", code="Request_UnsupportedQuery")
    after = odata.position(query, After)
    async with database(request).connection() as conn:
        rows = await job_listing.page(
            conn, caller.tenant, where=where, by_domain=by_domain, after=after, limit=query.top + 1
        )
        in_sync = await job_listing.in_sync(conn, caller.tenant, [row.id for row in rows])
        total = await job_listing.count(conn, caller.tenant, where) if query.count and after is None else None
    return GraphResponse(
        odata.page(
            request,
            query,
            rows,
            fragment="dirbridge/jobs",
            render=lambda row: _shown(request, row, in_sync.get(row.id, {})),
            key=lambda row: After(0 if by_domain else row.rank, row.domain, row.id),
            total=total,
        )
    )


@router.get("/jobs/{job}")
async def get_any_job(request: Request, job: str, caller: Reader) -> Response:
    """Give one job, whose application need not be known."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        found = await job_listing.one(conn, caller.tenant, job)
        if found is None:
            raise not_found("synchronization job", job)
        in_sync = await job_listing.in_sync(conn, caller.tenant, [job])
    shown = _shown(request, found, in_sync.get(job, {}))
    return GraphResponse({"@odata.context": context(request, "dirbridge/jobs/$entity"), **shown})


def _shown(request: Request, row: Listed, in_sync: Mapping[Pair, int]) -> dict[str, Any]:
    return {
        **outline(request, row, row.code, in_sync),
        "domain": row.domain,
        "servicePrincipalId": str(row.service_principal),
        "needsAttention": row.needs_attention,
    }
