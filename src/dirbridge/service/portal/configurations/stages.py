"""The four steps of provisioning as people read them, from the finer ones of an event or of an answer on demand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FOUR = (
    ("Import {}", ("import",)),
    ("Determine if {} is in scope", ("scoping",)),
    ("Match {} between source and target", ("matching",)),
    ("Perform action", ("processing", "referenceresolution", "export")),
)
"""What each is called, and the types of the steps that it holds."""

_WORST = ("failure", "warning", "skipped", "success")
_SAID_ALREADY = frozenset({"type", "name", "passed", "clause", "matched"})
"""Details that the sentence of their step tells."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the four.

    Attributes:
        status: the worst of its steps; empty where it was not reached.
        said: a sentence for each of its steps.
        details: what they saw, name and value.
    """

    caption: str
    status: str
    said: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()


def of(steps: Sequence[Mapping[str, Any]], noun: str, target: Mapping[str, Any]) -> list[Stage]:
    """Put steps of the API into the four.

    Args:
        steps: Graph's provisioningStep, or the steps of an answer on demand.
        noun: what was provisioned, such as `user`.
        target: the identity of the object that was found or made.
    """
    steps = [_with_match(step, target) if _is_match(step) else step for step in steps]
    return [
        _stage(caption.format(noun or "object"), [step for step in steps if _type(step) in types])
        for caption, types in FOUR
    ]


def unreached(noun: str) -> list[Stage]:
    """Give the four, none of which was reached."""
    return [Stage(caption.format(noun), "") for caption, _ in FOUR]


def _is_match(step: Mapping[str, Any]) -> bool:
    """Tell whether an object was found: where one is to be made, the step has another name."""
    return _type(step) == "matching" and step["name"] == "EntryImport"


def _with_match(step: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    found = {"Matched object": target.get("displayName"), "Object id": target.get("id")}
    return {**step, "details": {**step["details"], **found}}


def _stage(caption: str, steps: Sequence[Mapping[str, Any]]) -> Stage:
    found = {str(step["status"]).lower() for step in steps}
    status = next((each for each in _WORST if each in found), "")
    return Stage(caption, status, tuple(step["description"] for step in steps), tuple(_details(steps)))


def _details(steps: Iterable[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for step in steps:
        for name, value in step["details"].items():
            if name not in _SAID_ALREADY and value not in (None, ""):
                yield name, str(value)


def _type(step: Mapping[str, Any]) -> str:
    return str(step.get("provisioningStepType") or step.get("type") or "").lower()
