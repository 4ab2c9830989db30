"""What is told of a cycle afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dirbridge.contract.errors import ConfigurationError, CredentialError, TransientError
from dirbridge.engine import status

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTES = timedelta(minutes=2)


@pytest.mark.parametrize(
    ("failures", "wait"),
    [
        (0, MINUTES),
        (1, timedelta(minutes=4)),
        (5, timedelta(minutes=64)),
        (10, timedelta(hours=24)),
        (10_000, timedelta(hours=24)),
    ],
)
def test_failure_wait(failures: int, wait: timedelta) -> None:
    """From the job's own interval, doubling up to a day."""
    assert status.failure_wait(MINUTES, failures) == wait


@pytest.mark.parametrize(
    ("error", "actionable"),
    [(TransientError("Away."), False), (ConfigurationError("Wrong."), True), (CredentialError("No."), True)],
)
def test_error_document(error: TransientError | ConfigurationError, actionable: bool) -> None:
    """Code, sentence, and whether somebody must act."""
    assert status.error_document(error) == {
        "code": error.code,
        "message": str(error),
        "tenantActionable": actionable,
    }


def test_quarantine_keeps_its_series() -> None:
    """The first begins a series; the next counts on and keeps its beginning."""
    first = status.quarantine(None, "TooManyDeletes", {"code": "x"}, NOW, MINUTES)
    assert first == {
        "reason": "TooManyDeletes",
        "error": {"code": "x"},
        "currentBegan": "2026-03-01T12:00:00Z",
        "nextAttempt": "2026-03-01T12:02:00Z",
        "seriesBegan": "2026-03-01T12:00:00Z",
        "seriesCount": 1,
    }
    second = status.quarantine(first, "TooManyDeletes", {"code": "x"}, NOW + MINUTES, MINUTES)
    assert (second["seriesBegan"], second["seriesCount"]) == ("2026-03-01T12:00:00Z", 2)
    assert second["currentBegan"] == "2026-03-01T12:02:00Z"
