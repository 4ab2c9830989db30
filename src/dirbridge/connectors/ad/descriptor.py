"""Who may do what with an object: the access rules of a security descriptor, read and written as bytes.

Used by `permissions`. Rules that are not ours pass through byte for byte.

Source: MS-DTYP 2.4.2 (SID), 2.4.4 (ACE), 2.4.5 (ACL), 2.4.6 (SECURITY_DESCRIPTOR); MS-ADTS 5.1.3.2 (rights).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from uuid import UUID

_SELF_RELATIVE, _DACL_PRESENT, _KEPT = 0x8000, 0x0004, 0x1404  # besides: automatically inherited, protected
_HEADER = struct.Struct("<BBHIIII")
_ACL = struct.Struct("<BBHHH")
_OWNED = _HEADER.size
_ALLOW, _DENY, _ALLOW_OBJECT, _DENY_OBJECT = 0, 1, 5, 6
_INHERITED, _CONTAINERS = 0x10, 0x02
_WITH_OBJECT, _WITH_INHERITED_OBJECT = 1, 2
_ACL_REVISION_DS = 4


class Right(IntFlag):
    """A right on an object of a directory."""

    CREATE_CHILD = 0x1
    DELETE_CHILD = 0x2
    LIST_CONTENTS = 0x4
    SELF_WRITE = 0x8
    READ_PROPERTY = 0x10
    WRITE_PROPERTY = 0x20
    DELETE_TREE = 0x40
    LIST_OBJECT = 0x80
    CONTROL_ACCESS = 0x100
    DELETE = 0x10000
    READ_CONTROL = 0x20000
    WRITE_DAC = 0x40000
    WRITE_OWNER = 0x80000
    GENERIC_ALL = 0x10000000
    GENERIC_WRITE = 0x40000000
    GENERIC_READ = 0x80000000


READING = Right.LIST_CONTENTS | Right.READ_PROPERTY | Right.LIST_OBJECT | Right.READ_CONTROL | Right.GENERIC_READ
"""What changes nothing and shows no secret."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One access rule.

    Attributes:
        raw: as it stands in the list; everything else is read from it.
        allows: it gives a right; False where it denies one, None where it is of another kind.
        sid: whom it is about, as bytes.
        kind: which control access right, property or class it is about; None for all.
    """

    raw: bytes
    allows: bool | None
    inherited: bool
    rights: Right
    sid: bytes
    kind: UUID | None

    @classmethod
    def read(cls, raw: bytes) -> Rule:
        """Take a rule apart."""
        of_object = raw[0] in {_ALLOW_OBJECT, _DENY_OBJECT}
        allows = True if raw[0] in {_ALLOW, _ALLOW_OBJECT} else False if raw[0] in {_DENY, _DENY_OBJECT} else None
        (mask,) = struct.unpack_from("<I", raw, 4)
        at, kind = 8, None
        if of_object:
            (present,) = struct.unpack_from("<I", raw, 8)
            at = 12
            if present & _WITH_OBJECT:
                kind = UUID(bytes_le=raw[at : at + 16])
                at += 16
            if present & _WITH_INHERITED_OBJECT:
                at += 16
        size = 8 + 4 * raw[at + 1] if at + 1 < len(raw) else 0
        return cls(raw, allows, bool(raw[1] & _INHERITED), Right(mask), raw[at : at + size], kind)

    @classmethod
    def allow(cls, sid: bytes, rights: Right) -> Rule:
        """Make a rule that gives rights on an object and what lies below it."""
        return cls.read(struct.pack("<BBHI", _ALLOW, _CONTAINERS, 8 + len(sid), int(rights)) + sid)


def rules(descriptor: bytes) -> list[Rule]:
    """Give the rules of a descriptor, in their order.

    Raises:
        ValueError: it is cut short.
    """
    try:
        _, _, control, _, _, _, at = _HEADER.unpack_from(descriptor)
        if not control & _DACL_PRESENT or not at:
            return []
        _, _, _, count, _ = _ACL.unpack_from(descriptor, at)
        at += _ACL.size
        found = []
        for _ in range(count):
            (size,) = struct.unpack_from("<H", descriptor, at + 2)
            if size < 8 or at + size > len(descriptor):
                raise ValueError("a rule of the security descriptor is cut short")
            found.append(Rule.read(descriptor[at : at + size]))
            at += size
    except struct.error as error:
        raise ValueError(f"the security descriptor is cut short: {error}") from error
    return found


def with_rules(descriptor: bytes, wanted: Sequence[Rule]) -> bytes:
    """Give a descriptor that has these rules and nothing else, but inherits as before: for writing the rules alone."""
    control = struct.unpack_from("<H", descriptor, 2)[0] & _KEPT | _SELF_RELATIVE | _DACL_PRESENT
    content = b"".join(rule.raw for rule in wanted)
    header = _HEADER.pack(1, 0, control, 0, 0, 0, _OWNED)
    return header + _ACL.pack(_ACL_REVISION_DS, 0, _ACL.size + len(content), len(wanted), 0) + content


def with_owner(sid: bytes) -> bytes:
    """Give a descriptor that has an owner and nothing else: for writing the owner alone."""
    return _HEADER.pack(1, 0, _SELF_RELATIVE, _OWNED, 0, 0, 0) + sid


def added(present: Sequence[Rule], rule: Rule) -> list[Rule]:
    """Put a rule where it belongs: behind what denies, before what is inherited."""
    at = next((place for place, each in enumerate(present) if each.inherited or each.allows is not False), len(present))
    return [*present[:at], rule, *present[at:]]
