"""What stands in a watermark's position: syncrepl's cookie, and what must hold for it to be used.

Used by `source`.
"""

from __future__ import annotations

import msgspec

from dirbridge.connectors import position as positions
from dirbridge.contract.errors import WatermarkExpired

_VERSION = 1


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far a server was read.

    Attributes:
        cookie: what syncrepl gave; empty where the server has no syncrepl.
        digest: of the account, the attribute policy and the selection that it was read with.
    """

    cookie: bytes
    digest: bytes


def pack(position: Position) -> bytes:
    """Write a position."""
    return positions.pack(position, _VERSION)


def cookie(text: bytes) -> bytes:
    """Give the cookie of a position, whatever it was read with; empty where it cannot be read."""
    try:
        return positions.unpack(text, Position, _VERSION).cookie
    except WatermarkExpired:
        return b""


def unpack(text: bytes, digest: bytes) -> Position:
    """Read a position that goes with what is read now.

    Raises:
        WatermarkExpired: it is damaged, of another release, or something else was read with it; or the server that it
            came from cannot tell changes.
    """
    found = positions.unpack(text, Position, _VERSION)
    if found.digest != digest:
        raise WatermarkExpired(
            "The account, the agent's attribute policy or the attributes of the job have changed since the watermark."
        )
    if not found.cookie:
        raise WatermarkExpired("The server has no content synchronization (syncrepl), so everything is read.")
    return found
