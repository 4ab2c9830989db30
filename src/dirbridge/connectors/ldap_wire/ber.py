"""BER as far as the values of LDAP controls need it: definite lengths, tags of one byte.

Source: RFC 4511 section 5.1; ITU-T X.690 section 8.
"""

from __future__ import annotations

SEQUENCE, INTEGER, OCTETS, BOOLEAN, ENUMERATED = 0x30, 0x02, 0x04, 0x01, 0x0A


def element(tag: int, content: bytes) -> bytes:
    """Code an element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(number: int, tag: int = INTEGER) -> bytes:
    """Code a number."""
    # One bit more than the magnitude needs, for the sign; X.690 8.3.2 wants the shortest form.
    bits = (number if number >= 0 else ~number).bit_length() + 1
    return element(tag, number.to_bytes((bits + 7) // 8, "big", signed=True))


def take(value: bytes, tag: int, what: str) -> tuple[bytes, bytes]:
    """Split an element of this tag off: its content and what follows it.

    Args:
        what: whose value it is, for the message.

    Raises:
        ValueError: the element is cut short or of another tag.
    """
    if len(value) < 2:
        raise ValueError(f"the value of {what} is cut short")
    if value[0] != tag:
        raise ValueError(f"the value of {what} has the tag {value[0]:#04x} where {tag:#04x} belongs")
    size, start = value[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(value[2:start], "big")
    if len(value) < start + size:
        raise ValueError(f"the value of {what} is cut short")
    return value[start : start + size], value[start + size :]
