"""Looking through a source tree. Nothing here descends by calling itself, so a tree may be as deep as it likes."""

from __future__ import annotations

from collections.abc import Iterator

from dirbridge.contract.schema import Source
from dirbridge.engine.functions import FUNCTIONS
from dirbridge.engine.functions.flowing import IGNORE_FLOW, REDACT
from dirbridge.engine.functions.signature import constant_text


def parts(source: Source) -> Iterator[tuple[Source, int]]:
    """Go through a tree: each of its sources, the whole first, with how deep it lies."""
    waiting = [(source, 0)]
    while waiting:
        each, depth = waiting.pop()
        yield each, depth
        waiting += [(parameter.value, depth + 1) for parameter in each.parameters]


def attributes_of(source: Source) -> set[str]:
    """List the source attributes that a tree reads."""
    return {each.name for each, _ in parts(source) if each.type == "Attribute" and each.name}


def calls(source: Source, function: str) -> bool:
    """Tell whether a function is called anywhere in a tree."""
    return any(each.type == "Function" and each.name == function for each, _ in parts(source))


def redacts(source: Source) -> bool:
    """Tell whether what a tree gives is to be kept out of the log: some part of it is."""
    return calls(source, REDACT)


def may_ignore(source: Source) -> bool:
    """Tell whether a tree may say that nothing is to flow."""
    return calls(source, IGNORE_FLOW)


def needs(source: Source) -> str | None:
    """Name the one attribute without which a source has no value; None where it must always be evaluated."""
    while source.type == "Function":
        function = FUNCTIONS.get(source.name or "")
        given = {parameter.key: parameter.value for parameter in source.parameters}
        if function is not None and function.name == "IIF":
            inner = _asked_for(given)
        elif function is not None and function.strict:
            inner = given.get(function.parameters[0].name)
        else:
            inner = None
        if inner is None:
            return None
        source = inner
    return source.name if source.type == "Attribute" else None


def _asked_for(given: dict[str, Source]) -> Source | None:
    """Of an IIF that asks whether an attribute is present and gives nothing otherwise, give that attribute."""
    condition, otherwise = given.get("one"), given.get("five")
    if condition is None or "two" in given or condition.type != "Function" or condition.name != "IsPresent":
        return None
    if otherwise is not None and (otherwise.type != "Constant" or constant_text(otherwise)):
        return None
    asked = condition.parameters[0].value if condition.parameters else None
    return asked if asked is not None and asked.type == "Attribute" else None
