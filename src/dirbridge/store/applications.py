"""Certificates of applications.

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
