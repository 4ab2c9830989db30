"""A job in words."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from dirbridge.cli import telling

EXECUTION = {
    "activityIdentifier": "1",
    "timeBegan": "2026-03-01T12:00:00Z",
    "timeEnded": "2026-03-01T12:00:02.5Z",
    "state": "EntryLevelErrors",
    "error": None,
    "countImported": 0,
    "countImportedDeltas": 1200,
    "countExported": 1150,
    "countEscrowed": 50,
}


def job(**status: Any) -> dict[str, Any]:
    return {
        "id": "AD2AADProvisioning.1",
        "domain": "contoso.test",
        "schedule": {"interval": "PT2M", "state": status.pop("state", "Active")},
        "status": {
            "code": "Active",
            "countSuccessiveCompleteFailures": 0,
            "escrowsPruned": False,
            "lastExecution": None,
            "lastSuccessfulExecution": None,
            "progress": [],
            "quarantine": None,
            "synchronizedEntryCountByType": [{"key": "user to User", "value": 1234}],
            "troubleshootingUrl": "",
            **status,
        },
    }


def rows(found: dict[str, Any]) -> dict[str, str]:
    """The table's rows by heading; those without one are joined to the one above."""
    console = Console(width=400, color_system=None, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(telling.details(found))
    shown: dict[str, str] = {}
    heading = ""
    for line in capture.get().splitlines():
        first, _, rest = line.partition("  ")
        heading = first or heading
        shown[heading] = (shown.get(heading, "") + " " + rest.strip()).strip()
    return shown


def test_a_healthy_job() -> None:
    """Nothing of failures or quarantine is said."""
    shown = rows(job(lastExecution={**EXECUTION, "state": "Succeeded"}, lastSuccessfulExecution=EXECUTION))
    assert shown["user to User"] == "1,234"
    assert shown["Last cycle"].endswith("Succeeded in 2.5 s: 1,200 read, 1,150 written, 50 failed.")
    assert set(shown) == {"Id", "Domain", "Status", "Interval", "In step since", "Last in step", "user to User",
                          "Last cycle"}  # fmt: skip


def test_a_job_in_quarantine_says_what_to_do() -> None:
    """Reason, error, numbers, what to do and when it is tried again; the remedy is said once."""
    record = {
        "reason": "EncounteredEscrowProportionThreshold",
        "error": {"code": "X", "message": "50 of 100 failed. Mend it.", "tenantActionable": True},
        "nextAttempt": "0001-01-01T00:00:00Z",
        "seriesBegan": "0001-01-01T00:00:00Z",
        "seriesCount": 3,
        "recommendedAction": "Mend it.",
        "counts": {"firstExports": 100, "firstFailures": 50, "escrowed": 50, "staged": 0, "unheardOf": 7},
    }
    shown = rows(job(code="Quarantine", quarantine=record, state="Disabled", countSuccessiveCompleteFailures=3,
                     lastExecution=EXECUTION, escrowsPruned=True, troubleshootingUrl="https://x"))  # fmt: skip
    assert shown["Interval"] == "PT2M; disabled: start it by `dirbridge jobs start`"
    assert shown["Quarantine"] == (
        "EncounteredEscrowProportionThreshold since never, 3 times X: 50 of 100 failed. "
        "100 exported for the first time; 50 failed of these; 50 set aside"
    )
    assert (shown["What to do"], shown["Next attempt"]) == ("Mend it.", "never")
    assert shown["Failed in a row"] == "3 cycles"
    assert shown["Last without errors"] == "never"
    assert shown["Given up"].startswith("entries that failed for 28 days")
    assert shown["Failures"] == "dirbridge logs --status failure --job AD2AADProvisioning.1"


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        ({"completedUnits": 500, "totalUnits": 2000, "unitsPerSecond": 250.0, "secondsLeft": 6},
         "500 of 2,000 objects, 250 a second, 6 s left"),
        ({"completedUnits": 500, "totalUnits": 2000, "unitsPerSecond": 0.2, "secondsLeft": 7500},
         "500 of 2,000 objects, 0 a second, 2 h 5 min left"),
        ({"completedUnits": 500, "totalUnits": 2000, "unitsPerSecond": 10.0, "secondsLeft": 150},
         "500 of 2,000 objects, 10 a second, 2 min 30 s left"),
        ({"completedUnits": 500, "totalUnits": 500, "unitsPerSecond": None, "secondsLeft": None}, "500"),
    ],
)  # fmt: skip
def test_progress(progress: dict[str, Any], said: str) -> None:
    """How far, how fast, how long; nothing is said that is not known."""
    assert rows(job(progress=[{"units": "objects", **progress}]))["Now"] == said
