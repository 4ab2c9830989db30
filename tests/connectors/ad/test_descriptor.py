"""Access rules, from bytes and to bytes."""

import struct
from uuid import UUID

import pytest

from dirbridge.connectors.ad import descriptor
from dirbridge.connectors.ad.descriptor import Right, Rule

SYSTEM = bytes.fromhex("010100000000000512000000")  # S-1-5-18
ADMINS = bytes.fromhex("01020000000000052000000020020000")  # S-1-5-32-544
REPLICATION = UUID("1131f6aa-9c07-11d1-f79f-00c04fc2dcd2")

# D:PAI(D;;RP;;;SY)(OA;;CR;1131f6aa-9c07-11d1-f79f-00c04fc2dcd2;;BA)(A;CIID;RPLC;;;SY), with an owner in front.
DENIES = bytes.fromhex("01001400") + struct.pack("<I", 0x10) + SYSTEM
OBJECT = bytes.fromhex("05002c00") + struct.pack("<II", 0x100, 1) + REPLICATION.bytes_le + ADMINS
INHERITED = bytes.fromhex("00121400") + struct.pack("<I", 0x14) + SYSTEM
LIST = struct.pack("<BBHHH", 4, 0, 8 + len(DENIES + OBJECT + INHERITED), 3, 0) + DENIES + OBJECT + INHERITED
WHOLE = struct.pack("<BBHIIII", 1, 0, 0x9404, 20, 0, 0, 20 + len(ADMINS)) + ADMINS + LIST


def test_rules_are_read() -> None:
    """Whom each is about, what it gives, and whether it is the object's own."""
    denies, of_object, inherited = descriptor.rules(WHOLE)
    assert (denies.allows, denies.rights, denies.sid, denies.inherited) == (False, Right.READ_PROPERTY, SYSTEM, False)
    assert (of_object.allows, of_object.kind, of_object.sid) == (True, REPLICATION, ADMINS)
    assert (inherited.rights, inherited.inherited) == (Right.READ_PROPERTY | Right.LIST_CONTENTS, True)


def test_what_is_written_has_the_same_rules_and_nothing_else() -> None:
    """The rules byte for byte; owner and groups are not touched, inheritance stays blocked."""
    written = descriptor.with_rules(WHOLE, descriptor.rules(WHOLE))
    assert written[20:] == LIST
    assert struct.unpack_from("<HIII", written, 2) == (0x9404, 0, 0, 0)


def test_new_rule_stands_behind_what_denies_and_before_what_is_inherited() -> None:
    """The canonical order, which domain controllers expect."""
    rule = Rule.allow(ADMINS, Right.LIST_CONTENTS | Right.READ_PROPERTY)
    assert rule.raw == bytes.fromhex("0002180014000000") + ADMINS
    together = descriptor.added(descriptor.rules(WHOLE), rule)
    assert [each.raw for each in together] == [DENIES, rule.raw, OBJECT, INHERITED]
    assert descriptor.added([], rule) == [rule]


@pytest.mark.parametrize("end", [0, 10, 19, 38, 60, len(WHOLE) - 1])
def test_descriptor_that_is_cut_short(end: int) -> None:
    """It is no descriptor without rules."""
    with pytest.raises(ValueError, match="cut short"):
        descriptor.rules(WHOLE[:end])
