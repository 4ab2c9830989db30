"""The synchronization service account: as whom jobs write the tenant directory.

It is a user of the tenant like any other, and can be disabled or deleted like any other; then nothing is written until
somebody repairs it. A job authenticates as it when its cycle begins, and `tenant/target` looks at it before each batch.

Source: the published names of the account, of its role, and of the errors that a job meets without it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import msgspec
from psycopg import AsyncConnection

from dirbridge.contract.errors import ConfigurationError, CredentialError, EntryError
from dirbridge.store import accounts, audits, directory, jobs
from dirbridge.store.accounts import Account
from dirbridge.tenant import administration

logger = logging.getLogger(__name__)

Conn = AsyncConnection[Any]

NAME = "ADToAADSyncServiceAccount"
DISPLAY_NAME = "On-Premises Directory Synchronization Service Account"
ROLE = "Directory Synchronization Accounts"

REMEDY = "Run `dirbridge jobs repair-account`; the next cycle then goes on from where the last one ended."


class Sealing(Protocol):
    """Seals and opens what is stored, each for one place."""

    def seal(self, plain: bytes, context: str) -> bytes:
        """Seal."""
        ...

    def unseal(self, sealed: bytes, context: str) -> bytes:
        """Open what was sealed for this place; raises `ConfigurationError`."""
        ...


class Repaired(msgspec.Struct, frozen=True):
    """What a repair found and did.

    Attributes:
        repaired: of `created`, `restored`, `enabled`, `role`, `credential`, in this order.
        given: the jobs that have a new credential. woken: those that waited, which are due now.
    """

    account: Account
    repaired: tuple[str, ...]
    given: tuple[str, ...]
    woken: tuple[str, ...]


# Being it -------------------------------------------------------------------------------------------------------------


async def authenticate(conn: Conn, tenant: UUID, job: str, sealing: Sealing, now: datetime) -> None:
    """Prove at the beginning of a cycle that the job may write as the account.

    Raises:
        CredentialError: with the plain reason.
    """
    account = await check(conn, tenant)
    found = await accounts.presented(conn, tenant, job)
    if found is None or found.sealed is None:
        raise _refusal("Invalid", f"This job was never given a credential of {account.name}.")
    if found.digest is None:
        raise _refusal("Invalid", f"The password of {account.name} was reset, so this job's credential is void.")
    try:
        secret = sealing.unseal(bytes(found.sealed), _place(account.id, job))
    except ConfigurationError as error:
        raise _refusal("Failed", f"This job's credential of {account.name} cannot be opened: {error.reason}") from error
    if not hmac.compare_digest(_digest(secret), bytes(found.digest)):
        raise _refusal("Invalid", f"The credential that this job presents is not one of {account.name}.")
    if found.expires_at is not None and found.expires_at <= now:
        raise _refusal("Expired", f"The credential of {account.name} expired on {found.expires_at:%Y-%m-%d %H:%M} UTC.")


async def check(conn: Conn, tenant: UUID) -> Account:
    """Make sure, before a batch is written, that the account is there, enabled and in its role. One statement.

    Raises:
        CredentialError: with the plain reason.
    """
    account = await accounts.get(conn, tenant)
    if account is None:
        raise _refusal("Invalid", "The tenant has no synchronization service account.")
    if account.name is None:
        raise _refusal("Invalid", f"The synchronization service account {account.id} does not exist any more.")
    if account.is_deleted:
        raise _refusal("Invalid", f"The synchronization service account {account.name} was deleted.")
    if not account.is_enabled:
        raise _refusal("Failed", f"The synchronization service account {account.name} is disabled.")
    if ROLE not in account.roles:
        raise _refusal("Failed", f"The synchronization service account {account.name} is not in the role '{ROLE}'.")
    return account


_CODES = {
    "Invalid": "AzureActiveDirectoryInvalidCredential",
    "Expired": "AzureActiveDirectoryExpiredCredentials",
    "Failed": "AzureActiveDirectoryAuthenticationFailed",
}


def _refusal(kind: str, reason: str) -> CredentialError:
    return CredentialError(reason, code=_CODES[kind], recommended_action=REMEDY)


def _place(account: UUID, job: str) -> str:
    return f"job_credentials/{account}/{job}"


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


# Having it ------------------------------------------------------------------------------------------------------------


async def ensure(conn: Conn, tenant: UUID, sealing: Sealing, new_id: Callable[[], UUID], now: datetime) -> None:
    """Give a tenant its account if it never had one, and a credential to each job that was never given one.

    What is broken stays so: whoever deleted or disabled the account meant it, or calls for a repair.
    """
    account = await accounts.get(conn, tenant, lock=True)
    if account is None:
        try:
            account = await _create(conn, tenant, new_id(), now)
        except EntryError as error:
            logger.warning("There is no synchronization service account: %s", error, extra={"event": "account_missing"})
            return
    for job in await accounts.without_credential(conn, tenant):
        await _grant(conn, tenant, account.id, job, sealing, new_id, None)


async def repair(
    conn: Conn,
    tenant: UUID,
    sealing: Sealing,
    new_id: Callable[[], UUID],
    now: datetime,
    *,
    actor: str,
    expires_at: datetime | None = None,
) -> Repaired:
    """Bring the account back to what it must be, with a new credential for each job; jobs that wait are due now.

    Args:
        expires_at: when the new credentials end; None is never.

    Raises:
        EntryError: another object holds the account's name.
    """
    done: list[str] = []
    woken = await jobs.wake(conn, tenant)
    account = await accounts.get(conn, tenant, lock=True)
    if account is None or account.name is None:
        account = await _create(conn, tenant, new_id(), now)
        done.append("created")
    if account.is_deleted:
        await administration.restore_object(conn, tenant, account.id, now)
        done.append("restored")
    if not account.is_enabled:
        await administration.update(conn, tenant, account.id, "user", {"accountEnabled": True}, now)
        done.append("enabled")
    if ROLE not in account.roles:
        await accounts.put(conn, tenant, account.id, sorted({*account.roles, ROLE}))
        done.append("role")
    await accounts.revoke(conn, tenant, account.id)
    given = [job.id for job in await jobs.list_all(conn, tenant)]
    for job in given:
        await _grant(conn, tenant, account.id, job, sealing, new_id, expires_at)
    done.append("credential")
    detail = {"repaired": done, "jobs": given, "woken": woken}
    await audits.record(
        conn, tenant, actor=actor, activity="Repair synchronization account", target=str(account.id), detail=detail
    )
    return Repaired(await check(conn, tenant), tuple(done), tuple(given), tuple(woken))


async def _create(conn: Conn, tenant: UUID, id: UUID, now: datetime) -> Account:
    _, initial = await directory.verified_domains(conn, tenant)
    name = f"{NAME}@{initial}"
    properties = {
        "accountEnabled": True,
        "displayName": DISPLAY_NAME,
        "mailNickname": NAME,
        "passwordPolicies": "DisablePasswordExpiration",
        "userPrincipalName": name,
        "userType": "Member",
    }
    await administration.create_user(conn, tenant, id, properties, now)
    await accounts.put(conn, tenant, id, [ROLE])
    return Account(id, name, is_deleted=False, is_enabled=True, roles=[ROLE])


async def _grant(
    conn: Conn,
    tenant: UUID,
    account: UUID,
    job: str,
    sealing: Sealing,
    new_id: Callable[[], UUID],
    expires_at: datetime | None,
) -> None:
    secret = secrets.token_bytes(32)
    await accounts.grant(
        conn,
        tenant,
        account,
        job,
        credential=new_id(),
        digest=_digest(secret),
        sealed=sealing.seal(secret, _place(account, job)),
        expires_at=expires_at,
    )
