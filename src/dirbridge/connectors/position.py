"""Positions in a directory as text of a watermark: damage is noticed, and so is another release's form.

Used by the `watermark` of the sources. A damaged position must not be taken for an earlier one.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from dirbridge.contract.errors import WatermarkExpired

T = TypeVar("T")


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    version: int
    checksum: int
    body: bytes


def pack(position: msgspec.Struct, version: int) -> bytes:
    """Write a position."""
    body = msgspec.msgpack.encode(position)
    return msgspec.msgpack.encode(_Sealed(version, zlib.crc32(body), body))


def unpack(text: bytes, kind: type[T], version: int) -> T:
    """Read a position.

    Raises:
        WatermarkExpired: it is damaged, or of another release.
    """
    try:
        sealed = msgspec.msgpack.decode(text, type=_Sealed)
        if sealed.version != version or zlib.crc32(sealed.body) != sealed.checksum:
            raise WatermarkExpired("The watermark is damaged or was written by another release.")
        return msgspec.msgpack.decode(sealed.body, type=kind)
    except msgspec.DecodeError as error:
        raise WatermarkExpired(f"The watermark cannot be read: {error}.") from error


def digest(*groups: Iterable[str]) -> bytes:
    """Fold what a position depends on into a few bytes; the order within a group does not matter."""
    text = "\x1e".join("\x1f".join(sorted(group)) for group in groups)
    return hashlib.blake2b(text.encode(), digest_size=12).digest()
