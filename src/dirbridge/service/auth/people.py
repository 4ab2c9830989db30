"""What is done to administrators: made, given roles, disabled, removed. Each act leaves a row in the audit trail.

Called by `graph.administrators`. The tenant always keeps a Global Administrator who can sign in; whoever would take the
last one away is refused. A change of role or password, and disabling, end what was issued before.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth import secrets
from dirbridge.service.auth.permissions import GLOBAL_ADMINISTRATOR, ROLES
from dirbridge.store import audits, identity, people, sessions
from dirbridge.store.people import Administrator

SHORTEST, LONGEST = 12, 256
"""Characters of a password: what can be guessed is too short, what is longer costs us more than it gives."""

MOST_CHARACTERS = 256
"""Of a sign-in name or a display name."""

_NAME = re.compile(r"[^\s@/?#%()'\"]+@[^\s@]+")


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, where and when.

    Attributes:
        conn: an open transaction.
        actor: as the audit trail names them.
    """

    conn: AsyncConnection[Any]
    tenant: UUID
    actor: str
    at: datetime

    async def record(self, activity: str, whom: str, **detail: object) -> None:
        """Leave a row in the audit trail."""
        await audits.record(
            self.conn, self.tenant, actor=self.actor, activity=activity, target=whom, detail=detail or None
        )


async def create(
    act: Act, administrator: UUID, *, user_name: str, display_name: str, roles: Collection[str], password_hash: str
) -> None:
    """Make an administrator.

    Raises:
        ConfigurationError: name or roles are none, or the name is taken.
    """
    await _check_name(act, user_name)
    _check_display_name(display_name)
    added = await people.add(
        act.conn, act.tenant, administrator,
        user_name=user_name, display_name=display_name, roles=_checked_roles(roles), password_hash=password_hash,
    )  # fmt: skip
    if not added:
        raise ConfigurationError(
            f"There is an administrator '{user_name}' already.",
            code="AdministratorExists",
            recommended_action="Choose another name, or change the one who is there.",
        )
    await act.record("Add administrator", user_name, roles=sorted(roles))


async def change(
    act: Act,
    whom: Administrator,
    *,
    display_name: str | None = None,
    roles: Collection[str] | None = None,
    is_disabled: bool | None = None,
) -> None:
    """Change what is given. Other roles, and being disabled, end what was issued before.

    Raises:
        ConfigurationError: a role is none, or no Global Administrator would be left.
    """
    await people.lock(act.conn, act.tenant)
    if display_name is not None:
        _check_display_name(display_name)
    wanted = None if roles is None else _checked_roles(roles)
    await people.change(act.conn, act.tenant, whom.id, display_name=display_name, roles=wanted, is_disabled=is_disabled)
    await _keep_one(act, whom)
    changes_roles = wanted is not None and set(wanted) != set(whom.roles)
    if changes_roles or is_disabled:
        await end_all(act, whom)
    if changes_roles:
        await act.record("Change roles of administrator", whom.user_name, before=whom.roles, after=wanted)
    if is_disabled is not None and is_disabled != whom.is_disabled:
        await act.record("Disable administrator" if is_disabled else "Enable administrator", whom.user_name)
    if display_name is not None and display_name != whom.display_name:
        await act.record("Update administrator", whom.user_name, displayName=display_name)


async def set_password(
    act: Act, whom: Administrator, password_hash: str, activity: str = "Reset password of administrator"
) -> None:
    """Replace a password, and end what was issued before."""
    await people.set_password(act.conn, act.tenant, whom.id, password_hash, act.at)
    await end_all(act, whom)
    await act.record(activity, whom.user_name)


async def end_all(act: Act, whom: Administrator) -> None:
    """End whatever was issued to an administrator before: tokens and sessions of browsers."""
    await people.refuse_tokens(act.conn, act.tenant, whom.id, act.at)
    await sessions.end_all(act.conn, act.tenant, whom.id)


async def remove(act: Act, whom: Administrator) -> None:
    """Remove an administrator.

    Raises:
        ConfigurationError: no Global Administrator would be left.
    """
    await people.lock(act.conn, act.tenant)
    await people.delete(act.conn, act.tenant, whom.id)
    await _keep_one(act, whom)
    await act.record("Delete administrator", whom.user_name)


def check_password(password: str, user_name: str) -> None:
    """Refuse a password that is easily guessed.

    Raises:
        ConfigurationError: it is too short or too long, or holds the name. It is not repeated.
    """
    name = user_name.partition("@")[0].lower()
    if SHORTEST <= len(password) <= LONGEST and name not in password.lower() and len(set(password)) > 4:
        return
    raise ConfigurationError(
        f"The password is refused: {SHORTEST} to {LONGEST} characters are expected, at least five different ones, "
        f"without the name '{name}' in them.",
        code="PasswordTooWeak",
        recommended_action="Choose another one, or give none to have one made.",
    )


async def hashed(password: str) -> str:
    """Hash a password as it is stored; done before the transaction is opened, because it takes its time."""
    return await secrets.hash_password(password)


async def _keep_one(act: Act, changed: Administrator) -> None:
    if await people.count_with_role(act.conn, act.tenant, GLOBAL_ADMINISTRATOR) == 0:
        raise ConfigurationError(
            f"'{changed.user_name}' is the last {GLOBAL_ADMINISTRATOR} who can sign in, and stays one.",
            code="LastGlobalAdministrator",
            recommended_action="Give another administrator this role first.",
        )


async def _check_name(act: Act, name: str) -> None:
    domains = [each.name for each in await identity.domains(act.conn, act.tenant) if each.is_verified]
    fits = len(name) <= MOST_CHARACTERS and name.isprintable() and _NAME.fullmatch(name)
    if not fits or name.rpartition("@")[2].lower() not in domains:
        raise ConfigurationError(
            f"'{name[:100]}' is no sign-in name; one like name@{domains[0]} is expected, in a verified domain of the "
            f"tenant: {', '.join(domains)}.",
            code="InvalidUserName",
        )


def _check_display_name(name: str) -> None:
    if len(name) > MOST_CHARACTERS or not name.isprintable():
        raise ConfigurationError(
            f"A display name has at most {MOST_CHARACTERS} characters, all of them printable.",
            code="InvalidDisplayName",
        )


def _checked_roles(roles: Collection[str]) -> list[str]:
    unknown = sorted(set(roles) - ROLES.keys())
    if unknown or not roles:
        said = f"'{unknown[0][:100]}' is no role" if unknown else "An administrator needs at least one role"
        raise ConfigurationError(f"{said}; there are: {', '.join(sorted(ROLES))}.", code="UnknownRole")
    return sorted(set(roles))
