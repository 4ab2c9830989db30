"""What waits for a person, through the API: read one by one, allowed or rejected, all of it or some."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from dirbridge.store import audits, links, member_removals, removals
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal
from tests.service.graph.conftest import BASE, TENANT, World, add_job, code, message

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB = "AD2AADProvisioning.test"
AT = f"{BASE}/beta/dirbridge/jobs/{JOB}/stagedRemovals"


async def stage(world: World, anchors: Sequence[str]) -> None:
    """Let deletes of users wait in the job."""
    async with world.database.transaction() as conn:
        await removals.put(conn, TENANT, JOB, [Removal(a, "user", "delete", "Tombstone") for a in anchors])
        await removals.stage(conn, TENANT, JOB, anchors, NOW)


@pytest.fixture
async def waiting(world: World) -> World:
    """An active job with five staged deletes."""
    await add_job(world, JOB)
    await world.run("update jobs set state = 'Active', next_run = now() + interval '1 hour'")
    await stage(world, "abcde")
    return world


async def ids(world: World, at: str = AT) -> list[str]:
    """The ids of the whole list, page by page."""
    return [each["id"] async for page in world.pages(at, top="2") for each in page]


async def due(world: World) -> bool:
    """Whether the job's next cycle is due now."""
    return (await world.run("select next_run <= now() from jobs"))[0][0] is True


async def test_list_shows_each_with_its_evidence(waiting: World) -> None:
    """Page by page, with a count where it is asked for; another state by filter."""
    answer = await waiting.get(AT, count="true", top="1")
    assert answer.status_code == 200
    assert answer.json()["@odata.count"] == 5
    assert answer.json()["value"] == [
        {
            "id": "a",
            "action": "delete",
            "evidence": "Tombstone",
            "state": "staged",
            "sinceDateTime": "2026-03-01T12:00:00Z",
            "sourceIdentity": {"id": "a", "displayName": "", "identityType": "user"},
            "targetIdentity": {"id": "", "displayName": ""},
            "group": None,
        }
    ]
    assert await ids(waiting) == list("abcde")
    assert (await waiting.get(AT, filter="state eq 'rejected'")).json()["value"] == []


@pytest.mark.parametrize(
    ("word", "body", "rest", "states"),
    [
        ("allow", {"all": True}, "", {"allowed": 5}),
        ("allow", {"ids": ["b", "d"]}, "ace", {"allowed": 2, "staged": 3}),
        ("reject", {"all": True}, "", {"rejected": 5}),
        ("Reject", {"ids": ["a"]}, "bcde", {"rejected": 1, "staged": 4}),
    ],
)
async def test_a_word_on_all_or_some(
    waiting: World, word: str, body: dict[str, Any], rest: str, states: dict[str, int]
) -> None:
    """It takes effect with the next cycle, which is due at once, and leaves an audit row that names who it is about."""
    answer = await waiting.client.post(f"{AT}/{word}", json=body)
    number = 5 - len(rest)
    assert (answer.status_code, answer.json()) == (200, {"count": number, "missing": []})
    assert await ids(waiting) == list(rest)
    assert dict(await waiting.run("select state, count(*) from removals group by state")) == states
    assert await due(waiting)
    async with waiting.database.connection() as conn:
        (row,) = await audits.latest(conn, TENANT)
    assert (row.activity, row.target) == (f"{word.capitalize()} staged deletes", JOB)
    assert row.detail == {"count": number, **body}


async def test_what_does_not_wait_is_named(waiting: World) -> None:
    """The others are decided; where none is left, nothing is recorded and no cycle is called for."""
    answer = await waiting.client.post(f"{AT}/allow", json={"ids": ["x", "a"]})
    assert answer.json() == {"count": 1, "missing": ["x"]}
    await waiting.run("update jobs set next_run = now() + interval '1 hour'")
    answer = await waiting.client.post(f"{AT}/reject", json={"ids": ["a"]})
    assert answer.json() == {"count": 0, "missing": ["a"]}
    assert not await due(waiting)
    async with waiting.database.connection() as conn:
        assert len(await audits.latest(conn, TENANT)) == 1


async def test_a_second_thought_about_what_was_rejected(waiting: World) -> None:
    """It is listed by its state and can be allowed by its id."""
    await waiting.client.post(f"{AT}/reject", json={"ids": ["c", "d"]})
    answer = await waiting.get(AT, filter="state eq 'rejected'")
    assert [(each["id"], each["state"]) for each in answer.json()["value"]] == [("c", "rejected"), ("d", "rejected")]
    answer = await waiting.client.post(f"{AT}/allow", json={"ids": ["c"]})
    assert answer.json() == {"count": 1, "missing": []}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "Empty Payload"),
        (b"{}", '"all": true'),
        (b'{"all": false}', '"all": true'),
        (b'{"ids": []}', '"all": true'),
        (b'{"all": true, "ids": ["a"]}', '"all": true'),
        (b'{"everything": true}', "everything"),
        (b'{"ids": "a"}', "array"),
        (b'{"ids": ["a\\u0000"]}', "NUL"),
    ],
)
async def test_unclear_words_decide_nothing(waiting: World, body: bytes, said: str) -> None:
    """Neither nothing nor everything is meant silently."""
    answer = await waiting.client.post(f"{AT}/allow", content=body)
    assert answer.status_code == 400
    assert said in message(answer)
    assert await ids(waiting) == list("abcde")


async def test_a_word_on_another_number_than_waits_decides_nothing(waiting: World) -> None:
    """Somebody else has decided on some meanwhile, or more came."""
    answer = await waiting.client.post(f"{AT}/allow", json={"all": True, "count": 4})
    assert (answer.status_code, code(answer)) == (409, "Conflict")
    assert "about 4 removals, and 5 wait" in message(answer)
    assert await ids(waiting) == list("abcde")
    assert not await due(waiting)
    answer = await waiting.client.post(f"{AT}/reject", json={"ids": ["a", "b"], "count": 2})
    assert answer.json() == {"count": 2, "missing": []}


async def test_the_summary_counts_by_kind(waiting: World) -> None:
    """What waits first, then what was rejected; lost members have no type of their own."""
    async with waiting.database.transaction() as conn:
        await removals.put(conn, TENANT, JOB, [Removal("z", "group", "disable", "OutOfScope")])
        await removals.stage(conn, TENANT, JOB, ["z"], NOW)
        rows = {("g", "member", member): True for member in "xyz"}
        await member_removals.part(conn, TENANT, JOB, rows, [JOB], always=0, since=NOW, at=NOW)
        await member_removals.stage(conn, TENANT, JOB, ["g"], [JOB], after=("", "", ""), at=NOW)
    await waiting.client.post(f"{AT}/reject", json={"ids": ["a"]})
    assert (await waiting.get(f"{AT}/summary")).json()["value"] == [
        {"state": "staged", "action": "delete", "identityType": "user", "count": 4},
        {"state": "staged", "action": "disable", "identityType": "group", "count": 1},
        {"state": "staged", "action": "removeMember", "identityType": "", "count": 3},
        {"state": "rejected", "action": "delete", "identityType": "user", "count": 1},
    ]


async def test_who_may_not_and_what_is_not_there(waiting: World) -> None:
    """Reading asks for a reading permission, deciding for a writing one; an unknown job is 404, odd options are 400."""
    reader = waiting.bearer("Synchronization.Read.All")
    assert (await waiting.client.get(AT, headers=reader)).status_code == 200
    assert (await waiting.client.post(f"{AT}/allow", json={"all": True}, headers=reader)).status_code == 403
    assert (await waiting.client.get(AT, headers=waiting.bearer("User.Read.All"))).status_code == 403
    other = AT.replace(JOB, "other")
    assert (await waiting.client.get(other)).status_code == 404
    assert (await waiting.client.post(f"{other}/reject", json={"all": True})).status_code == 404
    for wrong in ("state eq 'done'", "state ne 'staged'", "action eq 'delete'"):
        answer = await waiting.get(AT, filter=wrong)
        assert (answer.status_code, code(answer)) == (400, "Request_UnsupportedQuery")
    assert (await waiting.get(AT, orderby="id")).status_code == 400


async def test_members_that_groups_lost_are_among_them(waiting: World) -> None:
    """Behind the entries, each with its group; a group's id stands for all of its members."""
    async with waiting.database.transaction() as conn:
        await links.put(conn, TENANT, JOB, [Link("g", "group", "Sales", None, None, "provisioned", "", None)])
        for group, members in (("g", "xyz"), ("h", "xy")):
            rows = {(group, "member", member): True for member in members}
            await member_removals.part(conn, TENANT, JOB, rows, [JOB], always=0, since=NOW, at=NOW)
            await member_removals.stage(conn, TENANT, JOB, [group], [JOB], after=("", "", ""), at=NOW)
    assert await ids(waiting) == [*"abcde", "g/x", "g/y", "g/z", "h/x", "h/y"]
    answer = await waiting.get(AT, count="true", top="6")
    assert answer.json()["@odata.count"] == 10
    assert answer.json()["value"][-1] == {
        "id": "g/x",
        "action": "removeMember",
        "evidence": "NotListed",
        "state": "staged",
        "sinceDateTime": "2026-03-01T12:00:00Z",
        "sourceIdentity": {"id": "x", "displayName": "", "identityType": ""},
        "targetIdentity": {"id": "", "displayName": ""},
        "group": {"id": "g", "displayName": "Sales"},
    }
    answer = await waiting.client.post(f"{AT}/reject", json={"ids": ["g", "h/y", "h/w", "e"]})
    assert answer.json() == {"count": 5, "missing": ["h/w"]}
    assert await ids(waiting) == [*"abcd", "h/x"]
    answer = await waiting.client.post(f"{AT}/allow", json={"all": True})
    assert answer.json() == {"count": 5, "missing": []}
