"""Values of the LDAP controls that Active Directory reads by: DirSync, extended DNs, deleted objects.

Called by `ldap`, which puts them on the wire. Knows BER as far as these controls need it, and no server.

Source: MS-ADTS 3.1.1.3.4.1.3 (LDAP_SERVER_DIRSYNC_OID), 3.1.1.3.4.1.5 (extended DN), 3.1.1.3.4.1.14 (show deleted);
ITU-T X.690 section 8.
"""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

DIRSYNC = "1.2.840.113556.1.4.841"
EXTENDED_DN = "1.2.840.113556.1.4.529"
SHOW_DELETED = "1.2.840.113556.1.4.417"

_SEQUENCE, _INTEGER, _OCTETS = 0x30, 0x02, 0x04


class Flag(IntFlag):
    """What a DirSync request asks for. As an INTEGER the flags are signed, so the highest makes it negative."""

    OBJECT_SECURITY = 0x1
    ANCESTORS_FIRST_ORDER = 0x800
    PUBLIC_DATA_ONLY = 0x2000
    INCREMENTAL_VALUES = 0x80000000


class Answer(NamedTuple):
    """The value of the control that ends a DirSync answer: whether more waits behind `cookie`."""

    more: bool
    cookie: bytes


def request(flags: Flag, max_bytes: int, cookie: bytes) -> bytes:
    """Code the value of a DirSync request: SEQUENCE { flags INTEGER, maxBytes INTEGER, cookie OCTET STRING }."""
    signed = int.from_bytes(int(flags).to_bytes(4, "big"), "big", signed=True)
    return _element(_SEQUENCE, _integer(signed) + _integer(max_bytes) + _element(_OCTETS, cookie))


def response(value: bytes) -> Answer:
    """Read the value of a DirSync response: SEQUENCE { more INTEGER, unused INTEGER, cookie OCTET STRING }.

    Raises:
        ValueError: it is cut short or of another form.
    """
    content, rest = _take(value, _SEQUENCE)
    more, content = _take(content, _INTEGER)
    _, content = _take(content, _INTEGER)
    cookie, content = _take(content, _OCTETS)
    if rest or content:
        raise ValueError(f"the value of the DirSync control has {len(rest) + len(content)} bytes too many")
    return Answer(int.from_bytes(more, "big", signed=True) != 0, cookie)


def extended_dn() -> bytes:
    """Code the value that asks for GUID and SID in front of every DN, as text: SEQUENCE { 1 }."""
    return _element(_SEQUENCE, _integer(1))


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _integer(number: int) -> bytes:
    # One bit more than the magnitude needs, for the sign; X.690 8.3.2 wants the shortest form.
    bits = (number if number >= 0 else ~number).bit_length() + 1
    return _element(_INTEGER, number.to_bytes((bits + 7) // 8, "big", signed=True))


def _take(value: bytes, tag: int) -> tuple[bytes, bytes]:
    """Split an element of this tag off: its content and what follows it."""
    if len(value) < 2:
        raise ValueError("the value of the DirSync control is cut short")
    if value[0] != tag:
        raise ValueError(f"the value of the DirSync control has the tag {value[0]:#04x} where {tag:#04x} belongs")
    size, start = value[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(value[2:start], "big")
    if len(value) < start + size:
        raise ValueError("the value of the DirSync control is cut short")
    return value[start : start + size], value[start + size :]
