"""An administrator allows an application what it asks for on behalf of everybody, once.

Source: Microsoft identity platform, admin consent endpoint.
"""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from dirbridge.service.auth.oauth import authorize, redirects, token_requests
from dirbridge.service.auth.oauth.authorize import Wish
from dirbridge.service.auth.oauth.delegated_scopes import OF_SIGN_IN
from dirbridge.service.auth.oauth.refusals import TokenError
from dirbridge.service.auth.permissions import APPLICATION_WRITERS, BEYOND_FOR_PEOPLE, GLOBAL_ADMINISTRATOR
from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in.browser import PageRefusal, PageRoute, SignedIn

PATH = "/{tenant}/adminconsent"

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(PATH)
async def ask(request: Request, tenant: str) -> Response:
    """Show what an application wants to do for everybody: all its delegated permissions."""
    wish = await authorize.read(request, tenant)
    who = await browser.signed_in(request)
    if who is None:
        return browser.ask(request, f"{PATH.format(tenant=tenant)}?{urlencode(wish.asked.form)}")
    _check_role(wish, who)
    return _page(wish, who, tenant)


@router.post(PATH)
async def answer(request: Request, tenant: str) -> Response:
    """Keep the answer, and tell it to the application."""
    given = await browser.read_form(request)
    try:
        form = token_requests.parse(given.get("request", "").encode("ascii", "replace"))
    except TokenError as error:
        raise PageRefusal(error.status, "FormUnreadable", str(error)) from error
    wish = await authorize.read(request, tenant, form)
    who = await browser.signed_in(request)
    if who is None:
        return browser.ask(request, f"{PATH.format(tenant=tenant)}?{urlencode(form)}")
    _check_role(wish, who)
    if given.get("decision") != "allow":
        return wish.send(error="permission_denied", error_description="The administrator declined to consent.")
    if not authorize.was_shown(given, wish.principal.delegated_permissions):
        return _page(wish, who, tenant)
    await _keep(wish, who)
    return wish.send(tenant=str(wish.asked.tokens.tenant), admin_consent="True")


def _page(wish: Wish, who: SignedIn, tenant: str) -> Response:
    return browser.page(
        wish.asked.request, "consent.html", form_targets=[redirects.origin(wish.redirect_uri)],
        action=PATH.format(tenant=tenant), asked=urlencode(wish.asked.form), name=who.administrator.user_name,
        application=wish.principal.display_name, client_id=wish.principal.app_id, everybody=True,
        permissions=sorted(wish.principal.delegated_permissions), goes_to=redirects.origin(wish.redirect_uri),
    )  # fmt: skip


def _check_role(wish: Wish, who: SignedIn) -> None:
    """Make sure that somebody may allow an application this for everybody, Global Administrators among them."""
    if APPLICATION_WRITERS.isdisjoint(who.administrator.roles):
        raise PageRefusal(
            403, "Authorization_RequestDenied", f"{who.administrator.user_name} cannot allow this for everybody. One "
            f"of these roles is needed: {', '.join(sorted(APPLICATION_WRITERS))}.",
        )  # fmt: skip
    beyond = BEYOND_FOR_PEOPLE.intersection(wish.principal.delegated_permissions)
    if beyond and GLOBAL_ADMINISTRATOR not in who.administrator.roles:
        raise PageRefusal(
            403, "Authorization_RequestDenied", f"{who.administrator.user_name} cannot allow this for everybody. The "
            f"role {GLOBAL_ADMINISTRATOR} is needed, because of: {', '.join(sorted(beyond))}.",
        )  # fmt: skip


async def _keep(wish: Wish, who: SignedIn) -> None:
    scopes = sorted({*wish.principal.delegated_permissions, *OF_SIGN_IN})
    async with wish.asked.database.transaction() as conn:
        await authorize.hold_session(conn, wish.asked.request, who)
        await authorize.keep_consent(conn, wish, who, scopes, for_everybody=True)
