"""A source that stands behind an agent: what a cycle asks becomes a request, what it reads are the agent's pages.

`engine/cycle` holds this as its `Source` and knows no agents. Requests and pages wait in the database, so cycle, door
and agent may be anywhere and any of them may die: the answer either comes whole and in order, or ends in an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import UUID, uuid4

from dirbridge.contract import wire
from dirbridge.contract.entry import ChangePage, Selection, Watermark
from dirbridge.contract.errors import DirbridgeError, HandedOver, TransientError
from dirbridge.contract.schema import ObjectDefinition
from dirbridge.service.relay.settings import RelaySettings
from dirbridge.store import agents, requests
from dirbridge.store.database import Database
from dirbridge.store.listener import Bell, Listener

logger = logging.getLogger(__name__)

A = TypeVar("A", wire.CheckReport, wire.Locations, wire.Listing, wire.LiveSchema)

CHANNELS = (requests.REQUESTS, requests.PAGES, requests.ROOM)
"""What a process's `Listener` must listen on for the relay."""


class RemoteSource:
    """Reads one domain through whichever of its agents takes the request.

    Args:
        database: where requests and pages wait.
        listener: wakes it when a page arrives.
        tenant: whose domain.
        domain: the directory, as agents name it in their settings.
        settings: how patient it is.
        new_id: makes the ids of requests.
        since: since when agents could have come, by `time.monotonic`; from now on if not given.
    """

    def __init__(
        self,
        database: Database,
        listener: Listener,
        tenant: UUID,
        domain: str,
        settings: RelaySettings | None = None,
        new_id: Callable[[], UUID] = uuid4,
        since: float | None = None,
    ) -> None:
        self._database = database
        self._listener = listener
        self._tenant = tenant
        self._domain = domain.lower()
        self._settings = settings or RelaySettings()
        self._new_id = new_id
        self._since = since

    async def changes(self, selection: Selection, since: Watermark | None) -> AsyncGenerator[ChangePage, None]:
        """Stream what changed since a watermark, or everything. Close it where it is left before its end."""
        async with contextlib.aclosing(self._pages(wire.ChangesRequest(self._domain, selection, since))) as pages:
            async for page in pages:
                yield page

    async def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncGenerator[ChangePage, None]:
        """Read anchors afresh."""
        async with contextlib.aclosing(self.read_at("", selection, anchors)) as pages:
            async for page in pages:
                yield page

    async def read_at(
        self, replica: str, selection: Selection, anchors: Sequence[str]
    ) -> AsyncGenerator[ChangePage, None]:
        """Read anchors afresh in one copy of the directory."""
        request = wire.ReadRequest(self._domain, selection, tuple(anchors), replica=replica)
        async with contextlib.aclosing(self._pages(request)) as pages:
            async for page in pages:
                yield page

    async def containers(self, below: str | None = None) -> AsyncGenerator[ChangePage, None]:
        """List the containers below one, or all."""
        async with contextlib.aclosing(self._pages(wire.ContainersRequest(self._domain, below))) as pages:
            async for page in pages:
                yield page

    async def locate(self, names: Sequence[str]) -> Sequence[wire.Located]:
        """Let the agent find what names stand for, as many at a time as a request may hold."""
        found: list[wire.Located] = []
        for begin in range(0, len(names), wire.LOCATE_NAMES):
            some = tuple(names[begin : begin + wire.LOCATE_NAMES])
            answer = await self._one(wire.LocateRequest(self._domain, some), wire.Locations)
            if tuple(one.name for one in answer.found) != some:
                raise self._out_of_order("it is not about the names that were asked for")
            found += answer.found
        return found

    async def browse(self, below: str | None) -> wire.Listing:
        """Let the agent list the containers directly in one."""
        return await self._one(wire.BrowseRequest(self._domain, below), wire.Listing)

    async def search(self, text: str, object_types: Sequence[str], most: int) -> wire.Listing:
        """Let the agent find entries by a part of their name."""
        return await self._one(wire.SearchRequest(self._domain, text, tuple(object_types), most), wire.Listing)

    async def schema(self, object_types: Sequence[str]) -> Sequence[ObjectDefinition]:
        """Let the agent tell which attributes entries may have."""
        request = wire.SchemaRequest(self._domain, tuple(object_types))
        return (await self._one(request, wire.LiveSchema)).objects

    async def check(self) -> wire.CheckReport:
        """Let the agent prove that it can read the domain."""
        return await self._one(wire.CheckRequest(self._domain), wire.CheckReport)

    async def _one(self, request: wire.Request, kind: type[A]) -> A:
        """Ask for what is answered at once."""
        async with contextlib.aclosing(self._answers(request)) as answers:
            async for answer in answers:
                if isinstance(answer, kind):
                    return answer
        raise self._out_of_order(f"no {kind.__name__} came")

    async def _pages(self, request: wire.Request) -> AsyncGenerator[ChangePage, None]:
        async with contextlib.aclosing(self._answers(request)) as answers:
            async for answer in answers:
                if not isinstance(answer, wire.Changes):
                    raise self._out_of_order(f"{type(answer).__name__} came where a page was expected")
                yield answer.page
                if answer.page.last:
                    return
        raise self._out_of_order("its last page does not say that the stream is complete")

    async def _answers(self, body: wire.Request) -> AsyncGenerator[wire.Answer, None]:
        """Ask, and give what is answered, in order. Whatever happens, the request is gone afterwards."""
        request = self._new_id()
        replica = _replica(body)
        with self._listener.watch((requests.PAGES, str(request))) as bell:
            async with self._database.transaction() as conn:
                await requests.sweep(conn, self._tenant, self._domain, self._settings.leases)
                await requests.create(
                    conn, self._tenant, request, domain=self._domain, replica=replica, body=wire.encode(body)
                )
            attending = asyncio.create_task(self._attend(request), name=f"attend {request}")
            try:
                number, attempt = 0, 0
                while True:
                    progress = await self._wait_for(request, number, attempt, bell)
                    assert progress.body is not None
                    answer: wire.Answer = wire.decode(progress.body, wire.Answer)
                    if isinstance(answer, wire.Failure):
                        raise wire.error_of(answer)
                    yield answer
                    if progress.is_last:
                        return
                    number, attempt = number + 1, progress.attempt
            finally:
                attending.cancel()
                await self._finish(request)

    async def _wait_for(self, request: UUID, number: int, attempt: int, bell: Bell) -> requests.Progress:
        """Wait for a page; raises where it cannot come any more, or not in time."""
        now = asyncio.get_running_loop().time
        began, alone_since, was_answered = now(), None, False
        while True:
            async with self._database.connection() as conn:
                progress = await requests.advance(conn, self._tenant, request, number, self._settings.leases)
                if progress is None:
                    raise TransientError(
                        f"The request to the agents of {self._domain} was taken away: for "
                        f"{_words(self._settings.leases.reader)} nobody had asked for its answer.",
                        code="AgentRequestAbandoned",
                        details=self._details(request),
                    )
                is_lost = progress.attempt != attempt or (progress.is_silent and progress.body is None)
                if number and is_lost:
                    raise self._changed(request, number)
                if progress.body is not None:
                    return progress
                presence = await agents.presence(conn, self._tenant, self._domain, self._settings.heard_within)
            if progress.state == "answered":
                # The page may have come between the two halves of one look; not to be there twice means never.
                if was_answered:
                    raise self._out_of_order(f"page {number} is missing from it")
                was_answered = True
                continue
            alone_since = None if presence.connected or not progress.is_silent else alone_since or now()
            if alone_since is not None and self._is_over(presence, alone_since, now()):
                raise self._no_agent(presence)
            if now() - began >= self._settings.page_limit.total_seconds():
                raise self._timed_out(request, number, progress)
            await bell.wait(self._settings.look.total_seconds())

    def _is_over(self, presence: agents.Presence, alone_since: float, now: float) -> bool:
        """Say whether it is of no use to wait longer for an agent where none is there.

        One that is away for a moment is waited for. To wait for agents that have been silent for long would hold a
        worker from other jobs, cycle after cycle; when one returns, the job is due.
        """
        grace = self._settings.agent_grace
        if now - alone_since >= grace.total_seconds():
            return True
        has_been_there = self._since is not None and time.monotonic() - self._since >= grace.total_seconds()
        gone = presence.silence is None or presence.silence >= self._settings.heard_within + grace
        return has_been_there and gone

    async def _attend(self, request: UUID) -> None:
        """Keep the reader's lease while a page is being worked at, however long that takes."""
        while True:
            await asyncio.sleep(self._settings.leases.reader.total_seconds() / 4)
            try:
                async with self._database.connection() as conn:
                    await requests.attend(conn, self._tenant, request)
            except TransientError as error:
                logger.warning("Request %s could not be kept: %s", request, error, extra={"event": "request_attend"})

    async def _finish(self, request: UUID) -> None:
        try:
            async with asyncio.timeout(5), self._database.transaction() as conn:
                await requests.finish(conn, self._tenant, request)
        except (DirbridgeError, TimeoutError) as error:
            # Its lease runs out by itself, and the next request to the domain sweeps it away.
            logger.warning("Request %s could not be ended: %s", request, error, extra={"event": "request_finish"})

    def _details(self, request: UUID | None = None) -> dict[str, str]:
        return {"domain": self._domain, **({"request": str(request)} if request else {})}

    def _changed(self, request: UUID, number: int) -> HandedOver:
        return HandedOver(
            f"The agent that was answering for {self._domain} fell silent after {number} pages; "
            "what it had not yet delivered is read again from the last position, by any agent.",
            details=self._details(request),
        )

    def _out_of_order(self, why: str) -> TransientError:
        return TransientError(
            f"An agent's answer for {self._domain} is not complete: {why}.",
            code="AnswerIncomplete",
            recommended_action="See the agent's log; service and agent should be of the same version.",
            details=self._details(),
        )

    def _no_agent(self, presence: agents.Presence) -> TransientError:
        if presence.assigned == 0:
            return TransientError(
                f"No agent is enrolled for {self._domain}, or none that may serve it.",
                code="HybridIdentityServiceNoAgentsAssigned",
                recommended_action=f"Make a code with `dirbridge agent code --domain {self._domain}`, then enrol and "
                "run an agent on a host that reaches that directory. If there is one, put it into an agent group that "
                "the domain is assigned to.",
                details=self._details(),
            )
        return TransientError(
            f"None of the {presence.assigned} agents enrolled for {self._domain} has been heard from within "
            f"{_words(self._settings.heard_within)}.",
            code="HybridIdentityServiceNoActiveAgents",
            recommended_action="On the agent's host see whether `dirbridge agent run` is running, has "
            f"{self._domain} in its settings and reaches the service by outbound HTTPS; its log says what stops it.",
            details=self._details(),
        )

    def _timed_out(self, request: UUID, number: int, progress: requests.Progress) -> TransientError:
        doing = "no agent took the request" if progress.state == "waiting" else f"page {number} did not come"
        return TransientError(
            f"Waiting for {self._domain}, {doing} within {_words(self._settings.page_limit)}.",
            code="TimeOut",
            recommended_action="See the agent's log for what it is doing, and whether the directory answers it.",
            details=self._details(request),
        )


def _replica(body: wire.Request) -> str | None:
    """Which copy of the directory a request is about."""
    match body:
        case wire.ChangesRequest(since=Watermark(replica=replica)) | wire.ReadRequest(replica=replica) if replica:
            return replica
    return None


def _words(time: timedelta) -> str:
    seconds = time.total_seconds()
    return f"{seconds:g} seconds" if seconds < 120 else f"{seconds / 60:g} minutes"
