"""What flows through an expression, and how one kind of value is read as another.

A value is text, bytes, a moment, a tuple of several, or None where absent. Numbers and Booleans are text (`"12"`,
`"True"`). A moment lives only inside an expression: a date function hands it to the next with all its fractions, and
whoever wants text of it gets `M/d/yyyy h:mm:ss tt`.

Source: the published function reference for mapping expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation

from dirbridge.contract.entry import Value, Values
from dirbridge.contract.errors import EntryError

Single = Value | datetime | None
Result = Value | datetime | tuple[Value, ...] | None
Plain = Value | tuple[Value, ...] | None
"""What leaves an expression: no moment, but its text."""

Attributes = Mapping[str, Values]
Argument = Callable[[Attributes], Result]
"""An argument that has been compiled: evaluated only where it is needed, on the entry's attributes."""

Computed = Callable[[Attributes], Plain]
"""A whole expression that has been compiled."""

LONGEST = 1_000_000
"""Characters that a function may make of its arguments: some multiply, and an expression nests them."""

CODE = "ExpressionFailed"


class Fixed:
    """An argument that is the same for every entry."""

    __slots__ = ("value",)

    def __init__(self, value: Result) -> None:
        self.value = value

    def __call__(self, _attributes: Attributes) -> Result:
        return self.value


class Read:
    """An argument that is an attribute of the entry: its one value plain, several together.

    Attributes:
        get: the same as calling this, without the way through the class.
    """

    __slots__ = ("get", "name")

    def __init__(self, name: str) -> None:
        def get(attributes: Attributes) -> Result:
            values = attributes.get(name)
            if not values:
                return None
            return values[0] if len(values) == 1 else values

        self.name = name
        self.get: Argument = get

    def __call__(self, attributes: Attributes) -> Result:
        return self.get(attributes)


class Condition:
    """An argument whose value is `True` or `False`.

    Attributes:
        holds: the same as a test, for whoever needs no text of it.
    """

    __slots__ = ("holds",)

    def __init__(self, holds: Callable[[Attributes], bool]) -> None:
        self.holds = holds

    def __call__(self, attributes: Attributes) -> Result:
        return "True" if self.holds(attributes) else "False"


def direct(argument: Argument) -> Argument:
    """Give the shortest way to an argument's value."""
    return argument.get if isinstance(argument, Read) else argument


class NoFlow(Exception):
    """The attribute is to be left out of the export altogether: neither written nor cleared."""


def failed(what: str, remedy: str = "") -> EntryError:
    """Make the error of an expression that cannot work with what it was given."""
    return EntryError(what, code=CODE, recommended_action=remedy)


def first(value: Result) -> Single:
    """Give a single value: the first of several."""
    if isinstance(value, tuple):
        return value[0] if value else None
    return value


def text(value: Result, where: str) -> str | None:
    """Give a single value as text.

    Raises:
        EntryError: the value is binary.
    """
    single = first(value)
    if single is None or isinstance(single, str):
        return single
    if isinstance(single, datetime):
        return moment_text(single)
    raise failed(
        f"{where} takes text and was given {len(single)} bytes.",
        "Convert the attribute with ConvertToBase64, or map it directly.",
    )


def moment_text(moment: datetime) -> str:
    """Write a moment as `M/d/yyyy h:mm:ss tt`, in UTC where its place is known."""
    hour, half = moment.hour, "AM" if moment.hour < 12 else "PM"
    return (
        f"{moment.month}/{moment.day}/{moment.year:04} {hour % 12 or 12}:{moment.minute:02}:{moment.second:02} {half}"
    )


def excerpt(value: str | None) -> str:
    """Quote a value for a message, no more of it than helps."""
    return repr(value) if value is None or len(value) <= 40 else f"{value[:40]!r}…"


def number(value: Result, where: str) -> int:
    """Give a whole number, also from VB's hexadecimal form.

    Raises:
        EntryError: it is none.
    """
    found = text(value, where)
    whole = whole_number(found) if found is not None else None
    if whole is None:
        raise failed(f"{where} takes a whole number and was given {excerpt(found)}.")
    return whole


def whole_number(found: str) -> int | None:
    """Read a whole number, decimal or as `&H…`; None where it is none."""
    try:
        if found[:2] in {"&H", "&h"}:
            return int(f"0x{found[2:]}", 16) if found[2:].isalnum() else None
        return None if "_" in found else int(found)
    except ValueError:
        return None


def decimal(found: str) -> Decimal | None:
    """Read a number with or without decimals; None where it is none, or beyond what can be reckoned with."""
    if len(found) > 400 or "_" in found:
        return None
    try:
        read = Decimal(found)
    except InvalidOperation:
        return None
    return read if read.is_finite() and abs(read.adjusted()) < 400 else None


def truth(value: Result) -> bool:
    """Tell whether a condition holds: `True` in any case of letters, or any number but 0."""
    found = first(value)
    if not isinstance(found, str):
        return False
    if found in {"True", "False"}:
        return found == "True"
    if found.lower() == "true":
        return True
    read = whole_number(found)
    return bool(decimal(found)) if read is None else read != 0


def boolean_text(value: Value) -> Value:
    """Give a Boolean as the language writes it, `True` or `False`; what is none stays. Directories write `TRUE`."""
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.capitalize()
    return value


def each(value: Result, change: Callable[[str], Value | None]) -> Result:
    """Apply a change of text to every value; binary ones stay.

    Raises:
        EntryError: the values together grow beyond `LONGEST`.
    """
    if isinstance(value, tuple):
        changed: list[Value] = []
        total = 0
        for item in value:
            one = change(item) if isinstance(item, str) else item
            if one is not None:
                total += len(one)
                changed.append(one)
            if total > LONGEST:
                raise too_long("The values")
        return tuple(changed)
    if isinstance(value, datetime):
        return change(moment_text(value))
    return change(value) if isinstance(value, str) else value


def too_long(what: str) -> EntryError:
    """Make the error of a function whose result would not end."""
    return failed(f"{what} would have more than {LONGEST:,} characters.", "Shorten the values, for instance with Left.")


def joined(parts: Sequence[str], separator: str = "") -> str:
    """Join texts.

    Raises:
        EntryError: the result would be longer than `LONGEST`.
    """
    if sum(map(len, parts)) + len(separator) * len(parts) > LONGEST:
        raise too_long("The joined text")
    return separator.join(parts)


def several(value: Result) -> tuple[Single, ...]:
    """Give all values; none where absent."""
    if isinstance(value, tuple):
        return value
    return () if value is None else (value,)
