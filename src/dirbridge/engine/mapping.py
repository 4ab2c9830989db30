"""From a source entry to the target entry that should be: the mapping step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from dirbridge.contract.entry import Entry, Values
from dirbridge.contract.errors import EntryError
from dirbridge.contract.export import TargetValue
from dirbridge.engine.attributes import EXPIRED, EXPIRES
from dirbridge.engine.functions.values import NoFlow, boolean_text
from dirbridge.engine.plan import ObjectRule, Row
from dirbridge.engine.redaction import REDACTED

_encoder = msgspec.msgpack.Encoder(order="deterministic")


class Mapped(msgspec.Struct, frozen=True, gc=False):
    """What an entry should be at the target.

    Attributes:
        values: every mapped attribute that has a value.
        held: target attributes that are neither written nor cleared: their source is unknown, or the mapping says so.
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
    if entry.references and not rule.read.isdisjoint(entry.references):
        attributes = {**attributes, **entry.references}
    for name in rule.flags:
        written = attributes.get(name)
        if written and written[0] not in {"True", "False"}:
            attributes = {**attributes, name: tuple(map(boolean_text, written))}
    values: dict[str, TargetValue] = {}
    on_create: set[str] = set()
    held = _held(rule, entry) if entry.unknown else set()
    row: Row | None = None
    try:
        # The value of one row after the other: nine in ten are texts that need nothing done to them.
        simple = rule.simple
        for name in attributes:
            for row in simple.get(name, ()):
                computed = row.compute(attributes)
                value = computed if row.carries_text and type(computed) is str else row.convert(computed)
                if value is not None and value != "":
                    values[row.target] = value
                    if row.on_create_only:
                        on_create.add(row.target)
        for row in rule.always:
            _fill(row, attributes, values, on_create)
        for row in rule.ignorable:
            try:
                _fill(row, attributes, values, on_create)
            except NoFlow:
                held.add(row.target)
    except (EntryError, ArithmeticError, ValueError) as error:
        assert row is not None
        raise _failed(row, entry, error) from error
    if held:
        values = {name: value for name, value in values.items() if name not in held}
    return Mapped(values, frozenset(held), frozenset(on_create))


def _held(rule: ObjectRule, entry: Entry) -> set[str]:
    """Name the target attributes that are computed from what is not known of an entry."""
    unknown = set(entry.unknown)
    if EXPIRES in unknown:
        unknown.add(EXPIRED)
    rows = [row for rows in (*rule.simple.values(), rule.always, rule.ignorable) for row in rows]
    return {row.target for row in rows if row.attributes & unknown}


def _fill(row: Row, attributes: Mapping[str, Values], values: dict[str, TargetValue], on_create: set[str]) -> None:
    value = row.convert(row.compute(attributes))
    if value is None and row.default is not None:
        value = row.convert(row.default)
        on_create.add(row.target)
    if value is not None:
        values[row.target] = value
        if row.on_create_only:
            on_create.add(row.target)


def _failed(row: Row, entry: Entry, error: EntryError | ArithmeticError | ValueError) -> EntryError:
    """Name the target attribute in an error. Of a redacted one, what the error says of its values is left out.

    An ArithmeticError or ValueError is of a value beyond what Python writes or counts, such as one of 5,000 digits.
    """
    known = error if isinstance(error, EntryError) else EntryError(f"{error}.", code="ExpressionFailed")
    reason = f"{REDACTED}." if row.redacted else known.reason
    return EntryError(
        f"'{row.target}' of '{entry.name}' cannot be worked out: {reason}",
        code=known.code,
        recommended_action=known.recommended_action
        or f"Check the mapping of '{row.target}' and the values that it takes.",
        details={**({} if row.redacted else known.details), "targetAttribute": row.target},
    )


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
