"""The functions of the mapping language that the default mapping uses.

A value is text, bytes, a tuple of several, or None where absent. Numbers and Booleans are text (`"12"`, `"True"`).
A function that takes one value and is given several works on each where that makes sense, and on the first otherwise.

Source: the published function reference for mapping expressions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from dirbridge.contract.entry import Value, Values
from dirbridge.contract.errors import EntryError

Result = Value | tuple[Value, ...] | None
Attributes = Mapping[str, Values]
Argument = Callable[[Attributes], Result]
"""An argument that has been compiled: evaluated only where it is needed, on the entry's attributes."""

_FILETIME_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)


class Function(msgspec.Struct, frozen=True):
    """A function: its parameters in order, how many must be given, and what it does.

    Attributes:
        keys: parameter names of the stored tree.
        repeats: the last parameter may come any number of times.
        call: takes the entry's attributes and the arguments; one that was not given is None.
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
        shown = repr(found) if found is None or len(found) <= 40 else f"{found[:40]!r}…"
        raise EntryError(f"{where} takes a whole number and was given {shown}.", code="ExpressionFailed") from error


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


def _iif(
    at: Attributes,
    one: Argument,
    two: Argument | None,
    three: Argument | None,
    four: Argument | None,
    five: Argument | None,
) -> Result:
    operator = None if two is None else text(two(at), "IIF") or ""
    holds = truth(one(at)) if operator is None else compare(one(at), operator, three(at) if three else None)
    branch = four if holds else five
    return branch(at) if branch else None


def _error(at: Attributes, message: Argument) -> Result:
    raise EntryError(text(message(at), "Error") or "The mapping raised an error.", code="ExpressionError")


def _join(at: Attributes, separator: Argument, *sources: Argument) -> Result:
    found: list[str] = []
    for source in sources:
        value = source(at)
        for item in value if isinstance(value, tuple) else (value,):
            part = text(item, "Join")
            if part:
                found.append(part)
    return (text(separator(at), "Join") or "").join(found)


def _item(at: Attributes, source: Argument, index: Argument) -> Result:
    value, position = source(at), number(index(at), "Item")
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    if not 1 <= position <= len(values):
        raise EntryError(
            f"Item was asked for value {position} of {len(values)}.",
            code="ExpressionFailed",
            recommended_action="Count begins with 1; test with IsPresent or Count first.",
        )
    return values[position - 1]


def _left(at: Attributes, source: Argument, length: Argument) -> Result:
    value = text(source(at), "Left")
    if value is None:
        return ""
    count = number(length(at), "Left")
    return value if count < 0 else value[:count]


def _bit_and(at: Attributes, left: Argument, right: Argument) -> Result:
    result = number(left(at), "BitAnd") & number(right(at), "BitAnd")
    return str(result)


def _remove_duplicates(at: Attributes, source: Argument) -> Result:
    value = source(at)
    return tuple(dict.fromkeys(value)) if isinstance(value, tuple) else value


def _date_from_num(at: Attributes, source: Argument) -> Result:
    """100-nanosecond steps since 1601 as `M/d/yyyy h:mm:ss tt`; 0 and absent give nothing."""
    value = text(source(at), "DateFromNum")
    if value is None or value in {"", "0"}:
        return None
    try:
        moment = _FILETIME_EPOCH + timedelta(microseconds=number(value, "DateFromNum") // 10)
    except OverflowError as error:
        raise EntryError(
            f"DateFromNum was given '{value}', which is no time before the year 10000.", code="ExpressionFailed"
        ) from error
    hour = moment.hour % 12 or 12
    return f"{moment.month}/{moment.day}/{moment.year} {hour}:{moment:%M:%S} {'AM' if moment.hour < 12 else 'PM'}"


_MOMENT = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d\d):(\d\d) ([AP]M)")


def _format_date_time(at: Attributes, source: Argument, *formats: Argument | None) -> Result:
    """Write a date in a .NET format of fixed-width parts; what is no such part stays as it is."""
    value = text(source(at), "FormatDateTime")
    if not value:
        return None
    found = _MOMENT.fullmatch(value)
    if found is None:
        raise EntryError(
            f"FormatDateTime was given '{value}', which is no date of the form M/d/yyyy h:mm:ss tt.",
            code="ExpressionFailed",
        )
    month, day, year, hour, minute, second, half = found.groups()
    parts = {
        "yyyy": year,
        "MM": month.zfill(2),
        "dd": day.zfill(2),
        "HH": f"{int(hour) % 12 + (12 if half == 'PM' else 0):02}",
        "mm": minute,
        "ss": second,
    }
    shape = formats[-1]
    wanted = (text(shape(at), "FormatDateTime") if shape else None) or ""
    for part, digits in parts.items():
        wanted = wanted.replace(part, digits)
    return wanted


def _c_bool(at: Attributes, source: Argument) -> Result:
    return flag(truth(source(at)))


FUNCTIONS: Mapping[str, Function] = {
    function.name: function
    for function in (
        Function("IIF", ("one", "two", "three", "four", "five"), 1, _iif),
        Function("IsPresent", ("source",), 1, lambda at, source: flag(is_present(source(at)))),
        Function("Not", ("source",), 1, lambda at, source: flag(first(source(at)) != "True")),
        Function("CBool", ("source",), 1, _c_bool),
        Function("Trim", ("source",), 1, lambda at, source: each(source(at), str.strip)),
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
