"""All jobs of the tenant in one list: the worst first, in pages, by what they are asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from psycopg import AsyncCursor
from psycopg.types.json import Jsonb

from dirbridge.store import agents, links
from dirbridge.store.links import Link
from tests.service.graph.conftest import BASE, TENANT, World, add_job

AT = f"{BASE}/beta/dirbridge/jobs"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

STATES: dict[str, dict[str, Any]] = {
    "well": {"state": "Active", "steady_first": NOW},
    "paused": {"state": "Paused", "successive_failures": 2},
    "new": {"state": "Active"},
    "entries": {"state": "Active", "steady_first": NOW, "last_execution": {"state": "EntryLevelErrors"}},
    "alone": {"state": "Active", "domain": "other.test"},
    "failing": {"state": "Active", "steady_first": NOW, "successive_failures": 2},
    "quarantined": {"state": "Active", "quarantine": {"reason": "Unknown"}},
}
WORST_FIRST = ["quarantined", "failing", "alone", "entries", "new", "well", "paused"]


@pytest.fixture
async def jobs(world: World) -> World:
    """One job of each state, and an agent for all domains but one."""
    async with world.database.transaction() as conn:
        await agents.insert(
            conn, TENANT, uuid4(), machine_name="host", version="1", domains=[f"{name}.test" for name in STATES],
            public_key=b"", certificate=b"", expires_at=NOW + timedelta(days=1000), address="",
        )  # fmt: skip
    await world.run("update agents set domains = array_remove(domains, 'alone.test')")
    for name, columns in STATES.items():
        await add_job(world, name, f"{name}.test")
        for column, value in columns.items():
            stored = Jsonb(value) if isinstance(value, dict) else value
            await world.run(f"update jobs set {column} = %s where id = %s", [stored, name])
    return world


async def _ids(world: World, **options: str) -> list[str]:
    return [job["id"] async for page in world.pages(AT, **options) for job in page]


async def test_those_that_need_somebody_come_first(jobs: World) -> None:
    """Each with its code and whether it needs somebody."""
    answer = (await jobs.get(AT, count="true")).json()
    assert [(job["id"], job["status"]["code"], job["needsAttention"]) for job in answer["value"]] == [
        ("quarantined", "Quarantine", True),
        ("failing", "Active", True),
        ("alone", "NotConfigured", True),
        ("entries", "Active", True),
        ("new", "NotRun", False),
        ("well", "Active", False),
        ("paused", "Paused", False),
    ]
    assert answer["@odata.count"] == len(STATES)


@pytest.mark.parametrize("top", ["1", "2", "3", "7", "8"])
async def test_pages_hold_each_job_once(jobs: World, top: str) -> None:
    """In the order of the whole list; a page is no longer than asked for."""
    pages = [[job["id"] for job in page] async for page in jobs.pages(AT, top=top)]
    assert [id for page in pages for id in page] == WORST_FIRST
    assert max(map(len, pages)) <= int(top)
    by_domain = sorted(STATES, key=lambda name: STATES[name].get("domain", f"{name}.test"))
    assert await _ids(jobs, top=top, orderby="domain") == by_domain
    assert await _ids(jobs, top=top, orderby="domain desc") == by_domain[::-1]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("status/code eq 'Active'", ["failing", "entries", "well"]),
        ("needsAttention eq true", ["quarantined", "failing", "alone", "entries"]),
        ("needsAttention eq false and schedule/state eq 'Active'", ["new", "well"]),
        ("startsWith(domain,'W')", ["well"]),
        ("domain in ('other.test','new.test')", ["alone", "new"]),
        ("id eq 'nobody'", []),
    ],
)
async def test_filters(jobs: World, text: str, ids: list[str]) -> None:
    """By what is shown of them; the count is the filter's."""
    assert await _ids(jobs, filter=text) == ids
    assert (await jobs.get(AT, filter=text, count="true", top="1")).json()["@odata.count"] == len(ids)


@pytest.mark.parametrize("options", [{"filter": "schema eq 'x'"}, {"orderby": "id"}])
async def test_what_it_cannot_do_is_refused(jobs: World, options: dict[str, str]) -> None:
    """Not silently left out."""
    assert (await jobs.get(AT, **options)).status_code == 400


async def test_previews_are_not_listed(jobs: World) -> None:
    """Nobody steers the copy that a preview runs in."""
    await jobs.run("update jobs set state = 'Preview' where id = 'new'")
    assert "new" not in await _ids(jobs)
    assert (await jobs.get(f"{AT}/new")).status_code == 404
    assert (await jobs.get(f"{AT}/none")).status_code == 404


async def test_one_job_is_shown_as_in_the_list(jobs: World) -> None:
    """With what it has in sync, which is its own."""
    async with jobs.database.transaction() as conn:
        for job, number in (("well", 2), ("new", 1)):
            rows = [Link(f"{n}", "user", "", None, None, "provisioned", "", None, "User") for n in range(number)]
            await links.put(conn, TENANT, job, rows)
    listed = {job["id"]: job for job in (await jobs.get(AT)).json()["value"]}
    assert listed["well"]["status"]["synchronizedEntryCountByType"] == [{"key": "user to User", "value": 2}]
    assert listed["paused"]["status"]["synchronizedEntryCountByType"] == []
    shown = (await jobs.get(f"{AT}/well")).json()
    del shown["@odata.context"]
    assert shown == listed["well"]


async def test_a_page_costs_as_many_statements_as_a_job(jobs: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many jobs there are."""
    asked = 0
    execute = AsyncCursor.execute

    async def counted(self: AsyncCursor[Any], *args: Any, **options: Any) -> AsyncCursor[Any]:
        nonlocal asked
        asked += 1
        return await execute(self, *args, **options)

    monkeypatch.setattr(AsyncCursor, "execute", counted)
    numbers = []
    for top in ("1", "7"):
        asked = 0
        assert (await jobs.get(AT, top=top)).status_code == 200
        numbers.append(asked)
    assert numbers[0] == numbers[1] > 0
