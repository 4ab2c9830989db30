"""The made-up company as an LDAP directory holds it: inetOrgPersons, groups by name and groups by uid.

The same people and teams as in `company`, without those that are there to be held back and without contacts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dirbridge.cli.demo import company
from dirbridge.cli.demo.company import Company, Record, line

POSIX_EVERY = 4
"""Every so-manieth team lists its members by uid."""

_SAME = ("sn", "givenName", "displayName", "mail", "title", "telephoneNumber", "l")
_OTHERWISE = {"department": "departmentNumber", "company": "o", "sAMAccountName": "uid"}


@dataclass(frozen=True, slots=True)
class LdapCompany:
    """What is to be put into the directory, as LDIF."""

    containers: int
    users: int
    groups: int
    ldif: str


def make(base_dn: str, domain: str, users: int) -> LdapCompany:
    """Make the company.

    Args:
        base_dn: head of the directory. domain: DNS name in which the addresses are.
        users: how many people the company has.
    """
    made = company.make(base_dn, domain, users)
    people = {record.dn: record for record in made.users if _takes_part(record)}
    uids = {dn: str(record.attributes["sAMAccountName"][0]) for dn, record in people.items()}
    groups = list(_groups(made, uids))
    entries = [_entry(record.dn, {"objectClass": ("organizationalUnit",)}) for record in made.containers]
    entries += [_person(record, people) for record in people.values()]
    return LdapCompany(len(made.containers), len(people), len(groups), "\n".join([*entries, *groups]))


def _takes_part(record: Record) -> bool:
    return company.SERVICE_ACCOUNTS not in record.dn and "adminDescription" not in record.attributes


def _person(record: Record, people: Mapping[str, Record]) -> str:
    values: dict[str, tuple[str | bytes, ...]] = {"objectClass": ("inetOrgPerson",)}
    for name, several in record.attributes.items():
        known = name if name in _SAME else _OTHERWISE.get(name)
        if known is not None:
            values[known] = several
    manager = tuple(dn for dn in record.references.get("manager", ()) if dn in people)
    return _entry(record.dn, {**values, "manager": manager})


def _groups(made: Company, uids: Mapping[str, str]) -> Iterator[str]:
    """Teams of which somebody is a member; those within them count where they list by name."""
    names = {record.dn for record in made.groups}
    for number, record in enumerate(made.groups):
        members = record.references.get("member", ())
        people = tuple(uids[dn] for dn in members if dn in uids)
        if number % POSIX_EVERY == 0 and len(people) == len(members) > 0:
            posix = {"objectClass": ("posixGroup",), "gidNumber": (str(5000 + number),), "memberUid": people}
            yield _entry(record.dn, posix)
        elif named := tuple(dn for dn in members if dn in uids or dn in names):
            yield _entry(record.dn, {"objectClass": ("groupOfNames",), "member": named})


def _entry(dn: str, attributes: Mapping[str, tuple[str | bytes, ...]]) -> str:
    lines = [line(name, value) for name, values in attributes.items() for value in values]
    return "\n".join([line("dn", dn), *lines, ""])
