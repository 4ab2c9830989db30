"""How an administrator signs in, seen by another: sessions listed and ended, lock-out and second factor taken back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.sign_in import recovery as sign_in_recovery
from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.service.graph import odata
from dirbridge.service.graph.administrators import Reader, Writer, act, find
from dirbridge.service.graph.context import context, database, guid
from dirbridge.service.graph.errors import not_found
from dirbridge.service.graph.responses import GraphResponse, moment, no_content
from dirbridge.store import sessions
from dirbridge.store.sessions import Session

router = APIRouter(prefix="/beta/dirbridge/administrators/{key}")


@router.get("/sessions")
async def list_sessions(request: Request, key: str, caller: Reader) -> Response:
    """Give the sessions of browsers that are still good, the one seen last first."""
    odata.read(request, frozenset({"format"}))
    rules = sign_in_rules.of(request)
    async with database(request).connection() as conn:
        whom = await find(conn, caller, key)
        found = await sessions.of(conn, caller.tenant, whom.id, rules.clock(), rules.idle)
    where = f"dirbridge/administrators('{whom.id}')/sessions"
    return GraphResponse({"@odata.context": context(request, where), "value": [_shown(each) for each in found]})


@router.delete("/sessions/{session}")
async def end_session(request: Request, key: str, session: str, caller: Writer) -> Response:
    """End one."""
    id = guid(session)
    async with database(request).transaction() as conn:
        whom = await find(conn, caller, key)
        if id is None or not await sign_in_recovery.end_session(act(conn, caller), whom, id):
            raise not_found("session", session)
    return no_content()


@router.post("/revokeSignInSessions")
async def revoke(request: Request, key: str, caller: Writer) -> Response:
    """End all of them, and what applications hold for this person."""
    async with database(request).transaction() as conn:
        await sign_in_recovery.end_all(act(conn, caller), await find(conn, caller, key))
    return no_content()


@router.post("/unlock")
async def unlock(request: Request, key: str, caller: Writer) -> Response:
    """Let somebody try at once who was told to wait."""
    async with database(request).transaction() as conn:
        await sign_in_recovery.unlock(act(conn, caller), await find(conn, caller, key))
    return no_content()


@router.post("/resetSecondFactor")
async def reset_second_factor(request: Request, key: str, caller: Writer) -> Response:
    """Ask for no code any longer."""
    async with database(request).transaction() as conn:
        await sign_in_recovery.reset_second_factor(act(conn, caller), await find(conn, caller, key))
    return no_content()


@router.post("/unlink")
async def unlink(request: Request, key: str, caller: Writer) -> Response:
    """Forget which person at the outside provider this is."""
    async with database(request).transaction() as conn:
        await sign_in_recovery.unlink(act(conn, caller), await find(conn, caller, key))
    return no_content()


def _shown(found: Session) -> dict[str, Any]:
    return {
        "id": str(found.id),
        "signedInDateTime": moment(found.signed_in_at),
        "lastSeenDateTime": moment(found.last_seen_at),
        "expirationDateTime": moment(found.expires_at),
        "authenticationMethods": found.methods,
        "ipAddress": found.address,
        "browser": found.browser,
    }
