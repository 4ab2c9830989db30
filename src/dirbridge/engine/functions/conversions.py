"""From one kind of value to another: numbers, bits, bytes, encodings, references."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from uuid import UUID

from dirbridge.contract.entry import text_fault
from dirbridge.engine.functions.environment import Environment
from dirbridge.engine.functions.names import components
from dirbridge.engine.functions.signature import Complaint, Function, Given, Parameter, constant, of_text, whole
from dirbridge.engine.functions.values import (
    Argument,
    Attributes,
    Fixed,
    Result,
    decimal,
    direct,
    each,
    excerpt,
    failed,
    first,
    number,
    text,
    whole_number,
)

_ENCODINGS = {"Unicode": "utf-16-le", "ASCII": "ascii", "UTF8": "utf-8"}


def _bit_and(left: Result, right: Result) -> Result:
    return str(number(left, "BitAnd") & number(right, "BitAnd"))


def _bind_bit_and(arguments: Sequence[Argument | None], _environment: Environment) -> Argument:
    """Read the mask once where it is a constant."""
    left, right = direct(arguments[0] or Fixed(None)), arguments[1] or Fixed(None)
    if not isinstance(right, Fixed):
        return lambda at: _bit_and(left(at), right(at))
    mask = number(right.value, "BitAnd")

    def masked(at: Attributes) -> Result:
        return str(number(left(at), "BitAnd") & mask)

    return masked


def _c_num(source: Result) -> Result:
    """Give a number in its shortest form; nothing of nothing."""
    found = text(source, "CNum")
    if not found:
        return None
    exact = whole_number(found.strip())
    if exact is not None:
        return str(exact)
    read = decimal(found.strip())
    if read is None:
        raise failed(f"CNum takes a number and was given {excerpt(found)}.")
    return format(read.normalize() + 0, "f")


def _c_str(source: Result) -> Result:
    return text(source, "CStr")


def _c_ref(source: Result) -> Result:
    """Give a reference as its distinguished name."""
    found = text(source, "CRef")
    if found and components(found) is None:
        raise failed(f"CRef takes a distinguished name and was given {excerpt(found)}.")
    return found


def _c_guid(source: Result) -> Result:
    """Give the bytes of a GUID in the order that .NET and Active Directory keep them in."""
    found = text(source, "CGuid")
    if not found:
        return None
    try:
        return UUID(found.strip()).bytes_le
    except ValueError as error:
        raise failed(f"CGuid takes a GUID and was given {excerpt(found)}.") from error


def _convert_to_base64(source: Result) -> Result:
    """Give base64 of the bytes, or of the text in UTF-16, each of several values."""
    if isinstance(source, bytes):
        return base64.b64encode(source).decode()
    if isinstance(source, tuple):
        return tuple(_base64(item) for item in source)
    found = text(source, "ConvertToBase64")
    return None if found is None else _base64(found)


def _base64(value: str | bytes) -> str:
    return base64.b64encode(value if isinstance(value, bytes) else value.encode("utf-16-le")).decode()


def _convert_from_base64(source: Result, encoding: Result) -> Result:
    name = text(encoding, "ConvertFromBase64") or "Unicode"
    if name not in _ENCODINGS:
        raise failed(f"ConvertFromBase64 knows {', '.join(_ENCODINGS)} and was told '{name:.40}'.")
    found = text(source, "ConvertFromBase64")
    if found is None:
        return None
    try:
        decoded = base64.b64decode("".join(found.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise failed(f"ConvertFromBase64 takes base64 and was given {excerpt(found)}.") from error
    return _sound(decoded.decode(_ENCODINGS[name], errors="replace"), "ConvertFromBase64")


def _sound(found: str, where: str) -> str:
    """Make sure that what was decoded can be kept."""
    fault = text_fault(found)
    if fault is not None:
        raise failed(f"What {where} decoded {fault}.", "See whether the text was written in another encoding.")
    return found


def _check_encoding(given: Given) -> Complaint | None:
    name = constant(given, "encoding")
    if name is not None and name not in _ENCODINGS:
        return Complaint(f"'{name}' is no encoding.", f"Use one of {', '.join(_ENCODINGS)}.", "encoding")
    return None


def _convert_to_utf8_hex(source: Result) -> Result:
    return each(source, lambda value: value.encode().hex().upper())


def _string_from_sid(source: Result) -> Result:
    """Write a security identifier; one that is text already stays. Source: MS-DTYP 2.4.2."""
    found = first(source)
    if not isinstance(found, bytes):
        return text(found, "StringFromSid")
    if len(found) < 8 or found[0] != 1 or len(found) != 8 + 4 * found[1]:
        raise failed(f"StringFromSid takes a security identifier and was given {len(found)} bytes that are none.")
    authority = int.from_bytes(found[2:8], "big")
    parts = [int.from_bytes(found[at : at + 4], "little") for at in range(8, len(found), 4)]
    shown = f"0x{authority:012X}" if authority >= 2**32 else str(authority)
    return "-".join(["S", str(found[0]), shown, *map(str, parts)])


def _dn_component(source: Result, index: Result) -> Result:
    name, position = text(source, "DNComponent"), number(index, "DNComponent")
    if not name:
        return None
    parts = components(name)
    if parts is None:
        raise failed(f"DNComponent takes a distinguished name and was given {excerpt(name)}.")
    return _sound(parts[position - 1], "DNComponent") if 1 <= position <= len(parts) else None


_SOURCE = of_text()
_BINARY = Parameter("source", "Binary")

FUNCTIONS = (
    Function(
        "BitAnd",
        (whole("left"), whole("right")),
        "The bits that both numbers have, as a number. Hexadecimal ones are written `&HF`.",
        "BitAnd(12, 10)",
        "8",
        bind=_bind_bit_and,
    ),
    Function("CNum", (_SOURCE,), "The value as a number in its shortest form.", 'CNum("007.50")', "7.5", _c_num),
    Function(
        "CStr",
        (_SOURCE,),
        "The value as text: of a number, a Boolean, a date, a reference.",
        "CStr([manager])",
        call=_c_str,
    ),
    Function(
        "CRef",
        (_SOURCE,),
        "The value as a reference: a distinguished name.",
        'DNComponent(CRef("CN=Ann,DC=contoso,DC=test"), 1)',
        "Ann",
        _c_ref,
    ),
    Function(
        "CGuid",
        (_SOURCE,),
        "The bytes of a GUID, written with or without braces, in .NET's order.",
        'ConvertToBase64(CGuid("{00112233-4455-6677-8899-aabbccddeeff}"))',
        "MyIRAFVEd2aImaq7zN3u/w==",
        _c_guid,
    ),
    Function(
        "ConvertToBase64",
        (_BINARY,),
        "Base64 of the bytes, or of the text in UTF-16.",
        'ConvertToBase64("hi")',
        "aABpAA==",
        _convert_to_base64,
    ),
    Function(
        "ConvertFromBase64",
        (_SOURCE, Parameter("encoding", required=False, words=tuple(_ENCODINGS))),
        "The text that base64 holds, in `Unicode` (UTF-16, which is meant where none is named), `ASCII` or `UTF8`.",
        'ConvertFromBase64("aGk=", UTF8)',
        "hi",
        _convert_from_base64,
        check=_check_encoding,
    ),
    Function(
        "ConvertToUTF8Hex",
        (_SOURCE,),
        "The bytes of the text in UTF-8, each as two hexadecimal digits.",
        'ConvertToUTF8Hex("Az")',
        "417A",
        _convert_to_utf8_hex,
        strict=True,
    ),
    Function(
        "StringFromSid",
        (_BINARY,),
        "A security identifier as text, `S-1-…`.",
        "StringFromSid([objectSid])",
        call=_string_from_sid,
        strict=True,
    ),
    Function(
        "DNComponent",
        (Parameter("source", "Reference"), whole("index")),
        "The value of one part of a distinguished name, counted from 1 at the left; nothing where it has fewer.",
        'DNComponent("CN=Ann Lee,OU=Sales,DC=contoso,DC=test", 2)',
        "Sales",
        _dn_component,
        strict=True,
    ),
)
