"""Browsers of administrators: who is signed in, what a page gets, and which form is really ours.

`sign_in` begins and ends sessions; every page of the service asks here. A browser carries 256 random bits, of which the
store knows the digest. A form carries a token that only who holds the browser's cookie can know (OWASP's signed
double-submit), so a form of a foreign page is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from dirbridge.contract.errors import DirbridgeError, TransientError
from dirbridge.service.auth import rendering
from dirbridge.service.auth.oauth import token_requests
from dirbridge.service.auth.oauth.refusals import TokenError
from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.store import people, sessions
from dirbridge.store.database import Database
from dirbridge.store.people import Administrator

logger = logging.getLogger(__name__)

SESSION = "__Host-dirbridge-session"
VISITOR = "__Host-dirbridge-visitor"
"""Cookies: of who is signed in, and of who is not yet, so that the sign-in form is theirs as well."""

SIGN_IN, HOME = "/sign-in", "/account"
START = "/"
"""Where somebody goes on to who asked for nothing in particular; it leads to the portal."""

TOUCH = timedelta(minutes=1)
"""A session that was seen less long ago is not written again."""
LONGEST_PATH = 8192
"""Characters of where somebody goes on to; a request to authorize with a long `state` has some thousand."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in.

    Attributes:
        administrator: as they are now.
        methods: how they proved who they are, by RFC 8176: pwd, otp, mfa; of an outside provider, what it said.
        session_digest: names the session in the store.
    """

    administrator: Administrator
    methods: tuple[str, ...]
    signed_in_at: datetime
    session_digest: bytes


class PageRefusal(Exception):
    """What cannot be done for somebody at a page; they see why.

    Args:
        code: of docs/errors.md.
        message: what is wrong, and what to do.
    """

    def __init__(self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


class PageRoute(APIRoute):
    """A route to a page: what goes wrong in it is told on a page, not as JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give what answers a request."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await answer(request)
            except PageRefusal as refusal:
                return refused(request, refusal)
            except HTTPException as error:
                return refused(request, PageRefusal(error.status_code, "PageRefused", str(error.detail)))
            except DirbridgeError as error:
                logger.warning("A page was refused: %s", error, extra={"event": "page_refused", "code": error.code})
                status = 503 if isinstance(error, TransientError) else 400
                return refused(request, PageRefusal(status, error.code, str(error)))

        return handle


async def signed_in(request: Request, *, seen: bool = True) -> SignedIn | None:
    """Give who sent a request; None where nobody is signed in, or the session has ended.

    Args:
        request: of a browser.
        seen: somebody is there; what a page asks by itself does not keep a session that nobody uses.
    """
    carried = request.cookies.get(SESSION)
    if not carried:
        return None
    rules, tenant, digest = sign_in_rules.of(request), request.app.state.tenant, digest_of(carried)
    database: Database = request.app.state.database
    now = rules.clock()
    async with database.connection() as conn:
        session = await sessions.find(conn, tenant, digest, now, rules.idle)
        who = await people.get(conn, tenant, session.administrator) if session is not None else None
        if session is None or who is None or who.is_disabled:
            return None
        if seen and now - session.last_seen_at > min(TOUCH, rules.idle / 10):
            await sessions.touch(conn, tenant, digest, now)
    return SignedIn(who, tuple(session.methods), session.signed_in_at, digest)


def ask(request: Request, continue_to: str, login_hint: str | None = None, *, reauthenticate: bool = False) -> Response:
    """Send a browser to the sign-in page.

    Args:
        request: the one that somebody must be signed in for.
        continue_to: path and query where they go on then; with `reauthenticate` one that does not ask for it again.
        login_hint: the name to begin with.
        reauthenticate: ask also who is signed in.
    """
    asked = {"continue": local(continue_to) or START}
    if login_hint:
        asked["login_hint"] = login_hint[:256]
    if reauthenticate:
        asked["reauthenticate"] = "1"
    del request  # every browser is sent to the same page
    return RedirectResponse(f"{SIGN_IN}?{urlencode(asked)}", status_code=303, headers={"Cache-Control": "no-store"})


def page(
    request: Request, template: str, *, status: int = 200, form_targets: Iterable[str] = (), **values: object
) -> Response:
    """Render a template of `pages`, with the token that its forms carry as `csrf`.

    Args:
        request: whose browser shows it.
        template: its file's name.
        form_targets: origins besides ours that a form may lead to, by redirects: that of an application's redirect URI.
        **values: what it shows.
    """
    carried = request.cookies.get(SESSION) or request.cookies.get(VISITOR)
    visitor = None if carried else new_value()
    shown: dict[str, object] = {"csrf": _token(carried or visitor or ""), **values}
    answer = rendering.render(request, template, shown, status=status, targets=form_targets)
    if visitor is not None:
        set_cookie(answer, VISITOR, visitor)
    return answer


def form_token(request: Request) -> str:
    """Give the token that forms of who is signed in carry as `csrf`."""
    return _token(request.cookies.get(SESSION, ""))


def refused(request: Request, refusal: PageRefusal) -> Response:
    """Show why something was refused."""
    answer = page(request, "refused.html", status=refusal.status, code=refusal.code, message=str(refusal))
    answer.headers.update(refusal.headers)
    return answer


async def read_form(request: Request) -> Mapping[str, str]:
    """Read a form and make sure that it is ours.

    Raises:
        PageRefusal: it is none, too large, or not from a page of ours in this browser.
    """
    try:
        form = await token_requests.read_form(request)
    except TokenError as error:
        raise PageRefusal(error.status, "FormUnreadable", str(error)) from error
    check_csrf(request, form)
    return form


def check_csrf(request: Request, form: Mapping[str, str]) -> None:
    """Make sure that a form was filled in on a page of ours in the same browser.

    Raises:
        PageRefusal: 403, it was not.
    """
    carried = request.cookies.get(SESSION) or request.cookies.get(VISITOR)
    if not carried or not hmac.compare_digest(_token(carried).encode(), form.get("csrf", "").encode()):
        raise PageRefusal(
            403,
            "FormExpired",
            "This form was not filled in here, or somebody signed in or out meanwhile. Go back, load the page again "
            "and repeat what you did.",
        )


def local(target: str | None) -> str | None:
    """Give where somebody wants to go on, if it is a path of this service; browsers read much as another host."""
    if not target or len(target) > LONGEST_PATH or not target.startswith("/"):
        return None
    if not target.isascii() or not target.isprintable() or " " in target or "\\" in target:
        return None
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return None if parts.scheme or parts.netloc or "//" in parts.path else target


def new_value() -> str:
    """Give 256 random bits as a cookie carries them."""
    return secrets.token_urlsafe(32)


def digest_of(carried: str) -> bytes:
    """Give what the store knows of a cookie's value."""
    return hashlib.sha256(carried.encode()).digest()


def set_cookie(answer: Response, name: str, value: str, *, seconds: int | None = None) -> None:
    """Lay a cookie that only this host gets back, by HTTPS, and no script reads; it ends with the browser."""
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def drop_cookie(answer: Response, name: str) -> None:
    """Take a cookie away."""
    answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


def _token(carried: str) -> str:
    return urlsafe_b64encode(hmac.digest(carried.encode(), b"form", "sha256")).rstrip(b"=").decode()
