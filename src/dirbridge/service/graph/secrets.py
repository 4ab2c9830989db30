"""The secrets of a configuration: `/servicePrincipals/{id}/synchronization/secrets`.

Source: Graph synchronization: secrets; the set is replaced as a whole, and confidential values are never shown.
"""

from __future__ import annotations

from collections import Counter

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service import configuration
from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import body, context, database, sealing
from dirbridge.service.graph.errors import bad_request
from dirbridge.service.graph.responses import GraphResponse, TextResponse, no_content
from dirbridge.service.graph.synchronization import Writer, find_principal
from dirbridge.store import audits, jobs

tree = APIRouter()


class Pair(msgspec.Struct):
    """Graph's synchronizationSecretKeyStringValuePair."""

    key: str
    value: str


class Pairs(msgspec.Struct):
    """A whole set."""

    value: list[Pair]


@tree.get("/secrets")
async def list_secrets(request: Request, sp: str, caller: Writer) -> Response:
    """List a configuration's secrets; confidential ones by their key only."""
    odata.read(request, frozenset({"format", "top"}))
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
        found = await configuration.read(conn, sealing(request), caller.tenant, principal.id)
    address = context(request, f"servicePrincipals('{principal.id}')/synchronization/secrets")
    pairs = [{"key": key, "value": value} for key, value in configuration.shown(found).items()]
    return GraphResponse({"@odata.context": address, "value": pairs})


@tree.get("/secrets/$count")
async def count_secrets(request: Request, sp: str, caller: Writer) -> Response:
    """Count a configuration's secrets."""
    odata.read(request, frozenset())
    async with database(request).connection() as conn:
        principal = await find_principal(conn, caller, sp)
        found = await configuration.read(conn, sealing(request), caller.tenant, principal.id)
    return TextResponse(str(len(found)))


@tree.put("/secrets")
async def replace_secrets(request: Request, sp: str, caller: Writer) -> Response:
    """Replace the whole set; what it decides of jobs takes effect with their next cycle."""
    await put_secrets(request, sp, caller, (await body(request, Pairs)).value)
    return no_content()


def values_of(pairs: list[Pair]) -> dict[str, str]:
    """Give values by key; refuses a key that comes twice."""
    found = Counter(pair.key.strip().lower() for pair in pairs)
    twice = [pair.key for pair in pairs if found[pair.key.strip().lower()] > 1]
    if twice:
        raise bad_request(f"The secret '{twice[0]}' is given more than once.")
    return {pair.key: pair.value for pair in pairs}


async def put_secrets(request: Request, sp: str, caller: Caller, pairs: list[Pair]) -> None:
    """Replace the whole set."""
    wanted = values_of(pairs)
    async with database(request).transaction() as conn:
        principal = await find_principal(conn, caller, sp)
        await configuration.replace(
            conn,
            sealing(request),
            caller.tenant,
            principal.id,
            principal.display_name.lower(),
            wanted,
        )
        await jobs.wake(conn, caller.tenant, principal=principal.id)
        await audits.record(
            conn,
            caller.tenant,
            actor=caller.actor,
            activity="Update provisioning setting or credentials",
            target=str(principal.id),
            detail={"keys": sorted(wanted)},
        )
