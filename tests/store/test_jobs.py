"""Jobs: generations, restarts, positions, and when the next cycle is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from dirbridge.contract.entry import Watermark
from dirbridge.contract.errors import Fenced
from dirbridge.store import due, jobs, links, references, removals, seen
from dirbridge.store.due import Due
from dirbridge.store.jobs import Job
from dirbridge.store.links import Link
from dirbridge.store.removals import Removal
from tests.engine.world import World

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def begin(world: World) -> Job:
    async with world.database.transaction() as conn:
        job = await jobs.begin(conn, world.tenant, world.job, uuid4())
    assert job is not None
    return job


async def finish(
    world: World, job: Job, *, wait: timedelta | None = None, succeeded: bool = True, faultless: bool = True
) -> timedelta:
    """Close a cycle; gives how long it is until the next."""
    async with world.database.transaction() as conn:
        await jobs.finish(
            conn, world.tenant, world.job, execution={"state": "x"}, succeeded=succeeded, faultless=faultless,
            exported=True, quarantine=None, wait=wait, scheduled=job.next_run, at=NOW,
        )  # fmt: skip
        (found,) = await (
            await conn.execute("select next_run - now() from jobs where id = %s", (world.job,))
        ).fetchone() or (None,)
    assert isinstance(found, timedelta)
    return found


async def set_next_run(world: World, ago: timedelta) -> None:
    async with world.database.transaction() as conn:
        await conn.execute("update jobs set next_run = now() - %s where id = %s", (ago, world.job))


async def test_who_holds_an_old_generation_is_fenced(world: World) -> None:
    """Taking a job over, pausing, restarting and a new schema all raise it."""
    first = await begin(world)
    second = await begin(world)
    assert second.generation == first.generation + 1
    async with world.database.transaction() as conn:
        await jobs.fence(conn, world.tenant, world.job, second.generation)
        with pytest.raises(Fenced):
            await jobs.fence(conn, world.tenant, world.job, first.generation)
        with pytest.raises(Fenced):
            await jobs.fence(conn, world.tenant, "no such job", 1)
    generation = second.generation
    for act in (
        lambda conn: jobs.restart(conn, world.tenant, world.job, set()),
        lambda conn: jobs.set_schema(conn, world.tenant, world.job, second.document()),
        lambda conn: jobs.pause(conn, world.tenant, world.job),
    ):
        async with world.database.transaction() as conn:
            assert await act(conn)
            assert not await jobs.is_current(conn, world.tenant, world.job, generation)
        generation = (await world.state()).generation


async def test_paused_job_is_not_taken(world: World) -> None:
    """Nor one that is gone; started again it is due at once."""
    async with world.database.transaction() as conn:
        await jobs.pause(conn, world.tenant, world.job)
        assert await jobs.begin(conn, world.tenant, world.job, uuid4()) is None
        assert await jobs.begin(conn, world.tenant, "no such job", uuid4()) is None
        assert not await jobs.nudge(conn, world.tenant, world.job)
        assert await jobs.start(conn, world.tenant, world.job)
        assert await jobs.begin(conn, world.tenant, world.job, uuid4()) is not None


async def test_next_cycle_comes_after_the_interval(world: World) -> None:
    """Or after the given wait."""
    assert await finish(world, await begin(world)) == timedelta(minutes=2)
    assert await finish(world, await begin(world), wait=timedelta(hours=3)) == timedelta(hours=3)


async def test_long_failing_cycle_still_backs_off(world: World) -> None:
    """A cycle that took longer than the interval is not due at once because of that."""
    job = await begin(world)
    await set_next_run(world, timedelta(minutes=8))
    moved = (await world.state()).next_run
    assert await finish(world, _with(job, moved), wait=timedelta(hours=1), succeeded=False) == timedelta(hours=1)


def _with(job: Job, next_run: datetime | None) -> Job:
    import msgspec

    return msgspec.structs.replace(job, next_run=next_run)


async def test_nudge_during_a_cycle_is_kept(world: World) -> None:
    """It makes the job due at once when it ends, failed or not."""
    job = await begin(world)
    async with world.database.transaction() as conn:
        assert await jobs.nudge(conn, world.tenant, world.job)
    assert await finish(world, job, wait=timedelta(hours=1)) <= timedelta()


async def test_nudge_just_before_a_cycle_ends_is_kept(world: World) -> None:
    """Also where it came between the beginning of the last transaction and its first look at the job."""
    job = await begin(world)
    async with world.database.transaction() as conn:
        await conn.execute("select 1")
        async with world.database.transaction() as person:
            assert await jobs.nudge(person, world.tenant, world.job)
        await jobs.finish(
            conn, world.tenant, world.job, execution={}, succeeded=True, faultless=True, exported=False,
            quarantine=None, wait=None, scheduled=job.next_run, at=NOW,
        )  # fmt: skip
    assert await until_next(world) <= timedelta()


SECOND = timedelta(seconds=1)


async def changed(world: World, age: timedelta = timedelta()) -> int:
    """Let the directory of the world's job change."""
    async with world.database.transaction() as conn:
        return await jobs.changed(conn, world.tenant, (await world.state()).domain, age)


async def until_next(world: World) -> timedelta:
    async with world.database.connection() as conn:
        cursor = await conn.execute("select next_run - now(), begun_at - now() from jobs where id = %s", (world.job,))
        row = await cursor.fetchone()
    assert row is not None
    assert isinstance(row[0], timedelta)
    return row[0]


async def long_ago(world: World) -> None:
    """Let the last cycle have begun a minute ago."""
    async with world.database.transaction() as conn:
        await conn.execute("update jobs set begun_at = begun_at - interval '1 minute' where id = %s", (world.job,))


async def test_change_in_the_directory_makes_its_jobs_due(world: World) -> None:
    """Those that wait for their interval; of no other directory, and none that failed, was stopped or put aside."""
    async with world.database.transaction() as conn:
        for job, state in {
            "healthy": "successive_failures = 0",
            "failed": "successive_failures = 1",
            "quarantined": 'quarantine = \'{"reason": "Unknown"}\'',
            "paused": "state = 'Paused'",
            "elsewhere": "domain = 'other.test'",
            "queued": "next_run = null",
        }.items():
            await conn.execute(
                """insert into jobs (tenant, id, service_principal, template_id, domain, schema, state, next_run)
                   select tenant, %s, service_principal, template_id, domain, schema, 'Active', now() + interval '1 h'
                   from jobs where id = %s""",
                (job, world.job),
            )
            await conn.execute(f"update jobs set {state} where id = %s".encode(), (job,))
        await conn.execute("delete from jobs where id = %s", (world.job,))
        assert await jobs.changed(conn, world.tenant, "no.such.test", timedelta()) == 0
        domain = await (await conn.execute("select domain from jobs where id = 'healthy'")).fetchone()
        assert domain is not None
        assert await jobs.changed(conn, world.tenant, domain[0], timedelta()) == 2
        cursor = await conn.execute("select id from jobs where next_run <= now()")
        assert [row[0] for row in await cursor.fetchall()] == ["healthy"]
        cursor = await conn.execute("select id from jobs where next_run is null")
        assert [row[0] for row in await cursor.fetchall()] == ["queued"]


async def test_change_comes_at_most_once_a_second(world: World) -> None:
    """A second after the last cycle began, however many changes there are; at once where that is longer ago."""
    await finish(world, await begin(world))
    assert await changed(world) == 1
    assert timedelta() < await until_next(world) <= SECOND
    due = (await world.state()).next_run
    assert await changed(world) == 1
    assert (await world.state()).next_run == due
    await long_ago(world)
    assert await changed(world) == 1
    assert await until_next(world) <= timedelta()


async def test_change_during_a_cycle_makes_one_more(world: World) -> None:
    """A second after it began, or as soon as it ends where that is later; once."""
    job = await begin(world)
    assert await changed(world) == 1
    assert await until_next(world) > SECOND  # who looks for what is due leaves it alone
    assert timedelta() < await finish(world, job) <= SECOND
    job = await begin(world)
    assert await finish(world, job) == timedelta(minutes=2)
    job = await begin(world)
    assert await changed(world) == 1
    await long_ago(world)
    assert await finish(world, job) == timedelta()


async def test_change_does_not_hasten_what_fails(world: World) -> None:
    """A cycle that fails waits as ever, whatever came meanwhile; and so does its job from then on."""
    job = await begin(world)
    assert await changed(world) == 1
    assert await finish(world, job, wait=timedelta(hours=1), succeeded=False) == timedelta(hours=1)
    assert await changed(world) == 0
    assert await until_next(world) > timedelta(minutes=59)


async def test_change_that_a_cycle_has_read_counts_no_more(world: World) -> None:
    """Seen before the last cycle began, it was there to be read; a second agent that tells of it makes no cycle."""
    await finish(world, await begin(world))
    assert await changed(world, age=timedelta(seconds=5)) == 0
    assert await until_next(world) > timedelta(minutes=1)
    await long_ago(world)
    assert await changed(world, age=timedelta(seconds=5)) == 1


async def test_finish_keeps_the_story(world: World) -> None:
    """Failures count until a success; the last one without errors stays known, one with failed entries is none."""
    await finish(world, await begin(world), faultless=False)
    job = await world.state()
    assert (job.last_success, job.last_success_with_exports) == (None, {"state": "x"})
    assert job.steady_last == job.steady_first == NOW
    await finish(world, await begin(world))
    await finish(world, await begin(world), succeeded=False)
    await finish(world, await begin(world), succeeded=False)
    job = await world.state()
    assert (job.successive_failures, job.last_success, job.cycle, job.progress) == (2, {"state": "x"}, None, None)
    await finish(world, await begin(world))
    assert (await world.state()).successive_failures == 0


async def test_wake_reaches_what_waits_because_it_failed(world: World) -> None:
    """Of the domain or configuration; not who runs by its interval, is paused, or was stopped by a person's word."""
    record = '{"reason": "EncounteredQuarantineException"}'
    states = {
        "failed": "successive_failures = 1",
        "quarantined": f"quarantine = '{record}'",
        "healthy": "successive_failures = 0",
        "ordered": 'quarantine = \'{"reason": "QuarantinedOnDemand"}\', successive_failures = 3',
        "paused": f"quarantine = '{record}', state = 'Paused'",
        "disabled": f"quarantine = '{record}', state = 'Disabled'",
        "elsewhere": f"quarantine = '{record}', domain = 'other.test'",
    }
    async with world.database.transaction() as conn:
        for job, state in states.items():
            await conn.execute(
                """insert into jobs (tenant, id, service_principal, template_id, domain, schema, state, next_run)
                   select tenant, %s, service_principal, template_id, domain, schema, 'Active',
                     now() + interval '1 hour' from jobs where id = %s""",
                (job, world.job),
            )
            await conn.execute(f"update jobs set {state} where id = %s".encode(), (job,))
    principal = (await world.state()).service_principal
    for which, woken in (
        ({"domains": ["contoso.test"]}, ["failed", "quarantined"]),
        ({"domains": ["none.test"]}, []),
        ({"domains": []}, []),
        ({"principal": principal}, ["elsewhere", "failed", "quarantined"]),
        ({"principal": uuid4()}, []),
        ({"principal": principal, "domains": ["other.test"]}, ["elsewhere"]),
        ({}, ["elsewhere", "failed", "quarantined"]),
    ):
        async with world.database.connection() as conn, conn.transaction(force_rollback=True):
            assert sorted(await jobs.wake(conn, world.tenant, **which)) == woken, which  # type: ignore[arg-type]
            # Once is enough: what is due is not woken again.
            assert await jobs.wake(conn, world.tenant, **which) == []  # type: ignore[arg-type]
            assert await jobs.wake(conn, uuid4(), **which) == []  # type: ignore[arg-type]


async def _lay_down(world: World) -> None:
    """Something of everything that a job has."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await jobs.keep_watermark(*key, Watermark("dc", b"1"), idle=None)
        await seen.add(*key, uuid4(), ["a"])
        await due.put(*key, [Due("a", "EntryFailed", NOW, 1)])
        await links.put(*key, [Link("a", "user", "a", None, uuid4(), "provisioned", "", b"digest")])
        await removals.put(*key, [Removal("a", "user", "delete", "Tombstone")])
        await conn.execute(
            "insert into entry_references (tenant, job, owner, attribute, referenced, is_written)"
            " values (%s, %s, 'g', 'member', 'a', true)",
            (world.tenant, world.job),
        )


async def test_idle_position_is_stored_seldom(world: World) -> None:
    """One that moved is stored at once; one that did not when the stored one is old."""
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await jobs.keep_watermark(*key, Watermark("dc", b"1"), idle=timedelta(minutes=10))
        await jobs.keep_watermark(*key, Watermark("dc", b"2"), idle=timedelta(minutes=10))
        assert await jobs.watermark(*key) == Watermark("dc", b"1")
        await jobs.keep_watermark(*key, Watermark("dc", b"3"), idle=None)
        await jobs.keep_watermark(*key, Watermark("other", b"9"), idle=None)
        assert await jobs.watermark(*key) == Watermark("other", b"9")
        await conn.execute("update watermarks set taken_at = now() - interval '11 minutes' where replica = 'dc'")
        await jobs.keep_watermark(*key, Watermark("dc", b"4"), idle=timedelta(minutes=10))
        await conn.execute("delete from watermarks where replica = 'other'")
        assert await jobs.watermark(*key) == Watermark("dc", b"4")


async def test_full_read_is_gone_on_with_only_from_a_position(world: World) -> None:
    """Interrupted before its first position it starts afresh."""
    full_read = uuid4()
    async with world.database.transaction() as conn:
        key = (conn, world.tenant, world.job)
        await jobs.begin_full_read(*key, full_read)
        assert await jobs.full_read_under_way(*key) == (None, True)
        await jobs.keep_watermark(*key, Watermark("dc", b"1"), idle=None)
        assert await jobs.full_read_under_way(*key) == (full_read, True)
        await jobs.end_full_read(*key)
        assert await jobs.full_read_under_way(*key) == (None, False)


async def test_delete_takes_all_state_along(world: World) -> None:
    """And nothing of another job."""
    await _lay_down(world)
    first, world.job = world.job, "another"
    async with world.database.transaction() as conn:
        await conn.execute(
            """insert into jobs (tenant, id, service_principal, template_id, domain, schema)
               select tenant, 'another', service_principal, template_id, domain, schema from jobs where id = %s""",
            (first,),
        )
    await _lay_down(world)
    async with world.database.transaction() as conn:
        assert await jobs.delete(conn, world.tenant, first)
        assert not await jobs.delete(conn, world.tenant, first)
    for table in ("links", "entry_references", "seen", "due", "removals", "watermarks"):
        assert await world.rows(f"select distinct job from {table} where tenant = %s") == [("another",)], table


async def test_counts_by_type(world: World) -> None:
    """Only what is provisioned counts."""
    async with world.database.transaction() as conn:
        states = [("a", "user", "provisioned"), ("b", "user", "skipped"), ("c", "group", "provisioned")]
        rows = [Link(a, kind, a, None, uuid4(), state, "", None) for a, kind, state in states]
        await links.put(conn, world.tenant, world.job, rows)
        assert await jobs.counts_by_type(conn, world.tenant, world.job) == {"group": 1, "user": 1}
        assert await links.total(conn, world.tenant, world.job) == 3
        assert await references.count_missing(conn, world.tenant, world.job, ["a"]) == {}
