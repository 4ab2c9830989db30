"""Says whether the tenant holds exactly what an LDAP directory says, with no help from what synchronized it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dirbridge.cli.demo.reader import Found, Reader
from dirbridge.cli.demo.verify import Get, items, parts

QUERY = "(|(objectClass=inetOrgPerson)(objectClass=groupOfNames)(objectClass=posixGroup))"
ATTRIBUTES = ("*", "entryUUID")
_FIELDS = {
    "displayName": "displayName",
    "givenName": "givenName",
    "surname": "sn",
    "mail": "mail",
    "department": "departmentNumber",
    "jobTitle": "title",
    "city": "l",
    "companyName": "o",
}
_SELECT = ",".join(("id", "onPremisesImmutableId", "userPrincipalName", "onPremisesDistinguishedName", *_FIELDS))


@dataclass(slots=True)
class LdapPicture:
    """What a tenant holds, or has to hold.

    Attributes:
        users: values by entryUUID. managers: entryUUIDs by those of whom they manage.
        members: by the name of a group, entryUUIDs of people and names of groups.
    """

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    managers: dict[str, str] = field(default_factory=dict)
    members: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def objects(self) -> int:
        return len(self.users) + len(self.members)

    @property
    def memberships(self) -> int:
        return sum(map(len, self.members.values()))


async def differences(reader: Reader, get: Get, domain: str) -> tuple[LdapPicture, list[str]]:
    """Compare the directory with the tenant; every difference is a sentence."""
    entries, held = await asyncio.gather(reader.search(QUERY, ATTRIBUTES), actual(get))
    wanted = expected(entries, domain)
    return wanted, compare(wanted, held)


def compare(wanted: LdapPicture, held: LdapPicture) -> list[str]:
    """Say what a tenant holds otherwise, each a sentence."""
    return [
        *_differing("user", wanted.users, held.users),
        *_differing("manager of", wanted.managers, held.managers),
        *_differing("group", wanted.members, held.members),
    ]


def expected(entries: Sequence[Found], domain: str) -> LdapPicture:
    """Say what the tenant has to hold when the directory holds these entries."""
    picture = LdapPicture()
    people = [entry for entry in entries if "inetOrgPerson" in entry.texts("objectClass")]
    groups = [entry for entry in entries if entry not in people]
    by_name = {parts(entry.dn): str(entry.text("entryUUID")) for entry in people}
    by_name |= {parts(entry.dn): str(entry.text("cn")) for entry in groups}
    by_uid = {entry.text("uid"): str(entry.text("entryUUID")) for entry in people}
    for entry in people:
        values: dict[str, Any] = {
            name: (entry.text(attribute) or "").strip() or None for name, attribute in _FIELDS.items()
        }
        values["displayName"] = values["displayName"] or entry.text("cn")
        values["userPrincipalName"] = f"{entry.text('uid')}@{domain}".lower()
        values["onPremisesDistinguishedName"] = parts(entry.dn)
        picture.users[str(entry.text("entryUUID"))] = values
        manager = by_name.get(parts(entry.text("manager") or ""))
        if manager is not None:
            picture.managers[str(entry.text("entryUUID"))] = manager
    for entry in groups:
        named = [by_name.get(parts(dn)) for dn in entry.texts("member")]
        named += [by_uid.get(uid) for uid in entry.texts("memberUid")]
        picture.members[str(entry.text("cn"))] = frozenset(member for member in named if member is not None)
    return picture


async def actual(get: Get) -> LdapPicture:
    """Read what the tenant holds."""
    picture = LdapPicture()
    users = await items(get, f"/users?$select={_SELECT}&$expand=manager($select=id)&$top=100")
    synced = {user["id"]: user for user in users if user.get("onPremisesImmutableId")}
    for user in synced.values():
        values = {name: user.get(name) for name in _FIELDS}
        values["userPrincipalName"] = str(user["userPrincipalName"]).lower()
        values["onPremisesDistinguishedName"] = parts(user.get("onPremisesDistinguishedName") or "")
        picture.users[user["onPremisesImmutableId"]] = values
        manager = (user.get("manager") or {}).get("id")
        if manager is not None:
            picture.managers[user["onPremisesImmutableId"]] = synced[manager]["onPremisesImmutableId"]
    groups = {one["id"]: one["displayName"] for one in await items(get, "/groups?$select=id,displayName&$top=100")}
    for id, name in groups.items():
        members = [one["id"] for one in await items(get, f"/groups/{id}/members?$select=id&$top=100")]
        picture.members[name] = frozenset(
            synced[one]["onPremisesImmutableId"] if one in synced else groups[one] for one in members
        )
    return picture


def _differing(what: str, wanted: dict[str, Any], held: dict[str, Any]) -> Iterable[str]:
    for key in sorted(wanted.keys() | held.keys()):
        if key not in held:
            yield f"The {what} '{key}' is missing in the tenant."
        elif key not in wanted:
            yield f"The {what} '{key}' is in the tenant and not in the directory."
        elif wanted[key] != held[key]:
            yield f"The {what} '{key}' is {held[key]!r} and should be {wanted[key]!r}."
