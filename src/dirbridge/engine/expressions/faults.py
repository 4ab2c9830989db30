"""What can be wrong with an expression, found before any entry is seen."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence

from dirbridge.contract.entry import text_fault
from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import Parameter as Argument
from dirbridge.contract.schema import Source
from dirbridge.engine.functions import FUNCTIONS
from dirbridge.engine.functions.flowing import SELECT_UNIQUE_VALUE
from dirbridge.engine.functions.signature import Complaint, Function, constant_text
from dirbridge.engine.functions.values import whole_number

MOST_CHARACTERS = 10_000
"""How long an expression may be."""

DEEPEST = 100
"""How deep calls may stand within calls."""


class InvalidExpression(ConfigurationError):
    """An expression that cannot be read, with the place of its fault.

    Args:
        offset: of the fault, in characters from 0.
        met, expected: what stands there and what could; empty where the fault is another than of syntax.
    """

    code = "InvalidExpression"

    def __init__(self, text: str, offset: int, what: str, remedy: str, *, met: str = "", expected: str = "") -> None:
        self.offset = offset
        self.line = text.count("\n", 0, offset) + 1
        self.column = offset - (text.rfind("\n", 0, offset) + 1) + 1
        self.met, self.expected = met, expected
        details = {"line": str(self.line), "column": str(self.column), "offset": str(offset)}
        if met:
            details |= {"met": met, "expected": expected}
        super().__init__(
            f"The expression is wrong at line {self.line}, column {self.column}: {what}",
            recommended_action=remedy,
            details=details,
        )


def near(name: str, known: Collection[str]) -> str:
    """Name those of the known names that look like a wrong one."""
    folded = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.6)
    return " or ".join(folded[each] for each in found)


def unknown_function(name: str) -> Complaint:
    """Say that there is no such function, and which there is instead."""
    alike = near(name, FUNCTIONS)
    remedy = f"Did you mean {alike}? " if alike else "docs/expressions.md lists them all. "
    return Complaint(f"'{name}' is no function.", f"{remedy}Names are case-sensitive.")


def of_call(function: Function, arguments: Sequence[Argument]) -> Complaint | None:
    """Find what is wrong with a call, its arguments being sound themselves."""
    given: dict[str, list[Source]] = {}
    for argument in arguments:
        parameter = function.parameter(argument.key)
        if parameter is None:
            keys = ", ".join(each.name for each in function.parameters)
            remedy = f"Its parameters are {keys}." if keys else "It takes none."
            return Complaint(f"{function.name} has no parameter '{argument.key}'.", remedy, argument.key)
        given.setdefault(argument.key, []).append(argument.value)
        if parameter.type == "Integer" and argument.value.type == "Constant":
            written = constant_text(argument.value)
            if whole_number(written) is None:
                what = f"'{argument.key}' of {function.name} is a whole number, and '{written:.100}' is none."
                return Complaint(what, "Write a number such as 2, -1 or &HF.", argument.key)
    for parameter in function.parameters:
        count = len(given.get(parameter.name, ()))
        if parameter.required and not count:
            return Complaint(f"{function.name} lacks its parameter '{parameter.name}'.", "Add it.")
        if count > 1 and not parameter.repeats:
            return Complaint(
                f"{function.name} has its parameter '{parameter.name}' {count} times.", "Keep one.", parameter.name
            )
    return function.check(given) if function.check is not None else None


def of_constant(text: str) -> Complaint | None:
    """Find what is wrong with a constant."""
    fault = text_fault(text)
    return None if fault is None else Complaint(f"the text '{text:.40}' {fault}.", "Take the character out.")


def of_uniqueness(source: Source, *, matching: bool, on_create_only: bool, can_ask: bool) -> Complaint | None:
    """Find what stands against SelectUniqueValue in a mapping, where its source is one."""
    if source.type != "Function" or source.name != SELECT_UNIQUE_VALUE:
        return None
    if not can_ask:
        return Complaint(
            "SelectUniqueValue needs a target that can be asked whether a value is free, and this one cannot.",
            "Make the value unique by itself, for instance from [employeeID] or [sAMAccountName].",
        )
    if matching:
        return Complaint(
            "SelectUniqueValue cannot make a value by which objects are matched.", "Set matchingPriority to 0."
        )
    if not on_create_only:
        return Complaint("SelectUniqueValue makes values for new objects only.", "Set flowType to ObjectAddOnly.")
    return None
