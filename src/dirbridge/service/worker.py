"""The worker: runs the cycles that are due in this process, and clears away what is old.

`service.process` starts it. When a job runs and that it runs once is `store.queue`'s affair, what a cycle does is
`engine.cycle`'s; here they meet the agents' channel and the tenant directory.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dirbridge.contract.errors import DirbridgeError
from dirbridge.engine import cycle, preview
from dirbridge.engine.run import Context
from dirbridge.service import contexts
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.notify.delivery import Courier
from dirbridge.service.settings import Settings
from dirbridge.store import housekeeping, jobs, previews, queue
from dirbridge.store.database import Database
from dirbridge.store.listener import Listener

logger = logging.getLogger(__name__)


async def work(
    settings: Settings,
    database: Database,
    sealing: Sealing,
    listener: Listener,
    courier: Courier,
    stop: asyncio.Event,
) -> None:
    """Run cycles until told to stop; those under way then end at their page's edge.

    Args:
        settings: how many at once, how often is looked for what is due.
        database: opened, with its tables.
        sealing: opens what jobs authenticate with.
        listener: entered; wakes cycles when agents answer.
        courier: tells people of jobs.
        stop: ends it in good order.
    """
    context = contexts.make(database, sealing, listener, stop)

    async def run(tenant: str, job: str) -> None:
        await cycle.run(context, UUID(tenant), job)

    with listener.watch((jobs.DUE, "")) as bell:
        worker = queue.Worker(
            database,
            run,
            concurrency=settings.worker_concurrency,
            tick=timedelta(seconds=settings.tick_interval),
            silence=timedelta(seconds=settings.stalled_after),
            grace=timedelta(seconds=settings.stop_timeout / 2),
            bell=bell,
        )
        await _run(worker, settings, context, courier, stop)


async def _run(
    worker: queue.Worker, settings: Settings, context: Context, courier: Courier, stop: asyncio.Event
) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(worker.run(), name="worker")
        tidying = tasks.create_task(_keep_tidy(settings, context.database), name="housekeeping")
        showing = tasks.create_task(_keep_previewing(settings, context), name="previews")
        telling = tasks.create_task(courier.run(stop), name="notifications")
        await stop.wait()
        worker.stop()
        tidying.cancel()
        showing.cancel()
        await running
        await asyncio.wait({telling}, timeout=settings.stop_timeout / 2)
        telling.cancel()


async def _keep_previewing(settings: Settings, context: Context) -> None:
    """Carry out previews, one at a time, beside the cycles."""
    while True:
        taken = None
        try:
            async with context.database.transaction() as conn:
                taken = await previews.take(conn)
            if taken is not None:
                await preview.run(context, taken)
        except DirbridgeError as error:
            logger.warning("Previews were put off: %s", error, extra={"event": "preview_failed"})
        except Exception:
            logger.exception("A preview failed.", extra={"event": "preview_failed"})
        if taken is None:
            await asyncio.sleep(settings.tick_interval)


async def _keep_tidy(settings: Settings, database: Database) -> None:
    while True:
        try:
            await housekeeping.tidy(database, datetime.now(UTC), timedelta(days=settings.log_retention))
        except DirbridgeError as error:
            logger.warning("Housekeeping was put off: %s", error, extra={"event": "housekeeping_failed"})
        except Exception:  # cycles and requests must not end because something could not be cleared away
            logger.exception("Housekeeping failed.", extra={"event": "housekeeping_failed"})
        await asyncio.sleep(settings.housekeeping_interval)
