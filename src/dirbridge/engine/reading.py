"""Reading a source inside a cycle, and the transactions of a cycle.

A stream is watched while it is awaited: when the job's generation rises, the cycle stops within seconds, however long
the source takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

import msgspec

from dirbridge.connectors.protocol import Replicated
from dirbridge.contract.entry import ChangePage
from dirbridge.contract.errors import Fenced, HandedOver
from dirbridge.engine.run import Run
from dirbridge.store import jobs
from dirbridge.store.database import Conflict, Connection

logger = logging.getLogger(__name__)

T = TypeVar("T")

WATCH_SECONDS = 2.0
"""How often the job's generation is looked at while a source is awaited."""

REPEATS = 6
"""How often a transaction is repeated that got in the way of another."""

HAND_OVERS = 3
"""How often the agent may change under one reading; if it happens more often, something is wrong with all of them."""


async def transaction(run: Run, work: Callable[[Connection], Awaitable[None]]) -> None:
    """Do work in one transaction; repeat it as a whole when another got in its way."""
    for attempt in range(REPEATS):
        before = msgspec.structs.replace(run.counts)
        try:
            async with run.context.database.transaction() as conn:
                await work(conn)
            return
        except Conflict:
            run.counts = before
            if attempt == REPEATS - 1:
                raise
            await asyncio.sleep(0.02 * 2**attempt)
        except BaseException:
            run.counts = before
            raise


async def watched(run: Run, stream: AsyncIterator[ChangePage]) -> AsyncIterator[ChangePage]:
    """Hand on a stream's pages, and stop when the job is somebody else's.

    The next page is fetched while the last one is worked on: one page more is held, and neither waits for the other.

    Raises:
        Fenced: the job's generation rose while the source was awaited.
    """
    following = asyncio.ensure_future(anext(stream, None))
    try:
        while (page := await _watch(run, following)) is not None:
            following = asyncio.ensure_future(anext(stream, None))
            yield page
    finally:
        if not following.done():
            following.cancel()
        await asyncio.wait([following])
        if not following.cancelled():
            following.exception()
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


async def pause(run: Run, span: timedelta) -> None:
    """Wait, and stop when the job is somebody else's.

    Raises:
        Fenced: the job's generation rose meanwhile.
    """
    rest = span.total_seconds()
    while rest > 0:
        await run.context.sleep(min(rest, WATCH_SECONDS))
        rest -= WATCH_SECONDS
        await _check(run)


async def _watch(run: Run, page: asyncio.Future[ChangePage | None]) -> ChangePage | None:
    while True:
        done, _ = await asyncio.wait([page], timeout=WATCH_SECONDS)
        if done:
            return page.result()
        await _check(run)


async def _check(run: Run) -> None:
    async with run.context.database.connection() as conn:
        if not await jobs.is_current(conn, run.tenant, run.job.id, run.generation):
            raise Fenced(f"The job '{run.job.id}' was taken over or changed; this cycle stops.")


async def read_in_pages(run: Run, anchors: Sequence[str]) -> AsyncIterator[ChangePage]:
    """Read anchors afresh, page by page, in the copy of the directory at which the reading of changes stands."""
    if anchors:
        source = run.context.source(run.job)
        if run.replica and isinstance(source, Replicated):
            pages = source.read_at(run.replica, run.plan.selection, anchors)
        else:
            pages = source.read(run.plan.selection, anchors)
        async for page in watched(run, pages):
            yield page


async def read_through(run: Run, work: Callable[[], Awaitable[T]]) -> T:
    """Do work that reads anchors afresh; where the agent is lost in the middle of it, another one does it all again.

    Args:
        work: what it has done already is found done when it is repeated, as after a crash.

    Raises:
        HandedOver: the agents were lost one after the other.
    """
    for _ in range(HAND_OVERS):
        try:
            return await work()
        except HandedOver:
            tell_handed_over(run)
    return await work()


def tell_handed_over(run: Run) -> None:
    """Leave a line that another agent goes on."""
    logger.info(
        "Under the cycle of job %s the agent changed; it reads on.",
        run.job.id,
        extra={"event": "cycle.handed_over", "job": run.job.id, "cycle": str(run.cycle)},
    )
