"""The schema document of a job through the API: shown, replaced, merged, reset, checked, and what its filters can ask.

Source: Graph synchronizationSchema and filterOperatorSchema; RFC 9110 section 13.1 for If-Match.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import Schema
from dirbridge.engine.operators import OPERATORS, Operator
from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import changes, job_templates, odata, schema_documents, scopes
from dirbridge.service.graph.context import body, context, database
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.service.graph.schema_documents import of_job
from dirbridge.service.graph.synchronization import PRINCIPAL, Reader, Writer, find_job, find_principal
from dirbridge.store import audits, jobs
from dirbridge.store.directory_queries import Conn
from dirbridge.store.jobs import Job

router = APIRouter()
tree = APIRouter()
checks = APIRouter(prefix="/beta/dirbridge")

SCHEMA = "/jobs/{job}/schema"


@tree.get(SCHEMA)
async def get_schema(request: Request, sp: str, job: str, caller: Reader) -> Response:
    """Give the schema document of a job, its directories inside."""
    odata.read(request, frozenset({"format", "expand"}))
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
    principal = f"servicePrincipals('{found.service_principal}')"
    address = context(request, f"{principal}/synchronization/jobs('{found.id}')/schema/$entity")
    shown = {"@odata.context": address, "provisioningTaskIdentifier": found.id, **found.schema}
    return GraphResponse(shown, headers={"ETag": tag(found)})


@tree.put(SCHEMA)
async def replace_schema(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Replace the schema document; the job's next cycle reads everything, unless nothing changed."""
    return await _change(request, sp, job, caller, whole=True)


@tree.patch(SCHEMA)
async def merge_schema(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Replace those of the document's collections that the body has; Graph's own client updates in this way only."""
    return await _change(request, sp, job, caller, whole=False)


@tree.delete(SCHEMA)
async def reset_schema(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """Go back to the template's default schema."""
    async with database(request).transaction() as conn:
        found = await find_job(conn, caller, sp, job, lock=True)
        changes.need(request, tag(found), f"{job}/schema")
        principal = await find_principal(conn, caller, sp)
        schema = await job_templates.beginning(conn, caller.tenant, principal, found.template_id, found.id)
        await _keep(conn, caller, found, schema, {"reset": True})
    return no_content()


def tag(job: Job) -> str:
    """Give the weak entity tag of a job's document: of its version, which each change renews."""
    version = str(job.schema.get("version"))
    return f'W/"{hashlib.blake2b(version.encode(), digest_size=12).hexdigest()}"'


async def _change(request: Request, sp: str, job: str, caller: Caller, *, whole: bool) -> Response:
    wanted = await body(request, dict[str, Any])
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
    changes.need(request, tag(found), f"{job}/schema")
    # Checking a large document takes a while, in which others are to be answered.
    proposed = await asyncio.to_thread(schema_documents.proposed, wanted, of_job(found), whole=whole)
    anchors = await scopes.resolve(request, found, proposed)
    async with database(request).transaction() as conn:
        found = await find_job(conn, caller, sp, job, lock=True)
        changes.need(request, tag(found), f"{job}/schema")
        # An agent was asked, which took its time: the document is put together anew from what is stored now.
        schema = await asyncio.to_thread(schema_documents.proposed, wanted, of_job(found), whole=whole)
        await _keep(conn, caller, found, scopes.by_anchor(schema, anchors))
    return no_content()


async def _keep(conn: Conn, caller: Caller, job: Job, schema: Schema, detail: dict[str, object] | None = None) -> None:
    """Store a document that says something else than the one there is."""
    if schema_documents.says_the_same(schema, of_job(job)):
        return
    await jobs.set_schema(conn, caller.tenant, job.id, schema)
    activity = "Update attribute mappings or scope"
    await audits.record(conn, caller.tenant, actor=caller.actor, activity=activity, target=job.id, detail=detail)


@checks.post(PRINCIPAL + SCHEMA + "/validate")
async def validate_schema(request: Request, sp: str, job: str, caller: Reader) -> Response:
    """Say what is wrong with a document that a job is to have; nothing is stored."""
    wanted = await body(request, dict[str, Any])
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
    try:
        proposed = await asyncio.to_thread(schema_documents.proposed, wanted, of_job(found), whole=False)
        await scopes.resolve(request, found, proposed)
    except ConfigurationError as error:
        defects = [{"target": path, "message": told} for path, told in error.details.items()]
        return GraphResponse({"valid": False, "defects": defects})
    return GraphResponse({"valid": True, "defects": []})


# Filter operators -----------------------------------------------------------------------------------------------------


@router.get("/filterOperators")
async def list_operators(request: Request, _caller: Writer) -> Response:
    """List what clauses of filters can ask; the same for every job and template."""
    odata.read(request, frozenset({"format"}))
    return _operators(request)


@router.get("/filterOperators/{name}")
async def get_operator(request: Request, name: str, _caller: Writer) -> Response:
    """Give one operator."""
    odata.read(request, frozenset({"format"}))
    found = next((operator for operator in OPERATORS if operator.name == name), None)
    if found is None:
        raise not_found("filter operator", name)
    return GraphResponse({"@odata.context": context(request, "filterOperators/$entity"), **_shown(found)})


@tree.get(SCHEMA + "/filterOperators")
async def job_operators(request: Request, sp: str, job: str, caller: Writer) -> Response:
    """List what the filters of a job can ask."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        await find_job(conn, caller, sp, job)
    return _operators(request)


@tree.get(job_templates.SCHEMA + "/filterOperators")
async def template_operators(request: Request, sp: str, template: str, caller: Writer) -> Response:
    """List what the filters of a template's jobs can ask."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        await job_templates.find_template(conn, caller, sp, template)
    return _operators(request)


def _operators(request: Request) -> Response:
    shown = [_shown(operator) for operator in OPERATORS]
    return GraphResponse({"@odata.context": context(request, "filterOperators"), "value": shown})


def _shown(operator: Operator) -> dict[str, Any]:
    """Show an operator as Graph does, its name both as `id` and as `name`: clients read either."""
    return {
        "id": operator.name,
        "name": operator.name,
        "arity": "Unary" if operator.unary else "Binary",
        "multivaluedComparisonType": operator.compares,
        "supportedAttributeTypes": list(operator.types),
    }
