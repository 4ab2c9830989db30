"""The made-up company is the same every time, is sound LDIF, and has the oddities it promises."""

from datetime import UTC, datetime

import pytest

from dirbridge.cli.demo import company
from dirbridge.cli.demo.reader import parse

BASE = "DC=contoso,DC=test"


@pytest.fixture(scope="module")
def contoso() -> company.Company:
    return company.make(BASE, "contoso.test")


def test_make_twice_gives_the_same(contoso):
    """Nothing in the company is left to chance."""
    again = company.make(BASE, "contoso.test")
    assert (again.entries(), again.references()) == (contoso.entries(), contoso.references())


@pytest.mark.parametrize("users", [company.MINIMUM_USERS, company.USERS, 2000])
def test_make_counts(users):
    """As many people as asked for are to be synchronized, and the groups stay forty, the contacts six."""
    made = company.make(BASE, "contoso.test", users)
    staying = [
        record
        for record in made.users
        if "adminDescription" in record.attributes
        or str(record.attributes["sAMAccountName"][0]).startswith(("MSOL_", "AAD_", "CAS_", "SUPPORT_"))
    ]
    assert len(made.users) - len(staying) == users
    assert len([group for group in made.groups if "adminDescription" not in group.attributes]) == company.GROUPS
    assert len([contact for contact in made.contacts if "proxyAddresses" in contact.attributes]) == company.CONTACTS
    assert len(made.contacts) == company.CONTACTS + 1
    accounts = [str(record.attributes["sAMAccountName"][0]).lower() for record in (*made.users, *made.groups)]
    assert len(set(accounts)) == len(accounts)
    names = [value for user in made.users for value in user.attributes.get("userPrincipalName", ())]
    assert len({str(name).lower() for name in names}) == len(names)
    addresses = [
        str(value).lower()
        for record in (*made.users, *made.groups, *made.contacts)
        for value in record.attributes.get("proxyAddresses", ())
    ]
    assert len(set(addresses)) == len(addresses)


def test_entries_are_sound_ldif(contoso):
    """What is written is what is read: every DN and value comes back."""
    read = list(parse(contoso.entries()))
    assert [entry.dn for entry in read] == [record.dn for record in contoso.records]
    for entry, record in zip(read, contoso.records, strict=True):
        for name, values in record.attributes.items():
            written = tuple(value if isinstance(value, bytes) else value.encode() for value in values)
            assert entry.values(name) == written


def test_references_name_entries_of_the_company(contoso):
    """Every manager and member exists, some come later in the alphabet, and the promised groups are there."""
    dns = {record.dn for record in contoso.records}
    managers = {
        record.dn: record.references["manager"][0] for record in contoso.users if "manager" in record.references
    }
    members = {
        str(group.attributes["sAMAccountName"][0]): group.references.get("member", ()) for group in contoso.groups
    }
    assert set(managers.values()) <= dns
    partners = {record.dn for record in contoso.contacts}
    assert partners & set(managers.values()), "a contact manages somebody"
    assert {record.references["manager"][0] for record in contoso.contacts if record.references} & set(managers)
    assert partners <= set(members["Newsletter"])
    assert {dn for group in members.values() for dn in group} <= dns
    assert any(manager > dn for dn, manager in managers.items())
    assert len(members["All Employees"]) == company.LARGE_GROUP
    assert members["Empty for Now"] == ()
    assert contoso.dn("Sales and Partners") in members["Everybody"]
    assert contoso.dn("Circle One") in members["Circle Two"]
    assert contoso.dn("Circle Two") in members["Circle One"]


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("Müller, Jürgen", "Müller\\, Jürgen"),
        ("Smith + Sons", "Smith \\+ Sons"),
        ("#1 Helpdesk", "\\#1 Helpdesk"),
        (" both ", "\\ both\\ "),
        ('a"b\\c<d>e;f=g', 'a\\"b\\\\c\\<d\\>e\\;f\\=g'),
    ],
)
def test_escape(value, escaped):
    """The characters of RFC 4514 section 2.4 are escaped, and no others."""
    assert company.escape(value) == escaped


@pytest.mark.parametrize("value", [" leading", "trailing ", ":colon", "<less", "Ångström", "two\nlines", "🎻"])
def test_line_hides_what_ldif_cannot_say_plainly(value):
    """Values that are no SAFE-STRING are written in base64."""
    assert company.line("cn", value).startswith("cn:: ")
    (entry,) = parse(f"dn: CN=x\n{company.line('cn', value)}\n")
    assert entry.text("cn") == value


def test_filetime():
    """The epoch of Unix, in intervals since 1601."""
    assert company.filetime(datetime(1970, 1, 1, tzinfo=UTC)) == 116444736000000000
