"""A sign-in that is not finished: what the browser carries from one of its pages to the next, sealed.

Nothing of it lies in the store, so that strangers who begin to sign in cost nothing. It is good for some minutes, and
for nothing else than to go on.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.auth.sign_in import browser
from dirbridge.service.auth.sign_in import rules as sign_in_rules

COOKIE = "__Host-dirbridge-pending"
GOOD_FOR = timedelta(minutes=10)


class Pending(msgspec.Struct, frozen=True):
    """What is known so far.

    Attributes:
        begun_at: when the first proof was begun to be looked at.
        continue_to: where the person goes on in the end.
        administrator: who they are, once they proved it; a second factor is still lacking.
        methods: how they did.
        state: what the outside provider hands back.
        nonce: what its token must hold.
        verifier: what the code's exchange must show (RFC 7636).
    """

    begun_at: datetime
    continue_to: str
    administrator: UUID | None = None
    methods: list[str] = []
    state: str = ""
    nonce: str = ""
    verifier: str = ""


def lay(request: Request, answer: Response, pending: Pending) -> None:
    """Give it to the browser."""
    sealed = _sealing(request).seal(msgspec.json.encode(pending), _context(request))
    value = base64.urlsafe_b64encode(sealed).decode()
    browser.set_cookie(answer, COOKIE, value, seconds=int(GOOD_FOR.total_seconds()))


def read(request: Request) -> Pending | None:
    """Take it from the browser; None where there is none that is good."""
    try:
        sealed = base64.urlsafe_b64decode(request.cookies.get(COOKIE, ""))
        found = msgspec.json.decode(_sealing(request).unseal(sealed, _context(request)), type=Pending)
    except (binascii.Error, ValueError, ConfigurationError, msgspec.MsgspecError):
        return None
    return found if sign_in_rules.of(request).clock() - found.begun_at < GOOD_FOR else None


def drop(answer: Response) -> None:
    """Take it away from the browser."""
    browser.drop_cookie(answer, COOKIE)


def _context(request: Request) -> str:
    return f"sign-in/{request.app.state.tenant}"


def _sealing(request: Request) -> Sealing:
    sealing: Sealing = request.app.state.sealing
    return sealing
