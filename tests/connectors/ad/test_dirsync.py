"""The DirSync codec, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.connectors.ad import dirsync
from dirbridge.connectors.ad.dirsync import Flag

# Written by hand from X.690 and MS-ADTS 3.1.1.3.4.1.3; the first two were taken by a domain controller.
REQUESTS = {
    (Flag.OBJECT_SECURITY | Flag.INCREMENTAL_VALUES, 10_000_000, b""): "300e 0204 80000001 0204 00989680 0400",
    (Flag.INCREMENTAL_VALUES, 10_000_000, b"abc"): "3011 0204 80000000 0204 00989680 0403 616263",
    (Flag.OBJECT_SECURITY, 0, b""): "3008 0201 01 0201 00 0400",
    (Flag.OBJECT_SECURITY | Flag.ANCESTORS_FIRST_ORDER, 128, b"\x00"): "300b 0202 0801 0202 0080 0401 00",
    (Flag.PUBLIC_DATA_ONLY, 127, b""): "3009 0202 2000 0201 7f 0400",
}


@pytest.mark.parametrize(("arguments", "golden"), REQUESTS.items())
def test_request_is_coded_as_the_protocol_says(arguments: tuple[Flag, int, bytes], golden: str) -> None:
    """Flags are signed, numbers as short as they can be."""
    assert dirsync.request(*arguments) == bytes.fromhex(golden)


def test_request_with_a_long_cookie_uses_the_long_form_of_length() -> None:
    """Lengths above 127 take the long form, of one byte and of two."""
    assert dirsync.request(Flag.OBJECT_SECURITY, 0, b"x" * 200)[:13] == bytes.fromhex("3081d1 020101 020100 0481c8 78")
    assert dirsync.request(Flag.OBJECT_SECURITY, 0, b"x" * 300)[:4] == bytes.fromhex("30820136")


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("3009 0201 00 0201 00 0401 78", dirsync.Answer(False, b"x")),
        ("3009 0201 01 0201 00 0401 78", dirsync.Answer(True, b"x")),
        ("300a 0202 ffff 0201 00 0401 78", dirsync.Answer(True, b"x")),
        ("308400000008 0201 00 0201 00 0400", dirsync.Answer(False, b"")),
    ],
)
def test_response_is_read(value: str, answer: dirsync.Answer) -> None:
    """Any number but 0 means more; Windows writes lengths in four bytes."""
    assert dirsync.response(bytes.fromhex(value)) == answer


@pytest.mark.parametrize(
    "value", ["", "30", "3009 0201 00 0201 00 0405 78", "3109 0201 00", "3008 0201 00 0201 00 0400 00"]
)
def test_response_of_another_form_is_refused(value: str) -> None:
    """What is cut, of another type or too long is an error, never half an answer."""
    with pytest.raises(ValueError, match="DirSync control"):
        dirsync.response(bytes.fromhex(value))


@given(st.binary(max_size=70_000))
def test_cookie_survives_coding(cookie: bytes) -> None:
    """A cookie of any length comes back as it was sent: request and response have the same form."""
    assert dirsync.response(dirsync.request(Flag(0), 0, cookie)) == dirsync.Answer(False, cookie)


def test_extended_dn_asks_for_text() -> None:
    assert dirsync.extended_dn() == bytes.fromhex("3003020101")
