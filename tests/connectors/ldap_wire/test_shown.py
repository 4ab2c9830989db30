"""What a trace shows of a search: enough to repeat it, nothing of people."""

import pytest

from dirbridge.connectors.ldap_wire import shown


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        (r"(&(objectClass=user)(objectGUID=\ab\28\5c))", r"(&(objectClass=user)(objectGUID=\ab\28\5c))"),
        ("(|(userPrincipalName=anna@contoso.test)(cn=Anna*))", "(|(userPrincipalName=…)(cn=…))"),
        (r"(distinguishedName=CN=Anna \28HR\29,DC=contoso)", "(distinguishedName=…)"),
        ("(&(isDeleted=TRUE)(mail=*))", "(&(isDeleted=TRUE)(mail=*))"),
        ("(userAccountControl:1.2.840.113556.1.4.803:=2)", "(userAccountControl:1.2.840.113556.1.4.803:=…)"),
        ("(!(sn>=Schmidt))", "(!(sn>=…))"),
        ("(cn~=Anna)", "(cn~=…)"),
    ],
)
def test_filter_without_values(filter_: str, expected: str) -> None:
    """Types and ids are shown, whatever else is asked for is not."""
    assert shown.asked(filter_) == expected


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("DC=contoso,DC=test", "DC=contoso,DC=test"),
        ("CN=Anna Schmidt,OU=Sales,dc=contoso, dc=test", "…,dc=contoso,dc=test"),
        (r"CN=Schmidt\, Anna,DC=contoso,DC=test", "…,DC=contoso,DC=test"),
        ("<GUID=0b1c>", "<GUID=0b1c>"),
        ("", "the root"),
        ("cn=config", "…"),
    ],
)
def test_place_without_names(base: str, expected: str) -> None:
    """An id, or the domain."""
    assert shown.place(base) == expected
