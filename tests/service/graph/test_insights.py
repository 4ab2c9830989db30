"""What the provisioning log comes to, and how everything is in a few numbers."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from dirbridge.contract.event import Detail, Event, Status
from dirbridge.contract.export import Action
from dirbridge.store import events, links
from dirbridge.store.links import Link
from tests.service.graph.conftest import BASE, TENANT, World, add_job, message

AT = f"{BASE}/beta/dirbridge/insights"
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
SPAN = {"from": "2026-03-15T10:00:00Z", "to": "2026-03-15T13:00:00Z"}


def event(at: datetime, job: str = "one", status: Status = Status.SUCCESS, reason: str = "", **more: Any) -> Event:
    values: dict[str, Any] = {"action": Action.UPDATE, **more}
    return Event(
        id=uuid4(), at=at, job=job, cycle=uuid4(), change=uuid4(), status=status, reason=reason, source_id="",
        source_type="", source_name="", target_id="", target_type="", target_name="", duration=1, detail=Detail(),
        **values,
    )  # fmt: skip


@pytest.fixture
async def log(world: World) -> World:
    """Events around noon: most of one job, one failure of another."""
    minute = timedelta(minutes=1)
    async with world.database.transaction() as conn:
        await events.write(
            conn, TENANT, [event(NOON - minute), event(NOON - 2 * minute, action=Action.CREATE)],
            latency=timedelta(seconds=3),
        )  # fmt: skip
        await events.write(
            conn, TENANT,
            [
                event(NOON + minute, "other", Status.FAILURE, "InvalidCredentials"),
                event(NOON + minute, status=Status.SKIPPED, reason="RedundantExport", action=Action.OTHER),
                event(NOON - timedelta(days=2)),
            ],
        )  # fmt: skip
    return world


async def ask(world: World, **asked: str) -> dict[str, Any]:
    answer = await world.client.get(AT, params=asked)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_every_period_is_there(log: World) -> None:
    """In order, those without events too; times are those of the hours."""
    found = await ask(log, **SPAN)
    assert found["by"] == "hour"
    assert found["periods"] == [
        {"dateTime": "2026-03-15T10:00:00Z", "counts": []},
        {
            "dateTime": "2026-03-15T11:00:00Z",
            "counts": [
                {"action": "create", "status": "success", "count": 1},
                {"action": "update", "status": "success", "count": 1},
            ],
        },
        {
            "dateTime": "2026-03-15T12:00:00Z",
            "counts": [
                {"action": "other", "status": "skipped", "count": 1},
                {"action": "update", "status": "failure", "count": 1},
            ],
        },
    ]


async def test_days(log: World) -> None:
    """Begin at midnight in UTC, whatever the zone of the question."""
    found = await ask(log, **{"from": "2026-03-13T23:30:00+02:00", "to": "2026-03-15T13:00:00Z", "by": "day"})
    assert [(each["dateTime"], sum(one["count"] for one in each["counts"])) for each in found["periods"]] == [
        ("2026-03-13T00:00:00Z", 1), ("2026-03-14T00:00:00Z", 0), ("2026-03-15T00:00:00Z", 4)
    ]  # fmt: skip


async def test_causes(log: World) -> None:
    """What a code means and what to do, the most frequent first, with when it was last met."""
    async with log.database.transaction() as conn:
        strange = [event(NOON - timedelta(hours=1), status=Status.FAILURE, reason="Strange") for _ in range(2)]
        await events.write(conn, TENANT, strange)
    causes = (await ask(log, **SPAN))["causes"]
    assert [(each["errorCode"], each["status"], each["count"], each["lastPeriodDateTime"]) for each in causes] == [
        ("Strange", "failure", 2, "2026-03-15T11:00:00Z"),
        ("InvalidCredentials", "failure", 1, "2026-03-15T12:00:00Z"),
        ("RedundantExport", "skipped", 1, "2026-03-15T12:00:00Z"),
    ]
    assert causes[0]["reason"] == "Strange"
    assert causes[1]["recommendedAction"]


async def test_latencies(log: World) -> None:
    """Sorted into spans whose last has no end; what was not measured is in none."""
    found = (await ask(log, **SPAN))["latencies"]
    assert [(each["atMostSeconds"], each["count"]) for each in found if each["count"]] == [(5, 2)]
    assert found[0] == {"atMostSeconds": 1, "count": 0}
    assert found[-1]["atMostSeconds"] is None


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"jobId": "other"}, 1),
        ({"jobId": "none"}, 0),
        ({"action": "update"}, 2),
        ({"status": "success"}, 2),
        ({"errorCode": "InvalidCredentials", "status": "failure"}, 1),
        ({"errorCode": "InvalidCredentials", "status": "success"}, 0),
    ],
)
async def test_filters(log: World, asked: dict[str, str], number: int) -> None:
    """Each narrows what is counted."""
    found = await ask(log, **SPAN, **asked)
    assert sum(one["count"] for each in found["periods"] for one in each["counts"]) == number


async def test_last_24_hours_by_default(world: World) -> None:
    """The hour that is under way is the last of them."""
    now = datetime.now(UTC)
    async with world.database.transaction() as conn:
        await events.write(conn, TENANT, [event(now)])
    found = await ask(world)
    assert len(found["periods"]) == 24
    counted = [each["dateTime"] for each in found["periods"] if each["counts"]]
    assert counted == [now.replace(minute=0, second=0, microsecond=0).isoformat().replace("+00:00", "Z")]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"from": "yesterday"}, "'from' expects a time"),
        ({"to": "9999-12-31T23:30:00Z"}, "No period ends after"),
        ({"to": "9999-12-31T22:30:00Z", "by": "day"}, "No period ends after"),
        ({"to": "0001-01-01T00:30:00Z"}, "Nothing is a day before"),
        ({"to": "0001-01-01T00:30:00+05:00"}, "'to' expects a time"),
        ({"from": "2026-03-15T13:00:00Z", "to": "2026-03-15T12:00:00Z"}, "before"),
        ({"from": "2020-01-01", "to": "2026-01-01"}, "by=day"),
        ({"from": "2000-01-01", "to": "2026-01-01", "by": "day"}, "At most 400"),
        ({"by": "week"}, "hour, day"),
        ({"status": "well"}, "success"),
        ({"action": "read"}, "create"),
        ({"jobId": "a\x00"}, "NUL"),
        ({"$filter": "jobId eq 'x'"}, "is not known"),
    ],
)
async def test_what_cannot_be_asked(world: World, asked: dict[str, str], said: str) -> None:
    """Says what can be."""
    answer = await world.client.get(AT, params=asked)
    assert answer.status_code == 400, answer.text
    assert said in message(answer)


async def test_overview(world: World) -> None:
    """Jobs by how they are, what is in sync of all of them."""
    await add_job(world, "one")
    await add_job(world, "two", "other.test")
    await world.run("update jobs set state = 'Paused' where id = 'one'")
    await world.run("""update jobs set state = 'Active', quarantine = '{"reason": "Unknown"}' where id = 'two'""")
    async with world.database.transaction() as conn:
        for job in ("one", "two"):
            rows = [Link(n, "user", "", None, None, "provisioned", "", None, "User") for n in "ab"]
            await links.put(conn, TENANT, job, rows)
    shown = (await world.client.get(f"{BASE}/beta/dirbridge/overview")).json()
    del shown["@odata.context"]
    assert shown == {
        "jobCount": 2,
        "jobsNeedingAttention": 1,
        "jobCountByStatus": [{"key": "Paused", "value": 1}, {"key": "Quarantine", "value": 1}],
        "synchronizedEntryCountByType": [{"key": "user to User", "value": 4}],
    }
