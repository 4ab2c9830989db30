"""What becomes of a failure: when the entry is tried again, whether it counts against the job, whether the job stops.

The one place where errors are told apart. `aside` asks it about an entry that failed, `finishing` about a cycle that
did; nobody else branches on what went wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from dirbridge.contract.errors import ConfigurationError, DirbridgeError, Throttled
from dirbridge.contract.export import Fault

TRANSIENT = frozenset({
    "AzureDirectoryServiceServerBusy",
    "InternalError",
    "InternalServerError",
    "TemporarilyUnavailable",
    "TimeOut",
    "Timeout",
    "TooManyRequests",
    "WebExceptionProtocolError",
})  # fmt: skip
"""Codes of faults that may be gone the next time, whoever reports them."""

INTERRUPTED = frozenset({"AgentChanged", "AgentRequestAbandoned", "AnswerIncomplete", "IncompleteRead", "StreamCut"})
"""Codes of cycles whose reading was cut off before its end."""

FORESEEN = frozenset({"DomainControllerAway"})
"""Codes of cycles that could not begin because something that ends by itself is being waited for; they count for
nothing."""

SOONEST, LATEST = timedelta(minutes=1), timedelta(hours=6)
"""How long a transient fault is waited for: the first time, and at most."""

CLOCK = (timedelta(hours=6), timedelta(hours=12), timedelta(hours=24))
"""When, from its first failure, an entry is tried again; then once a day."""

GIVEN_UP = timedelta(days=28)
"""How long an entry is tried again by itself."""


class Origin(StrEnum):
    """Which step failed."""

    MAPPING = "mapping"
    EXPORT = "export"
    REFERENCE = "reference"


class Failure(msgspec.Struct, frozen=True, gc=False):
    """An entry that could not be brought to the target.

    Attributes:
        transient: whoever reports it expects it to be gone soon.
        waits_for: the unique value that another holds, as `kind:value`; when it is freed the entry is tried at once.
    """

    fault: Fault
    origin: Origin
    transient: bool = False
    waits_for: str | None = None


class History(msgspec.Struct, frozen=True, gc=False):
    """How often an entry has failed without a success between, and since when."""

    attempts: int
    since: datetime


class Disposition(msgspec.Struct, frozen=True, gc=False):
    """What becomes of an entry that failed.

    Attributes:
        history: with this failure.
        retry_at: when it is read afresh and tried again; None where that ends.
        counts: it counts toward the share of failures that stops the job.
    """

    history: History
    retry_at: datetime | None
    counts: bool


def of_failure(failure: Failure, before: History | None, now: datetime) -> Disposition:
    """Say what becomes of an entry that failed just now.

    Args:
        before: its failures so far; None where it is the first.
    """
    history = History(before.attempts + 1, before.since) if before else History(1, now)
    counts = before is None and failure.origin is Origin.EXPORT
    return Disposition(history, _retry(failure, history, now), counts)


def _retry(failure: Failure, history: History, now: datetime) -> datetime | None:
    last = history.since + GIVEN_UP
    if now >= last:
        return None
    if failure.transient or failure.fault.code in TRANSIENT:
        return min(now + back_off(history.attempts), last)
    elapsed = now - history.since
    for step in CLOCK:
        if elapsed < step:
            return history.since + step
    day = CLOCK[-1]
    return history.since + (elapsed // day + 1) * day


def back_off(attempts: int) -> timedelta:
    """How long to wait for a transient fault after so many attempts."""
    factor: int = 2 ** min(attempts - 1, 12)
    return min(SOONEST * factor, LATEST)


class Trouble(msgspec.Struct, frozen=True):
    """What a cycle that failed as a whole means for its job.

    Attributes:
        reason: Graph's quarantineReason, should it come to that.
        at_once: once is enough: trying again without a change could only fail, or lock an account.
        tenant_actionable: a person has to change something.
        patience: how long the other side asked to be left alone.
        foreseen: something that ends by itself is being waited for: it is no failure in a row of failures.
    """

    reason: str
    code: str
    message: str
    recommended_action: str
    at_once: bool
    tenant_actionable: bool
    patience: timedelta = timedelta()
    foreseen: bool = False


def of_error(error: DirbridgeError) -> Trouble:
    """Say what an error that ended a cycle means for the job."""
    wrong = isinstance(error, ConfigurationError)
    if error.code in INTERRUPTED:
        reason = "IngestionInterrupted"
    else:
        reason = "Unknown" if error.code == "InternalError" else "EncounteredQuarantineException"
    patience = error.wait if isinstance(error, Throttled) and error.wait else timedelta()
    foreseen = error.code in FORESEEN
    return Trouble(reason, error.code, str(error), error.recommended_action, wrong, wrong, patience, foreseen)
