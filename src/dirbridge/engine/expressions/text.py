"""From a source tree to its text, in the one form that Graph gives it: a comma and a space, a place a parameter.

Reading the text again gives the same tree, as long as names of attributes have no unpaired bracket in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dirbridge.contract.schema import Parameter as Argument
from dirbridge.contract.schema import Source
from dirbridge.engine.functions import FUNCTIONS
from dirbridge.engine.functions.signature import Function, Parameter, constant_text
from dirbridge.engine.functions.values import whole_number


def of(source: Source) -> str:
    """Write a tree as text. It must be no deeper than an expression may be."""
    if source.type == "Attribute":
        return f"[{source.name}]"
    if source.type == "Constant":
        return quoted(constant_text(source)) if source.expression is not None else source.name or ""
    return call(source.name or "", source.parameters)


def quoted(text: str) -> str:
    """Write a constant."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def call(name: str, arguments: Sequence[Argument]) -> str:
    """Write a call; a place whose parameter is not given stays empty."""
    function = FUNCTIONS.get(name)
    if function is None:
        return f"{name}({', '.join(of(argument.value) for argument in arguments)})"
    given: dict[str, list[Source]] = {}
    for argument in arguments:
        given.setdefault(argument.key, []).append(argument.value)
    compared = function.compares and "two" in given
    wanted = given.keys() - {"one", "two", "three"} if compared else given.keys()
    form = next((each for each in function.forms if wanted <= set(each)), function.forms[-1])
    written: list[str] = []
    for index, key in enumerate(form):
        if compared and index == 0:
            written.append(_comparison(given))
        else:
            written += _place(function, key, given.get(key, ()))
    return f"{name}({', '.join(written)})"


def _comparison(given: Mapping[str, Sequence[Source]]) -> str:
    sides = [of(given[key][0]) if given.get(key) else '""' for key in ("one", "three")]
    return f"{sides[0]}{constant_text(given['two'][0])}{sides[1]}"


def _place(function: Function, key: str, sources: Sequence[Source]) -> list[str]:
    parameter = function.parameter(key)
    return [_argument(parameter, source) for source in sources] or [""]


def _argument(parameter: Parameter | None, source: Source) -> str:
    """Write an argument; numbers where one is expected, and words of the function's own, stand without quotes."""
    if parameter is not None and source.type == "Constant":
        written = constant_text(source)
        if written in parameter.words or (parameter.type == "Integer" and is_number(written)):
            return written
    return of(source)


def is_number(text: str) -> bool:
    """Tell whether a text is a number as an expression may write it without quotes."""
    return whole_number(text) is not None and (text.lstrip("-").isdecimal() or text.startswith("&")) and text.isascii()
