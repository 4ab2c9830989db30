"""Assertions with which applications prove themselves: signed by the key of a certificate that was registered.

Called by `clients`. The certificate is found by the thumbprint in the header, never by what the assertion brings along.

Source: RFC 7523 sections 2.2 and 3; Microsoft identity platform, certificate credentials. Stock clients write
thumbprints with padding and times as floats, and leave `nbf` away.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from dirbridge.service.auth.oauth.refusals import TokenError
from dirbridge.service.auth.tokens import Tokens
from dirbridge.store.applications import Certificate

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SKEW = timedelta(minutes=5)
"""Clocks may differ by this much."""
LONGEST = timedelta(hours=1)
"""How far away an assertion's end may be; stock clients make it ten minutes."""

_ALGORITHMS = ("RS256", "PS256")
_PATHS = (["oauth2", "v2.0", "token"], ["v2.0"])


class _Registry(jws.JWSRegistry):
    """Takes headers with a certificate chain in them."""

    max_header_length = 32 * 1024


REGISTRY = _Registry(algorithms=_ALGORITHMS)
"""The algorithms that assertions may be signed with."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """An assertion that was read and not yet believed."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    client_id: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What is to be remembered of an assertion that proved something.

    Attributes:
        certificate: id of the one whose key signed it.
        until: when it would be accepted last.
    """

    certificate: UUID
    jti: str
    until: datetime


def read(text: str) -> Assertion:
    """Read whom an assertion says it is from.

    Raises:
        TokenError: it is no JWT by one application about itself.
    """
    try:
        coded_header, coded_claims, _ = text.split(".")
        header, claims = json.loads(_decoded(coded_header)), json.loads(_decoded(coded_claims))
        client_id = claims["iss"]
        if not (isinstance(header, dict) and isinstance(client_id, str) and claims["sub"] == client_id):
            raise ValueError
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _malformed("it is no JWT whose 'iss' and 'sub' are both the client id") from error
    return Assertion(text, header, claims, client_id)


def verify(
    assertion: Assertion,
    registered: Sequence[Certificate],
    tokens: Tokens,
    tenants: Collection[str],
    now: datetime,
) -> Proof:
    """Prove that an assertion is by the owner of a registered certificate, for us, now.

    Args:
        registered: the certificates of the application that it names.
        tenants: every name of the tenant in our addresses, in lower case.

    Raises:
        TokenError: it is not, with the number of the reason.
    """
    algorithm = assertion.header.get("alg")
    if algorithm not in _ALGORITHMS:
        raise _malformed(f"its algorithm is {str(algorithm)[:20]!r}, one of {', '.join(_ALGORITHMS)} is expected")
    certificate = _certificate(assertion, registered)
    _verify_signature(assertion, certificate)
    if not certificate.starts_at <= now < certificate.expires_at:
        raise TokenError(
            700027,
            "invalid_client",
            f"The certificate with the thumbprint '{certificate.sha1.hex().upper()}' is good from "
            f"{certificate.starts_at:%Y-%m-%d %H:%M}Z to {certificate.expires_at:%Y-%m-%d %H:%M}Z only. "
            "[Reason - The key used is expired.]",
            status=401,
        )
    _verify_audience(assertion.claims.get("aud"), tokens, tenants)
    until = _verify_times(assertion.claims, now)
    jti = assertion.claims.get("jti")
    if not isinstance(jti, str) or not 1 <= len(jti) <= 256 or not jti.isprintable():
        raise _malformed("its 'jti' is missing or not of 1 to 256 printable characters")
    return Proof(certificate.id, jti, until)


def replayed(client_id: UUID) -> TokenError:
    """Refuse an assertion that was used before."""
    return TokenError(
        70008,
        "invalid_client",
        f"The client assertion of application '{client_id}' was already used. Sign a new one, with a 'jti' of its own, "
        "for every request.",
        status=401,
    )


def _certificate(assertion: Assertion, registered: Sequence[Certificate]) -> Certificate:
    header = assertion.header
    by_sha256, by_sha1 = _thumbprint(header, "x5t#S256"), _thumbprint(header, "x5t")
    if by_sha256 is None and by_sha1 is None:
        by_sha256 = _of_chain(header)
    for each in registered:
        if by_sha256 in {None, each.sha256} and by_sha1 in {None, each.sha1}:
            return each
    named = by_sha256 or by_sha1 or b""
    raise TokenError(
        700027,
        "invalid_client",
        "The certificate with which the client assertion was signed is not registered on application "
        f"'{assertion.client_id[:80]}'. [Reason - The key was not found., Thumbprint of key used by client: "
        f"'{named.hex().upper()}']",
        status=401,
    )


def _thumbprint(header: Mapping[str, Any], name: str) -> bytes | None:
    if name not in header:
        return None
    try:
        return _decoded(header[name])
    except (ValueError, TypeError, AttributeError) as error:
        raise _malformed(f"its '{name}' is no thumbprint in base64url") from error


def _of_chain(header: Mapping[str, Any]) -> bytes:
    """Give the thumbprint of the certificate that came along, where nothing else names one."""
    try:
        return hashlib.sha256(base64.b64decode("".join(header["x5c"][0].split()), validate=True)).digest()
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise _malformed("its header names no certificate by 'x5t#S256' or 'x5t'") from error


def _verify_signature(assertion: Assertion, certificate: Certificate) -> None:
    key = x509.load_der_x509_certificate(certificate.certificate).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        jws.deserialize_compact(assertion.text, RSAKey.import_key(pem), registry=REGISTRY)
    except (JoseError, ValueError, TypeError) as error:  # TypeError: the library trusts 'crit' to be a list
        raise TokenError(
            700027,
            "invalid_client",
            "The client assertion failed signature validation. [Reason - The signature is not by the key of the "
            f"certificate '{certificate.sha1.hex().upper()}'.]",
            status=401,
        ) from error


def _verify_audience(audience: object, tokens: Tokens, tenants: Collection[str]) -> None:
    """Accept our token endpoint and issuer, under each name of the tenant, with the port and without."""
    wanted = audience[0] if isinstance(audience, list) and len(audience) == 1 else audience
    tenant, *rest = _path_at(str(wanted), tokens.base_url).strip("/").split("/")
    if tenant.lower() not in tenants or rest not in _PATHS:
        raise TokenError(
            700023,
            "invalid_client",
            f"The client assertion is for '{str(wanted)[:200]}'; its 'aud' must be "
            f"'{tokens.base_url}/{tokens.tenant}/oauth2/v2.0/token'.",
            status=401,
        )


def _path_at(address: str, base_url: str) -> str:
    """Give the path of an address of ours; empty where it is of somebody else."""
    ours = urlsplit(base_url)
    try:
        theirs = urlsplit(address)
        port = theirs.port
    except ValueError:
        return ""
    ours_too = {None, ours.port or 443}
    same = (theirs.scheme, theirs.hostname) == (ours.scheme, ours.hostname) and port in ours_too
    return theirs.path if same else ""


def _verify_times(claims: Mapping[str, Any], now: datetime) -> datetime:
    expires = _time(claims, "exp")
    begins = [_time(claims, name) for name in ("nbf", "iat") if name in claims]
    if expires is None:
        raise _malformed("its 'exp' is missing")
    early = any(begin is not None and begin > now + SKEW for begin in begins)
    if early or expires <= now - SKEW:
        raise _outside(f"It is {now:%Y-%m-%dT%H:%M:%SZ} here, and the assertion expires {expires:%Y-%m-%dT%H:%M:%SZ}.")
    if expires > now + LONGEST + SKEW:
        raise _outside(f"Its end, {expires:%Y-%m-%dT%H:%M:%SZ}, is more than {LONGEST} away.")
    return expires + SKEW


def _outside(why: str) -> TokenError:
    return TokenError(
        700024, "invalid_client", f"Client assertion is not within its valid time range. {why}", status=401
    )


def _time(claims: Mapping[str, Any], name: str) -> datetime | None:
    if name not in claims:
        return None
    value = claims[name]
    try:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError
        return datetime.fromtimestamp(value, UTC)
    except (TypeError, ValueError, OverflowError, OSError) as error:
        raise _malformed(f"its '{name}' is no time in seconds") from error


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


def _malformed(why: str) -> TokenError:
    return TokenError(50027, "invalid_client", f"The client assertion is refused: {why}.", status=401)
