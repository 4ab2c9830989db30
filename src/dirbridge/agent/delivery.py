"""Carries the parts of an answer to the service, whatever happens on the way.

Each part is posted until the service has it. Several are on their way at once, but the last goes only after all others
have arrived, so an answer that has its last page is whole. Meanwhile the request is renewed. An agent that hears no
answer for longer than a lease lasts lets go of the request: where only the way back is cut, the service would hear its
renewals and wait for it in vain.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from dirbridge.agent.client import Busy, Gone, Pauses, ServiceClient
from dirbridge.agent.executor import Part
from dirbridge.agent.settings import Common
from dirbridge.contract import wire
from dirbridge.contract.errors import TransientError

logger = logging.getLogger(__name__)

RENEWALS = 4
"""After so many renewals without an answer to anything, a request is given up: a little longer than the lease of an
agent that the service does not hear, so that a service which is only slow loses nobody."""


class Delivery:
    """Delivers one answer."""

    def __init__(self, client: ServiceClient, common: Common, assignment: wire.Assignment) -> None:
        self._client = client
        self._common = common
        self._assignment = assignment
        self._heard = asyncio.get_running_loop().time()
        self._room = asyncio.Semaphore(common.pages_under_way)

    async def run(self, parts: AsyncGenerator[Part, None]) -> bool:
        """Deliver all parts. False where the service no longer wants them.

        Raises:
            TransientError: the service could not be reached for too long.
            CredentialError: the agent is no longer welcome.
        """
        try:
            async with contextlib.aclosing(parts), asyncio.TaskGroup() as group:
                watching = [group.create_task(self._keep_renewing()), group.create_task(self._expect_answers())]
                await self._post_all(parts, group)
                for task in watching:
                    task.cancel()
        except ExceptionGroup as group:
            gone = group.subgroup(Gone)
            if gone is None:
                raise _first(group) from None
            logger.info(
                "Request %s (attempt %d) is no longer wanted: %s",
                self._assignment.request,
                self._assignment.attempt,
                _first(gone),
                extra={"event": "request_gone", "request": self._assignment.request},
            )
            return False
        return True

    async def _post_all(self, parts: AsyncGenerator[Part, None], group: asyncio.TaskGroup) -> None:
        under_way: set[asyncio.Task[None]] = set()
        number = 0
        async for part in parts:
            if part.is_last:
                if under_way:
                    await asyncio.wait(under_way)
                await self._post(number, part)
                return
            await self._room.acquire()
            task = group.create_task(self._post_one_of_many(number, part))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            number += 1

    async def _post_one_of_many(self, number: int, part: Part) -> None:
        try:
            await self._post(number, part)
        finally:
            self._room.release()

    async def _post(self, number: int, part: Part) -> None:
        """Post until it has arrived."""
        now = asyncio.get_running_loop().time
        pauses = Pauses(self._common.retry_longest)
        since = now()
        while True:
            try:
                await self._client.post_page(self._assignment, number, part.body, is_last=part.is_last)
                self._heard = now()
                return
            except Busy:
                since = self._heard = now()  # it is there, and only asks for time
                await asyncio.sleep(pauses.next())
            except TransientError as error:
                if now() - since > self._common.give_up_after:
                    raise
                logger.debug("Page %d of request %s: %s", number, self._assignment.request, error)
                await asyncio.sleep(pauses.next())

    async def _keep_renewing(self) -> None:
        """Say at once that the request has arrived, and then every now and then that it is being worked at."""
        pauses = Pauses(self._common.retry_longest)
        while True:
            try:
                await self._client.renew(self._assignment)
                self._heard = asyncio.get_running_loop().time()
                pauses.reset()
                await asyncio.sleep(self._client.advice.renew_every)
            except TransientError:
                await asyncio.sleep(min(pauses.next(), self._client.advice.renew_every))

    async def _expect_answers(self) -> None:
        """Give the request up once nothing about it has been answered for too long."""
        while True:
            patience = RENEWALS * self._client.advice.renew_every
            left = self._heard + patience - asyncio.get_running_loop().time()
            if left <= 0:
                raise TransientError(
                    f"For {patience:g} seconds the service answered nothing about the request; it is left to whoever "
                    "takes it next.",
                    code="ServiceUnreachable",
                    recommended_action="See what lies between agent and service.",
                )
            await asyncio.sleep(left)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found
