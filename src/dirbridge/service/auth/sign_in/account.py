"""A person's own page: what they may, where they are signed in, their password, their second factor."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth import people
from dirbridge.service.auth.people import Act
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.auth.sign_in import browser, second_factor
from dirbridge.service.auth.sign_in import code as sign_in_code
from dirbridge.service.auth.sign_in import password as sign_in_password
from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.service.auth.sign_in import session as sign_in_session
from dirbridge.service.auth.sign_in import trail as sign_in_trail
from dirbridge.service.auth.sign_in.browser import HOME, PageRefusal, PageRoute, SignedIn
from dirbridge.store import people as administrators
from dirbridge.store import sessions
from dirbridge.store.database import Database

router = APIRouter(prefix=HOME, route_class=PageRoute, include_in_schema=False)

NOTICES = {
    "password": "Your password was changed. You are signed out everywhere else.",
    "session": "The session was ended.",
    "sessions": "All other sessions were ended.",
    "on": "The second factor is on. The next sign-in asks for a code.",
    "off": "The second factor is off.",
}
"""What the page says of what was done just now."""


def _away() -> PageRefusal:
    """Say that nobody is signed in any longer who could do this."""
    return PageRefusal(
        303, "SignInNeeded", "Sign in again, then repeat what you did.", headers={"Location": browser.SIGN_IN}
    )


@router.get("")
async def show(request: Request) -> Response:
    """Show who is signed in, and where else they are."""
    who = await browser.signed_in(request)
    if who is None:
        return browser.ask(request, HOME)
    return await _page(request, who, notice=NOTICES.get(request.query_params.get("done", ""), ""))


@router.post("/sessions/end")
async def end_session(request: Request) -> Response:
    """End one of the others."""
    given, who = await browser.read_form(request), await _who(request)
    async with _database(request).transaction() as conn:
        if await sessions.end_one(conn, request.app.state.tenant, who.administrator.id, _id(given.get("id", ""))):
            await sign_in_trail.leave(conn, request, "End session", who.administrator, session=given["id"])
    return _done("session")


@router.post("/sessions/end-others")
async def end_others(request: Request) -> Response:
    """End all others."""
    _, who = await browser.read_form(request), await _who(request)
    async with _database(request).transaction() as conn:
        ended = await sessions.end_all(conn, request.app.state.tenant, who.administrator.id, [who.session_digest])
        await sign_in_trail.leave(conn, request, "End sessions", who.administrator, ended=ended)
    return _done("sessions")


@router.post("/password")
async def change_password(request: Request) -> Response:
    """Replace the password. Whatever was signed in ends; this browser gets a new session."""
    given, who = await browser.read_form(request), await _who(request)
    whom, new = who.administrator, given.get("new", "")
    try:
        await sign_in_password.confirm(request, whom, given.get("password", ""))
        if new != given.get("again", ""):
            raise PageRefusal(400, "PasswordsDiffer", "The new password was not the same both times.")
        people.check_password(new, whom.user_name)
    except PageRefusal as refusal:
        return await _page(request, who, refusal=refusal)
    except ConfigurationError as error:
        return await _page(request, who, refusal=PageRefusal(400, error.code, error.reason))
    hashed, rules = await people.hashed(new), sign_in_rules.of(request)
    at = rules.clock()
    async with _database(request).transaction() as conn:
        act = Act(conn, request.app.state.tenant, whom.user_name, at)
        # Somebody may have reset the password since it was looked at, just to shut out whoever sits here.
        await administrators.hold(conn, act.tenant, whom.id)
        if await sessions.find(conn, act.tenant, who.session_digest, at, rules.idle) is None:
            raise _away()
        await people.set_password(act, whom, hashed, "Change own password")
    answer = _done("password")
    await sign_in_session.begin(request, answer, whom, who.methods, at, "Renew session")
    return answer


@router.post("/second-factor")
async def propose_second_factor(request: Request) -> Response:
    """Make a secret and show it to whoever knows the password; it counts once a code of it was shown."""
    given, who = await browser.read_form(request), await _who(request)
    whom, tenant = who.administrator, request.app.state.tenant
    try:
        await sign_in_password.confirm(request, whom, given.get("password", ""))
    except PageRefusal as refusal:
        return await _page(request, who, refusal=refusal)
    secret = second_factor.new_secret()
    sealed = _sealing(request).seal(secret, second_factor.context(tenant, whom.id))
    async with _database(request).transaction() as conn:
        if not await administrators.propose_second_factor(conn, tenant, whom.id, sealed):
            raise PageRefusal(400, "SecondFactorOn", "The second factor is on already. Turn it off first.")
    return _secret_page(request, who, secret)


@router.post("/second-factor/confirm")
async def confirm_second_factor(request: Request) -> Response:
    """Turn it on by its first code."""
    given, who = await browser.read_form(request), await _who(request)
    whom, tenant = who.administrator, request.app.state.tenant
    async with _database(request).connection() as conn:
        proposed = await administrators.second_factor(conn, tenant, whom.id)
    if proposed is None or proposed.is_confirmed:
        raise PageRefusal(400, "SecondFactorNotBegun", "There is no second factor to confirm. Begin again.")
    secret = _sealing(request).unseal(proposed.secret, second_factor.context(tenant, whom.id))
    try:
        await sign_in_code.check(request, whom, given.get("code", ""))
    except PageRefusal as refusal:
        return _secret_page(request, who, secret, refusal)
    async with _database(request).transaction() as conn:
        await sign_in_trail.leave(conn, request, "Turn on second factor", whom)
    return _done("on")


@router.post("/second-factor/off")
async def remove_second_factor(request: Request) -> Response:
    """Turn it off for whoever shows a code."""
    given, who = await browser.read_form(request), await _who(request)
    whom = who.administrator
    try:
        await sign_in_code.check(request, whom, given.get("code", ""))
    except PageRefusal as refusal:
        return await _page(request, who, refusal=refusal)
    async with _database(request).transaction() as conn:
        await administrators.remove_second_factor(conn, request.app.state.tenant, whom.id)
        await sign_in_trail.leave(conn, request, "Turn off second factor", whom)
    return _done("off")


async def _who(request: Request) -> SignedIn:
    who = await browser.signed_in(request)
    if who is None:
        raise _away()
    return who


async def _page(request: Request, who: SignedIn, *, notice: str = "", refusal: PageRefusal | None = None) -> Response:
    rules = sign_in_rules.of(request)
    async with _database(request).connection() as conn:
        found = await sessions.of(conn, request.app.state.tenant, who.administrator.id, rules.clock(), rules.idle)
    answer = browser.page(
        request, "account.html", status=refusal.status if refusal else 200, who=who.administrator, sessions=found,
        current=who.session_digest, shortest=people.SHORTEST, notice=notice, message=str(refusal or ""),
        code=refusal.code if refusal else "",
    )  # fmt: skip
    answer.headers.update(refusal.headers if refusal else {})
    return answer


def _secret_page(request: Request, who: SignedIn, secret: bytes, refusal: PageRefusal | None = None) -> Response:
    answer = browser.page(
        request, "second-factor.html", status=refusal.status if refusal else 200,
        image=second_factor.image(secret, who.administrator.user_name, request.url.hostname or ""),
        secret=second_factor.in_letters(secret), message=str(refusal or ""), code=refusal.code if refusal else "",
    )  # fmt: skip
    answer.headers.update(refusal.headers if refusal else {})
    return answer


def _done(what: str) -> Response:
    return RedirectResponse(f"{HOME}?done={what}", status_code=303, headers={"Cache-Control": "no-store"})


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise PageRefusal(400, "FormUnreadable", "The form names no session.") from error


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


def _sealing(request: Request) -> Sealing:
    sealing: Sealing = request.app.state.sealing
    return sealing
