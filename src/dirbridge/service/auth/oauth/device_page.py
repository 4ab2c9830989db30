"""The page where a person enters the code that a device shows, sees who asks for what, and answers.

Whoever can show somebody a code can ask for what that person may, so the page says who asks, and that nothing but a
device of one's own should. Attempts at codes are counted.

Source: RFC 8628 sections 3.3 and 5.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from psycopg import AsyncConnection
from starlette.responses import Response

from dirbridge.service.auth.oauth import authorize, device_codes
from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in import guesses as sign_in_guesses
from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.service.auth.sign_in import trail as sign_in_trail
from dirbridge.service.auth.sign_in.browser import PageRefusal, PageRoute, SignedIn
from dirbridge.store import device_codes as store
from dirbridge.store import identity
from dirbridge.store.database import Database
from dirbridge.store.device_codes import DeviceCode
from dirbridge.store.identity import ServicePrincipal

PATH = "/device"

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(PATH)
async def form(request: Request) -> Response:
    """Ask for the code."""
    who = await browser.signed_in(request)
    if who is None:
        return browser.ask(request, PATH)
    return _form(request, who)


@router.post(PATH)
async def enter(request: Request) -> Response:
    """Show who waits with a code; with an answer in the form, keep it."""
    given = await browser.read_form(request)
    who = await browser.signed_in(request)
    if who is None:
        return browser.ask(request, PATH)
    user_code = device_codes.folded(given.get("user_code", ""))
    try:
        found, principal = await _find(request, who, user_code)
        if "decision" in given:
            return await _answer(request, who, user_code, principal, given)
    except PageRefusal as refusal:
        return _form(request, who, refusal)
    return browser.page(
        request, "device-approve.html", name=who.administrator.user_name, user_code=device_codes.shown(user_code),
        application=principal.display_name, client_id=principal.app_id, permissions=found.scopes,
    )  # fmt: skip


async def _find(request: Request, who: SignedIn, user_code: str) -> tuple[DeviceCode, ServicePrincipal]:
    """Find what waits with a code.

    Raises:
        PageRefusal: nothing does, or there were too many attempts.
    """
    attempt = await sign_in_guesses.begin(request, sign_in_guesses.of_user_codes(who.administrator.id))
    tenant, at = request.app.state.tenant, sign_in_rules.of(request).clock()
    async with _database(request).transaction() as conn:
        found = await store.waiting(conn, tenant, user_code, at)
        principal = None
        if found is not None:
            principal = await identity.service_principal(conn, tenant, found.service_principal)
        if found is None or principal is None or not principal.is_enabled:
            await sign_in_trail.leave(conn, request, "Refuse device code", who.administrator)
    if found is None or principal is None or not principal.is_enabled:
        raise PageRefusal(
            400, "UserCodeUnknown", "No device waits with this code. It may have expired: look at the device, and "
            "enter what it shows now.",
        )  # fmt: skip
    await attempt.succeeded()
    return found, principal


async def _answer(
    request: Request, who: SignedIn, user_code: str, principal: ServicePrincipal, given: Mapping[str, str]
) -> Response:
    """Keep what a person answers a device.

    Raises:
        PageRefusal: somebody answered before, or the session was ended.
    """
    approves = given["decision"] == "approve"
    async with _database(request).transaction() as conn:
        await authorize.hold_session(conn, request, who)
        kept = await store.answer(
            conn, request.app.state.tenant, user_code, "approved" if approves else "declined",
            administrator=who.administrator.id, methods=who.methods, signed_in_at=who.signed_in_at,
            at=sign_in_rules.of(request).clock(),
        )  # fmt: skip
        if kept:
            await _leave(conn, request, who, principal, approves=approves)
    if not kept:
        raise PageRefusal(400, "UserCodeUnknown", "This code was answered before, or has just expired.")
    return browser.page(request, "device-answered.html", approves=approves, application=principal.display_name)


async def _leave(
    conn: AsyncConnection[Any], request: Request, who: SignedIn, principal: ServicePrincipal, *, approves: bool
) -> None:
    await sign_in_trail.leave(
        conn, request, "Approve device" if approves else "Decline device", who.administrator,
        application=principal.display_name, appId=str(principal.app_id),
    )  # fmt: skip


def _form(request: Request, who: SignedIn, refusal: PageRefusal | None = None) -> Response:
    answer = browser.page(
        request, "device.html", status=refusal.status if refusal else 200, name=who.administrator.user_name,
        message=str(refusal or ""), code=refusal.code if refusal else "",
    )  # fmt: skip
    answer.headers.update(refusal.headers if refusal else {})
    return answer


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database
