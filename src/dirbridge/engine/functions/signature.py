"""What a function of the mapping language is: its parameters, its rule, its description.

The same data compiles a call, answers Graph's `schema/functions`, and is what docs/expressions.md is checked against.

Source: Graph attributeMappingFunctionSchema and attributeMappingParameterSchema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from dirbridge.contract.schema import AttributeType, Source
from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.functions.values import Argument, Result


class Parameter(msgspec.Struct, frozen=True):
    """One parameter.

    Attributes:
        name: its key in the stored tree.
        repeats: it may be given any number of times; only the last parameter may.
        words: what may stand for it without quotes.
    """

    name: str
    type: AttributeType = "String"
    required: bool = True
    repeats: bool = False
    words: tuple[str, ...] = ()


class Complaint(msgspec.Struct, frozen=True):
    """Why a call is wrong, what to do, and the parameter that it is about; none where it is about the whole call."""

    what: str
    remedy: str
    parameter: str | None = None


Given = Mapping[str, Sequence[Source]]
"""The arguments of a call by parameter; one that is not given has no key."""


_ESCAPE = re.compile(r'\\(["\\])')


def constant_text(source: Source) -> str:
    """Give the text of a constant: its name, or its quoted expression."""
    if source.name is not None:
        return source.name
    expression = source.expression or ""
    if len(expression) >= 2 and expression[0] == expression[-1] == '"':
        return _ESCAPE.sub(r"\1", expression[1:-1])
    return expression


def constant(given: Given, name: str) -> str | None:
    """Give an argument that is a constant; None where it is none, or not given."""
    sources = given.get(name)
    return constant_text(sources[0]) if sources and sources[0].type == "Constant" else None


class Function(msgspec.Struct, frozen=True):
    """A function.

    Attributes:
        call: makes the result of the arguments' values, in the parameters' order; None for one that was not given.
            A parameter that repeats comes last, as many times as it was given.
        bind: instead of `call`, makes the compiled call of compiled arguments: for functions that do not evaluate all
            of them, prepare something once, or need the environment.
        check: finds what is wrong with a call beyond the parameters' own rules, before any entry is seen.
        pure: equal arguments give equal results, so a call of constants is one itself.
        strict: nothing comes of it where its first argument has no value.
        places: where it is not simply one place a parameter, the parameters in the places of the written call; of
            several such forms the one with as many places as are written. The first place may hold a comparison where
            `compares` says so; it fills the parameters `one`, `two` and `three`.
        summary, example, result: for people. `result` is the example's, None where it differs each time or by entry.
    """

    name: str
    parameters: tuple[Parameter, ...]
    summary: str
    example: str
    result: str | None = None
    call: Callable[..., Result] | None = None
    bind: Callable[[Sequence[Argument | None], Environment], Argument] | None = None
    check: Callable[[Given], Complaint | None] | None = None
    pure: bool = True
    strict: bool = False
    places: tuple[tuple[str, ...], ...] = ()
    compares: bool = False

    @property
    def forms(self) -> tuple[tuple[str, ...], ...]:
        """The parameters in the places of the written call, the form with the fewest places first."""
        return self.places or (tuple(each.name for each in self.parameters),)

    def parameter(self, name: str) -> Parameter | None:
        """Find a parameter by its key."""
        return next((each for each in self.parameters if each.name == name), None)


def of_text(name: str = "source", *, required: bool = True) -> Parameter:
    """A parameter of text."""
    return Parameter(name, required=required)


def whole(name: str, *, required: bool = True) -> Parameter:
    """A parameter of a whole number."""
    return Parameter(name, "Integer", required=required)
