"""Certificates as clients write them, read with care: only such as assertions can be checked with.

Source: Graph keyCredential; RFC 7518 section 3.3 for the least size of keys.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dirbridge.service.graph.errors import GraphError, bad_request
from dirbridge.store.applications import Certificate

LONGEST = timedelta(days=3660)
"""How far away a certificate's end may be."""
LEAST_BITS, MOST_BITS = 2048, 8192

_TYPE, _USAGE = "AsymmetricX509Cert", "Verify"
_BEGIN = b"-----BEGIN CERTIFICATE"


class KeyCredential(msgspec.Struct, rename="camel"):
    """A certificate as Graph has it; one without a `key` is named by its `keyId` and stays as it is."""

    key: str | None = None
    key_id: UUID | None = None
    display_name: str | None = None
    type: str = _TYPE
    usage: str = _USAGE
    start_date_time: datetime | None = None
    end_date_time: datetime | None = None


def read(wish: KeyCredential, id: UUID, now: datetime) -> Certificate:
    """Read a certificate.

    Args:
        id: its keyId, which clients do not choose: it may be taken.

    Raises:
        GraphError: 400 that says what is wrong with it.
    """
    if (wish.type, wish.usage) != (_TYPE, _USAGE):
        raise _refuse(
            f"its type is '{wish.type[:40]}' with the usage '{wish.usage[:40]}', expected are {_TYPE}, {_USAGE}"
        )
    certificate = _parsed(wish.key or "")
    _check_key(certificate)
    subject, first, last = _described(certificate)
    starts, ends = _lifetime(wish, first, last, now)
    name = wish.display_name or subject or "certificate"
    return Certificate(
        id=id,
        display_name="".join(letter for letter in name if letter.isprintable())[:256],
        certificate=certificate.public_bytes(serialization.Encoding.DER),
        sha1=certificate.fingerprint(hashes.SHA1()),  # noqa: S303 - names a certificate, as stock clients send it
        sha256=certificate.fingerprint(hashes.SHA256()),
        starts_at=starts,
        expires_at=ends,
    )


def _described(certificate: x509.Certificate) -> tuple[str, datetime, datetime]:
    """Give whom a certificate names, and from when until when; the library reads these as late as now."""
    try:
        return (
            certificate.subject.rfc4514_string(),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )
    except Exception as error:  # whatever a stranger's bytes make of it
        raise _refuse("its subject or its times cannot be read") from error


def _parsed(text: str) -> x509.Certificate:
    """Read DER in base64; PEM as it is, or in base64, is as good."""
    try:
        given = text.encode("ascii")
        if not given.lstrip().startswith(b"-----"):
            given = base64.b64decode(b"".join(given.split()), validate=True)
        if b"PRIVATE KEY" in given:
            raise _refuse("it holds a private key, which is nobody else's business; send the certificate alone")
        if given.lstrip().startswith(_BEGIN):
            return x509.load_pem_x509_certificate(given)
        return x509.load_der_x509_certificate(given)
    except (binascii.Error, ValueError, UnicodeEncodeError) as error:
        raise _refuse("'key' is no X.509 certificate: DER in base64 is expected") from error


def _check_key(certificate: x509.Certificate) -> None:
    try:
        key = certificate.public_key()
    except Exception as error:  # whatever stands in for a key in a certificate that a stranger made
        raise _refuse("its key cannot be read") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise _refuse("its key is no RSA key, and client assertions are signed by RS256 or PS256")
    if not LEAST_BITS <= key.key_size <= MOST_BITS:
        raise _refuse(f"its key has {key.key_size:,} bits, {LEAST_BITS:,} to {MOST_BITS:,} are expected")


def _lifetime(wish: KeyCredential, first: datetime, last: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Give from when until when it is good: as it says itself, or less where the client wishes so."""
    for given in (wish.start_date_time, wish.end_date_time):
        if given is not None and given.tzinfo is None:
            raise _refuse(f"the time {given.isoformat()} has no zone; one such as 2027-01-31T00:00:00Z is expected")
    starts, ends = wish.start_date_time or first, wish.end_date_time or last
    if starts < first or ends > last:
        raise _refuse(f"it is good from {first:%Y-%m-%d} to {last:%Y-%m-%d}, and no longer than that")
    if ends <= now:
        raise _refuse(f"it expired {ends:%Y-%m-%d %H:%M} UTC")
    if ends > now + LONGEST:
        raise _refuse(f"it ends {ends:%Y-%m-%d}, which is more than {LONGEST.days // 366} years away")
    if starts >= ends:
        raise _refuse("it ends before it begins")
    return starts, ends


def _refuse(why: str) -> GraphError:
    return bad_request(f"The certificate is refused: {why}.", code="InvalidKeyCredential", target="keyCredential")
