"""All jobs of the tenant in one list, whichever application they belong to: for who looks after them.

Graph lists jobs application by application. Source of each job's form: Graph synchronizationJob.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import OBSERVERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import context, database
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.service.graph.synchronization import show_job
from dirbridge.store import jobs
from dirbridge.store.directory_queries import Conn
from dirbridge.store.jobs import Job

router = APIRouter(prefix="/beta/dirbridge")

Reader = Annotated[
    Caller, Depends(require("Synchronization.Read.All", "Synchronization.ReadWrite.All", roles=OBSERVERS))
]


@router.get("/jobs")
async def list_all_jobs(request: Request, caller: Reader) -> Response:
    """List the tenant's jobs, each with its domain and its application."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        known = await jobs.list_all(conn, caller.tenant)
        shown = [await _shown(request, conn, job) for job in known if job.state != jobs.PREVIEW]
    return GraphResponse({"@odata.context": context(request, "dirbridge/jobs"), "value": shown})


@router.get("/jobs/{job}")
async def get_any_job(request: Request, job: str, caller: Reader) -> Response:
    """Give one job, whose application need not be known."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        found = await jobs.get(conn, caller.tenant, job)
        if found is None or found.state == jobs.PREVIEW:
            raise not_found("synchronization job", job)
        shown = await _shown(request, conn, found)
    return GraphResponse({"@odata.context": context(request, "dirbridge/jobs/$entity"), **shown})


async def _shown(request: Request, conn: Conn, job: Job) -> dict[str, Any]:
    belonging = {"domain": job.domain, "servicePrincipalId": str(job.service_principal)}
    return {**await show_job(request, conn, job), **belonging}
