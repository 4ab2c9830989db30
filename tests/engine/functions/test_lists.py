"""Several values: Join, Split, Item, Count, Contains, RemoveDuplicates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.contract.errors import EntryError
from dirbridge.engine.expressions import InvalidExpression, parse
from dirbridge.engine.expressions.text import quoted
from dirbridge.engine.functions.values import LONGEST
from tests.engine.functions.running import Case, name, work_out

CASES = [
    Case("Join published", 'Join(", ", "", [sn], [given])', "Doe, John", {"sn": "Doe", "given": "John"}),
    Case("Join skips empty parts", 'Join("-", "a", "", "b")', "a-b"),
    Case("Join skips absent parts", 'Join("@", [account], "contoso.test")', "contoso.test"),
    Case("Join takes each of several values", 'Join(";", [a], "z")', "x;y;z", {"a": ("x", "y")}),
    Case("Join with no separator", 'Join("", 1000, [sn])', "1000Doe", {"sn": "Doe"}),
    Case("Join with an absent separator", 'Join([s], "a", "b")', "ab"),
    Case("Join of nothing is empty", 'Join("-", [a], [b])', ""),
    Case("Join an empty place is none", 'Join("-", "a", , "b")', "a-b"),
    Case("Join of many", 'Join(".", "a", "b", "c", "d")', "a.b.c.d"),
    Case("Join of one", 'Join("-", [a])', "x-y", {"a": ("x", "y")}),
    Case("Join a macro", 'Join("@", [a], %DomainFQDN%)', "ann@contoso.test", {"a": "ann"}),
    Case("Join published: digits of an id", 'Join("", 1000, Replace(ConvertToUTF8Hex([id]), , "[a-zA-Z_]*", , "", , ))',
         "10006131", {"id": "a1"}),
    Case("Split published: parts without white space", 'Split([a], ",")', ("One", "Two"), {"a": "One, Two"}),
    Case("Split keeps empty parts", 'Split("a,,b", ",")', ("a", "", "b")),
    Case("Split without its delimiter is one value", 'Split("ab", ",")', ("ab",)),
    Case("Split at a space", 'Split("a b", " ")', ("a", "b")),
    Case("Split of nothing is nothing", 'Split([a], ",")', None),
    Case("Item counts from 1", "Item([a], 1)", "x", {"a": ("x", "y")}),
    Case("Item of the last", "Item([a], 2)", "y", {"a": ("x", "y")}),
    Case("Item of a single value", "Item([a], 1)", "x", {"a": "x"}),
    Case("Item of bytes", "Item([a], 1)", b"\1", {"a": (b"\1", b"\2")}),
    Case("Item of a Split", 'Item(Split("a@b", "@"), 2)', "b"),
    Case("Item by a number of the entry", "Item([a], [n])", "y", {"a": ("x", "y"), "n": "2"}),
    Case("Item by Contains: the primary address", 'Item([p], Contains([p], "SMTP:"))', "SMTP:b@x",
         {"p": ("smtp:a@x", "SMTP:b@x")}),
    Case("Count of several values", "Count([a])", "3", {"a": ("x", "y", "z")}),
    Case("Count of one", "Count([a])", "1", {"a": "x"}),
    Case("Count of nothing is 0", "Count([a])", "0"),
    Case("Contains gives the first value's number", 'Contains([a], "b")', "2", {"a": ("a", "bb", "cb")}),
    Case("Contains not there", 'Contains([a], "x")', "0", {"a": ("a", "b")}),
    Case("Contains is case-sensitive", 'Contains([a], "A")', "0", {"a": ("a",)}),
    Case("Contains in nothing", 'Contains([a], "x")', "0"),
    Case("RemoveDuplicates keeps the order", "RemoveDuplicates([a])", ("b", "a"), {"a": ("b", "a", "b")}),
    Case("RemoveDuplicates is case-sensitive", "RemoveDuplicates([a])", ("a", "A"), {"a": ("a", "A", "a")}),
    Case("RemoveDuplicates of a single value", "RemoveDuplicates([a])", "x", {"a": "x"}),
    Case("RemoveDuplicates default mapping: after Trim", "RemoveDuplicates(Trim([a]))", ("x",), {"a": ("x ", "x")}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=name)
def test_lists(case: Case) -> None:
    """What the rule says comes out."""
    assert work_out(case.expression, case.attributes) == case.result


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("Item([a], 3)", "value 3 of 2"),
        ("Item([none], 1)", "value 1 of 0"),
        ("Item([a], [zero])", "value 0 of 2"),
        ("Split([zero], [a])", "1 character|one character"),
        ("Split([zero], [long])", "one character"),
        ('Join("-", [bytes])', "2 bytes"),
    ],
)
def test_values_that_do_not_do(expression: str, said: str) -> None:
    """The entry fails, and the message says why."""
    attributes = {"a": ("xx", "y"), "zero": "0", "long": "ab", "bytes": b"\1\2"}
    with pytest.raises(EntryError, match=said):
        work_out(expression, attributes)


@pytest.mark.parametrize(
    ("expression", "said"), [("Item([a], 0)", "counts from 1"), ('Split([a], "ab")', "one"), ('Split([a], "")', "one")]
)
def test_constants_that_do_not_do(expression: str, said: str) -> None:
    """They are found before any entry is seen."""
    with pytest.raises(InvalidExpression, match=said):
        parse(expression)


def test_join_does_not_grow_without_end() -> None:
    """A separator multiplies, and calls nest."""
    nested = 'Join("-", [a])'
    for _ in range(8):
        nested = f"Join({nested}, [a])"
    with pytest.raises(EntryError, match=f"{LONGEST:,} characters"):
        work_out(nested, {"a": tuple("abcdefghij")})


PART = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00,"), min_size=1, max_size=8).map(
    str.strip
)


@given(st.lists(PART.filter(bool), min_size=1, max_size=6))
def test_split_undoes_join(parts: list[str]) -> None:
    """Parts that hold no delimiter and no white space at their ends come back as they were."""
    joined = f"""Join(",", {", ".join(map(quoted, parts))})"""
    assert work_out(f'Split({joined}, ",")') == tuple(parts)
    assert work_out(f'Count(Split({joined}, ","))') == str(len(parts))
    assert work_out(f'Item(Split({joined}, ","), {len(parts)})') == parts[-1]
    assert work_out(f'Join(",", Split({joined}, ","))') == work_out(joined)


@given(st.lists(PART.filter(bool), min_size=2, max_size=8))
def test_remove_duplicates_laws(values: list[str]) -> None:
    """Each value stays, once, and in its order."""
    found = work_out("RemoveDuplicates([a])", {"a": tuple(values)})
    assert isinstance(found, tuple)
    assert list(found) == sorted(set(values), key=values.index)
