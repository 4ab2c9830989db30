"""Several values: making one text of them, parting a text into them, choosing and counting."""

from __future__ import annotations

from collections.abc import Sequence

from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.functions.signature import Complaint, Function, Given, Parameter, constant, of_text, whole
from dirbridge.engine.functions.values import (
    Argument,
    Attributes,
    Fixed,
    Result,
    direct,
    failed,
    joined,
    number,
    several,
    text,
)


def _join(separator: Result, *sources: Result) -> Result:
    found: list[str] = []
    for source in sources:
        if type(source) is str:
            if source:
                found.append(source)
        else:
            found += filter(None, (text(item, "Join") for item in several(source)))
    return joined(found, text(separator, "Join") or "")


def _bind_join(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    separator, *sources = [direct(argument or Fixed(None)) for argument in arguments]
    if len(sources) == 2:
        one, other = sources
        return lambda at: _join(separator(at), one(at), other(at))
    return lambda at: _join(separator(at), *[source(at) for source in sources])


def _split(source: Result, delimiter: Result) -> Result:
    """Part a text at each delimiter; white space around the parts goes, empty parts stay to be counted."""
    value, mark = text(source, "Split"), text(delimiter, "Split") or ""
    if len(mark) != 1:
        raise failed(f"Split takes one character to split at and was given {len(mark)}.")
    if value is None:
        return None
    return tuple(part.strip() for part in value.split(mark))


def _check_split(given: Given) -> Complaint | None:
    mark = constant(given, "delimiter")
    if mark is not None and len(mark) != 1:
        return Complaint(f"Split splits at one character, and '{mark}' has {len(mark)}.", "Give one.", "delimiter")
    return None


def _item(source: Result, index: Result) -> Result:
    return _chosen(source, number(index, "Item"))


def _chosen(source: Result, position: int) -> Result:
    values = several(source)
    if not 1 <= position <= len(values):
        raise failed(
            f"Item was asked for value {position} of {len(values)}.",
            "Count begins with 1; test with IsPresent or Count first.",
        )
    return values[position - 1]


def _bind_item(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    """Read the index once where it is a constant."""
    source, index = direct(arguments[0] or Fixed(None)), arguments[1] or Fixed(None)
    if not isinstance(index, Fixed):
        return lambda at: _item(source(at), index(at))
    position = number(index.value, "Item")

    def choose(at: Attributes) -> Result:
        return _chosen(source(at), position)

    return choose


def _check_item(given: Given) -> Complaint | None:
    if constant(given, "index") == "0":
        return Complaint("Item counts from 1.", "Write 1 for the first value.", "index")
    return None


def _count(source: Result) -> Result:
    return str(len(several(source)))


def _contains(source: Result, value: Result) -> Result:
    wanted = text(value, "Contains") or ""
    for position, item in enumerate(several(source), 1):
        if isinstance(item, str) and wanted in item:
            return str(position)
    return "0"


def _remove_duplicates(source: Result) -> Result:
    return tuple(dict.fromkeys(source)) if isinstance(source, tuple) else source


_SOURCE = of_text()

FUNCTIONS = (
    Function(
        "Join",
        (of_text("separator"), Parameter("source", repeats=True)),
        "The values one after the other with the separator between; each of several values counts, absent and empty "
        "ones do not.",
        'Join("-", "a", "", "b")',
        "a-b",
        bind=_bind_join,
    ),
    Function(
        "Split",
        (_SOURCE, of_text("delimiter")),
        "The parts of a text between one character, without white space around them.",
        'Item(Split("a, b", ","), 2)',
        "b",
        _split,
        check=_check_split,
        strict=True,
    ),
    Function(
        "Item",
        (_SOURCE, whole("index")),
        "One of several values, counted from 1. There being none fails the entry.",
        'Item(Split("a@b", "@"), 1)',
        "a",
        bind=_bind_item,
        check=_check_item,
    ),
    Function("Count", (_SOURCE,), "The number of values; 0 where absent.", 'Count(Split("a,b", ","))', "2", _count),
    Function(
        "Contains",
        (_SOURCE, of_text("value")),
        "The number, counted from 1, of the first value in which the text stands; 0 where it stands in none.",
        'Contains(Split("x,yz", ","), "z")',
        "2",
        _contains,
    ),
    Function(
        "RemoveDuplicates",
        (_SOURCE,),
        "Each value once, in the order of their first coming. Case counts.",
        'Join(",", RemoveDuplicates(Split("a,b,a", ",")))',
        "a,b",
        _remove_duplicates,
        strict=True,
    ),
)
