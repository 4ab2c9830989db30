"""What stands in a watermark's position: the DirSync cookie, and what must hold for it to be used.

Used by `source`. A damaged cookie may be taken by a server as an empty one (Samba does), so damage is noticed here.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from dirbridge.connectors import position as positions
from dirbridge.contract.errors import WatermarkExpired

_VERSION = 1


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far a domain controller was read.

    Attributes:
        cookie: what DirSync gave. taken: when, by the domain controller's clock.
        usn: the highest update sequence number that the domain controller had then.
        digest: of the account, the attribute policy and the selection that it was read with.
    """

    cookie: bytes
    taken: datetime
    usn: int
    digest: bytes


def pack(position: Position) -> bytes:
    """Write a position."""
    return positions.pack(position, _VERSION)


def unpack(text: bytes) -> Position:
    """Read a position.

    Raises:
        WatermarkExpired: it is damaged, or of another release.
    """
    return positions.unpack(text, Position, _VERSION)


def verify(position: Position, *, now: datetime, usn: int, same_replica: bool, digest: bytes, age: timedelta) -> None:
    """Make sure that nothing can be missed when reading goes on from here.

    Args:
        position: what the watermark holds.
        now: the domain controller's clock. usn: its highest update sequence number now.
        same_replica: it is the domain controller that the watermark came from.
        digest: of what is read with now.
        age: how old a watermark may be; deletes are forgotten after the tombstone lifetime.

    Raises:
        WatermarkExpired: says why only a full read leads on.
    """
    if position.digest != digest:
        raise WatermarkExpired(
            "The account, the agent's attribute policy or the attributes of the job have changed since the watermark."
        )
    if now - position.taken > age:
        raise WatermarkExpired(
            f"The watermark was taken at {position.taken:%Y-%m-%d %H:%M} UTC, more than {age.days} days ago; "
            "the directory may have forgotten deletes since."
        )
    if same_replica and usn < position.usn:
        raise WatermarkExpired(
            "The domain controller was set back to an earlier state: its highest update number is "
            f"{usn:,}, and the watermark was taken at {position.usn:,}."
        )
