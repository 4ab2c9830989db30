"""What is done to applications: registered, changed, given permissions and credentials, removed.

Called by the routes of `graph`. Each act leaves a row in the audit trail. What could be abused with tokens that were
issued before ends them: a permission or credential that is taken away, being disabled, being deleted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth import secrets
from dirbridge.service.auth.people import Act
from dirbridge.store import application_owners, applications, grants, identity
from dirbridge.store.applications import Application, Certificate

LONGEST_SECRET = timedelta(days=730)
"""How long a client secret is good at most, and if nothing is said."""
SKEW = timedelta(minutes=5)
"""Clocks may differ by this much."""
MOST_CREDENTIALS = 20
"""Secrets, and certificates, of one application."""


async def create(act: Act, new: Application, owner: UUID | None) -> None:
    """Register an application; whoever registers it owns it."""
    await applications.add(act.conn, act.tenant, new)
    if owner is not None:
        await application_owners.add(act.conn, act.tenant, new.id, owner)
    await act.record("Add application", str(new.app_id), displayName=new.display_name)
    if new.has_principal:
        await act.record("Add service principal", str(new.id), displayName=new.display_name)


async def change(act: Act, before: Application, after: Application, activity: str = "Update application") -> None:
    """Write what changed; one that is disabled, or may do less for people, loses its tokens for good.

    What it may do for people no longer, they are asked for again if it ever may: it may be another's by then.
    """
    names = [name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    if not names:
        return
    await applications.change(act.conn, act.tenant, after)
    lost = set(before.delegated_permissions) - set(after.delegated_permissions)
    if lost:
        await grants.withdraw_consents(act.conn, act.tenant, before.id, lost)
    if lost or (before.is_enabled and not after.is_enabled):
        await applications.revoke_tokens(act.conn, act.tenant, before.id)
    if before.is_enabled and not after.is_enabled:
        await grants.end_of_application(act.conn, act.tenant, before.id, "the application was disabled.", act.at)
    await act.record(activity, str(before.id), changed=names)


async def add_principal(act: Act, application: Application, after: Application) -> None:
    """Let a registered application be acted as."""
    await applications.change(act.conn, act.tenant, msgspec.structs.replace(after, has_principal=True))
    await act.record("Add service principal", str(application.id), displayName=after.display_name)


async def remove_principal(act: Act, application: Application) -> None:
    """Leave an application registered only: its permissions go, and its tokens.

    Raises:
        ConfigurationError: it has synchronization jobs.
    """
    await _need_no_jobs(act, application)
    after = msgspec.structs.replace(application, has_principal=False, app_roles=[], is_enabled=True)
    await applications.change(act.conn, act.tenant, after)
    await applications.revoke_tokens(act.conn, act.tenant, application.id)
    await grants.end_of_application(act.conn, act.tenant, application.id, "the application was removed.", act.at)
    await grants.forget_consents(act.conn, act.tenant, application.id)
    await act.record("Remove service principal", str(application.id), displayName=application.display_name)


async def remove(act: Act, application: Application) -> None:
    """Remove an application for good, with its service principal.

    Raises:
        ConfigurationError: it has synchronization jobs.
    """
    await _need_no_jobs(act, application)
    await applications.delete(act.conn, act.tenant, application.id)
    await act.record("Delete application", str(application.app_id), displayName=application.display_name)


# Permissions ----------------------------------------------------------------------------------------------------------


async def grant(act: Act, application: Application, permission: str) -> None:
    """Grant an application permission.

    Raises:
        ConfigurationError: it holds it.
    """
    if permission in application.app_roles:
        raise ConfigurationError(
            f"Permission being assigned already exists on the object: '{application.display_name}' holds {permission}.",
            code="Request_BadRequest",
        )
    await identity.set_app_roles(act.conn, act.tenant, application.id, sorted({*application.app_roles, permission}))
    await act.record("Add app role assignment to service principal", str(application.id), permission=permission)


async def revoke(act: Act, application: Application, permission: str) -> None:
    """Take an application permission away, and the tokens that hold it."""
    held = [each for each in application.app_roles if each != permission]
    await identity.set_app_roles(act.conn, act.tenant, application.id, held)
    await applications.revoke_tokens(act.conn, act.tenant, application.id)
    await act.record("Remove app role assignment from service principal", str(application.id), permission=permission)


# Credentials ----------------------------------------------------------------------------------------------------------


async def add_secret(
    act: Act, application: Application, id: UUID, *, display_name: str, secret: str, hashed: str, expires_at: datetime
) -> None:
    """Store a new client secret.

    Args:
        secret: of which the first letters are kept as a hint.
        hashed: made before the transaction was opened, because that takes its time.

    Raises:
        ConfigurationError: its end is past or too far away, or there are too many.
    """
    if not act.at < expires_at <= act.at + LONGEST_SECRET + timedelta(days=1):
        raise ConfigurationError(
            f"A client secret ends within {LONGEST_SECRET.days} days from now; found {expires_at:%Y-%m-%d %H:%M} UTC.",
            code="CredentialLifetime",
        )
    if len(await identity.credentials(act.conn, act.tenant, application.id)) >= MOST_CREDENTIALS:
        raise _too_many(application, "client secrets")
    await identity.add_credential(
        act.conn, act.tenant, application.id, id,
        display_name=display_name, secret_hash=hashed, hint=secret[:3], expires_at=expires_at,
    )  # fmt: skip
    await act.record("Add client secret", str(application.id), keyId=str(id), expires=expires_at.isoformat())


async def remove_secret(act: Act, application: Application, id: UUID) -> bool:
    """Remove a client secret, and the tokens that it may have brought; False where there is none of this id."""
    if not await applications.remove_secret(act.conn, act.tenant, application.id, id):
        return False
    await applications.revoke_tokens(act.conn, act.tenant, application.id)
    await act.record("Remove client secret", str(application.id), keyId=str(id))
    return True


async def replace_certificates(
    act: Act, application: Application, *, added: Sequence[Certificate], removed: Sequence[UUID]
) -> None:
    """Add and remove certificates; with one that goes go the tokens that it may have brought.

    Raises:
        ConfigurationError: there would be too many.
    """
    if removed:
        await applications.remove_certificates(act.conn, act.tenant, application.id, removed)
        await applications.revoke_tokens(act.conn, act.tenant, application.id)
    for each in added:
        await applications.add_certificate(act.conn, act.tenant, application.id, each)
        await act.record(
            "Add certificate", str(application.id), keyId=str(each.id), thumbprint=each.sha256.hex().upper()
        )
    for id in removed:
        await act.record("Remove certificate", str(application.id), keyId=str(id))
    if len(await applications.certificates(act.conn, act.tenant, application.id)) > MOST_CREDENTIALS:
        raise _too_many(application, "certificates")


async def new_secret() -> tuple[str, str]:
    """Give a client secret and its hash."""
    secret = secrets.new_client_secret()
    return secret, await secrets.hash_client_secret(secret)


# Owners ---------------------------------------------------------------------------------------------------------------


async def add_owner(act: Act, application: Application, owner: UUID) -> bool:
    """Give an application an owner; False where nobody has this id.

    Raises:
        ConfigurationError: it has too many, or is owned by this one.
    """
    there = await application_owners.owners(act.conn, act.tenant, application.id)
    if owner in {each.id for each in there}:
        raise ConfigurationError(
            f"One or more added object references already exist: '{owner}' owns '{application.display_name}'.",
            code="Request_BadRequest",
        )
    if len(there) >= application_owners.MOST:
        raise _too_many(application, "owners")
    if not await application_owners.add(act.conn, act.tenant, application.id, owner):
        return False
    await act.record("Add owner to service principal", str(application.id), owner=str(owner))
    return True


async def remove_owner(act: Act, application: Application, owner: UUID) -> bool:
    """Take an owner away; False where it was none."""
    if not await application_owners.remove(act.conn, act.tenant, application.id, owner):
        return False
    await act.record("Remove owner from service principal", str(application.id), owner=str(owner))
    return True


async def _need_no_jobs(act: Act, application: Application) -> None:
    jobs = await applications.count_jobs(act.conn, act.tenant, application.id)
    if jobs:
        raise ConfigurationError(
            f"'{application.display_name}' has {jobs} synchronization job{'s' if jobs > 1 else ''}.",
            code="ApplicationHasJobs",
            recommended_action="Delete them first; what they wrote stays.",
        )


def _too_many(application: Application, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"'{application.display_name}' would have too many {what}.",
        code="TooManyCredentials",
        recommended_action="Remove some first.",
    )
