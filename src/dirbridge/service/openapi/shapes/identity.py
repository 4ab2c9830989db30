"""Tokens, keys and health: what is asked without a token."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Text = str | None


class Plain(msgspec.Struct, kw_only=True):
    """A JSON object whose names are written as they are."""


class TokenAnswer(Plain, kw_only=True):
    """A token, and what came with it."""

    token_type: Literal["Bearer"]
    expires_in: int
    access_token: str
    ext_expires_in: int | msgspec.UnsetType = msgspec.UNSET
    scope: str | msgspec.UnsetType = msgspec.UNSET
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET
    id_token: str | msgspec.UnsetType = msgspec.UNSET
    client_info: str | msgspec.UnsetType = msgspec.UNSET


class TokenRefusal(Plain, kw_only=True):
    """Why there is no token: OAuth's word, and the number that scripts look for."""

    error: str
    error_description: str
    error_codes: list[int]
    timestamp: str
    trace_id: str
    correlation_id: str


class Discovery(Plain, kw_only=True):
    """Where the issuer's end points are, and what they can do. Source: OpenID Connect Discovery 1.0."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    device_authorization_endpoint: str
    userinfo_endpoint: str | msgspec.UnsetType = msgspec.UNSET
    end_session_endpoint: str | msgspec.UnsetType = msgspec.UNSET
    jwks_uri: str
    token_endpoint_auth_methods_supported: list[str]
    token_endpoint_auth_signing_alg_values_supported: list[str]
    grant_types_supported: list[str]
    response_types_supported: list[str]
    response_modes_supported: list[str]
    code_challenge_methods_supported: list[str]
    request_parameter_supported: bool
    request_uri_parameter_supported: bool
    subject_types_supported: list[str]
    id_token_signing_alg_values_supported: list[str]
    scopes_supported: list[str]
    claims_supported: list[str]
    cloud_instance_name: str
    msgraph_host: str
    tenant_region_scope: Text


class SigningKeys(Plain, kw_only=True):
    """The public keys that tokens are signed with. Source: RFC 7517 section 5."""

    keys: list[dict[str, Any]]


class Alive(Plain, kw_only=True):
    """The process runs."""

    status: Literal["ok"]


class Ready(Plain, kw_only=True):
    """Whether it can work, and what of it cannot."""

    status: Literal["ready", "unavailable"]
    checks: dict[str, str]


class TokenRequest(Plain, kw_only=True):
    """What a client sends for a token; which of it counts depends on the grant."""

    grant_type: str
    client_id: str | msgspec.UnsetType = msgspec.UNSET
    scope: str | msgspec.UnsetType = msgspec.UNSET
    client_secret: str | msgspec.UnsetType = msgspec.UNSET
    client_assertion_type: str | msgspec.UnsetType = msgspec.UNSET
    client_assertion: str | msgspec.UnsetType = msgspec.UNSET
    code: str | msgspec.UnsetType = msgspec.UNSET
    code_verifier: str | msgspec.UnsetType = msgspec.UNSET
    redirect_uri: str | msgspec.UnsetType = msgspec.UNSET
    device_code: str | msgspec.UnsetType = msgspec.UNSET
    refresh_token: str | msgspec.UnsetType = msgspec.UNSET


class DeviceCodeRequest(Plain, kw_only=True):
    """What a device asks for."""

    client_id: str
    scope: str
    client_secret: str | msgspec.UnsetType = msgspec.UNSET
    client_assertion_type: str | msgspec.UnsetType = msgspec.UNSET
    client_assertion: str | msgspec.UnsetType = msgspec.UNSET


class DeviceCode(Plain, kw_only=True):
    """A device's code, and what its user is to do. Source: RFC 8628 section 3.2."""

    user_code: str
    device_code: str
    verification_uri: str
    expires_in: int
    interval: int
    message: str


class InstanceMetadata(Plain, kw_only=True):
    """The names of a host."""

    preferred_network: str
    preferred_cache: str
    aliases: list[str]


class Instance(Plain, kw_only=True):
    """Where the configuration of an authority is, and by which names its host is known."""

    tenant_discovery_endpoint: str
    api_version: str = msgspec.field(name="api-version")
    metadata: list[InstanceMetadata]


class UserInfo(Plain, kw_only=True):
    """Who signed in, as far as the token's scopes tell. Source: OpenID Connect Core 1.0 section 5.3.2."""

    sub: str
    name: str | msgspec.UnsetType = msgspec.UNSET
    preferred_username: str | msgspec.UnsetType = msgspec.UNSET
