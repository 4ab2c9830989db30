"""Who knocks at the agents' door: client assertions signed with the key that never left the agent's host.

Source: RFC 7523 sections 2.2 and 3 (JWT for client authentication); RFC 7518 section 3.4 (ES256).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from dirbridge.service.relay.refusals import OAuthRefusal

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFETIME = timedelta(seconds=60)
SKEW = timedelta(seconds=60)
"""Clocks may differ by this much; an agent whose clock is further away is told the time and corrects itself."""
REMEMBER = LIFETIME + 2 * SKEW
"""How long a used assertion must be remembered: afterwards it is refused for its age."""


def claimed_agent(assertion: str) -> UUID:
    """Read, without believing it, which agent an assertion says it is from.

    Raises:
        OAuthRefusal: it says nothing of the kind.
    """
    try:
        payload = assertion.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if claims["iss"] != claims["sub"]:
            raise ValueError
        return UUID(claims["sub"])
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, RecursionError, binascii.Error) as error:
        raise _invalid("it is no JWT whose `iss` and `sub` are both the agent's id") from error


def verify(assertion: str, public_key: bytes, audience: str, now: datetime) -> str:
    """Prove that an assertion was signed with an agent's key, for us, just now.

    Args:
        public_key: the agent's, SubjectPublicKeyInfo in DER.
        audience: exactly what `aud` must be.

    Returns:
        Its `jti`, which the caller must see to be new.

    Raises:
        OAuthRefusal: it was not.
    """
    key = serialization.load_der_public_key(public_key)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        signed = jws.deserialize_compact(assertion, ECKey.import_key(pem), algorithms=["ES256"])
        claims: Mapping[str, Any] = json.loads(signed.payload)
    except (JoseError, ValueError) as error:
        raise _invalid("its signature is not by the key that the agent enrolled with") from error
    if claims.get("aud") != audience:
        raise OAuthRefusal(
            401,
            "AssertionAudience",
            f"The assertion is for {claims.get('aud')!r}; this service is {audience!r}.",
            "The service's base URL has changed since the agent enrolled: enrol the agent again.",
        )
    _verify_times(claims, now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 8 <= len(jti) <= 128 or not jti.isprintable():
        raise _invalid("its `jti` is missing or not of 8 to 128 characters that can be printed")
    return jti


def _verify_times(claims: Mapping[str, Any], now: datetime) -> None:
    try:
        issued, expires = (datetime.fromtimestamp(float(claims[name]), UTC) for name in ("iat", "exp"))
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        raise _invalid("its `iat` or `exp` is missing or no time") from error
    if expires - issued > LIFETIME:
        raise _invalid(f"it is good for {(expires - issued).total_seconds():g} seconds, 60 at most are accepted")
    if issued > now + SKEW or expires < now - SKEW:
        away = (now - issued).total_seconds()
        raise OAuthRefusal(
            401,
            "AssertionTime",
            f"The assertion was made {abs(away):.0f} seconds {'ago' if away > 0 else 'in the future'} by the service's "
            f"clock; up to {SKEW.total_seconds():.0f} are accepted.",
            "Set the clock of the agent's host by NTP.",
            extra={"serverTime": now.timestamp()},
        )


def _invalid(why: str) -> OAuthRefusal:
    return OAuthRefusal(
        401, "AssertionInvalid", f"The client assertion is refused: {why}.", "Enrol the agent again with a new code."
    )
