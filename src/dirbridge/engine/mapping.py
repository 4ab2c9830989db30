"""From a source entry to the target entry that should be: the mapping step."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from dirbridge.contract.entry import Entry, Value, Values
from dirbridge.contract.errors import EntryError
from dirbridge.contract.export import TargetValue
from dirbridge.contract.schema import AttributeDefinition
from dirbridge.engine.functions.values import Plain, is_present
from dirbridge.engine.plan import EXPIRED, EXPIRES, ObjectRule, Row

_encoder = msgspec.msgpack.Encoder(order="deterministic")


class Mapped(msgspec.Struct, frozen=True, gc=False):
    """What an entry should be at the target.

    Attributes:
        values: every mapped attribute that has a value.
        held: target attributes whose source is unknown; they are neither written nor cleared.
        on_create: attributes that flow only when the object is created.
    """

    values: dict[str, TargetValue]
    held: frozenset[str] = frozenset()
    on_create: frozenset[str] = frozenset()

    def digest(self) -> bytes:
        """Give a fingerprint of what flows on update; what is held counts as a value of its own."""
        flowing = {name: value for name, value in self.values.items() if name not in self.on_create}
        told = (flowing, sorted(self.held)) if self.held else flowing
        return hashlib.blake2b(_encoder.encode(told), digest_size=16).digest()


def apply(rule: ObjectRule, entry: Entry, now: datetime) -> Mapped:
    """Map an entry.

    Raises:
        EntryError: a value cannot be carried, or an expression fails; names the attribute.
    """
    if entry.faults:
        name, why = next(iter(sorted(entry.faults.items())))
        raise EntryError(
            f"The attribute '{name}' of '{entry.name}' {why}.",
            code="InvalidAttributeValue",
            recommended_action="Correct the value in the source directory.",
            details=entry.faults,
        )
    attributes: Mapping[str, Values] = entry.attributes
    if EXPIRES in attributes:
        expired = is_expired(entry, now)
        attributes = {**attributes, EXPIRED: ("True" if expired else "False",)}
    values: dict[str, TargetValue] = {}
    on_create: set[str] = set()
    for name in attributes:
        for row in rule.simple.get(name, ()):
            _fill(row, attributes, entry, values, on_create)
    for row in rule.always:
        _fill(row, attributes, entry, values, on_create)
    held: frozenset[str] = frozenset()
    if entry.unknown:
        unknown = set(entry.unknown)
        if EXPIRES in unknown:
            unknown.add(EXPIRED)
        rows = [row for rows in (*rule.simple.values(), rule.always) for row in rows]
        held = frozenset(row.target for row in rows if row.attributes & unknown)
        values = {name: value for name, value in values.items() if name not in held}
    return Mapped(values, held, frozenset(on_create))


def _fill(
    row: Row,
    attributes: Mapping[str, Values],
    entry: Entry,
    values: dict[str, TargetValue],
    on_create: set[str],
) -> None:
    try:
        value = _convert(row.compute(attributes), row.definition)
    except EntryError as error:
        raise EntryError(
            f"'{row.target}' of '{entry.name}' cannot be worked out: {error.reason}",
            code=error.code,
            recommended_action=error.recommended_action or f"Check the mapping of '{row.target}'.",
            details={**error.details, "targetAttribute": row.target},
        ) from error
    except (ArithmeticError, ValueError) as error:
        # A value beyond what Python writes or counts, such as a number of 5,000 digits.
        raise EntryError(
            f"'{row.target}' of '{entry.name}' cannot be worked out: {error}.",
            code="ExpressionFailed",
            recommended_action=f"Check the mapping of '{row.target}' and the values that it takes.",
            details={"targetAttribute": row.target},
        ) from error
    if value is None and row.default is not None:
        value = _convert(row.default, row.definition)
        on_create.add(row.target)
    if value is not None:
        values[row.target] = value
        if row.on_create_only:
            on_create.add(row.target)


def _convert(value: Plain, definition: AttributeDefinition) -> TargetValue:
    """Bring a value into the target attribute's type; empty ones are none."""
    if not is_present(value):
        return None
    if definition.multivalued:
        items = value if isinstance(value, tuple) else (value,)
        found = [_single(item, definition) for item in items if item is not None and is_present(item)]
        return tuple(sorted(set(found))) if found else None
    if isinstance(value, tuple):
        if len(value) > 1:
            raise EntryError(
                f"it takes one value and the source has {len(value)}.",
                code="SchemaPropertyCanOnlyAcceptValue",
                recommended_action="Choose one with Item([attribute], 1).",
            )
        value = value[0]
    single = _single(value, definition) if value is not None else None
    return _typed(single, definition)


def _single(value: Value, definition: AttributeDefinition) -> Value:
    if definition.type == "Binary":
        return value if isinstance(value, bytes) else value.encode()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _typed(value: Value | None, definition: AttributeDefinition) -> TargetValue:
    if definition.type == "Boolean" and isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise EntryError(f"it takes True or False and was given '{value}'.", code="InvalidAttributeValue")
        return value.lower() == "true"
    if definition.type == "Integer" and isinstance(value, str):
        try:
            number = int(value)
        except ValueError as error:
            raise EntryError(
                f"it takes a whole number and was given '{value:.40}'.", code="InvalidAttributeValue"
            ) from error
        if not -_INTEGERS <= number < _INTEGERS:
            raise EntryError(f"it takes a number of 64 bits and was given '{value:.40}'.", code="InvalidAttributeValue")
        return number
    return value


_INTEGERS = 2**63


_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_NEVER = (0, 9223372036854775807)


def expiry(entry: Entry) -> datetime | None:
    """Give when an account expires, or None where never. Source: accountExpires, 100 ns steps since 1601."""
    value = entry.first(EXPIRES)
    try:
        steps = int(value) if isinstance(value, str) else 0
        return None if steps in _NEVER else _FILETIME_EPOCH + timedelta(microseconds=steps // 10)
    except (ValueError, OverflowError):
        return None


def is_expired(entry: Entry, now: datetime) -> bool:
    """Tell whether an account's expiry has passed."""
    moment = expiry(entry)
    return moment is not None and moment <= now
