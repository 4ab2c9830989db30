"""Sign-in and sign-out of administrators in a browser: password, second factor, and where they go on."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in import code as sign_in_code
from dirbridge.service.auth.sign_in import password as sign_in_password
from dirbridge.service.auth.sign_in import pending as sign_in_pending
from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.service.auth.sign_in import session as sign_in_session
from dirbridge.service.auth.sign_in.browser import SIGN_IN, START, PageRefusal, PageRoute
from dirbridge.service.auth.sign_in.pending import Pending
from dirbridge.store import people
from dirbridge.store.database import Database
from dirbridge.store.people import Administrator

router = APIRouter(route_class=PageRoute, include_in_schema=False)

NO_STORE = {"Cache-Control": "no-store"}


@router.get(SIGN_IN)
async def form(request: Request) -> Response:
    """Ask for name and password; whoever is signed in already goes on."""
    asked = request.query_params
    continue_to = browser.local(asked.get("continue")) or START
    who = await browser.signed_in(request)
    if who is not None and "reauthenticate" not in asked:
        # Not by a redirect: a browser would hold it, and where it leads to, to the form's policy that came before.
        return browser.page(request, "onward.html", to=continue_to, name=who.administrator.user_name)
    notice = "You are signed out." if "signed_out" in asked else ""
    name, again = asked.get("login_hint", "")[:256], "reauthenticate" in asked
    return _form(request, continue_to, name=name, again=again, notice=notice)


@router.post(SIGN_IN)
async def sign_in(request: Request) -> Response:
    """Look at name and password."""
    given = await browser.read_form(request)
    continue_to, name = browser.local(given.get("continue")) or START, given.get("name", "")
    begun_at = sign_in_rules.of(request).clock()
    try:
        whom = await sign_in_password.check(request, name, given.get("password", ""))
    except PageRefusal as refusal:
        return _form(request, continue_to, name=name, again="reauthenticate" in given, refusal=refusal)
    return await go_on(request, whom, Pending(begun_at, continue_to, methods=["pwd"]))


@router.get(SIGN_IN + "/code")
async def code_form(request: Request) -> Response:
    """Ask for a code of the second factor."""
    found = await _half_way(request)
    return _code_form(request, found[1]) if found else RedirectResponse(SIGN_IN, status_code=303, headers=NO_STORE)


@router.post(SIGN_IN + "/code")
async def second_factor(request: Request) -> Response:
    """Look at the code."""
    given = await browser.read_form(request)
    found = await _half_way(request)
    if found is None:
        raise PageRefusal(400, "SignInExpired", "You took too long to sign in. Begin again.")
    pending, whom = found
    try:
        await sign_in_code.check(request, whom, given.get("code", ""))
    except PageRefusal as refusal:
        return _code_form(request, whom, refusal)
    return await _finish(request, whom, pending, [*pending.methods, "otp", "mfa"])


@router.get("/sign-out")
async def sign_out_form(request: Request) -> Response:
    """Ask whether somebody wants to sign out: a link alone, which anybody may send, does nothing."""
    who = await browser.signed_in(request)
    if who is None:
        return RedirectResponse(f"{SIGN_IN}?signed_out=1", status_code=303, headers=NO_STORE)
    return browser.page(request, "sign-out.html", name=who.administrator.user_name)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Sign out."""
    await browser.read_form(request)
    answer = RedirectResponse(f"{SIGN_IN}?signed_out=1", status_code=303, headers=NO_STORE)
    await sign_in_session.end(request, answer)
    return answer


async def go_on(request: Request, whom: Administrator, pending: Pending) -> Response:
    """Ask for the second factor where there is one, else sign in.

    Args:
        pending: what was proved so far.
    """
    if not whom.has_second_factor:
        return await _finish(request, whom, pending, pending.methods)
    answer = RedirectResponse(f"{SIGN_IN}/code", status_code=303, headers=NO_STORE)
    lacking = Pending(pending.begun_at, pending.continue_to, whom.id, pending.methods)
    sign_in_pending.lay(request, answer, lacking)
    return answer


async def _finish(request: Request, whom: Administrator, pending: Pending, methods: list[str]) -> Response:
    """Sign in, and go on by way of the sign-in page, which ends the form's chain of redirects."""
    onward = f"{SIGN_IN}?{urlencode({'continue': pending.continue_to})}"
    answer = RedirectResponse(onward, status_code=303, headers=NO_STORE)
    await sign_in_session.begin(request, answer, whom, methods, pending.begun_at)
    return answer


async def _half_way(request: Request) -> tuple[Pending, Administrator] | None:
    """Give who proved their first factor in this browser, and can still go on with it."""
    pending = sign_in_pending.read(request)
    if pending is None or pending.administrator is None:
        return None
    database: Database = request.app.state.database
    async with database.connection() as conn:
        whom = await people.get(conn, request.app.state.tenant, pending.administrator)
    return (pending, whom) if whom is not None and not whom.is_disabled else None


def _form(
    request: Request,
    continue_to: str,
    *,
    name: str,
    again: bool = False,
    notice: str = "",
    refusal: PageRefusal | None = None,
) -> Response:
    asked = {"continue": continue_to, **({"reauthenticate": "1"} if again else {})}
    provider = sign_in_rules.of(request).provider
    answer = browser.page(
        request, "sign-in.html", status=refusal.status if refusal else 200, continue_to=continue_to, name=name,
        notice=notice, message=str(refusal or ""), code=refusal.code if refusal else "",
        provider=provider.registration.label if provider is not None else "",
        provider_address=f"{SIGN_IN}/external?{urlencode(asked)}", again=again,
    )  # fmt: skip
    answer.headers.update(refusal.headers if refusal else {})
    return answer


def _code_form(request: Request, whom: Administrator, refusal: PageRefusal | None = None) -> Response:
    answer = browser.page(
        request, "code.html", status=refusal.status if refusal else 200, name=whom.user_name,
        message=str(refusal or ""), code=refusal.code if refusal else "",
    )  # fmt: skip
    answer.headers.update(refusal.headers if refusal else {})
    return answer
