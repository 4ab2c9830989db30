"""A refused account is not tried again for a while: more tries could lock it.

Used by the source of each kind, which opens its directory through it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from dirbridge.connectors.ldap_wire.account import Account
from dirbridge.connectors.ldap_wire.kerberos import Keytab
from dirbridge.contract.errors import CredentialError

REFUSAL_LASTS = timedelta(minutes=30)
"""How long a refused account is not tried again, unless the settings or the password change."""

Opened = TypeVar("Opened")


class _Reached(Account, Protocol):
    @property
    def servers(self) -> Sequence[str]: ...


class SigningIn:
    """The memory of a refused account.

    Args:
        clock: seconds that only ever rise.
    """

    def __init__(self, account: _Reached, clock: Callable[[], float]) -> None:
        self._account = account
        self._clock = clock
        self._refusal: tuple[bytes, float, CredentialError] | None = None
        self._lock = asyncio.Lock()

    async def open(self, attempt: Callable[[], Awaitable[Opened]]) -> Opened:
        """Connect, unless this very account was refused a short while ago.

        One after the other, or as many sign-ins as there are readers would fail before the first of them is known to.

        Raises:
            CredentialError: the account was refused, now or then.
        """
        async with self._lock:
            fingerprint = self._fingerprint()
            if self._refusal is not None and self._refusal[0] == fingerprint and self._clock() < self._refusal[1]:
                raise self._refusal[2]
            self._refusal = None
            try:
                return await attempt()
            except CredentialError as error:
                self._refusal = fingerprint, self._clock() + REFUSAL_LASTS.total_seconds(), error
                raise

    def _fingerprint(self) -> bytes:
        secret = self._account.password()
        proof = secret.fingerprint if isinstance(secret, Keytab) else secret
        text = "\0".join((self._account.user, proof, *self._account.servers))
        return hashlib.blake2b(text.encode(), digest_size=16).digest()
