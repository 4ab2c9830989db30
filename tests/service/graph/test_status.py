"""How a job is, as Graph's synchronizationStatus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from dirbridge.contract.event import Detail
from dirbridge.service.graph import status
from dirbridge.store import agents, links
from dirbridge.store.events import pack
from dirbridge.store.links import Link
from tests.service.graph.conftest import BASE, TENANT, World, add_job

NEVER = "0001-01-01T00:00:00Z"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RECORD = {
    "reason": "EncounteredQuarantineException",
    "error": {"code": "InvalidCredentials", "message": "No.", "tenantActionable": True},
    "currentBegan": "2026-03-01T12:00:00Z",
    "nextAttempt": "2026-03-01T12:04:00Z",
    "seriesBegan": "2026-03-01T12:00:00Z",
    "seriesCount": 1,
    "recommendedAction": "Correct it.",
    "counts": {"failedCycles": 1},
}


async def _status(world: World, sp: object) -> dict[str, Any]:
    shown: dict[str, Any] = (await world.get(f"servicePrincipals/{sp}/synchronization/jobs/job")).json()["status"]
    return shown


async def _enrol(world: World, *domains: str) -> None:
    async with world.database.transaction() as conn:
        await agents.insert(
            conn, TENANT, uuid4(), machine_name="host", version="1", domains=domains, public_key=b"", certificate=b"",
            expires_at=NOW + timedelta(days=1000), address="",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "enrolled", "code"),
    [
        ({"state": "Paused"}, False, "Paused"),
        ({"state": "Active"}, False, "NotConfigured"),
        ({"state": "Active"}, True, "NotRun"),
        ({"state": "Active", "last_execution": {"state": "Failed"}}, True, "NotRun"),
        ({"state": "Active", "last_execution": {"state": "Failed"}}, False, "NotConfigured"),
        ({"state": "Active", "last_execution": {"state": "Succeeded"}}, True, "Active"),
        ({"state": "Active", "last_execution": {"state": "EntryLevelErrors"}}, False, "Active"),
        ({"state": "Active", "last_execution": {"state": "Failed"}, "steady_first": NOW}, True, "Active"),
        ({"state": "Active", "quarantine": RECORD}, True, "Quarantine"),
        ({"state": "Disabled", "quarantine": RECORD}, True, "Quarantine"),
        ({"state": "Paused", "quarantine": RECORD}, True, "Paused"),
    ],
)
async def test_code(world: World, columns: dict[str, Any], enrolled: bool, code: str) -> None:
    """Each of Graph's five, and the schedule's own state beside it."""
    sp = await add_job(world, "job")
    if enrolled:
        await _enrol(world, "contoso.test")
    else:
        await _enrol(world, "other.test")
    for column, value in columns.items():
        stored = Jsonb(value) if isinstance(value, dict) else value
        await world.run(f"update jobs set {column} = %s", [stored])
    shown = (await world.get(f"servicePrincipals/{sp}/synchronization/jobs/job")).json()
    assert (shown["status"]["code"], shown["schedule"]["state"]) == (code, columns["state"])


async def test_quarantine_is_shown_as_it_was_stored(world: World) -> None:
    """The whole record; a disabled job has no next attempt, and Graph's client takes no null for it."""
    sp = await add_job(world, "job")
    await world.run("update jobs set state = 'Active', quarantine = %s", [Jsonb(RECORD)])
    assert (await _status(world, sp))["quarantine"] == RECORD
    await world.run("update jobs set state = 'Disabled', quarantine = %s", [Jsonb({**RECORD, "nextAttempt": None})])
    assert (await _status(world, sp))["quarantine"] == {**RECORD, "nextAttempt": NEVER}


async def test_failures_and_pruned_escrows(world: World) -> None:
    """What Graph counts, from the job's own columns."""
    sp = await add_job(world, "job")
    shown = await _status(world, sp)
    assert (shown["countSuccessiveCompleteFailures"], shown["escrowsPruned"]) == (0, False)
    assert (shown["steadyStateFirstAchievedTime"], shown["steadyStateLastAchievedTime"]) == (NEVER, NEVER)
    await world.run(
        "update jobs set successive_failures = 4, escrows_pruned = true, steady_first = %s, steady_last = %s",
        [NOW, NOW + timedelta(hours=1)],
    )
    shown = await _status(world, sp)
    assert (shown["countSuccessiveCompleteFailures"], shown["escrowsPruned"]) == (4, True)
    assert shown["steadyStateFirstAchievedTime"] == "2026-03-01T12:00:00Z"
    assert shown["steadyStateLastAchievedTime"] == "2026-03-01T13:00:00Z"


async def test_trouble_leads_to_its_failures(world: World) -> None:
    """Where entries failed or the job is in quarantine, the address lists just the failures of the job."""
    sp = await add_job(world, "job")
    await world.run("update jobs set state = 'Active', last_execution = '{\"state\": \"Succeeded\"}'")
    assert (await _status(world, sp))["troubleshootingUrl"] == ""
    await world.run('update jobs set last_execution = \'{"state": "EntryLevelErrors"}\'')
    address = (await _status(world, sp))["troubleshootingUrl"]
    assert address.startswith(f"{BASE}/v1.0/auditLogs/provisioning?")
    assert parse_qs(urlsplit(address).query) == {"$filter": ["jobId eq 'job' and statusInfo/status eq 'failure'"]}
    for number, (job, outcome) in enumerate([("job", "failure"), ("job", "success"), ("other", "failure")]):
        await world.run(
            """insert into events (tenant, id, at, job, cycle, change, action, status, reason, source_id, source_type,
                 source_name, target_id, target_type, target_name, duration, detail)
               values (%s, %s, now(), %s, %s, %s, 'create', %s, '', %s, '', '', '', '', '', 0, %s)""",
            [TENANT, uuid4(), job, uuid4(), uuid4(), outcome, str(number), pack(Detail())],
        )
    found = await world.client.get(address)
    assert [each["sourceIdentity"]["id"] for each in found.json()["value"]] == ["0"]


async def test_counts_by_type(world: World) -> None:
    """By what entries are and became, whatever the schema would make of them now."""
    sp = await add_job(world, "job")
    rows = [
        Link(f"a{n}", kind, "", None, None, state, "", None, target)
        for n, (kind, target, state) in enumerate([
            ("user", "User", "provisioned"), ("user", "User", "provisioned"), ("user", "Contact", "provisioned"),
            ("user", "User", "skipped"), ("group", "Group", "provisioned"),
        ])
    ]  # fmt: skip
    async with world.database.transaction() as conn:
        await links.put(conn, TENANT, "job", rows)
    assert (await _status(world, sp))["synchronizedEntryCountByType"] == [
        {"key": "group to Group", "value": 1},
        {"key": "user to Contact", "value": 1},
        {"key": "user to User", "value": 2},
    ]


PROGRESS = {
    "completedUnits": 600,
    "totalUnits": 1000,
    "units": "objects",
    "progressObservationDateTime": "2026-03-01T12:00:10Z",
    "beganDateTime": "2026-03-01T12:00:00Z",
    "beganUnits": 100,
    "isTotalKnown": True,
}


@pytest.mark.parametrize(
    ("changes", "rate", "left"),
    [
        ({}, 50.0, 8),
        # Nothing says how many there are.
        ({"isTotalKnown": False, "totalUnits": 600}, 50.0, None),
        # Nothing done in this cycle yet, or no time gone.
        ({"completedUnits": 100}, None, None),
        ({"progressObservationDateTime": "2026-03-01T12:00:00Z"}, None, None),
        ({"completedUnits": 1000}, 90.0, 0),
    ],
)
def test_progress_says_what_is_left(changes: dict[str, Any], rate: float | None, left: int | None) -> None:
    """Speed is that of this cycle alone, the time left follows from it; Graph's own members are all there."""
    stored = {**PROGRESS, **changes}
    assert status.progress(stored) == [
        {
            "completedUnits": stored["completedUnits"],
            "totalUnits": stored["totalUnits"],
            "units": "objects",
            "progressObservationDateTime": stored["progressObservationDateTime"],
            "unitsPerSecond": rate,
            "secondsLeft": left,
        }
    ]


def test_without_a_cycle_there_is_no_progress() -> None:
    """An empty list, as Graph's."""
    assert status.progress(None) == []
