"""The examples of docs/clients.md, run as they stand there."""

from __future__ import annotations

import ast
import re
from typing import Any

from tests.docs.pages import DOCS

PAGE = DOCS / "clients.md"


def example(heading: str, language: str = "python") -> str:
    """Give the first example under a heading."""
    text = PAGE.read_text("utf-8")
    _, found, rest = text.partition(f" {heading}\n")
    assert found, f"{PAGE.name} has no heading '{heading}'"
    section = re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]
    block = re.search(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert block, f"{PAGE.name} has no example in {language} under '{heading}'"
    return block[1]


def run(heading: str, **values: Any) -> dict[str, Any]:
    """Run an example with these values in place of the page's, and give the names that it leaves."""
    names: dict[str, Any] = dict(values)
    exec(compile(example(heading), f"{PAGE.name}: {heading}", "exec"), names)
    return names


async def run_async(heading: str, **values: Any) -> dict[str, Any]:
    """Run an example that awaits something."""
    names: dict[str, Any] = dict(values)
    code = compile(example(heading), f"{PAGE.name}: {heading}", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await eval(code, names)
    return names
