"""Carries what is collected of this host to the service, when it asks (see `collecting`).

An order comes with the answer to a heartbeat, again and again until it is fulfilled, so nothing is remembered here
beyond the process. The settings of this host decide whether it is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import IO, Any

from dirbridge.agent import collecting
from dirbridge.agent.client import Gone, Pauses, ServiceClient
from dirbridge.agent.settings import Settings, default_file
from dirbridge.agent.state import State
from dirbridge.contract import wire
from dirbridge.contract.errors import DirbridgeError, TransientError

logger = logging.getLogger(__name__)

LONGEST_HOURS = 7 * 24


@dataclass(frozen=True, slots=True)
class Order:
    """What the service wants: what there is of so many hours."""

    id: str
    hours: float


class Carrying:
    """Fulfils orders, one after the other."""

    def __init__(self, client: ServiceClient, settings: Settings, state: State) -> None:
        self._client = client
        self._settings = settings
        self._state = state
        self._orders: asyncio.Queue[Order] = asyncio.Queue()
        self._known: set[str] = set()

    async def ordered(self, order: Any) -> None:
        """Take an order from a heartbeat's answer; None where there is none."""
        if not isinstance(order, Mapping):
            return
        try:
            wanted = Order(str(order["id"]), min(float(order["hours"]), LONGEST_HOURS))
        except (KeyError, TypeError, ValueError, OverflowError):
            return
        if wanted.hours > 0 and wanted.id not in self._known:
            self._known.add(wanted.id)
            self._orders.put_nowait(wanted)

    async def run(self) -> None:
        """Fulfil what comes, until cancelled. One that fails is tried again when it is heard of again."""
        while True:
            order = await self._orders.get()
            try:
                await self._fulfil(order)
            except Gone as error:
                logger.info("What was collected is no longer wanted: %s", error, extra={"event": "collection_gone"})
            except TransientError as error:
                self._known.discard(order.id)
                logger.warning("Collecting failed: %s", error, extra={"event": "collection_failed"}, exc_info=error)

    async def _fulfil(self, order: Order) -> None:
        if self._settings.common.remote_trace == "off":
            await self._client.refuse_logs(order.id, "remote_trace in the settings of this agent is off.")
            return
        logger.info(
            "The service wants the traces of the last %g hours.", order.hours, extra={"event": "collection_wanted"}
        )
        try:
            with tempfile.TemporaryFile() as file:
                await _aside(lambda: self._collect(order, file))
                await self._carry(order, file)
        except OSError as error:
            logger.warning("Collecting failed: %s", error, extra={"event": "collection_failed"}, exc_info=error)
            await self._client.refuse_logs(order.id, f"The file cannot be written: {error.strerror}.")
            return
        except (DirbridgeError, Gone):
            raise
        except Exception as error:  # whatever a library raises must not end the agent
            logger.exception("Collecting failed.", extra={"event": "collection_failed"})
            await self._client.refuse_logs(order.id, f"Unexpected {type(error).__name__}; see the agent's log.")
            return
        logger.info("They were carried to the service.", extra={"event": "collection_carried"})

    def _collect(self, order: Order, file: IO[bytes]) -> None:
        settings_file = self._settings.file or default_file()
        collecting.collect(file, self._state, self._settings, settings_file, timedelta(hours=order.hours))

    async def _carry(self, order: Order, file: IO[bytes]) -> None:
        file.seek(0)
        number, part = 0, file.read(wire.LOG_PART)
        while part:
            following = file.read(wire.LOG_PART)
            await self._post(order, number, part, is_last=not following)
            number, part = number + 1, following

    async def _post(self, order: Order, number: int, part: bytes, *, is_last: bool) -> None:
        """Post until it has arrived, or the service was away for too long."""
        pauses, now = Pauses(self._settings.common.retry_longest), asyncio.get_running_loop().time
        until = now() + self._settings.common.give_up_after
        while True:
            try:
                await self._client.post_logs(order.id, number, part, is_last=is_last)
                return
            except TransientError:
                if now() > until:
                    raise
                await asyncio.sleep(pauses.next())


async def _aside(work: Callable[[], None]) -> None:
    """Do work that blocks for minutes in a thread that does not hold up the agent's end."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if done.done():  # the agent stops; nobody waits any more
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def run() -> None:
        failed: Exception | None = None
        try:
            work()
        except Exception as error:  # noqa: BLE001 - told to who waits
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the agent has stopped
            loop.call_soon_threadsafe(settle, failed)

    threading.Thread(target=run, name="collect", daemon=True).start()
    await done
