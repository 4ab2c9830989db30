"""Verification finds every kind of difference, and none where there is none."""

import base64
import copy
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from dirbridge.cli.demo import verify
from dirbridge.cli.demo.reader import Found
from dirbridge.cli.demo.verify import Domains, Picture

NOW = datetime(2025, 6, 1, tzinfo=UTC)
DOMAINS = Domains("contoso.test", frozenset({"contoso.test", "contoso.onmicrosoft.test"}), "contoso.onmicrosoft.test")


def sid(number: int) -> bytes:
    return bytes([1, 5, 0, 0, 0, 0, 0, 5]) + b"".join(part.to_bytes(4, "little") for part in (21, 1, 2, 3, number))


def entry(number: int, name: str, kind: str = "user", **attributes: str | tuple[str, ...] | bytes) -> Found:
    values: dict[str, tuple[bytes, ...]] = {
        "objectclass": (b"top", kind.encode()),
        "objectguid": (uuid.UUID(int=number).bytes_le,),
        "cn": (name.encode(),),
    }
    if kind != "contact":
        values |= {"objectsid": (sid(number),), "samaccountname": (name.encode(),)}
    if kind == "user":
        values["useraccountcontrol"] = (b"512",)
    for attribute, value in attributes.items():
        several = value if isinstance(value, tuple) else (value,)
        values[attribute.lower()] = tuple(item if isinstance(item, bytes) else item.encode() for item in several)
    return Found(f"CN={name},DC=contoso,DC=test", values)


def anchor(number: int) -> str:
    return base64.b64encode(uuid.UUID(int=number).bytes_le).decode()


ENTRIES = [
    entry(1, "ada", displayName="Ada", userPrincipalName="ada@Contoso.test", mail=" ada@contoso.test ",
          proxyAddresses=("SMTP:ada@contoso.test", "smtp:a@contoso.test"), givenName="Ada", sn="L", department=" R&D "),
    entry(2, "bob", manager="CN=ada,DC=contoso,DC=test", userAccountControl="514"),
    entry(3, "cyd", manager="CN=MSOL_1,DC=contoso,DC=test", accountExpires="133000000000000000"),
    entry(4, "dan", userPrincipalName="d@elsewhere.test", accountExpires="9223372036854775807"),
    entry(5, "MSOL_1"),
    entry(6, "team", "group", groupType="-2147483646",
          member=("CN=ada,DC=contoso,DC=test", "CN=MSOL_1,DC=contoso,DC=test", "CN=news,DC=contoso,DC=test",
                  "CN=pat,DC=contoso,DC=test", "CN=mute,DC=contoso,DC=test")),
    entry(7, "news", "group", groupType="8", mail="news@contoso.test", proxyAddresses="SMTP:news@contoso.test"),
    entry(8, "pat", "contact", mail=" Pat@Partner.test", telephoneNumber=" 1 ", l="Leeds",
          manager="CN=ada,DC=contoso,DC=test"),
    entry(9, "quin", "contact", proxyAddresses=("x400:quin", "SMTP:quin@partner.test"),
          manager="CN=mute,DC=contoso,DC=test"),
    entry(10, "mute", "contact"),
]  # fmt: skip


@pytest.fixture
def wanted() -> Picture:
    return verify.expected(ENTRIES, DOMAINS, NOW)


def test_expected_users(wanted):
    """Names, addresses, domains, disabled and expired accounts follow the default mapping."""
    assert set(wanted.users) == {anchor(number) for number in (1, 2, 3, 4)}
    assert wanted.users[anchor(1)] == {
        "displayName": "Ada",
        "givenName": "Ada",
        "surname": "L",
        "userPrincipalName": "ada@Contoso.test",
        "mail": "ada@contoso.test",
        "proxyAddresses": ["SMTP:ada@contoso.test", "smtp:a@contoso.test"],
        "department": "R&D",
        "jobTitle": None,
        "companyName": None,
        "businessPhones": [],
        "city": None,
        "accountEnabled": True,
        "onPremisesSyncEnabled": True,
        "onPremisesImmutableId": anchor(1),
        "onPremisesSamAccountName": "ada",
        "onPremisesDistinguishedName": "CN=ada,DC=contoso,DC=test",
        "onPremisesSecurityIdentifier": "S-1-5-21-1-2-3-1",
        "onPremisesDomainName": "contoso.test",
    }
    assert [wanted.users[anchor(number)]["accountEnabled"] for number in (2, 3, 4)] == [False, False, True]
    assert [wanted.users[anchor(number)]["userPrincipalName"] for number in (2, 4)] == [
        "bob@contoso.test",
        "d@contoso.onmicrosoft.test",
    ]


def test_expected_contacts(wanted):
    """Known by their address, wherever it stands; who has none stays behind."""
    assert set(wanted.contacts) == {"pat@partner.test", "quin@partner.test"}
    assert wanted.contacts["pat@partner.test"] == {
        "displayName": "pat",
        "givenName": None,
        "surname": None,
        "mail": "Pat@Partner.test",
        "mailNickname": "pat",
        "proxyAddresses": [],
        "companyName": None,
        "jobTitle": None,
        "department": None,
        "phones": [{"number": "1", "type": "business"}],
        "addresses": [
            {
                "city": "Leeds",
                "countryOrRegion": None,
                "officeLocation": None,
                "postalCode": None,
                "state": None,
                "street": None,
            }
        ],
        "onPremisesSyncEnabled": True,
    }
    assert wanted.held_back[anchor(10)] == "it has no mail address"
    assert wanted.objects == 8


def test_expected_references(wanted):
    """Only who is there can be a member or a manager; groups and contacts can be members."""
    assert wanted.members == {
        "S-1-5-21-1-2-3-6": frozenset({anchor(1), "S-1-5-21-1-2-3-7", "pat@partner.test"}),
        "S-1-5-21-1-2-3-7": frozenset(),
    }
    assert wanted.managers == {anchor(2): anchor(1), "pat@partner.test": anchor(1)}
    assert [group["securityEnabled"] for group in wanted.groups.values()] == [True, False]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (entry(9, "krbtgt", isCriticalSystemObject="TRUE"), "critical"),
        (entry(9, "x", adminDescription="User_1"), "User_"),
        (entry(9, "x", "group", adminDescription="Group_1"), "Group_"),
        (entry(9, "AAD_1"), "AAD_"),
        (entry(9, "MSOL_1"), "MSOL_"),
        (entry(9, "CAS_{1"), "mail server"),
        (entry(9, "SUPPORT_388945a0"), "support"),
        (entry(9, "pc$", objectClass=("top", "user", "computer")), "computer"),
        (entry(9, "x", "contact"), "no mail address"),
        (entry(9, "x", "contact", mail="nobody", proxyAddresses="sip:x@y"), "no mail address"),
        (entry(9, "x", "contact", mail="a@b", mailNickname="CAS_{1}"), "mail server"),
        (replace(entry(9, "x"), dn="CN=x\\0ACNF:1,DC=contoso,DC=test"), "replication"),
    ],
)
def test_held_back(found, reason):
    """Each of the default exclusions is known."""
    assert reason in (verify.held_back(found) or "")


@pytest.mark.parametrize(
    "found",
    [
        entry(9, "x", adminDescription="Group_1"),
        entry(9, "x", "group", adminDescription="User_1"),
        entry(9, "MSOL_1", "group"),
        entry(9, "SUPPORT_388945a00"),
        entry(9, "x", isCriticalSystemObject="FALSE"),
        entry(9, "x", "contact", mail="a@b", adminDescription="User_1"),
    ],
)
def test_held_back_lets_similar_ones_through(found):
    """What only looks like an exclusion is none."""
    assert verify.held_back(found) is None


def test_compare_finds_nothing_where_all_is_well(wanted):
    """The order of addresses and the escapes of a DN make no difference."""
    held = copy.deepcopy(wanted)
    held.users[anchor(1)]["proxyAddresses"].reverse()
    held.users[anchor(1)]["onPremisesDistinguishedName"] = "cn=\\61da,dc=contoso,DC=test"
    assert verify.compare(wanted, held) == []


def _drop_user(held: Picture) -> None:
    del held.users[anchor(2)]
    del held.managers[anchor(2)]


def _leak(held: Picture) -> None:
    held.users[anchor(5)] = {"displayName": "MSOL_1", "onPremisesSamAccountName": "MSOL_1"}


def _stranger(held: Picture) -> None:
    held.groups["S-1-5-9"] = {"displayName": "ghost", "onPremisesSamAccountName": "ghost"}


PLANTED: list[tuple[Callable[[Picture], Any], str]] = [
    (_drop_user, "User 'bob' (bob) is missing in the tenant."),
    (_leak, "User 'MSOL_1' (MSOL_1) is in the tenant, although its sAMAccountName begins with MSOL_."),
    (_stranger, "Group 'ghost' (ghost) is in the tenant, but not in AD."),
    (
        lambda held: held.users[anchor(1)].update(mail=None),
        "User 'Ada' (ada): mail is None, by AD it has to be 'ada@contoso.test'.",
    ),
    (
        lambda held: held.users[anchor(2)].update(accountEnabled=True),
        "User 'bob' (bob): accountEnabled is True, by AD it has to be False.",
    ),
    (
        lambda held: held.users[anchor(1)]["proxyAddresses"].pop(),
        (
            "User 'Ada' (ada): proxyAddresses is ['SMTP:ada@contoso.test'], "
            "by AD it has to be ['SMTP:ada@contoso.test', 'smtp:a@contoso.test']."
        ),
    ),
    (
        lambda held: held.users[anchor(1)].update(onPremisesDistinguishedName="CN=ada,OU=x,DC=contoso,DC=test"),
        (
            "User 'Ada' (ada): onPremisesDistinguishedName is 'CN=ada,OU=x,DC=contoso,DC=test', "
            "by AD it has to be 'CN=ada,DC=contoso,DC=test'."
        ),
    ),
    (
        lambda held: held.groups["S-1-5-21-1-2-3-7"].update(securityEnabled=True),
        "Group 'news' (news): securityEnabled is True, by AD it has to be False.",
    ),
    (
        lambda held: held.members.update({"S-1-5-21-1-2-3-6": frozenset({anchor(1), "pat@partner.test"})}),
        "Group 'team' (team) lacks the member group 'news' (news).",
    ),
    (
        lambda held: held.members.update({"S-1-5-21-1-2-3-7": frozenset({anchor(4)})}),
        "Group 'news' (news) has the member user 'dan' (dan), whom AD does not name.",
    ),
    (
        lambda held: held.contacts.pop("quin@partner.test"),
        "Contact 'quin' (None) is missing in the tenant.",
    ),
    (
        lambda held: held.contacts["pat@partner.test"].update(phones=[]),
        ("Contact 'pat' (Pat@Partner.test): phones is [], by AD it has to be [{'number': '1', 'type': 'business'}]."),
    ),
    (
        lambda held: held.managers.pop("pat@partner.test"),
        "Contact 'pat' (Pat@Partner.test): the manager in the tenant is nobody, in AD user 'Ada' (ada).",
    ),
    (
        lambda held: held.managers.pop(anchor(2)),
        "User 'bob' (bob): the manager in the tenant is nobody, in AD user 'Ada' (ada).",
    ),
    (
        lambda held: held.managers.update({anchor(4): anchor(1)}),
        "User 'dan' (dan): the manager in the tenant is user 'Ada' (ada), in AD nobody.",
    ),
]


@pytest.mark.parametrize(("plant", "sentence"), PLANTED)
def test_compare_finds_a_planted_difference(wanted, plant, sentence):
    """A difference of each kind is found, alone, in words."""
    held = copy.deepcopy(wanted)
    plant(held)
    assert verify.compare(wanted, held) == [sentence]


def _tenant(answers: dict[str, dict[str, Any]]) -> verify.Get:
    async def get(path: str) -> dict[str, Any]:
        return answers[path.partition("?")[0] if "skiptoken" not in path else path]

    return get


async def test_actual_follows_pages_and_keys_references():
    """All pages are read; members and managers are named by what the directory knows of them."""
    answers: dict[str, dict[str, Any]] = {
        "/users": {
            "value": [{"id": "u1", "onPremisesImmutableId": "A", "displayName": "Ada"}],
            "@odata.nextLink": "https://host/v1.0/users?$skiptoken=2",
        },
        "https://host/v1.0/users?$skiptoken=2": {"value": [{"id": "u2", "onPremisesImmutableId": "B"}]},
        "/groups": {"value": [{"id": "g1", "onPremisesSecurityIdentifier": "S-1"}]},
        "/groups/g1/members": {"value": [{"id": "u2"}, {"id": "g1"}, {"id": "c1"}]},
        "/contacts": {"value": [{"id": "c1", "mail": None, "proxyAddresses": ["smtp:Pat@partner.test"]}]},
        "/contacts/c1/manager": {"id": "u1"},
        "/users/u1/manager": {"id": "u2"},
        "/users/u2/manager": {},
    }
    held = await verify.actual(_tenant(answers))
    assert (set(held.users), held.members, held.managers) == (
        {"A", "B"},
        {"S-1": frozenset({"B", "S-1", "pat@partner.test"})},
        {"A": "B", "pat@partner.test": "A"},
    )
    assert held.faults == ()


async def test_actual_finds_doubles():
    """Two objects for one entry, and one member twice, are faults of their own."""
    answers: dict[str, dict[str, Any]] = {
        "/users": {"value": [{"id": "u1", "onPremisesImmutableId": "A"}, {"id": "u2", "onPremisesImmutableId": "A"}]},
        "/groups": {"value": [{"id": "g1", "onPremisesSecurityIdentifier": "S-1", "displayName": "team"}]},
        "/groups/g1/members": {"value": [{"id": "u1"}, {"id": "u1"}]},
        "/contacts": {"value": [{"id": "c1", "mail": "a@b"}, {"id": "c2", "mail": "A@B"}]},
        "/contacts/c1/manager": {},
        "/contacts/c2/manager": {},
        "/users/u1/manager": {},
        "/users/u2/manager": {},
    }
    held = await verify.actual(_tenant(answers))
    assert [fault.partition(":")[0] for fault in held.faults] == [
        "The tenant has two users for onPremisesImmutableId A",
        "The tenant has two contacts for address a@b",
        "The members of the group 'team' contain somebody twice.",
    ]
