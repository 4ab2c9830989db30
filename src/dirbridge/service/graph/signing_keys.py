"""The keys that sign tokens: listed, rotated, removed.

Graph has no word for them, so they lie under /beta/dirbridge, in Graph's conventions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from psycopg import AsyncConnection
from starlette.responses import Response

from dirbridge.service.auth import rotation
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.people import Act
from dirbridge.service.auth.permissions import GLOBAL
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import body, context, database, sealing
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse, moment, no_content
from dirbridge.store import signing_keys
from dirbridge.store.signing_keys import SigningKey

router = APIRouter(prefix="/beta/dirbridge/signingKeys")

_WRITE = "Organization.ReadWrite.All"
Reader = Annotated[Caller, Depends(require("Organization.Read.All", _WRITE, roles=GLOBAL | {"Global Reader"}))]
Writer = Annotated[Caller, Depends(require(_WRITE, roles=GLOBAL))]


class Rotation(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """When a new key is to sign; 0 is at once."""

    delay_hours: Annotated[float, msgspec.Meta(ge=0, le=24 * 30)] = rotation.DELAY.total_seconds() / 3600


@router.get("")
async def list_all(request: Request, caller: Reader) -> Response:
    """Give all keys, the one that begins to sign last first."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        found = await signing_keys.list_all(conn, caller.tenant)
    shown = _shown(found, _act(conn, caller))
    return GraphResponse({"@odata.context": context(request, "dirbridge/signingKeys"), "value": shown})


@router.post("")
async def rotate(request: Request, caller: Writer) -> Response:
    """Make another key, which takes over after a delay."""
    wish = await body(request, Rotation, optional=True)
    async with database(request).transaction() as conn:
        act = _act(conn, caller)
        kid = await rotation.rotate(act, sealing(request), timedelta(hours=wish.delay_hours))
        found = _shown(await signing_keys.list_all(conn, caller.tenant), act)
    made = next(each for each in found if each["id"] == kid)
    return GraphResponse({"@odata.context": context(request, "dirbridge/signingKeys/$entity"), **made}, status_code=201)


@router.delete("/{kid}")
async def remove(request: Request, kid: str, caller: Writer) -> Response:
    """Remove a key; what it signed is refused within seconds, in every process."""
    async with database(request).transaction() as conn:
        if not await rotation.remove(_act(conn, caller), sealing(request), kid):
            raise not_found("signing key", kid)
    return no_content()


def _act(conn: AsyncConnection[Any], caller: Caller) -> Act:
    return Act(conn, caller.tenant, caller.actor, datetime.now(UTC))


def _shown(keys: Sequence[SigningKey], act: Act) -> list[dict[str, Any]]:
    """Show keys with what each does now: it waits for its turn, signs, or verifies what it signed before."""
    signs = rotation.signing(keys, act)
    ends = [None, *(key.signs_from + signing_keys.KEEP for key in keys)]
    return [
        {
            "id": key.id,
            "state": "signing" if key is signs else "waiting" if key.signs_from > act.at else "verifying",
            "createdDateTime": moment(key.created_at),
            "signsFromDateTime": moment(key.signs_from),
            "removedFromDateTime": moment(end),
        }
        for key, end in zip(keys, ends, strict=False)
    ]
