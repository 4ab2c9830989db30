"""The job engine: which job runs when, on which worker, and never twice at once.

*When* a job runs is `next_run` in our own table. Once a second every worker process hands what is due to Procrastinate
and empties `next_run`; the cycle itself sets it anew. A task holds two locks named after its job: one for running, so
that a job runs once at a time, one for waiting, so that it waits once. A change that arrives while its job runs thus
makes it run once more.

Nothing is lost with a process: a worker that is killed stops sending heartbeats, its tasks are dropped, and their jobs
are due again. `service.worker` runs a `Worker` and gives it the function that runs a cycle.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import procrastinate
import psycopg
from procrastinate import connector, exceptions, worker
from psycopg import AsyncConnection

from dirbridge.contract.errors import TransientError
from dirbridge.store.database import Database, Failure, conninfo, failure
from dirbridge.store.listener import Bell

logger = logging.getLogger(__name__)

TASK = "run_cycle"
QUEUE = "cycles"
LEAST_PAUSE = 0.05
"""Seconds between two looks for what is due, where nobody rings."""

Run = Callable[[str, str], Awaitable[None]]
"""Runs one cycle of a tenant's job, and sets when the next one is due."""


class _Connector(procrastinate.PsycopgConnector):
    """Procrastinate's connector, which goes on when the database restarts under it."""

    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        """Repeat over lost connections: heartbeats, and marking tasks as finished, bear it."""
        for attempt in range(10):
            try:
                await super().execute_query_async(query, **arguments)
            except exceptions.ConnectorException as error:
                cause = error.__cause__
                if isinstance(cause, psycopg.errors.RaiseException):
                    # "Job was not found": finished by an attempt before, or taken over meanwhile.
                    logger.debug("The queue has nothing left to finish: %s", cause)
                    return
                if attempt == 9 or not isinstance(cause, psycopg.Error) or failure(cause) is not Failure.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.5)
            else:
                return

    async def listen_notify(self, on_notification: connector.Notify, channels: Iterable[str]) -> None:
        """Listen again after the connection is lost; meanwhile the worker polls."""
        channels = list(channels)
        while True:
            try:
                await super().listen_notify(on_notification, channels)
            except exceptions.ConnectorException as error:
                logger.debug("Listening for tasks was interrupted: %s", error.__cause__)
                await asyncio.sleep(1)


def build_app(database_url: str, run: Run, *, connections: int = 4) -> procrastinate.App:
    """Make the queue's application with its one task."""
    app = procrastinate.App(
        connector=_Connector(
            conninfo=conninfo(database_url, name="dirbridge queue"),
            min_size=1,
            max_size=connections,
            reconnect_timeout=4,
        )
    )

    @app.task(name=TASK, queue=QUEUE)
    async def run_cycle(tenant: str, job: str) -> None:
        await run(tenant, job)

    return app


def lock_of(tenant: UUID | str, job: str) -> str:
    """The name of a job's lock; ids of jobs are unique within a tenant."""
    return f"{tenant}/{job}"


async def enqueue(app: procrastinate.App, conn: AsyncConnection[Any], tenant: UUID | str, job: str) -> bool:
    """Put a job into the queue as part of the caller's transaction.

    Returns:
        False where it waits there already.
    """
    lock = lock_of(tenant, job)
    task = app.configure_task(TASK, queue=QUEUE, lock=lock, queueing_lock=lock, connection=conn)
    try:
        # Already waiting is told by a violated index, which would undo the caller's transaction as a whole.
        async with conn.transaction():
            await task.defer_async(tenant=str(tenant), job=job)
    except exceptions.AlreadyEnqueued:
        return False
    return True


async def enqueue_due(app: procrastinate.App, database: Database, *, most: int = 200) -> int:
    """Put every job that is due into the queue; any number of processes may do so at once.

    One that runs is left for a later tick: a task that waits for a lock is found only by the worker's slow polling.

    Returns:
        How many were put there.
    """
    async with database.transaction() as conn:
        cursor = await conn.execute(
            """select tenant, id from jobs j where state = 'Active' and next_run <= now() and not exists (
                 select from procrastinate_jobs t where t.lock = j.tenant || '/' || j.id and t.status = 'doing')
               order by next_run limit %s for no key update skip locked""",
            (most,),
        )
        due = await cursor.fetchall()
        for tenant, job in due:
            await enqueue(app, conn, tenant, job)
            await conn.execute("update jobs set next_run = null where tenant = %s and id = %s", (tenant, job))
    return len(due)


async def take_over(database: Database, *, silence: timedelta, lost: Iterable[int] = ()) -> list[tuple[UUID, str]]:
    """Drop the tasks of workers that are silent or gone, and make their jobs due.

    The task is dropped, not handed on: should its worker live after all, it cannot finish what another began, and the
    job's generation keeps it from writing.

    Args:
        silence: the age of a worker's last heartbeat from which it counts as dead.
        lost: further tasks of which is known that nobody runs them.

    Returns:
        Tenant and id of each job that is due again.
    """
    async with database.transaction() as conn:
        cursor = await conn.execute(
            """with dropped as (
                 delete from procrastinate_jobs t
                 where t.status = 'doing' and t.task_name = %(task)s
                   and (t.id = any(%(lost)s) or t.worker_id is null or exists (
                     select from procrastinate_workers w
                     where w.id = t.worker_id and w.last_heartbeat < now() - %(silence)s))
                 returning t.args)
               update jobs j set next_run = now() from dropped d
               where j.tenant = (d.args ->> 'tenant')::uuid and j.id = d.args ->> 'job' and j.state = 'Active'
               returning j.tenant, j.id""",
            {"task": TASK, "lost": list(lost), "silence": silence},
        )
        return [(tenant, job) for tenant, job in await cursor.fetchall()]


async def repair(database: Database) -> int:
    """Make due every active job that is neither in the queue nor has a time; returns how many there were.

    There is none unless the queue's tables were emptied, or restored without ours.
    """
    async with database.transaction() as conn:
        result = await conn.execute(
            """update jobs j set next_run = now()
               where j.state = 'Active' and j.next_run is null and not exists (
                 select from procrastinate_jobs t
                 where t.lock = j.tenant || '/' || j.id and t.status in ('todo', 'doing'))"""
        )
        return result.rowcount


async def until_due(database: Database) -> timedelta | None:
    """Tell how long it is until the next job that waits is due; None where none does."""
    async with database.connection() as conn:
        cursor = await conn.execute(
            "select min(next_run) - clock_timestamp() from jobs where state = 'Active' and cycle is null"
        )
        row = await cursor.fetchone()
    assert row is not None
    found: timedelta | None = row[0]
    return found


class Worker:
    """Runs jobs that are due in this process, until told to stop.

    Args:
        database: opened; used for the tick. The queue has a small pool of its own.
        run: runs one cycle.
        concurrency: how many jobs run at once.
        tick: how often is looked for what is due, at least.
        bell: rings when something may be due before that.
        heartbeat: how often the worker says that it lives.
        silence: after which it is taken for dead, by others.
        grace: how long running jobs may go on after `stop`, before they are cancelled.
    """

    def __init__(
        self,
        database: Database,
        run: Run,
        *,
        concurrency: int = 16,
        tick: timedelta = timedelta(seconds=1),
        heartbeat: timedelta = timedelta(seconds=5),
        silence: timedelta = timedelta(seconds=20),
        grace: timedelta = timedelta(seconds=10),
        bell: Bell | None = None,
    ) -> None:
        self._database = database
        self._run = run
        self._concurrency = concurrency
        self._tick = tick.total_seconds()
        self._heartbeat = heartbeat.total_seconds()
        self._silence = silence
        self._grace = grace.total_seconds()
        self._bell = bell or Bell()
        self._stopping = asyncio.Event()
        self._worker: worker.Worker | None = None
        self._running: set[str] = set()
        self._missed: set[int] = set()

    def stop(self) -> None:
        """Take no more jobs; `run` returns when those under way have ended, or after the grace."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call]  # Procrastinate left it unannotated

    async def run(self) -> None:
        """Work until `stop`, or until cancelled; through restarts of the database."""
        while not self._stopping.is_set():
            try:
                await self._work()
            except Exception as error:  # noqa: BLE001 - whatever it was, the jobs must go on
                logger.warning(
                    "The worker was interrupted and starts again: %s",
                    error.__cause__ or error,
                    extra={"event": "worker.interrupted"},
                )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._tick)

    async def _work(self) -> None:
        app = build_app(self._database.url, self._cycle)
        async with app.open_async():
            self._worker = worker.Worker(
                app,
                queues=[QUEUE],
                concurrency=self._concurrency,
                # Of a task that comes just while it looks for one, Procrastinate's worker forgets that it was told.
                fetch_job_polling_interval=min(self._tick, self._heartbeat),
                shutdown_graceful_timeout=self._grace,
                delete_jobs="always",
                install_signal_handlers=False,
                update_heartbeat_interval=self._heartbeat,
                stalled_worker_timeout=self._silence.total_seconds(),
            )
            ticker = asyncio.create_task(self._keep_ticking(app, self._worker), name="tick")
            try:
                if not self._stopping.is_set():
                    await self._worker.run()  # type: ignore[no-untyped-call]
            finally:
                self._worker = None
                ticker.cancel()
                await asyncio.gather(ticker, return_exceptions=True)

    async def _cycle(self, tenant: str, job: str) -> None:
        lock = lock_of(tenant, job)
        self._running.add(lock)
        try:
            await self._run(tenant, job)
        except asyncio.CancelledError:
            # Stopped before its end: whoever works next goes on with it at once.
            await asyncio.shield(self._due(tenant, job, "now()"))
            raise
        except Exception:
            logger.exception("Job %s failed.", job, extra={"event": "job.failed", "tenant": tenant, "job": job})
            await self._due(tenant, job, "coalesce(next_run, now() + interval)")
        finally:
            self._running.discard(lock)
            self._bell.ring()  # what came meanwhile may be due now

    async def _due(self, tenant: str, job: str, when: str) -> None:
        try:
            async with self._database.connection() as conn:
                await conn.execute(
                    f"update jobs set next_run = {when} where tenant = %s and id = %s and state = 'Active'".encode(),
                    (tenant, job),
                )
        except TransientError as error:
            logger.warning("Job %s stays as it is until it is missed: %s", job, error, extra={"event": "job.unsettled"})

    async def _keep_ticking(self, app: procrastinate.App, own: worker.Worker) -> None:
        """Look for what is due every tick or when told, for what was left behind every heartbeat."""
        loop = asyncio.get_running_loop()
        look_after = loop.time()
        while True:
            pause = self._tick
            try:
                if loop.time() >= look_after:
                    look_after = loop.time() + self._heartbeat
                    await self._look_after(own)
                await enqueue_due(app, self._database)
                pause = self._pause(await until_due(self._database))
            except Exception as error:  # noqa: BLE001 - the next tick tries again
                logger.warning("Looking for jobs that are due failed: %s", error, extra={"event": "tick.failed"})
            await self._bell.wait(pause)

    def _pause(self, until: timedelta | None) -> float:
        """Give the seconds until the next look: one that is due has just ended, and its task goes at once."""
        return self._tick if until is None else min(self._tick, max(until.total_seconds(), LEAST_PAUSE))

    async def _look_after(self, own: worker.Worker) -> None:
        for tenant, job in await take_over(self._database, silence=self._silence, lost=await self._lost(own.worker_id)):
            logger.warning(
                "Job %s was left behind by a worker and is taken over.",
                job,
                extra={"event": "job.taken_over", "tenant": str(tenant), "job": job},
            )
        if missed := await repair(self._database):
            logger.warning("%d jobs had dropped out of the queue and are due now.", missed)

    async def _lost(self, worker_id: int | None) -> set[int]:
        """Tasks that the queue believes we run and we do not, twice in a row.

        Such are left when the connection broke while a task was fetched or finished.
        """
        async with self._database.connection() as conn:
            cursor = await conn.execute(
                "select id, lock from procrastinate_jobs where status = 'doing' and worker_id = %s", (worker_id,)
            )
            idle = {task for task, lock in await cursor.fetchall() if lock not in self._running}
        lost, self._missed = idle & self._missed, idle
        return lost
