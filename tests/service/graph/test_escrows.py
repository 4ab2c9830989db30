"""What a job has set aside, through the API: page by page, with why and when it is tried again."""

from datetime import UTC, datetime, timedelta

import pytest

from dirbridge.store import due, links
from dirbridge.store.due import Due
from dirbridge.store.links import Link
from tests.service.graph.conftest import BASE, TENANT, World, add_job

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB = "AD2AADProvisioning.test"
AT = f"{BASE}/beta/dirbridge/jobs/{JOB}/escrows"


@pytest.fixture
async def failing(world: World) -> World:
    """A job with three entries that failed, and two that are due for another reason."""
    await add_job(world, JOB)
    async with world.database.transaction() as conn:
        await links.put(conn, TENANT, JOB, [Link("a", "user", "ada", None, None, "failed", "", None)])
        later = NOW + timedelta(hours=6)
        rows = [Due(anchor, "InvalidValue", later, 2, None, NOW) for anchor in "abc"]
        rows += [Due("d", "AccountExpires", later), Due("a", "AccountExpires", later)]
        await due.put(conn, TENANT, JOB, rows)
    return world


async def test_each_with_its_reason_and_next_attempt(failing: World) -> None:
    """What waits for another reason has not failed."""
    answer = await failing.get(AT, count="true", top="1")
    assert answer.status_code == 200
    assert answer.json()["@odata.count"] == 3
    (shown,) = answer.json()["value"]
    assert shown | {"reason": "", "recommendedAction": ""} == {
        "sourceIdentity": {"id": "a", "displayName": "ada", "identityType": "user"},
        "targetIdentity": {"id": ""},
        "errorCode": "InvalidValue",
        "reason": "",
        "recommendedAction": "",
        "attempts": 2,
        "firstFailureDateTime": "2026-03-01T12:00:00Z",
        "nextAttemptDateTime": "2026-03-01T18:00:00Z",
    }
    assert [row["sourceIdentity"]["id"] async for page in failing.pages(AT, top="2") for row in page] == list("abc")


async def test_who_may_not_and_what_is_not_there(failing: World) -> None:
    """It takes a permission to read jobs; an unknown job is 404, an odd option or position 400."""
    reader = failing.bearer("Synchronization.Read.All")
    assert (await failing.client.get(AT, headers=reader)).status_code == 200
    assert (await failing.client.get(AT, headers=failing.bearer("User.Read.All"))).status_code == 403
    assert (await failing.client.get(AT.replace(JOB, "other"))).status_code == 404
    assert (await failing.get(AT, filter="attempts eq 1")).status_code == 400
    assert (await failing.get(AT, skiptoken="odd")).status_code == 400
