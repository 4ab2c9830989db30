"""Which application is at the token endpoint, and how it proves so: by secret or by certificate.

Source: RFC 6749 section 2.3; RFC 7523 section 2.2.
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
from dirbridge.service.auth.oauth import client_assertions
from dirbridge.service.auth.oauth.client_assertions import Assertion
from dirbridge.service.auth.oauth.refusals import TokenError
from dirbridge.service.auth.oauth.token_requests import TokenRequest
from dirbridge.service.auth.tokens import Tokens
from dirbridge.store import applications, assertions, identity
from dirbridge.store.identity import ServicePrincipal


@dataclass(frozen=True, slots=True)
class Client:
    """An application at the token endpoint.

    Attributes:
        authenticated_by: how it proved itself; `none` is a public client, which cannot.
        credential: id of the secret or certificate by which it did.
    """

    principal: ServicePrincipal
    authenticated_by: Literal["none", "secret", "certificate"]
    credential: UUID | None = None


@dataclass(frozen=True, slots=True)
class _Claim:
    """What a client says of itself."""

    id: str
    secret: str
    assertion: Assertion | None = None


async def authenticate(asked: TokenRequest, *, public: bool) -> Client:
    """Find out which application is asking.

    Args:
        public: an application that is registered as a public client need not prove itself, as the grant does so.

    Raises:
        TokenError: it is unknown or disabled, or its proof is missing or wrong.
    """
    claim = _claim(asked)
    principal = await known(asked, claim.id)
    if claim.assertion is not None:
        return Client(principal, "certificate", await _check_assertion(asked, principal, claim.assertion))
    if claim.secret:
        return Client(principal, "secret", await _check_secret(asked, principal, claim.secret))
    if public and principal.is_public:
        return Client(principal, "none")
    raise TokenError(
        7000218,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        status=401,
    )


async def known(asked: TokenRequest, client_id: str) -> ServicePrincipal:
    """Give the application of a client id.

    Raises:
        TokenError: it is unknown, registered only, or disabled.
    """
    async with asked.database.connection() as conn:
        return await _principal(conn, asked.tokens, client_id)


async def hold(conn: AsyncConnection[Any], asked: TokenRequest, client: Client) -> ServicePrincipal:
    """Give an application that proved itself as it is now, and as it stays until the transaction ends.

    Proofs take their time, and more so for whoever sends many at once. What is taken away meanwhile must not be in a
    token that is younger than that.

    Raises:
        TokenError: it is gone or disabled, or has its credential no longer.
    """
    tenant, known = asked.tokens.tenant, client.principal
    has_credential = await applications.hold(conn, tenant, known.id, client.credential)
    principal = await _principal(conn, asked.tokens, str(known.app_id))
    if not has_credential:
        raise TokenError(
            7000215,
            "invalid_client",
            f"The credential that was presented was just removed from app '{known.app_id}'.",
            status=401,
        )
    return principal


def _check_standing(principal: ServicePrincipal, tokens: Tokens) -> None:
    if not principal.has_principal:
        raise TokenError(
            7000229,
            "unauthorized_client",
            f"The client application {principal.app_id} is missing service principal in the tenant "
            f"{tokens.tenant}. Make one by POST /servicePrincipals.",
        )
    if not principal.is_enabled:
        raise TokenError(
            7000112, "unauthorized_client", f"Application '{principal.app_id}'({principal.display_name}) is disabled."
        )


async def _check_assertion(asked: TokenRequest, principal: ServicePrincipal, assertion: Assertion) -> UUID:
    """Verify an assertion, and note that it was used in the same transaction; gives its certificate's id."""
    tenant = asked.tokens.tenant
    async with asked.database.transaction() as conn:
        registered = await applications.certificates(conn, tenant, principal.id)
        names = {str(tenant), "common", "organizations"}
        names |= {each.name.lower() for each in await identity.domains(conn, tenant) if each.is_verified}
        proof = client_assertions.verify(assertion, registered, asked.tokens, names, asked.at)
        if not await assertions.use(conn, tenant, str(principal.app_id), proof.jti, proof.until - asked.at):
            raise client_assertions.replayed(principal.app_id)
    return proof.certificate


async def _check_secret(asked: TokenRequest, principal: ServicePrincipal, secret: str) -> UUID:
    async with asked.database.connection() as conn:
        stored = await identity.credentials(conn, asked.tokens.tenant, principal.id)
    for credential in stored:
        if await secrets.matches(credential.secret_hash, secret):
            if credential.expires_at > asked.at:
                return credential.id
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
    _check_standing(principal, tokens)
    return principal


def _claim(asked: TokenRequest) -> _Claim:
    """Read the client's id and proof from the form, or id and secret from the header (RFC 6749 section 2.3.1)."""
    if "client_assertion" in asked.form:
        return _asserted(asked)
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


def _asserted(asked: TokenRequest) -> _Claim:
    kind = asked.needed("client_assertion_type")
    if kind != client_assertions.TYPE:
        raise TokenError(
            50027,
            "invalid_client",
            f"The client assertion's type is '{kind[:80]}', '{client_assertions.TYPE}' is expected.",
            status=401,
        )
    assertion = client_assertions.read(asked.form["client_assertion"])
    named = asked.form.get("client_id", assertion.client_id)
    if named.lower() != assertion.client_id.lower():
        raise TokenError(
            700021,
            "invalid_client",
            f"The client assertion is by the application '{assertion.client_id[:80]}', and 'client_id' is "
            f"'{named[:80]}'.",
            status=401,
        )
    return _Claim(assertion.client_id, "", assertion)
