"""The tenant's guard against deletes by accident: one for all jobs that write to its directory.

It holds beside each job's own threshold, which `removing` counts by type of entry; a delete goes when both let it.

Source: Graph onPremisesAccidentalDeletionPrevention.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Kind = Literal["disabled", "enabledForCount", "enabledForPercentage"]


class Guard(msgspec.Struct, frozen=True, rename="camel"):
    """What is set for a tenant, in Graph's shape.

    Attributes:
        alert_threshold: deletes that may go in 24 hours, as a number or in hundredths of all synchronized objects.
    """

    alert_threshold: int = 500
    synchronization_prevention_type: Kind = "enabledForCount"

    def stops(self, deletes: int, objects: int) -> bool:
        """Tell whether so many deletes are too many.

        Args:
            deletes: those of the last 24 hours, of every job, and those that are to go.
            objects: how many synchronized objects there were 24 hours ago; only a percentage asks for it.
        """
        match self.synchronization_prevention_type:
            case "disabled":
                return False
            case "enabledForCount":
                return deletes > self.alert_threshold
            case "enabledForPercentage":
                return 100 * deletes > self.alert_threshold * objects

    @property
    def is_share(self) -> bool:
        """Whether it must be known how many objects there are."""
        return self.synchronization_prevention_type == "enabledForPercentage"


def of(document: Mapping[str, Any]) -> Guard:
    """Read the guard out of the tenant's document for synchronization from on premises; defaults where nothing is."""
    return msgspec.convert(document.get("configuration", {}).get("accidentalDeletionPrevention", {}), Guard)
