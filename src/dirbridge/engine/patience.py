"""Waiting for a target that asks for it, outside any transaction.

Called by whatever writes to a target in batches, between two of them.
"""

from __future__ import annotations

from datetime import timedelta

from dirbridge.contract.errors import DirbridgeError, Throttled
from dirbridge.engine.reading import pause
from dirbridge.engine.run import Run

LONGEST_PAUSE = timedelta(minutes=5)
"""A target that asks for more patience ends the cycle; the next one comes when it has asked for."""

MOST_PAUSES = 6
"""So many pauses in a row without one export between them end the cycle."""


class Patience:
    """How long a target that asks for it is waited for, outside any transaction."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._pauses = 0

    async def wait(self, error: DirbridgeError, *, got_on: bool = False) -> None:
        """Wait as long as the target asks for; twice as long each time where it names no time.

        Args:
            got_on: something was exported since the last pause.

        Raises:
            DirbridgeError: the error, where waiting is no use.
        """
        if not isinstance(error, Throttled):
            raise error
        self._pauses = 1 if got_on else self._pauses + 1
        span = error.wait if error.wait is not None else timedelta(seconds=2 ** (self._pauses - 1))
        if span > LONGEST_PAUSE or self._pauses > MOST_PAUSES:
            raise error
        await pause(self._run, span)
