"""Standing and certificates of applications.

Every function takes an open connection and the tenant, and leaves the commit to its caller.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row


class Certificate(msgspec.Struct, frozen=True):
    """A row of `application_certificates`.

    Attributes:
        certificate: DER.
        sha1, sha256: thumbprints, which assertions name it by.
    """

    id: UUID
    display_name: str
    certificate: bytes
    sha1: bytes
    sha256: bytes
    starts_at: datetime
    expires_at: datetime


class Standing(msgspec.Struct, frozen=True):
    """Whether an application's tokens are good.

    Attributes:
        tokens_not_before: tokens issued up to this second are not.
    """

    id: UUID
    is_enabled: bool
    tokens_not_before: float


async def standing(conn: AsyncConnection[Any], tenant: UUID, app_id: UUID) -> Standing | None:
    """Say how an application stands; None where it is gone. Read by its key, as every request of the API asks."""
    async with conn.cursor(row_factory=class_row(Standing)) as cursor:
        await cursor.execute(
            """select id, is_enabled, extract(epoch from tokens_not_before)::double precision as tokens_not_before
               from service_principals where tenant = %s and app_id = %s""",
            [tenant, app_id],
        )
        return await cursor.fetchone()


async def has_redirect_uri(conn: AsyncConnection[Any], tenant: UUID, address: str) -> bool:
    """Tell whether an application that is enabled has registered an address."""
    cursor = await conn.execute(
        "select exists (select from service_principals where tenant = %s and is_enabled and %s = any(redirect_uris))",
        [tenant, address],
    )
    return await cursor.fetchone() == (True,)


async def revoke_tokens(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID) -> None:
    """Make every token void that an application was issued until now."""
    await conn.execute(
        "update service_principals set tokens_not_before = clock_timestamp() where tenant = %s and id = %s",
        [tenant, service_principal],
    )


async def certificates(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID) -> list[Certificate]:
    """Give an application's certificates, expired ones too, the one that is good longest first."""
    async with conn.cursor(row_factory=class_row(Certificate)) as cursor:
        await cursor.execute(
            """select id, display_name, certificate, sha1, sha256, starts_at, expires_at from application_certificates
               where tenant = %s and service_principal = %s order by expires_at desc, id""",
            [tenant, service_principal],
        )
        return await cursor.fetchall()


async def add_certificate(
    conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID, certificate: Certificate
) -> None:
    """Store a certificate; one that is there already stays as it is."""
    await conn.execute(
        """insert into application_certificates
               (tenant, service_principal, id, display_name, certificate, sha1, sha256, starts_at, expires_at)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (tenant, service_principal, sha256) do nothing""",
        [
            tenant,
            service_principal,
            certificate.id,
            certificate.display_name,
            certificate.certificate,
            certificate.sha1,
            certificate.sha256,
            certificate.starts_at,
            certificate.expires_at,
        ],
    )
