"""From one kind of value to another: numbers, bits, bytes, encodings, names, roles."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.contract.errors import EntryError
from dirbridge.engine.expressions import InvalidExpression, parse
from dirbridge.engine.functions.names import components
from tests.engine.functions.running import Case, Given, name, work_out

SID = bytes.fromhex("010500000000000515000000a065cf7e784b9b5fe77c8770f4010000")
ROLE = '{"id":"1","value":"admin","displayName":"Administrator"}'

CASES = [
    Case("BitAnd of decimals", "BitAnd(12, 10)", "8"),
    Case("BitAnd published: hexadecimal", "BitAnd(&HF, &HF7)", "7"),
    Case("BitAnd hexadecimal in small letters", "BitAnd([a], &hf)", "2", {"a": "514"}),
    Case("BitAnd of a signed 32-bit number", "BitAnd([g], -2147483648)", "-2147483648", {"g": "-2147483646"}),
    Case("BitAnd of an unsigned mask", "BitAnd([g], &H80000000)", "2147483648", {"g": "-2147483646"}),
    Case("BitAnd with nothing in common", "BitAnd([g], -2147483648)", "0", {"g": "4"}),
    Case("BitAnd of two attributes", "BitAnd([a], [b])", "1", {"a": "3", "b": "5"}),
    Case("CNum of a whole number", 'CNum("007")', "7"),
    Case("CNum of decimals", 'CNum(" 1.50 ")', "1.5"),
    Case("CNum of hexadecimal", 'CNum("&HFF")', "255"),
    Case("CNum of an exponent is written out", 'CNum("1e3")', "1000"),
    Case("CNum of minus 0", 'CNum("-0.0")', "0"),
    Case("CNum of nothing", "CNum([a])", None),
    Case("CStr of a number", "CStr(12)", "12"),
    Case("CStr of a reference", "CStr([dn])", "cn=Joe,dc=contoso,dc=com", {"dn": "cn=Joe,dc=contoso,dc=com"}),
    Case("CStr of a Boolean", "CStr(IsPresent([a]))", "False"),
    Case("CStr of a date", "CStr(CDate([a]))", "5/1/2024 12:00:00 AM", {"a": "2024-05-01"}),
    Case("CStr of nothing", "CStr([a])", None),
    Case("CRef of a name", "CRef([a])", "CN=Ann,DC=x", {"a": "CN=Ann,DC=x"}),
    Case("CRef of nothing", "CRef([a])", None),
    Case("CGuid in .NET's order", 'CGuid("00112233-4455-6677-8899-aabbccddeeff")',
         bytes.fromhex("33221100554477668899aabbccddeeff")),
    Case("CGuid with braces", 'CGuid("{00112233-4455-6677-8899-AABBCCDDEEFF}")',
         bytes.fromhex("33221100554477668899aabbccddeeff")),
    Case("CGuid of nothing", "CGuid([a])", None),
    Case("ConvertToBase64 published", 'ConvertToBase64("Hello world!")', "SABlAGwAbABvACAAdwBvAHIAbABkACEA"),
    Case("ConvertToBase64 of bytes", "ConvertToBase64([a])", "AQI=", {"a": b"\1\2"}),
    Case("ConvertToBase64 of several values", "ConvertToBase64([a])", ("AQ==", "YQA="), {"a": (b"\1", "a")}),
    Case("ConvertToBase64 of nothing", "ConvertToBase64([a])", None),
    Case("ConvertFromBase64 default is UTF-16", 'ConvertFromBase64("aABpAA==")', "hi"),
    Case("ConvertFromBase64 UTF-8", 'ConvertFromBase64("w6k=", UTF8)', "é"),
    Case("ConvertFromBase64 ASCII", 'ConvertFromBase64("aGk=", ASCII)', "hi"),
    Case("ConvertFromBase64 Unicode by name", 'ConvertFromBase64("aABpAA==", Unicode)', "hi"),
    Case("ConvertFromBase64 encoding in quotes", 'ConvertFromBase64("aGk=", "UTF8")', "hi"),
    Case("ConvertFromBase64 over lines", "ConvertFromBase64([a], UTF8)", "hi", {"a": "aG\nk="}),
    Case("ConvertFromBase64 of nothing", "ConvertFromBase64([a])", None),
    Case("ConvertToUTF8Hex published", 'ConvertToUTF8Hex("Hello world!")', "48656C6C6F20776F726C6421"),
    Case("ConvertToUTF8Hex beyond ASCII", 'ConvertToUTF8Hex("é")', "C3A9"),
    Case("ConvertToUTF8Hex of nothing", "ConvertToUTF8Hex([a])", None),
    Case("StringFromSid of bytes", "StringFromSid([s])", "S-1-5-21-2127521184-1604012920-1887927527-500", {"s": SID}),
    Case("StringFromSid of text", "StringFromSid([s])", "S-1-5-18", {"s": "S-1-5-18"}),
    Case("StringFromSid of a large authority", "StringFromSid([s])", "S-1-0x010000000000",
         {"s": bytes.fromhex("0100010000000000")}),
    Case("StringFromSid of nothing", "StringFromSid([s])", None),
    Case("DNComponent counts from the left", "DNComponent([dn], 1)", "Ann Lee", {"dn": "CN=Ann Lee,OU=A,DC=x"}),
    Case("DNComponent of a later part", "DNComponent([dn], 3)", "x", {"dn": "CN=Ann Lee,OU=A,DC=x"}),
    Case("DNComponent without escapes", "DNComponent([dn], 1)", "Lee, Ann", {"dn": r"CN=Lee\, Ann,DC=x"}),
    Case("DNComponent of a part of several values", "DNComponent([dn], 1)", "Ann", {"dn": "CN=Ann+UID=7,DC=x"}),
    Case("DNComponent beyond the end", "DNComponent([dn], 9)", None, {"dn": "CN=Ann,DC=x"}),
    Case("DNComponent of a reference", "DNComponent(CRef([dn]), 1)", "Ann", {"dn": "CN=Ann,DC=x"}),
    Case("DNComponent of nothing", "DNComponent([dn], 1)", None),
    Case("SingleAppRoleAssignment of one role", "SingleAppRoleAssignment([r])", "admin", {"r": ROLE}),
    Case("SingleAppRoleAssignment of text", "SingleAppRoleAssignment([r])", "admin", {"r": "admin"}),
    Case("SingleAppRoleAssignment of several is the first", "SingleAppRoleAssignment([r])", "a", {"r": ("a", ROLE)}),
    Case("SingleAppRoleAssignment of none", "SingleAppRoleAssignment([r])", None),
    Case("AppRoleAssignments are texts", "AppRoleAssignments([r])", ("a", "admin"), {"r": ("a", ROLE)}),
    Case("AppRoleAssignments of a role without a value", "AppRoleAssignments([r])", ("Reader",),
         {"r": '{"displayName":"Reader"}'}),
    Case("AppRoleAssignments of none", "AppRoleAssignments([r])", None),
    Case("AppRoleAssignmentsComplex", "AppRoleAssignmentsComplex([r])",
         ('{"id":"1","value":"admin","displayName":"Administrator","primary":false}',), {"r": ROLE}),
    Case("AssertiveAppRoleAssignmentsComplex", "AssertiveAppRoleAssignmentsComplex([r])",
         ('{"id":null,"value":"a","displayName":null,"primary":false}',), {"r": "a"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=name)
def test_conversions(case: Case) -> None:
    """What the rule says comes out."""
    assert work_out(case.expression, case.attributes) == case.result


@pytest.mark.parametrize(
    ("expression", "attributes", "said"),
    [
        ("BitAnd([a], 1)", {"a": "1_000"}, "whole number and was given '1_000'"),
        ("BitAnd([a], 1)", {"a": "&H"}, "whole number"),
        ("BitAnd([a], 1)", {}, "was given None"),
        ("CNum([a])", {"a": "NaN"}, "takes a number"),
        ("CNum([a])", {"a": "1e999"}, "takes a number"),
        ("CNum([a])", {"a": "9" * 500 + ".5"}, "takes a number"),
        ("CStr([a])", {"a": b"\1\2\3"}, "3 bytes"),
        ("CRef([a])", {"a": "Ann"}, "takes a distinguished name"),
        ("CGuid([a])", {"a": "12"}, "takes a GUID"),
        ("ConvertFromBase64([a])", {"a": "?"}, "takes base64"),
        ("ConvertFromBase64([a], [b])", {"a": "aGk=", "b": "EBCDIC"}, "was told 'EBCDIC'"),
        ("ConvertFromBase64([a], UTF8)", {"a": "AAA="}, "NUL"),
        ("StringFromSid([a])", {"a": b"\1\2\3"}, "3 bytes that are none"),
        ("DNComponent([a], 1)", {"a": "Ann"}, "takes a distinguished name"),
        ("DNComponent([a], 1)", {"a": r"CN=\00,DC=x"}, "NUL"),
        ("SingleAppRoleAssignment([a])", {"a": "{"}, "JSON object cannot be read"),
        ("SingleAppRoleAssignment([a])", {"a": b"\1"}, "A role is text"),
    ],
)
def test_values_that_do_not_do(expression: str, attributes: dict[str, Given], said: str) -> None:
    """The entry fails, and the message shows what it was given."""
    with pytest.raises(EntryError, match=said) as caught:
        work_out(expression, attributes)
    assert len(caught.value.reason) < 200


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("BitAnd([a], 1.5)", "a whole number"),
        ("ConvertFromBase64([a], UTF9)", "Unicode, ASCII, UTF8"),
        ('ConvertFromBase64([a], "UTF9")', "'UTF9' is no encoding"),
        ("DNComponent([a], x)", "neither a text"),
    ],
)
def test_constants_that_do_not_do(expression: str, said: str) -> None:
    """They are found before any entry is seen."""
    with pytest.raises(InvalidExpression) as caught:
        parse(expression)
    assert said in str(caught.value)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_bit_and_is_that_of_numbers(left: int, right: int) -> None:
    """Two's complement of any width, in either order."""
    assert work_out(f"BitAnd([a], {right})", {"a": str(left)}) == str(left & right)
    assert work_out(f"BitAnd({right}, [a])", {"a": str(left)}) == str(left & right)


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00")))
def test_base64_there_and_back(value: str) -> None:
    """In the default encoding both functions are inverse."""
    assert work_out("ConvertFromBase64(ConvertToBase64([a]))", {"a": value}) == value
    utf8 = base64.b64encode(value.encode()).decode()
    assert work_out("ConvertFromBase64([a], UTF8)", {"a": utf8}) == value


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_none(value: str) -> None:
    """Nothing but a list or None comes of it."""
    found = components(value)
    assert found is None or all(isinstance(part, str) for part in found)


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("", None),
        ("CN=Ann", ["Ann"]),
        ("cn = Ann , dc = x", ["Ann", "x"]),
        (r"CN=a\2Cb\\,DC=x", ["a,b\\", "x"]),
        (r"CN=\C3\A9", ["é"]),
        ('CN="a,b";DC=x', ["a,b", "x"]),
        (r"CN=a\ ,DC=x", ["a ", "x"]),
        ("2.5.4.3=Ann", ["Ann"]),
        ("CN=Ann,x", None),
        ("CN=", [""]),
    ],
)
def test_components(written: str, parts: list[str] | None) -> None:
    """As RFC 4514 and its older forms write names."""
    assert components(written) == parts


def test_role_of_the_complex_form_can_be_read() -> None:
    """It is a JSON object."""
    (found,) = work_out("AppRoleAssignmentsComplex([r])", {"r": ROLE})  # type: ignore[misc]
    assert msgspec.json.decode(found)["primary"] is False
