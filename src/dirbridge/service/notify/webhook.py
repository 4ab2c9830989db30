"""One signed document to one webhook, over HTTPS.

The headers and the signature are those of Standard Webhooks, for which receivers find libraries in every language: an
HMAC-SHA256 over id, time and body. The id stays the same whenever a message is repeated, the time is that of the
attempt; a receiver refuses what is older than some minutes and what it has seen.

Source: Standard Webhooks specification 1.0.0.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx2
import msgspec

from dirbridge.contract.errors import TransientError
from dirbridge.service import https
from dirbridge.service.https import Way
from dirbridge.service.notify.faults import NotDelivered

LEAST_KEY = 24
"""Bytes; so says the specification."""
_PREFIX = "whsec_"
LONGEST_WAIT = timedelta(hours=6)
"""What a receiver may ask us to wait at most."""


@dataclass(frozen=True, slots=True, repr=False)
class Hook:
    """A webhook and the secret that signs what it gets."""

    url: str
    secret: str


def sign(secret: str, id: str, at: datetime, body: bytes) -> str:
    """Give the signature header of a message.

    Args:
        secret: text; after `whsec_` the key in base64, else the key itself.
    """
    content = f"{id}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key(secret), content, hashlib.sha256)).decode()


def key(secret: str) -> bytes:
    """Give the key that a secret stands for.

    Raises:
        ValueError: it is too short for a key, or no base64 where that is expected.
    """
    if not secret.startswith(_PREFIX):
        found = secret.encode()
    else:
        try:
            found = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
        except ValueError as error:
            raise ValueError(f"begins with {_PREFIX}, and base64 is expected after it") from error
    if len(found) < LEAST_KEY:
        raise ValueError(f"is a key of {len(found)} bytes, at least {LEAST_KEY} are expected")
    return found


async def post(way: Way, hook: Hook, id: UUID, document: Mapping[str, Any], at: datetime) -> str:
    """Send a document.

    Returns:
        What the receiver answered.

    Raises:
        NotDelivered: it did not take it.
        ConfigurationError, TransientError: it could not be asked.
    """
    host = urlsplit(hook.url).hostname or ""
    try:
        async with asyncio.timeout(way.timeout.total_seconds()):
            return await _post(way, hook, id, document, at)
    except (TimeoutError, httpx2.TimeoutException) as error:
        raise TransientError(
            f"The webhook at {host} did not answer within {way.timeout.total_seconds():g} seconds.",
            code="TimeOut",
            recommended_action="See that it runs, and answers before it works on what it got.",
        ) from error


async def _post(way: Way, hook: Hook, id: UUID, document: Mapping[str, Any], at: datetime) -> str:
    url = httpx2.URL(hook.url)
    body = msgspec.json.encode(document)
    headers = {
        "Content-Type": "application/json",
        "webhook-id": str(id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": sign(hook.secret, str(id), at, body),
    }
    async with https.call(way, "POST", url, headers=headers, content=body) as answer:
        return _judged(url.raw_host.decode("ascii"), answer, at)


def _judged(host: str, answer: httpx2.Response, at: datetime) -> str:
    """Only 2xx takes a message; its body is not read, as nobody may learn what a foreign host says."""
    said = f"{answer.status_code} {answer.reason_phrase}".strip()
    if answer.is_success:
        return said
    remedy = "Correct the webhook's address or the receiver."
    if answer.is_redirect:
        remedy = "Redirects are not followed; set the address that it leads to."
    raise NotDelivered(
        f"The webhook at {host} answered {said}.",
        recommended_action=remedy,
        final=answer.status_code == 410,  # Gone: it wants no more
        wait=_retry_after(answer.headers.get("Retry-After", ""), at),
    )


def _retry_after(text: str, now: datetime) -> timedelta | None:
    """Read Retry-After: seconds, or a date (RFC 9110 section 10.2.3)."""
    try:
        wait = timedelta(seconds=int(text)) if text.strip().isdigit() else _until(text, now)
    except (ValueError, OverflowError):
        return None
    return min(max(wait, timedelta(0)), LONGEST_WAIT)


def _until(text: str, now: datetime) -> timedelta:
    moment = parsedate_to_datetime(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
