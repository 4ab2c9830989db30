"""What the target still lacks."""

from __future__ import annotations

import msgspec
import pytest

from dirbridge.contract.export import TargetValue
from dirbridge.engine import diff, scoping
from dirbridge.engine.mapping import Mapped
from dirbridge.engine.plan import Flow, ObjectRule

RULE = ObjectRule(
    name="people",
    source_type="user",
    target_type="User",
    scope=scoping.EVERYTHING,
    simple={},
    always=(),
    references={},
    targets=frozenset({"Title", "City", "ProxyAddresses", "AccountEnabled"}),
    actions=frozenset({"Add", "Update", "Delete"}),
)


@pytest.mark.parametrize(
    ("wanted", "present", "changes"),
    [
        ({}, {}, {}),
        ({"Title": "Clerk"}, {}, {"Title": "Clerk"}),
        ({"Title": "Clerk"}, {"Title": "Clerk"}, {}),
        ({"Title": "clerk"}, {"Title": "Clerk"}, {"Title": "clerk"}),
        ({}, {"Title": "Clerk"}, {"Title": None}),
        ({"AccountEnabled": False}, {}, {"AccountEnabled": False}),
        ({"ProxyAddresses": ("a", "b")}, {"ProxyAddresses": ("b", "a")}, {}),
        ({"ProxyAddresses": ("a",)}, {"ProxyAddresses": ("b", "a")}, {"ProxyAddresses": ("a",)}),
        # What is not mapped is nobody's concern.
        ({}, {"Hobby": "chess"}, {}),
    ],
)
def test_compare(
    wanted: dict[str, TargetValue], present: dict[str, TargetValue], changes: dict[str, TargetValue]
) -> None:
    """Only what changes; nothing where there is nothing to do."""
    assert diff.compare(RULE, Mapped(wanted), present) == changes


ADDED, FOLDED = Flow("ValueAddOnly"), Flow(folded=True)


@pytest.mark.parametrize(
    ("flow", "wanted", "present", "changes"),
    [
        (Flow("AttributeAddOnly"), "new", None, "new"),
        (Flow("AttributeAddOnly"), "new", "old", ...),
        (Flow("AttributeAddOnly"), None, "old", ...),
        (ADDED, "new", "old", "new"),
        (ADDED, None, "old", ...),
        (ADDED, ("a",), ("b",), ("a", "b")),
        (ADDED, ("a",), None, ("a",)),
        (ADDED, ("a",), ("a", "b"), ...),
        (Flow("MultiValueAddOnly"), ("a", "c"), ("b", "c"), ("a", "b", "c")),
        (Flow("MultiValueAddOnly", folded=True), ("A", "c"), ("a",), ("a", "c")),
        (FOLDED, "A", "a", ...),
        (FOLDED, ("A", "B"), ("b", "a"), ...),
        (FOLDED, ("A", "B"), ("b",), ("A", "B")),
        (FOLDED, None, "a", None),
        (FOLDED, True, False, True),
        (Flow(always=True), "a", "a", "a"),
        (Flow(always=True), None, None, ...),
        (Flow(always=True), None, "a", None),
        (Flow("AttributeAddOnly", always=True), "a", "b", ...),
    ],
)
def test_flows(flow: Flow, wanted: TargetValue, present: TargetValue, changes: object) -> None:
    """What an attribute with a flow of its own is to become; `...` where it stays as it is."""
    rule = msgspec.structs.replace(RULE, flows={"Title": flow})
    found = diff.compare(rule, Mapped({"Title": wanted}), {"Title": present})
    assert found == ({} if changes is ... else {"Title": changes})


def test_held_and_created_attributes_are_left_alone() -> None:
    """Neither written nor cleared."""
    mapped = Mapped({"City": "Rome"}, held=frozenset({"Title"}), on_create=frozenset({"City"}))
    assert diff.compare(RULE, mapped, {"Title": "Clerk"}) == {}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        ("Clerk", "Clerk"),
        (True, "True"),
        (7, "7"),
        (("a", "b"), "a; b"),
        (b"\x01\xff", "01ff"),
        (b"\x00" * 65, f"{'00' * 64}… (65 bytes)"),
        ("x" * 1024, "x" * 1024),
        ("x" * 1025, f"{'x' * 1024}… (1025 characters)"),
    ],
)
def test_shown(value: TargetValue, text: str | None) -> None:
    """Values are written for people, and long ones are cut with their length said."""
    assert diff.shown(value) == text


def test_modified_is_sorted_and_has_both_values() -> None:
    """Old and new value of each change."""
    found = diff.modified({"Title": None, "City": "Rome"}, {"Title": "Clerk"})
    assert [(p.name, p.old, p.new) for p in found] == [("City", None, "Rome"), ("Title", "Clerk", None)]
