"""Does the agent run here, and is it at work?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dirbridge import __version__
from dirbridge.agent.health import REPORT
from dirbridge.agent.runner import running_pid
from dirbridge.contract.wire import Finding


def examine(folder: Path, now: float) -> Finding:
    """Say whether an agent runs in a folder.

    Args:
        now: seconds since the epoch.
    """
    pid = running_pid(folder)
    if pid is None:
        return Finding(
            "running",
            "fail",
            f"No agent runs in {folder}.",
            "Start it: `systemctl start dirbridge-agent`, or `dirbridge agent run`. If it ends at once, it says why.",
            "NotRunning",
        )
    report = _report(folder)
    age = now - _moment(report.get("at"))
    if age > float(report.get("staleAfter") or 0):
        return Finding(
            "running",
            "fail",
            f"The agent runs as process {pid}, but has not moved for {timedelta(seconds=round(age))}.",
            f"See what holds it: `cat /proc/{pid}/status /proc/{pid}/wchan`. Restart it.",
            "NotMoving",
        )
    uptime = timedelta(seconds=round(float(report.get("uptime") or 0)))
    version = report.get("version")
    if version not in {None, __version__}:
        return Finding(
            "running",
            "warn",
            f"The agent runs as process {pid} for {uptime}, as version {version}; {__version__} is installed.",
            "Restart it, so that it runs what is installed.",
            "OtherVersionRuns",
        )
    trouble = report.get("lost") or report.get("lastError")
    if trouble:
        return Finding(
            "running",
            "warn",
            f"The agent runs as process {pid} for {uptime}. Its last trouble: {trouble}",
            "The tests that follow say whether it lasts.",
            "LastError",
        )
    return Finding("running", "pass", f"The agent runs as process {pid} for {uptime}.")


def _report(folder: Path) -> Mapping[str, Any]:
    try:
        report = json.loads((folder / REPORT).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, Mapping) else {}


def _moment(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0
