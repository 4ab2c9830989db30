"""From a source tree to a closure, compiled once and then called for every entry.

The tree of the schema document is what counts; its text is for people. Compiling finds every fault that can be found
without an entry. A call whose arguments are all constants is worked out here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import cast

from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.schema import Source
from dirbridge.engine.expressions import faults, tree
from dirbridge.engine.expressions.faults import DEEPEST
from dirbridge.engine.functions import FUNCTIONS
from dirbridge.engine.functions.environment import CHECKING, Environment
from dirbridge.engine.functions.flowing import SELECT_UNIQUE_VALUE
from dirbridge.engine.functions.signature import Complaint, Function, constant_text
from dirbridge.engine.functions.values import (
    Argument,
    Attributes,
    Computed,
    Fixed,
    NoFlow,
    Plain,
    Read,
    Result,
    direct,
    moment_text,
)


def compile_source(
    source: Source, macros: Mapping[str, str], path: str, environment: Environment = CHECKING
) -> Computed:
    """Turn a source tree into a function of an entry's attributes.

    Args:
        macros: what `%Name%` constants stand for.
        path: where the tree stands in the document, for messages.
        environment: what functions take from outside. Without one the result is not to be called.

    Raises:
        ConfigurationError: an unknown function, a wrong parameter, a missing name; names the path.
    """
    makes_moments = False
    for each, depth in tree.parts(source):
        if depth > DEEPEST:
            complaint = Complaint(f"it stands more than {DEEPEST} calls deep.", "Use Switch for nested IIFs.")
            raise _fault(path, complaint)
        if depth and each.type == "Function" and each.name == SELECT_UNIQUE_VALUE:
            raise _fault(path, Complaint("SelectUniqueValue stands within another call.", "Make it the outermost."))
        makes_moments = makes_moments or (each.type == "Function" and each.name in _MAKING_MOMENTS)
    compiled = direct(_compiled(source, macros, path, environment))
    # Without a function that makes a moment, none comes out.
    return _leaving(compiled) if makes_moments else cast("Computed", compiled)


def check_uniqueness(source: Source, path: str, *, matching: bool, on_create_only: bool, can_ask: bool) -> None:
    """Make sure that a mapping may use SelectUniqueValue, where it does.

    Args:
        matching: objects are matched by the mapping's attribute.
        on_create_only: it flows during creation only.
        can_ask: the target can be asked whether a value is free.

    Raises:
        ConfigurationError: names the path.
    """
    complaint = faults.of_uniqueness(source, matching=matching, on_create_only=on_create_only, can_ask=can_ask)
    if complaint is not None:
        raise _fault(path, complaint)


_MAKING_MOMENTS = frozenset({"CDate", "DateAdd", "DateFromNum", "Now"})


def _leaving(compiled: Argument) -> Computed:
    """Let no moment out of the expression other than as text."""

    def value(attributes: Attributes) -> Plain:
        found = compiled(attributes)
        return moment_text(found) if isinstance(found, datetime) else found

    return value


def _fault(path: str, complaint: Complaint) -> ConfigurationError:
    return ConfigurationError(f"{path}: {complaint.what}", code="InvalidSchema", recommended_action=complaint.remedy)


def _compiled(source: Source, macros: Mapping[str, str], path: str, environment: Environment) -> Argument:
    if source.type == "Attribute":
        if not source.name:
            raise _fault(path, Complaint("an Attribute source has no name.", "Give the name of a source attribute."))
        return Read(source.name)
    if source.type == "Constant":
        return _constant(source, macros, path)
    return _function(source, macros, path, environment)


def _constant(source: Source, macros: Mapping[str, str], path: str) -> Fixed:
    text = constant_text(source)
    if len(text) > 2 and text[0] == text[-1] == "%" and text[1:-1] in macros:
        text = macros[text[1:-1]]
    complaint = faults.of_constant(text)
    if complaint is not None:
        raise _fault(path, complaint)
    return Fixed(text)


def _function(source: Source, macros: Mapping[str, str], path: str, environment: Environment) -> Argument:
    function = FUNCTIONS.get(source.name or "")
    if function is None:
        raise _fault(path, faults.unknown_function(source.name or ""))
    slots: dict[str, list[Argument]] = {}
    for argument in source.parameters:
        here = f"{path}/{function.name}.{argument.key}"
        slots.setdefault(argument.key, []).append(_compiled(argument.value, macros, here, environment))
    complaint = faults.of_call(function, source.parameters)
    if complaint is not None:
        raise _fault(path, complaint)
    arguments: list[Argument | None] = []
    for parameter in function.parameters:
        arguments.extend(slots.get(parameter.name) or [None])
    return _folded(function, arguments, _bound(function, arguments, environment))


def _bound(function: Function, arguments: Sequence[Argument | None], environment: Environment) -> Argument:
    if function.bind is not None:
        try:
            return function.bind(arguments, environment)
        except EntryError:
            # A call of constants gave what the function cannot prepare: that is for where it is evaluated, if ever.
            return function.bind([_late(argument) for argument in arguments], environment)
    assert function.call is not None
    return _applied(function.call, [argument or Fixed(None) for argument in arguments])


def _late(argument: Argument | None) -> Argument | None:
    """Give an argument that nobody takes for a constant."""
    return (lambda _at: argument.value) if isinstance(argument, Fixed) else argument


def _applied(call: Callable[..., Result], arguments: Sequence[Argument]) -> Argument:
    """Evaluate the arguments and call; in a closure of the call's own size, as most calls have one or two."""
    if len(arguments) == 1:
        return _applied_to_one(call, arguments[0])
    arguments = [direct(argument) for argument in arguments]
    if len(arguments) == 2:
        one, other = arguments
        if isinstance(other, Fixed):
            fixed = other.value
            return lambda at: call(one(at), fixed)
        return lambda at: call(one(at), other(at))
    return lambda at: call(*[argument(at) for argument in arguments])


def _applied_to_one(call: Callable[..., Result], argument: Argument) -> Argument:
    if not isinstance(argument, Read):
        return lambda at: call(argument(at))
    name = argument.name

    def value(at: Attributes) -> Result:
        values = at.get(name)
        return call((values[0] if len(values) == 1 else values) if values else None)

    return value


def _folded(function: Function, arguments: Sequence[Argument | None], compiled: Argument) -> Argument:
    """Work out a call of constants now; one that fails is left to fail where it is evaluated, if ever."""
    if not function.pure or not all(argument is None or isinstance(argument, Fixed) for argument in arguments):
        return compiled
    try:
        return Fixed(compiled({}))
    except (EntryError, NoFlow, ArithmeticError, ValueError):
        return compiled
