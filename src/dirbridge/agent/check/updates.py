"""Does the updater keep this host's agent up to date? What it said of itself last, and how long ago."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from dirbridge.agent.updater import status
from dirbridge.contract.wire import Finding

SILENT = timedelta(days=1)
"""Time after which an updater that said nothing does not run any more; it looks every hour."""


def examine(folder: Path, now: float) -> Iterator[Finding]:
    """Give what the updater left in an agent's folder; nothing where none ever ran.

    Args:
        now: seconds since the epoch.
    """
    said = status.read(folder)
    if said is None:
        return
    phase, message = str(said.get("phase")), str(said.get("message"))
    silence = timedelta(seconds=round(now - _moment(said.get("at"))))
    if silence > SILENT:
        yield Finding(
            "updates",
            "warn",
            f"The updater has said nothing for {silence}. Last it said: {message}",
            "Start it: `systemctl start dirbridge-agent-updater`, or `dirbridge agent supervise`.",
            "UpdaterSilent",
        )
    elif phase == "rolled-back":
        remedy = "Publish a newer version, or withdraw this one; the updater's log says more."
        yield Finding("updates", "warn", message, remedy, "UpdateRolledBack")
    elif phase == "failed":
        remedy = "The updater tries again. See that message, and the updater's log."
        yield Finding("updates", "warn", message, remedy, "UpdateFailed")
    else:
        yield Finding("updates", "pass", message)


def _moment(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
