"""A preview does everything that a cycle does, elsewhere."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from dirbridge.connectors.memory.cloud import Operation
from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.errors import TransientError
from dirbridge.contract.schema import Filter, FilterClause, FilterGroup, FilterOperand, Schema
from dirbridge.engine import preview
from dirbridge.store import jobs, previews
from dirbridge.store.database import Database
from dirbridge.store.previews import Preview
from tests.engine.world import TABLES, World, default_schema

NEW, TWIN, TEAM, USER = (anchor_of(number) for number in range(100, 104))
PEOPLE = [anchor_of(number) for number in range(30)]


async def ask(
    database: Database, world: World, schema: Schema | None = None, settings: dict[str, str] | None = None
) -> UUID:
    """Ask for a preview."""
    id = uuid4()
    async with database.transaction() as conn:
        await previews.create(
            conn, world.tenant, id, job=world.job, schema=schema, settings=settings, requested_by="test"
        )
    return id


async def carry_out(database: Database, world: World) -> Preview:
    """Take the preview that waits, and run it."""
    async with database.transaction() as conn:
        taken = await previews.take(conn)
    assert taken is not None
    await preview.run(world.context(), taken)
    async with database.connection() as conn:
        ended = await previews.get(conn, world.tenant, taken.id)
    assert ended is not None
    return ended


async def found(database: Database, id: UUID) -> dict[str, tuple[str, str, str]]:
    """What a preview found, by source anchor."""
    async with database.connection() as conn:
        cursor = await conn.execute(
            "select source_id, action, status, reason from events where tenant = %s order by at, id", (id,)
        )
        return {row[0]: (row[1], row[2], row[3]) for row in await cursor.fetchall()}


async def left(database: Database, id: UUID) -> dict[str, int]:
    """Rows of a copy that are still there, by table; its events aside."""
    rows = {}
    async with database.connection() as conn:
        for table in (*(name for name in TABLES if name != "events"), "jobs", "service_principals", "domains"):
            cursor = await conn.execute(f"select count(*) from {table} where tenant = %s".encode(), (id,))
            row = await cursor.fetchone()
            assert row is not None
            if row[0]:
                rows[table] = row[0]
    return rows


def without(schema: Schema, department: str) -> Schema:
    """The default schema, with users of one department out of scope."""
    rule = schema.synchronization_rules[0]
    clause = FilterClause("department", "NOT EQUALS", FilterOperand((department,)))
    group = FilterGroup((clause,), "department")
    mappings = tuple(
        msgspec.structs.replace(
            one,
            scope=Filter(groups=(group,), input_filter_groups=one.scope.input_filter_groups),
        )
        if one.source_object_name == "user"
        else one
        for one in rule.object_mappings
    )
    return msgspec.structs.replace(
        schema, synchronization_rules=(msgspec.structs.replace(rule, object_mappings=mappings),)
    )


async def snapshot(world: World) -> dict[str, Any]:
    """All that a preview must leave alone."""
    return {"tables": await world.fingerprint(), "job": await world.state()}


async def test_preview_tells_creates_updates_deletes_and_failures_and_writes_nothing(
    database: Database, world: World
) -> None:
    """What the next whole cycle would do is told entry by entry; job, log and directory stay as they were."""
    for number in range(12):
        world.person(PEOPLE[number], f"User {number}")
    world.team(TEAM, "Team")
    await world.cycle()
    world.person(NEW, "New One")
    world.person(TWIN, "Twin", userPrincipalName="user.3@contoso.test")
    world.directory.set(PEOPLE[1], "department", "Sales")
    world.directory.delete(PEOPLE[2])
    world.directory.add_member(TEAM, NEW)
    before = await snapshot(world)
    id = await ask(database, world)
    ended = await carry_out(database, world)
    assert ended.state == "Succeeded", ended.error
    told = await found(database, id)
    assert told[NEW][:2] == ("create", "success")
    assert told[PEOPLE[1]][:2] == ("update", "success")
    assert told[PEOPLE[2]][:2] == ("delete", "success")
    assert told[TEAM][:2] == ("update", "success")
    assert told[TWIN] == ("create", "failure", "AttributeValueMustBeUnique")
    assert set(told) == {NEW, PEOPLE[1], PEOPLE[2], TEAM, TWIN}
    assert await snapshot(world) == before
    assert await left(database, id) == {}
    # What it told comes true.
    await world.restart("Watermark")
    await world.cycle()
    real = {event["source"]: (event["action"], event["status"], event["reason"]) for event in (await world.events())}
    assert {anchor: real[anchor] for anchor in told} == told


async def test_preview_takes_settings_that_were_not_saved(database: Database, world: World) -> None:
    """A narrowed scope is previewed with its deletes, those over the threshold as staged; nothing of it is stored."""
    for number in range(30):
        world.person(PEOPLE[number], f"User {number}", department="Sales" if number < 15 else "Research")
    await world.cycle()
    before = await snapshot(world)
    id = await ask(database, world, schema=without(default_schema(world.job), "Sales"))
    ended = await carry_out(database, world)
    assert ended.state == "Succeeded"
    told = await found(database, id)
    assert set(told) == set(PEOPLE[:15])
    assert {row[0] for row in told.values()} == {"stagedDelete"}
    assert ended.result is not None
    assert ended.result["quarantine"]["reason"] == "TooManyDeletes"
    async with database.connection() as conn:
        assert await previews.counts(conn, id) == [("stagedDelete", "warning", "User", "TooManyDeletes", 15)]
    assert await snapshot(world) == before


async def test_preview_of_a_job_that_never_ran(database: Database, world: World) -> None:
    """Everything is a create then, and the job has still never run."""
    world.person(USER, "User")
    id = await ask(database, world)
    ended = await carry_out(database, world)
    assert ended.state == "Succeeded"
    assert {anchor: row[0] for anchor, row in (await found(database, id)).items()} == {USER: "create"}
    assert (await world.state()).last_execution is None
    assert await world.users() == {}


async def test_preview_fails_with_the_source(database: Database, world: World) -> None:
    """A source that cannot be read ends the preview with its error; nothing of the copy stays."""

    class Broken(MemorySource):
        async def changes(self, *_: Any, **__: Any) -> Any:
            raise TransientError("The directory is away.", code="Away")
            yield

    world.source = lambda: Broken(world.directory)
    id = await ask(database, world)
    ended = await carry_out(database, world)
    assert (ended.state, ended.error and ended.error["code"]) == ("Failed", "Away")
    assert await left(database, id) == {}


async def test_preview_that_is_cancelled_stops_at_a_page(database: Database, world: World) -> None:
    """Cancelling stops it at the edge of a page, and its copy goes."""
    for number in range(10):
        world.person(PEOPLE[number], f"User {number}")
    id = await ask(database, world)

    class Slow(MemorySource):
        async def changes(self, *arguments: Any, **more: Any) -> Any:
            number = 0
            async for page in super().changes(*arguments, **more):
                number += 1
                if number == 2:
                    async with database.transaction() as conn:
                        await previews.cancel(conn, world.tenant, id)
                yield page

    world.source = lambda: Slow(world.directory)
    ended = await carry_out(database, world)
    assert ended.state == "Canceled"
    assert await left(database, id) == {}


async def test_preview_left_behind_is_begun_afresh_and_given_up_in_the_end(database: Database, world: World) -> None:
    """A worker that was killed leaves a copy; the next begins anew, and after three times the preview fails."""
    world.person(USER, "User")
    id = await ask(database, world)
    for attempt in range(1, 4):
        async with database.transaction() as conn:
            taken = await previews.take(conn)
            assert taken is not None
            assert taken.attempt == attempt
            await conn.execute("update previews set renewed_at = now() - interval '2 minutes' where id = %s", (id,))
        async with database.transaction() as conn:
            await previews.clear(conn, id)
        async with database.transaction() as conn:
            assert await previews.set_up(conn, taken)
    async with database.transaction() as conn:
        assert await previews.take(conn) is None
        ended = await previews.get(conn, world.tenant, id)
        assert ended is not None
        assert (ended.state, ended.error and ended.error["code"]) == ("Failed", "PreviewInterrupted")
    assert await left(database, id) == {}


async def test_preview_that_was_only_slow_leaves_the_second_one_alone(database: Database, world: World) -> None:
    """A worker that comes back when another has begun afresh writes nothing more and drops nothing of it."""
    for number in range(10):
        world.person(PEOPLE[number], f"User {number}")
    id = await ask(database, world)
    second: list[Preview] = []

    class Slow(MemorySource):
        async def changes(self, *arguments: Any, **more: Any) -> Any:
            number = 0
            async for page in super().changes(*arguments, **more):
                number += 1
                if number == 2:
                    async with database.transaction() as conn:
                        await conn.execute("update previews set renewed_at = now() - interval '2 minutes'")
                        taken = await previews.take(conn)
                        assert taken is not None
                        second.append(taken)
                    async with database.transaction() as conn:
                        await previews.clear(conn, id)
                    async with database.transaction() as conn:
                        assert await previews.set_up(conn, taken)
                        assert await jobs.begin(conn, id, world.job, uuid4())
                yield page

    world.source = lambda: Slow(world.directory)
    ended = await carry_out(database, world)
    assert (ended.state, ended.attempt) == ("Running", 2)
    assert await found(database, id) == {}
    world.source = lambda: MemorySource(world.directory)
    await preview.run(world.context(), second[0])
    async with database.connection() as conn:
        again = await previews.get(conn, world.tenant, id)
    assert again is not None
    assert again.state == "Succeeded"
    assert len(await found(database, id)) == 10
    assert await left(database, id) == {}


async def test_preview_that_was_forgotten_as_it_began_leaves_nothing(database: Database, world: World) -> None:
    """Its cycle may run to its end before anybody notices; then its log goes too."""
    world.person(USER, "User")
    id = await ask(database, world)
    async with database.transaction() as conn:
        taken = await previews.take(conn)
        assert taken is not None
    async with database.transaction() as conn:
        assert await previews.remove(conn, world.tenant, id)
    await preview.run(world.context(), taken)
    assert await found(database, id) == {}
    assert await left(database, id) == {}


async def test_one_preview_at_a_time_runs_for_a_tenant(database: Database, world: World) -> None:
    """The second waits until the first has ended."""
    first, second = await ask(database, world), await ask(database, world)
    async with database.transaction() as conn:
        taken = await previews.take(conn)
        assert taken is not None
        assert taken.id == first
    async with database.transaction() as conn:
        assert await previews.take(conn) is None
        await previews.end(conn, taken, state="Succeeded")
    async with database.transaction() as conn:
        following = await previews.take(conn)
        assert following is not None
        assert following.id == second


async def test_old_previews_go_with_their_events(database: Database, world: World) -> None:
    """After a day nothing of a preview is left."""
    world.person(USER, "User")
    id = await ask(database, world)
    ended = await carry_out(database, world)
    assert await found(database, id)
    async with database.transaction() as conn:
        await previews.prune(conn, ended.created_at + previews.KEPT)
        assert await previews.get(conn, world.tenant, id) is not None
        await previews.prune(conn, ended.created_at + 2 * previews.KEPT)
        assert await previews.get(conn, world.tenant, id) is None
    assert await found(database, id) == {}


@pytest.mark.parametrize("table", TABLES)
def test_every_table_of_a_tenant_is_dealt_with(table: str) -> None:
    """A table that holds rows of a tenant is copied, filled by the cycle itself, or the log; none is forgotten."""
    assert table in {*previews.COPIED, *previews.FILLED, "events"}


async def test_target_outside_is_asked_and_not_written(database: Database) -> None:
    """What would be made, changed and deleted there is told; the application is only read."""
    world = World(database, "cloud")
    await world.found()
    assert world.cloud is not None
    for number, anchor in enumerate(PEOPLE):
        world.person(anchor, f"Person {number}")
    await world.cycle()
    world.team(TEAM, "Team")
    world.directory.add_member(TEAM, PEOPLE[0])
    world.person(NEW, "Newcomer")
    world.directory.set(PEOPLE[1], "department", "Sales")
    world.directory.delete(PEOPLE[2])
    asked, held = dict(world.cloud.requests), {id: dict(r.values) for id, r in world.cloud.records.items()}
    id = await ask(database, world)
    assert (await carry_out(database, world)).state == "Succeeded"
    assert {id: dict(record.values) for id, record in world.cloud.records.items()} == held
    assert {operation for operation, times in world.cloud.requests.items() if times != asked[operation]} == {
        Operation.READ,
        Operation.FIND,
    }
    told = await found(database, id)
    assert {source: (action, status) for source, (action, status, _) in told.items()} == {
        NEW: ("create", "success"),
        TEAM: ("update", "success"),
        PEOPLE[1]: ("update", "success"),
        PEOPLE[2]: ("delete", "success"),
    }
    await world.cycle()
    assert len(world.cloud.live("User")) == len(PEOPLE)
