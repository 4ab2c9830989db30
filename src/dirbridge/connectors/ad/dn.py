"""Distinguished names as Active Directory writes them.

With the extended-DN control a name comes as `<GUID=…>;<SID=…>;CN=…`: the GUID outlives renames, the SID is there for
security principals only. Used by `entries`, for references, and by `settings`, for its own list of containers.

Source: MS-ADTS 3.1.1.3.4.1.5.
"""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from dirbridge.connectors.ldap_wire.dn import Part, below, escape, join, split, unescape

__all__ = ["ExtendedName", "Part", "anchor", "below", "escape", "extended", "join", "split", "unescape"]


class ExtendedName(NamedTuple):
    """A name taken apart. `guid` in lower case with dashes; GUID and SID are None where the name has none."""

    guid: str | None
    sid: str | None
    dn: str


def extended(text: str) -> ExtendedName:
    """Take an extended name apart; a plain one has neither GUID nor SID."""
    guid = sid = None
    rest = text
    if text[:6] == "<GUID=" and text[42:44] == ">;":  # nearly every name, many thousand times
        guid, rest = text[6:42].lower(), text[44:]
    while rest.startswith("<"):
        word, found, after = rest.partition(">")
        if not found:
            break
        kind, _, value = word[1:].partition("=")
        if kind.upper() == "GUID":
            guid = str(UUID(value)) if "-" in value else str(UUID(bytes_le=bytes.fromhex(value)))
        elif kind.upper() == "SID":
            sid = value
        rest = after.removeprefix(";")
    return ExtendedName(guid, sid, rest)


def anchor(text: str) -> str | None:
    """Give the GUID of an extended name, or None where it has none. The quick way for member lists."""
    if text[:6] == "<GUID=" and text[42:43] == ">":
        return text[6:42].lower()
    return extended(text).guid
