"""What a change of scope or filters concerns, in numbers, and what becomes of those who are not taken any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Leaving:
    """What becomes of objects that leave scope.

    Attributes:
        stay: they are left alone at the target.
        threshold: how many may go in 24 hours without a person's word; None where there is no such limit.
    """

    stay: bool
    threshold: int | None


def counts(job: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Count what a job keeps in step, by source type."""
    found: dict[str, int] = {}
    for each in job["status"]["synchronizedEntryCountByType"]:
        kind = str(each["key"]).partition(" ")[0]
        found[kind] = found.get(kind, 0) + int(each["value"])
    return sorted(found.items())


def objects(job: Mapping[str, Any]) -> int:
    """Count all that a job keeps in step: after a change of its schema each is looked at again."""
    return sum(number for _, number in counts(job))


def leaving(job: Mapping[str, Any]) -> Leaving:
    """Read from a job's settings what becomes of those who leave."""
    settings = {each["name"]: each["value"] for each in job["synchronizationJobSettings"]}
    guarded = settings.get("DeleteThresholdEnabled", "True").lower() == "true"
    value = settings.get("DeleteThresholdValue", "")
    return Leaving(
        stay=settings.get("SkipOutOfScopeDeletions", "False").lower() == "true",
        threshold=int(value) if guarded and value.isdecimal() else None,
    )


def saved(job: Mapping[str, Any], what: str = "The scope is saved.") -> str:
    """Say what follows from a schema that was saved."""
    if job["schedule"]["state"] != "Active":
        return f"{what} What changed applies when the configuration is enabled."
    return f"{what} The next cycle begins now and re-evaluates {objects(job):,} objects."
