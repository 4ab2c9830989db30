"""The tenant directory's own rules."""

from __future__ import annotations

from typing import Any

import pytest

from dirbridge.tenant import rules

VERIFIED, INITIAL = frozenset({"contoso.test", "contoso.dirbridge.local"}), "contoso.dirbridge.local"


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"mailNickname": "nick", "mail": "m@x", "userPrincipalName": "u@x"}, "nick"),
        ({"proxyAddresses": ["smtp:s@x", "SMTP:p@x"], "mail": "m@x", "userPrincipalName": "u@x"}, "p"),
        ({"proxyAddresses": ["smtp:s@x"], "mail": "m@x", "userPrincipalName": "u@x"}, "m"),
        ({"proxyAddresses": ["smtp:s@x"], "userPrincipalName": "u@x"}, "u"),
        ({"proxyAddresses": ["X500:/o=x", "smtp:s@x"]}, "s"),
        ({"userPrincipalName": "ann lee@x"}, "annlee"),
        ({"userPrincipalName": "żółw@x", "onPremisesSamAccountName": "turtle"}, "w"),
        ({"userPrincipalName": "日本@x", "onPremisesSamAccountName": "taro"}, "taro"),
        ({}, "user"),
    ],
)
def test_nickname(properties: dict[str, Any], name: str) -> None:
    """The first that is present, in the published order, without characters that an address cannot have."""
    assert rules.nickname(properties) == name


@pytest.mark.parametrize("wanted", ["ann@contoso.test", "Ann.Lee-1_x@CONTOSO.test", "o'neil@contoso.dirbridge.local"])
def test_name_in_a_verified_domain_is_shown_as_it_is(wanted: str) -> None:
    """Case of the domain does not matter."""
    assert rules.sign_in_name(wanted, {"mailNickname": "nick"}, VERIFIED, INITIAL) == (wanted, None)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("ann@fabrikam.test", "'fabrikam.test' of 'ann@fabrikam.test' is not verified"),
        ("ann@sub.contoso.test", "not verified"),
        ("ann lee@contoso.test", "cannot be a sign-in name"),
        ("ann\u00a0lee@contoso.test", "cannot be a sign-in name"),
        ("ann\nlee@contoso.test", "cannot be a sign-in name"),
        ("ann@lee@contoso.test", "cannot be a sign-in name"),
        (".ann@contoso.test", "cannot be a sign-in name"),
        ("ann.@contoso.test", "cannot be a sign-in name"),
        ("ann", "cannot be a sign-in name"),
        ("@contoso.test", "cannot be a sign-in name"),
    ],
)
def test_other_names_are_replaced_and_it_is_said(wanted: str, said: str) -> None:
    """By nickname and initial domain."""
    shown, note = rules.sign_in_name(wanted, {"mailNickname": "nick"}, VERIFIED, INITIAL)
    assert shown == "nick@contoso.dirbridge.local"
    assert note is not None
    assert said in note


@pytest.mark.parametrize(
    ("kind", "properties", "claims"),
    [
        ("user", {"userPrincipalName": " Ann@Contoso.test "}, {("userPrincipalName", "ann@contoso.test")}),
        ("group", {"userPrincipalName": "ann@contoso.test"}, set()),
        ("group", {"mail": "Sales@contoso.test"}, {("address", "sales@contoso.test")}),
        (
            "user",
            {"mail": "a@x", "proxyAddresses": ["SMTP:A@x", "smtp:b@x", "X500:/o=x", "sip:a@x", "smtp:"]},
            {("address", "a@x"), ("address", "b@x")},
        ),
        ("user", {}, set()),
    ],
)
def test_claims(kind: str, properties: dict[str, Any], claims: set[tuple[str, str]]) -> None:
    """Sign-in names of users, and mail addresses of any kind, whatever their case."""
    assert rules.claims(kind, properties) == claims


@pytest.mark.parametrize(
    ("addresses", "primary"),
    [(["smtp:a@x", "SMTP:b@x"], "b@x"), (["smtp:a@x"], None), (["SMTP:"], None), ([], None)],
)
def test_primary_address(addresses: list[str], primary: str | None) -> None:
    """The one in capitals."""
    assert rules.primary_smtp(addresses) == primary
