"""Agent and updater as two children of one process: what systemd does with two units, for containers and the like.

Each is started from the version that is current at that moment, and again when it ends. The updater has the agent
restarted by SIGHUP. The supervisor itself holds nothing and decides nothing, so it need not change with a version.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dirbridge.agent.updater.home import Home

logger = logging.getLogger(__name__)

FINAL = frozenset({3, 4})
"""Exit codes of an agent that starting it again does not mend: wrong settings, and a service that refuses it."""
LONGEST_STOP = 30.0
"""Seconds from SIGTERM to SIGKILL."""
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Supervisor:
    """Keeps both running.

    Attributes:
        common: options of both, such as --settings.
        updater: further options of the updater.
        pause: seconds before one is started again.
        restarts: set when the agent shall be restarted.
    """

    home: Home
    common: Sequence[str]
    updater: Sequence[str] = ()
    pause: float = 5.0
    restarts: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stop: asyncio.Event) -> int:
        """Keep both running until told to stop; gives the exit code of an agent that cannot go on, or 0."""
        hang_up = f"import os, signal; os.kill({os.getpid()}, signal.SIGHUP)"
        restart = ["--restart", shlex.join([sys.executable, "-I", "-c", hang_up])]
        updater = ["agent", "updater", *self.common, "--home", str(self.home.folder), *restart, *self.updater]
        tasks = [
            asyncio.create_task(self._keep(["agent", "run", *self.common], self._is_final, self.restarts)),
            asyncio.create_task(self._keep(updater, lambda _: False, asyncio.Event())),
            asyncio.create_task(stop.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return int(tasks[0].result()) if tasks[0].done() else 0
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _is_final(self, code: int) -> bool:
        """Tell whether the agent's end is the end of all. Not while a version is on trial: the updater mends that."""
        return code in FINAL and self.home.trial() is None

    async def _keep(self, words: Sequence[str], is_final: Callable[[int], bool], restarts: asyncio.Event) -> int:
        """Run a child again and again; gives its exit code once that is final."""
        while True:
            restarts.clear()
            code = await self._once(words, restarts)
            if code is not None:
                if is_final(code):
                    return code
                logger.warning(
                    "dirbridge %s ended with %d and is started again in %.0f s.", " ".join(words[:2]), code, self.pause,
                    extra={"event": "child_ended"},
                )  # fmt: skip
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(restarts.wait(), self.pause)

    async def _once(self, words: Sequence[str], restarts: asyncio.Event) -> int | None:
        """Run a child; gives its exit code, or None where it was to be restarted."""
        process = await asyncio.create_subprocess_exec(self.home.program, *words, preexec_fn=_end_with_parent)
        ending, asked = asyncio.create_task(process.wait()), asyncio.create_task(restarts.wait())
        try:
            await asyncio.wait([ending, asked], return_when=asyncio.FIRST_COMPLETED)
            return process.returncode
        finally:
            asked.cancel()
            await asyncio.shield(_stop(process, ending))


async def _stop(process: asyncio.subprocess.Process, ending: asyncio.Task[int]) -> None:
    """Have a child end: it is asked, and after a while not asked any more."""
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(asyncio.shield(ending), LONGEST_STOP)
    except TimeoutError:
        process.kill()
        await ending


def _end_with_parent() -> None:
    """Let a child not outlive a supervisor that is killed: another one could not start it then.

    Source: PR_SET_PDEATHSIG(2const).
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
