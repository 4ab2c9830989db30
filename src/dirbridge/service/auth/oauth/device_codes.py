"""The grant of devices without a browser: a person enters the device's user code elsewhere, the device waits.

Here are the device's two doors. The page where people enter the user code is `auth.device_page`.

Source: RFC 8628; Microsoft identity platform, device authorization grant flow.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from psycopg import AsyncConnection

from dirbridge.service.auth.oauth import clients, delegated_scopes, grants
from dirbridge.service.auth.oauth.clients import Client
from dirbridge.service.auth.oauth.grants import Given
from dirbridge.service.auth.oauth.refusals import TokenError
from dirbridge.service.auth.oauth.token_requests import TokenRequest
from dirbridge.store import device_codes as store
from dirbridge.store import grants as grant_store
from dirbridge.store.device_codes import DeviceCode
from dirbridge.store.grants import Code

LIFETIME = timedelta(minutes=15)
INTERVAL = timedelta(seconds=5)
"""Between two polls of a device."""

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"

MOST_WAITING = 10_000
"""Codes that wait at once. Anybody can ask for one, so that without a bound anybody could fill the database."""

WAITING = 70016
"""The number of both answers that mean: ask again later."""

# Consonants only: no code reads as a word, and none has letters that look alike. Source: RFC 8628 section 6.1.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8
# What a clock or a network may take off the interval.
_TOLERANCE = timedelta(seconds=1)


def folded(user_code: str) -> str:
    """Give the stored form of what a person typed."""
    return "".join(letter for letter in user_code.upper() if letter.isalnum())[: 2 * _LENGTH]


def shown(user_code: str) -> str:
    """Give a user code in two halves, as people read it."""
    return f"{user_code[: _LENGTH // 2]}-{user_code[_LENGTH // 2 :]}"


async def begin(asked: TokenRequest) -> Mapping[str, object]:
    """Give a device its code, and the one that a person enters.

    Raises:
        TokenError: the client is not to be trusted, what it asks for is none of its permissions, or too many wait.
    """
    client = await clients.authenticate(asked, public=True)
    allowed = delegated_scopes.OF_SIGN_IN | {*client.principal.delegated_permissions}
    scopes = delegated_scopes.read(asked, asked.needed("scope"), allowed)
    device_code = grants.new_secret()
    async with asked.database.transaction() as conn:
        if await store.count_waiting(conn, asked.tokens.tenant, asked.at) >= MOST_WAITING:
            raise TokenError(
                90055,
                "temporarily_unavailable",
                "There are too many incoming requests: too many devices wait for their code to be entered.",
                status=429,
            )
        user_code = await _add(conn, asked, client, device_code, sorted(scopes.names))
    page = f"{asked.tokens.base_url}/device"
    return {
        "user_code": shown(user_code),
        "device_code": device_code,
        "verification_uri": page,
        "expires_in": int(LIFETIME.total_seconds()),
        "interval": int(INTERVAL.total_seconds()),
        "message": f"To sign in, use a web browser to open the page {page} and enter the code {shown(user_code)} to "
        "authenticate.",
    }


async def answer(asked: TokenRequest, client: Client) -> Mapping[str, object]:
    """Tell a device whether a person has approved, and give it its tokens then.

    Raises:
        TokenError: not yet, or never.
    """
    carried = grants.digest(asked.form.get("device_code") or asked.needed("code"))
    async with asked.database.transaction() as conn:
        given = await _poll(conn, asked, client, carried)
    if isinstance(given, TokenError):
        raise given
    return grants.tell(asked, client, given)


async def _add(
    conn: AsyncConnection[Any], asked: TokenRequest, client: Client, device_code: str, scopes: list[str]
) -> str:
    """Store the code under a user code that no other has; there are 25 thousand million."""
    while True:
        user_code = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        added = await store.add(
            conn, asked.tokens.tenant, grants.digest(device_code), user_code,
            service_principal=client.principal.id, scopes=scopes, asked=asked.needed("scope"),
            interval_seconds=int(INTERVAL.total_seconds()), expires_at=asked.at + LIFETIME,
        )  # fmt: skip
        if added:
            return user_code


async def _poll(conn: AsyncConnection[Any], asked: TokenRequest, client: Client, carried: bytes) -> Given | TokenError:
    tenant = asked.tokens.tenant
    found = await store.get(conn, tenant, carried)
    if found is None or found.service_principal != client.principal.id:
        return TokenError(
            70018, "bad_verification_code", "The device code is none of this service, or was issued to another client."
        )
    if found.state == "redeemed":
        return TokenError(54005, "invalid_grant", "The device code was already redeemed.")
    if found.state == "declined":
        return TokenError(65004, "authorization_declined", "The person declined, or what they approved was ended.")
    if found.expires_at <= asked.at:
        return TokenError(
            70020, "expired_token", "The device code has expired. Ask for another one, and have its code entered."
        )
    if found.state == "approved":
        return await _redeem(conn, asked, client, carried, found)
    await store.note_poll(conn, tenant, carried, asked.at)
    least = timedelta(seconds=found.interval_seconds) - _TOLERANCE
    if found.polled_at is not None and asked.at - found.polled_at < least:
        return TokenError(
            70016, "slow_down", f"The device asks too often; {found.interval_seconds} seconds between are expected."
        )
    return TokenError(70016, "authorization_pending", "The person has not entered the code yet. Continue polling.")


async def _redeem(
    conn: AsyncConnection[Any], asked: TokenRequest, client: Client, carried: bytes, found: DeviceCode
) -> Given | TokenError:
    assert found.administrator is not None
    assert found.signed_in_at is not None
    await grant_store.hold(conn, asked.tokens.tenant, found.administrator, found.service_principal)
    if not await store.redeem(conn, asked.tokens.tenant, carried):
        return TokenError(54005, "invalid_grant", "The device code was already redeemed, or what it stood for ended.")
    signed = Code(
        service_principal=found.service_principal, administrator=found.administrator, redirect_uri="",
        scopes=found.scopes, asked=found.asked, challenge=None, challenge_method=None, nonce=None,
        methods=found.methods or [], signed_in_at=found.signed_in_at, expires_at=found.expires_at,
    )  # fmt: skip
    return await grants.begin(conn, asked, client, grants.new_grant(asked, client, signed), signed)
