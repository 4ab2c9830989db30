"""What becomes of a failure, by its kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, TransientError
from dirbridge.contract.export import Fault
from dirbridge.engine import disposition
from dirbridge.engine.disposition import Failure, History, Origin

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SECOND = timedelta(seconds=1)


def failure(code: str = "InvalidDomain", *, origin: Origin = Origin.EXPORT, transient: bool = False) -> Failure:
    return Failure(Fault(code, "It failed."), origin, transient)


@pytest.mark.parametrize(
    ("elapsed", "retry"),
    [
        (timedelta(), 6 * HOUR),
        (HOUR, 6 * HOUR),
        (6 * HOUR - SECOND, 6 * HOUR),
        (6 * HOUR, 12 * HOUR),
        (12 * HOUR - SECOND, 12 * HOUR),
        (12 * HOUR, DAY),
        (DAY - SECOND, DAY),
        (DAY, 2 * DAY),
        (2 * DAY - SECOND, 2 * DAY),
        (2 * DAY, 3 * DAY),
        (27 * DAY - SECOND, 27 * DAY),
        (27 * DAY, 28 * DAY),
        (28 * DAY - SECOND, 28 * DAY),
        (28 * DAY, None),
        (400 * DAY, None),
    ],
)
def test_an_ordinary_failure_follows_the_clock(elapsed: timedelta, retry: timedelta | None) -> None:
    """6, 12 and 24 hours after the first failure, then daily to day 28, whenever and however often it was tried."""
    since = NOW - elapsed
    for attempts in (1, 40):
        fate = disposition.of_failure(failure(), History(attempts, since), NOW)
        assert fate.history == History(attempts + 1, since)
        assert fate.retry_at == (None if retry is None else since + retry)
        assert fate.retry_at is None or fate.retry_at > NOW


@pytest.mark.parametrize(
    ("attempts", "wait"),
    [(0, MINUTE), (1, 2 * MINUTE), (2, 4 * MINUTE), (8, 256 * MINUTE), (9, 6 * HOUR), (10**6, 6 * HOUR)],
)
def test_a_transient_failure_backs_off(attempts: int, wait: timedelta) -> None:
    """From a minute, doubling, up to six hours."""
    before = History(attempts, NOW - HOUR) if attempts else None
    fate = disposition.of_failure(failure(transient=True), before, NOW)
    assert fate.retry_at == NOW + wait


def test_a_transient_failure_ends_on_the_same_day() -> None:
    """What has not passed for four weeks is not passing: the last attempt is on day 28."""
    just_before = History(50, NOW - 28 * DAY + MINUTE)
    assert disposition.of_failure(failure(transient=True), just_before, NOW).retry_at == NOW + MINUTE
    assert disposition.of_failure(failure(transient=True), History(50, NOW - 28 * DAY), NOW).retry_at is None


@pytest.mark.parametrize("code", sorted(disposition.TRANSIENT))
def test_transient_codes_need_no_mark(code: str) -> None:
    """The codes documented as passing are retried soon, also where the target did not say so."""
    assert disposition.of_failure(failure(code), None, NOW).retry_at == NOW + MINUTE


@pytest.mark.parametrize(
    ("origin", "before", "counts"),
    [
        (Origin.EXPORT, None, True),
        (Origin.EXPORT, History(1, NOW), False),
        (Origin.MAPPING, None, False),
        (Origin.MAPPING, History(1, NOW), False),
        (Origin.REFERENCE, None, False),
        (Origin.REFERENCE, History(1, NOW), False),
    ],
)
def test_only_a_first_export_counts_against_the_job(origin: Origin, before: History | None, counts: bool) -> None:
    """Neither retries, nor entries that cannot be mapped, nor references."""
    assert disposition.of_failure(failure(origin=origin), before, NOW).counts is counts


@pytest.mark.parametrize(
    ("error", "reason", "at_once"),
    [
        (CredentialError("No."), "EncounteredQuarantineException", True),
        (ConfigurationError("Wrong."), "EncounteredQuarantineException", True),
        (TransientError("Away.", code="HybridIdentityServiceNoActiveAgents"), "EncounteredQuarantineException", False),
        (TransientError("Cut.", code="IncompleteRead"), "IngestionInterrupted", False),
        (TransientError("Ours.", code="InternalError"), "Unknown", False),
    ],
)
def test_what_an_error_of_a_cycle_means(error: DirbridgeError, reason: str, at_once: bool) -> None:
    """A refused bind and a wrong configuration stop the job at once; the reason is one of Graph's."""
    trouble = disposition.of_error(error)
    assert (trouble.reason, trouble.at_once, trouble.tenant_actionable) == (reason, at_once, at_once)
    assert (trouble.code, trouble.message) == (error.code, str(error))
