"""The authorization endpoint: a browser comes with what an application wants, and goes back with a code.

Until the application and its redirect address are known to belong together, whatever is wrong is told on a page of
ours; from then on it is told to the application. Who is signed in is `browser`'s affair, what the code is exchanged for
that of `grants`.

Source: RFC 6749 section 4.1; RFC 7636 section 4.3; OpenID Connect Core 1.0 section 3.1.2.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from psycopg import AsyncConnection
from starlette.responses import RedirectResponse, Response

from dirbridge.service.auth.oauth import clients, delegated_scopes, endpoints, grants, redirects, token_requests
from dirbridge.service.auth.oauth.delegated_scopes import Scopes
from dirbridge.service.auth.oauth.refusals import TokenError
from dirbridge.service.auth.oauth.token_requests import TokenRequest
from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.service.auth.sign_in.browser import PageRefusal, PageRoute, SignedIn
from dirbridge.store import audits, sessions
from dirbridge.store import grants as store
from dirbridge.store.grants import Code
from dirbridge.store.identity import ServicePrincipal

CODE_LIFETIME = timedelta(minutes=10)

PATH = "/{tenant}/oauth2/v2.0/authorize"
CONSENT = "/{tenant}/oauth2/v2.0/consent"

# In our own addresses: since when the person must have signed in.
_SINCE = "signed_in_since"
_PROMPTS = frozenset({"none", "login", "select_account", "consent"})
_ANEW = frozenset({"login", "select_account"})
# RFC 7636 sections 4.1 and 4.2.
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_LONGEST_NONCE = 1024

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Wish:
    """What an application wants, which is known to be itself.

    Attributes:
        redirect_uri: registered.
        mode: how it is answered there.
    """

    asked: TokenRequest
    tenant: str
    principal: ServicePrincipal
    redirect_uri: str
    mode: str

    def send(self, **values: str) -> Response:
        """Send the browser back with an answer."""
        if "state" in self.asked.form:
            values["state"] = self.asked.form["state"]
        return redirects.send(self.asked.request, self.redirect_uri, self.mode, values)

    def refuse(self, error: TokenError) -> Response:
        """Send the browser back with a refusal."""
        told = error.told(self.asked.request, self.asked.at)
        return self.send(error=error.error, error_description=str(told["error_description"]))


@dataclass(frozen=True, slots=True)
class Order:
    """How the person is to be asked.

    Attributes:
        silent: not at all.
        anew: they sign in although they are signed in.
        consent: they allow again what they allowed before.
        max_age: how long ago they may have signed in.
        since: from when on they must have, as was decided when they came first.
    """

    silent: bool
    anew: bool
    consent: bool
    max_age: timedelta | None
    since: datetime | None


@router.get(PATH)
async def authorize(request: Request, tenant: str) -> Response:
    """Give an application a code, once somebody is signed in and allows it what it asks for."""
    wish = await read(request, tenant)
    try:
        return await _decide(wish)
    except TokenError as error:
        return wish.refuse(error)


@router.post(PATH)
async def authorize_by_form(request: Request, tenant: str) -> Response:
    """The same by a form of the application's page: with it, browsers do not send our cookies, so it is asked again."""
    try:
        form = await token_requests.read_form(request)
    except TokenError as error:
        raise _shown(error) from error
    where = f"{PATH.format(tenant=tenant)}?{urlencode(form)}"
    return RedirectResponse(where, status_code=303, headers={"Cache-Control": "no-store"})


@router.post(CONSENT)
async def consent(request: Request, tenant: str) -> Response:
    """Keep what a person allows an application, and give it its code; or tell it that they do not."""
    given = await browser.read_form(request)
    try:
        form = token_requests.parse(given.get("request", "").encode("ascii", "replace"))
    except TokenError as error:
        raise _shown(error) from error
    wish = await read(request, tenant, form)
    try:
        _check(wish)
        scopes, order = _scopes(wish), _order(wish)
        who = await browser.signed_in(request)
        if who is None or _is_stale(wish, who, order):
            return _ask(wish, order)
        if given.get("decision") != "allow":
            raise TokenError(65004, "access_denied", "The user declined to consent to access the app.")
        if not was_shown(given, scopes.names):
            return _consent_page(wish, who, scopes)
        return await _give(wish, who, scopes, consents=True)
    except TokenError as error:
        return wish.refuse(error)


async def read(request: Request, tenant: str, form: Mapping[str, str] | None = None) -> Wish:
    """Read a request up to the point from which its redirect address is trusted.

    Args:
        form: its parameters, if they are not in the address.

    Raises:
        PageRefusal: it is not.
    """
    state, at = request.app.state, sign_in_rules.of(request).clock()
    try:
        given = token_requests.read_query(request) if form is None else form
        asked = TokenRequest(state.database, state.tokens, request, given, at)
        await endpoints.check_tenant(state.database, state.tokens, tenant)
        principal = await clients.known(asked, asked.needed("client_id"))
        redirect_uri = asked.needed("redirect_uri")
        if not redirects.is_registered(principal, redirect_uri):
            raise TokenError(
                50011,
                "invalid_request",
                f"The redirect URI '{redirect_uri[:200]}' specified in the request does not match the redirect URIs "
                f"configured for the application '{principal.app_id}'.",
            )
        mode = given.get("response_mode", "query")
        if mode not in redirects.MODES:
            raise TokenError(
                90100, "invalid_request", f"The response mode '{mode[:60]}' is none of {', '.join(redirects.MODES)}."
            )
    except TokenError as error:
        raise _shown(error) from error
    return Wish(asked, tenant, principal, redirect_uri, mode)


async def hold_session(conn: AsyncConnection[Any], request: Request, who: SignedIn) -> None:
    """Make sure that a session has not been ended, and will not be beside what is given for it in this transaction.

    Raises:
        PageRefusal: it has.
    """
    rules, tenant = sign_in_rules.of(request), request.app.state.tenant
    await store.hold(conn, tenant, who.administrator.id)
    if await sessions.find(conn, tenant, who.session_digest, rules.clock(), rules.idle) is None:
        raise PageRefusal(400, "SignInOutdated", "Your account was changed while you were asked. Sign in again.")


def was_shown(given: Mapping[str, str], permissions: Collection[str]) -> bool:
    """Tell whether a form's page showed all that it would allow: meanwhile the application may ask for more."""
    return set(permissions) <= set(given.get("shown", "").split())


async def keep_consent(
    conn: AsyncConnection[Any], wish: Wish, who: SignedIn, scopes: Sequence[str], *, for_everybody: bool
) -> None:
    """Keep what an administrator allows an application, and leave a row in the audit trail."""
    tenant, principal, whom = wish.asked.tokens.tenant, wish.principal, who.administrator
    await store.consent(conn, tenant, principal.id, None if for_everybody else whom.id, list(scopes), wish.asked.at)
    await audits.record(
        conn, tenant, actor=whom.user_name, activity="Consent to application", target=principal.display_name,
        detail={
            "appId": str(principal.app_id), "scopes": scopes, "for": "everybody" if for_everybody else whom.user_name,
        },
    )  # fmt: skip


async def _decide(wish: Wish) -> Response:
    _check(wish)
    scopes, order = _scopes(wish), _order(wish)
    who = await browser.signed_in(wish.asked.request)
    if who is None or _is_stale(wish, who, order):
        if order.silent:
            raise TokenError(
                50058, "login_required", "Session information is not sufficient for single-sign-on: nobody is signed "
                "in, or not as this request asks for.",
            )  # fmt: skip
        return _ask(wish, order)
    async with wish.asked.database.connection() as conn:
        consented = await store.consented(conn, wish.asked.tokens.tenant, wish.principal.id, who.administrator.id)
    if order.consent or not scopes.names <= consented:
        if order.silent:
            raise TokenError(
                65001, "consent_required", "The user or administrator has not consented to use the application with "
                f"ID '{wish.principal.app_id}' named '{wish.principal.display_name}'.",
            )  # fmt: skip
        return _consent_page(wish, who, scopes)
    return await _give(wish, who, scopes, consents=False)


def _check(wish: Wish) -> None:
    """Make sure that the request is one that a code can answer."""
    form = wish.asked.form
    kind = wish.asked.needed("response_type")
    if kind != "code":
        raise TokenError(
            70005, "unsupported_response_type", f"The response type '{kind[:60]}' is not supported; 'code' is expected."
        )
    for name in ("request", "request_uri"):
        if name in form:
            raise TokenError(90100, f"{name}_not_supported", f"The parameter '{name}' is not supported.")
    if len(form.get("nonce", "")) > _LONGEST_NONCE or not form.get("nonce", "").isprintable():
        raise TokenError(90100, "invalid_request", f"A nonce has at most {_LONGEST_NONCE:,} printable characters.")
    challenge, method = form.get("code_challenge"), form.get("code_challenge_method", "plain")
    if challenge is None and wish.principal.is_public:
        raise TokenError(
            9002325, "invalid_request", "Proof Key for Code Exchange is required: a public client must send "
            "'code_challenge'.",
        )  # fmt: skip
    if challenge is not None and (method not in {"S256", "plain"} or not _CHALLENGE.fullmatch(challenge)):
        raise TokenError(
            501491, "invalid_request", "The code challenge has 43 to 128 letters, digits, '-', '.', '_' and '~', and "
            "its method is S256 or plain.",
        )  # fmt: skip


def _scopes(wish: Wish) -> Scopes:
    allowed = delegated_scopes.OF_SIGN_IN | {*wish.principal.delegated_permissions}
    return delegated_scopes.read(wish.asked, wish.asked.needed("scope"), allowed)


def _order(wish: Wish) -> Order:
    form = wish.asked.form
    prompts = set(form.get("prompt", "").split())
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise TokenError(
            90100, "invalid_request", f"The prompt '{form['prompt'][:60]}' is none of {', '.join(sorted(_PROMPTS))}."
        )
    since, max_age = _number(form, _SINCE), _number(form, "max_age")
    return Order(
        silent="none" in prompts,
        anew=bool(prompts & _ANEW),
        consent="consent" in prompts,
        max_age=None if max_age is None else timedelta(seconds=max_age),
        since=None if since is None else datetime.fromtimestamp(since, UTC),
    )


def _number(form: Mapping[str, str], name: str) -> int | None:
    text = form.get(name)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise TokenError(90100, "invalid_request", f"'{name}' is a number of seconds, and not '{text[:60]}'.")
    return int(text)


def _is_stale(wish: Wish, who: SignedIn, order: Order) -> bool:
    """Tell whether somebody who is signed in must sign in all the same."""
    if order.since is not None:
        return who.signed_in_at < order.since
    hint = wish.asked.form.get("login_hint", "")
    is_another = "@" in hint and hint.lower() != who.administrator.user_name.lower()
    is_old = order.max_age is not None and wish.asked.at - who.signed_in_at > order.max_age
    return order.anew or is_another or is_old


def _ask(wish: Wish, order: Order) -> Response:
    """Send the browser to the sign-in page; when it is back, only its signing in there counts."""
    form = dict(wish.asked.form)
    form[_SINCE] = str(int((order.since or wish.asked.at).timestamp()))
    kept = [each for each in form.pop("prompt", "").split() if each not in _ANEW]
    if kept:
        form["prompt"] = " ".join(kept)
    where = f"{PATH.format(tenant=wish.tenant)}?{urlencode(form)}"
    if browser.local(where) is None:
        raise TokenError(
            90100, "invalid_request", f"The request is too long: at most {browser.LONGEST_PATH:,} characters are taken."
        )
    return browser.ask(wish.asked.request, where, form.get("login_hint"), reauthenticate=True)


def _consent_page(wish: Wish, who: SignedIn, scopes: Scopes) -> Response:
    return browser.page(
        wish.asked.request, "consent.html", form_targets=[redirects.origin(wish.redirect_uri)],
        action=CONSENT.format(tenant=wish.tenant), asked=urlencode(wish.asked.form), name=who.administrator.user_name,
        application=wish.principal.display_name, client_id=wish.principal.app_id, everybody=False,
        permissions=sorted(scopes.names), goes_to=redirects.origin(wish.redirect_uri),
    )  # fmt: skip


async def _give(wish: Wish, who: SignedIn, scopes: Scopes, *, consents: bool) -> Response:
    """Give the application its code."""
    asked, tenant, whom = wish.asked, wish.asked.tokens.tenant, who.administrator
    carried, form = grants.new_secret(), wish.asked.form
    challenge = form.get("code_challenge")
    code = Code(
        service_principal=wish.principal.id, administrator=whom.id, redirect_uri=wish.redirect_uri,
        scopes=sorted(scopes.names), asked=" ".join(scopes.spelled), challenge=challenge,
        challenge_method=form.get("code_challenge_method", "plain") if challenge else None, nonce=form.get("nonce"),
        methods=list(who.methods), signed_in_at=who.signed_in_at, expires_at=asked.at + CODE_LIFETIME,
    )  # fmt: skip
    async with asked.database.transaction() as conn:
        await hold_session(conn, asked.request, who)
        if consents:
            await keep_consent(conn, wish, who, sorted(scopes.names), for_everybody=False)
        await store.add_code(conn, tenant, grants.digest(carried), code)
    return wish.send(code=carried)


def _shown(error: TokenError) -> PageRefusal:
    """Tell a refusal to the person, where the application is not to be trusted with it."""
    return PageRefusal(error.status, f"AADSTS{error.number}", str(error))
