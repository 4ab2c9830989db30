"""Building sources of mappings: an attribute, a constant, a call, each with the text that people read.

Used by the `schema` of each kind for the rule that its jobs begin with.

Source: Graph attributeMappingSource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dirbridge.contract.schema import Parameter, Source

# Names of the parameters, in order. The last one of a tuple that ends with `*` may repeat.
PARAMETERS: dict[str, tuple[str, ...]] = {
    "BitAnd": ("left", "right"),
    "CBool": ("source",),
    "DateFromNum": ("source",),
    "Error": ("message",),
    "FormatDateTime": ("source", "inputFormat", "outputFormat"),
    "IsPresent": ("source",),
    "Item": ("source", "index"),
    "Join": ("separator", "source*"),
    "Left": ("source", "length"),
    "Not": ("source",),
    "RemoveDuplicates": ("source",),
    "Trim": ("source",),
}

_NUMBER = re.compile(r"-?\d+")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
"""The name of an attribute or a class: RFC 4512 section 1.4, keystring."""


def attribute(name: str) -> Source:
    """The value of a source attribute."""
    return Source(type="Attribute", name=name, expression=f"[{name}]")


def constant(value: str) -> Source:
    r"""A fixed text. A macro such as `%DomainFQDN%` has no expression text: it is filled in from the job's settings."""
    if value.startswith("%") and value.endswith("%"):
        return Source(type="Constant", name=value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return Source(type="Constant", name=value, expression=f'"{escaped}"')


def function(name: str, *arguments: Source | None) -> Source:
    """A call. None leaves a parameter out; its place in the text stays empty."""
    keys = PARAMETERS[name]
    parameters = []
    for at, argument in enumerate(arguments):
        key = keys[min(at, len(keys) - 1)]
        if at >= len(keys) and not key.endswith("*"):
            raise ValueError(f"{name} takes {len(keys)} arguments, not {len(arguments)}")
        if argument is not None:
            parameters.append(Parameter(key.rstrip("*"), argument))
    text = ", ".join(_text(argument) for argument in arguments)
    return Source(type="Function", name=name, expression=f"{name}({text})", parameters=tuple(parameters))


def when(condition: Source, then: Source, otherwise: Source | None = None, *, equals: Source | None = None) -> Source:
    """`IIF`: the condition alone, or compared with `equals`."""
    if equals is None:
        test, parameters = _text(condition), [Parameter("one", condition)]
    else:
        test = f"{_text(condition)}={_text(equals, quote=True)}"
        parameters = [Parameter("one", condition), Parameter("two", constant("=")), Parameter("three", equals)]
    parameters.append(Parameter("four", then))
    if otherwise is not None:
        parameters.append(Parameter("five", otherwise))
    text = f"IIF({test}, {_text(then)}, {_text(otherwise)})"
    return Source(type="Function", name="IIF", expression=text, parameters=tuple(parameters))


def present(name: str) -> Source:
    """`IsPresent` of a source attribute."""
    return function("IsPresent", attribute(name))


def trimmed(name: str) -> Source:
    """`Trim` of a source attribute."""
    return function("Trim", attribute(name))


def _text(source: Source | None, *, quote: bool = False) -> str:
    if source is None:
        return ""
    # Numbers stand bare in a call and quoted in a comparison; a macro stands as it is.
    bare = source.type == "Constant" and not quote and _NUMBER.fullmatch(source.name or "") is not None
    if bare or source.expression is None:
        return source.name or ""
    return source.expression


def names(source: Source) -> Iterable[str]:
    """The source attributes that a source of a mapping reads."""
    if source.type == "Attribute" and source.name is not None:
        yield source.name
    for parameter in source.parameters:
        yield from names(parameter.value)
