"""A mapping's source tree, compiled once into a closure.

The tree of the schema document is what counts; its text is for people. Compiling finds every fault that can be found
without an entry.
"""

from __future__ import annotations

from collections.abc import Mapping

from dirbridge.contract.errors import ConfigurationError
from dirbridge.contract.schema import Source
from dirbridge.engine.functions import FUNCTIONS, STRICT, Argument, Attributes, Result


def compile_source(source: Source, macros: Mapping[str, str], path: str) -> Argument:
    """Turn a source tree into a function of an entry's attributes.

    Args:
        macros: what `%Name%` constants stand for.
        path: where the tree stands in the document, for messages.

    Raises:
        ConfigurationError: an unknown function, a wrong parameter, a missing name; names the path.
    """
    if source.type == "Attribute":
        return _attribute(source, path)
    if source.type == "Constant":
        return _constant(source, macros)
    return _function(source, macros, path)


def _fault(path: str, what: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"{path}: {what}", code="InvalidSchema", recommended_action=remedy)


def _attribute(source: Source, path: str) -> Argument:
    name = source.name
    if not name:
        raise _fault(path, "an Attribute source has no name.", "Give the name of a source attribute.")

    def value(attributes: Attributes) -> Result:
        values = attributes.get(name)
        if not values:
            return None
        return values[0] if len(values) == 1 else values

    return value


def constant_text(source: Source) -> str:
    """Give the text of a constant: its name, or its quoted expression."""
    if source.name is not None:
        return source.name
    expression = source.expression or ""
    if len(expression) >= 2 and expression[0] == expression[-1] == '"':
        return expression[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    return expression


def _constant(source: Source, macros: Mapping[str, str]) -> Argument:
    text = constant_text(source)
    if len(text) > 2 and text[0] == text[-1] == "%" and text[1:-1] in macros:
        text = macros[text[1:-1]]
    return lambda _attributes: text


def _function(source: Source, macros: Mapping[str, str], path: str) -> Argument:
    function = FUNCTIONS.get(source.name or "")
    if function is None:
        known = ", ".join(sorted(FUNCTIONS))
        raise _fault(path, f"'{source.name}' is no function.", f"Use one of {known}; names are case-sensitive.")
    slots: dict[str, list[Argument]] = {}
    for parameter in source.parameters:
        if parameter.key not in function.keys:
            keys = ", ".join(function.keys)
            raise _fault(path, f"{function.name} has no parameter '{parameter.key}'.", f"Its parameters are {keys}.")
        here = f"{path}/{function.name}.{parameter.key}"
        slots.setdefault(parameter.key, []).append(compile_source(parameter.value, macros, here))
    for key in function.keys[: function.required if function.name != "FormatDateTime" else 1]:
        if key not in slots:
            raise _fault(path, f"{function.name} lacks its parameter '{key}'.", "Add it.")
    last = function.keys[-1]
    for key, given in slots.items():
        if len(given) > 1 and not (function.repeats and key == last):
            raise _fault(path, f"{function.name} has its parameter '{key}' {len(given)} times.", "Keep one.")
    arguments: list[Argument | None] = []
    for key in function.keys:
        arguments.extend(slots.get(key) or [None])
    call = function.call
    return lambda attributes: call(attributes, *arguments)


def attributes_of(source: Source) -> set[str]:
    """List the source attributes that a tree reads."""
    if source.type == "Attribute":
        return {source.name} if source.name else set()
    return {name for parameter in source.parameters for name in attributes_of(parameter.value)}


def needs(source: Source) -> str | None:
    """Name the one attribute without which a source has no value; None where it must always be evaluated."""
    if source.type == "Attribute":
        return source.name
    if source.type == "Function" and source.name in STRICT:
        return needs(source.parameters[0].value) if source.parameters else None
    return None
