"""The synchronization service account: how it is, and its repair.

Graph has no word for these, so they lie under /beta/dirbridge, in Graph's conventions. The account's user is one of
`/users`, where it can be disabled and deleted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from dirbridge.contract.errors import CredentialError
from dirbridge.service.auth.access import Caller, require
from dirbridge.service.auth.permissions import OBSERVERS, SYNCHRONIZERS
from dirbridge.service.graph import odata
from dirbridge.service.graph.context import body, context, database, sealing
from dirbridge.service.graph.errors import bad_request
from dirbridge.service.graph.responses import GraphResponse
from dirbridge.store import accounts
from dirbridge.store.directory_queries import Conn
from dirbridge.store.identifiers import new_id
from dirbridge.tenant import account

router = APIRouter(prefix="/beta/dirbridge")

Reader = Annotated[
    Caller, Depends(require("Synchronization.Read.All", "Synchronization.ReadWrite.All", roles=OBSERVERS))
]
Writer = Annotated[Caller, Depends(require("Synchronization.ReadWrite.All", roles=SYNCHRONIZERS))]


class Wish(msgspec.Struct, rename="camel"):
    """When the new credentials end; never where nothing is given."""

    expiration_date_time: datetime | None = None


@router.get("/synchronizationAccount")
async def show(request: Request, caller: Reader) -> Response:
    """Give the account, and why jobs cannot write as it, where they cannot."""
    odata.read(request, frozenset({"format"}))
    async with database(request).connection() as conn:
        shown = await _show(conn, caller)
    return GraphResponse({"@odata.context": context(request, "dirbridge/synchronizationAccount"), **shown})


@router.post("/synchronizationAccount/repair")
async def repair(request: Request, caller: Writer) -> Response:
    """Bring the account back to what it must be, with new credentials; jobs in quarantine are due now."""
    wish = await body(request, Wish, optional=True)
    now = datetime.now(UTC)
    ends = wish.expiration_date_time
    if ends is not None and (ends.tzinfo is None or ends <= now):
        raise bad_request(f"expirationDateTime expects a time to come, with its zone; found '{ends.isoformat()}'.")
    async with database(request).transaction() as conn:
        done = await account.repair(
            conn, caller.tenant, sealing(request), new_id, now, actor=caller.actor, expires_at=ends
        )
        shown = await _show(conn, caller)
    return GraphResponse({
        "@odata.context": context(request, "dirbridge/synchronizationAccount"), **shown,
        "repaired": done.repaired, "jobsGivenCredentials": done.given, "jobsDueNow": done.woken,
    })  # fmt: skip


async def _show(conn: Conn, caller: Caller) -> dict[str, Any]:
    found = await accounts.get(conn, caller.tenant)
    error = None
    try:
        await account.check(conn, caller.tenant)
    except CredentialError as refusal:
        error = {"code": refusal.code, "message": str(refusal)}
    return {
        "id": str(found.id) if found else None,
        "userPrincipalName": found.name if found else None,
        "accountEnabled": found.is_enabled if found else None,
        "isDeleted": found is not None and (found.is_deleted or found.name is None),
        "roles": found.roles if found else [],
        "error": error,
    }
