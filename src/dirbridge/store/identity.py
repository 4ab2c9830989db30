"""Tenants and their domains, keys and applications.

Every function takes an open connection and leaves the commit to its caller; all but the tenant's own take the tenant.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.contract.errors import ConfigurationError

KeyPurpose = Literal["ca", "tls", "token"]

# Held while a database gets its tenant, so that two first starts make one.
_INITIALISING = 0x64_69_72_62


class Tenant(msgspec.Struct, frozen=True):
    """A row of `tenants`."""

    id: UUID
    name: str
    initial_domain: str
    base_url: str
    created_at: datetime


class Domain(msgspec.Struct, frozen=True):
    """A row of `domains`."""

    name: str
    is_initial: bool
    is_default: bool
    is_verified: bool


class Key(msgspec.Struct, frozen=True):
    """A row of `keys`: the private part sealed, the public one in PEM."""

    id: str
    sealed: bytes
    public: bytes
    created_at: datetime


class ServicePrincipal(msgspec.Struct, frozen=True):
    """A row of `service_principals`: an application as the tenant knows it.

    Attributes:
        has_principal: False where it is registered only, so that nobody can act as it.
        is_public: it runs where it cannot keep a secret, and proves nothing of itself where it acts for a person.
        redirect_uris: where people who signed in for it are sent back to.
        delegated_permissions: what it may be allowed to do for people.
    """

    id: UUID
    app_id: UUID
    display_name: str
    app_roles: list[str]
    template_id: UUID | None
    is_enabled: bool
    created_at: datetime
    is_public: bool
    redirect_uris: list[str]
    delegated_permissions: list[str]
    has_principal: bool


class Credential(msgspec.Struct, frozen=True):
    """A row of `service_principal_credentials`."""

    id: UUID
    display_name: str
    secret_hash: str
    hint: str
    expires_at: datetime


# Tenants and domains -------------------------------------------------------------------------------------------------


async def lock_initialisation(conn: AsyncConnection[Any]) -> None:
    """Let only one process at a time set a database up; held until the transaction ends."""
    await conn.execute("select pg_advisory_xact_lock(%s)", [_INITIALISING])


async def find_tenant(conn: AsyncConnection[Any]) -> Tenant | None:
    """Give the oldest tenant, which is the only one for now; None in a database that was not initialised."""
    async with conn.cursor(row_factory=class_row(Tenant)) as cursor:
        await cursor.execute(
            """select id, name, initial_domain, base_url, created_at from tenants where preview_of is null
               order by created_at, id limit 1"""
        )
        return await cursor.fetchone()


async def only_tenant(conn: AsyncConnection[Any]) -> UUID:
    """Give the id of the tenant.

    Raises:
        ConfigurationError: there is none.
    """
    tenant = await find_tenant(conn)
    if tenant is None:
        raise ConfigurationError(
            "The database holds no tenant.", code="NotInitialised", recommended_action="Run `dirbridge init`."
        )
    return tenant.id


async def get_tenant(conn: AsyncConnection[Any], tenant: UUID) -> Tenant:
    """Give a tenant.

    Raises:
        ConfigurationError: there is none of this id.
    """
    async with conn.cursor(row_factory=class_row(Tenant)) as cursor:
        await cursor.execute(
            "select id, name, initial_domain, base_url, created_at from tenants where id = %s", [tenant]
        )
        found = await cursor.fetchone()
    if found is None:
        raise ConfigurationError(f"There is no tenant {tenant}.", code="NotInitialised")
    return found


async def create_tenant(
    conn: AsyncConnection[Any], tenant: UUID, *, name: str, initial_domain: str, base_url: str
) -> None:
    """Store a new tenant with its initial domain, which is the default until another one is."""
    await conn.execute(
        "insert into tenants (id, name, initial_domain, base_url) values (%s, %s, %s, %s)",
        [tenant, name, initial_domain, base_url],
    )
    await conn.execute(
        "insert into domains (tenant, name, is_initial, is_default) values (%s, %s, true, true)",
        [tenant, initial_domain],
    )
    # Scripts look permissions up at Microsoft Graph's own service principal.
    await conn.execute(
        """insert into service_principals (tenant, id, app_id, display_name, built_in)
           values (%(tenant)s, md5(%(tenant)s::uuid::text || 'graph')::uuid, '00000003-0000-0000-c000-000000000000',
                   'Microsoft Graph', 'graph')""",
        {"tenant": tenant},
    )


async def update_tenant(
    conn: AsyncConnection[Any], tenant: UUID, *, name: str | None = None, base_url: str | None = None
) -> None:
    """Change what is given."""
    await conn.execute(
        "update tenants set name = coalesce(%s, name), base_url = coalesce(%s, base_url) where id = %s",
        [name, base_url, tenant],
    )


async def add_domain(conn: AsyncConnection[Any], tenant: UUID, name: str) -> bool:
    """Add a verified domain; the first one besides the initial becomes the default. False where it was there."""
    added = await conn.execute(
        "insert into domains (tenant, name) values (%s, %s) on conflict do nothing", [tenant, name]
    )
    await conn.execute(
        """update domains set is_default = (name = %(name)s)
           where tenant = %(tenant)s and exists (
               select from domains where tenant = %(tenant)s and is_initial and is_default and name <> %(name)s
           )""",
        {"tenant": tenant, "name": name},
    )
    return added.rowcount == 1


async def domains(conn: AsyncConnection[Any], tenant: UUID) -> list[Domain]:
    """Give the tenant's domains by name."""
    async with conn.cursor(row_factory=class_row(Domain)) as cursor:
        await cursor.execute(
            "select name, is_initial, is_default, is_verified from domains where tenant = %s order by name", [tenant]
        )
        return await cursor.fetchall()


# Keys ----------------------------------------------------------------------------------------------------------------


def key_context(tenant: UUID, purpose: KeyPurpose, key: str) -> str:
    """Name the place that a key is sealed for."""
    return f"keys/{tenant}/{purpose}/{key}"


async def keys(conn: AsyncConnection[Any], tenant: UUID, purpose: KeyPurpose) -> list[Key]:
    """Give the keys in use for a purpose, the newest first."""
    async with conn.cursor(row_factory=class_row(Key)) as cursor:
        await cursor.execute(
            """select id, sealed, public, created_at from keys
               where tenant = %s and purpose = %s and retired_at is null order by created_at desc, id""",
            [tenant, purpose],
        )
        return await cursor.fetchall()


async def add_key(
    conn: AsyncConnection[Any], tenant: UUID, purpose: KeyPurpose, key: str, sealed: bytes, public: bytes
) -> None:
    """Store a key."""
    await conn.execute(
        "insert into keys (tenant, purpose, id, sealed, public) values (%s, %s, %s, %s, %s)",
        [tenant, purpose, key, sealed, public],
    )


async def replace_key(
    conn: AsyncConnection[Any], tenant: UUID, purpose: KeyPurpose, key: str, sealed: bytes, public: bytes
) -> None:
    """Store a key, in place of the one of the same id."""
    await conn.execute(
        """insert into keys (tenant, purpose, id, sealed, public) values (%s, %s, %s, %s, %s)
           on conflict (tenant, purpose, id)
           do update set sealed = excluded.sealed, public = excluded.public, created_at = now(), retired_at = null""",
        [tenant, purpose, key, sealed, public],
    )


# Applications --------------------------------------------------------------------------------------------------------

_PRINCIPAL = """select id, app_id, display_name, app_roles, template_id, is_enabled, created_at, is_public,
redirect_uris, delegated_permissions, has_principal from service_principals"""


async def set_app_roles(
    conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID, app_roles: Sequence[str]
) -> None:
    """Replace an application's permissions."""
    await conn.execute(
        "update service_principals set app_roles = %s where tenant = %s and id = %s",
        [list(app_roles), tenant, service_principal],
    )


async def service_principals(conn: AsyncConnection[Any], tenant: UUID) -> list[ServicePrincipal]:
    """Give the tenant's applications, the oldest first."""
    async with conn.cursor(row_factory=class_row(ServicePrincipal)) as cursor:
        await cursor.execute(f"{_PRINCIPAL} where tenant = %s order by created_at, id", [tenant])
        return await cursor.fetchall()


async def service_principal(conn: AsyncConnection[Any], tenant: UUID, wanted: UUID) -> ServicePrincipal | None:
    """Give an application by its object id."""
    async with conn.cursor(row_factory=class_row(ServicePrincipal)) as cursor:
        await cursor.execute(f"{_PRINCIPAL} where tenant = %s and id = %s", [tenant, wanted])
        return await cursor.fetchone()


async def service_principal_by_app(conn: AsyncConnection[Any], tenant: UUID, app_id: UUID) -> ServicePrincipal | None:
    """Give an application by its client id."""
    async with conn.cursor(row_factory=class_row(ServicePrincipal)) as cursor:
        await cursor.execute(f"{_PRINCIPAL} where tenant = %s and app_id = %s", [tenant, app_id])
        return await cursor.fetchone()


async def add_credential(
    conn: AsyncConnection[Any],
    tenant: UUID,
    service_principal: UUID,
    credential: UUID,
    *,
    display_name: str,
    secret_hash: str,
    hint: str,
    expires_at: datetime,
) -> None:
    """Store a client secret's hash; its first letters are kept as a hint, as Graph's passwordCredential does."""
    await conn.execute(
        """insert into service_principal_credentials
               (tenant, service_principal, id, display_name, secret_hash, hint, expires_at)
           values (%s, %s, %s, %s, %s, %s, %s)""",
        [tenant, service_principal, credential, display_name, secret_hash, hint, expires_at],
    )


async def credentials(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID) -> list[Credential]:
    """Give an application's client secrets, expired ones too."""
    async with conn.cursor(row_factory=class_row(Credential)) as cursor:
        await cursor.execute(
            """select id, display_name, secret_hash, hint, expires_at from service_principal_credentials
               where tenant = %s and service_principal = %s order by created_at desc""",
            [tenant, service_principal],
        )
        return await cursor.fetchall()
