"""Is a version at work? Asked after every switch, and the answer decides whether it stays.

At work is an agent whose process stays, and which says of itself, in that version, that the service answers it. Where
nobody can reach the service, the updater neither, the version is not to blame, and it is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from dirbridge.agent.health import REPORT
from dirbridge.agent.runner import running_pid
from dirbridge.agent.updater.notes import read_json

LOOK = 0.2
"""Seconds between two looks."""


@dataclass(frozen=True, slots=True)
class Gate:
    """How patient it is, in seconds.

    Attributes:
        patience: until the service must have found the agent.
        settle: for which it must stay so.
    """

    patience: float = 120.0
    settle: float = 15.0

    async def prove(self, folder: Path, version: str, is_reachable: Callable[[], Awaitable[bool]]) -> str:
        """Wait until a version is at work; gives why it is not, or nothing where it is.

        Args:
            folder: of the agent's state. A report of an earlier process must be gone from it.
            is_reachable: tells whether the updater itself reaches the service.
        """
        now = asyncio.get_running_loop().time
        until, since, before = now() + self.patience, now(), None
        while True:
            process, why = look(folder, version)
            if why or process != before:
                before, since = (None if why else process), now()
            elif now() - since >= self.settle:
                return ""
            if now() > until + (0 if why else self.settle):
                if process is None or await is_reachable():
                    return why or f"it does not stay up for {self.settle:.0f} s"
                until = now() + self.patience
            await asyncio.sleep(LOOK)


def look(folder: Path, version: str) -> tuple[int | None, str]:
    """Give the process of the agent, and why that version is not at work; nothing where it is."""
    process = running_pid(folder)
    if process is None:
        return None, "it does not run"
    report = read_json(folder / REPORT)
    if not isinstance(report, dict) or not report:
        return process, "it has not been found by the service"
    if report.get("version") != version:
        return process, f"what runs says that it is {str(report.get('version'))[:64]}"
    if report.get("found") is not True:
        return process, f"the service does not answer it: {str(report.get('lost'))[:400]}"
    return process, ""
