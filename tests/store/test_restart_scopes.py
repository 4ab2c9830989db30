"""Clear and restart: each clears exactly what is named. Every row of every table of the job is looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID, uuid4

import pytest

from dirbridge.contract.entry import Container, Watermark
from dirbridge.store import containers, due, jobs, links, member_removals, references, removals, seen, staged
from dirbridge.store.due import Due
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal
from tests.engine.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FULL_READ = UUID("00000000-0000-4000-8000-00000000f011")

BESIDE: dict[str, dict[str, Any]] = {
    "events": {
        "id": FULL_READ, "at": NOW, "cycle": FULL_READ, "change": FULL_READ, "action": "create", "status": "failure",
        "reason": "InvalidDomain", "source_id": "a", "source_type": "user", "source_name": "a", "target_id": "",
        "target_type": "User", "target_name": "", "duration": 1, "detail": b"",
    },
    "scope_groups": {"anchor": "g"},
    "scope_members": {"anchor": "a", "via": "g"},
    "notices": {"id": FULL_READ, "kind": "quarantined", "at": NOW, "reason": "Unknown", "code": "", "message": ""},
    "notification_states": {"watched_since": NOW},
    "previews": {"id": FULL_READ, "requested_by": "ann"},
}  # fmt: skip
"""What no clear and no restart touches: a row each of the tables that other rooms fill."""

State = dict[str, list[dict[str, Any]]]
"""Rows by table."""


async def _lay_down(world: World, *, under_way: bool) -> None:
    """Something of everything that a clear or restart may touch, and of all that it may not.

    Args:
        under_way: a full read is, with a position of its own.
    """
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await jobs.begin_full_read(*key, FULL_READ)
        if not under_way:
            await jobs.end_full_read(*key)
        await jobs.keep_watermark(*key, Watermark("dc1", b"1"), idle=None)
        await jobs.keep_watermark(*key, Watermark("dc2", b"2"), idle=None)
        await seen.add(*key, FULL_READ, ["a"])
        await containers.put(*key, [Container("ou", None, "People")])
        await due.put(
            *key,
            [
                Due("a", "InvalidDomain", NOW + HOUR, 3, since=NOW - HOUR),
                Due("b", due.COLLISION, NOW + HOUR, 1, "address:x", since=NOW - HOUR),
                # It collided in a cycle that was cut off: it has not failed yet.
                Due("c", due.COLLISION, NOW - HOUR, 0, "address:y", since=NOW - HOUR),
                Due("a", due.EXPIRY, NOW + HOUR, since=NOW),
                Due("d", due.NOT_VISIBLE, NOW + HOUR, since=NOW),
                Due("e", "TargetChanged", NOW + HOUR, since=NOW),
            ],
        )
        await links.put(
            *key,
            [
                Link("a", "user", "a", "ou", uuid4(), "provisioned", "InvalidDomain", b"digest"),
                Link("b", "user", "b", "ou", None, "failed", "AttributeValueMustBeUnique", None),
                Link("c", "user", "c", "ou", uuid4(), "deprovisioned", "", None),
                Link("d", "group", "d", None, None, "skipped", "cn is not null", None),
            ],
        )
        await references.add(*key, [("d", "member", "a"), ("d", "member", "b")], ["member"], [world.job])
        await references.note_whole(*key, [("d", "member", "a")])
        await removals.put(*key, [Removal(each, "user", "delete", "Tombstone") for each in "abcdef"])
        await removals.stage(*key, ["a", "b", "f"], NOW)
        await staged.reject(*key, ["f"], NOW)
        lost = {("d", "member", each): True for each in "xyz"}
        await member_removals.part(*key, lost, [world.job], always=0, since=NOW, at=NOW)
        await member_removals.stage(*key, ["d"], [world.job], after=("d", "member", "x"), at=NOW)
        await staged.reject(*key, ["d/z"], NOW)
        await removals.done(*key, ["c"], NOW)
        for table, values in BESIDE.items():
            columns = ", ".join(("tenant", "job", *values))
            marks = ", ".join(["%s"] * (len(values) + 2))
            statement = f"insert into {table} ({columns}) values ({marks})"
            await conn.execute(statement.encode(), (world.tenant, world.job, *values.values()))
        await conn.execute(
            """update jobs set quarantine = '{"reason": "TooManyDeletes"}', successive_failures = 5, next_run = %s,
                 escrows_pruned = true, last_execution = '{"state": "Failed"}', last_success = '{"state": "Succeeded"}',
                 steady_first = %s, steady_last = %s, settings = '{"DeleteThresholdValue": "50"}', cycle = %s,
                 progress = '{"completedUnits": 5}'
               where tenant = %s and id = %s""",
            (NOW + HOUR, NOW, NOW, uuid4(), world.tenant, world.job),
        )


async def _state(world: World) -> State:
    """Give every row of every table that has something of the job."""
    async with world.database.connection() as conn:
        cursor = await conn.execute(
            """select c.table_name, c.column_name from information_schema.columns c
               join information_schema.tables t using (table_schema, table_name)
               where c.table_schema = current_schema() and t.table_type = 'BASE TABLE'
                 and (c.column_name = 'job' or (c.table_name = 'jobs' and c.column_name = 'id'))
               order by 1"""
        )
        tables = await cursor.fetchall()
        state = {}
        for table, column in tables:
            rows = await conn.execute(
                f"select to_jsonb(t) from {table} t where {column} = %s order by to_jsonb(t)::text".encode(),
                (world.job,),
            )
            state[table] = [row[0] for row in await rows.fetchall()]
    return state


def _job(state: State) -> dict[str, Any]:
    (row,) = state["jobs"]
    return row


Rows = list[dict[str, Any]]


def _escrow(row: dict[str, Any]) -> bool:
    return bool(row["attempt"] > 0)


def _expected(state: State, scopes: frozenset[str]) -> State:
    """What the table of actions makes of a state, in so many words."""
    after = {table: [dict(row) for row in rows] for table, rows in state.items()}
    job = _job(after)
    job |= {"generation": job["generation"] + 1, "state": "Active", "cycle": None, "progress": None}
    decided = [*after["removals"], *after["member_removals"]]
    if scopes & {"ForceDeletes"}:
        for row in decided:
            row["state"] = "allowed" if row["state"] == "staged" else row["state"]
    if scopes & {"Watermark", "Full"}:
        after["watermarks"], after["seen"] = [], []
        job |= {"full_read_wanted": True, "full_read": None, "full_read_watermarked": False}
        for row in decided:
            row |= {"state": "pending", "staged_at": None} if row["state"] == "rejected" else {}
    if scopes & {"Escrows", "Full"}:
        after["due"] = [row for row in after["due"] if not _escrow(row)]
        job |= {"escrows_pruned": False}
    if scopes & {"QuarantineState", "Full"}:
        job |= {"quarantine": None, "successive_failures": 0}
    if scopes & {"ConnectorDataStore", "Full"}:
        after["links"] = [row | {"digest": None} for row in after["links"]]
    return after


def _compared(state: State) -> State:
    """Leave out when the next cycle is due: it is told by the database's clock."""
    rows = {table: sorted(rows, key=str) for table, rows in state.items()}
    rows["jobs"] = [{name: value for name, value in _job(rows).items() if name != "next_run"}]
    return rows


SINGLE = ("ConnectorDataStore", "Escrows", "Watermark", "QuarantineState", "Full", "ForceDeletes")
SCOPES = [
    frozenset({"None"}),
    *(frozenset(chosen) for number in range(1, len(SINGLE) + 1) for chosen in combinations(SINGLE, number)),
]


@pytest.mark.parametrize("under_way", [False, True])
async def test_restart_clears_exactly_what_is_named(world: World, under_way: bool) -> None:
    """Each scope and every combination, over all tables; nothing named means the portal's restart."""
    await _lay_down(world, under_way=under_way)
    before = await _state(world)
    assert all(before[table] for table in (*BESIDE, "containers", "due", "entry_references", "job_credentials", "links",
                                           "removals", "seen", "seen_references", "watermarks"))  # fmt: skip
    default = frozenset({"QuarantineState", "Watermark", "Escrows"})
    for scopes, expected in [(frozenset(), _expected(before, default)), *((s, _expected(before, s)) for s in SCOPES)]:
        async with world.database.connection() as conn, conn.transaction(force_rollback=True):
            assert await jobs.restart(conn, world.tenant, world.job, scopes)
            after = await _state_in(conn, world, before)
        assert _compared(after) == _compared(expected), sorted(scopes)
        assert _job(after)["next_run"] != _job(before)["next_run"]
    assert await _state(world) == before


async def _state_in(conn: Any, world: World, tables: State) -> State:
    state = {}
    for table in tables:
        column = "id" if table == "jobs" else "job"
        rows = await conn.execute(
            f"select to_jsonb(t) from {table} t where {column} = %s order by to_jsonb(t)::text".encode(), (world.job,)
        )
        state[table] = [row[0] for row in await rows.fetchall()]
    return state


@pytest.mark.parametrize("under_way", [False, True])
@pytest.mark.parametrize(("state", "becomes"), [("Active", "Active"), ("Paused", "Paused"), ("Disabled", "Active")])
async def test_clear_quarantine_clears_nothing_else(world: World, state: str, becomes: str, under_way: bool) -> None:
    """The quarantine and its counter go, escrows are due; position, links, staged deletes and pauses stay."""
    await _lay_down(world, under_way=under_way)
    async with world.database.transaction() as conn:
        await conn.execute("update jobs set state = %s where id = %s", (state, world.job))
    before = await _state(world)
    async with world.database.transaction() as conn:
        assert await jobs.clear_quarantine(conn, world.tenant, world.job, NOW)
    after = await _state(world)
    expected = {table: [dict(row) for row in rows] for table, rows in before.items()}
    job = _job(expected)
    job |= {"generation": job["generation"] + 1, "quarantine": None, "successive_failures": 0, "state": becomes}
    job |= {"cycle": None, "progress": None}
    for row in expected["due"]:
        if _escrow(row):
            row["at"] = NOW.isoformat()
    assert _compared(after) == _compared(expected)
    assert (_job(after)["next_run"] is None) is (becomes == "Paused")


async def test_clear_quarantine_starts_no_job_that_nobody_started(world: World) -> None:
    """A new job is disabled, and was never in quarantine: it stays disabled until a person starts it."""
    async with world.database.transaction() as conn:
        await conn.execute("update jobs set state = 'Disabled', quarantine = null where id = %s", (world.job,))
        assert await jobs.clear_quarantine(conn, world.tenant, world.job, NOW)
        found = await jobs.get(conn, world.tenant, world.job)
    assert found is not None
    assert (found.state, found.next_run) == ("Disabled", None)


async def test_clear_and_restart_of_a_job_that_is_not_there(world: World) -> None:
    """Neither does anything, and each says so."""
    await _lay_down(world, under_way=False)
    before = await _state(world)
    async with world.database.transaction() as conn:
        assert not await jobs.restart(conn, world.tenant, "no such job", {"Full", "ForceDeletes"})
        assert not await jobs.clear_quarantine(conn, world.tenant, "no such job", NOW)
        assert not await jobs.restart(conn, uuid4(), world.job, {"Full", "ForceDeletes"})
        assert not await jobs.clear_quarantine(conn, uuid4(), world.job, NOW)
    assert await _state(world) == before


async def test_clear_leaves_what_is_due_already(world: World) -> None:
    """An escrow that is due before does not wait longer for it."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await due.put(*key, [Due("a", "InvalidDomain", NOW - HOUR, 1, since=NOW - HOUR)])
        await jobs.clear_quarantine(*key, NOW)
    assert await world.rows("select at from due where tenant = %s") == [(NOW - HOUR,)]
