"""The functions of the mapping language, by what they are about.

Each module ends with its part of the table; nothing else names a function. What takes one value and is given several
works on each where that makes sense, and on the first otherwise.

Source: the published function reference for mapping expressions.
"""

from __future__ import annotations

from collections.abc import Mapping

from dirbridge.engine.functions import (
    casing,
    chance,
    conditions,
    conversions,
    dates,
    diacritics,
    flowing,
    lists,
    replacing,
    roles,
    texts,
)
from dirbridge.engine.functions.signature import Function

FAMILIES: Mapping[str, tuple[Function, ...]] = {
    "Conditions": conditions.FUNCTIONS,
    "Text": (*texts.FUNCTIONS, *casing.FUNCTIONS, *diacritics.FUNCTIONS, *replacing.FUNCTIONS),
    "Several values": lists.FUNCTIONS,
    "Dates": dates.FUNCTIONS,
    "Conversions": conversions.FUNCTIONS,
    "Made values": chance.FUNCTIONS,
    "Flow": flowing.FUNCTIONS,
    "Application roles": roles.FUNCTIONS,
}
"""By what they are about, in the order of the documentation."""

FUNCTIONS: Mapping[str, Function] = {function.name: function for family in FAMILIES.values() for function in family}
"""By name."""
