"""Applications: their rows, standing and certificates. Lists are in `application_queries`.

Every function takes an open connection and the tenant, and leaves the commit to its caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `service_principals` with all that Graph shows of an application and its service principal.

    Attributes:
        app_id: client id, and the object id of the application.
        built_in: which application this is to the service itself; None for all but a few.
        has_principal: False where it is registered only, and nobody can act as it.
        app_roles: the application permissions that it was granted, by name.
        public_redirect_uris: those of `redirect_uris` that lead to a device.
        required_permissions: the application permissions that it says it needs, by name; nobody need have granted them.
        delegated_permissions: what it may be allowed to do for people, by name.
    """

    id: UUID
    app_id: UUID
    display_name: str
    description: str | None = None
    app_roles: list[str] = []
    template_id: UUID | None = None
    is_enabled: bool = True
    created_at: datetime
    is_public: bool = False
    redirect_uris: list[str] = []
    public_redirect_uris: list[str] = []
    tags: list[str] = []
    required_permissions: list[str] = []
    delegated_permissions: list[str] = []
    has_principal: bool = True
    built_in: str | None = None
    sort_key: str = ""

    @property
    def reach(self) -> list[str]:
        """Give all that it may do, for itself and for people."""
        return [*self.app_roles, *self.delegated_permissions]


COLUMNS = sql.SQL(
    "p.id, p.app_id, p.display_name, p.description, p.app_roles, p.template_id, p.is_enabled, p.created_at,"
    " p.is_public, p.redirect_uris, p.public_redirect_uris, p.tags, p.required_permissions,"
    " p.delegated_permissions, p.has_principal, p.built_in"
)


class Certificate(msgspec.Struct, frozen=True):
    """A row of `application_certificates`.

    Attributes:
        id: Graph's keyId.
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


def standing_query(tenant: UUID, app_id: UUID) -> tuple[LiteralString, Sequence[Any]]:
    """Build the statement of how an application stands, by its key: every request of the API asks it."""
    text = """select id, is_enabled, extract(epoch from tokens_not_before)::double precision as tokens_not_before
              from service_principals where tenant = %s and app_id = %s and has_principal"""
    return text, (tenant, app_id)


async def standing(conn: AsyncConnection[Any], tenant: UUID, app_id: UUID) -> Standing | None:
    """Say how an application stands; None where it is gone."""
    async with conn.cursor(row_factory=class_row(Standing)) as cursor:
        await cursor.execute(*standing_query(tenant, app_id))
        return await cursor.fetchone()


async def has_redirect_uri(conn: AsyncConnection[Any], tenant: UUID, address: str) -> bool:
    """Tell whether an application that is enabled has registered an address."""
    cursor = await conn.execute(
        "select exists (select from service_principals where tenant = %s and is_enabled and has_principal"
        " and %s = any(redirect_uris))",
        [tenant, address],
    )
    return await cursor.fetchone() == (True,)


async def find(
    conn: AsyncConnection[Any], tenant: UUID, key: UUID, by: Literal["id", "app_id"], *, lock: bool = False
) -> Application | None:
    """Give an application by the id of its service principal or by its client id.

    Args:
        lock: keep others from changing it until the transaction ends.
    """
    text = sql.SQL("select {} from service_principals p where p.tenant = %s and p.{} = %s {}").format(
        COLUMNS, sql.Identifier(by), sql.SQL("for no key update" if lock else "")
    )
    async with conn.cursor(row_factory=class_row(Application)) as cursor:
        await cursor.execute(text, [tenant, key])
        return await cursor.fetchone()


async def hold(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID, credential: UUID | None) -> bool:
    """Wait for whoever changes an application, and make the next one wait for us.

    Returns:
        Whether it has a secret or certificate of this id.
    """
    await conn.execute(
        "select from service_principals where tenant = %s and id = %s for share", [tenant, service_principal]
    )
    # A statement of its own: it sees what was done while the one before waited.
    cursor = await conn.execute(
        """select exists (
               select from service_principal_credentials
               where tenant = %(tenant)s and service_principal = %(application)s and id = %(credential)s
           ) or exists (
               select from application_certificates
               where tenant = %(tenant)s and service_principal = %(application)s and id = %(credential)s
           )""",
        {"tenant": tenant, "application": service_principal, "credential": credential},
    )
    return await cursor.fetchone() == (True,)


async def find_built_in(
    conn: AsyncConnection[Any], tenant: UUID, which: Literal["graph", "command line"]
) -> Application | None:
    """Give one of the applications that the service itself knows."""
    text = sql.SQL("select {} from service_principals p where p.tenant = %s and p.built_in = %s").format(COLUMNS)
    async with conn.cursor(row_factory=class_row(Application)) as cursor:
        await cursor.execute(text, [tenant, which])
        return await cursor.fetchone()


async def add(conn: AsyncConnection[Any], tenant: UUID, new: Application) -> None:
    """Store a new application."""
    await conn.execute(
        """insert into service_principals (tenant, id, app_id, display_name, description, app_roles, template_id,
               is_enabled, created_at, is_public, redirect_uris, public_redirect_uris, tags, required_permissions,
               delegated_permissions, has_principal, built_in)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            tenant, new.id, new.app_id, new.display_name, new.description, new.app_roles, new.template_id,
            new.is_enabled, new.created_at, new.is_public, new.redirect_uris, new.public_redirect_uris, new.tags,
            new.required_permissions, new.delegated_permissions, new.has_principal, new.built_in,
        ],
    )  # fmt: skip


async def change(conn: AsyncConnection[Any], tenant: UUID, changed: Application) -> None:
    """Write what can change of an application: all but its ids, its origin and its beginning."""
    await conn.execute(
        """update service_principals set display_name = %s, description = %s, app_roles = %s, is_enabled = %s,
               is_public = %s, redirect_uris = %s, public_redirect_uris = %s, tags = %s, required_permissions = %s,
               delegated_permissions = %s, has_principal = %s
           where tenant = %s and id = %s""",
        [
            changed.display_name, changed.description, changed.app_roles, changed.is_enabled, changed.is_public,
            changed.redirect_uris, changed.public_redirect_uris, changed.tags, changed.required_permissions,
            changed.delegated_permissions, changed.has_principal, tenant, changed.id,
        ],
    )  # fmt: skip


async def delete(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID) -> None:
    """Remove an application with its credentials, owners and secrets; its jobs must be gone."""
    await conn.execute("delete from service_principals where tenant = %s and id = %s", [tenant, service_principal])


async def count_jobs(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID) -> int:
    """Count the synchronization jobs of an application."""
    cursor = await conn.execute(
        "select count(*) from jobs where tenant = %s and service_principal = %s", [tenant, service_principal]
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


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


async def remove_certificates(
    conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID, ids: Sequence[UUID]
) -> None:
    """Remove some of an application's certificates."""
    await conn.execute(
        "delete from application_certificates where tenant = %s and service_principal = %s and id = any(%s)",
        [tenant, service_principal, list(ids)],
    )


async def remove_secret(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID, id: UUID) -> bool:
    """Remove one of an application's secrets; False where it has none of this id."""
    removed = await conn.execute(
        "delete from service_principal_credentials where tenant = %s and service_principal = %s and id = %s",
        [tenant, service_principal, id],
    )
    return removed.rowcount == 1
