"""Values as LDAP carries them: bytes that are mostly text.

Used by the `entries` of each kind, and for its filters.
"""

from __future__ import annotations

from dirbridge.contract.entry import text_fault


def texts(raw: list[bytes]) -> tuple[tuple[str, ...], str | None]:
    """Decode the values of an attribute, or say why they cannot be kept."""
    try:
        found = (raw[0].decode(),) if len(raw) == 1 else tuple([value.decode() for value in raw])
    except UnicodeDecodeError as error:
        return (), f"is not UTF-8 text: byte {error.start + 1} of a value is {error.object[error.start]:#04x}"
    for one in found:
        if not one.isprintable() and (fault := text_fault(one)) is not None:
            return (), fault
    return found, None


def text(value: bytes) -> str:
    """Decode a value so that it can be shown, with a mark in place of what is no text."""
    return value.decode(errors="replace").replace("\x00", "\ufffd")


def escaped(value: bytes) -> str:
    """Write bytes so that they can stand in a filter (RFC 4515 section 3)."""
    return "".join(f"\\{byte:02x}" for byte in value)
