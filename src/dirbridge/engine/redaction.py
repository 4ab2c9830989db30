"""Keeping values out of the log that the mapping marks with `Redact`.

The value itself flows. What the log shows of it is `[Redact]`, in what changed as in what an error says.

Source: the published function reference for mapping expressions, Redact.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import msgspec

from dirbridge.contract.export import Fault, TargetValue

REDACTED = "[Redact]"


def value(name: str, shown: str | None, redacted: Collection[str]) -> str | None:
    """Give what the log shows of an attribute's value: no value stays none."""
    return REDACTED if shown is not None and name in redacted else shown


class Veil:
    """Takes the values of redacted attributes out of sentences. Without any, it leaves them as they are."""

    def __init__(self, redacted: Collection[str], *objects: Mapping[str, TargetValue]) -> None:
        found = {text for values in objects for name in redacted for text in _texts(values.get(name))}
        # The longest first: one value may be the beginning of another.
        alternatives = "|".join(re.escape(text) for text in sorted(found, key=len, reverse=True))
        self._pattern = re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE) if found else None

    def over(self, sentence: str) -> str:
        """Put the mark in the place of each value."""
        return sentence if self._pattern is None else self._pattern.sub(REDACTED, sentence)

    def over_fault(self, fault: Fault | None) -> Fault | None:
        """Do so in all that an error says."""
        if fault is None or self._pattern is None:
            return fault
        details = {name: self.over(said) for name, said in fault.details.items()}
        return msgspec.structs.replace(fault, reason=self.over(fault.reason), details=details)


def _texts(found: TargetValue) -> set[str]:
    items = found if isinstance(found, tuple) else (found,)
    return {str(item) for item in items if isinstance(item, str | int) and not isinstance(item, bool) and item != ""}
