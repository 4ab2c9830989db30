"""Says whether the tenant holds exactly what the directory says, with no help from what synchronized it.

The rules are written out once more, plainly: what stays behind, what a user, a group and a contact must look like, who
belongs where. Both sides become a `Picture`, keyed by what both know of an entry, and every difference becomes a
sentence.
"""

from __future__ import annotations

import asyncio
import base64
import re
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from dirbridge.cli.demo.reader import Found, Reader

NEVER = 0x7FFFFFFFFFFFFFFF
DISABLED = 0x2
SECURITY_GROUP = 0x80000000
AT_ONCE = 8
"""Requests to the API side by side."""

QUERY = "(|(objectClass=user)(objectClass=group)(objectClass=contact))"
ATTRIBUTES = (
    "objectClass", "objectGUID", "mS-DS-ConsistencyGuid", "objectSid", "sAMAccountName", "userPrincipalName", "cn",
    "displayName", "givenName", "sn", "mail", "mailNickname", "proxyAddresses", "department", "title", "company",
    "telephoneNumber", "l",
    "description", "userAccountControl", "accountExpires", "groupType", "adminDescription", "isCriticalSystemObject",
    "manager", "member",
)  # fmt: skip

USER_FIELDS = (
    "displayName", "givenName", "surname", "userPrincipalName", "mail", "proxyAddresses", "department", "jobTitle",
    "companyName", "businessPhones", "city",
    "accountEnabled", "onPremisesSyncEnabled", "onPremisesImmutableId", "onPremisesSamAccountName",
    "onPremisesDistinguishedName", "onPremisesSecurityIdentifier", "onPremisesDomainName",
)  # fmt: skip
GROUP_FIELDS = (
    "displayName", "description", "mail", "proxyAddresses", "securityEnabled", "onPremisesSyncEnabled",
    "onPremisesSamAccountName", "onPremisesSecurityIdentifier",
)  # fmt: skip

CONTACT_FIELDS = (
    "displayName", "givenName", "surname", "mail", "mailNickname", "proxyAddresses", "companyName", "jobTitle",
    "department", "phones", "addresses", "onPremisesSyncEnabled",
)  # fmt: skip

Get = Callable[[str], Awaitable[dict[str, Any]]]
"""Reads a path of the API below the version, or a whole next link."""

_HELD_BACK_USERS = (
    ("adminDescription", r"User_", "its adminDescription begins with User_"),
    ("sAMAccountName", r"SUPPORT_388945a0$", "it is the support account"),
    ("sAMAccountName", r"AAD_", "its sAMAccountName begins with AAD_"),
    ("sAMAccountName", r"MSOL_", "its sAMAccountName begins with MSOL_"),
    ("sAMAccountName", r"CAS_[^{]*\{", "its sAMAccountName is that of a mail server"),
    ("mailNickname", r"(SystemMailbox|CAS_[^{]*)\{", "its mailNickname is that of a mail server"),
)
_HELD_BACK_GROUPS = (
    ("adminDescription", r"Group_", "its adminDescription begins with Group_"),
    ("sAMAccountName", r"MSOL_AD_Sync_RichCoexistence$", "it belongs to another synchronization"),
)
_HELD_BACK_CONTACTS = (("mailNickname", r"CAS_.*\}", "its mailNickname is that of a mail server"),)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a tenant holds, or has to hold.

    Attributes:
        users: values by Graph's property names, by immutable id. groups: the same, by security identifier.
        contacts: the same, by address: nothing else of a contact is known on both sides.
        members: keys of members by group. managers: key of the manager by user or contact.
        held_back: why an entry has to stay where it is, by key.
        faults: what is wrong with the picture itself, each a sentence.
    """

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    contacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: dict[str, frozenset[str]] = field(default_factory=dict)
    managers: dict[str, str] = field(default_factory=dict)
    held_back: dict[str, str] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    @property
    def objects(self) -> int:
        return len(self.users) + len(self.groups) + len(self.contacts)

    @property
    def memberships(self) -> int:
        return sum(map(len, self.members.values()))


@dataclass(frozen=True, slots=True)
class Domains:
    """The domains of the tenant.

    Attributes:
        source: DNS name of the directory's domain.
        verified: those whose names are taken as they are. initial: whose name the others get.
    """

    source: str
    verified: frozenset[str]
    initial: str


async def differences(reader: Reader, get: Get, domains: Domains) -> tuple[Picture, list[str]]:
    """Compare the directory with the tenant.

    Returns:
        What the tenant has to hold, and what it does otherwise, each a sentence; none where all is well.
    """
    entries, held = await asyncio.gather(reader.search(QUERY, ATTRIBUTES), actual(get))
    wanted = expected(entries, domains, datetime.now(UTC))
    return wanted, compare(wanted, held)


def expected(entries: Sequence[Found], domains: Domains, now: datetime) -> Picture:
    """Say what the tenant has to hold when the directory holds these entries."""
    picture = Picture()
    by_name: dict[tuple[str, ...], str] = {}
    for entry in entries:
        key = _key(entry)
        why = held_back(entry)
        if why is not None:
            picture.held_back[key] = why
            continue
        by_name[parts(entry.dn)] = key
        if _is(entry, "group"):
            picture.groups[key] = _group(entry)
        elif _is(entry, "contact"):
            picture.contacts[key] = _contact(entry)
        else:
            picture.users[key] = _user(entry, domains, now)
    for entry in entries:
        key = _key(entry)
        if key in picture.groups:
            named = (by_name.get(parts(dn)) for dn in entry.texts("member"))
            picture.members[key] = frozenset(member for member in named if member is not None)
        elif key in picture.users or key in picture.contacts:
            manager = by_name.get(parts(entry.text("manager") or ""))
            if manager is not None:
                picture.managers[key] = manager
    return picture


async def actual(get: Get) -> Picture:
    """Read what the tenant holds, through its API."""
    faults: list[str] = []
    # The tenant has a user of its own, as which jobs write it.
    synchronized = "$filter=onPremisesSyncEnabled%20eq%20true"
    users = await items(get, f"/users?{synchronized}&$select=id,{','.join(USER_FIELDS)}&$top=100")
    groups = await items(get, f"/groups?$select=id,{','.join(GROUP_FIELDS)}&$top=100")
    contacts = await items(get, f"/contacts?$select=id,{','.join(CONTACT_FIELDS)}&$top=100")
    keys: dict[str, str] = {}
    picture = Picture()
    for kind, found, name, into in (
        ("user", users, "onPremisesImmutableId", picture.users),
        ("group", groups, "onPremisesSecurityIdentifier", picture.groups),
        ("contact", contacts, "address", picture.contacts),
    ):
        for item in found:
            named = _address(item.get("mail"), item.get("proxyAddresses")) if kind == "contact" else item.get(name)
            key = named or f"without {name}: {item['id']}"
            if key in into:
                faults.append(
                    f"The tenant has two {kind}s for {name} {key}: {item.get('displayName')!r} is the second."
                )
            keys[item["id"]] = key
            into[key] = item
    gate = asyncio.Semaphore(AT_ONCE)

    async def members(item: dict[str, Any]) -> None:
        async with gate:
            found = await items(get, f"/groups/{quote(item['id'])}/members?$select=id&$top=100")
        named = [member["id"] for member in found]
        if len(set(named)) != len(named):
            faults.append(f"The members of the group {item.get('displayName')!r} contain somebody twice.")
        picture.members[keys[item["id"]]] = frozenset(keys.get(member, member) for member in named)

    async def manager(kind: str, item: dict[str, Any]) -> None:
        async with gate:
            found = await get(f"/{kind}/{quote(item['id'])}/manager?$select=id")
        if found:
            manager_id = str(found["id"])
            picture.managers[keys[item["id"]]] = keys.get(manager_id, manager_id)

    of_users, of_contacts = (manager("users", user) for user in users), (manager("contacts", one) for one in contacts)
    await asyncio.gather(*map(members, groups), *of_users, *of_contacts)
    return replace(picture, faults=tuple(faults))


async def items(get: Get, path: str) -> list[dict[str, Any]]:
    """Read all pages of a collection."""
    found: list[dict[str, Any]] = []
    following: str | None = path
    while following:
        page = await get(following)
        found += page["value"]
        following = page.get("@odata.nextLink")
    return found


def compare(wanted: Picture, held: Picture) -> list[str]:
    """Say in plain words what is otherwise than it has to be, in a fixed order."""
    found = list(held.faults)
    found += _objects("User", wanted.users, held.users, wanted.held_back)
    found += _objects("Group", wanted.groups, held.groups, wanted.held_back)
    found += _objects("Contact", wanted.contacts, held.contacts, wanted.held_back)
    for key in sorted(wanted.groups.keys() & held.groups.keys()):
        found += _members(key, wanted, held)
    for kind, ours, theirs in (("User", wanted.users, held.users), ("Contact", wanted.contacts, held.contacts)):
        for key in sorted(ours.keys() & theirs.keys()):
            if wanted.managers.get(key) != held.managers.get(key):
                here, there = (_who(key, managers, wanted, held) for managers in (held.managers, wanted.managers))
                found.append(f"{_called(kind, ours[key])}: the manager in the tenant is {here}, in AD {there}.")
    return found


def held_back(entry: Found) -> str | None:
    """Say why an entry must not be synchronized, or None where it must."""
    if "computer" in {name.lower() for name in entry.texts("objectClass")}:
        return "it is a computer"
    if entry.text("isCriticalSystemObject") == "TRUE":
        return "it is a critical system object"
    if re.match(r"[^,]*\\0A(CNF|DEL):", entry.dn):
        return "it is a replication victim"
    if _is(entry, "contact") and _address(entry.text("mail"), entry.texts("proxyAddresses")) is None:
        return "it has no mail address"
    for name, pattern, reason in _rules(entry):
        if re.match(pattern, entry.text(name) or "", re.IGNORECASE if name == "sAMAccountName" else 0):
            return reason
    return None


def _rules(entry: Found) -> tuple[tuple[str, str, str], ...]:
    if _is(entry, "contact"):
        return _HELD_BACK_CONTACTS
    return _HELD_BACK_GROUPS if _is(entry, "group") else _HELD_BACK_USERS


def _objects(
    kind: str, wanted: dict[str, dict[str, Any]], held: dict[str, dict[str, Any]], stays: dict[str, str]
) -> Iterable[str]:
    for key in sorted(wanted.keys() - held.keys()):
        yield f"{_called(kind, wanted[key])} is missing in the tenant."
    for key in sorted(held.keys() - wanted.keys()):
        why = f"although {stays[key]}" if key in stays else "but not in AD"
        yield f"{_called(kind, held[key])} is in the tenant, {why}."
    for key in sorted(wanted.keys() & held.keys()):
        for name, value in wanted[key].items():
            if not _same(name, value, held[key].get(name)):
                yield f"{_called(kind, wanted[key])}: {name} is {held[key].get(name)!r}, by AD it has to be {value!r}."


def _members(key: str, wanted: Picture, held: Picture) -> Iterable[str]:
    group = _called("Group", wanted.groups[key])
    ours, theirs = wanted.members.get(key, frozenset()), held.members.get(key, frozenset())
    for member in sorted(ours - theirs):
        yield f"{group} lacks the member {_name(member, wanted, held)}."
    for member in sorted(theirs - ours):
        yield f"{group} has the member {_name(member, wanted, held)}, whom AD does not name."


def _who(key: str, managers: dict[str, str], wanted: Picture, held: Picture) -> str:
    return _name(managers[key], wanted, held) if key in managers else "nobody"


def _name(key: str, *pictures: Picture) -> str:
    for picture in pictures:
        for kind, objects in (("User", picture.users), ("Group", picture.groups), ("Contact", picture.contacts)):
            if key in objects:
                return _called(kind, objects[key]).replace(kind, kind.lower(), 1)
    return f"with the id {key}"


def _called(kind: str, values: dict[str, Any]) -> str:
    account = values.get("mail") if kind == "Contact" else values.get("onPremisesSamAccountName")
    return f"{kind} '{values.get('displayName')}' ({account})"


def _same(name: str, wanted: Any, held: Any) -> bool:
    if name == "onPremisesDistinguishedName":
        return isinstance(held, str) and parts(held) == parts(wanted)
    if name in {"proxyAddresses", "businessPhones"}:
        return sorted(wanted) == sorted(held or ())
    return bool(wanted == held)


def _user(entry: Found, domains: Domains, now: datetime) -> dict[str, Any]:
    account = entry.text("sAMAccountName") or ""
    addresses = sorted({address.strip() for address in entry.texts("proxyAddresses")})
    name = entry.text("userPrincipalName") or f"{account}@{domains.source}"
    if name.rpartition("@")[2].lower() not in domains.verified:
        name = f"{_nickname(entry, addresses, name)}@{domains.initial}"
    return {
        "displayName": entry.text("displayName") or entry.text("cn"),
        "givenName": _trimmed(entry, "givenName"),
        "surname": _trimmed(entry, "sn"),
        "userPrincipalName": name,
        "mail": _trimmed(entry, "mail"),
        "proxyAddresses": addresses,
        "department": _trimmed(entry, "department"),
        "jobTitle": _trimmed(entry, "title"),
        "companyName": _trimmed(entry, "company"),
        "businessPhones": [phone] if (phone := _trimmed(entry, "telephoneNumber")) else [],
        "city": _trimmed(entry, "l"),
        "accountEnabled": not int(entry.text("userAccountControl") or 0) & DISABLED and not _is_expired(entry, now),
        "onPremisesSyncEnabled": True,
        "onPremisesImmutableId": _key(entry),
        "onPremisesSamAccountName": account,
        "onPremisesDistinguishedName": entry.dn,
        "onPremisesSecurityIdentifier": _sid(entry.values("objectSid")[0]),
        "onPremisesDomainName": domains.source,
    }


def _group(entry: Found) -> dict[str, Any]:
    return {
        "displayName": entry.text("displayName") or entry.text("cn"),
        "description": (_trimmed(entry, "description") or "")[:448] or None,
        "mail": _trimmed(entry, "mail"),
        "proxyAddresses": sorted({address.strip() for address in entry.texts("proxyAddresses")}),
        "securityEnabled": bool(int(entry.text("groupType") or 0) & SECURITY_GROUP),
        "onPremisesSyncEnabled": True,
        "onPremisesSamAccountName": entry.text("sAMAccountName"),
        "onPremisesSecurityIdentifier": _key(entry),
    }


def _contact(entry: Found) -> dict[str, Any]:
    phone, city = _trimmed(entry, "telephoneNumber"), _trimmed(entry, "l")
    rest = dict.fromkeys(("countryOrRegion", "officeLocation", "postalCode", "state", "street"))
    return {
        "displayName": entry.text("displayName") or entry.text("cn"),
        "givenName": _trimmed(entry, "givenName"),
        "surname": _trimmed(entry, "sn"),
        "mail": _trimmed(entry, "mail"),
        "mailNickname": entry.text("mailNickname") or entry.text("cn"),
        "proxyAddresses": sorted({address.strip() for address in entry.texts("proxyAddresses")}),
        "companyName": _trimmed(entry, "company"),
        "jobTitle": _trimmed(entry, "title"),
        "department": _trimmed(entry, "department"),
        "phones": [{"number": phone, "type": "business"}] if phone else [],
        "addresses": [{"city": city, **rest}] if city else [],
        "onPremisesSyncEnabled": True,
    }


def _address(mail: str | None, addresses: Sequence[str] | None) -> str | None:
    """The address that somebody is written to at: `mail`, else a proxy address."""
    found = [address[5:] for address in sorted(addresses or ()) if re.match(r"smtp:.+@", address, re.IGNORECASE)]
    mail = (mail or "").strip()
    return mail.lower() if "@" in mail else next((address.lower() for address in found), None)


def _nickname(entry: Found, addresses: Sequence[str], name: str) -> str:
    primary = next((address[5:] for address in addresses if address.startswith("SMTP:")), None)
    chosen = entry.text("mailNickname") or primary or entry.text("mail") or name
    return chosen.partition("@")[0]


def _trimmed(entry: Found, name: str) -> str | None:
    return (entry.text(name) or "").strip() or None


def _is(entry: Found, object_class: str) -> bool:
    return object_class in {name.lower() for name in entry.texts("objectClass")}


def _is_expired(entry: Found, now: datetime) -> bool:
    ticks = int(entry.text("accountExpires") or 0)
    if ticks in {0, NEVER}:
        return False
    return datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=ticks // 10) <= now


def _key(entry: Found) -> str:
    if _is(entry, "group"):
        return _sid(entry.values("objectSid")[0])
    if _is(entry, "contact") and (address := _address(entry.text("mail"), entry.texts("proxyAddresses"))):
        return address
    (anchor, *_) = entry.values("mS-DS-ConsistencyGuid") or entry.values("objectGUID")
    return base64.b64encode(anchor).decode()


def _sid(value: bytes) -> str:
    """Write a security identifier as text.

    Source: MS-DTYP sections 2.4.2.1 and 2.4.2.2.
    """
    revision, count = value[0], value[1]
    authority = int.from_bytes(value[2:8], "big")
    return "-".join(map(str, ("S", revision, authority, *struct.unpack(f"<{count}I", value[8:]))))


def parts(dn: str) -> tuple[str, ...]:
    """Take a DN apart and its escapes away: one DN can be written in several ways.

    Source: RFC 4514 section 3.
    """
    found: list[bytearray] = [bytearray()]
    at = 0
    while at < len(dn):
        character = dn[at]
        if character == ",":
            found.append(bytearray())
        elif character == "\\" and re.match(r"[0-9A-Fa-f]{2}", dn[at + 1 : at + 3]):
            found[-1].append(int(dn[at + 1 : at + 3], 16))
            at += 2
        elif character == "\\":
            found[-1] += dn[at + 1 : at + 2].encode()
            at += 1
        else:
            found[-1] += character.encode()
        at += 1
    return tuple(_folded(part.decode(errors="surrogateescape")) for part in found)


def _folded(part: str) -> str:
    kind, _, value = part.partition("=")
    return f"{kind.strip().upper()}={value}"
