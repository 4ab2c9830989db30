"""Whether a verbose trace is wanted, until when: one small file in the state folder.

Written by `dirbridge agent trace`, and by the agent when the service asks; read by the agent every second. It holds the
time at which the trace ends, so it ends also when nobody is there to end it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from dirbridge.agent.replacing import replace
from dirbridge.contract.errors import ConfigurationError

FILE = "tracing.json"
LONGEST = timedelta(hours=24)
"""A verbose trace lasts no longer, whatever a file or the service says."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted.

    Attributes:
        since, until: seconds since the epoch, by this host's clock.
        values: values of attributes too.
        by: who wants it.
        order: the last order of the service that was seen; it is not followed a second time.
    """

    since: float = 0.0
    until: float = 0.0
    values: bool = False
    by: Literal["host", "service"] = "host"
    order: str = ""

    def left(self, now: float) -> float:
        """Give the seconds that it goes on; 0 where it is over, or its end is too far away since the clock was set."""
        if now < self.since - 60 or self.until - now > LONGEST.total_seconds():
            return 0.0
        return max(0.0, self.until - now)


def load(folder: Path) -> Wish:
    """Read what is wanted. A file that is missing or damaged wants nothing: tracing never goes on by mistake."""
    try:
        known = json.loads((folder / FILE).read_text("utf-8"))
        return Wish(
            float(known["since"]),
            float(known["until"]),
            known["values"] is True,
            "service" if known["by"] == "service" else "host",
            str(known["order"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Wish()


def save(folder: Path, wish: Wish) -> None:
    """Write what is wanted, for the account that owns the folder.

    Raises:
        OSError: it cannot be written.
    """
    status = folder.stat()
    owner = (status.st_uid, status.st_gid) if os.geteuid() == 0 else None
    replace(folder / FILE, json.dumps(asdict(wish)).encode(), owner=owner)


def start(folder: Path, duration: timedelta, now: float, *, values: bool) -> Wish:
    """Want a verbose trace from now on; gives what was written.

    Raises:
        ConfigurationError: the state folder cannot be written.
    """
    wish = Wish(now, now + duration.total_seconds(), values, "host", load(folder).order)
    try:
        save(folder, wish)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return wish


def stop(folder: Path, now: float) -> bool:
    """Want it no longer, whoever wanted it; tells whether it was on. A full disk does not keep it on.

    Raises:
        ConfigurationError: the state folder cannot be written.
    """
    known = load(folder)
    try:
        try:
            save(folder, Wish(order=known.order))
        except OSError:
            (folder / FILE).unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return known.left(now) > 0


def _unwritable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The state folder {folder} cannot be written: {error.strerror}.",
        code="StateUnwritable",
        recommended_action="Run it as root or as the account that runs the agent, and see that the disk is not full.",
    )
