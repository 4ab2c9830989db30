"""The enrolment code: what an administrator carries from the service to the host of a new agent.

Made by `service/relay/administration`, read by `agent/enrol`. It holds a secret that is good once, the fingerprint of
the service's authority, so that the agent knows whom it talks to before it says anything, and the domains it is good
for. A checksum tells a code that was cut or mistyped from one that the service does not know.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

from dirbridge.contract.errors import ConfigurationError

PREFIX = "dbe1-"
SECRET_BYTES = 16
_FINGERPRINT_BYTES = 32
_CHECKSUM_BYTES = 4
_REMEDY = "Copy the whole code, in one piece, as the service printed it."


class EnrolmentCode(msgspec.Struct, frozen=True):
    """The parts of a code.

    Attributes:
        secret: known to who holds the code; the service keeps its hash.
        fingerprint: SHA-256 of the authority's certificate in DER, as lower-case hexadecimal.
        domains: the directories that the new agent may serve, in lower case.
    """

    secret: bytes
    fingerprint: str
    domains: tuple[str, ...]

    def __repr__(self) -> str:
        return f"EnrolmentCode(fingerprint={self.fingerprint!r}, domains={self.domains!r})"


def render(code: EnrolmentCode) -> str:
    """Write a code as text that survives URLs, shells and mails."""
    plain = code.secret + bytes.fromhex(code.fingerprint) + ",".join(code.domains).encode()
    return PREFIX + base64.urlsafe_b64encode(plain + _checksum(plain)).rstrip(b"=").decode()


def parse(text: str) -> EnrolmentCode:
    """Read a code.

    Raises:
        ConfigurationError: it was cut, mistyped, or is something else. The message shows no part of the secret.
    """
    text = "".join(text.split())
    if not text.startswith(PREFIX):
        raise ConfigurationError(
            f"The enrolment code has {len(text)} characters and does not begin with {PREFIX!r}, as every code does.",
            code="EnrolmentCodeDamaged",
            recommended_action=_REMEDY,
        )
    body = text[len(PREFIX) :]
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    plain, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    # The last character of base64 has bits that do not count; a code is only taken as it was written.
    is_whole = len(plain) > SECRET_BYTES + _FINGERPRINT_BYTES and checksum == _checksum(plain)
    if not is_whole or base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != body:
        raise ConfigurationError(
            f"The enrolment code of {len(text)} characters is damaged: its checksum does not fit. "
            "A part is missing or a character was changed.",
            code="EnrolmentCodeDamaged",
            recommended_action=_REMEDY,
        )
    fingerprint = plain[SECRET_BYTES : SECRET_BYTES + _FINGERPRINT_BYTES].hex()
    domains = plain[SECRET_BYTES + _FINGERPRINT_BYTES :].decode().split(",")
    return EnrolmentCode(plain[:SECRET_BYTES], fingerprint, tuple(domains))


def hash_secret(secret: bytes) -> bytes:
    """Give what the service stores of a secret: it has 128 random bits, so one plain hash is enough."""
    return hashlib.sha256(b"dirbridge enrolment\x00" + secret).digest()


def _checksum(plain: bytes) -> bytes:
    return hashlib.sha256(PREFIX.encode() + plain).digest()[:_CHECKSUM_BYTES]
