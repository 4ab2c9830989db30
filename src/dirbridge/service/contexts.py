"""What the engine is given by the service: the agents' channel as source, the tenant directory as target, the time.

The worker runs cycles with it, the API provisions single entries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dirbridge.connectors.protocol import Browsed, Replicated, Source
from dirbridge.contract.entry import ChangePage, Selection, Watermark
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import ObjectDefinition
from dirbridge.contract.wire import CheckReport, Listing, Located
from dirbridge.engine.run import Context
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.relay.remote import RemoteSource
from dirbridge.service.relay.settings import RelaySettings
from dirbridge.store.database import Database
from dirbridge.store.identifiers import new_id
from dirbridge.store.jobs import Job
from dirbridge.store.listener import Listener
from dirbridge.tenant.target import TenantTarget

PROMPT = RelaySettings(agent_grace=timedelta(seconds=5), page_limit=timedelta(seconds=25))
"""How patient a request of the API is with agents: less than the client that waits for its answer."""


Reach = Callable[[UUID, str], Source]
"""Gives a source for a tenant's domain."""


def reach(database: Database, listener: Listener, stop: asyncio.Event, relay: RelaySettings | None = None) -> Reach:
    """Give what reaches a domain through its agents; the arguments are those of `make`."""
    began = time.monotonic()
    return lambda tenant, domain: Stoppable(RemoteSource(database, listener, tenant, domain, relay, since=began), stop)


def make(
    database: Database,
    sealing: Sealing,
    listener: Listener,
    stop: asyncio.Event,
    relay: RelaySettings | None = None,
) -> Context:
    """Put it together.

    Args:
        sealing: opens what jobs authenticate with.
        listener: entered; wakes who waits when agents answer.
        stop: cuts what is being read, when the process ends.
        relay: how patient it is with agents.
    """
    reached = reach(database, listener, stop, relay)

    def source(job: Job) -> Source:
        return reached(job.tenant, job.domain)

    return Context(
        database=database,
        source=source,
        target=TenantTarget(new_id, sealing),
        clock=lambda: datetime.now(UTC),
        new_id=new_id,
    )


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

    def read_at(self, replica: str, selection: Selection, anchors: Sequence[str]) -> AsyncIterator[ChangePage]:
        """Read anchors afresh in one copy of the directory, where it has several."""
        if isinstance(self._source, Replicated):
            return self._until_stop(self._source.read_at(replica, selection, anchors))
        return self.read(selection, anchors)

    async def locate(self, names: Sequence[str]) -> Sequence[Located]:
        """Find what names stand for."""
        return await self._source.locate(names)

    async def schema(self, object_types: Sequence[str]) -> Sequence[ObjectDefinition]:
        """Tell which attributes entries may have."""
        return await self._source.schema(object_types)

    async def browse(self, below: str | None) -> Listing:
        """List the containers directly in one."""
        return await self._looked_into().browse(below)

    async def search(self, text: str, object_types: Sequence[str], most: int) -> Listing:
        """Find entries by a part of their name."""
        return await self._looked_into().search(text, object_types, most)

    def _looked_into(self) -> Browsed:
        if isinstance(self._source, Browsed):
            return self._source
        raise ConfigurationError("People cannot look around in this directory.", code="RequestNotSupported")

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
