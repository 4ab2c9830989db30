"""What becomes of a value on its way: kept out of the log, or not flowing at all."""

from __future__ import annotations

from collections.abc import Sequence

from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.functions.signature import Function, of_text
from dirbridge.engine.functions.values import Argument, Attributes, Fixed, NoFlow, Result, direct

IGNORE_FLOW = "IgnoreFlowIfNullOrEmpty"
REDACT = "Redact"
SELECT_UNIQUE_VALUE = "SelectUniqueValue"


def _redact(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    """The value itself. Whoever logs looks into the mapping for this function."""
    return arguments[0] or Fixed(None)


def _ignore_flow(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    value = direct(arguments[0] or Fixed(None))

    def pass_on(at: Attributes) -> Result:
        found = value(at)
        if not found:
            raise NoFlow
        return found

    return pass_on


FUNCTIONS = (
    Function(
        REDACT,
        (of_text(),),
        "The value itself, which the log shows as `[Redact]`.",
        'Redact("secret")',
        "secret",
        bind=_redact,
        strict=True,
    ),
    Function(
        IGNORE_FLOW,
        (of_text(),),
        "The value; where there is none, or an empty one, the target attribute is left alone instead of cleared.",
        "IgnoreFlowIfNullOrEmpty([department])",
        bind=_ignore_flow,
    ),
)
