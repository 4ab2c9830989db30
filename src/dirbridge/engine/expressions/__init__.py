"""The mapping language: text, tree, closure.

`parse` reads text into the source tree of the schema document, `text.of` writes it, `compile_source` makes the closure
that `mapping` calls for every entry, `evaluate` tries an expression on given values. The functions themselves live in
`engine/functions`.
"""

from __future__ import annotations

from dirbridge.engine.expressions.compiling import check_uniqueness, compile_source
from dirbridge.engine.expressions.evaluation import Evaluation, evaluate
from dirbridge.engine.expressions.faults import InvalidExpression
from dirbridge.engine.expressions.parsing import parse
from dirbridge.engine.expressions.tree import attributes_of, may_ignore, needs, redacts
from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.functions.signature import constant_text

__all__ = [
    "Environment",
    "Evaluation",
    "InvalidExpression",
    "attributes_of",
    "check_uniqueness",
    "compile_source",
    "constant_text",
    "evaluate",
    "may_ignore",
    "needs",
    "parse",
    "redacts",
]
