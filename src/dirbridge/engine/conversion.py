"""From what an expression gives to what the target attribute takes: its type, and one value or several."""

from __future__ import annotations

import base64
from collections.abc import Callable

from dirbridge.contract.entry import Value
from dirbridge.contract.errors import EntryError
from dirbridge.contract.export import TargetValue
from dirbridge.contract.schema import AttributeDefinition
from dirbridge.engine.functions.values import Plain

_INTEGERS = 2**63

TYPED = frozenset({"Binary", "Boolean", "Integer"})
"""Types of target attributes in which one text is not simply kept as it is."""

Converter = Callable[[Plain], TargetValue]


def converter(definition: AttributeDefinition) -> Converter:
    """Make what brings a value into a target attribute's type; an empty one becomes None.

    The result raises EntryError where the value does not fit.
    """
    if definition.multivalued:
        return _several(_binary if definition.type == "Binary" else _text)
    return _only(_BY_TYPE.get(definition.type, _text))


def _only(single: Callable[[Value], TargetValue]) -> Converter:
    def convert(value: Plain) -> TargetValue:
        if isinstance(value, tuple):
            if len(value) > 1:
                raise EntryError(
                    f"it takes one value and the source has {len(value)}.",
                    code="SchemaPropertyCanOnlyAcceptValue",
                    recommended_action="Choose one with Item([attribute], 1).",
                )
            value = value[0] if value else None
        return single(value) if value else None

    return convert


def _several(single: Callable[[Value], Value]) -> Converter:
    """Give each value once, in an order that does not depend on the source's."""

    def convert(value: Plain) -> TargetValue:
        if not value:
            return None
        items = value if isinstance(value, tuple) else (value,)
        found = {single(item) for item in items if item}
        return tuple(sorted(found)) if found else None

    return convert


def _text(value: Value) -> str:
    return value if isinstance(value, str) else base64.b64encode(value).decode()


def _binary(value: Value) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def _boolean(value: Value) -> TargetValue:
    written = _text(value)
    if written.lower() not in {"true", "false"}:
        raise EntryError(f"it takes True or False and was given '{written:.40}'.", code="InvalidAttributeValue")
    return written.lower() == "true"


def _integer(value: Value) -> TargetValue:
    written = _text(value)
    try:
        number = int(written)
    except ValueError as error:
        raise EntryError(
            f"it takes a whole number and was given '{written:.40}'.", code="InvalidAttributeValue"
        ) from error
    if not -_INTEGERS <= number < _INTEGERS:
        raise EntryError(f"it takes a number of 64 bits and was given '{written:.40}'.", code="InvalidAttributeValue")
    return number


_BY_TYPE: dict[str, Callable[[Value], TargetValue]] = {
    "Binary": _binary,
    "Boolean": _boolean,
    "Integer": _integer,
}
