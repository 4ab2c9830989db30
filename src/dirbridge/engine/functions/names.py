"""Distinguished names, as far as functions look into them. Source: RFC 4514 section 3."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"(?:\\[0-9A-Fa-f]{2})+|\\(.)", re.DOTALL)
_TYPE = re.compile(r"\s*(?:[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*)\s*=\s*")


def components(name: str) -> list[str] | None:
    """Give the value of each part of a distinguished name, unescaped; of a part of several values the first.

    Returns:
        None where it is none.
    """
    found = []
    for part in _split(name, ",;"):
        value = _split(part, "+")[0]
        kind = _TYPE.match(value)
        if kind is None:
            return None
        found.append(_unescaped(value[kind.end() :]))
    return found


def _split(name: str, marks: str) -> list[str]:
    """Part at characters that are neither escaped nor within quotes."""
    parts, begin, quoted, at = [], 0, False, 0
    while at < len(name):
        character = name[at]
        if character == "\\":
            at += 1
        elif character == '"':
            quoted = not quoted
        elif character in marks and not quoted:
            parts.append(name[begin:at])
            begin = at + 1
        at += 1
    parts.append(name[begin:])
    return parts


def _unescaped(value: str) -> str:
    """Give a value as it is meant: without quotes and escapes, and without the space around it that is not escaped."""
    stripped = value.strip(" ")
    if (len(stripped) - len(stripped.rstrip("\\"))) % 2:
        stripped += " "
    if len(stripped) > 1 and stripped[0] == stripped[-1] == '"':
        stripped = stripped[1:-1]
    return _ESCAPE.sub(_character, stripped)


def _character(escape: re.Match[str]) -> str:
    literal: str | None = escape[1]
    if literal is not None:
        return literal
    return bytes.fromhex(escape[0].replace("\\", "")).decode("utf-8", errors="replace")
