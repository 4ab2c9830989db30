"""The templates of which jobs can be made, with the schema document that each begins with.

What can be changed of a template is that document, for one application: its new jobs begin with it, and its jobs go
back to it. Jobs that there are keep theirs.

Source: Graph synchronizationTemplate; its update, whose page shows PUT and whose title says PATCH.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import Schema
from dirbridge.engine import validation
from dirbridge.engine.validation import Defect
from dirbridge.service import templates
from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import odata, schema_documents
from dirbridge.service.graph.context import body, database, version
from dirbridge.service.graph.errors import GraphError, bad_request
from dirbridge.service.graph.responses import GraphResponse, TextResponse, no_content
from dirbridge.service.graph.schema_documents import Basis
from dirbridge.service.graph.synchronization import Reader, Writer, address, audit, find_principal, wants_schema
from dirbridge.store import template_schemas
from dirbridge.store.directory_queries import Conn
from dirbridge.store.identity import ServicePrincipal

tree = APIRouter()

TEMPLATE = "/templates/{template}"
SCHEMA = TEMPLATE + "/schema"

# The one member that beta does not begin with a small letter.
_CAPITAL = "IsSynchronizationAgentAssignmentRequired"


@tree.get("/templates")
async def list_templates(request: Request, sp: str, caller: Reader) -> Response:
    """List the templates, each with its schema document, as Graph does."""
    wants_schema(odata.read(request, frozenset({"format", "top", "expand"})))
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
        changed = await template_schemas.all_of(conn, caller.tenant, principal.app_id)
    shown = [
        {**_shown(request, principal, id), "schema": changed.get(id) or _own(id, principal)}
        for id in templates.TEMPLATES
    ]
    return GraphResponse({"@odata.context": address(request, principal.id, "templates"), "value": shown})


@tree.get("/templates/$count")
async def count_templates(request: Request, sp: str, caller: Reader) -> Response:
    """Count them."""
    odata.read(request, frozenset())
    async with database(request).connection() as conn:
        await find_principal(conn, caller, sp)
    return TextResponse(str(len(templates.TEMPLATES)))


@tree.get(TEMPLATE)
async def get_template(request: Request, sp: str, template: str, caller: Reader) -> Response:
    """Give one of them."""
    with_schema = wants_schema(odata.read(request, frozenset({"format", "expand"})))
    async with database(request).connection() as conn:
        principal = await find_template(conn, caller, sp, template)
        expanded = {"schema": await _document(conn, caller.tenant, principal, template)} if with_schema else {}
    where = address(request, principal.id, "templates/$entity")
    return GraphResponse({"@odata.context": where, **_shown(request, principal, template), **expanded})


@tree.put(TEMPLATE)
@tree.patch(TEMPLATE)
async def change_template(request: Request, sp: str, template: str, caller: Writer) -> Response:
    """Change the schema document in a whole template; all else of it is as it is and may come along."""
    wanted = await body(request, dict[str, Any])
    async with database(request).connection() as conn:
        principal = await find_template(conn, caller, sp, template)
    _check_members(wanted, _shown(request, principal, template))
    await _change(request, sp, template, caller, wanted["schema"], whole=True)
    return no_content()


@tree.get(SCHEMA)
async def get_template_schema(request: Request, sp: str, template: str, caller: Reader) -> Response:
    """Give the schema document that a job of the template begins with."""
    odata.read(request, frozenset({"format", "expand"}))
    async with database(request).connection() as conn:
        principal = await find_template(conn, caller, sp, template)
        document = await _document(conn, caller.tenant, principal, template)
    where = address(request, principal.id, f"templates('{template}')/schema/$entity")
    return GraphResponse({"@odata.context": where, **document})


@tree.put(SCHEMA)
async def replace_template_schema(request: Request, sp: str, template: str, caller: Writer) -> Response:
    """Replace the document that new jobs of the application begin with."""
    await _change(request, sp, template, caller, await body(request, dict[str, Any]), whole=True)
    return no_content()


@tree.patch(SCHEMA)
async def merge_template_schema(request: Request, sp: str, template: str, caller: Writer) -> Response:
    """Replace those of its collections that the body has; Graph's own client updates in this way only."""
    await _change(request, sp, template, caller, await body(request, dict[str, Any]), whole=False)
    return no_content()


@tree.delete(SCHEMA)
async def reset_template_schema(request: Request, sp: str, template: str, caller: Writer) -> Response:
    """Go back to the template's own document."""
    async with database(request).transaction() as conn:
        principal = await find_template(conn, caller, sp, template)
        if await template_schemas.delete(conn, caller.tenant, principal.app_id, template):
            await _audit(conn, caller, principal, template, reset=True)
    return no_content()


async def _change(
    request: Request, sp: str, template: str, caller: Caller, wanted: dict[str, Any], *, whole: bool
) -> None:
    async with database(request).transaction() as conn:
        principal = await find_template(conn, caller, sp, template)
        stored = await _document(conn, caller.tenant, principal, template)
        own = templates.TEMPLATES[template](template, principal.created_at)
        basis = Basis(template, stored, templates.macros(principal.display_name), own.directories)
        # Checking a large document takes a while, in which others are to be answered.
        schema = await asyncio.to_thread(schema_documents.proposed, wanted, basis, whole=whole)
        _check_unscoped(schema)
        if not schema_documents.says_the_same(schema, basis):
            await template_schemas.put(conn, caller.tenant, principal.app_id, template, schema)
            await _audit(conn, caller, principal, template, reset=False)


async def _audit(conn: Conn, caller: Caller, principal: ServicePrincipal, template: str, *, reset: bool) -> None:
    detail: dict[str, object] = {"template": template, "reset": reset}
    await audit(conn, caller, "Update synchronization template", str(principal.id), detail)


def _check_members(wanted: dict[str, Any], shown: dict[str, Any]) -> None:
    """Make sure that a template as a whole changes nothing but its schema document.

    Raises:
        GraphError: 400 that names what cannot be changed, or says that the document is missing.
    """
    for name, value in wanted.items():
        if name == "schema" or "@odata." in name or value is None:
            continue
        if name not in shown:
            raise bad_request(f"A template has no '{name[:80]}'.", target=name[:80])
        if value != shown[name]:
            raise bad_request(
                f"'{name}' of a template cannot be changed: it is {shown[name]!r:.200}.",
                target=name,
                inner="propertyNotUpdateable",
            )
    if not isinstance(wanted.get("schema"), dict):
        raise bad_request(
            "The template lacks its schema document, which is what can be changed of it. DELETE on the template's "
            "schema restores the template's own.",
            target="schema",
        )


def _check_unscoped(schema: Schema) -> None:
    defects = [
        Defect(
            f"synchronizationRules[{at}]",
            "A template chooses no containers or groups.",
            "Leave the lists of containerFilter and groupFilter empty, and choose in the schema of each job.",
        )
        for at, rule in enumerate(schema.synchronization_rules)
        if rule.container_filter.included_containers or rule.group_filter.included_groups
    ]
    if defects:
        raise validation.error(defects)


# What an address names ------------------------------------------------------------------------------------------------


async def find_template(conn: Conn, caller: Caller, sp: str, template: str) -> ServicePrincipal:
    """Give the application that has a template; refuses with 404 where either is not known."""
    principal = await find_principal(conn, caller, sp)
    if template not in templates.TEMPLATES:
        raise GraphError(404, "NotFound", f"The synchronization template '{template}' does not exist under '{sp}'.")
    return principal


async def beginning(conn: Conn, tenant: UUID, principal: ServicePrincipal, template: str, job: str) -> Schema:
    """Give the schema document that a job of an application begins with.

    Raises:
        ConfigurationError: the one that somebody gave the template cannot be read.
    """
    changed = await template_schemas.get(conn, tenant, principal.app_id, template)
    if changed is None:
        return templates.TEMPLATES[template](job, datetime.now(UTC))
    try:
        kept = msgspec.convert(changed, Schema)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"The schema document of the template '{template}' cannot be read: {error}.",
            code="InvalidSchema",
            recommended_action="Restore the template's own by DELETE on its schema.",
        ) from error
    return msgspec.structs.replace(kept, id=job, version=schema_documents.new_version())


async def _document(conn: Conn, tenant: UUID, principal: ServicePrincipal, template: str) -> dict[str, Any]:
    changed = await template_schemas.get(conn, tenant, principal.app_id, template)
    return _own(template, principal) if changed is None else changed


def _own(template: str, principal: ServicePrincipal) -> dict[str, Any]:
    """Give the template's own document, which an application has had since there is one."""
    shown: dict[str, Any] = msgspec.to_builtins(templates.TEMPLATES[template](template, principal.created_at))
    return shown


def _shown(request: Request, principal: ServicePrincipal, template: str) -> dict[str, Any]:
    return {
        "id": template,
        "applicationId": str(principal.app_id),
        "default": template == templates.AD_PROVISIONING,
        "description": templates.DESCRIPTIONS[template],
        "discoverable": True,
        "factoryTag": template,
        "metadata": [{"key": _key(request, key), "value": value} for key, value in templates.METADATA.items()],
    }


def _key(request: Request, key: str) -> str:
    """Spell a member of synchronizationMetadata as the version does."""
    return key if version(request) == "v1.0" or key == _CAPITAL else key[:1].lower() + key[1:]
