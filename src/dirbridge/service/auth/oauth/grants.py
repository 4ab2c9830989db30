"""The grants by which an application acts for a person: an authorization code, or a refresh token in its place.

A grant begins when a code is exchanged and is named by the claim `sid`. Its refresh tokens follow one another, each
good once; one that comes back ends the grant. `auth.device_codes` begins grants too.

Source: RFC 6749 sections 4.1.3 and 6; RFC 7636 section 4.6; RFC 9700 sections 2.1.1 and 4.14.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from dirbridge.service.auth.oauth import delegated_scopes, id_tokens
from dirbridge.service.auth.oauth.clients import Client
from dirbridge.service.auth.oauth.delegated_scopes import OFFLINE_ACCESS, OPENID, Scopes
from dirbridge.service.auth.oauth.refusals import TokenError
from dirbridge.service.auth.oauth.token_requests import TokenRequest
from dirbridge.service.auth.permissions import ROLES
from dirbridge.service.auth.tokens import LIFETIME
from dirbridge.store import audits, people
from dirbridge.store import grants as store
from dirbridge.store.grants import Code, Grant, Presented
from dirbridge.store.identifiers import new_id
from dirbridge.store.identity import ServicePrincipal
from dirbridge.store.people import Administrator

GRANT_LIFETIME = timedelta(days=90)
"""After which a person signs in again, whatever the application did meanwhile."""

IDLE_LIFETIME = timedelta(days=14)
"""Of a refresh token that nobody uses."""

REPEAT = timedelta(seconds=10)
"""For so long a refresh token can be used again by a client that did not hear the answer."""

_LEEWAY = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Given:
    """What a client gets for what it presented.

    Attributes:
        refresh_token: None where the grant ends with its access token.
        nonce: of the request that led here.
    """

    grant: Grant
    person: Administrator
    scopes: Scopes
    refresh_token: str | None
    nonce: str | None = None


def digest(carried: str) -> bytes:
    """Give what is stored of something that a client carries."""
    return hashlib.sha256(carried.encode()).digest()


def new_secret() -> str:
    """Give 256 random bits for a client to carry."""
    return secrets.token_urlsafe(32)


async def by_code(asked: TokenRequest, client: Client) -> Mapping[str, object]:
    """Exchange an authorization code.

    Raises:
        TokenError: it is none of this client's, expired, or was exchanged before: then what it gave is ended.
    """
    carried = digest(asked.needed("code"))
    async with asked.database.transaction() as conn:
        given = await _exchange(conn, asked, client, carried)
    if isinstance(given, TokenError):
        raise given
    return tell(asked, client, given)


async def by_refresh_token(asked: TokenRequest, client: Client) -> Mapping[str, object]:
    """Exchange a refresh token for another one, and an access token.

    Raises:
        TokenError: it is none of this client's, its grant has ended, or it was used before: then its grant is ended.
    """
    carried = digest(asked.needed("refresh_token"))
    async with asked.database.transaction() as conn:
        given = await _refresh(conn, asked, client, carried)
    if isinstance(given, TokenError):
        raise given
    return tell(asked, client, given)


async def begin(conn: AsyncConnection[Any], asked: TokenRequest, client: Client, grant: Grant, signed: Code) -> Given:
    """Begin a grant for a person whose row is held.

    Raises:
        TokenError: the account is gone or disabled, or the scopes asked for now are none that were granted.
    """
    person = await sound_person(conn, asked, grant.administrator)
    scopes = narrowed(asked, client.principal, grant, signed.asked)
    await store.begin(conn, asked.tokens.tenant, grant)
    refresh_token = None
    if OFFLINE_ACCESS in grant.scopes:
        refresh_token = new_secret()
        until = min(asked.at + IDLE_LIFETIME, grant.expires_at)
        await store.add_refresh_token(conn, asked.tokens.tenant, digest(refresh_token), grant.id, until)
    return Given(grant, person, scopes, refresh_token, signed.nonce)


def new_grant(asked: TokenRequest, client: Client, signed: Code) -> Grant:
    """Give the grant that a sign-in leads to; one without refresh tokens lasts as long as its access token."""
    lasts = GRANT_LIFETIME if OFFLINE_ACCESS in signed.scopes else LIFETIME + _LEEWAY
    return Grant(
        id=new_id(),
        administrator=signed.administrator,
        service_principal=client.principal.id,
        scopes=sorted(signed.scopes),
        methods=signed.methods,
        signed_in_at=signed.signed_in_at,
        created_at=asked.at,
        expires_at=asked.at + lasts,
    )


async def sound_person(conn: AsyncConnection[Any], asked: TokenRequest, administrator: UUID) -> Administrator:
    """Give the person of a grant.

    Raises:
        TokenError: the account is gone or disabled.
    """
    person = await people.get(conn, asked.tokens.tenant, administrator)
    if person is None or person.is_disabled:
        raise TokenError(50057, "invalid_grant", "The user account is disabled.")
    return person


def narrowed(asked: TokenRequest, principal: ServicePrincipal, grant: Grant, before: str = "") -> Scopes:
    """Give what of a grant is asked for now, all of it where nothing is said, and only what the application still may.

    Args:
        before: what was asked for in the request that led here.

    Raises:
        TokenError: a scope is none, or nothing of what is asked for was granted.
    """
    allowed = {
        each for each in grant.scopes if each in delegated_scopes.OF_SIGN_IN | {*principal.delegated_permissions}
    }
    return delegated_scopes.read(asked, asked.form.get("scope") or before or " ".join(sorted(allowed)), allowed)


def tell(asked: TokenRequest, client: Client, given: Given) -> Mapping[str, object]:
    """Put into words as stock clients read them."""
    tokens, principal, person = asked.tokens, client.principal, given.person
    lifetime = int(LIFETIME.total_seconds())
    told: dict[str, object] = {
        "token_type": "Bearer",
        "scope": given.scopes.told,
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": tokens.issue_person(
            app_id=principal.app_id,
            person=person.id,
            user_name=person.user_name,
            display_name=person.display_name or person.user_name,
            roles=[ROLES[name] for name in person.roles],
            scopes=given.scopes.permissions,
            authenticated_by=client.authenticated_by,
            grant=given.grant.id,
        ),
    }
    if given.refresh_token is not None:
        told["refresh_token"] = given.refresh_token
    if OPENID in given.grant.scopes:
        told["id_token"] = id_tokens.issue(
            tokens, principal.app_id, person, given.grant, given.grant.scopes, given.nonce
        )
    if asked.form.get("client_info") == "1":
        told["client_info"] = id_tokens.client_info(tokens.tenant, person.id)
    return told


# Authorization codes -------------------------------------------------------------------------------------------------


async def _exchange(
    conn: AsyncConnection[Any], asked: TokenRequest, client: Client, carried: bytes
) -> Given | TokenError:
    tenant = asked.tokens.tenant
    code = await store.code(conn, tenant, carried)
    if code is not None:
        await store.hold(conn, tenant, code.administrator, code.service_principal)
    if code is None or code.service_principal != client.principal.id:
        return _no_code()
    if code.expires_at <= asked.at:
        return TokenError(
            70008, "invalid_grant", f"The provided authorization code has expired at {code.expires_at:%H:%M:%S}Z."
        )
    _check_redirect(asked, code)
    _check_verifier(asked, client, code)
    grant = new_grant(asked, client, code)
    if not await store.use_code(conn, tenant, carried, grant.id, asked.at):
        return await _used_twice(conn, asked, client, carried)
    return await begin(conn, asked, client, grant, code)


async def _used_twice(conn: AsyncConnection[Any], asked: TokenRequest, client: Client, carried: bytes) -> TokenError:
    """End what a code was exchanged for, as it has two holders. Source: RFC 6749 section 4.1.2."""
    code = await store.code(conn, asked.tokens.tenant, carried)
    if code is None or code.grant_id is None:  # ended with all that the person granted, while we waited
        return _no_code()
    await _end(conn, asked, client, code.grant_id, "Its authorization code was presented twice.")
    return TokenError(
        54005, "invalid_grant", "The authorization code was already redeemed. What it was redeemed for has been ended."
    )


def _no_code() -> TokenError:
    return TokenError(
        70000, "invalid_grant", "The provided authorization code is malformed, or was issued to another client."
    )


def _check_redirect(asked: TokenRequest, code: Code) -> None:
    given = asked.needed("redirect_uri")
    if given != code.redirect_uri:
        raise TokenError(
            500112,
            "invalid_grant",
            f"The reply address '{given[:200]}' does not match the reply address '{code.redirect_uri[:200]}' provided "
            "when requesting the authorization code.",
        )


def _check_verifier(asked: TokenRequest, client: Client, code: Code) -> None:
    """Make sure that who redeems a code is who asked for it. Source: RFC 7636 section 4.6."""
    verifier = asked.form.get("code_verifier", "")
    if code.challenge is None and not verifier and not client.principal.is_public:
        return
    made = verifier
    if code.challenge_method == "S256":
        made = base64.urlsafe_b64encode(digest(verifier)).rstrip(b"=").decode()
    if not verifier or code.challenge is None or not hmac.compare_digest(made.encode(), code.challenge.encode()):
        raise TokenError(
            501481,
            "invalid_grant",
            "The code_verifier does not match the code_challenge supplied in the authorization request.",
        )


# Refresh tokens ------------------------------------------------------------------------------------------------------


async def _refresh(
    conn: AsyncConnection[Any], asked: TokenRequest, client: Client, carried: bytes
) -> Given | TokenError:
    tenant = asked.tokens.tenant
    found = await store.refresh_token(conn, tenant, carried)
    grant = None if found is None else await store.get(conn, tenant, found.grant_id)
    # Read again, now that nobody else can use it.
    found = None if grant is None else await store.refresh_token(conn, tenant, carried)
    if found is None or grant is None or grant.service_principal != client.principal.id:
        return TokenError(
            70000, "invalid_grant", "The provided refresh token is malformed, or was issued to another client."
        )
    if grant.ended_because:
        return TokenError(50173, "invalid_grant", f"The provided grant has been ended: {grant.ended_because}")
    until = min(found.expires_at, grant.expires_at)
    if until <= asked.at:
        return TokenError(
            700082, "invalid_grant", f"The refresh token has expired at {until:%Y-%m-%d %H:%M}Z. Sign in again."
        )
    if found.used_at is not None or found.is_void:
        if not _is_repeat(asked, found):
            await _end(conn, asked, client, grant.id, "A refresh token was presented that had been used before.")
            return TokenError(
                50173,
                "invalid_grant",
                "The refresh token was used before, so the grant has been ended for all who hold a part of it. "
                "Sign in again.",
            )
        await store.void_followers(conn, tenant, grant.id, carried)
    return await _rotate(conn, asked, client, grant, carried)


def _is_repeat(asked: TokenRequest, found: Presented) -> bool:
    """Tell whether the client asks again because it did not hear: soon, and before it used what it would have got."""
    soon = found.used_at is not None and asked.at - found.used_at <= REPEAT
    return soon and not found.is_void and not found.is_followed


async def _rotate(
    conn: AsyncConnection[Any], asked: TokenRequest, client: Client, grant: Grant, carried: bytes
) -> Given:
    """Give the next refresh token in place of this one."""
    tenant = asked.tokens.tenant
    person = await sound_person(conn, asked, grant.administrator)
    scopes = narrowed(asked, client.principal, grant)
    await store.use_refresh_token(conn, tenant, carried, asked.at)
    following = new_secret()
    until = min(asked.at + IDLE_LIFETIME, grant.expires_at)
    await store.add_refresh_token(conn, tenant, digest(following), grant.id, until, carried)
    return Given(grant, person, scopes, following)


async def _end(conn: AsyncConnection[Any], asked: TokenRequest, client: Client, grant: UUID, because: str) -> None:
    """End a grant, and leave a row in the audit trail, as somebody may have stolen what was presented."""
    tenant, principal = asked.tokens.tenant, client.principal
    if await store.end(conn, tenant, grant, because, asked.at):
        await audits.record(
            conn, tenant, actor=f"application {principal.app_id}", activity="Revoke grant", target=str(grant),
            detail={"application": principal.display_name, "reason": because},
        )  # fmt: skip
