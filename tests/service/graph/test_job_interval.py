"""How often a job runs can be changed, within bounds."""

from typing import Any

import pytest

from tests.service.graph.conftest import World, message

TEMPLATE = "1a4721b3-e57f-4451-ae87-ef078703ec94"


@pytest.fixture
async def job(world: World) -> str:
    """The address of a new job."""
    made = await world.client.post(f"applicationTemplates/{TEMPLATE}/instantiate", json={"displayName": "contoso.test"})
    jobs = f"servicePrincipals/{made.json()['servicePrincipal']['id']}/synchronization/jobs"
    answer = await world.client.post(jobs, json={"templateId": "AD2AADProvisioning"})
    return f"{jobs}/{answer.json()['id']}"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("PT1S", "PT1S"),
        ("PT90S", "PT90S"),
        ("PT1.5S", "PT1S"),
        ("PT2H", "PT2H"),
        ("P1D", "P1D"),
        ("PT1H30M", "PT90M"),
        ("0:00:01", "PT1S"),
        ("1:30:00", "PT90M"),
        ("1 day, 0:00:00", "P1D"),
        ("0:00:02.500000", "PT2S"),
    ],
)
async def test_interval_is_kept(world: World, job: str, given: str, shown: str) -> None:
    """A new job runs every two minutes, until another interval is asked for."""
    assert (await world.get(job)).json()["schedule"]["interval"] == "PT2M"
    answer = await world.client.patch(job, json={"schedule": {"interval": given}})
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await world.get(job)).json()["schedule"]["interval"] == shown


@pytest.mark.parametrize("given", ["PT0S", "PT0.5S", "P2D", "P1M", "PT", "P", "2 minutes", "PT-1S", ""])
async def test_interval_out_of_bounds_is_refused(world: World, job: str, given: str) -> None:
    """What is no duration, or too short or too long, is named and changes nothing."""
    answer = await world.client.patch(job, json={"schedule": {"interval": given}})
    assert answer.status_code == 400
    assert f"from PT1S to P1D, such as PT2M; found '{given}'" in message(answer)
    assert (await world.get(job)).json()["schedule"]["interval"] == "PT2M"


async def test_what_was_read_may_come_back(world: World, job: str) -> None:
    """Clients send a whole job for one change; its status may have moved on meanwhile."""
    shown = (await world.get(job)).json()
    shown["status"] |= {"code": "Active", "countSuccessiveCompleteFailures": 7}
    shown["schedule"] |= {"interval": "PT5M", "@odata.type": "#microsoft.graph.synchronizationSchedule"}
    assert (await world.client.patch(job, json=shown)).status_code == 204
    after = (await world.get(job)).json()
    assert after["schedule"] == {"expiration": None, "interval": "PT5M", "state": "Disabled"}
    assert after["status"]["code"] == "Paused"


@pytest.mark.parametrize(
    ("body", "target", "said"),
    [
        ({"id": "x"}, "id", "It never changes."),
        ({"templateId": "Workday"}, "templateId", "another job"),
        ({"schedule": {"state": "Active"}}, "schedule/state", "it is Disabled. Start and pause change it."),
        ({"schedule": {"expiration": "2030-01-01T00:00:00Z"}}, "schedule/expiration", "do not expire"),
        ({"schema": {"synchronizationRules": []}}, "schema", "an address of its own"),
    ],
)
async def test_what_cannot_be_changed(world: World, job: str, body: dict[str, Any], target: str, said: str) -> None:
    """It is refused with the way to do it, and nothing else of the request happens."""
    answer = await world.client.patch(job, json={**body, "synchronizationJobSettings": [
        {"name": "DeleteThresholdValue", "value": "7"},
    ]})  # fmt: skip
    error = answer.json()["error"]
    assert (answer.status_code, error["target"]) == (400, target)
    assert (error["innerError"]["code"], said in error["message"]) == ("propertyNotUpdateable", True)
    shown = (await world.get(job)).json()
    assert {"name": "DeleteThresholdValue", "value": "500"} in shown["synchronizationJobSettings"]


@pytest.mark.parametrize("body", [{"shedule": {"interval": "PT1M"}}, {"schedule": {"intervall": "PT1M"}}])
async def test_what_is_misspelt_is_refused(world: World, job: str, body: dict[str, Any]) -> None:
    """It would look as if it had been done."""
    answer = await world.client.patch(job, json=body)
    assert (answer.status_code, "unknown field" in message(answer)) == (400, True)


async def test_a_job_that_is_not_there_is_not_found(world: World, job: str) -> None:
    """As for every other request."""
    answer = await world.client.patch(f"{job}x", json={"schedule": {"interval": "PT1M"}})
    assert answer.status_code == 404
