"""The worker: runs the cycles that are due in this process, and clears away what is old.

`service.process` starts it. When a job runs and that it runs once is `store.queue`'s affair, what a cycle does is
`engine.cycle`'s; here they meet the agents' channel and the tenant directory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dirbridge.connectors.protocol import Source
from dirbridge.contract.entry import ChangePage, Selection, Watermark
from dirbridge.contract.errors import DirbridgeError
from dirbridge.contract.wire import CheckReport, Located
from dirbridge.engine import cycle, preview
from dirbridge.engine.run import Context
from dirbridge.service.relay.remote import RemoteSource
from dirbridge.service.settings import Settings
from dirbridge.store import housekeeping, previews, queue
from dirbridge.store.database import Database
from dirbridge.store.identifiers import new_id
from dirbridge.store.jobs import Job
from dirbridge.store.listener import Listener
from dirbridge.tenant.target import TenantTarget

logger = logging.getLogger(__name__)


async def work(settings: Settings, database: Database, listener: Listener, stop: asyncio.Event) -> None:
    """Run cycles until told to stop; those under way then end at their page's edge.

    Args:
        settings: how many at once, how often is looked for what is due.
        database: opened, with its tables.
        listener: entered; wakes cycles when agents answer.
        stop: ends it in good order.
    """

    def source(job: Job) -> Source:
        return Stoppable(RemoteSource(database, listener, job.tenant, job.domain), stop)

    context = Context(
        database=database, source=source, target=TenantTarget(new_id), clock=lambda: datetime.now(UTC), new_id=new_id
    )

    async def run(tenant: str, job: str) -> None:
        await cycle.run(context, UUID(tenant), job)

    worker = queue.Worker(
        database,
        run,
        concurrency=settings.worker_concurrency,
        tick=timedelta(seconds=settings.tick_interval),
        silence=timedelta(seconds=settings.stalled_after),
        grace=timedelta(seconds=settings.stop_timeout / 2),
    )
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(worker.run(), name="worker")
        tidying = tasks.create_task(_keep_tidy(settings, database), name="housekeeping")
        showing = tasks.create_task(_keep_previewing(settings, context), name="previews")
        await stop.wait()
        worker.stop()
        tidying.cancel()
        showing.cancel()
        await running


class Stoppable:
    """A source whose streams are cut when the process stops, between two pages or while one is waited for.

    To the cycle it looks as if it had been cancelled just there: what it wrote is whole, and who works next goes on.
    """

    def __init__(self, source: Source, stop: asyncio.Event) -> None:
        self._source = source
        self._stop = stop

    def changes(self, selection: Selection, since: Watermark | None) -> AsyncIterator[ChangePage]:
        """Stream what changed."""
        return self._until_stop(self._source.changes(selection, since))

    def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncIterator[ChangePage]:
        """Read anchors afresh."""
        return self._until_stop(self._source.read(selection, anchors))

    async def locate(self, names: Sequence[str]) -> Sequence[Located]:
        """Find what names stand for."""
        return await self._source.locate(names)

    async def check(self) -> CheckReport:
        """Prove that the directory can be read."""
        return await self._source.check()

    async def _until_stop(self, pages: AsyncIterator[ChangePage]) -> AsyncGenerator[ChangePage, None]:
        stopped = asyncio.create_task(self._stop.wait())
        page: asyncio.Future[ChangePage] | None = None
        try:
            while True:
                page = asyncio.ensure_future(anext(pages))
                await asyncio.wait({page, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if stopped.done():
                    raise asyncio.CancelledError("The process stops.")
                try:
                    found = page.result()
                except StopAsyncIteration:
                    return
                yield found
        finally:
            stopped.cancel()
            if page is not None and not page.done():
                page.cancel()
                await asyncio.wait({page})
            if isinstance(pages, AsyncGenerator):
                await pages.aclose()


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
            await housekeeping.tidy(database, datetime.now(UTC))
        except DirbridgeError as error:
            logger.warning("Housekeeping was put off: %s", error, extra={"event": "housekeeping_failed"})
        except Exception:  # cycles and requests must not end because something could not be cleared away
            logger.exception("Housekeeping failed.", extra={"event": "housekeeping_failed"})
        await asyncio.sleep(settings.housekeeping_interval)
