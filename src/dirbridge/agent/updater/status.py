"""What the updater says of itself: one file in the agent's state, which the agent reports to the service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from dirbridge.agent.replacing import replace
from dirbridge.agent.updater.notes import read_json

STATUS = "update.json"
MESSAGE = 1000
"""Letters of a message at most."""

Phase = Literal["idle", "waiting", "downloading", "installing", "checking", "rolled-back", "failed"]


def write(
    folder: Path, phase: Phase, message: str, *, at: datetime, from_: str | None = None, to: str | None = None
) -> None:
    """Say what is being done.

    Args:
        from_: the version that ran before the update, and runs again after one that was taken back.
        to: the version that it leads to.
    """
    said = {"phase": phase, "from": from_, "to": to, "message": message[:MESSAGE], "at": at.isoformat("T", "seconds")}
    replace(folder / STATUS, json.dumps(said).encode(), mode=0o644)


def read(folder: Path) -> Mapping[str, Any] | None:
    """Give what was last said; None where there is nothing, or nothing that can be read."""
    said = read_json(folder / STATUS)
    return said if isinstance(said, Mapping) else None
