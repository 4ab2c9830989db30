"""The functions that the default mapping uses, called by trees as a schema document holds them."""

from __future__ import annotations

import pytest

from dirbridge.contract.entry import Values
from dirbridge.contract.errors import ConfigurationError, EntryError
from dirbridge.contract.schema import Parameter, Source
from dirbridge.engine.expressions import compile_source
from dirbridge.engine.functions import FUNCTIONS
from dirbridge.engine.functions.values import Result

MISSING = "nothing here"
"""An attribute that no entry of these tests has."""


def attribute(name: str) -> Source:
    return Source("Attribute", name)


def constant(value: str) -> Source:
    return Source("Constant", value, f'"{value}"')


def call(name: str, **parameters: str | Source | list[str | Source]) -> Source:
    """A call by parameter keys; plain text is a constant."""
    found = [
        Parameter(key, constant(one) if isinstance(one, str) else one)
        for key, given in parameters.items()
        for one in (given if isinstance(given, list) else [given])
    ]
    return Source("Function", name, parameters=tuple(found))


def run(source: Source, **attributes: str | bytes | tuple[str | bytes, ...]) -> Result:
    values: dict[str, Values] = {n: v if isinstance(v, tuple) else (v,) for n, v in attributes.items()}
    return compile_source(source, {}, "here")(values)


ERROR = call("Error", message="must not run")


@pytest.mark.parametrize(
    ("source", "attributes", "result"),
    [
        # One part: the condition stands alone.
        (call("IIF", one="True", four="yes", five=ERROR), {}, "yes"),
        (call("IIF", one="False", four=ERROR, five="no"), {}, "no"),
        (call("IIF", one=call("IsPresent", source=attribute("mail")), four="yes", five="no"), {"mail": "a"}, "yes"),
        (call("IIF", one=call("IsPresent", source=attribute("mail")), four="yes", five="no"), {}, "no"),
        (call("IIF", one=call("IsPresent", source=attribute("mail")), four=attribute("mail")), {}, None),
        (call("IIF", one=attribute("flag"), four="yes", five="no"), {}, "no"),
        # Three parts: a comparison. Text compares exactly.
        (call("IIF", one=attribute("c"), two="=", three="FR", four="EU", five="Other"), {"c": "FR"}, "EU"),
        (call("IIF", one=attribute("c"), two="=", three="FR", four="EU", five="Other"), {"c": "fr"}, "Other"),
        (call("IIF", one=attribute("c"), two="=", three="FR", four="EU", five="Other"), {}, "Other"),
        (call("IIF", one=attribute("c"), two="<>", three="FR", four="Other", five="EU"), {"c": "FR"}, "EU"),
        # Order counts only between numbers.
        (call("IIF", one=attribute("n"), two=">", three="9", four="more", five="less"), {"n": "10"}, "more"),
        (call("IIF", one=attribute("n"), two=">=", three="10", four="more", five="less"), {"n": "10"}, "more"),
        (call("IIF", one=attribute("n"), two="<", three="-1", four="less", five="more"), {"n": "-2"}, "less"),
        (call("IIF", one=attribute("n"), two="<=", three="9", four="less", five="more"), {"n": "10"}, "more"),
        (call("IIF", one=attribute("n"), two="<", three="9", four="less", five="more"), {"n": "abc"}, "more"),
        (call("IIF", one="False", four="yes"), {}, None),
    ],
)
def test_iif(source: Source, attributes: dict[str, str], result: str | None) -> None:
    """The branch that is not taken is not evaluated, and a missing one is nothing."""
    assert run(source, **attributes) == result


@pytest.mark.parametrize(
    ("value", "result"),
    [(None, "False"), ("", "False"), ("a", "True"), (" ", "True"), (b"\x00", "True"), (("a", "b"), "True")],
)
def test_is_present(value: str | bytes | tuple[str, ...] | None, result: str) -> None:
    """Neither absent nor empty."""
    attributes = {} if value is None else {"a": value}
    assert run(call("IsPresent", source=attribute("a")), **attributes) == result


@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ("12", "10", "8"),
        ("512", "2", "0"),
        ("514", "2", "2"),
        ("&HF", "&H6", "6"),
        ("&hf7", "15", "7"),
        # groupType is a signed number of 32 bits whose highest bit says security.
        ("-2147483646", "-2147483648", "-2147483648"),
        ("2", "-2147483648", "0"),
        ("4", "-2147483648", "0"),
        ("-1", "255", "255"),
    ],
)
def test_bit_and(left: str, right: str, result: str) -> None:
    """Whole numbers, negative and hexadecimal ones too."""
    assert run(call("BitAnd", left=attribute("a"), right=right), a=left) == result


@pytest.mark.parametrize("value", ["", "x", "1.5", "&HG", "9" * 5000])
def test_bit_and_of_no_number(value: str) -> None:
    """A plain error, that shows no more than the beginning of the value."""
    with pytest.raises(EntryError, match="whole number") as caught:
        run(call("BitAnd", left="1", right=attribute("a")), a=value)
    assert len(caught.value.reason) < 120
    with pytest.raises(ConfigurationError, match="whole number"):
        run(call("BitAnd", left="1", right=value))


@pytest.mark.parametrize(
    ("value", "count", "result"),
    [
        ("abcdef", "2", "ab"),
        ("abcdef", "0", ""),
        ("abcdef", "-1", "abcdef"),
        ("abc", "5", "abc"),
        ("Żółw", "2", "Żó"),
        (None, "2", ""),
    ],
)
def test_left(value: str | None, count: str, result: str) -> None:
    """0 gives nothing, a negative count and too great a one the whole."""
    attributes = {} if value is None else {"a": value}
    assert run(call("Left", source=attribute("a"), length=count), **attributes) == result


@pytest.mark.parametrize(
    ("values", "index", "result"),
    [(("a", "b"), "1", "a"), (("a", "b"), "2", "b"), (("a",), "1", "a"), ((b"\x01",), "1", b"\x01")],
)
def test_item(values: tuple[str | bytes, ...], index: str, result: str | bytes) -> None:
    """Count begins with 1."""
    assert run(call("Item", source=attribute("a"), index=index), a=values) == result


@pytest.mark.parametrize(
    ("values", "index"), [(("a",), "0"), (("a",), "2"), (("a",), "-1"), (("a",), "x"), (None, "1")]
)
def test_item_out_of_range(values: tuple[str, ...] | None, index: str) -> None:
    """0, a number beyond the values, and no number are errors."""
    attributes = {} if values is None else {"a": values}
    with pytest.raises(EntryError):
        run(call("Item", source=attribute("a"), index=attribute("at")), at=index, **attributes)


@pytest.mark.parametrize(
    ("separator", "sources", "result"),
    [
        (", ", ["", attribute("surname"), attribute("givenName")], "Doe, John"),
        ("-", ["a", "", "b"], "a-b"),
        ("@", [attribute("account"), "contoso.test"], "contoso.test"),
        ("", ["1000", attribute("surname")], "1000Doe"),
        (";", [attribute("many"), "z"], "x;y;z"),
        ("-", [attribute(MISSING)], ""),
    ],
)
def test_join(separator: str, sources: list[str | Source], result: str) -> None:
    """Empty and absent parts leave no stray separator; several values count one by one."""
    joined = call("Join", separator=separator, source=sources)
    assert run(joined, surname="Doe", givenName="John", many=("x", "y")) == result


@pytest.mark.parametrize(
    ("value", "result"),
    [("True", "False"), ("False", "True"), ("true", "True"), ("0", "True"), ("", "True"), (None, "True")],
)
def test_not(value: str | None, result: str) -> None:
    """Only `True` becomes `False`; anything else becomes `True`."""
    attributes = {} if value is None else {"a": value}
    assert run(call("Not", source=attribute("a")), **attributes) == result


@pytest.mark.parametrize(
    ("value", "result"),
    [("True", "True"), ("1", "True"), ("-2147483648", "True"), ("0", "False"), ("False", "False"), ("x", "False")],
)
def test_c_bool(value: str, result: str) -> None:
    """`True`, and any number but 0."""
    assert run(call("CBool", source=attribute("a")), a=value) == result


def test_trim_works_on_each_value() -> None:
    """White space goes at both ends, of every value; binary ones stay."""
    source = call("Trim", source=attribute("a"))
    assert run(source, a="  x y\t\r\n") == "x y"
    assert run(source, a=(" x", "y ", b" z ")) == ("x", "y", b" z ")
    assert run(source) is None


def test_remove_duplicates_keeps_the_order() -> None:
    """Each value once, where it came first; case counts."""
    source = call("RemoveDuplicates", source=call("Trim", source=attribute("a")))
    assert run(source, a=("SMTP:a@x", "smtp:b@x ", "smtp:b@x", "smtp:A@x")) == ("SMTP:a@x", "smtp:b@x", "smtp:A@x")
    assert run(source, a="one") == "one"


def test_error_carries_its_message() -> None:
    """It fails the entry with the text that it was given."""
    with pytest.raises(EntryError, match="AccountName is not present"):
        run(call("Error", message="AccountName is not present"))


STAMP = call(
    "FormatDateTime", source=call("DateFromNum", source=attribute("pwdLastSet")), outputFormat="yyyyMMddHHmmss.0Z"
)


@pytest.mark.parametrize(
    ("ticks", "result"),
    [
        ("132772253564048004", "20210927140916.0Z"),
        ("129699324000000000", "20120101230000.0Z"),
        ("116444736000000000", "19700101000000.0Z"),
        ("132537168000000000", "20201229120000.0Z"),
        ("132536736000000000", "20201229000000.0Z"),
        ("0", None),
    ],
)
def test_date_from_num_formatted(ticks: str, result: str | None) -> None:
    """The published example, noon and midnight, and nothing for 0 and for no value."""
    assert run(STAMP, pwdLastSet=ticks) == result
    assert run(STAMP) is None


def test_date_from_num_as_text() -> None:
    """Outside a date function a date is text of the form M/d/yyyy h:mm:ss tt."""
    source = call("DateFromNum", source=attribute("a"))
    assert run(source, a="129699324000000000") == "1/1/2012 11:00:00 PM"


@pytest.mark.parametrize("ticks", ["9223372036854775807", "-9223372036854775808", "x"])
def test_date_beyond_the_calendar(ticks: str) -> None:
    """A time that no calendar holds fails the entry, not the cycle."""
    with pytest.raises(EntryError):
        run(STAMP, pwdLastSet=ticks)


def test_format_of_no_date() -> None:
    """Text that is no date fails the entry and is named."""
    with pytest.raises(EntryError, match="yesterday"):
        run(call("FormatDateTime", source="yesterday", outputFormat="yyyy"))


@pytest.mark.parametrize("name", ["Left", "BitAnd", "Join"])
def test_binary_where_text_is_wanted(name: str) -> None:
    """Bytes are named as such, not printed."""
    keys = [parameter.name for parameter in FUNCTIONS[name].parameters]
    source = call(name, **{keys[0]: "1", keys[1]: attribute("a")})
    if name == "Left":
        source = call(name, source=attribute("a"), length="1")
    with pytest.raises(EntryError, match="3 bytes"):
        run(source, a=b"\xff\x00\x01")
