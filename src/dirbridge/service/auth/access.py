"""The check at every route of the API: who is calling, and may they.

A route states what it needs, `Depends(require("User.Read.All", "User.ReadWrite.All"))`, and gets the `Caller`. Refusals
are ordinary HTTP exceptions; the application puts them into Graph's error envelope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from fastapi import HTTPException, Request

from dirbridge.contract.errors import CredentialError
from dirbridge.service.auth.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Caller:
    """An application that presented a valid token.

    Attributes:
        app_id: its client id.
        object_id: its service principal.
        roles: the permissions it was granted when the token was issued.
    """

    tenant: UUID
    app_id: UUID
    object_id: UUID
    roles: frozenset[str]

    @property
    def actor(self) -> str:
        """How the audit trail names it."""
        return f"application {self.app_id}"

    def need(self, permissions: Iterable[str]) -> None:
        """Make sure that the caller holds one of these permissions.

        Raises:
            HTTPException: 403 that names them.
        """
        wanted = tuple(permissions)
        if self.roles.isdisjoint(wanted):
            raise HTTPException(
                403,
                "Insufficient privileges to complete the operation. One of these application permissions is needed: "
                f"{', '.join(wanted)}; the token holds {', '.join(sorted(self.roles)) or 'none'}.",
            )


def require(*permissions: str) -> Callable[[Request], Awaitable[Caller]]:
    """Give a dependency that lets callers pass who hold one of these permissions.

    Args:
        permissions: application permissions by Graph's names, any of which is enough; none asks for a token only.
    """

    async def check(request: Request) -> Caller:
        known = caller(request)
        if permissions:
            known.need(permissions)
        return known

    return check


def caller(request: Request) -> Caller:
    """Give who sent a request.

    Raises:
        HTTPException: 401, where no valid token came with it.
    """
    tokens: Tokens = request.app.state.tokens
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if not token.strip():
        raise _unauthenticated(tokens, "Access token is empty.")
    if scheme.lower() != "bearer":
        raise _unauthenticated(tokens, f"The authorization scheme is '{scheme[:20]}', Bearer is expected.")
    try:
        claims = tokens.verify_app(token.strip())
        return Caller(
            tenant=tokens.tenant,
            app_id=UUID(claims["appid"]),
            object_id=UUID(claims["oid"]),
            roles=frozenset(claims.get("roles", ())),
        )
    except CredentialError as error:
        raise _unauthenticated(tokens, str(error), error="invalid_token") from error


def _unauthenticated(tokens: Tokens, message: str, *, error: str = "") -> HTTPException:
    """Refuse as RFC 6750 section 3 says, with the address to get a token from."""
    challenge = f'Bearer realm="", authorization_uri="{tokens.base_url}/{tokens.tenant}/oauth2/v2.0/authorize"'
    if error:
        challenge += f', error="{error}"'
    return HTTPException(401, message, headers={"WWW-Authenticate": challenge})
