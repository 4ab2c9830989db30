"""Values of the LDAP controls that Active Directory reads by: DirSync, extended DNs, deleted objects.

Used by `directory`, which puts them into its questions. Knows no server.

Source: MS-ADTS 3.1.1.3.4.1.3 (LDAP_SERVER_DIRSYNC_OID), 3.1.1.3.4.1.5 (extended DN), 3.1.1.3.4.1.14 (show deleted).
"""

from __future__ import annotations

from enum import IntFlag
from typing import NamedTuple

from dirbridge.connectors.ldap_wire import ber

DIRSYNC = "1.2.840.113556.1.4.841"
EXTENDED_DN = "1.2.840.113556.1.4.529"
SHOW_DELETED = "1.2.840.113556.1.4.417"

_WHAT = "the DirSync control"


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
    return ber.element(ber.SEQUENCE, ber.integer(signed) + ber.integer(max_bytes) + ber.element(ber.OCTETS, cookie))


def response(value: bytes) -> Answer:
    """Read the value of a DirSync response: SEQUENCE { more INTEGER, unused INTEGER, cookie OCTET STRING }.

    Raises:
        ValueError: it is cut short or of another form.
    """
    content, rest = ber.take(value, ber.SEQUENCE, _WHAT)
    more, content = ber.take(content, ber.INTEGER, _WHAT)
    _, content = ber.take(content, ber.INTEGER, _WHAT)
    cookie, content = ber.take(content, ber.OCTETS, _WHAT)
    if rest or content:
        raise ValueError(f"the value of the DirSync control has {len(rest) + len(content)} bytes too many")
    return Answer(int.from_bytes(more, "big", signed=True) != 0, cookie)


def extended_dn() -> bytes:
    """Code the value that asks for GUID and SID in front of every DN, as text: SEQUENCE { 1 }."""
    return ber.element(ber.SEQUENCE, ber.integer(1))
