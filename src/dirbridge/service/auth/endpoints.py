"""The OAuth 2 doors that stock clients use: discovery, signing keys, and tokens for applications.

Source: Microsoft identity platform, OAuth 2.0 client credentials flow; RFC 6749 sections 4.4 and 5.2; OpenID Connect
Discovery 1.0. Errors carry the numbers that scripts look for.
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus, urlsplit
from uuid import UUID, uuid4

from fastapi import APIRouter, Request
from psycopg import AsyncConnection
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response

from dirbridge.service.auth import secrets
from dirbridge.service.auth.tokens import GRAPH_APP_ID, LIFETIME, Tokens
from dirbridge.store import identity
from dirbridge.store.database import Database
from dirbridge.store.identity import ServicePrincipal

logger = logging.getLogger(__name__)

# A form of a token request has a few hundred bytes; client assertions make it a few thousand.
MAX_FORM = 64 * 1024
_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_ANY_TENANT = ("common", "organizations")
_METADATA = "/v2.0/.well-known/openid-configuration"


class TokenError(Exception):
    """A refusal of the token endpoint.

    Args:
        number: the AADSTS number.
        error: OAuth's word for it.
    """

    def __init__(self, number: int, error: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.number = number
        self.error = error
        self.status = status

    def response(self, request: Request, at: datetime, *, basic: bool = False) -> Response:
        """Put it into words as stock clients parse them."""
        trace_id, correlation_id = str(uuid4()), _correlation_id(request)
        timestamp = at.strftime("%Y-%m-%d %H:%M:%SZ")
        description = (
            f"AADSTS{self.number}: {self} Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}"
        )
        body = {
            "error": self.error,
            "error_description": description,
            "error_codes": [self.number],
            "timestamp": timestamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
        }
        headers = {"WWW-Authenticate": 'Basic realm="dirbridge"'} if basic and self.status == 401 else {}
        return JSONResponse(body, status_code=self.status, headers=_NO_STORE | headers)


@dataclass(frozen=True, slots=True)
class _Client:
    """What a client said of itself; `basic` where it did so in the header."""

    id: str
    secret: str
    basic: bool = False


def router(database: Database, tokens: Tokens, now: Callable[[], datetime] | None = None) -> APIRouter:
    """Give the routes. The tenant in their path is an id, one of the tenant's domains, `common` or `organizations`."""
    routes = APIRouter(tags=["OAuth 2"])
    clock = now or (lambda: datetime.now(UTC))

    @routes.get("/{tenant}" + _METADATA)
    async def configuration(request: Request, tenant: str) -> Response:
        try:
            await _check_tenant(database, tokens, tenant)
        except TokenError as error:
            return error.response(request, clock())
        return JSONResponse(_configuration(tokens))

    @routes.get("/{tenant}/discovery/v2.0/keys")
    async def keys(request: Request, tenant: str) -> Response:
        try:
            await _check_tenant(database, tokens, tenant)
        except TokenError as error:
            return error.response(request, clock())
        return JSONResponse(tokens.public_keys())

    @routes.post("/{tenant}/oauth2/v2.0/token")
    async def token(request: Request, tenant: str) -> Response:
        basic = request.headers.get("authorization", "").lower().startswith("basic ")
        try:
            await _check_tenant(database, tokens, tenant)
            form = await _form(request)
            principal = await _client_credentials(database, tokens, request, form, clock())
        except TokenError as error:
            logger.warning(
                "A token was refused: %s.", error.error, extra={"event": "token_refused", "code": error.number}
            )
            return error.response(request, clock(), basic=basic)
        issued = tokens.issue_app(app_id=principal.app_id, object_id=principal.id, roles=principal.app_roles)
        lifetime = int(LIFETIME.total_seconds())
        return JSONResponse(
            {"token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": issued},
            headers=_NO_STORE,
        )

    return routes


def _configuration(tokens: Tokens) -> dict[str, object]:
    root = f"{tokens.base_url}/{tokens.tenant}"
    return {
        "issuer": tokens.issuer,
        "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
        "token_endpoint": f"{root}/oauth2/v2.0/token",
        "jwks_uri": f"{root}/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nbf", "tid", "oid", "azp", "roles", "ver", "idtyp"],
        "cloud_instance_name": urlsplit(tokens.base_url).netloc,
        "msgraph_host": urlsplit(tokens.base_url).netloc,
        "tenant_region_scope": None,
    }


async def _check_tenant(database: Database, tokens: Tokens, wanted: str) -> None:
    """Tell whether a path means our tenant."""
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


async def _form(request: Request) -> Mapping[str, str]:
    """Read the form, and nothing that is larger than one can be."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise TokenError(
            900144,
            "invalid_request",
            f"The request body has the type '{kind[:60]}', 'application/x-www-form-urlencoded' is expected.",
        )
    size = 0
    chunks: list[bytes] = []
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_FORM:
            raise TokenError(
                90100, "invalid_request", f"The request body is larger than {MAX_FORM:,} bytes.", status=413
            )
        chunks.append(chunk)
    return _parse(b"".join(chunks))


def _parse(body: bytes) -> Mapping[str, str]:
    try:
        text = body.decode("ascii")
    except UnicodeDecodeError as error:
        raise TokenError(900144, "invalid_request", "The request body is not a URL-encoded form.") from error
    pairs = [part.partition("=") for part in text.split("&") if part]
    fields = FormData([(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs])
    repeated = [name for name in fields if len(fields.getlist(name)) > 1]
    if repeated:  # RFC 6749 section 3.2
        raise TokenError(90100, "invalid_request", f"The parameter '{repeated[0][:60]}' is given more than once.")
    return {name: str(value) for name, value in fields.items() if value}


async def _client_credentials(
    database: Database, tokens: Tokens, request: Request, form: Mapping[str, str], at: datetime
) -> ServicePrincipal:
    """Decide on a token request: which application it comes from, and that its secret is right."""
    grant = _needed(form, "grant_type")
    if grant != "client_credentials":
        raise TokenError(
            70003,
            "unsupported_grant_type",
            f"The app requested an unsupported grant type '{grant[:80]}'; 'client_credentials' is supported.",
        )
    client = _client(request, form)
    _check_scope(tokens, request, _needed(form, "scope"))
    async with database.connection() as conn:
        principal = await _principal(conn, tokens, client)
        stored = await identity.credentials(conn, tokens.tenant, principal.id)
    if not principal.is_enabled:
        raise TokenError(
            7000112, "unauthorized_client", f"Application '{client.id}'({principal.display_name}) is disabled."
        )
    if not client.secret:
        raise TokenError(
            7000218,
            "invalid_client",
            "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            + (" Certificates are not registered for this application." if "client_assertion" in form else ""),
            status=401,
        )
    for credential in stored:
        if await secrets.matches(credential.secret_hash, client.secret):
            if credential.expires_at > at:
                return principal
            raise TokenError(
                7000222,
                "invalid_client",
                f"The provided client secret keys for app '{client.id}' are expired since "
                f"{credential.expires_at:%Y-%m-%d %H:%M}Z.",
                status=401,
            )
    raise TokenError(
        7000215,
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        f"the client secret ID, for a secret added to app '{client.id}'.",
        status=401,
    )


async def _principal(conn: AsyncConnection[Any], tokens: Tokens, client: _Client) -> ServicePrincipal:
    try:
        principal = await identity.service_principal_by_app(conn, tokens.tenant, UUID(client.id))
    except ValueError:
        principal = None
    if principal is None:
        raise TokenError(
            700016,
            "unauthorized_client",
            f"Application with identifier '{client.id[:80]}' was not found in the directory '{tokens.tenant}'.",
        )
    return principal


def _client(request: Request, form: Mapping[str, str]) -> _Client:
    """Read the client's id and secret from the form or the header, as RFC 6749 section 2.3.1 allows."""
    scheme, _, coded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return _Client(_needed(form, "client_id"), form.get("client_secret", ""))
    try:
        name, separator, secret = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        separator = name = secret = ""
    if not separator:
        raise TokenError(7000218, "invalid_client", "The Authorization header is not client id and secret.", status=401)
    return _Client(unquote_plus(name), unquote_plus(secret), basic=True)


def _check_scope(tokens: Tokens, request: Request, scope: str) -> None:
    """Accept every name that stock clients have for this API, followed by /.default."""
    wanted = scope.split()
    names = [each.rpartition("/") for each in wanted]
    if any(name != ".default" for _, _, name in names):
        raise TokenError(
            1002012,
            "invalid_scope",
            f"The provided value for scope {scope[:200]} is not valid. Client credential flows must have a scope value "
            "with /.default suffixed to the resource identifier (application ID URI).",
        )
    for resource, _, _ in names:
        if not _is_ours(tokens, request, resource.rstrip("/").lower()):
            raise TokenError(
                500011,
                "invalid_resource",
                f"The resource principal named {resource[:200]} was not found in the tenant {tokens.tenant}.",
            )


def _is_ours(tokens: Tokens, request: Request, resource: str) -> bool:
    """Tell whether a resource is this API.

    msgraph-sdk derives the name from the address it was pointed at and leaves the port away.
    """
    if resource in {GRAPH_APP_ID, "https://graph.microsoft.com", ""}:
        return True
    try:
        parts = urlsplit(resource)
    except ValueError:
        return False
    hosts = {urlsplit(tokens.base_url).hostname, request.url.hostname}
    return parts.scheme == "https" and parts.hostname in hosts and not parts.path


def _needed(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise TokenError(900144, "invalid_request", f"The request body must contain the following parameter: '{name}'.")
    return form[name]


def _correlation_id(request: Request) -> str:
    """Give the client's own id of the request, if it is one."""
    try:
        return str(UUID(request.headers.get("client-request-id", "")))
    except ValueError:
        return str(uuid4())
