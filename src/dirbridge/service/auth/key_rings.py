"""The keys that sign tokens, as a process knows them: opened, and read afresh every few seconds.

Used by `tokens`. Which key signs follows from the stored rows and the time alone, so that processes agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from joserfc.jwk import KeySet, RSAKey
from psycopg import AsyncConnection

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth.sealing import Sealing
from dirbridge.store import identity, signing_keys
from dirbridge.store.database import Database
from dirbridge.store.signing_keys import SigningKey

BITS = 2048


@dataclass(frozen=True)
class Ring:
    """All keys of one moment; each verifies.

    Attributes:
        keys: with the time from which on they sign; the one that begins last first.
    """

    keys: tuple[tuple[RSAKey, datetime], ...]

    @classmethod
    def fixed(cls, keys: Sequence[RSAKey]) -> Ring:
        """Give keys of which the first signs, at any time."""
        return cls(tuple((key, datetime.min.replace(tzinfo=UTC)) for key in keys))

    @cached_property
    def verifying(self) -> KeySet:
        """Give all of them for verification and publication."""
        return KeySet([key for key, _ in self.keys])

    @cached_property
    def by_id(self) -> dict[str, RSAKey]:
        """Give them by `kid`."""
        return {str(key.kid): key for key, _ in self.keys}

    def signing(self, at: datetime) -> RSAKey:
        """Give the key that signs at a time."""
        return next((key for key, begins in self.keys if begins <= at), self.keys[-1][0])


async def read(database: Database, tenant: UUID, sealing: Sealing, known: Ring | None = None) -> Ring:
    """Open the tenant's keys.

    Args:
        known: keys that were opened before, which need not be opened again.

    Raises:
        ConfigurationError: there is none, or the sealing key does not fit.
    """
    async with database.connection() as conn:
        rows = await signing_keys.list_all(conn, tenant)
    if not rows:
        raise ConfigurationError(
            f"Tenant {tenant} has no key to sign tokens with.",
            code="NotInitialised",
            recommended_action="Run `dirbridge init`.",
        )
    opened = known.by_id if known is not None else {}
    return Ring(tuple((opened.get(row.id) or _opened(row, tenant, sealing), row.signs_from) for row in rows))


def _opened(row: SigningKey, tenant: UUID, sealing: Sealing) -> RSAKey:
    plain = sealing.unseal(row.sealed, identity.key_context(tenant, "token", row.id))
    return RSAKey.import_key(plain, {"kid": row.id})


async def create(
    conn: AsyncConnection[Any], tenant: UUID, sealing: Sealing, *, at: datetime, signs_from: datetime
) -> str:
    """Make and store a key; gives its `kid`."""
    key = await asyncio.to_thread(RSAKey.generate_key, BITS)
    kid = key.thumbprint()
    sealed = sealing.seal(key.as_pem(private=True), identity.key_context(tenant, "token", kid))
    await signing_keys.add(conn, tenant, kid, sealed, key.as_pem(private=False), at=at, signs_from=signs_from)
    return kid
