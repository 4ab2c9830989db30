"""What a source reports, and what of it cannot be kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirbridge.contract.entry import Entry, Selection, Value, check_texts, storable, text_fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", None),
        ("Ann Lee", None),
        ("Zoë 🎉\u200b\ufeff\ufffe", None),
        ("a\x00b", "holds a NUL character at position 2"),
        ("é\x00", "holds a NUL character at position 2"),
        ("ab\ud800", "holds half of a surrogate pair at position 3"),
        ("\udc00ab", "holds half of a surrogate pair at position 1"),
    ],
)
def test_text_fault(text: str, fault: str | None) -> None:
    """NUL and half surrogates are named with their place; everything else is text."""
    assert text_fault(text) == fault


@given(st.text())
def test_storable_can_always_be_kept(name: str) -> None:
    """A name in the form to be shown has no fault, and one without faults is not changed."""
    assert text_fault(storable(name)) is None
    if text_fault(name) is None:
        assert storable(name) == name


def test_check_texts_parts_sound_from_damaged() -> None:
    """Faults told by the source stay; one bad value of several damages the attribute; bytes are never text."""
    attributes: dict[str, tuple[Value, ...]] = {
        "good": ("a", b"\x00\xff"), "nul": ("a", "b\x00"), "odd": ("a", 7), "told": ("x",),  # type: ignore[dict-item]
    }  # fmt: skip
    sound, faults = check_texts(attributes, {"told": "is not UTF-8"})
    assert sound == {"good": ("a", b"\x00\xff")}
    assert faults == {
        "told": "is not UTF-8",
        "nul": "holds a NUL character at position 2",
        "odd": "is of type int, neither text nor bytes",
    }


def test_first_value() -> None:
    """Or nothing."""
    entry = Entry("a", "user", "Ann", attributes={"title": ("Clerk", "Boss"), "empty": ()})
    assert (entry.first("title"), entry.first("empty"), entry.first("none")) == ("Clerk", None, None)


def test_selection_lists_its_types() -> None:
    """In the schema's order."""
    assert Selection({"user": ("cn",), "group": ()}).object_types == ("user", "group")
