"""Lock-out against guessing: attempts are counted by what is guessed at and by where from, before they are made.

Names that nobody has count like those that somebody has, so that a wait tells nothing of them. An address has more
attempts than a name, because many may sit behind one.
"""

from __future__ import annotations

import hashlib
import logging
import math
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from starlette.requests import Request

from dirbridge.service.auth.sign_in import rules as sign_in_rules
from dirbridge.service.auth.sign_in import trail as sign_in_trail
from dirbridge.service.auth.sign_in.browser import PageRefusal
from dirbridge.store import guesses
from dirbridge.store.database import Database
from dirbridge.store.people import Administrator

logger = logging.getLogger(__name__)

AT_A_NAME, FROM_AN_ADDRESS = 5, 30
"""Attempts after which the waits begin."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that was counted.

    Attributes:
        target: what is guessed at.
        source: where from.
    """

    request: Request
    target: bytes
    source: bytes
    at: datetime

    async def succeeded(self) -> None:
        """Forget what was tried at this target; of the address only this attempt."""
        tenant = self.request.app.state.tenant
        async with _database(self.request).transaction() as conn:
            await guesses.forgive(conn, tenant, self.target)
            await guesses.take_back(conn, tenant, self.source, self.at)

    async def failed(self, whom: Administrator | None, reason: str) -> None:
        """Leave a row in the audit trail, and another where a wait began."""
        tenant = self.request.app.state.tenant
        async with _database(self.request).transaction() as conn:
            await sign_in_trail.leave(conn, self.request, "Refuse sign-in", whom, reason=reason)
            for key, what in ((self.target, "name"), (self.source, "address")):
                until = await guesses.blocked_until(conn, tenant, key)
                if until is not None and until > self.at:
                    await sign_in_trail.leave(conn, self.request, "Lock out", whom, what=what, until=until.isoformat())


def of_name(user_name: str) -> bytes:
    """Give what attempts at a name are counted by, in any case and written in any way."""
    return _key("name", user_name.strip().casefold())


def of_code(administrator: UUID) -> bytes:
    """Give what attempts at somebody's second factor are counted by."""
    return _key("code", str(administrator))


def of_user_codes(administrator: UUID) -> bytes:
    """Give what somebody's attempts at the codes of devices are counted by."""
    return _key("user code", str(administrator))


def of_address(address: str) -> bytes:
    """Give what attempts from an address are counted by."""
    return _key("address", sign_in_rules.network(address))


async def begin(request: Request, target: bytes) -> Attempt:
    """Count an attempt.

    Raises:
        PageRefusal: 429, none is listened to now; it says for how long.
    """
    at = sign_in_rules.of(request).clock()
    tenant, source = request.app.state.tenant, of_address(sign_in_rules.address(request))
    async with _database(request).transaction() as conn:
        until = await guesses.count(conn, tenant, source, FROM_AN_ADDRESS, at)
        if until is None:
            until = await guesses.count(conn, tenant, target, AT_A_NAME, at)
    if until is not None:
        logger.info("An attempt to sign in was not looked at.", extra={"event": "sign_in.locked"})
        raise _locked(until, at)
    return Attempt(request, target, source, at)


def _locked(until: datetime, at: datetime) -> PageRefusal:
    seconds = max(1, math.ceil((until - at).total_seconds()))
    wait = f"{seconds} seconds" if seconds < 120 else f"{math.ceil(seconds / 60)} minutes"
    return PageRefusal(
        429,
        "SignInLocked",
        f"There were too many attempts that failed. Wait {wait}, then try again.",
        headers={"Retry-After": str(seconds)},
    )


def _key(kind: str, text: str) -> bytes:
    return hashlib.sha256(f"{kind}\0{text}".encode("utf-8", "replace")).digest()


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database
