"""The schema document of a job through the API: shown, replaced, merged, reset, checked, and what its filters can ask.

Source: Graph synchronizationSchema and filterOperatorSchema.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import Schema
from dirbridge.engine import validation
from dirbridge.engine.cycle import macros
from dirbridge.engine.operators import OPERATORS, Operator
from dirbridge.service import templates
from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import odata, scopes
from dirbridge.service.graph.context import body, context, database, decode, raw_body
from dirbridge.service.graph.errors import bad_request, not_found
from dirbridge.service.graph.responses import GraphResponse, no_content
from dirbridge.service.graph.synchronization import PRINCIPAL, Reader, Writer, find_job, find_principal
from dirbridge.store import audits, jobs
from dirbridge.store.directory_queries import Conn
from dirbridge.store.jobs import Job

router = APIRouter()
tree = APIRouter()
checks = APIRouter(prefix="/beta/dirbridge")

SCHEMA = "/jobs/{job}/schema"
TEMPLATE = "/templates/{template}/schema"


@tree.get(SCHEMA)
async def get_schema(request: Request, sp: str, job: str, caller: Reader) -> Response:
    """Give the schema document of a job, its directories inside."""
    odata.read(request, frozenset({"format", "expand"}))
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
    principal = f"servicePrincipals('{found.service_principal}')"
    address = context(request, f"{principal}/synchronization/jobs('{found.id}')/schema/$entity")
    return GraphResponse({"@odata.context": address, "provisioningTaskIdentifier": found.id, **found.schema})


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
        found = await find_job(conn, caller, sp, job)
        await _keep(conn, caller, found, default_schema(found), {"reset": True})
    return no_content()


def default_schema(job: Job) -> Schema:
    """Give the document that a job of this template begins with."""
    return templates.TEMPLATES[job.template_id](job.id, datetime.now(UTC))


async def _change(request: Request, sp: str, job: str, caller: Caller, *, whole: bool) -> Response:
    text = await raw_body(request)
    if not text.strip():
        raise bad_request("Empty Payload. JSON content expected.")
    wanted = decode(text, dict[str, Any])
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
    # Checking a large document takes a while, in which others are to be answered.
    proposed = await asyncio.to_thread(proposed_schema, wanted, found, whole=whole)
    anchors = await scopes.resolve(request, found, proposed)
    async with database(request).transaction() as conn:
        found = await find_job(conn, caller, sp, job)
        # An agent was asked, which took its time: the document is put together anew from what is stored now.
        schema = await asyncio.to_thread(proposed_schema, wanted, found, whole=whole)
        await _keep(conn, caller, found, scopes.by_anchor(schema, anchors))
    return no_content()


async def _keep(conn: Conn, caller: Caller, job: Job, schema: Schema, detail: dict[str, object] | None = None) -> None:
    """Store a document that says something else than the one there is."""
    stored = _stored(job)
    if stored is not None and msgspec.structs.replace(schema, id=stored.id, version=stored.version) == stored:
        return
    await jobs.set_schema(conn, caller.tenant, job.id, schema)
    activity = "Update attribute mappings or scope"
    await audits.record(conn, caller.tenant, actor=caller.actor, activity=activity, target=job.id, detail=detail)


def _stored(job: Job) -> Schema | None:
    """Give the document that there is; None where it cannot be read and is to be replaced."""
    try:
        return job.document()
    except ConfigurationError:
        return None


def proposed_schema(wanted: dict[str, Any], job: Job, *, whole: bool) -> Schema:
    """Read a schema document that a job is to have; nothing is stored.

    Args:
        whole: it has all its collections; otherwise what is missing stays as it is stored.

    Raises:
        GraphError, ConfigurationError: it cannot be used; says where, for every defect.
    """
    try:
        document = _completed(wanted, job.schema, whole=whole)
        read = validation.read(document | {"id": job.id, "version": new_version()})
        if not isinstance(read, Schema):
            raise validation.error(read)
        defects = validation.check(read, macros(job), default_schema(job).directories)
    except RecursionError as error:
        raise bad_request("The schema document nests too deeply.") from error
    stored = _stored(job)
    defects += [] if stored is None else validation.uneditable(stored, read)
    if defects:
        raise validation.error(defects)
    return read


def new_version() -> str:
    """Name a state of a document, as Graph does."""
    return f"Date:{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}, ActivityId:{uuid4()}"


_COLLECTIONS = ("synchronizationRules", "directories")


def _completed(wanted: dict[str, Any], stored: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Add what clients leave out although they mean to keep it.

    Graph's own client reads flags enumerations and does not write them back, so `flowTypes` and `discoverabilities`
    are taken from the mapping or directory of the same name that is stored.
    """
    missing = [name for name in _COLLECTIONS if wanted.get(name) is None]
    if whole and missing:
        raise bad_request(f"The schema document is replaced as a whole and lacks {' and '.join(missing)}.")
    plain: dict[str, Any] = _without_nulls({name: wanted.get(name) for name in _COLLECTIONS})
    _fill("flowTypes", _mappings(plain.get("synchronizationRules")), _mappings(stored["synchronizationRules"]))
    _fill("discoverabilities", _objects(plain.get("directories")), stored["directories"])
    return {name: stored[name] for name in _COLLECTIONS} | plain


def _objects(value: Any) -> list[dict[str, Any]]:
    """The objects of what should be a list of them; what is none is found later."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _mappings(rules: Any) -> list[dict[str, Any]]:
    return [mapping for rule in _objects(rules) for mapping in _objects(rule.get("objectMappings"))]


def _fill(member: str, wanted: list[dict[str, Any]], stored: list[dict[str, Any]]) -> None:
    """Take a member that is left out from the stored part of the same name."""
    before = {each.get("name"): each.get(member) for each in stored}
    for each in wanted:
        name = each.get("name")
        if member not in each and isinstance(name, str) and before.get(name) is not None:
            each[member] = before[name]


def _without_nulls(value: Any) -> Any:
    """Leave out members that are null or annotations: an absent member has its default."""
    if isinstance(value, dict):
        return {
            name: _without_nulls(each) for name, each in value.items() if each is not None and "@odata." not in name
        }
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


@checks.post(PRINCIPAL + SCHEMA + "/validate")
async def validate_schema(request: Request, sp: str, job: str, caller: Reader) -> Response:
    """Say what is wrong with a document that a job is to have; nothing is stored."""
    wanted = await body(request, dict[str, Any])
    async with database(request).connection() as conn:
        found = await find_job(conn, caller, sp, job)
    try:
        proposed = await asyncio.to_thread(proposed_schema, wanted, found, whole=False)
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


@tree.get(TEMPLATE + "/filterOperators")
async def template_operators(request: Request, sp: str, template: str, caller: Writer) -> Response:
    """List what the filters of a template's jobs can ask."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        await find_principal(conn, caller, sp)
    if template not in templates.TEMPLATES:
        raise not_found("synchronization template", template)
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
