"""Controls of content synchronization, byte for byte."""

from __future__ import annotations

from uuid import UUID

import pytest

from dirbridge.connectors.ldap import syncrepl
from dirbridge.connectors.ldap.syncrepl import Done, EntryState, Info, Mode, State

ANN = "00112233-4455-6677-8899-aabbccddeeff"
RAW = UUID(ANN).bytes
COOKIE = b"rid=000,csn=1"


def test_request_is_coded_as_the_rfc_says() -> None:
    """Without a cookie, and with one; the reload hint keeps its default."""
    assert syncrepl.request(Mode.REFRESH_ONLY, b"").hex() == "30030a0101"
    assert syncrepl.request(Mode.REFRESH_AND_PERSIST, b"ab").hex() == "30070a010304026162"


def test_positions_of_a_cookie() -> None:
    """OpenLDAP names the last change of each replica, 389-DS its own last one."""
    one, two = "20261123181826.271184Z#000000#001#000000", "20261123181827.000001Z#000002#00a#000000"
    assert syncrepl.positions(f"rid=000,csn={one};{two}".encode()) == {"001": one, "00a": two}
    assert syncrepl.positions(f"rid=000,sid=001,csn={one}".encode()) == {"001": one}
    assert syncrepl.positions(b"localhost:0#cn=a,dc=b:dc=b:(cn=#)#7") == {}
    assert syncrepl.change_number(b"localhost:0#cn=a,dc=b:dc=b:(cn=#)#7") == 7
    assert syncrepl.change_number(b"") is None


def test_state_of_an_entry() -> None:
    """With and without a cookie behind it."""
    value = bytes.fromhex("3015 0a0103 0410") + RAW
    assert syncrepl.state(value) == EntryState(State.DELETE, ANN)
    longer = bytes.fromhex("3019 0a0101 0410") + RAW + bytes.fromhex("04026162")
    assert syncrepl.state(longer) == EntryState(State.ADD, ANN)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("3000", Done(b"", False)),
        ("300404026162", Done(b"ab", False)),
        ("30070402616201 01ff", Done(b"ab", True)),
        ("30030101ff", Done(b"", True)),
    ],
)
def test_end_of_an_answer(value: str, expected: Done) -> None:
    """Each member may be left out."""
    assert syncrepl.done(bytes.fromhex(value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"\x80\x02ab", Info(cookie=b"ab")),
        (b"\xa1\x00", Info(refreshed=True)),
        (b"\xa1\x03\x01\x01\x00", Info()),
        (b"\xa2\x04\x04\x02ab", Info(cookie=b"ab", refreshed=True, presence=True)),
        (b"\xa3\x17\x01\x01\xff\x31\x12\x04\x10" + RAW, Info(deleted=(ANN,))),
        (b"\xa3\x14\x31\x12\x04\x10" + RAW, Info(present=(ANN,))),
    ],
)
def test_messages_between_entries(value: bytes, expected: Info) -> None:
    """A set of ids is of what is gone only where it says so."""
    assert syncrepl.info(value) == expected


@pytest.mark.parametrize("value", [b"", b"\x30", b"\x30\x05\x0a\x01", b"\xa3\x02\x31\x05", b"\x04\x00"])
def test_damaged_values_are_refused(value: bytes) -> None:
    """Never taken for an empty answer."""
    with pytest.raises(ValueError, match="content synchronization"):
        syncrepl.state(value)
    with pytest.raises(ValueError, match="content synchronization"):
        syncrepl.info(value)
