"""The functions of the mapping language that the default mapping uses.

A value is text, bytes, a tuple of several, or None where absent. Numbers and Booleans are text (`"12"`, `"True"`).
A function that takes one value and is given several works on each where that makes sense, and on the first otherwise.

Source: the published function reference for mapping expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from dirbridge.contract.entry import Value
from dirbridge.contract.errors import EntryError

Result = Value | tuple[Value, ...] | None
Thunk = Callable[[], Result]

_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


class Function(msgspec.Struct, frozen=True):
    """A function: its parameters in order, how many must be given, and what it does.

    Attributes:
        keys: parameter names of the stored tree.
        repeats: the last parameter may come any number of times.
        call: takes thunks, so that what is not needed is not evaluated; an argument not given is None.
    """

    name: str
    keys: tuple[str, ...]
    required: int
    call: Callable[..., Result]
    repeats: bool = False


def first(value: Result) -> Value | None:
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
    raise EntryError(
        f"{where} takes text and was given {len(single)} bytes.",
        code="ExpressionFailed",
        recommended_action="Convert the attribute with ConvertToBase64, or map it directly.",
    )


def number(value: Result, where: str) -> int:
    """Give a whole number, also from VB's hexadecimal form.

    Raises:
        EntryError: it is none.
    """
    found = text(value, where)
    try:
        if found is not None and found[:2].upper() == "&H":
            return int(f"0x{found[2:]}", 16)
        return int(found or "")
    except ValueError as error:
        raise EntryError(f"{where} takes a whole number and was given {found!r}.", code="ExpressionFailed") from error


def truth(value: Result) -> bool:
    """Tell whether a condition holds: `True`, or any number but 0."""
    found = first(value)
    if not isinstance(found, str):
        return False
    if found in ("True", "true"):
        return True
    try:
        return int(found) != 0
    except ValueError:
        return False


def flag(value: bool) -> str:
    """Write a Boolean."""
    return "True" if value else "False"


def each(value: Result, change: Callable[[str], str]) -> Result:
    """Apply a change of text to every value; binary ones stay."""
    if isinstance(value, tuple):
        return tuple(change(item) if isinstance(item, str) else item for item in value)
    return change(value) if isinstance(value, str) else value


def is_present(value: Result) -> bool:
    """Tell whether there is a value that is not empty."""
    return value is not None and value not in ("", b"", ())


def _number_or_text(value: Value | None) -> int | str | None:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            return value
    return None


_COMPARISONS: Mapping[str, Callable[[object, object], bool]] = {
    "=": lambda left, right: left == right,
    "<>": lambda left, right: left != right,
}

_ORDERS: Mapping[str, Callable[[int, int], bool]] = {
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
}


def compare(left: Result, operator: str, right: Result) -> bool:
    """Compare two values; order counts only between numbers."""
    if operator in _COMPARISONS:
        return _COMPARISONS[operator](first(left), first(right))
    if operator not in _ORDERS:
        raise EntryError(f"'{operator}' is no comparison; use =, <>, >, >=, < or <=.", code="ExpressionFailed")
    one, other = _number_or_text(first(left)), _number_or_text(first(right))
    return isinstance(one, int) and isinstance(other, int) and _ORDERS[operator](one, other)


def _iif(one: Thunk, two: Thunk | None, three: Thunk | None, four: Thunk | None, five: Thunk | None) -> Result:
    operator = None if two is None else text(two(), "IIF") or ""
    holds = truth(one()) if operator is None else compare(one(), operator, three() if three else None)
    branch = four if holds else five
    return branch() if branch else None


def _error(message: Thunk) -> Result:
    raise EntryError(text(message(), "Error") or "The mapping raised an error.", code="ExpressionError")


def _join(separator: Thunk, *sources: Thunk) -> Result:
    found: list[str] = []
    for source in sources:
        value = source()
        for item in value if isinstance(value, tuple) else (value,):
            part = text(item, "Join")
            if part:
                found.append(part)
    return (text(separator(), "Join") or "").join(found)


def _item(source: Thunk, index: Thunk) -> Result:
    value, position = source(), number(index(), "Item")
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    if not 1 <= position <= len(values):
        raise EntryError(
            f"Item was asked for value {position} of {len(values)}.",
            code="ExpressionFailed",
            recommended_action="Count begins with 1; test with IsPresent or Count first.",
        )
    return values[position - 1]


def _left(source: Thunk, length: Thunk) -> Result:
    value = text(source(), "Left")
    if value is None:
        return ""
    count = number(length(), "Left")
    return value if count < 0 else value[:count]


def _bit_and(left: Thunk, right: Thunk) -> Result:
    result = number(left(), "BitAnd") & number(right(), "BitAnd")
    return str(result)


def _remove_duplicates(source: Thunk) -> Result:
    value = source()
    return tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value


def _date_from_num(source: Thunk) -> Result:
    """100-nanosecond steps since 1601 as `M/d/yyyy h:mm:ss tt`; 0 and absent give nothing."""
    value = text(source(), "DateFromNum")
    if value is None or value in {"", "0"}:
        return None
    moment = _FILETIME_EPOCH + timedelta(microseconds=number(value, "DateFromNum") // 10)
    hour = moment.hour % 12 or 12
    return f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment:%M:%S} {'AM' if moment.hour < 12 else 'PM'}"


_OUT = {
    "yyyy": "{0.year:04}",
    "MM": "{0.month:02}",
    "dd": "{0.day:02}",
    "HH": "{0.hour:02}",
    "mm": "{0.minute:02}",
    "ss": "{0.second:02}",
}


def _format_date_time(source: Thunk, *formats: Thunk | None) -> Result:
    """Write a date in a .NET format of fixed-width parts; what is no such part stays as it is."""
    value = text(source(), "FormatDateTime")
    if not value:
        return None
    given = [text(part(), "FormatDateTime") if part else None for part in formats]
    wanted = given[-1] or ""
    try:
        moment = datetime.strptime(f"{value} +0000", "%m/%d/%Y %I:%M:%S %p %z")
    except ValueError as error:
        raise EntryError(
            f"FormatDateTime was given '{value}', which is no date of the form M/d/yyyy h:mm:ss tt.",
            code="ExpressionFailed",
        ) from error
    for part, pattern in _OUT.items():
        wanted = wanted.replace(part, pattern.format(moment))
    return wanted


def _c_bool(source: Thunk) -> Result:
    return flag(truth(source()))


FUNCTIONS: Mapping[str, Function] = {
    function.name: function
    for function in (
        Function("IIF", ("one", "two", "three", "four", "five"), 1, _iif),
        Function("IsPresent", ("source",), 1, lambda source: flag(is_present(source()))),
        Function("Not", ("source",), 1, lambda source: flag(first(source()) != "True")),
        Function("CBool", ("source",), 1, _c_bool),
        Function("Trim", ("source",), 1, lambda source: each(source(), str.strip)),
        Function("Left", ("source", "length"), 2, _left),
        Function("BitAnd", ("left", "right"), 2, _bit_and),
        Function("Item", ("source", "index"), 2, _item),
        Function("Join", ("separator", "source"), 2, _join, repeats=True),
        Function("RemoveDuplicates", ("source",), 1, _remove_duplicates),
        Function("DateFromNum", ("source",), 1, _date_from_num),
        Function(
            "FormatDateTime",
            ("source", "inputFormat", "outputFormat"),
            2,
            _format_date_time,
        ),
        Function("Error", ("message",), 1, _error),
    )
}

STRICT = frozenset({"Trim", "RemoveDuplicates", "Left"})
"""Functions whose mapping has no value where their one attribute has none."""
