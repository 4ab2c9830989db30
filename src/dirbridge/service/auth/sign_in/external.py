"""Sign-in by way of an outside provider: there, back, and which administrator that is.

Begun by a link and not by a form, because browsers hold a form's redirects to our own pages.
"""

from __future__ import annotations

import hmac
import logging
import re
import secrets

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in import pending as sign_in_pending
from dirbridge.service.auth.sign_in import routes as sign_in
from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.service.auth.sign_in import trail as sign_in_trail
from dirbridge.service.auth.sign_in.browser import SIGN_IN, START, PageRefusal, PageRoute
from dirbridge.service.auth.sign_in.external_provider import Claims, Provider
from dirbridge.service.auth.sign_in.pending import Pending
from dirbridge.store import people
from dirbridge.store.database import Connection, Database
from dirbridge.store.people import Administrator

logger = logging.getLogger(__name__)

router = APIRouter(prefix=SIGN_IN + "/external", route_class=PageRoute, include_in_schema=False)

_WORD = re.compile(r"[a-z_]{1,40}")
_METHOD = re.compile(r"[a-z0-9_]{1,20}")
MOST_CHARACTERS = 512
"""Of a subject; the specification allows 255."""


@router.get("")
async def begin(request: Request) -> Response:
    """Send the browser to the provider."""
    provider = _provider(request)
    continue_to = browser.local(request.query_params.get("continue")) or START
    pending = Pending(
        sign_in_rules.of(request).clock(),
        continue_to,
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
    )
    address = await provider.address(
        _redirect_uri(request), pending.state, pending.nonce, pending.verifier,
        reauthenticate="reauthenticate" in request.query_params,
    )  # fmt: skip
    answer = RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})
    sign_in_pending.lay(request, answer, pending)
    return answer


@router.get("/callback")
async def callback(request: Request) -> Response:
    """Take the browser back with what the provider says, and sign the person in whom it means."""
    provider, said, pending = _provider(request), request.query_params, sign_in_pending.read(request)
    if pending is None or not pending.state or not _same(said.get("state", ""), pending.state):
        raise PageRefusal(
            400, "SignInExpired", "You took too long to sign in, or began it in another browser. Begin again."
        )
    if "error" in said or not said.get("code"):
        word = said.get("error", "")
        shown = f" ({word})" if _WORD.fullmatch(word) else ""
        await _refuse(request, None, f"provider refused{shown}")
        raise PageRefusal(400, "ProviderDenied", f"{provider.registration.label} did not let you in{shown}.")
    issuer = provider.registration.issuer
    if said.get("iss", issuer) != issuer:  # RFC 9207: the answer of another provider, mixed up with ours
        raise PageRefusal(400, "ProviderDenied", "The answer came from another provider than was asked.")
    claims = await provider.exchange(said["code"], _redirect_uri(request), pending.verifier, pending.nonce)
    whom = await _person(request, issuer, claims)
    said_methods = claims.amr if isinstance(claims.amr, list) else []
    methods = [each for each in said_methods[:10] if _METHOD.fullmatch(each)]
    answer = await sign_in.go_on(request, whom, Pending(pending.begun_at, pending.continue_to, methods=methods))
    if not whom.has_second_factor:
        sign_in_pending.drop(answer)
    return answer


async def _person(request: Request, issuer: str, claims: Claims) -> Administrator:
    """Find the administrator whom the provider means.

    Raises:
        PageRefusal: there is none, or they are disabled, or somebody else there is them.
    """
    database: Database = request.app.state.database
    subject = f"{issuer} {claims.sub}"
    whom, reason = None, "unknown person"
    if claims.sub.isprintable() and len(subject) <= MOST_CHARACTERS:
        async with database.transaction() as conn:
            whom, reason = await _bound(conn, request, subject, claims)
    if whom is not None and not whom.is_disabled:
        return whom
    await _refuse(request, whom, reason if whom is None else "disabled")
    raise PageRefusal(
        403,
        "PersonUnknown",
        "You are no administrator here. Somebody who is can make you one; nobody becomes one by signing in.",
    )


async def _bound(conn: Connection, request: Request, subject: str, claims: Claims) -> tuple[Administrator | None, str]:
    """Find by subject, else by name; a name is believed once only."""
    tenant = request.app.state.tenant
    known = await people.find_external(conn, tenant, subject)
    if known is not None:
        return known, ""
    name = _name(claims, _provider(request).registration.name)
    found = await people.find(conn, tenant, name) if name else None
    if found is None or found.is_disabled:
        return found, "unknown person"
    if not await people.bind_external(conn, tenant, found.id, subject):
        return None, f"another person there is {found.user_name}"
    await sign_in_trail.leave(conn, request, "Link administrator", found, subject=subject)
    return found, ""


def _name(claims: Claims, claim: str) -> str:
    """Give the name that somebody has at the provider; of an address only one that it verified."""
    verified = claims.email_verified is True or claims.email_verified == "true"
    name = claims.preferred_username if claim == "preferred_username" else claims.email if verified else None
    return name if name and name.isprintable() else ""


async def _refuse(request: Request, whom: Administrator | None, reason: str) -> None:
    logger.info("A sign-in by the provider was refused: %s.", reason, extra={"event": "sign_in.external_refused"})
    database: Database = request.app.state.database
    async with database.transaction() as conn:
        await sign_in_trail.leave(conn, request, "Refuse sign-in", whom, reason=reason)


def _provider(request: Request) -> Provider:
    provider = sign_in_rules.of(request).provider
    if provider is None:
        raise PageRefusal(404, "PageRefused", "No outside provider is set here.")
    return provider


def _redirect_uri(request: Request) -> str:
    return f"{request.app.state.base_url}{SIGN_IN}/external/callback"


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
