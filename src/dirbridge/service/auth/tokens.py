"""The access tokens of this service: issued at its token endpoints, checked at every request.

Tokens for Graph and tokens for agents are signed with the same key and differ in audience and type, so neither is
taken for the other.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.errors import (
    BadSignatureError,
    ClaimError,
    ExpiredTokenError,
    InvalidKeyIdError,
    JoseError,
    UnsupportedAlgorithmError,
)
from joserfc.jwk import RSAKey

from dirbridge.contract.errors import CredentialError, DirbridgeError
from dirbridge.service.auth import key_rings
from dirbridge.service.auth.key_rings import Ring
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.auth.verified import Verified
from dirbridge.store.database import Database

LIFETIME = timedelta(seconds=3599)
FRESH = 5.0
"""Seconds for which the keys that were read are believed: so long a key that was removed may still verify."""
HASTE = 0.1
"""Seconds between two readings because of tokens by unknown keys, which anybody can make up."""
PATIENCE = timedelta(seconds=5)
"""How long a request waits for keys while the database is away; what it asks for may wait again."""
# The id under which every tenant knows Microsoft Graph.
GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"

_ALGORITHM = "RS256"
_GRAPH_TYPE, _AGENT_TYPE = "JWT", "agent+jwt"
_LEEWAY = 60
_ACR = {"none": "0", "secret": "1", "certificate": "2"}


class Tokens:
    """Issues and verifies.

    Args:
        tenant: whose tokens.
        base_url: where clients reach the service, without a slash at the end; issuer and audiences follow from it.
        keys: the tenant's signing keys: a ring, or several of which the first signs; each verifies.
        now: the time.
        reread: gives the keys as they are now.
    """

    def __init__(
        self,
        tenant: UUID,
        base_url: str,
        keys: Ring | Sequence[RSAKey],
        now: Callable[[], datetime] | None = None,
        reread: Callable[[Ring], Awaitable[Ring]] | None = None,
    ) -> None:
        self.tenant = tenant
        self.base_url = base_url
        self.issuer = f"{base_url}/{tenant}/v2.0"
        self.agent_audience = f"{base_url}/agents"
        self._ring = keys if isinstance(keys, Ring) else Ring.fixed(keys)
        self._verified = Verified()
        self._now = now or (lambda: datetime.now(UTC))
        self._reread = reread
        self._read_at = time.monotonic()
        self._reading = asyncio.Lock()
        self._failure: tuple[float, DirbridgeError] | None = None

    async def refresh(self, token: str = "") -> None:
        """Read the keys afresh where that was a while ago, or where a token is by a key that is not known.

        To be called before keys are used. A token that another process signed with a new key is judged after a reading
        that began when it was here already, so no process refuses what another issued.

        Raises:
            DirbridgeError: the keys cannot be read, such as while the database is away.
        """
        here = time.monotonic()
        if self._reread is None or (here - self._read_at < FRESH and (not token or _kid(token) in self._ring.by_id)):
            return
        async with self._reading:
            if self._read_at >= here:
                return
            # All who waited while one could not read get its failure: one after the other they would wait for minutes.
            if self._failure is not None and self._failure[0] >= here:
                raise self._failure[1]
            await asyncio.sleep(max(0.0, self._read_at + HASTE - time.monotonic()))
            began = time.monotonic()
            try:
                self._ring = await self._reread(self._ring)
            except DirbridgeError as error:
                self._failure = (began, error)
                raise
            self._read_at, self._failure = began, None

    def issue_app(
        self,
        *,
        app_id: UUID,
        object_id: UUID,
        roles: Sequence[str],
        authenticated_by: Literal["secret", "certificate"] = "secret",
    ) -> str:
        """Give an application its token for Graph.

        Source: Microsoft identity platform, access token claims; both spellings of the application's id are set.
        """
        acr = _ACR[authenticated_by]
        claims = {
            "sub": str(object_id),
            "oid": str(object_id),
            "appid": str(app_id),
            "appidacr": acr,
            "azp": str(app_id),
            "azpacr": acr,
            "idtyp": "app",
            "roles": list(roles),
        }
        return self._issue(_GRAPH_TYPE, self.base_url, claims)

    def issue_person(
        self,
        *,
        app_id: UUID,
        person: UUID,
        user_name: str,
        display_name: str,
        roles: Sequence[UUID],
        scopes: Sequence[str],
        authenticated_by: Literal["none", "secret", "certificate"] = "none",
        grant: UUID | None = None,
    ) -> str:
        """Give an application its token to act for a person.

        Args:
            roles: template ids of the person's directory roles.
            scopes: delegated permissions.
            authenticated_by: how the application proved itself; a public one does not.
            grant: whose end is the token's end as well.
        """
        acr = _ACR[authenticated_by]
        claims: dict[str, Any] = {
            "sub": str(person),
            "oid": str(person),
            "appid": str(app_id),
            "appidacr": acr,
            "azp": str(app_id),
            "azpacr": acr,
            "idtyp": "user",
            "name": display_name,
            "preferred_username": user_name,
            "upn": user_name,
            "scp": " ".join(scopes),
            "wids": [str(role) for role in roles],
        }
        if grant is not None:
            claims["sid"] = str(grant)
        return self._issue(_GRAPH_TYPE, self.base_url, claims)

    def issue_id(self, app_id: UUID, claims: Mapping[str, Any]) -> str:
        """Tell an application who signed in. Its audience is the application, so it opens no route of ours."""
        return self._issue(_GRAPH_TYPE, str(app_id), claims)

    def issue_agent(self, agent: UUID) -> str:
        """Give an agent its token for the agents' door."""
        return self._issue(_AGENT_TYPE, self.agent_audience, {"sub": str(agent), "idtyp": "agent"})

    def verify_graph(self, token: str) -> Mapping[str, Any]:
        """Give the claims of a token for Graph.

        Raises:
            CredentialError: it is not one of ours, or not for Graph, or expired.
        """
        known = self._verified.find(token, tuple(self._ring.by_id), self._now().timestamp())
        if known is None:
            known = self._verify(token, _GRAPH_TYPE, self.base_url)
            self._verified.keep(token, known)
        return known

    def verify_agent(self, token: str) -> UUID:
        """Give the agent that a token was issued to; whether it was revoked since is the caller's to ask.

        Raises:
            CredentialError: it is not one of ours, or not for agents, or expired.
        """
        subject = self._verify(token, _AGENT_TYPE, self.agent_audience)["sub"]
        try:
            return UUID(subject)
        except (ValueError, TypeError, AttributeError) as error:
            raise _invalid("its subject is no agent's id.") from error

    def public_keys(self) -> dict[str, Any]:
        """Give the key set that others verify our tokens with.

        Source: RFC 7517 section 5.
        """
        return {
            "keys": [
                {**key.as_dict(private=False), "use": "sig", "alg": _ALGORITHM, "kid": key.kid, "issuer": self.issuer}
                for key in self._ring.verifying.keys
            ]
        }

    def _issue(self, kind: str, audience: str, claims: Mapping[str, Any]) -> str:
        at = int(self._now().timestamp())
        common = {
            "iss": self.issuer,
            "aud": audience,
            "iat": at,
            "nbf": at,
            "exp": at + int(LIFETIME.total_seconds()),
            "tid": str(self.tenant),
            "ver": "2.0",
            "uti": uuid4().hex,
        }
        key = self._ring.signing(self._now())
        header = {"alg": _ALGORITHM, "typ": kind, "kid": key.kid}
        return jwt.encode(header, {**common, **claims}, key, algorithms=[_ALGORITHM])

    def _verify(self, token: str, kind: str, audience: str) -> Mapping[str, Any]:
        rules = jwt.JWTClaimsRegistry(
            now=lambda: int(self._now().timestamp()),
            leeway=_LEEWAY,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            tid={"essential": True, "value": str(self.tenant)},
        )
        try:
            decoded = jwt.decode(token, self._ring.verifying, algorithms=[_ALGORITHM])
            rules.validate(decoded.claims)
        except ExpiredTokenError as error:
            raise _invalid("the token is expired.", lifetime="Lifetime validation failed, ") from error
        except (JoseError, ValueError, TypeError) as error:  # TypeError: the library trusts 'crit' to be a list
            raise _invalid(_reason(error)) from error
        if decoded.header.get("typ") != kind:
            raise _invalid(f"its type is {decoded.header.get('typ')!r}, {kind!r} is expected.")
        return decoded.claims


async def load(
    database: Database, tenant: UUID, base_url: str, sealing: Sealing, now: Callable[[], datetime] | None = None
) -> Tokens:
    """Open the tenant's signing keys.

    Raises:
        ConfigurationError: there is none, or the sealing key does not fit.
    """

    async def reread(known: Ring) -> Ring:
        return await key_rings.read(database.with_patience(PATIENCE), tenant, sealing, known)

    return Tokens(tenant, base_url, await key_rings.read(database, tenant, sealing), now, reread)


def _kid(token: str) -> str:
    """Give the key that a token says it is by; empty where it says none."""
    coded = token.partition(".")[0]
    try:
        return str(json.loads(base64.urlsafe_b64decode(coded + "=" * (-len(coded) % 4)))["kid"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""


_REASONS = {
    "aud": "its audience is another one; ask for a token for this API.",
    "iss": "its issuer is another tenant or service.",
    "tid": "it is of another tenant.",
    "nbf": "it is not valid yet.",
    "iat": "it is not valid yet.",
}
"""What is wrong with a token, by the claim."""


def _reason(error: JoseError | ValueError | TypeError) -> str:
    """Say what is wrong with a token that does not verify."""
    match error:
        case ClaimError():
            return _REASONS.get(error.claim, f"its claim '{error.claim}' is missing or none of ours.")
        case UnsupportedAlgorithmError():
            return f"its algorithm is none that this service signs with, which is {_ALGORITHM}."
        case BadSignatureError() | InvalidKeyIdError():
            return "its signature is not by a key of this service."
        case _:
            return "it is no token of this service."


def _invalid(why: str, *, lifetime: str = "") -> CredentialError:
    return CredentialError(
        f"{lifetime}{why}" if lifetime else f"The access token is refused: {why}",
        code="InvalidAuthenticationToken",
        recommended_action="Ask the token endpoint for a new one.",
    )
