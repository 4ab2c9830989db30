"""Cutting, joining on and searching text. A character is a Unicode code point."""

from __future__ import annotations

from collections.abc import Sequence

from dirbridge.engine.functions.casing import lowered
from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.functions.signature import Complaint, Function, Given, Parameter, constant, of_text, whole
from dirbridge.engine.functions.values import (
    LONGEST,
    Argument,
    Attributes,
    Fixed,
    Result,
    direct,
    each,
    failed,
    number,
    text,
    too_long,
)

_TEXT_COMPARE, _BINARY_COMPARE = "vbTextCompare", "vbBinaryCompare"


def _append(source: Result, suffix: Result) -> Result:
    end = text(suffix, "Append") or ""
    return each(source if source is not None else "", lambda value: _sized(value, end) + end)


def _prepend(prefix: Result, source: Result) -> Result:
    start = text(prefix, "Prepend") or ""
    return each(source if source is not None else "", lambda value: start + _sized(value, start))


def _sized(value: str, other: str) -> str:
    if len(value) + len(other) > LONGEST:
        raise too_long("The text")
    return value


def _left(source: Result, length: Result) -> Result:
    value = text(source, "Left")
    if value is None:
        return ""
    count = number(length, "Left")
    return value if count < 0 else value[:count]


def _bind_left(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    """Read the length once where it is a constant."""
    source, length = direct(arguments[0] or Fixed(None)), arguments[1] or Fixed(None)
    if not isinstance(length, Fixed):
        return lambda at: _left(source(at), length(at))
    count = number(length.value, "Left")

    def cut(at: Attributes) -> Result:
        value = text(source(at), "Left")
        return "" if value is None else value if count < 0 else value[:count]

    return cut


def _mid(source: Result, start: Result, length: Result) -> Result:
    value = text(source, "Mid")
    if value is None:
        return ""
    begin, count = number(start, "Mid"), number(length, "Mid")
    if count < 0 or begin <= 0 or begin > len(value):
        return value
    return value[begin - 1 : begin - 1 + count]


def _len(source: Result) -> Result:
    return str(len(text(source, "Len") or ""))


def _trim(source: Result) -> Result:
    return source.strip() if type(source) is str else each(source, str.strip)


def _strip_spaces(source: Result) -> Result:
    return each(source, lambda value: value.replace(" ", ""))


def _in_str(value1: Result, value2: Result, start: Result, compare_type: Result) -> Result:
    searched, wanted = text(value1, "InStr") or "", text(value2, "InStr") or ""
    begin = 1 if start is None else number(start, "InStr")
    if begin < 1:
        raise failed(f"InStr counts from 1 and was told to start at {begin}.")
    kind = text(compare_type, "InStr") or _BINARY_COMPARE
    if kind not in {_TEXT_COMPARE, _BINARY_COMPARE}:
        raise failed(f"InStr compares by {_TEXT_COMPARE} or {_BINARY_COMPARE}, not by '{kind:.40}'.")
    if not searched:
        return "0"
    if kind == _TEXT_COMPARE:
        searched, wanted = lowered(searched), lowered(wanted)
    return str(searched.find(wanted, begin - 1) + 1)


def _word(source: Result, word_number: Result, delimiters: Result) -> Result:
    value, marks = text(source, "Word"), text(delimiters, "Word") or ""
    position = number(word_number, "Word")
    if not value or position < 1:
        return ""
    for mark in marks[1:]:
        value = value.replace(mark, marks[0])
    words = [word for word in value.split(marks[0]) if word] if marks else [value]
    return words[position - 1] if position <= len(words) else ""


def _check_compare_type(given: Given) -> Complaint | None:
    kind = constant(given, "compareType")
    if kind is not None and kind not in {_TEXT_COMPARE, _BINARY_COMPARE}:
        return Complaint(
            f"InStr cannot compare by '{kind}'.", f"Use {_TEXT_COMPARE} or {_BINARY_COMPARE}.", "compareType"
        )
    return None


_SOURCE = of_text()

FUNCTIONS = (
    Function(
        "Append",
        (_SOURCE, of_text("suffix")),
        "The source with the suffix after it. An absent source is taken for an empty one.",
        'Append("ann", ".x")',
        "ann.x",
        _append,
    ),
    Function(
        "Prepend",
        (of_text("prefix"), _SOURCE),
        "The source with the prefix before it. An absent source is taken for an empty one.",
        'Prepend("u-", "ann")',
        "u-ann",
        _prepend,
    ),
    Function(
        "Left",
        (_SOURCE, whole("length")),
        "That many characters from the beginning; all of them where the number is negative.",
        'Left("abcdef", 2)',
        "ab",
        bind=_bind_left,
        strict=True,
    ),
    Function(
        "Mid",
        (_SOURCE, whole("start"), whole("length")),
        "That many characters from a position on, the first being 1. "
        "Where the position is none of the text's, or the length negative, the whole text.",
        'Mid("abcdef", 3, 2)',
        "cd",
        _mid,
        strict=True,
    ),
    Function("Len", (_SOURCE,), "The number of characters.", 'Len("abc")', "3", _len),
    Function(
        "Trim",
        (_SOURCE,),
        "Without white space at both ends, each of several values.",
        'Trim("  a ")',
        "a",
        _trim,
        strict=True,
    ),
    Function(
        "StripSpaces",
        (_SOURCE,),
        "Without spaces, each of several values. Other white space stays.",
        'StripSpaces("a b c")',
        "abc",
        _strip_spaces,
        strict=True,
    ),
    Function(
        "InStr",
        (
            of_text("value1"),
            of_text("value2"),
            whole("start", required=False),
            Parameter("compareType", required=False, words=(_TEXT_COMPARE, _BINARY_COMPARE)),
        ),
        "The position, counted from 1, at which the second text begins in the first; 0 where it is not there. "
        "`vbTextCompare` takes no heed of case.",
        'InStr("contoso", "to")',
        "4",
        _in_str,
        check=_check_compare_type,
    ),
    Function(
        "Word",
        (_SOURCE, whole("wordNumber"), of_text("delimiters")),
        "The word of that number, counted from 1, between any of the characters given; empty where there is none.",
        'Word("a;b,c", 2, ";,")',
        "b",
        _word,
        strict=True,
    ),
)
