"""A tenant comes to be: its keys, its CA, its first administrator and its first application.

Called by `dirbridge init`, and by `dirbridge serve` on a database without a tenant. Whatever is there stays; a second
run changes only what is asked for.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets as random
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import msgspec
from psycopg import AsyncConnection

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth import authority, key_rings, secrets, tokens
from dirbridge.service.auth.authority import Authority
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.auth.tokens import Tokens
from dirbridge.service.settings import Settings
from dirbridge.store import applications, audits, identity, people
from dirbridge.store.applications import Application
from dirbridge.store.database import Database
from dirbridge.store.identifiers import new_id
from dirbridge.store.identity import Tenant
from dirbridge.tenant import account

SECRET_LIFETIME = timedelta(days=730)
APPLICATION = "dirbridge command line"
PERMISSIONS = (
    "AppRoleAssignment.ReadWrite.All",
    "Application.ReadWrite.All",
    "AuditLog.Read.All",
    "Directory.ReadWrite.All",
    "Domain.ReadWrite.All",
    "Group.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "OnPremDirectorySynchronization.ReadWrite.All",
    "OnPremisesPublishingProfiles.ReadWrite.All",
    "Organization.ReadWrite.All",
    "ProvisioningLog.Read.All",
    "RoleManagement.ReadWrite.Directory",
    "Synchronization.ReadWrite.All",
    "User.ReadWrite.All",
)
"""What the first application may do: everything that the command line does."""

SIGN_IN_APPLICATION = "dirbridge command line (sign-in)"
SIGN_IN_CLIENT = UUID("d1b71d6e-7c1e-4a55-8f0a-51c91e0c0a11")
"""The client id, the same everywhere, by which people sign in at command lines. It is public and has no secret."""

DELEGATED_PERMISSIONS = tuple(sorted({*PERMISSIONS, "User.Read"}))

ADMINISTRATOR_ROLES = ("Global Administrator",)

_LABEL = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the tenant should be called and own.

    Attributes:
        name: its display name; taken from its first domain if None.
        domains: verified domains to add.
        new_secret: give the first application another client secret; the ones it has stay good.
    """

    name: str | None = None
    domains: Sequence[str] = ()
    new_secret: bool = False


@dataclass(frozen=True, slots=True)
class Initialised:
    """What became of it; password and secret only where they were made just now, as nobody can read them again."""

    tenant: Tenant
    ca_file: Path
    admin_user: str
    admin_password: str | None
    client_id: UUID
    client_secret: str | None
    is_new: bool

    def document(self) -> dict[str, Any]:
        """Give what `dirbridge init` prints."""
        return {
            "tenantId": str(self.tenant.id),
            "baseUrl": self.tenant.base_url,
            "caFile": str(self.ca_file),
            "adminUser": self.admin_user,
            "adminPassword": self.admin_password,
            "clientId": str(self.client_id),
            "clientSecret": self.client_secret,
        }


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this service is: loaded once at start, handed to every room that needs it."""

    tenant: Tenant
    sealing: Sealing
    authority: Authority
    tokens: Tokens


async def initialise(
    database: Database,
    settings: Settings,
    wishes: Wishes,
    *,
    port: int | None = None,
    keep: Callable[[Initialised], None] | None = None,
) -> Initialised:
    """Make the tenant, or add to it what is asked for, in one transaction.

    Args:
        database: with its tables.
        settings: where the keys lie, and perhaps the base URL.
        wishes: what is asked for.
        port: where the service listens, if it does.
        keep: called before the commit with what cannot be shown again, if a tenant was made.

    Raises:
        ConfigurationError: a domain's name is none, or the sealing key of an existing tenant is missing.
    """
    wanted = [_checked_domain(name) for name in wishes.domains]
    async with database.transaction() as conn:
        await identity.lock_initialisation(conn)
        found, password = await identity.find_tenant(conn), None
        if found is None:
            password = await _make(conn, settings, wishes, wanted, port)
        else:
            await _change(conn, found, settings, wishes, wanted)
        tenant = await identity.get_tenant(conn, await identity.only_tenant(conn))
        client, secret = await _client(conn, tenant.id, wishes)
        await _ensure_sign_in_client(conn, tenant.id)
        await _complete_sign_in_client(conn, tenant.id)
        administrator = (await people.administrators(conn, tenant.id))[0]
        sealing = Sealing.open(settings.sealing_key)
        opened = await authority.open_stored(conn, tenant.id, sealing)
        await account.ensure(conn, tenant.id, sealing, new_id, datetime.now(UTC))
        write_ca_file(settings.ca_file, opened.certificate)
        made = Initialised(
            tenant=tenant,
            ca_file=settings.ca_file,
            admin_user=administrator.user_name,
            admin_password=password,
            client_id=client,
            client_secret=secret,
            is_new=found is None,
        )
        if made.is_new and keep is not None:
            keep(made)
    return made


async def load(database: Database, settings: Settings, port: int | None = None) -> Identity:
    """Open what the tenant is known by.

    Args:
        database: where it is stored, with its tables.
        settings: may change the base URL, which is remembered.
        port: where the service listens; None in a process that does not.

    Raises:
        ConfigurationError: the database has no tenant, or the sealing key does not fit.
    """
    async with database.transaction() as conn:
        await identity.lock_initialisation(conn)
        tenant_id = await identity.only_tenant(conn)
        tenant = await identity.get_tenant(conn, tenant_id)
        base_url = settings.base_url
        if base_url is None and port is not None and _is_loopback(tenant.base_url):
            base_url = settings.derived_base_url(port)  # it was derived, so it follows where we listen
        if base_url is not None and base_url != tenant.base_url:
            await identity.update_tenant(conn, tenant_id, base_url=base_url)
            tenant = await identity.get_tenant(conn, tenant_id)
        sealing = Sealing.open(settings.sealing_key)
        await account.ensure(conn, tenant_id, sealing, new_id, datetime.now(UTC))
        await _ensure_sign_in_client(conn, tenant_id)
    loaded = await authority.load(database, tenant_id, sealing)
    return Identity(tenant, sealing, loaded, await tokens.load(database, tenant_id, tenant.base_url, sealing))


async def is_initialised(database: Database) -> bool:
    """Tell whether the database has a tenant."""
    async with database.connection() as conn:
        return await identity.find_tenant(conn) is not None


def as_text(document: Mapping[str, Any]) -> str:
    """Write a document as people and programs read it."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = file.with_name(f".{file.name}.{random.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise _unwritable(file, error) from error


def write_ca_file(file: Path, certificate: bytes) -> None:
    """Lay the CA's certificate where clients find it."""
    try:
        if not file.exists() or file.read_bytes() != certificate:
            draft = file.with_name(f".{file.name}.{random.token_hex(4)}")
            draft.write_bytes(certificate)
            draft.chmod(0o644)
            draft.replace(file)
    except OSError as error:
        raise _unwritable(file, error) from error


async def _make(
    conn: AsyncConnection[Any], settings: Settings, wishes: Wishes, domains: Sequence[str], port: int | None
) -> str:
    """Make the tenant with its keys and its administrator, whose password is given back."""
    name = wishes.name or (domains[0].split(".")[0].capitalize() if domains else "dirbridge")
    initial = f"{_label(name)}.dirbridge.local"
    base_url = settings.base_url or settings.derived_base_url(port)
    tenant, password = uuid4(), secrets.new_password()
    sealing = await asyncio.to_thread(Sealing.create, settings.sealing_key)
    await identity.create_tenant(conn, tenant, name=name, initial_domain=initial, base_url=base_url)
    for domain in domains:
        await identity.add_domain(conn, tenant, domain)
    await authority.create(conn, tenant, name, sealing)
    now = datetime.now(UTC)
    await key_rings.create(conn, tenant, sealing, at=now, signs_from=now)
    await people.add(
        conn,
        tenant,
        uuid4(),
        user_name=f"admin@{initial}",
        password_hash=await secrets.hash_password(password),
        roles=ADMINISTRATOR_ROLES,
    )
    await audits.record(
        conn, tenant, actor="command line", activity="Create tenant", target=str(tenant), detail={"name": name}
    )
    return password


async def _change(
    conn: AsyncConnection[Any], tenant: Tenant, settings: Settings, wishes: Wishes, domains: Sequence[str]
) -> None:
    """Bring an existing tenant to what is asked for."""
    if (wishes.name or tenant.name) != tenant.name or (settings.base_url or tenant.base_url) != tenant.base_url:
        await identity.update_tenant(conn, tenant.id, name=wishes.name, base_url=settings.base_url)
        await audits.record(conn, tenant.id, actor="command line", activity="Update tenant", target=str(tenant.id))
    for domain in domains:
        if await identity.add_domain(conn, tenant.id, domain):
            await audits.record(conn, tenant.id, actor="command line", activity="Add verified domain", target=domain)


async def _client(conn: AsyncConnection[Any], tenant: UUID, wishes: Wishes) -> tuple[UUID, str | None]:
    """Give the first application's client id, and a secret where one is made."""
    found = await applications.find_built_in(conn, tenant, "command line")
    if found is None:
        found = Application(
            id=uuid4(), app_id=uuid4(), display_name=APPLICATION, app_roles=list(PERMISSIONS), built_in="command line",
            created_at=datetime.now(UTC),
        )  # fmt: skip
        await applications.add(conn, tenant, found)
    else:
        # A later release's command line needs more; and whoever locked it out gets it back here, at the service's host.
        restored = {"is_enabled": True, "has_principal": True} if wishes.new_secret else {}
        held = sorted({*found.app_roles, *PERMISSIONS})
        await applications.change(conn, tenant, msgspec.structs.replace(found, app_roles=held, **restored))
        if not wishes.new_secret:
            return found.app_id, None
    principal, app_id = found.id, found.app_id
    secret = secrets.new_client_secret()
    await identity.add_credential(
        conn,
        tenant,
        principal,
        uuid4(),
        display_name="dirbridge init",
        secret_hash=await secrets.hash_client_secret(secret),
        hint=secret[:3],
        expires_at=datetime.now(UTC) + SECRET_LIFETIME,
    )
    await audits.record(conn, tenant, actor="command line", activity="Add client secret", target=str(app_id))
    return app_id, secret


async def _ensure_sign_in_client(conn: AsyncConnection[Any], tenant: UUID) -> None:
    """Make the application by which people sign in at command lines; one that is there stays as it is."""
    if await identity.service_principal_by_app(conn, tenant, SIGN_IN_CLIENT) is None:
        new = Application(
            id=uuid4(), app_id=SIGN_IN_CLIENT, display_name=SIGN_IN_APPLICATION, created_at=datetime.now(UTC),
            is_public=True, redirect_uris=["http://localhost"], public_redirect_uris=["http://localhost"],
            delegated_permissions=list(DELEGATED_PERMISSIONS),
        )  # fmt: skip
        await applications.add(conn, tenant, new)


async def _complete_sign_in_client(conn: AsyncConnection[Any], tenant: UUID) -> None:
    """Give that application what a later release's command line needs, as `dirbridge init` was asked to."""
    found = await applications.find(conn, tenant, SIGN_IN_CLIENT, "app_id", lock=True)
    if found is not None and not set(DELEGATED_PERMISSIONS) <= set(found.delegated_permissions):
        held = sorted({*found.delegated_permissions, *DELEGATED_PERMISSIONS})
        await applications.change(conn, tenant, msgspec.structs.replace(found, delegated_permissions=held))


def _checked_domain(name: str) -> str:
    folded = name.strip().rstrip(".").lower()
    labels = folded.split(".")
    if len(labels) < 2 or len(folded) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ConfigurationError(
            f"'{name}' is no domain name; at least two labels of letters, digits and hyphens are expected.",
            code="InvalidDomain",
            recommended_action="Write it as contoso.example, an international one in its ASCII form.",
        )
    return folded


def _label(name: str) -> str:
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "", ascii_name)[:40] or "tenant"


def _is_loopback(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _unwritable(file: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The file {file} cannot be written: {error.strerror}.",
        code="DataFolderNotWritable",
        recommended_action="Make its folder writable for the account that runs the service.",
    )
