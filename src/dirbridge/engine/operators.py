"""What a clause of a filter can ask of an attribute: every operator, and why a value cannot be asked.

`scoping` compiles clauses with these; `GET …/schema/filterOperators` shows them.

Source: published list of scoping filter operators; Graph filterOperatorSchema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
import regex

from dirbridge.contract.entry import Values
from dirbridge.contract.errors import EntryError
from dirbridge.contract.schema import AttributeType
from dirbridge.engine.functions import patterns

REGEX_SECONDS = 0.1
"""How long a pattern may work on one value."""

Test = Callable[[str], bool]
"""Asks one value."""


class Operator(msgspec.Struct, frozen=True):
    """One operator.

    Attributes:
        types: of the attributes that it can be asked of.
        make: a test for an operand; raises ValueError where the operand cannot be used.
        compares: whether every value must pass, or one suffices.
        unary: it takes no operand.
        negative: it asks for the absence of something.
        malformed: says why a value cannot be asked; empty where it can.
    """

    name: str
    types: tuple[AttributeType, ...]
    make: Callable[[str], Test]
    compares: Literal["All", "Any"] = "All"
    unary: bool = False
    negative: bool = False
    malformed: Callable[[str], str] = lambda _text: ""

    def test(self, operand: str) -> Callable[[Values], bool]:
        """Give what asks all values of an attribute, of which there is at least one; binary ones never pass."""
        ask = self.make(operand)
        enough = any if self.compares == "Any" else all

        def test(values: Values) -> bool:
            if len(values) == 1:  # by far the most, and the quickest to ask
                value = values[0]
                return isinstance(value, str) and ask(value)
            return enough(isinstance(value, str) and ask(value) for value in values)

        return test


def find(name: str) -> Operator | None:
    """Give an operator by its name, in whatever case and with blanks or underscores."""
    return _BY_KEY.get(_key(name))


def _key(name: str) -> str:
    return " ".join(name.upper().replace("_", " ").split())


def number(text: str) -> int | None:
    """Read a whole number; None where it is none."""
    try:
        return int(text)
    except ValueError:
        return None


def _no_number(text: str) -> str:
    return "" if number(text) is not None else f"'{text:.40}' is no whole number"


def _no_truth(text: str) -> str:
    return "" if text.lower() in ("true", "false") else f"'{text:.40}' is neither True nor False"


def _truth(wanted: str) -> Callable[[str], Test]:
    return lambda _operand: lambda text: text.lower() == wanted


def _never(_operand: str) -> Test:
    return lambda _text: False


def _whole(operand: str) -> int:
    try:
        return int(operand)
    except ValueError as error:
        raise ValueError("it is no whole number") from error


def _counted(holds: Callable[[int, int], bool]) -> Callable[[str], Test]:
    """Compare numbers; a value that is none fails whatever is asked."""

    def make(operand: str) -> Test:
        wanted = _whole(operand)

        def ask(text: str) -> bool:
            found = number(text)
            return found is not None and holds(found, wanted)

        return ask

    return make


_BEGINNING = regex.compile(r"\^([A-Za-z0-9_]+)(?![*?{|\w])(?!.*\|)", regex.DOTALL)
"""A pattern's literal beginning, where every match must have it: most values are dismissed by it at once."""

_PREFIX = regex.compile(r"\^([A-Za-z0-9_]+)")


def _matches(pattern: str) -> Test:
    if (prefix := _PREFIX.fullmatch(pattern)) is not None:
        beginning = prefix.group(1)
        return lambda text: text.startswith(beginning)
    compiled = patterns.compiled(pattern)
    anchored = _BEGINNING.match(pattern)
    beginning = anchored.group(1) if anchored else ""

    def check(text: str) -> bool:
        if not text.startswith(beginning):
            return False
        try:
            return compiled.search(text, timeout=REGEX_SECONDS) is not None
        except TimeoutError as error:
            raise EntryError(
                f"The pattern '{pattern}' worked longer than {REGEX_SECONDS} s on one value.",
                code="PatternTooSlow",
                recommended_action="Simplify the pattern of the scoping filter.",
            ) from error

    return check


def _matches_not(pattern: str) -> Test:
    matches = _matches(pattern)
    return lambda text: not matches(text)


_TEXT: tuple[AttributeType, ...] = ("String",)
_NUMBER: tuple[AttributeType, ...] = ("Integer",)
_BOTH: tuple[AttributeType, ...] = ("String", "Integer")
_ANY: tuple[AttributeType, ...] = ("String", "Integer", "Binary", "Boolean")

OPERATORS: tuple[Operator, ...] = (
    Operator("EQUALS", _BOTH, lambda operand: lambda text: text == operand),
    Operator("NOT EQUALS", _BOTH, lambda operand: lambda text: text != operand, negative=True),
    Operator("IS TRUE", ("Boolean",), _truth("true"), unary=True, malformed=_no_truth),
    Operator("IS FALSE", ("Boolean",), _truth("false"), unary=True, negative=True, malformed=_no_truth),
    Operator("IS NULL", _ANY, _never, unary=True),
    Operator("IS NOT NULL", _ANY, _never, unary=True),
    # One value suffices, so that its negation, which asks all, is its opposite.
    Operator("REGEX MATCH", _BOTH, _matches, compares="Any"),
    Operator("NOT REGEX MATCH", _BOTH, _matches_not, negative=True),
    Operator("GREATER_THAN", _NUMBER, _counted(lambda found, wanted: found > wanted), malformed=_no_number),
    Operator("GREATER_THAN_OR_EQUALS", _NUMBER, _counted(lambda found, wanted: found >= wanted), malformed=_no_number),
    Operator("INCLUDES", _TEXT, lambda operand: lambda text: operand in text, compares="Any"),
    Operator("ENDS_WITH", _TEXT, lambda operand: lambda text: text.endswith(operand)),
    Operator("&", _NUMBER, _counted(lambda found, mask: found & mask != 0), malformed=_no_number),
    Operator("!&", _NUMBER, _counted(lambda found, mask: found & mask == 0), negative=True, malformed=_no_number),
)

_BY_KEY: Mapping[str, Operator] = {_key(operator.name): operator for operator in OPERATORS}

REFUSED: Mapping[str, str] = {
    "IS MEMBER OF": "Scope by group with the rule's groupFilter.",
    "ISMEMBEROF": "Scope by group with the rule's groupFilter.",
    "PRESENT": "Use IS NOT NULL.",
    "VALID CERT MATCH": "Leave the clause out; certificates are not looked into.",
}
"""Operators of other kinds of jobs, and what to do instead."""


def remedy(name: str) -> str:
    """Say what to do about a name that is no operator here."""
    instead = REFUSED.get(_key(name))
    return instead if instead is not None else f"Use one of {', '.join(operator.name for operator in OPERATORS)}."


_BETWEEN = regex.compile(r"(?<!\\)\s*,\s*")


def below(operand: str) -> Test:
    """`ENDS_WITH` of a distinguished name: letter case is none, and a name ends with whole components.

    People write blanks between the components; directories do not.
    """
    wanted = _BETWEEN.sub(",", operand.strip().strip(",")).casefold()

    def ask(text: str) -> bool:
        name = text.casefold()
        above = name[: len(name) - len(wanted)].rstrip()
        # A comma that an odd number of backslashes precedes belongs to a value.
        escapes = len(above[:-1]) - len(above[:-1].rstrip("\\"))
        return name.endswith(wanted) and (not above or (above.endswith(",") and escapes % 2 == 0))

    return ask
