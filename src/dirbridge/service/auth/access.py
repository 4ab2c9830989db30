"""The check at every route of the API: who is calling, and may they.

A route states what it needs, `Depends(require("User.Read.All", "User.ReadWrite.All"))`, and gets the `Caller`; one that
changes something names the roles too that a person needs for it. Refusals are ordinary HTTP exceptions; the application
puts them into Graph's error envelope. Each request looks the application up in the store, so that one which was
disabled or deleted is shut out at once, and not when its last token expires.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from fastapi import HTTPException, Request
from psycopg import AsyncConnection

from dirbridge.contract.errors import CredentialError
from dirbridge.service.auth.permissions import ANYONE, ROLES, Roles
from dirbridge.service.auth.tokens import Tokens
from dirbridge.store import applications, grants
from dirbridge.store.applications import Standing
from dirbridge.store.database import Database
from dirbridge.store.grants import Behind

IN_PROCESS = "dirbridge.caller"
"""Member of the ASGI scope by which this very process calls itself for somebody: requests from outside have none."""

_ROLE_NAMES = {str(id): name for name, id in ROLES.items()}


@dataclass(frozen=True, slots=True)
class Person:
    """The administrator for whom an application acts.

    Attributes:
        id: object id.
        name: sign-in name.
        roles: directory roles by name, as they were when the token was issued.
        scopes: delegated permissions of the application.
        issued_at: when the token was, to the second.
        grant: from which the token came.
    """

    id: UUID
    name: str
    roles: Roles
    scopes: frozenset[str]
    issued_at: datetime
    grant: UUID | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """An application that presented a valid token, and for whom it acts.

    Attributes:
        app_id: its client id.
        object_id: its service principal; where it acts for a person, that person's id.
        roles: the application permissions that it was granted when the token was issued; none where a person is there.
        person: None where it acts for itself.
        owned_only: the route lets it pass for what it owns only, which `ownership.need_owner` looks up.
    """

    tenant: UUID
    app_id: UUID
    object_id: UUID
    roles: frozenset[str]
    person: Person | None = None
    owned_only: bool = False

    @property
    def actor(self) -> str:
        """How the audit trail names it."""
        return self.person.name if self.person is not None else f"application {self.app_id}"

    @property
    def permissions(self) -> frozenset[str]:
        """What was granted to the application, for itself or on behalf of the person."""
        return self.person.scopes if self.person is not None else self.roles

    def passing(self, permissions: Iterable[str], roles: Roles = ANYONE) -> Caller:
        """Give the caller as one who passed by some of these permissions.

        Raises:
            HTTPException: 403, as `need` does.
        """
        wanted = tuple(permissions)
        self.need(wanted, roles)
        by = self.permissions.intersection(wanted)
        return replace(self, owned_only=all(each.endswith(".OwnedBy") for each in by))

    def need(self, permissions: Iterable[str], roles: Roles = ANYONE) -> None:
        """Make sure that the caller holds one of these permissions, and a person one of these roles as well.

        Raises:
            HTTPException: 403 that names them.
        """
        wanted = tuple(permissions)
        held = self.permissions
        if held.isdisjoint(wanted):
            kind = "delegated" if self.person is not None else "application"
            raise HTTPException(
                403,
                f"Insufficient privileges to complete the operation. One of these {kind} permissions is needed: "
                f"{', '.join(wanted)}; the token holds {', '.join(sorted(held)) or 'none'}.",
            )
        if self.person is not None and self.person.roles.isdisjoint(roles):
            raise HTTPException(
                403,
                f"Insufficient privileges to complete the operation. {self.person.name} needs one of these roles: "
                f"{', '.join(sorted(roles))}; held: {', '.join(sorted(self.person.roles)) or 'none'}.",
            )


class Throttle(Protocol):
    """What refuses a caller who asks too much."""

    async def admit(self, request: Request, caller: Caller) -> None:
        """Count a request, or refuse it."""


def require(*permissions: str, roles: Roles = ANYONE) -> Callable[[Request], Awaitable[Caller]]:
    """Give a dependency that lets callers pass who hold one of these permissions.

    Args:
        permissions: by Graph's names, any of which is enough; none asks for a token only.
        roles: of which a person needs one as well.
    """

    async def check(request: Request) -> Caller:
        known = await caller(request)
        throttle: Throttle | None = getattr(request.app.state, "throttle", None)
        # The portal asks for all people together, as often as its pages are looked at.
        if throttle is not None and IN_PROCESS not in request.scope:
            await throttle.admit(request, known)
        passed = known.passing(permissions, roles) if permissions else known
        request.state.caller = passed
        return passed

    check.permissions = permissions  # type: ignore[attr-defined]
    check.roles = roles  # type: ignore[attr-defined]
    return check


async def caller(request: Request) -> Caller:
    """Give who sent a request.

    Raises:
        HTTPException: 401, where no valid token came with it, or its application was shut out since.
    """
    inside = request.scope.get(IN_PROCESS)
    if isinstance(inside, Caller):
        return inside
    tokens: Tokens = request.app.state.tokens
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not token.strip():
        raise _unauthenticated(tokens, "Access token is empty.")
    if scheme.lower() != "bearer":
        raise _unauthenticated(tokens, f"The authorization scheme is '{scheme[:20]}', Bearer is expected.")
    await tokens.refresh(token.strip())
    try:
        claims = tokens.verify_graph(token.strip())
    except CredentialError as error:
        raise _unauthenticated(tokens, str(error), error="invalid_token") from error
    known = _caller(tokens.tenant, claims)
    database: Database = request.app.state.database
    async with database.connection() as conn:
        fault = await _fault(conn, known, claims["iat"])
    if fault is not None:
        raise _unauthenticated(tokens, f"The access token is {fault}", error="invalid_token")
    return known


async def _fault(conn: AsyncConnection[Any], known: Caller, issued_at: float) -> str | None:
    """Say why a token is good no more, in one look at the store; None where it is."""
    person = known.person
    if person is None:
        standing = await applications.standing(conn, known.tenant, known.app_id)
        return _application_fault(known, standing, issued_at)
    found = await grants.behind(conn, known.tenant, app_id=known.app_id, administrator=person.id, grant=person.grant)
    return _application_fault(known, found.application, issued_at) or _person_fault(person, found)


def _application_fault(known: Caller, standing: Standing | None, issued_at: float) -> str | None:
    if standing is None or (known.person is None and known.object_id != standing.id):
        return f"refused: the application '{known.app_id}' was deleted."
    if not standing.is_enabled:
        return f"refused: the application '{known.app_id}' is disabled."
    if issued_at <= int(max(standing.tokens_not_before, 0)):
        return "refused: it was revoked. Ask the token endpoint for a new one."
    return None


def _person_fault(person: Person, found: Behind) -> str | None:
    """Say why a person no longer is what their token says, or has ended what it came from."""
    if found.roles is None or found.is_disabled:
        return f"revoked: {person.name} is disabled or no administrator any longer."
    # Tokens know their second only: one of the very second of the change may be older than it.
    too_old = found.tokens_not_before is not None and person.issued_at <= found.tokens_not_before
    if too_old or person.roles != set(found.roles):
        return f"revoked: Roles or password of {person.name} were changed after the token was issued. Sign in again."
    if person.grant is not None and found.ended_because != "":
        why = found.ended_because or "it was forgotten."
        return f"revoked: the sign-in that it came from has ended: {why} Sign in again."
    return None


def _caller(tenant: UUID, claims: Mapping[str, Any]) -> Caller:
    object_id = UUID(claims["oid"])
    person = None
    if claims.get("idtyp") == "user":
        person = Person(
            id=object_id,
            name=claims["preferred_username"],
            roles=frozenset(_ROLE_NAMES[id] for id in claims.get("wids", ()) if id in _ROLE_NAMES),
            scopes=frozenset(claims.get("scp", "").split()),
            issued_at=datetime.fromtimestamp(claims["iat"], UTC),
            grant=UUID(claims["sid"]) if "sid" in claims else None,
        )
    return Caller(
        tenant=tenant,
        app_id=UUID(claims["appid"]),
        object_id=object_id,
        roles=frozenset(claims.get("roles", ())) if person is None else frozenset(),
        person=person,
    )


def _unauthenticated(tokens: Tokens, message: str, *, error: str = "") -> HTTPException:
    """Refuse as RFC 6750 section 3 says, with the address to get a token from."""
    challenge = f'Bearer realm="", authorization_uri="{tokens.base_url}/{tokens.tenant}/oauth2/v2.0/authorize"'
    if error:
        challenge += f', error="{error}"'
    return HTTPException(401, message, headers={"WWW-Authenticate": challenge})
