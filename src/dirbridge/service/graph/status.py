"""The status of a job as Graph's synchronizationStatus, from the job's row; most of it lies there in Graph's shapes.

Source: Graph synchronizationStatus, synchronizationProgress, synchronizationQuarantine.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from dirbridge.service.graph.responses import moment
from dirbridge.store.jobs import JobOutline
from dirbridge.store.link_counts import Pair

NEVER = "0001-01-01T00:00:00Z"
"""What Graph shows of a time that may not be null and has not come."""


def show(job: JobOutline, code: str, in_sync: Mapping[Pair, int], root: str) -> dict[str, Any]:
    """Show how a job is.

    Args:
        code: Graph's synchronizationStatusCode.
        in_sync: how many entries are at the target, by what they are and became.
        root: absolute address of the API's version, for the link to what went wrong.
    """
    return {
        "code": code,
        "countSuccessiveCompleteFailures": job.successive_failures,
        "escrowsPruned": job.escrows_pruned,
        "lastExecution": job.last_execution,
        "lastSuccessfulExecution": job.last_success,
        "lastSuccessfulExecutionWithExports": job.last_success_with_exports,
        "progress": progress(job.progress),
        "quarantine": _quarantine(job),
        "steadyStateFirstAchievedTime": moment(job.steady_first) or NEVER,
        "steadyStateLastAchievedTime": moment(job.steady_last) or NEVER,
        "synchronizedEntryCountByType": counts(in_sync),
        "troubleshootingUrl": _trouble(job, root),
    }


def progress(stored: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Show how far the cycle under way is, with its speed and the time that it will still take.

    Both are additions to Graph's synchronizationProgress. They are null as long as nothing can be said.
    """
    if not stored:
        return []
    done, total = int(stored["completedUnits"]), int(stored["totalUnits"])
    rate = _rate(stored, done)
    known = bool(stored.get("isTotalKnown"))
    return [
        {
            "completedUnits": done,
            "totalUnits": total,
            "units": stored.get("units", "objects"),
            "progressObservationDateTime": stored.get("progressObservationDateTime"),
            "unitsPerSecond": rate and round(rate, 1),
            "secondsLeft": round((total - done) / rate) if rate and known else None,
        }
    ]


def _rate(stored: Mapping[str, Any], done: int) -> float | None:
    """Units a second of this cycle; what earlier cycles of the same full read did does not count."""
    if "beganDateTime" not in stored:
        return None
    began, seen = (datetime.fromisoformat(stored[name]) for name in ("beganDateTime", "progressObservationDateTime"))
    seconds = (seen - began).total_seconds()
    gone = done - int(stored.get("beganUnits", 0))
    return gone / seconds if gone > 0 and seconds > 0 else None


def _quarantine(job: JobOutline) -> dict[str, Any] | None:
    """Show the record; Graph's next attempt may not be null, and a disabled job has none."""
    record = job.quarantine
    return {**record, "nextAttempt": NEVER} if record is not None and record.get("nextAttempt", "") is None else record


def counts(in_sync: Mapping[Pair, int]) -> list[dict[str, Any]]:
    """Show counts, under keys such as `user to User`."""
    return [
        {"key": f"{source} to {target or source.capitalize()}", "value": number}
        for (source, target), number in in_sync.items()
    ]


def _trouble(job: JobOutline, root: str) -> str:
    """Give the address of the failures in the log, where there is trouble; nothing else."""
    last = job.last_execution or {}
    if job.quarantine is None and last.get("state", "Succeeded") == "Succeeded":
        return ""
    chosen = f"jobId eq '{job.id}' and statusInfo/status eq 'failure'"
    return f"{root}/auditLogs/provisioning?$filter={quote(chosen, safe='')}"
