"""Stopping a coroutine between any two of its awaits: to crash it there, or to let another overtake it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any


class Crash(asyncio.CancelledError):
    """The process ended here."""


class Stepped:
    """Drives a coroutine and does something at its n-th suspension.

    Args:
        work: the coroutine.
        at: which suspension, from 0; where there are fewer, nothing happens.
        gate: waited for there; None raises `Crash` into the coroutine instead.
    """

    def __init__(self, work: Coroutine[Any, Any, None], at: int, gate: asyncio.Event | None = None) -> None:
        self._work = work
        self._at = at
        self._gate = gate
        self.steps = 0
        self.reached = asyncio.Event()

    def __await__(self) -> Generator[Any, Any, None]:
        resume: Any = self._work.send
        value: Any = None
        while True:
            try:
                waiting = resume(value)
            except StopIteration:
                return
            if self.steps == self._at:
                self.reached.set()
                self.steps += 1
                if self._gate is None:
                    _abandon(waiting)
                    resume, value = self._work.throw, Crash()
                    continue
                yield from self._gate.wait().__await__()
            else:
                self.steps += 1
            try:
                resume, value = self._work.send, (yield waiting)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the coroutine's
                resume, value = self._work.throw, error


def _abandon(waiting: Any) -> None:
    """Nobody waits for this future any more."""
    if isinstance(waiting, asyncio.Future):
        waiting.cancel()


async def run_stepped(stepped: Stepped) -> None:
    """Await it; a crash ends it quietly."""
    try:
        await stepped
    except Crash:
        return
