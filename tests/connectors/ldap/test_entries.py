"""Answers of directory servers, read."""

from __future__ import annotations

import pytest

from dirbridge.connectors.ldap import entries, live_schema

ANN = "00112233-4455-6677-8899-aabbccddeeff"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, False),
        ({"nsAccountLock": [b"TRUE"]}, True),
        ({"nsaccountlock": [b"false"]}, False),
        ({"pwdAccountLockedTime": [b"000001010000Z"]}, True),
        ({"pwdAccountLockedTime": [b"20260101120000Z"]}, False),
        ({"description": [b"true"]}, False),
    ],
)
def test_account_is_locked_for_good(values: dict[str, list[bytes]], expected: bool) -> None:
    """By an administrator, and not by wrong passwords for a while."""
    assert entries.is_locked(values) is expected


def test_anchors_of_both_kinds() -> None:
    """389-DS groups the digits otherwise; in a filter each has its own form."""
    assert entries.anchor_of(ANN.encode()) == ANN
    assert entries.anchor_of(b"00112233-44556677-8899aabb-ccddeeff") == ANN
    assert entries.identifier(ANN, "entryUUID") == ANN
    assert entries.identifier(ANN, "nsUniqueId") == "00112233-44556677-8899aabb-ccddeeff"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("uid=Ann,ou=People,dc=x", "UID=ann, OU=people ,DC=X"),
        (r"cn=a\2Cb,dc=x", r"cn=a\,b,dc=x"),
        (r"cn=J\C3\BCrgen,dc=x", "cn=Jürgen,dc=x"),
    ],
)
def test_equal_names_are_equal(one: str, other: str) -> None:
    """Whatever their spelling."""
    assert entries.folded(one) == entries.folded(other)


def test_different_names_are_different() -> None:
    """A comma in a value does not part it."""
    assert entries.folded(r"cn=a\,dc=b,dc=x") != entries.folded("cn=a,dc=b,dc=x")
    assert entries.above(r"cn=a\,b,ou=c,dc=x") == "ou=c,dc=x"
    assert entries.leaf(r"cn=a\,b,ou=c,dc=x") == "a,b"
    assert entries.above("dc=x") == ""


def test_members_by_name_and_by_uid() -> None:
    """The bits behind a unique member are no part of its name; an empty name is nobody."""
    found = entries.member_names({"member": [b"cn=a", b""], "uniqueMember": [b"cn=b#'0101'B"], "memberUid": [b"c"]})
    assert found == (["cn=a", "cn=b"], ["c"])


def test_published_definitions_are_taken_apart() -> None:
    """Words, lists and flags; as OpenLDAP writes them."""
    found = live_schema.describe(
        "( 2.5.6.9 NAME ( 'groupOfNames' 'g' ) DESC 'a (group)' SUP top STRUCTURAL MUST ( member $ cn ) MAY o )"
    )
    assert found["NAME"] == ("groupOfNames", "g")
    assert (found["SUP"], found["MUST"], found["MAY"]) == (("top",), ("member", "cn"), ("o",))
    assert "STRUCTURAL" in found
    assert found["OID"] == ("2.5.6.9",)
