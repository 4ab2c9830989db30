"""The job engine on real PostgreSQL: what is due runs, once at a time, whoever dies."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from psycopg.rows import dict_row

from dirbridge.store import queue
from dirbridge.store.database import Database
from dirbridge.store.embedded import EmbeddedServer
from dirbridge.store.listener import Bell
from dirbridge.store.migrate import migrate
from dirbridge.store.queue import Worker

TENANT = UUID("6b1d2a52-6f0e-4d38-8d6e-0d6c8b1d2a52")
QUICK = {
    "tick": timedelta(seconds=0.05),
    "heartbeat": timedelta(seconds=0.3),
    "silence": timedelta(seconds=2),
    "grace": timedelta(seconds=0.3),
}


async def make_jobs(database: Database, *names: str, state: str = "Active", due: str = "now()") -> None:
    """Make jobs that are due."""
    async with database.transaction() as conn:
        await conn.execute(
            """insert into tenants (id, name, initial_domain, base_url) values (%s, 'Contoso', 'c.example', '')
               on conflict do nothing""",
            [TENANT],
        )
        await conn.execute(
            """insert into service_principals (tenant, id, app_id, display_name) values (%s, %s, %s, '')
               on conflict do nothing""",
            [TENANT, TENANT, TENANT],
        )
        for name in names:
            await conn.execute(
                f"""insert into jobs (tenant, id, service_principal, template_id, domain, schema, state, next_run)
                    values (%s, %s, %s, 'AD2AAD', 'ad.example', '{{}}', %s, {due})""",
                [TENANT, name, TENANT, state],
            )


@asynccontextmanager
async def working(
    database: Database, run: queue.Run, bell: Bell | None = None, **settings: timedelta
) -> AsyncIterator[Worker]:
    worker = Worker(database, run, bell=bell, **{**QUICK, **settings})
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await asyncio.wait_for(task, 20)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


async def next_runs(database: Database) -> dict[str, object]:
    async with database.connection() as conn:
        cursor = await conn.execute("select id, next_run from jobs order by id")
        return dict(await cursor.fetchall())


async def tasks(database: Database) -> list[tuple[str, str]]:
    async with database.connection() as conn:
        cursor = await conn.execute("select lock, status::text from procrastinate_jobs order by id")
        return await cursor.fetchall()


async def test_what_is_due_runs(database: Database) -> None:
    """Two due jobs run side by side; paused, disabled and future ones do not; finished tasks are gone."""
    await make_jobs(database, "a", "b")
    await make_jobs(database, "paused", state="Paused")
    await make_jobs(database, "disabled", state="Disabled")
    await make_jobs(database, "later", due="now() + interval '1 hour'")
    together = asyncio.Barrier(2)
    ran: list[tuple[str, str]] = []

    async def run(tenant: str, job: str) -> None:
        await together.wait()
        ran.append((tenant, job))
        async with database.connection() as conn:
            await conn.execute("update jobs set next_run = now() + interval '1 hour' where id = %s", [job])

    async with working(database, run):

        async def finished() -> bool:
            return len(ran) == 2 and not await tasks(database)

        await until(finished)
    assert sorted(ran) == [(str(TENANT), "a"), (str(TENANT), "b")]


async def test_a_job_never_runs_twice_at_once(database: Database) -> None:
    """Three workers and a job that is nudged all the time: one cycle at a time, and again after each."""
    await make_jobs(database, "a")
    now, most, count = 0, 0, 0

    async def run(tenant: str, job: str) -> None:
        nonlocal now, most, count
        now, count = now + 1, count + 1
        most = max(most, now)
        for _ in range(5):
            async with database.connection() as conn:
                await conn.execute("update jobs set next_run = now() where id = %s", [job])
            await asyncio.sleep(0.01)
        now -= 1

    async with working(database, run), working(database, run), working(database, run):

        async def often() -> bool:
            return count >= 6

        await until(often)
    assert most == 1


async def test_a_nudge_during_a_cycle_makes_one_more(database: Database) -> None:
    """Whatever comes while a job runs, it runs once more, not once a nudge."""
    await make_jobs(database, "a")
    began, go_on, count = asyncio.Event(), asyncio.Event(), 0

    async def run(tenant: str, job: str) -> None:
        nonlocal count
        count += 1
        began.set()
        await go_on.wait()
        if count == 2:
            async with database.connection() as conn:
                await conn.execute("update jobs set next_run = now() + interval '1 hour' where id = %s", [job])

    async with working(database, run):
        await asyncio.wait_for(began.wait(), 30)
        for _ in range(3):
            async with database.connection() as conn:
                await conn.execute("update jobs set next_run = now() where id = 'a'")
        assert await queue.enqueue_due(queue.build_app(database.url, run), database) == 0
        assert await tasks(database) == [(f"{TENANT}/a", "doing")]
        go_on.set()

        async def finished() -> bool:
            return count == 2 and not await tasks(database)

        await until(finished)


async def test_what_is_due_is_looked_for_when_told(database: Database) -> None:
    """A bell, the end of a cycle and the moment at which a job is due all come before the next tick."""
    ran: list[str] = []
    again = asyncio.Event()

    async def run(_: str, job: str) -> None:
        ran.append(job)
        when = "null" if again.is_set() else "now() + interval '0.3 seconds'"
        again.set()
        async with database.connection() as conn:
            await conn.execute(f"update jobs set next_run = {when} where id = %s".encode(), (job,))

    bell = Bell()
    async with asyncio.timeout(20), working(database, run, tick=timedelta(seconds=60), bell=bell):
        await until(lambda: _working(database))
        await make_jobs(database, "job")
        bell.ring()
        await until(lambda: _are(ran, ["job", "job"]))


async def _working(database: Database) -> bool:
    async with database.connection() as conn:
        return await (await conn.execute("select from procrastinate_workers")).fetchone() is not None


async def _are(found: list[str], wanted: list[str]) -> bool:
    return found == wanted


async def test_enqueue_belongs_to_the_callers_transaction(database: Database) -> None:
    """A job that waits already leaves the transaction usable; a transaction that is undone enqueues nothing."""
    await make_jobs(database, "a", "b")
    app = queue.build_app(database.url, lambda tenant, job: asyncio.sleep(0))
    async with app.open_async():
        async with database.transaction() as conn:
            assert await queue.enqueue(app, conn, TENANT, "a")
            assert not await queue.enqueue(app, conn, TENANT, "a")
            await conn.execute("update jobs set next_run = null where id = 'a'")
        with pytest.raises(ZeroDivisionError):
            async with database.transaction() as conn:
                await queue.enqueue(app, conn, TENANT, "b")
                raise ZeroDivisionError
        assert await tasks(database) == [(f"{TENANT}/a", "todo")]
        assert await queue.enqueue_due(app, database) == 1  # b; a is enqueued already
        assert await queue.enqueue_due(app, database) == 0
        assert await tasks(database) == [(f"{TENANT}/a", "todo"), (f"{TENANT}/b", "todo")]


async def test_a_failing_cycle_comes_again_after_its_interval(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A cycle that raises is told in the log and is due again, not at once."""
    await make_jobs(database, "a")

    async def run(tenant: str, job: str) -> None:
        raise ZeroDivisionError

    async with working(database, run):

        async def failed() -> bool:
            return (await next_runs(database))["a"] is not None and not await tasks(database)

        await until(lambda: _logged(caplog, "Job a failed"))
        await until(failed)
    async with database.connection() as conn:
        cursor = await conn.execute("select next_run - now() between '1 minute' and '2 minutes' from jobs")
        assert await cursor.fetchone() == (True,)


async def _logged(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text


async def test_a_stopped_worker_hands_its_job_on(database: Database) -> None:
    """Stopping cancels a cycle after the grace, and the next worker takes the job at once."""
    await make_jobs(database, "a")
    began = asyncio.Event()

    async def endless(tenant: str, job: str) -> None:
        began.set()
        await asyncio.Event().wait()

    async with working(database, endless):
        await asyncio.wait_for(began.wait(), 30)
    assert "doing" not in {status for _, status in await tasks(database)}
    finished = asyncio.Event()

    async def run(tenant: str, job: str) -> None:
        finished.set()

    async with working(database, run):
        await asyncio.wait_for(finished.wait(), 10)


async def test_a_job_that_dropped_out_is_due_again(database: Database) -> None:
    """An active job without a time and without a task is found; one that waits in the queue is left alone."""
    await make_jobs(database, "lost", "waiting", due="null")
    await make_jobs(database, "paused", state="Paused", due="null")
    app = queue.build_app(database.url, lambda tenant, job: asyncio.sleep(0))
    async with app.open_async(), database.transaction() as conn:
        await queue.enqueue(app, conn, TENANT, "waiting")
    assert await queue.repair(database) == 1
    found = await next_runs(database)
    assert found["lost"] is not None
    assert (found["waiting"], found["paused"]) == (None, None)


async def test_a_task_nobody_runs_is_taken_over(database: Database) -> None:
    """A task that the queue believes a living worker runs, and it does not, makes its job due again."""
    await make_jobs(database, "a", due="now() + interval '1 hour'")
    ran = asyncio.Event()

    async def run(tenant: str, job: str) -> None:
        ran.set()

    async with working(database, run):

        async def registered() -> bool:
            async with database.connection() as conn:
                cursor = await conn.execute(
                    """insert into procrastinate_jobs (queue_name, task_name, lock, args, status, worker_id)
                       select 'cycles', 'run_cycle', %s, %s, 'doing', id from procrastinate_workers limit 1""",
                    [f"{TENANT}/a", f'{{"tenant": "{TENANT}", "job": "a"}}'],
                )
                return cursor.rowcount == 1

        await until(registered)
        await asyncio.wait_for(ran.wait(), 20)


async def test_a_killed_worker_is_taken_over(database: Database) -> None:
    """kill -9 in mid-cycle: another process has the job running within seconds of the silence."""
    await make_jobs(database, "a")
    async with database.connection() as conn:
        await conn.execute(
            """create table runs (id bigserial primary key, process integer not null, job text not null,
                 began timestamptz not null default clock_timestamp(), ended timestamptz)"""
        )

    async def runs() -> list[dict[str, object]]:
        async with database.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute("select process, job, ended is not null as ended from runs order by id")
            return await cursor.fetchall()

    first = await _process(database.url, 600)
    second = None
    try:

        async def began() -> bool:
            return len(await runs()) == 1

        await until(began)
        second = await _process(database.url, 0)
        os.kill(first.pid, signal.SIGKILL)

        async def taken_over() -> bool:
            return any(run["process"] == second.pid and run["ended"] for run in await runs())

        await until(taken_over)
        assert (await runs())[:2] == [
            {"process": first.pid, "job": "a", "ended": False},
            {"process": second.pid, "job": "a", "ended": True},
        ]
    finally:
        for process in (first, second):
            if process is not None and process.returncode is None:
                process.kill()
            if process is not None:
                await process.wait()


async def test_a_killed_database_is_survived(folder: Path) -> None:
    """Kill -9 of PostgreSQL under a worker at work: it goes on with its jobs by itself."""
    async with EmbeddedServer(folder / "data", durable=False) as server:
        await migrate(server.url())
        async with Database(server.url()) as database:
            await make_jobs(database, "a", "b")
            count = 0

            async def run(tenant: str, job: str) -> None:
                nonlocal count
                async with database.transaction() as conn:
                    await conn.execute("update jobs set next_run = now() where id = %s", [job])
                    await asyncio.sleep(0.02)
                count += 1

            async with working(database, run):
                for times in (1, 2, 3):
                    before = count

                    async def ran(before: int = before) -> bool:
                        return count > before + 5

                    await until(ran)
                    assert server.pid is not None
                    os.kill(server.pid, signal.SIGKILL)
                    async with asyncio.timeout(30):
                        while server.restarts < times:
                            await asyncio.sleep(0.02)
                before = count
                await until(lambda: _more(lambda: count > before + 5))


async def _more(condition: Callable[[], bool]) -> bool:
    return condition()


async def _process(url: str, seconds: float) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.queue_worker", url, str(seconds), cwd=Path(__file__).parent.parent.parent
    )
