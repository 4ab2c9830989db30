"""How long the log is kept: said, counted, taken back, on a real database."""

from datetime import UTC, datetime, timedelta

import httpx2

from tests.service.graph.conftest import BASE, World, code, message

WHERE = f"{BASE}/beta/dirbridge/retention"
RIGHTS = ("Organization.ReadWrite.All",)


async def put_event(world: World, age: timedelta) -> None:
    await world.run(
        "insert into events (tenant, id, at, job, cycle, change, action, status, reason, source_id, source_type,"
        " source_name, target_id, target_type, target_name, duration, detail)"
        " select id, gen_random_uuid(), %s, 'j', gen_random_uuid(), gen_random_uuid(), 'update', 'success', '', '', '',"
        " '', '', '', '', 1, '' from tenants",
        [datetime.now(UTC) - age],
    )


async def patch(world: World, body: object) -> httpx2.Response:
    return await world.client.patch(WHERE, json=body, headers=world.bearer(*RIGHTS))


async def shown(world: World) -> dict[str, object]:
    answer = await world.client.get(WHERE, headers=world.bearer(*RIGHTS))
    found: dict[str, object] = answer.json()
    return {name: value for name, value in found.items() if not name.startswith("@")}


async def test_days_are_said_and_taken_back(world: World) -> None:
    """Each change is in the trail with what was before; the same again is none."""
    unsaid = {"logDays": 30, "isDefault": True, "defaultLogDays": 30, "oldestEventDateTime": None}
    assert await shown(world) == unsaid
    for days in (7, 7, None):
        assert (await patch(world, {"logDays": days})).status_code == 204
        said = unsaid if days is None else {**unsaid, "logDays": days, "isDefault": False}
        assert await shown(world) == said
    trail = await world.run("select detail from audits where activity = 'Change retention of the log' order by at, id")
    assert [row[0] for row in trail] == [{"before": None, "after": 7}, {"before": 7, "after": None}]


async def test_what_would_go_is_counted(world: World) -> None:
    """The oldest event is told by its time."""
    for hours in (1, 49, 50, 200):
        await put_event(world, timedelta(hours=hours))
    for days, number in ((1, 3), (3, 1), (30, 0)):
        answer = await world.client.post(f"{WHERE}/estimate", json={"logDays": days}, headers=world.bearer(*RIGHTS))
        assert (answer.json()["eventsToRemove"], answer.json()["isMore"]) == (number, False)
    oldest = datetime.fromisoformat(str((await shown(world))["oldestEventDateTime"]))
    assert abs(datetime.now(UTC) - oldest - timedelta(hours=200)) < timedelta(minutes=1)


async def test_what_is_no_number_of_days_is_refused(world: World) -> None:
    """And changes nothing."""
    for body in ({"logDays": 0}, {"logDays": 3651}, {"logDays": "7"}, {"logDays": 1.5}, {}, {"days": 7}):
        answer = await patch(world, body)
        assert (answer.status_code, code(answer)) == (400, "BadRequest"), body
        assert message(answer)
    assert (await shown(world))["isDefault"] is True
