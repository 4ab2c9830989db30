"""The proof that an application has the private key of a certificate of its own, for rolling its keys by itself.

Source: Graph application: addKey, removeKey; "generating proof of possession tokens for rolling keys".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from dirbridge.service.auth.applications.graph_resource import APP_ID
from dirbridge.service.auth.oauth.client_assertions import REGISTRY, SKEW
from dirbridge.service.graph.errors import GraphError, bad_request
from dirbridge.store.applications import Application, Certificate

AUDIENCES = frozenset({"00000002-0000-0000-c000-000000000000", str(APP_ID)})
"""The directory, as Graph's guide has it, and Graph itself."""
LONGEST = timedelta(minutes=10)


def verify(proof: str, application: Application, registered: Sequence[Certificate], now: datetime) -> None:
    """Make sure that a proof is signed with the key of a certificate that is good now.

    Raises:
        GraphError: 400 that says what is wrong with it.
    """
    good = [each for each in registered if each.starts_at <= now < each.expires_at]
    if not good:
        raise _refuse("the application has no certificate that is good now; use addPassword or PATCH keyCredentials")
    claims = next((found for each in good if (found := _claims(proof, each)) is not None), None)
    if claims is None:
        raise _refuse("it is no JWT signed with the key of a certificate of the application")
    issuer, audience = str(claims.get("iss")).lower(), str(claims.get("aud")).lower()
    if issuer not in {str(application.id), str(application.app_id)}:
        raise _refuse(f"its 'iss' is '{issuer[:80]}', the id of the application is expected")
    if audience not in AUDIENCES:
        raise _refuse(f"its 'aud' is '{audience[:80]}', 00000002-0000-0000-c000-000000000000 is expected")
    _check_times(claims, now)


def _claims(proof: str, certificate: Certificate) -> dict[str, Any] | None:
    public = x509.load_der_x509_certificate(certificate.certificate).public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        signed = jws.deserialize_compact(proof, RSAKey.import_key(pem), registry=REGISTRY)
        claims = json.loads(signed.payload)
    except (JoseError, ValueError, TypeError, RecursionError):  # TypeError: the library trusts 'crit' to be a list
        return None
    return claims if isinstance(claims, dict) else None


def _check_times(claims: dict[str, Any], now: datetime) -> None:
    begins, ends = _time(claims.get("nbf", 0)), _time(claims.get("exp"))
    if begins is None or ends is None:
        raise _refuse("'nbf' and 'exp' are times in seconds")
    if begins > now + SKEW or not now - SKEW < ends <= now + LONGEST + SKEW:
        raise _refuse(f"it is not good now, or for longer than {LONGEST.seconds // 60} minutes")


def _time(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _refuse(why: str) -> GraphError:
    return bad_request(f"The proof is refused: {why}.", code="InvalidProof", target="proof")
