"""How far a caller's hand reaches at applications: only its own, only others, only such as may do no more than it may.

Called by the routes of applications and of synchronization, after `access.require` let the caller pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from fastapi import HTTPException
from psycopg import AsyncConnection

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth.access import Caller
from dirbridge.service.auth.permissions import BEYOND_APPLICATIONS, GLOBAL_ADMINISTRATOR
from dirbridge.store import application_owners
from dirbridge.store.applications import Application

_GRANTS_ANYTHING = "AppRoleAssignment.ReadWrite.All"


async def need_owner(conn: AsyncConnection[Any], caller: Caller, principal: UUID) -> None:
    """Make sure that a caller who may come near only what it owns does own an application.

    Source: Graph permissions reference, Application.ReadWrite.OwnedBy.

    Raises:
        HTTPException: 403.
    """
    if not caller.owned_only or await application_owners.owns(conn, caller.tenant, caller.object_id, principal):
        return
    raise HTTPException(
        403,
        f"Insufficient privileges to complete the operation. The token is good for what its application owns, and "
        f"{caller.actor} is no owner of the service principal '{principal}'.",
    )


def need_reach(
    caller: Caller, permissions: Iterable[str], beyond_applications: frozenset[str] = BEYOND_APPLICATIONS
) -> None:
    """Make sure that whoever acts on what holds, or is to hold, these permissions may do no less.

    A person must be Global Administrator where one of them reaches beyond applications. An application that acts for
    itself must hold these, or be allowed to grant anything.

    Args:
        beyond_applications: which of them do.

    Raises:
        HTTPException: 403 that names them.
    """
    beyond = sorted(beyond_applications.intersection(permissions))
    if caller.person is not None:
        if beyond and GLOBAL_ADMINISTRATOR not in caller.person.roles:
            raise HTTPException(
                403,
                f"Insufficient privileges to complete the operation. {caller.person.name} needs the role "
                f"{GLOBAL_ADMINISTRATOR}, because of: {', '.join(beyond)}.",
            )
        return
    missing = [each for each in beyond if each not in caller.roles]
    if missing and _GRANTS_ANYTHING not in caller.roles:
        raise HTTPException(
            403,
            f"Insufficient privileges to complete the operation. The application concerned may do what the caller may "
            f"not: {', '.join(missing)}. The caller needs the same, or {_GRANTS_ANYTHING}.",
        )


def need_other(caller: Caller, application: Application, what: str) -> None:
    """Refuse what an application would do to itself and could not undo.

    Raises:
        ConfigurationError: it acts on itself.
    """
    if caller.person is None and caller.object_id == application.id:
        raise ConfigurationError(
            f"An application cannot {what} itself: nobody might be left who could undo it.",
            code="OwnApplication",
            recommended_action="Let another application or an administrator do it.",
        )


def need_changeable(application: Application) -> None:
    """Refuse to change Microsoft Graph's own service principal.

    Raises:
        ConfigurationError: it is that one.
    """
    if application.built_in == "graph":
        raise ConfigurationError(
            f"The service principal '{application.id}' is Microsoft Graph's own, which nobody changes.",
            code="BuiltInApplication",
        )
