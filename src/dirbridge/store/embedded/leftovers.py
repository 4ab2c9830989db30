"""What an earlier server left on a data folder: processes that still end, or have to be ended."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from dirbridge.contract.errors import TransientError

logger = logging.getLogger(__name__)


def clear(folder: Path, patience: float = 8.0) -> None:
    """End what still runs on a data folder whose lock is ours, and forget its process id.

    A server whose owner was killed is shutting down by itself. After a kill of the server, its children notice within
    moments; a new server refuses to start while one of them is attached. A process id in the file may meanwhile be
    another program's, so processes are known by their working directory, which is the data folder for each of them.
    """
    for step, wait in ((None, patience), (signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 10.0)):
        running = list(processes(folder))
        if step is not None and running:
            logger.warning("Ending %d left-over PostgreSQL processes in '%s'.", len(running), folder)
            for process in running:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, step)
        deadline = time.monotonic() + wait
        while running and time.monotonic() < deadline:
            time.sleep(0.02)
            running = list(processes(folder))
        if not running:
            (folder / "postmaster.pid").unlink(missing_ok=True)
            return
    raise TransientError(
        f"PostgreSQL processes still use the database in '{folder}' and do not end.",
        code="DatabaseDidNotStart",
        recommended_action="End them, then start again.",
        details={"processes": ", ".join(map(str, processes(folder)))},
    )


def processes(folder: Path) -> Iterator[int]:
    """Give the ids of the server's processes on a data folder."""
    name = str(folder)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{entry.name}/cwd") == name and _is_postgres(entry.name):  # noqa: PTH115
                    yield int(entry.name)


def _is_postgres(process: str) -> bool:
    return Path(f"/proc/{process}/stat").read_text().split(" ", 2)[1] == "(postgres)"
