"""What the answer of an HTTP target means: for one object, or for the target as a whole.

Shared by the targets that are reached by HTTP; each adds what its protocol says besides.

Source: RFC 9110 sections 10.2.3 (Retry-After) and 15 (status codes); RFC 6585 section 4 (429).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from dirbridge.contract.errors import CredentialError, DirbridgeError, Throttled
from dirbridge.contract.export import Fault

LONGEST_WAIT = timedelta(days=1)
"""A target that asks for more patience is asked again after this."""

TIMEOUT = "Timeout"

_BY_STATUS = {
    HTTPStatus.FORBIDDEN: "InsufficientRights",
    HTTPStatus.NOT_FOUND: "InvalidAnchor",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.REQUEST_TIMEOUT: "Timeout",
    HTTPStatus.CONFLICT: "Conflict",
    HTTPStatus.GONE: "InvalidAnchor",
    HTTPStatus.NOT_IMPLEMENTED: "NotImplemented",
    HTTPStatus.GATEWAY_TIMEOUT: "Timeout",
}

_REMEDIES = {
    "Conflict": "Change the value on one of the two, or correct the matching attribute in the mapping.",
    "InsufficientRights": "Give the account that writes to the target the right to do so.",
    "InternalServerError": "It is tried again by itself; where it stays, see the target's own log.",
    "InvalidAnchor": "It is matched anew by itself; where it stays, restart the job with Full.",
    "MethodNotAllowed": "Leave this action out of the mapping's target actions, or allow it at the target.",
    "NotImplemented": "Leave this attribute or action out of the mapping.",
    "Timeout": "It is looked up and tried again by itself.",
    "UnprocessableEntity": "Correct the value in the source directory, or the mapping.",
}


def fault(status: int, said: str = "") -> Fault:
    """Put an answer about one object into the form that is logged.

    Args:
        said: the target's own words, without secrets.
    """
    code = _BY_STATUS.get(HTTPStatus(status)) if status in set(HTTPStatus) else None
    if code is None:
        code = "InternalServerError" if status >= 500 else "UnprocessableEntity"
    words = f": {said.rstrip('.')}" if said else ""
    return Fault(code, f"The target answered {status}{words}.", _REMEDIES[code], {"status": str(status)})


def silence() -> Fault:
    """The fault of an export that got no answer: whether it was carried out is unknown."""
    return Fault(TIMEOUT, "The target did not answer in time.", _REMEDIES[TIMEOUT])


def is_transient(status: int) -> bool:
    """Tell whether an answer about one object may be another one soon."""
    return status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY} or (
        status >= 500 and status != HTTPStatus.NOT_IMPLEMENTED
    )


def of_the_whole(status: int, retry_after: str | None, now: datetime) -> DirbridgeError | None:
    """Give the error that an answer means for the target as a whole; None where it concerns one object."""
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return CredentialError(
                "The target refuses the credential that this job writes with (401).",
                recommended_action="Give the job a credential that is valid at the target.",
            )
        case HTTPStatus.TOO_MANY_REQUESTS | HTTPStatus.SERVICE_UNAVAILABLE:
            return Throttled(f"The target asks for patience ({status}).", wait=wait(retry_after, now))
    return None


def wait(retry_after: str | None, now: datetime) -> timedelta | None:
    """Read a Retry-After, in seconds or as a date; None where there is none that can be read."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=min(int(text), 10**8)), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return max(timedelta(0), min(moment - now, LONGEST_WAIT))
