"""What is told of a cycle afterwards, in Graph's shapes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dirbridge.contract.errors import DirbridgeError
from dirbridge.engine import disposition
from dirbridge.engine.disposition import Trouble
from dirbridge.engine.run import Run


def stamp(moment: datetime) -> str:
    """Write a time as Graph does."""
    return moment.isoformat().replace("+00:00", "Z")


def error_document(error: DirbridgeError) -> dict[str, Any]:
    """Graph's synchronizationError."""
    return _document(disposition.of_error(error))


def _document(trouble: Trouble) -> dict[str, Any]:
    return {"code": trouble.code, "message": trouble.message, "tenantActionable": trouble.tenant_actionable}


def execution(run: Run, ended: datetime, trouble: Trouble | None) -> dict[str, Any]:
    """Graph's synchronizationTaskExecution.

    Args:
        trouble: what ended the cycle before its end.
    """
    counts = run.counts
    state = "Failed" if trouble else "EntryLevelErrors" if counts.escrowed else "Succeeded"
    return {
        "activityIdentifier": str(run.cycle),
        "timeBegan": stamp(run.began),
        "timeEnded": stamp(ended),
        "state": state,
        "error": _document(trouble) if trouble else None,
        "countImported": counts.imported if run.full_read else 0,
        "countImportedDeltas": 0 if run.full_read else counts.imported,
        "countImportedReferenceDeltas": counts.reference_deltas,
        "countEntitled": counts.entitled,
        "countEntitledForProvisioning": counts.provisionable,
        "countExports": counts.exports,
        "countExported": counts.exported,
        "countEscrowed": counts.escrowed,
        "countEscrowedRaw": counts.escrowed + counts.held,
    }


def progress(run: Run, now: datetime) -> dict[str, Any]:
    """Say how far the reading is: Graph's synchronizationProgress, and what its speed is reckoned from.

    A full read that goes on where an earlier cycle stopped begins with what that one had read.
    """
    done = run.resumed + run.counts.imported
    return {
        "completedUnits": done,
        "totalUnits": max(run.estimate or 0, done),
        "isTotalKnown": run.estimate is not None and run.estimate >= done,
        "units": "objects",
        "progressObservationDateTime": stamp(now),
        "beganDateTime": stamp(run.began),
        "beganUnits": run.resumed,
    }
