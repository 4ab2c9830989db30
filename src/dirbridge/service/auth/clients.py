"""Which application is at the token endpoint, and how it proves so: by secret, in the form or in the header.

Source: RFC 6749 section 2.3.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote_plus
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.service.auth import secrets
from dirbridge.service.auth.refusals import TokenError
from dirbridge.service.auth.token_requests import TokenRequest
from dirbridge.service.auth.tokens import Tokens
from dirbridge.store import identity
from dirbridge.store.identity import ServicePrincipal


@dataclass(frozen=True, slots=True)
class Client:
    """An application at the token endpoint.

    Attributes:
        authenticated_by: how it proved itself; `none` is a public client, which cannot.
    """

    principal: ServicePrincipal
    authenticated_by: Literal["none", "secret", "certificate"]


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a client says of itself."""

    id: str
    secret: str


async def authenticate(asked: TokenRequest, *, public: bool) -> Client:
    """Find out which application is asking.

    Args:
        public: an application that is registered as a public client need not prove itself, as the grant does so.

    Raises:
        TokenError: it is unknown or disabled, or its proof is missing or wrong.
    """
    claim = _claim(asked)
    async with asked.database.connection() as conn:
        principal = await _principal(conn, asked.tokens, claim.id)
    if not principal.is_enabled:
        raise TokenError(
            7000112, "unauthorized_client", f"Application '{claim.id}'({principal.display_name}) is disabled."
        )
    if claim.secret:
        await _check_secret(asked, principal, claim.secret)
        return Client(principal, "secret")
    if public and principal.is_public:
        return Client(principal, "none")
    raise TokenError(
        7000218,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        + (" Certificates are not registered for this application." if "client_assertion" in asked.form else ""),
        status=401,
    )


async def _check_secret(asked: TokenRequest, principal: ServicePrincipal, secret: str) -> None:
    async with asked.database.connection() as conn:
        stored = await identity.credentials(conn, asked.tokens.tenant, principal.id)
    for credential in stored:
        if await secrets.matches(credential.secret_hash, secret):
            if credential.expires_at > asked.at:
                return
            raise TokenError(
                7000222,
                "invalid_client",
                f"The provided client secret keys for app '{principal.app_id}' are expired since "
                f"{credential.expires_at:%Y-%m-%d %H:%M}Z.",
                status=401,
            )
    raise TokenError(
        7000215,
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        f"the client secret ID, for a secret added to app '{principal.app_id}'.",
        status=401,
    )


async def _principal(conn: AsyncConnection[Any], tokens: Tokens, client_id: str) -> ServicePrincipal:
    try:
        principal = await identity.service_principal_by_app(conn, tokens.tenant, UUID(client_id))
    except ValueError:
        principal = None
    if principal is None:
        raise TokenError(
            700016,
            "unauthorized_client",
            f"Application with identifier '{client_id[:80]}' was not found in the directory '{tokens.tenant}'.",
        )
    return principal


def _claim(asked: TokenRequest) -> _Claim:
    """Read the client's id and secret from the form or the header, as RFC 6749 section 2.3.1 allows."""
    scheme, _, coded = asked.request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return _Claim(asked.needed("client_id"), asked.form.get("client_secret", ""))
    try:
        name, separator, secret = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        separator = name = secret = ""
    if not separator:
        raise TokenError(7000218, "invalid_client", "The Authorization header is not client id and secret.", status=401)
    return _Claim(unquote_plus(name), unquote_plus(secret))
