"""One expression tried on values that somebody gives: what stands behind "test expression".

Source: Graph synchronizationSchema parseExpression and parseExpressionResponse.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Mapping

import msgspec

from dirbridge.contract.entry import Values
from dirbridge.contract.errors import DirbridgeError, EntryError
from dirbridge.contract.export import TargetValue
from dirbridge.contract.schema import Source
from dirbridge.engine.expressions.compiling import compile_source
from dirbridge.engine.expressions.parsing import parse
from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.functions.values import CODE, NoFlow, Plain


class Evaluation(msgspec.Struct, frozen=True):
    """What came of an expression.

    Attributes:
        tree: None where the text cannot be read.
        values: as text; none where the attribute is cleared or left alone; None where nothing was evaluated.
        error: why it could not be read or evaluated.
    """

    tree: Source | None = None
    values: tuple[str, ...] | None = None
    error: DirbridgeError | None = None


def evaluate(
    expression: str,
    properties: Mapping[str, Values] | None,
    environment: Environment,
    *,
    macros: Mapping[str, str],
    attributes: Collection[str] | None = None,
    convert: Callable[[Plain], TargetValue] | None = None,
) -> Evaluation:
    """Read an expression and work it out.

    Args:
        properties: the source attributes' values, by name; None to read only.
        attributes: the source attributes that there are; None takes any.
        convert: brings the value into the form of the target attribute; raises EntryError where it cannot.
    """
    try:
        tree = parse(expression, attributes=attributes, macros=macros)
        compiled = compile_source(tree, macros, "The expression", environment)
    except DirbridgeError as error:
        return Evaluation(error=error)
    if properties is None:
        return Evaluation(tree)
    try:
        value = compiled(properties)
        return Evaluation(tree, _texts(value if convert is None else convert(value)))
    except NoFlow:
        return Evaluation(tree, ())
    except EntryError as error:
        return Evaluation(tree, error=error)
    except (ArithmeticError, ValueError) as error:
        return Evaluation(tree, error=EntryError(f"The expression cannot be worked out: {error}.", code=CODE))


def _texts(value: TargetValue) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    items = value if isinstance(value, tuple) else (value,)
    return tuple(base64.b64encode(item).decode() if isinstance(item, bytes) else str(item) for item in items)
