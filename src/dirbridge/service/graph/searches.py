"""Reading `$search`: quoted clauses such as `"displayName:wat"`, joined by AND, OR and parentheses outside the quotes.

Source: Graph's guide to $search on directory objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from dirbridge.service.graph.errors import GraphError, bad_request
from dirbridge.store.conditions import All, Condition, Either, Search, UnsupportedCondition

MAX_LENGTH = 4096
MAX_CLAUSES = 50

_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|(AND|OR)\b|([()]))', re.IGNORECASE)


def parse(text: str) -> Condition:
    """Read a search; OR binds weaker than AND.

    Raises:
        GraphError: 400 that shows what is expected.
    """
    if len(text) > MAX_LENGTH:
        raise bad_request(f"$search has {len(text):,} characters, and {MAX_LENGTH:,} are accepted.")
    tokens = [*_tokens(text.strip()), ""]
    if len(tokens) > 2 * MAX_CLAUSES:
        raise bad_request(f"$search has more than {MAX_CLAUSES} clauses.")
    found = _either(tokens, text)
    if tokens != [""]:
        raise _misread(text)
    return found


def refuse(error: UnsupportedCondition) -> GraphError:
    """Put what a collection cannot search into Graph's words."""
    return bad_request(f"Invalid search clause: {error.reason}", code=error.code)


def _tokens(text: str) -> Iterator[Search | str]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _misread(text)
        clause, word, mark = match.groups()
        if clause is None:
            yield (word or mark).upper()
        else:
            name, colon, wanted = re.sub(r"\\(.)", r"\1", clause).partition(":")
            if not colon or not name.strip() or not wanted.strip():
                raise _misread(text)
            yield Search(name.strip(), wanted.strip(), match.start())
        at = match.end()


def _either(tokens: list[Search | str], text: str) -> Condition:
    parts = [_both(tokens, text)]
    while tokens[0] == "OR":
        tokens.pop(0)
        parts.append(_both(tokens, text))
    return parts[0] if len(parts) == 1 else Either(tuple(parts))


def _both(tokens: list[Search | str], text: str) -> Condition:
    parts = [_one(tokens, text)]
    while tokens[0] == "AND":
        tokens.pop(0)
        parts.append(_one(tokens, text))
    return parts[0] if len(parts) == 1 else All(tuple(parts))


def _one(tokens: list[Search | str], text: str) -> Condition:
    first = tokens[0]
    if isinstance(first, Search):
        tokens.pop(0)
        return first
    if first != "(":
        raise _misread(text)
    tokens.pop(0)
    inner = _either(tokens, text)
    if tokens[0] != ")":
        raise _misread(text)
    tokens.pop(0)
    return inner


def _misread(text: str) -> GraphError:
    return bad_request(
        f"Syntax error in $search '{text[:120]}': clauses in quotes are expected, as in \"displayName:ada\" OR"
        ' "mail:ada".'
    )
