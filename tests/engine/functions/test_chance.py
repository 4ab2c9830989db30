"""Made values: random text, GUIDs, the first free value."""

from __future__ import annotations

import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.contract.errors import EntryError
from dirbridge.engine.expressions import InvalidExpression, parse
from dirbridge.engine.functions.chance import SPECIAL
from tests.engine.functions.running import Given, environment, work_out

COUNT = st.integers(0, 8)


@given(COUNT, COUNT, COUNT, COUNT, st.integers(1, 20), st.integers(0, 1000))
def test_random_string_keeps_to_its_minima(
    numbers: int, special: int, capital: int, lower: int, more: int, seed: int
) -> None:
    """Exactly that long, at least so many of each, and of no other characters."""
    length = numbers + special + capital + lower + more
    found = work_out(f"RandomString({length}, {numbers}, {special}, {capital}, {lower})", here=environment(seed=seed))
    assert isinstance(found, str)
    assert len(found) == length
    for least, members in (
        (numbers, string.digits),
        (special, SPECIAL),
        (capital, string.ascii_uppercase),
        (lower, string.ascii_lowercase),
    ):
        assert sum(character in members for character in found) >= least
    assert set(found) <= set(string.ascii_letters + string.digits + SPECIAL)


def test_random_string_avoids_characters() -> None:
    """None of them comes, however long it is."""
    found = work_out('RandomString(256, 2, 2, 2, 1, "?,aA0")')
    assert isinstance(found, str)
    assert not set(found) & set("?,aA0")


def test_random_string_differs_each_time() -> None:
    """Chance is asked for each entry, even where all arguments are constants."""
    here = environment()
    assert work_out("RandomString(20, 1, 1, 1, 1)", here=here) != work_out("RandomString(20, 1, 1, 1, 1)", here=here)


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("RandomString(257, 0, 0, 0, 0)", "1 to 256 characters and was told to make 257"),
        ("RandomString(0, 0, 0, 0, 0)", "was told to make 0"),
        ("RandomString(6, 3, 0, 0, 4)", "6 characters of which 7 are bound"),
        ("RandomString(6, -1, 0, 0, 0)", "negative minimum -1"),
        ('RandomString(6, 1, 0, 0, 0, "0123456789")', "no character left for minimumNumbers"),
    ],
)
def test_random_string_that_cannot_be_made(expression: str, said: str) -> None:
    """Found before any entry is seen where all is constant, else when it is made."""
    with pytest.raises(InvalidExpression, match=said):
        parse(expression)
    first = expression[len("RandomString(") :].partition(",")[0]
    attributes: dict[str, Given] = {"n": first}
    with pytest.raises(EntryError, match=said):
        work_out(expression.replace(f"({first},", "([n],"), attributes)


def test_guid_is_random_and_lower_case() -> None:
    """Of version 4, with dashes, another each time."""
    here = environment()
    one, other = work_out("Guid()", here=here), work_out("Guid()", here=here)
    assert isinstance(one, str)
    assert one != other
    assert (str(UUID(one)), UUID(one).version) == (one, 4)


@pytest.mark.parametrize(("taken", "found"), [((), "ann"), (("ann",), "ann.lee"), (("ann", "ann.lee"), "ann1")])
def test_first_free_value(taken: tuple[str, ...], found: str) -> None:
    """Rules are tried in their order."""
    expression = 'SelectUniqueValue([a], Join(".", [a], [b]), Append([a], "1"))'
    assert work_out(expression, {"a": "ann", "b": "lee"}, environment(*taken)) == found


def test_rules_without_a_value_are_passed_over() -> None:
    """And the same value is asked for once."""
    asked: list[str] = []

    def is_free(value: str) -> bool:
        asked.append(value)
        return len(asked) == 2

    here = environment()
    here = type(here)(here.now, here.random, here.default_domain, is_free)
    assert work_out('SelectUniqueValue([none], "a", "a", "b")', {}, here) == "b"
    assert asked == ["a", "b"]


def test_no_free_value() -> None:
    """The entry fails and says what was tried last; without any value it says that."""
    with pytest.raises(EntryError, match="All 2 values .* taken, the last one 'b'") as caught:  # noqa: RUF043
        work_out('SelectUniqueValue("a", "b")', {}, environment("a", "b"))
    assert caught.value.code == "NoUniqueValue"
    with pytest.raises(EntryError, match="None of the rules"):
        work_out("SelectUniqueValue([x], [y])")


def test_no_target_to_ask() -> None:
    """An environment without one fails the entry rather than take a value for free."""
    here = environment()
    with pytest.raises(EntryError, match="no target to ask"):
        work_out('SelectUniqueValue("a", "b")', {}, type(here)(here.now, here.random, ""))


def test_two_rules_at_least() -> None:
    """One alone chooses nothing."""
    with pytest.raises(InvalidExpression, match="two rules or more and has 1"):
        parse("SelectUniqueValue([a])")


def test_default_domain() -> None:
    """The tenant's, from outside."""
    assert work_out('Join("@", [a], DefaultDomain())', {"a": "ann"}) == "ann@contoso.test"
