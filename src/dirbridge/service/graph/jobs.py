"""Synchronization jobs: listed, made, shown, changed and dropped. What is done with one is in `job_actions`.

Source: Graph synchronizationJob.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.service import configuration, templates
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import SYNCHRONIZERS
from dirbridge.service.graph import job_settings, job_templates, odata
from dirbridge.service.graph.context import body, database, exact_body, root, sealing
from dirbridge.service.graph.errors import bad_request
from dirbridge.service.graph.gallery import domain_name
from dirbridge.service.graph.job_settings import JobChange
from dirbridge.service.graph.responses import GraphResponse, TextResponse, no_content
from dirbridge.service.graph.synchronization import (
    Reader,
    Writer,
    address,
    audit,
    find_job,
    find_principal,
    show_job,
    show_jobs,
    wants_schema,
)
from dirbridge.store import jobs
from dirbridge.store.identifiers import new_id
from dirbridge.tenant import account

tree = APIRouter()

Changer = Annotated[Caller, Depends(require("Synchronization.ReadWrite.All", roles=SYNCHRONIZERS))]


class NewJob(msgspec.Struct, rename="camel"):
    """The template of a new job."""

    template_id: str


@tree.get("/jobs")
async def list_jobs(request: Request, sp: str, caller: Reader) -> Response:
    """List an application's jobs."""
    with_schema = wants_schema(odata.read(request, frozenset({"format", "top", "expand"})))
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
        found = await jobs.list_all(conn, caller.tenant, principal.id)
        shown = await show_jobs(request, conn, found, with_schema=with_schema)
    return GraphResponse({"@odata.context": address(request, principal.id, "jobs"), "value": shown})


@tree.get("/jobs/$count")
async def count_jobs(request: Request, sp: str, caller: Reader) -> Response:
    """Count an application's jobs."""
    odata.read(request, frozenset())
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
        return TextResponse(str(len(await jobs.list_all(conn, caller.tenant, principal.id))))


@tree.post("/jobs")
async def create_job(request: Request, sp: str, caller: Writer) -> Response:
    """Make a job that waits to be started, with the template's default schema."""
    wanted = await body(request, NewJob)
    if wanted.template_id == templates.PASSWORD_HASHES:
        raise bad_request(
            "Password hashes are not synchronized, so there is no job for them. A job of the template "
            f"{templates.AD_PROVISIONING} brings users, groups and contacts."
        )
    if wanted.template_id not in templates.TEMPLATES:
        raise bad_request(f"templateId expects one of {', '.join(templates.TEMPLATES)}; found '{wanted.template_id}'.")
    job = f"{wanted.template_id}.{caller.tenant.hex}.{uuid4()}"
    async with database(request).transaction() as conn:
        principal = await find_principal(conn, caller, sp)
        domain = domain_name(principal.display_name)
        decided = await configuration.settings(conn, sealing(request), caller.tenant, principal.id)
        await jobs.create(
            conn,
            caller.tenant,
            job,
            service_principal=principal.id,
            template_id=wanted.template_id,
            domain=domain,
            schema=await job_templates.beginning(conn, caller.tenant, principal, wanted.template_id, job),
            settings={"DomainFQDN": domain, **decided},
        )
        await account.ensure(conn, caller.tenant, sealing(request), new_id, datetime.now(UTC))
        await audit(conn, caller, "Add provisioning configuration", job)
        shown = await show_job(request, conn, await find_job(conn, caller, sp, job))
    where = f"{root(request)}/servicePrincipals/{principal.id}/synchronization/jobs/{job}"
    answer = {"@odata.context": address(request, principal.id, "jobs/$entity"), **shown}
    return GraphResponse(answer, status_code=201, headers={"Location": where})


@tree.get("/jobs/{job}")
async def get_job(request: Request, sp: str, job: str, caller: Reader) -> Response:
    """Give one job with its status."""
    with_schema = wants_schema(odata.read(request, frozenset({"format", "expand"})))
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
        shown = await show_job(request, conn, found, with_schema=with_schema)
    return GraphResponse({"@odata.context": address(request, found.service_principal, "jobs/$entity"), **shown})


@tree.patch("/jobs/{job}")
async def change_job(request: Request, sp: str, job: str, caller: Changer) -> Response:
    """Change how often a job runs and what it allows; it takes effect when the cycle that is due next has run."""
    wanted = await exact_body(request, JobChange)
    interval = wanted.schedule.interval if wanted.schedule else None
    async with database(request).transaction() as conn:
        found = await find_job(conn, caller, sp, job)
        job_settings.check(wanted, found)
        changed = job_settings.changed(wanted.synchronization_job_settings or [], found)
        if interval is not None:
            await jobs.set_interval(conn, caller.tenant, job, job_settings.interval(interval))
            await audit(conn, caller, "Update provisioning configuration", job, {"interval": interval})
        if changed:
            await jobs.set_settings(conn, caller.tenant, job, changed)
            await jobs.wake(conn, caller.tenant, principal=found.service_principal)
            await audit(conn, caller, "Update provisioning configuration", job, {"settings": changed})
    return no_content()


@tree.delete("/jobs/{job}")
async def delete_job(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Drop a job and all its state; what it wrote stays."""
    async with database(request).transaction() as conn:
        await find_job(conn, caller, sp, job)
        await jobs.delete(conn, caller.tenant, job)
        await audit(conn, caller, "Delete provisioning configuration", job)
    return no_content()
