"""The second factor: codes by time, as authenticator apps show them (TOTP).

SHA-1, six digits, 30 seconds: what every app does, whatever else it can. A code may be one step early or late, and each
step is good once. The secret is sealed; it counts once a first code of it was shown.

Source: RFC 6238, sections 5.2 (steps that differ, one use) and 4; RFC 4226 section 4 (160 bits).
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from datetime import datetime
from uuid import UUID

import segno
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP = 30
"""Seconds."""
DRIFT = 1
"""Steps that a code may be early or late."""
_SECRET_LENGTH = 20

_CODE = re.compile(r"[0-9]{6}")


def new_secret() -> bytes:
    """Give 160 random bits."""
    return secrets.token_bytes(_SECRET_LENGTH)


def context(tenant: UUID, administrator: UUID) -> str:
    """Name the place that an administrator's secret is sealed for."""
    return f"administrators/{tenant}/totp/{administrator}"


def step_of(secret: bytes, code: str, at: datetime, used: int) -> int | None:
    """Tell which time step a code is of.

    Args:
        code: as it was typed; blanks do not count.
        at: now.
        used: the last step whose code was used; it and those before are good no more.

    Returns:
        None where it is of none that is good.
    """
    given = "".join(code.split())
    if not _CODE.fullmatch(given):
        return None
    now = int(at.timestamp()) // STEP
    found = None
    for step in range(now - DRIFT, now + DRIFT + 1):  # all of them, however soon one fits
        if hmac.compare_digest(_generator(secret).generate(step * STEP), given.encode()) and step > used:
            found = step
    return found


def in_letters(secret: bytes) -> str:
    """Write a secret for people who type it: base32 in groups of four."""
    text = base64.b32encode(secret).decode()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def image(secret: bytes, user_name: str, host: str) -> str:
    """Draw a secret as a QR code that apps scan, as a `data:` address."""
    uri = _generator(secret).get_provisioning_uri(user_name, f"dirbridge {host}")
    return segno.make(uri, error="m", micro=False).svg_data_uri(scale=4, border=4, dark="#000", light="#fff")


def _generator(secret: bytes) -> TOTP:
    return TOTP(secret, 6, SHA1(), STEP)  # noqa: S303 - the one hash that every app knows; HMAC does not need more
