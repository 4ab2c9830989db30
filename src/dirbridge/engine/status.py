"""What is told of a cycle afterwards, in Graph's shapes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from dirbridge.contract.errors import ConfigurationError, DirbridgeError
from dirbridge.engine.run import Run

FAILURES_TO_QUARANTINE = 3
"""Cycles that must fail one after the other before a fault that waiting may mend quarantines a job."""

LONGEST_WAIT = timedelta(hours=24)


def stamp(moment: datetime) -> str:
    """Write a time as Graph does."""
    return moment.isoformat().replace("+00:00", "Z")


def error_document(error: DirbridgeError) -> dict[str, Any]:
    """Graph's synchronizationError."""
    return {
        "code": error.code,
        "message": str(error),
        "tenantActionable": isinstance(error, ConfigurationError),
    }


def execution(run: Run, ended: datetime, error: DirbridgeError | None) -> dict[str, Any]:
    """Graph's synchronizationTaskExecution."""
    counts = run.counts
    state = "Failed" if error else "EntryLevelErrors" if counts.escrowed else "Succeeded"
    return {
        "activityIdentifier": str(run.cycle),
        "timeBegan": stamp(run.began),
        "timeEnded": stamp(ended),
        "state": state,
        "error": error_document(error) if error else None,
        "countImported": counts.imported if run.full_read else 0,
        "countImportedDeltas": 0 if run.full_read else counts.imported,
        "countImportedReferenceDeltas": counts.reference_deltas,
        "countEntitled": counts.entitled,
        "countEntitledForProvisioning": counts.entitled,
        "countExports": counts.exports,
        "countExported": counts.exported,
        "countEscrowed": counts.escrowed,
        "countEscrowedRaw": counts.escrowed,
    }


def quarantine(
    before: dict[str, Any] | None, reason: str, error: dict[str, Any], now: datetime, wait: timedelta
) -> dict[str, Any]:
    """Graph's synchronizationQuarantine; an unbroken series goes on counting."""
    return {
        "reason": reason,
        "error": error,
        "currentBegan": stamp(now),
        "nextAttempt": stamp(now + wait),
        "seriesBegan": before["seriesBegan"] if before else stamp(now),
        "seriesCount": (before["seriesCount"] if before else 0) + 1,
    }


def failure_wait(interval: timedelta, failures: int) -> timedelta:
    """How long to wait after so many failed cycles: the interval, doubling up to a day."""
    factor: int = 2 ** min(failures, 20)
    return min(interval * factor, LONGEST_WAIT)
