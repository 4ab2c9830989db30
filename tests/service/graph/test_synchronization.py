"""Jobs through the API: from the application template to restart."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from psycopg.types.json import Jsonb

from dirbridge.service.graph.job_settings import duration
from dirbridge.service.templates import AD_APPLICATION
from dirbridge.store import jobs, links
from dirbridge.store.links import Link
from tests.service import registered
from tests.service.graph.conftest import BASE, TENANT, World, add_job, code, message

SP = "servicePrincipals/{}/synchronization/jobs"
DEFAULTS = [
    {"name": "DeleteThresholdEnabled", "value": "True"},
    {"name": "DeleteThresholdValue", "value": "500"},
    {"name": "MemberThresholdEnabled", "value": "True"},
    {"name": "MemberThresholdValue", "value": "500"},
    {"name": "QuarantineAfterFailedCycles", "value": "3"},
    {"name": "QuarantineFailureShare", "value": "0.4"},
    {"name": "QuarantineFailures", "value": "40000"},
    {"name": "QuarantineFailuresWithReferences", "value": "60000"},
    {"name": "QuarantineLeastFailures", "value": "10"},
    {"name": "QuarantineTooManyDeletesThreshold", "value": "500"},
    {"name": "SkipOutOfScopeDeletions", "value": "False"},
]


@pytest.fixture
async def job(world: World) -> dict[str, Any]:
    """A job made through the API, with the address of its application's jobs."""
    answer = await world.client.post(
        f"applicationTemplates/{AD_APPLICATION}/instantiate", json={"displayName": "Contoso.TEST"}
    )
    assert answer.status_code == 201, answer.text
    principal = answer.json()["servicePrincipal"]
    assert principal["id"] == principal["objectId"]
    assert principal["displayName"] == "contoso.test"
    jobs_at = SP.format(principal["id"])
    answer = await world.client.post(jobs_at, json={"templateId": "AD2AADProvisioning"})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{BASE}/v1.0/{jobs_at}/{made['id']}"
    return {"at": f"{jobs_at}/{made['id']}", "list": jobs_at, "shown": made}


async def _row(world: World) -> dict[str, Any]:
    async with world.database.connection() as conn:
        (found,) = await jobs.list_all(conn, TENANT)
    return msgspec.structs.asdict(found)


async def test_a_new_job_waits_to_be_started(world: World, job: dict[str, Any]) -> None:
    """Nobody has started a new job: disabled, in Graph's shape. It reads the domain of its application's name."""
    shown = {name: value for name, value in job["shown"].items() if name != "@odata.context"}
    assert shown == {
        "id": shown["id"],
        "templateId": "AD2AADProvisioning",
        "schedule": {"expiration": None, "interval": "PT2M", "state": "Disabled"},
        "status": {
            "code": "Paused",
            "countSuccessiveCompleteFailures": 0,
            "escrowsPruned": False,
            "lastExecution": None,
            "lastSuccessfulExecution": None,
            "lastSuccessfulExecutionWithExports": None,
            "progress": [],
            "quarantine": None,
            "steadyStateFirstAchievedTime": "0001-01-01T00:00:00Z",
            "steadyStateLastAchievedTime": "0001-01-01T00:00:00Z",
            "synchronizedEntryCountByType": [],
            "troubleshootingUrl": "",
        },
        "synchronizationJobSettings": [
            *DEFAULTS[:2],
            {"name": "DomainFQDN", "value": "contoso.test"},
            {"name": "DomainNetBios", "value": "CONTOSO"},
            *DEFAULTS[2:],
        ],
    }
    assert shown["id"].startswith(f"AD2AADProvisioning.{TENANT.hex}.")
    assert (await world.get(job["at"])).json() == job["shown"]
    listed = (await world.get(job["list"] + "/")).json()
    assert listed["value"] == [shown]
    assert (await world.get(job["list"] + "/$count")).text == "1"
    assert (await _row(world))["domain"] == "contoso.test"


async def test_status_passes_on_what_the_cycle_stored(world: World) -> None:
    """Progress, executions and quarantine come out as they were stored; entries are counted from the links."""
    sp = await add_job(world, "job")
    execution = {
        "activityIdentifier": "x",
        "countExported": 5,
        "state": "Succeeded",
        "timeBegan": "2026-01-01T00:00:00Z",
    }
    progress = {
        "completedUnits": 5,
        "totalUnits": 10,
        "units": "objects",
        "progressObservationDateTime": "2026-01-01T00:00:00Z",
    }
    await world.run(
        """update jobs set state = 'Active', progress = %s, last_execution = %s, last_success = %s, steady_last = %s,
           successive_failures = 2""",
        [Jsonb(progress), Jsonb(execution), Jsonb(execution), datetime(2026, 1, 2, tzinfo=UTC)],
    )
    rows = [Link(f"a{n}", "user", "", None, None, "provisioned" if n < 3 else "skipped", "", None) for n in range(5)]
    rows.append(Link("c", "contact", "", None, None, "provisioned", "", None))
    async with world.database.transaction() as conn:
        await links.put(conn, TENANT, "job", rows)
    status = (await world.get(SP.format(sp) + "/job")).json()["status"]
    assert status["code"] == "Active"
    assert status["progress"] == [{**progress, "unitsPerSecond": None, "secondsLeft": None}]
    assert (status["lastExecution"], status["lastSuccessfulExecution"]) == (execution, execution)
    assert status["steadyStateLastAchievedTime"] == "2026-01-02T00:00:00Z"
    assert status["synchronizedEntryCountByType"] == [
        {"key": "contact to Contact", "value": 1},
        {"key": "user to User", "value": 3},
    ]
    assert status["countSuccessiveCompleteFailures"] == 2
    await world.run("update jobs set quarantine = %s", [Jsonb({"reason": "TooManyDeletes"})])
    status = (await world.get(SP.format(sp) + "/job")).json()["status"]
    assert (status["code"], status["quarantine"]) == ("Quarantine", {"reason": "TooManyDeletes"})


async def test_start_pause_delete(world: World, job: dict[str, Any]) -> None:
    """Start makes it due, pause raises the generation so that a running cycle stops, delete drops everything."""
    answer = await world.client.post(job["at"] + "/start")
    assert (answer.status_code, answer.content) == (204, b"")
    row = await _row(world)
    assert (row["state"], row["next_run"] is not None) == ("Active", True)
    assert (await world.get(job["at"])).json()["status"]["code"] == "NotConfigured"
    assert (await world.client.post(job["at"] + "/start")).status_code == 204
    assert (await _row(world))["next_run"] == row["next_run"]
    assert (await world.client.post(job["at"] + "/pause")).status_code == 204
    paused = await _row(world)
    assert (paused["state"], paused["generation"]) == ("Paused", row["generation"] + 1)
    assert (await world.client.delete(job["at"])).status_code == 204
    assert (await world.get(job["at"])).status_code == 404
    assert [row[0] for row in await world.run("select activity from audits order by at, id")][-1] == (
        "Delete provisioning configuration"
    )


RESTARTS: list[tuple[Any, set[str]]] = [
    (None, {"Watermark", "Escrows", "QuarantineState"}),
    ({}, {"Watermark", "Escrows", "QuarantineState"}),
    ({"criteria": {}}, {"Watermark", "Escrows", "QuarantineState"}),
    ({"criteria": {"resetScope": ""}}, {"Watermark", "Escrows", "QuarantineState"}),
    ({"criteria": {"resetScope": "None"}}, set()),
    ({"criteria": {"resetScope": "escrows,quarantinestate"}}, {"Escrows", "QuarantineState"}),
    ({"criteria": {"resetScope": "Watermark, Escrows"}}, {"Watermark", "Escrows"}),
    ({"criteria": {"resetScope": ["QuarantineState"]}}, {"QuarantineState"}),
    ({"criteria": {"resetScope": "Full"}}, {"Watermark", "Escrows", "QuarantineState", "ConnectorDataStore"}),
    ({"criteria": {"resetScope": "ForceDeletes"}}, {"ForceDeletes"}),
]


@pytest.mark.parametrize(("body", "cleared"), RESTARTS, ids=[str(body) for body, _ in RESTARTS])
async def test_restart_clears_what_it_names(world: World, body: Any, cleared: set[str]) -> None:
    """Each flag, alone and together, clears what is its own and nothing else; the job is due at once."""
    sp = await add_job(world, "job")
    await world.run("update jobs set full_read_wanted = false, quarantine = '{}', generation = 7")
    async with world.database.transaction() as conn:
        await links.put(conn, TENANT, "job", [Link("a", "user", "", None, None, "provisioned", "", b"digest")])
        await conn.execute(
            "insert into watermarks (tenant, job, replica, position) values (%s, 'job', 'dc', '')", [TENANT]
        )
        await conn.execute(
            "insert into due (tenant, job, anchor, reason, at, attempt) values (%s, 'job', 'a', 'x', now(), 1)",
            [TENANT],
        )
        await conn.execute(
            """insert into removals (tenant, job, anchor, object_type, action, evidence, state)
               values (%s, 'job', 'a', 'user', 'delete', 'Tombstone', 'staged')""",
            [TENANT],
        )
    address = SP.format(sp) + "/job/restart"
    answer = await (world.client.post(address) if body is None else world.client.post(address, json=body))
    assert answer.status_code == 204, answer.text
    row = await _row(world)
    reads_again = "Watermark" in cleared
    assert (row["state"], row["generation"] > 7, row["next_run"] is not None) == ("Active", True, True)
    assert (row["quarantine"] is None) == ("QuarantineState" in cleared)
    assert row["full_read_wanted"] == reads_again
    assert await world.run("select count(*) from watermarks") == [(0 if reads_again else 1,)]
    assert await world.run("select count(*) from due") == [(0 if "Escrows" in cleared else 1,)]
    assert await world.run("select digest is null from links") == [("ConnectorDataStore" in cleared,)]
    ((removal,),) = await world.run("select state from removals")
    assert (removal == "allowed") == ("ForceDeletes" in cleared)


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"criteria": {"resetScope": "Everything"}}, "'Everything'"),
        ({"criteria": {"resetScope": 7}}, "resetScope"),
        ({"criteria": "Full"}, "criteria"),
        ([], "Expected `object`"),
    ],
)
async def test_bad_restarts_are_refused(world: World, body: Any, part: str) -> None:
    """An unknown flag is named; nothing is restarted."""
    sp = await add_job(world, "job")
    answer = await world.client.post(SP.format(sp) + "/job/restart", json=body)
    assert (answer.status_code, part in message(answer)) == (400, True), answer.text
    assert (await _row(world))["state"] == "Paused"


async def test_unknown_templates_applications_and_jobs(world: World, job: dict[str, Any]) -> None:
    """Each unknown thing on the way to a job is named; a job is found under its own application only."""
    other = await add_job(world, "job")
    sp = job["list"].split("/")[1]
    assert (
        await world.client.post("applicationTemplates/x/instantiate", json={"displayName": "a.b"})
    ).status_code == 404
    bad = await world.client.post(
        f"applicationTemplates/{AD_APPLICATION}/instantiate", json={"displayName": "not a domain"}
    )
    assert (bad.status_code, "'not a domain'" in message(bad)) == (400, True)
    bad = await world.client.post(job["list"], json={"templateId": "Nothing"})
    assert (bad.status_code, "'Nothing'" in message(bad)) == (400, True)
    for method, address in (
        ("GET", SP.format(other) + "/nothing"),
        ("POST", SP.format(sp) + "/job/start"),
        ("POST", SP.format(sp) + "/job/restart"),
        ("POST", SP.format(sp) + "/job/pause"),
        ("DELETE", SP.format(sp) + "/job"),
        ("GET", SP.format(sp) + "/job/schema"),
    ):
        answer = await world.client.request(method, address)
        assert (answer.status_code, code(answer)) == (404, "NotFound")
    assert code(await world.get(SP.format(TENANT))) == "Request_ResourceNotFound"


async def test_service_principals(world: World, job: dict[str, Any]) -> None:
    """Applications are listed, and found by object id and by appId."""
    listed = (await world.get("servicePrincipals")).json()["value"]
    known = {str(registered.PRINCIPAL), await world.graph_id()}
    (shown,) = [each for each in listed if each["id"] not in known]
    assert (shown["displayName"], shown["applicationTemplateId"]) == ("contoso.test", str(AD_APPLICATION))
    for key in (f"/{shown['id']}", f"(appId='{shown['appId']}')"):
        assert (await world.get(f"servicePrincipals{key}")).json()["id"] == shown["id"]
    assert (await world.get(f"serviceprincipals/{shown['appId']}")).status_code == 404


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(minutes=2), "PT2M"),
        (timedelta(seconds=90), "PT90S"),
        (timedelta(hours=3), "PT3H"),
        (timedelta(days=1), "P1D"),
        (timedelta(0), "PT0S"),
    ],
)
def test_durations(value: timedelta, text: str) -> None:
    """Intervals come out as ISO 8601."""
    assert duration(value) == text
