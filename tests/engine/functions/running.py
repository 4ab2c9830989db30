"""Working an expression out, as text to value; used by the tables of the functions."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import NamedTuple

from dirbridge.contract.entry import Values
from dirbridge.engine.expressions import Environment, compile_source, parse
from dirbridge.engine.functions.values import Plain

NOW = datetime(2021, 7, 2, 15, 33, 38, tzinfo=UTC)
MACROS = {"DomainFQDN": "contoso.test", "DomainNetBios": "CONTOSO"}

Given = str | bytes | tuple[str | bytes, ...]


class Case(NamedTuple):
    """One line of a table: the rule that it shows, the expression, the attributes, what comes out."""

    rule: str
    expression: str
    result: Plain
    attributes: dict[str, Given] = {}  # noqa: RUF012 - never changed


def name(case: Case) -> str:
    """The rule is the test's name."""
    return case.rule


def environment(*taken: str, seed: int = 7) -> Environment:
    """A clock that stands, chance that repeats, and a target that has these values."""
    return Environment(lambda: NOW, random.Random(seed), "contoso.test", lambda value: value not in taken)


def work_out(expression: str, attributes: dict[str, Given] | None = None, here: Environment | None = None) -> Plain:
    """Read, compile and evaluate an expression."""
    values: dict[str, Values] = {
        name: given if isinstance(given, tuple) else (given,) for name, given in (attributes or {}).items()
    }
    return compile_source(parse(expression), MACROS, "here", here or environment())(values)
