"""Values of the controls and messages of content synchronization (syncrepl).

Used by `directory`. Knows no server.

Source: RFC 4533 section 2.
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID

from dirbridge.connectors.ldap_wire import ber

REQUEST = "1.3.6.1.4.1.4203.1.9.1.1"
STATE = "1.3.6.1.4.1.4203.1.9.1.2"
DONE = "1.3.6.1.4.1.4203.1.9.1.3"
INFO = "1.3.6.1.4.1.4203.1.9.1.4"
REFRESH_REQUIRED = 4096
"""Result e-syncRefreshRequired: the cookie is too old, or not one of this server's."""

_WHAT = "a content synchronization control"
_SET = 0x31
_CSN = re.compile(r"(?<=[=;])\d{14}\.\d{6}Z#[0-9a-f]{6}#[0-9a-f]{3}#[0-9a-f]{6}")
"""A change number: draft-chu-ldap-csn section 3."""
_NEW_COOKIE, _REFRESH_DELETE, _REFRESH_PRESENT, _ID_SET = 0x80, 0xA1, 0xA2, 0xA3


class Mode(IntEnum):
    """How long the answer goes on: until it is complete, or for ever."""

    REFRESH_ONLY = 1
    REFRESH_AND_PERSIST = 3


class State(IntEnum):
    """What an entry of the answer is about."""

    PRESENT = 0
    ADD = 1
    MODIFY = 2
    DELETE = 3


class EntryState(NamedTuple):
    """What comes with an entry: its state, and its entryUUID as an anchor."""

    state: State
    anchor: str


class Done(NamedTuple):
    """What ends an answer.

    Attributes:
        deletes: what is gone was named; without it, whatever the answer did not name is gone.
    """

    cookie: bytes
    deletes: bool


class Info(NamedTuple):
    """A message between entries.

    Attributes:
        deleted, present: anchors. cookie: empty where it brings none.
        refreshed: the content is complete, what follows is news. presence: a present phase has ended.
    """

    deleted: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    cookie: bytes = b""
    refreshed: bool = False
    presence: bool = False


def request(mode: Mode, cookie: bytes) -> bytes:
    """Code a request: SEQUENCE { mode ENUMERATED, cookie OCTET STRING OPTIONAL }.

    Without a reload hint, a server that cannot go on from the cookie says so instead of sending everything.
    """
    content = ber.integer(mode, ber.ENUMERATED)
    if cookie:
        content += ber.element(ber.OCTETS, cookie)
    return ber.element(ber.SEQUENCE, content)


def positions(cookie: bytes) -> dict[str, str]:
    """Read the change numbers in a cookie of OpenLDAP (`rid=…,csn=…;…`), by the id of the replica that made them."""
    found = _CSN.findall(cookie.decode("ascii", "replace"))
    return {csn.split("#")[2]: csn for csn in found}


def change_number(cookie: bytes) -> int | None:
    """Read the number of the last change in a cookie of 389-DS (`server#question#number`); None where there is none."""
    number = cookie.rpartition(b"#")[2]
    return int(number) if number.isdigit() else None


def state(value: bytes) -> EntryState:
    """Read what comes with an entry: SEQUENCE { state ENUMERATED, entryUUID OCTET STRING, cookie … OPTIONAL }.

    Raises:
        ValueError: it is cut short or of another form.
    """
    content, _ = ber.take(value, ber.SEQUENCE, _WHAT)
    number, content = ber.take(content, ber.ENUMERATED, _WHAT)
    raw, _ = ber.take(content, ber.OCTETS, _WHAT)
    return EntryState(State(int.from_bytes(number, "big")), str(UUID(bytes=raw)))


def done(value: bytes) -> Done:
    """Read what ends an answer: SEQUENCE { cookie OPTIONAL, refreshDeletes BOOLEAN DEFAULT FALSE }.

    Raises:
        ValueError: it is cut short or of another form.
    """
    content, _ = ber.take(value, ber.SEQUENCE, _WHAT)
    cookie, content = _optional(content, ber.OCTETS)
    return Done(cookie, _flag(content, default=False))


def info(value: bytes) -> Info:
    """Read a message between entries: a choice of four.

    Raises:
        ValueError: it is cut short or of another form.
    """
    tag = value[0] if value else 0
    if tag == _NEW_COOKIE:
        return Info(cookie=ber.take(value, tag, _WHAT)[0])
    if tag in {_REFRESH_DELETE, _REFRESH_PRESENT}:
        content, _ = ber.take(value, tag, _WHAT)
        cookie, content = _optional(content, ber.OCTETS)
        refreshed = _flag(content, default=True)
        return Info(cookie=cookie, refreshed=refreshed, presence=tag == _REFRESH_PRESENT)
    content, _ = ber.take(value, _ID_SET, _WHAT)
    cookie, content = _optional(content, ber.OCTETS)
    flag, content = _optional(content, ber.BOOLEAN)
    members, _ = ber.take(content, _SET, _WHAT)
    found = []
    while members:
        raw, members = ber.take(members, ber.OCTETS, _WHAT)
        found.append(str(UUID(bytes=raw)))
    anchors = tuple(found)
    return Info(deleted=anchors, cookie=cookie) if flag.strip(b"\0") else Info(present=anchors, cookie=cookie)


def _optional(content: bytes, tag: int) -> tuple[bytes, bytes]:
    return ber.take(content, tag, _WHAT) if content[:1] == bytes((tag,)) else (b"", content)


def _flag(content: bytes, *, default: bool) -> bool:
    flag, _ = _optional(content, ber.BOOLEAN)
    return bool(flag.strip(b"\0")) if flag else default
