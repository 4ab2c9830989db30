r"""Distinguished names.

Source: RFC 4514 sections 2.4 and 3. Deviation: Active Directory writes a line feed as `\0A` and equals sign and
semicolon as hex pairs.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_HEX = frozenset("0123456789abcdefABCDEF")
_ESCAPED = frozenset('"+,;<>\\')
_ATTRIBUTE_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)*")


class Part(NamedTuple):
    """One RDN: attribute type as written, value unescaped."""

    type: str
    value: str


def split(dn: str) -> tuple[Part, ...]:
    """Take a plain name apart, the leaf first.

    A multi-valued RDN (`CN=a+SN=b`) stays one part.

    Raises:
        ValueError: it is no name.
    """
    if not dn.strip():
        return ()
    parts = []
    for piece in _pieces(dn):
        kind, equals, value = piece.partition("=")
        if not equals or _ATTRIBUTE_TYPE.fullmatch(kind.strip()) is None:
            raise ValueError(f"'{dn}' is no distinguished name: '{piece}' is not of the form TYPE=value")
        parts.append(Part(kind.strip(), unescape(value)))
    return tuple(parts)


def join(parts: tuple[Part, ...]) -> str:
    """Write a name from its parts, escaped."""
    return ",".join(f"{part.type}={escape(part.value)}" for part in parts)


def below(dn: str, ancestor: str) -> bool:
    """Say whether a name lies below another or is it: by whole parts, ignoring case."""
    name, head = _folded(dn), _folded(ancestor)
    return bool(head) and name[-len(head) :] == head


def unescape(value: str) -> str:
    """Give the value that an RDN's text stands for.

    White space at its ends counts only where it is escaped. Hex pairs are bytes of UTF-8, several of which may make
    one character.
    """
    out = bytearray()
    text = value.lstrip(" ")
    keep = 0  # bytes that trailing unescaped white space must not be cut below
    at = 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            pair = text[at + 1 : at + 3]
            if len(pair) == 2 and _HEX.issuperset(pair):
                out.append(int(pair, 16))
                at += 3
            else:
                out += text[at + 1].encode()
                at += 2
            keep = len(out)
        else:
            out += text[at].encode()
            at += 1
    end = len(out)
    while end > keep and out[end - 1] == 0x20:
        end -= 1
    return out[:end].decode(errors="replace")


def escape(value: str) -> str:
    """Write a value so that it can stand in a name. The inverse of `unescape`."""
    out = []
    for at, character in enumerate(value):
        if character in _ESCAPED:
            out.append("\\" + character)
        elif character == "=" or ord(character) < 0x20:
            out.append(f"\\{ord(character):02X}")
        elif (character == " " and at in {0, len(value) - 1}) or (character == "#" and at == 0):
            out.append("\\" + character)
        else:
            out.append(character)
    return "".join(out)


def _pieces(dn: str) -> list[str]:
    pieces, start, at = [], 0, 0
    while at < len(dn):
        if dn[at] == "\\":
            at += 2
            continue
        if dn[at] == ",":
            pieces.append(dn[start:at])
            start = at + 1
        at += 1
    pieces.append(dn[start:])
    return pieces


def _folded(dn: str) -> tuple[tuple[str, str], ...]:
    return tuple((part.type.casefold(), part.value.casefold()) for part in split(dn))
