"""The OAuth 2 doors that stock clients use: discovery, signing keys, and tokens by every grant there is.

Source: OpenID Connect Discovery 1.0; RFC 6749 section 3.2. Errors carry the numbers that scripts look for.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from dirbridge.service.auth.oauth import client_credentials, clients, device_codes, grants, token_requests
from dirbridge.service.auth.oauth.clients import Client
from dirbridge.service.auth.oauth.refusals import NO_STORE, TokenError
from dirbridge.service.auth.oauth.token_requests import TokenRequest
from dirbridge.service.auth.tokens import Tokens
from dirbridge.store import identity
from dirbridge.store.database import Database

logger = logging.getLogger(__name__)

_ANY_TENANT = ("common", "organizations")
_METADATA = "/v2.0/.well-known/openid-configuration"


Answer = Callable[[TokenRequest], Awaitable[Mapping[str, object]]]
"""What answers a client's form."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One way to a token.

    Attributes:
        answer: what the token endpoint answers once the client is known.
        public: public clients, which prove nothing of themselves, may use it.
    """

    answer: Callable[[TokenRequest, Client], Awaitable[Mapping[str, object]]]
    public: bool


GRANTS: dict[str, Grant] = {
    "authorization_code": Grant(grants.by_code, public=True),
    "client_credentials": Grant(client_credentials.answer, public=False),
    "refresh_token": Grant(grants.by_refresh_token, public=True),
    device_codes.GRANT_TYPE: Grant(device_codes.answer, public=True),
}
"""The grants by `grant_type`."""


def router(database: Database, tokens: Tokens, now: Callable[[], datetime] | None = None) -> APIRouter:
    """Give the routes. The tenant in their path is an id, one of the tenant's domains, `common` or `organizations`."""
    routes = APIRouter(tags=["OAuth 2"])
    clock = now or (lambda: datetime.now(UTC))

    @routes.get("/{tenant}" + _METADATA)
    async def configuration(request: Request, tenant: str) -> Response:
        """Say where the issuer's end points are, and what they can do."""
        try:
            await check_tenant(database, tokens, tenant)
        except TokenError as error:
            return error.response(request, clock())
        return JSONResponse(_configuration(tokens))

    @routes.get("/{tenant}/discovery/v2.0/keys")
    async def keys(request: Request, tenant: str) -> Response:
        """Give the public keys that tokens are signed with."""
        try:
            await check_tenant(database, tokens, tenant)
        except TokenError as error:
            return error.response(request, clock())
        await tokens.refresh()
        return JSONResponse(tokens.public_keys())

    @routes.get("/{tenant}/discovery/instance")
    async def instance(request: Request, tenant: str) -> Response:
        """Say where the configuration of an authority is."""
        try:
            await check_tenant(database, tokens, tenant)
            return JSONResponse(_instance(tokens, request.query_params.get("authorization_endpoint", "")))
        except TokenError as error:
            return error.response(request, clock())

    async def answer(request: Request, tenant: str, give: Answer) -> Response:
        basic = request.headers.get("authorization", "").lower().startswith("basic ")
        try:
            await check_tenant(database, tokens, tenant)
            form = token_requests.kept(await token_requests.read_form(request))
            await tokens.refresh()
            given = await give(TokenRequest(database, tokens, request, form, clock()))
        except TokenError as error:
            _note(error)
            return error.response(request, clock(), basic=basic)
        return JSONResponse(given, headers=NO_STORE)

    @routes.post("/{tenant}/oauth2/v2.0/token")
    async def token(request: Request, tenant: str) -> Response:
        """Issue a token."""
        return await answer(request, tenant, _grant)

    @routes.post("/{tenant}/oauth2/v2.0/devicecode")
    async def device_code(request: Request, tenant: str) -> Response:
        """Give a device its code, and the one that a person enters."""
        return await answer(request, tenant, device_codes.begin)

    return routes


def _note(error: TokenError) -> None:
    """Keep a refusal in the service's log; a device that waits is told so again and again, which is none."""
    level = logging.DEBUG if error.number == device_codes.WAITING else logging.WARNING
    logger.log(level, "A token was refused: %s.", error.error, extra={"event": "token_refused", "code": error.number})


async def _grant(asked: TokenRequest) -> Mapping[str, object]:
    """Find out who is asking and hand the request to its grant."""
    wanted = asked.needed("grant_type")
    grant = GRANTS.get(wanted)
    if grant is None:
        raise TokenError(
            70003,
            "unsupported_grant_type",
            f"The app requested an unsupported grant type '{wanted[:80]}'. Supported: {', '.join(sorted(GRANTS))}.",
        )
    client = await clients.authenticate(asked, public=grant.public)
    return await grant.answer(asked, client)


def _configuration(tokens: Tokens) -> dict[str, object]:
    root = f"{tokens.base_url}/{tokens.tenant}"
    return {
        "issuer": tokens.issuer,
        "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
        "token_endpoint": f"{root}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
        "userinfo_endpoint": f"{tokens.base_url}/oidc/userinfo",
        "end_session_endpoint": f"{root}/oauth2/v2.0/logout",
        "jwks_uri": f"{root}/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS256", "PS256"],
        "grant_types_supported": sorted(GRANTS),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "code_challenge_methods_supported": ["S256", "plain"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "offline_access"],
        "claims_supported": [
            "sub", "iss", "aud", "exp", "iat", "nbf", "tid", "oid", "ver", "sid", "nonce", "auth_time", "amr", "name",
            "preferred_username",
        ],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "cloud_instance_name": urlsplit(tokens.base_url).netloc,
        "msgraph_host": urlsplit(tokens.base_url).netloc,
        "tenant_region_scope": None,
    }  # fmt: skip


def _instance(tokens: Tokens, endpoint: str) -> dict[str, object]:
    """Tell msal that an authority of this host is one, and has no other names."""
    host = urlsplit(tokens.base_url).netloc
    prefix = f"https://{host}/"
    if not endpoint.startswith(prefix):
        raise TokenError(
            50049, "invalid_instance", f"Unknown or invalid instance '{endpoint[:100]}': this is '{host}'."
        )
    tenant = endpoint.removeprefix(prefix).partition("/")[0] or "common"
    return {
        "tenant_discovery_endpoint": f"{tokens.base_url}/{tenant}{_METADATA}",
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    }


async def check_tenant(database: Database, tokens: Tokens, wanted: str) -> None:
    """Make sure that a path means our tenant.

    Raises:
        TokenError: it means another one, or none.
    """
    name = wanted.lower()
    if name == str(tokens.tenant) or name in _ANY_TENANT:
        return
    async with database.connection() as conn:
        if any(each.name.lower() == name and each.is_verified for each in await identity.domains(conn, tokens.tenant)):
            return
    raise TokenError(
        90002,
        "invalid_request",
        f"Tenant '{wanted[:100]}' not found. Check that the tenant id or domain is right: this service has the tenant "
        f"{tokens.tenant}.",
    )
