"""What an application is told of the person who signed in: its id token, and whose account the tokens are.

Source: OpenID Connect Core 1.0 sections 2 and 5.3; Microsoft identity platform, id token claims and `client_info`.
"""

from __future__ import annotations

import base64
from collections.abc import Collection
from typing import Any
from uuid import UUID

import msgspec

from dirbridge.service.auth.tokens import Tokens
from dirbridge.store.grants import Grant
from dirbridge.store.people import Administrator


def issue(
    tokens: Tokens, app_id: UUID, person: Administrator, grant: Grant, scopes: Collection[str], nonce: str | None
) -> str:
    """Give the id token of a grant.

    Args:
        nonce: what the client sent along when it asked; None where it did not, or asks again by refresh token.
    """
    claims: dict[str, Any] = {
        **described(person, scopes),
        "oid": str(person.id),
        "auth_time": int(grant.signed_in_at.timestamp()),
        "amr": grant.methods,
        "sid": str(grant.id),
    }
    if nonce is not None:
        claims["nonce"] = nonce
    return tokens.issue_id(app_id, claims)


def described(person: Administrator, scopes: Collection[str]) -> dict[str, str]:
    """Say who a person is, as much of it as was asked for."""
    claims = {"sub": str(person.id)}
    if "profile" in scopes:
        claims |= {"name": person.display_name or person.user_name, "preferred_username": person.user_name}
    return claims


def client_info(tenant: UUID, person: UUID) -> str:
    """Say whose account it is, in the form that msal keeps its cache by."""
    text = msgspec.json.encode({"uid": str(person), "utid": str(tenant)})
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
