"""An application that every test of the API may act as: its tokens are signed by hand, with any permission."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.service.auth.permissions import ROLES
from dirbridge.service.auth.tokens import Tokens
from dirbridge.store import applications, identity
from dirbridge.store.applications import Application
from dirbridge.store.database import Database

CLIENT = UUID("c11e4700-0000-4000-8000-000000000001")
PRINCIPAL = UUID("c11e4700-0000-4000-8000-000000000002")


async def register(database: Database, tenant: UUID) -> None:
    """Make the application known, unless it is."""
    async with database.transaction() as conn:
        if await identity.service_principal(conn, tenant, PRINCIPAL) is None:
            await add(conn, tenant, PRINCIPAL, app_id=CLIENT, display_name="tests")


async def add(
    conn: AsyncConnection[Any], tenant: UUID, principal: UUID, *, app_id: UUID, display_name: str, **more: Any
) -> None:
    """Store an application; `more` is what else is said of it."""
    made = Application(id=principal, app_id=app_id, display_name=display_name, created_at=datetime.now(UTC), **more)
    await applications.add(conn, tenant, made)


def bearer(tokens: Tokens, *permissions: str) -> dict[str, str]:
    """Give the header of a request by that application."""
    return {"Authorization": f"Bearer {tokens.issue_app(app_id=CLIENT, object_id=PRINCIPAL, roles=permissions)}"}


def person(tokens: Tokens, id: UUID, user_name: str, roles: Sequence[str], scopes: Collection[str]) -> dict[str, str]:
    """Give the header of a request by that application for a person."""
    token = tokens.issue_person(
        app_id=CLIENT,
        person=id,
        user_name=user_name,
        display_name=user_name,
        roles=[ROLES[role] for role in roles],
        scopes=sorted(scopes),
    )
    return {"Authorization": f"Bearer {token}"}
