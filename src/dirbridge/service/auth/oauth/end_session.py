"""Where applications send people to be signed out of this service as well.

A link alone does nothing, as anybody may send one: the person is asked. They are sent on only to an address that an
application of the tenant has registered.

Source: OpenID Connect RP-Initiated Logout 1.0.
"""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dirbridge.service.auth.oauth import endpoints, redirects, token_requests
from dirbridge.service.auth.oauth.refusals import TokenError
from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in import session as sign_in_session
from dirbridge.service.auth.sign_in.browser import SIGN_IN, PageRefusal, PageRoute
from dirbridge.store import applications

PATH = "/{tenant}/oauth2/v2.0/logout"

_NO_STORE = {"Cache-Control": "no-store"}

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(PATH)
async def ask(request: Request, tenant: str) -> Response:
    """Ask whether the person wants to sign out; whoever is not signed in goes on."""
    state = request.app.state
    try:
        await endpoints.check_tenant(state.database, state.tokens, tenant)
        form = token_requests.read_query(request)
    except TokenError as error:
        raise PageRefusal(error.status, f"AADSTS{error.number}", str(error)) from error
    back = await _back(request, form.get("post_logout_redirect_uri", ""), form.get("state", ""))
    who = await browser.signed_in(request)
    if who is None:
        return RedirectResponse(back, status_code=303, headers=_NO_STORE)
    targets = [] if back.startswith("/") else [redirects.origin(back)]
    return browser.page(
        request, "end-session.html", form_targets=targets, name=who.administrator.user_name,
        action=PATH.format(tenant=tenant), address=form.get("post_logout_redirect_uri", ""),
        state=form.get("state", ""),
    )  # fmt: skip


@router.post(PATH)
async def end(request: Request, tenant: str) -> Response:
    """Sign out, by our own form; by an application's, ask."""
    try:
        form = await token_requests.read_form(request)
    except TokenError as error:
        raise PageRefusal(error.status, "FormUnreadable", str(error)) from error
    if "csrf" not in form:
        return RedirectResponse(f"{PATH.format(tenant=tenant)}?{urlencode(form)}", status_code=303, headers=_NO_STORE)
    browser.check_csrf(request, form)
    back = await _back(request, form.get("post_logout_redirect_uri", ""), form.get("state", ""))
    answer = RedirectResponse(back, status_code=303, headers=_NO_STORE)
    await sign_in_session.end(request, answer)
    return answer


async def _back(request: Request, wanted: str, state: str) -> str:
    """Give where a person goes then: to the address if an application has registered it, else to the sign-in page."""
    ours = f"{SIGN_IN}?signed_out=1"
    if not wanted:
        return ours
    async with request.app.state.database.connection() as conn:
        if not await applications.has_redirect_uri(conn, request.app.state.tenant, wanted):
            return ours
    separator = "&" if "?" in wanted else "?"
    return f"{wanted}{separator}{urlencode({'state': state})}" if state else wanted
