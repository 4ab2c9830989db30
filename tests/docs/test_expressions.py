"""Every function of the mapping language stands in `docs/expressions.md` as the registry describes it."""

import re

from dirbridge.engine.functions import FAMILIES, FUNCTIONS
from dirbridge.engine.functions.signature import Function
from tests.docs.pages import DOCS

_PAGE = (DOCS / "expressions.md").read_text("utf-8")
_ROW = re.compile(r"^\| \*\*(\w+)\*\*\((.*?)\) \| (.*) \| (.*) \|$", re.MULTILINE)


def _parameters(function: Function) -> str:
    shown = []
    for name in function.forms[-1]:
        parameter = function.parameter(name)
        assert parameter is not None
        shown.append(name + ("…" if parameter.repeats else "") + ("" if parameter.required else "?"))
    return ", ".join(shown)


def _row(function: Function) -> tuple[str, str, str]:
    example = f"`{function.example}`" + ("" if function.result is None else f" → `{function.result}`")
    return _parameters(function), function.summary, example


def test_every_function_has_its_row() -> None:
    """With its parameters, what it gives, and its example: what is missing or says something else is shown."""
    rows = {name: tuple(cell.replace("\\|", "|") for cell in cells) for name, *cells in _ROW.findall(_PAGE)}
    assert {name: _row(function) for name, function in FUNCTIONS.items()} == rows


def test_functions_stand_under_their_family() -> None:
    """In the registry's order."""
    parts = dict(re.findall(r"^### (.+?)\n(.*?)(?=^### |\Z)", _PAGE, re.MULTILINE | re.DOTALL))
    found = {family: [name for name, *_ in _ROW.findall(part)] for family, part in parts.items()}
    assert found == {family: [function.name for function in functions] for family, functions in FAMILIES.items()}
