"""The templates of which jobs can be made, with the schema document that each begins with.

Source: Graph synchronizationTemplate.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service import templates
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import database, version
from dirbridge.service.graph.errors import GraphError
from dirbridge.service.graph.responses import GraphResponse, TextResponse
from dirbridge.service.graph.synchronization import Reader, address, find_principal, wants_schema
from dirbridge.store.identity import ServicePrincipal

tree = APIRouter()

# The one member that beta does not begin with a small letter.
_CAPITAL = "IsSynchronizationAgentAssignmentRequired"


@tree.get("/templates")
async def list_templates(request: Request, sp: str, caller: Reader) -> Response:
    """List the templates, each with its schema document, as Graph does."""
    wants_schema(odata.read(request, frozenset({"format", "top", "expand"})))
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
    shown = [{**_shown(request, principal, id), "schema": _schema(id)} for id in templates.TEMPLATES]
    return GraphResponse({"@odata.context": address(request, principal.id, "templates"), "value": shown})


@tree.get("/templates/$count")
async def count_templates(request: Request, sp: str, caller: Reader) -> Response:
    """Count them."""
    odata.read(request, frozenset())
    async with database(request).connection() as conn:
        await find_principal(conn, caller, sp)
    return TextResponse(str(len(templates.TEMPLATES)))


@tree.get("/templates/{template}")
async def get_template(request: Request, sp: str, template: str, caller: Reader) -> Response:
    """Give one of them."""
    with_schema = wants_schema(odata.read(request, frozenset({"format", "expand"})))
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
    _check(template, sp)
    expanded = {"schema": _schema(template)} if with_schema else {}
    where = address(request, principal.id, "templates/$entity")
    return GraphResponse({"@odata.context": where, **_shown(request, principal, template), **expanded})


@tree.get("/templates/{template}/schema")
async def get_template_schema(request: Request, sp: str, template: str, caller: Reader) -> Response:
    """Give the schema document that a job of the template begins with."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
    _check(template, sp)
    where = address(request, principal.id, f"templates('{template}')/schema/$entity")
    return GraphResponse({"@odata.context": where, **_schema(template)})


def _check(template: str, sp: str) -> None:
    if template not in templates.TEMPLATES:
        raise GraphError(404, "NotFound", f"The synchronization template '{template}' does not exist under '{sp}'.")


def _schema(template: str) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(templates.TEMPLATES[template](template, datetime.now(UTC)))
    return shown


def _shown(request: Request, principal: ServicePrincipal, template: str) -> dict[str, Any]:
    return {
        "id": template,
        "applicationId": str(principal.app_id),
        "default": True,
        "description": "Brings users, groups and contacts of an Active Directory domain into the tenant directory.",
        "discoverable": True,
        "factoryTag": template,
        "metadata": [{"key": _key(request, key), "value": value} for key, value in templates.METADATA.items()],
    }


def _key(request: Request, key: str) -> str:
    """Spell a member of synchronizationMetadata as the version does."""
    return key if version(request) == "v1.0" or key == _CAPITAL else key[:1].lower() + key[1:]
