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
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.service.graph.synchronization import outline
from dirbridge.store import job_listing, link_counts
from dirbridge.store.job_listing import After, Listed, Order
from dirbridge.store.link_counts import Pair

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
    order = _order(query)
    after = odata.position(query, After)
    async with database(request).connection() as conn:
        rows = await job_listing.page(conn, caller.tenant, where=where, order=order, after=after, limit=query.top + 1)
        in_sync = await link_counts.of_jobs(conn, caller.tenant, [row.id for row in rows])
        total = await job_listing.count(conn, caller.tenant, where) if query.count and after is None else None
    return GraphResponse(
        odata.page(
            request,
            query,
            rows,
            fragment="dirbridge/jobs",
            render=lambda row: _shown(request, row, in_sync.get(row.id, {})),
            key=lambda row: After(row.rank, row.domain, row.id),
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
        in_sync = await link_counts.of_jobs(conn, caller.tenant, [job])
    shown = _shown(request, found, in_sync.get(job, {}))
    return GraphResponse({"@odata.context": context(request, "dirbridge/jobs/$entity"), **shown})


def _order(query: odata.Query) -> Order:
    _, descending = odata.order(query, {"domain": "domain"}, TYPE) or ("", None)
    return Order.WORST if descending is None else Order.DOMAIN_DESCENDING if descending else Order.DOMAIN


def _shown(request: Request, row: Listed, in_sync: Mapping[Pair, int]) -> dict[str, Any]:
    return {
        **outline(request, row, row.code, in_sync),
        "domain": row.domain,
        "servicePrincipalId": str(row.service_principal),
        "needsAttention": row.needs_attention,
    }
