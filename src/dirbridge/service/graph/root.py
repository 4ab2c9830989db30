"""A configuration as a whole: shown, its secrets put, everything of it dropped.

Source: Graph synchronization, whose update is a PUT.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service import configuration
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import body, context, database, sealing
from dirbridge.service.graph.errors import bad_request
from dirbridge.service.graph.responses import GraphResponse, moment, no_content
from dirbridge.service.graph.secrets import Pair, put_secrets
from dirbridge.service.graph.synchronization import Reader, Writer, address, audit, find_principal
from dirbridge.store import jobs, template_schemas

tree = APIRouter()
beta = APIRouter()
"""What v1.0 does not have."""


class Whole(msgspec.Struct):
    """What can be put: the secrets. Jobs and templates have addresses of their own."""

    secrets: list[Pair] | None = None
    jobs: list[Any] | None = None
    templates: list[Any] | None = None


@tree.get("")
async def get_root(request: Request, sp: str, caller: Reader) -> Response:
    """Give the root. Its secrets are read at their own address, which asks for the right to change them."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
    return GraphResponse({"@odata.context": address(request, principal.id, "$entity"), "id": str(principal.id)})


@beta.get("/Ping")
async def ping(request: Request, sp: str, caller: Reader) -> Response:
    """Say that the service and its database answer for a configuration, with the time; Graph leaves the text open."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        await find_principal(conn, caller, sp)
    return GraphResponse({"@odata.context": context(request, "Edm.String"), "value": moment(datetime.now(UTC))})


@tree.put("")
async def put_root(request: Request, sp: str, caller: Writer) -> Response:
    """Replace the secrets."""
    wanted = await body(request, Whole)
    if wanted.jobs or wanted.templates or wanted.secrets is None:
        raise bad_request("The body holds 'secrets', all of them; jobs and templates have addresses of their own.")
    await put_secrets(request, sp, caller, wanted.secrets)
    return no_content()


@tree.delete("")
async def delete_root(request: Request, sp: str, caller: Writer) -> Response:
    """Drop jobs, secrets and changed templates; what was written stays, and so does the application."""
    async with database(request).transaction() as conn:
        principal = await find_principal(conn, caller, sp)
        for job in await jobs.list_all(conn, caller.tenant, principal.id):
            await jobs.delete(conn, caller.tenant, job.id)
            await audit(conn, caller, "Delete provisioning configuration", job.id)
        domain = principal.display_name.lower()
        await configuration.replace(conn, sealing(request), caller.tenant, principal.id, domain, {})
        await template_schemas.delete(conn, caller.tenant, principal.app_id)
    return no_content()
