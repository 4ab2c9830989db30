"""What the demo says of a tenant that an LDAP directory was brought to."""

from __future__ import annotations

from typing import Any

import pytest

from dirbridge.cli.demo import ldap_company, ldap_verify
from dirbridge.cli.demo.ldap_verify import LdapPicture
from dirbridge.cli.demo.reader import parse


def test_the_company_is_whole() -> None:
    """All take part whom nothing holds back; who is referred to is there; both ways of listing members occur."""
    made = ldap_company.make("dc=contoso,dc=test", "contoso.test", 80)
    entries = list(parse(made.ldif))
    names = {entry.dn for entry in entries}
    uids = {entry.text("uid") for entry in entries}
    assert (made.users, made.containers + made.users + made.groups) == (80, len(entries))
    assert {dn for entry in entries for name in ("manager", "member") for dn in entry.texts(name)} <= names
    assert {uid for entry in entries for uid in entry.texts("memberUid")} <= uids
    groups = [entry for entry in entries if entry.text("cn") is None and entry.texts("member")]
    assert groups
    assert [entry for entry in entries if entry.texts("memberUid")]


@pytest.fixture
def wanted() -> LdapPicture:
    entries = parse(
        "dn: uid=ann,dc=x\nobjectClass: inetOrgPerson\nuid: ann\ncn: Ann\nsn: A\nentryUUID: 1\n\n"
        "dn: uid=bob,dc=x\nobjectClass: inetOrgPerson\nuid: bob\ncn: Bob\nsn: B\n"
        "manager: uid=ann,dc=x\nentryUUID: 2\n\n"
        "dn: cn=p,dc=x\nobjectClass: posixGroup\ncn: p\nmemberUid: bob\nmemberUid: nobody\nentryUUID: 3\n\n"
        "dn: cn=n,dc=x\nobjectClass: groupOfNames\ncn: n\nmember: uid=ann,dc=x\nmember: cn=p,dc=x\nentryUUID: 4\n"
    )
    return ldap_verify.expected(list(entries), "x.test")


def test_what_a_tenant_has_to_hold(wanted: LdapPicture) -> None:
    """People by entryUUID, members by name and by uid, groups within groups."""
    assert {key: (one["userPrincipalName"], one["displayName"]) for key, one in wanted.users.items()} == {
        "1": ("ann@x.test", "Ann"),
        "2": ("bob@x.test", "Bob"),
    }
    assert wanted.managers == {"2": "1"}
    assert wanted.members == {"p": frozenset({"2"}), "n": frozenset({"1", "p"})}
    assert (wanted.objects, wanted.memberships) == (4, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held: held.users.pop("1"), "The user '1' is missing in the tenant."),
        (lambda held: held.users.update({"9": {}}), "The user '9' is in the tenant and not in the directory."),
        (lambda held: held.managers.update({"2": "9"}), "The manager of '2' is '9' and should be '1'."),
        (lambda held: held.members.pop("p"), "The group 'p' is missing in the tenant."),
    ],
)
def test_every_difference_is_a_sentence(wanted: LdapPicture, change: Any, said: str) -> None:
    """And where all is well there is none."""
    held = LdapPicture(dict(wanted.users), dict(wanted.managers), dict(wanted.members))
    assert ldap_verify.compare(wanted, held) == []
    change(held)
    assert ldap_verify.compare(wanted, held) == [said]
