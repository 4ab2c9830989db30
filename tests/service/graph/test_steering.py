"""Clear and impose a quarantine, run now: what Graph has no word for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from dirbridge.store import due, jobs
from dirbridge.store.due import Due
from dirbridge.store.jobs import Job
from tests.service.graph.conftest import TENANT, World, add_job, code, message
from tests.service.graph.test_status import RECORD

HOUR = timedelta(hours=1)


async def _act(world: World, action: str, body: Any = None, job: str = "job") -> Any:
    return await world.client.post(f"https://dirbridge.test/beta/dirbridge/jobs/{job}/{action}", json=body)


async def _row(world: World) -> Job:
    async with world.database.connection() as conn:
        found = await jobs.get(conn, TENANT, "job")
    assert found is not None
    return found


async def _acts(world: World) -> list[tuple[str, dict[str, Any]]]:
    return [
        (row[0], row[1])
        for row in await world.run("select activity, detail from audits where target = 'job' order by at, id")
    ]


@pytest.fixture
async def job(world: World) -> None:
    """A job that runs, not due for an hour."""
    await add_job(world, "job")
    await world.run("update jobs set state = 'Active', next_run = now() + interval '1 hour', generation = 7")


@pytest.mark.usefixtures("job")
async def test_clear_quarantine(world: World) -> None:
    """The record goes, escrows are due, the job runs now; the act is on record with what was cleared."""
    await world.run("update jobs set quarantine = %s, successive_failures = 3", [Jsonb(RECORD)])
    later = datetime.now(UTC) + HOUR
    async with world.database.transaction() as conn:
        await due.put(conn, TENANT, "job", [Due("a", "InvalidDomain", later, 1), Due("b", due.EXPIRY, later)])
    answer = await _act(world, "clearQuarantine")
    assert (answer.status_code, answer.content) == (204, b"")
    row = await _row(world)
    assert (row.quarantine, row.successive_failures, row.generation) == (None, 0, 8)
    assert row.next_run is not None
    assert row.next_run <= datetime.now(UTC)
    assert await world.run("select anchor, at > now() from due order by anchor") == [("a", False), ("b", True)]
    assert await _acts(world) == [("Clear quarantine", {"reason": "EncounteredQuarantineException"})]


@pytest.mark.usefixtures("job")
async def test_clear_where_there_is_none(world: World) -> None:
    """It does no harm: what is set aside is tried again."""
    assert (await _act(world, "clearquarantine")).status_code == 204
    assert await _acts(world) == [("Clear quarantine", {"reason": None})]


@pytest.mark.usefixtures("job")
async def test_impose_quarantine(world: World) -> None:
    """The record has Graph's shape and the person's words; the job waits longer, and start lifts it."""
    assert (await _act(world, "quarantine", {"reason": " The directory is moved. "})).status_code == 204
    row = await _row(world)
    assert row.quarantine is not None
    assert row.quarantine["reason"] == "QuarantinedOnDemand"
    assert row.quarantine["error"]["message"] == "A person put the job into quarantine: The directory is moved."
    assert row.next_run is not None
    assert timedelta(minutes=3) < row.next_run - datetime.now(UTC) <= timedelta(minutes=4)
    assert await _acts(world) == [("Quarantine", {"reason": "QuarantinedOnDemand", "why": "The directory is moved."})]
    (sp,) = (await world.run("select service_principal from jobs"))[0]
    assert (await world.get(f"servicePrincipals/{sp}/synchronization/jobs/job")).json()["status"][
        "code"
    ] == "Quarantine"
    assert (await world.client.post(f"servicePrincipals/{sp}/synchronization/jobs/job/start")).status_code == 204
    row = await _row(world)
    assert (row.quarantine, row.next_run is not None and row.next_run <= datetime.now(UTC)) == (None, True)


@pytest.mark.usefixtures("job")
async def test_impose_on_a_job_in_quarantine(world: World) -> None:
    """It replaces the reason and goes on with the series; a body is not needed."""
    await world.run("update jobs set quarantine = %s", [Jsonb(RECORD)])
    assert (await _act(world, "quarantine")).status_code == 204
    record = (await _row(world)).quarantine
    assert record is not None
    assert (record["reason"], record["seriesBegan"], record["seriesCount"]) == (
        "QuarantinedOnDemand", RECORD["seriesBegan"], 2
    )  # fmt: skip


@pytest.mark.usefixtures("job")
async def test_run_now(world: World) -> None:
    """The job is due, in quarantine or not, and whatever it is stays."""
    await world.run("update jobs set quarantine = %s, successive_failures = 3", [Jsonb(RECORD)])
    assert (await _act(world, "run")).status_code == 204
    row = await _row(world)
    assert row.next_run is not None
    assert row.next_run <= datetime.now(UTC)
    assert (row.quarantine, row.successive_failures, row.generation) == (RECORD, 3, 7)
    assert await _acts(world) == [("Run provisioning now", {})]


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize("state", ["Paused", "Disabled"])
async def test_a_job_that_does_not_run_is_started_instead(world: World, state: str) -> None:
    """Neither run nor quarantine fit it, and each says so; nothing is on record."""
    await world.run("update jobs set state = %s, next_run = null", [state])
    for action in ("run", "quarantine"):
        answer = await _act(world, action)
        assert (answer.status_code, code(answer)) == (409, "Conflict")
        assert state.lower() in message(answer)
    assert (await _row(world)).quarantine is None
    assert await _acts(world) == []


@pytest.mark.usefixtures("job")
@pytest.mark.parametrize("action", ["clearQuarantine", "quarantine", "run"])
async def test_who_may(world: World, action: str) -> None:
    """An unknown job is not found; reading rights are not enough."""
    answer = await _act(world, action, job="nothing")
    assert (answer.status_code, "'nothing'" in message(answer)) == (404, True)
    refused = await world.client.post(
        f"https://dirbridge.test/beta/dirbridge/jobs/job/{action}", headers=world.bearer("Synchronization.Read.All")
    )
    assert refused.status_code == 403
    assert await _acts(world) == []


@pytest.mark.usefixtures("job")
async def test_a_reason_has_an_end(world: World) -> None:
    """A thousand characters are stored, more are refused."""
    assert (await _act(world, "quarantine", {"reason": "x" * 1000})).status_code == 204
    assert (await _act(world, "quarantine", {"reason": "x" * 1001})).status_code == 400
