"""From what a domain controller sends to what the contract carries. Nothing here connects to anything.

Used by `source`, which asks the plan what to request, and has it read each answer.

Source: MS-ADTS 3.1.1.3.4.1.3 for the form of DirSync answers (`member;range=1-1` came, `member;range=0-0` went).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

from dirbridge.connectors import flows, position
from dirbridge.connectors.ad import dn, schema
from dirbridge.connectors.ad.settings import Settings
from dirbridge.connectors.ldap_wire.connection import Attributes, Found
from dirbridge.connectors.ldap_wire.values import text, texts
from dirbridge.contract.entry import Container, Entry, Selection, Tombstone, Values
from dirbridge.contract.errors import ConfigurationError

PEOPLE = frozenset({"user", "inetOrgPerson"})
CONTAINER_CLASSES = ("organizationalUnit", "container", "domainDNS", "builtinDomain", "lostAndFound")
PRIMARY_GROUP = "primaryGroup"
"""Reference of a user to its primary group, which lists it in no `member`."""

# What identifies an object and places it: read whatever the attribute policy says, and none of it is a person's datum.
_CORE = ("objectClass", "name", "parentGUID", "lastKnownParent", "isDeleted", "whenCreated")
# Used where the policy lets them through: to resolve primary groups, to tell trusts from users.
_HELPERS = ("objectSid", "primaryGroupID", "userAccountControl")
# An entry of the type has each of these: where one is missing, the reader may not see it.
_ALWAYS_PRESENT = {
    "user": (
        "accountExpires",
        "cn",
        "objectSid",
        "primaryGroupID",
        "pwdLastSet",
        "sAMAccountName",
        "userAccountControl",
    ),
    "group": ("cn", "groupType", "objectSid", "sAMAccountName"),
    "contact": ("cn",),
}
_ALWAYS_PRESENT["inetOrgPerson"] = _ALWAYS_PRESENT["user"]
# Each domain controller has its own value, so DirSync never sends them; an ordinary search does.
NOT_REPLICATED = frozenset({"whenChanged", "uSNChanged", "uSNCreated", "lastLogon", "badPwdCount", "logonCount"})
# Attribute of the entry referred to that lists who refers to it.
BACK_LINKS = {
    "member": "memberOf",
    "manager": "directReports",
    "managedBy": "managedObjects",
    "authOrig": "authOrigBL",
    "unauthOrig": "unauthOrigBL",
    "dLMemRejectPerms": "dLMemRejectPermsBL",
    "dLMemSubmitPerms": "dLMemSubmitPermsBL",
    "publicDelegates": "publicDelegatesBL",
    "altRecipient": "altRecipientBL",
}

_RANGE = re.compile(r"(.+);range=(\d+)-(\d+|\*)", re.IGNORECASE)
_INTERDOMAIN_TRUST = 0x800
_DELETED_NAME = re.compile(r"\n(?:DEL|CNF):[0-9a-fA-F-]{36}.*", re.DOTALL)


class Role(Enum):
    """What an attribute of an answer is to us."""

    TEXT = 1
    BINARY = 2
    REFERENCE = 3
    MEMBERSHIP = 4
    OTHER = 5


class Column(NamedTuple):
    """An attribute of an answer, with its name in the schema document's spelling."""

    role: Role
    name: str
    removed: bool = False


_OTHER: Final = Column(Role.OTHER, "")


class Plan:
    """What is requested for a selection under an attribute policy, and how answers to it are read.

    Attributes:
        filter: names object classes only, or tombstones would be lost.
        delta: attributes to request from DirSync. whole: attributes to request when entries are read again.
        memberships: attributes that travel as `ReferenceDelta`. digest: what a watermark of this plan depends on.

    Raises:
        ConfigurationError: a type is no name. The service names types and attributes, it does not write filters.
    """

    def __init__(self, settings: Settings, selection: Selection) -> None:
        self._settings = settings
        self._binary = frozenset(name.lower() for name in selection.binary)
        self.types = tuple(dict.fromkeys((*selection.object_types, *selection.memberships)))
        for kind in self.types:
            if flows.NAME.fullmatch(kind) is None:
                raise ConfigurationError(
                    f"The object type {kind!r} that the service asks for names no class of a directory.",
                    code="RequestNotSupported",
                    recommended_action="Correct the name of the source object in the job's schema.",
                )
        self._shapes = {kind: self._shape(kind, selection) for kind in self.types}
        self._kinds = {name.encode(): "container" for name in CONTAINER_CLASSES}
        self._kinds |= {kind.encode(): kind for kind in self.types}
        columns = [column for shape in self._shapes.values() for column in shape.wanted.values()]
        self.memberships = _names(columns, Role.MEMBERSHIP)
        self.references = _names(columns, Role.REFERENCE)
        helpers = [name for name in _HELPERS if settings.allows(name)]
        plain = [column.name for column in columns if column.role is not Role.MEMBERSHIP]
        self.whole = tuple(dict.fromkeys((*_CORE, *helpers, *plain, "objectGUID")))
        self.delta = (*self.whole, *self.memberships)
        self.filter = _class_filter((*self.types, *CONTAINER_CLASSES))
        self.digest = position.digest(
            [settings.user, settings.name],
            [name.lower() for name in self.delta],
            *([kind, *shape.wanted] for kind, shape in sorted(self._shapes.items())),
            [container.lower() for container in settings.exclude_containers],
        )

    def kind(self, values: Attributes) -> str | None:
        """Say what an entry is: an object type of the selection, `container`, or None for what is nobody's concern.

        Computers and group managed service accounts are users to the directory and nothing to a person.
        """
        classes = values.get("objectClass") or ()
        for name in reversed(classes):
            kind = self._kinds.get(name)
            if kind in PEOPLE and (b"computer" in classes or _is_trust(values)):
                return None
            if kind is not None:
                return kind
        return None

    def entry(self, kind: str, found: Found, primary_group: str | None, *, replicated_only: bool = False) -> Entry:
        """Read an entry.

        Args:
            kind: its object type.
            found: as the server sent it, whole.
            primary_group: anchor of its primary group, for people; None where it cannot be known.
            replicated_only: it comes from DirSync, which sends no attribute that is not replicated, nor `cn`.
        """
        name, values = dn.extended(found[0]), found[1]
        shape = self._shapes[kind]
        attributes: dict[str, Values] = {}
        references: dict[str, tuple[str, ...]] = {}
        faults: dict[str, str] = {}
        for key, raw in values.items():
            role, spelling, removed = shape.columns.get(key) or self._column(shape, key)
            if role is Role.TEXT and raw:
                if len(raw) == 1 and (value := raw[0]).isascii() and b"\0" not in value:  # nearly every one
                    attributes[spelling] = (value.decode("ascii"),)
                    continue
                several, fault = texts(raw)
                if fault is None:
                    attributes[spelling] = several
                else:
                    faults[spelling] = fault
            elif role is Role.BINARY and raw:
                attributes[spelling] = tuple(raw)
            elif role is Role.REFERENCE and raw and not removed:
                references[spelling] = tuple(anchors(raw))
        own, fault = _own_name(name.dn, values)
        if "distinguishedname" in shape.wanted:
            attributes["distinguishedName"] = (name.dn,)
        if "cn" in shape.wanted and "cn" not in values and name.dn[:3].upper() == "CN=":
            if fault is None:
                attributes["cn"] = (own,)
            else:
                faults["cn"] = fault
        unknown = shape.refused
        if not shape.expected <= attributes.keys():
            unknown += tuple(sorted(shape.expected - attributes.keys() - faults.keys()))
        if replicated_only:
            unknown += shape.not_replicated
        if kind in PEOPLE:
            if primary_group is None:
                unknown += (PRIMARY_GROUP,)
            else:
                references[PRIMARY_GROUP] = (primary_group,)
        return Entry(
            anchor=name.guid or guid(values),
            object_type=kind,
            name=own,
            container=parent(values),
            attributes=attributes,
            references=references,
            unknown=unknown,
            faults=faults,
        )

    def memberships_of(self, kind: str) -> tuple[str, ...]:
        """The membership attributes of an object type."""
        return self._shapes[kind].memberships

    def hides(self, name: str) -> bool:
        """Say whether the agent's own filter keeps this entry back; takes an extended name."""
        return bool(self._settings.exclude_containers) and self._settings.hides(dn.extended(name).dn)

    def hid(self, values: Attributes) -> bool:
        """Say whether a deleted entry lay in a container that the agent's own filter keeps back."""
        return any(self.hides(name.decode(errors="replace")) for name in values.get("lastKnownParent", ()))

    def changed_members(self, values: Attributes) -> Iterator[tuple[str, list[str], list[str]]]:
        """Give, by membership attribute, the anchors that came and went according to a DirSync answer."""
        for attribute in self.memberships:
            added = values.get(f"{attribute};range=1-1") or values.get(attribute) or []
            removed = values.get(f"{attribute};range=0-0") or []
            if added or removed:
                yield attribute, anchors(added), anchors(removed)

    def only_members_changed(self, values: Attributes) -> bool:
        """Say whether a DirSync answer tells of members and nothing else: the entry need not be read again."""
        kept = {"objectGUID", "instanceType"}
        for attribute in self.memberships:
            kept |= {f"{attribute};range=1-1", f"{attribute};range=0-0"}
        return len(values) > len(values.keys() & {"objectGUID", "instanceType"}) and values.keys() <= kept

    def _shape(self, kind: str, selection: Selection) -> _Shape:
        wanted: dict[str, Column] = {}
        refused: list[str] = []
        groups = (
            (selection.attributes.get(kind, ()), None),
            (selection.references.get(kind, ()), Role.REFERENCE),
            (selection.memberships.get(kind, ()), Role.MEMBERSHIP),
        )
        for names, role in groups:
            for name in names:
                if name in schema.SYNTHETIC:
                    continue
                if not self._settings.allows(name):
                    refused.append(name)
                    continue
                plain = Role.BINARY if name.lower() in self._binary else Role.TEXT
                wanted[name.lower()] = Column(role or plain, name)
        always = {name.lower() for name in _ALWAYS_PRESENT.get(kind, ())}
        return _Shape(
            wanted=wanted,
            refused=tuple(refused),
            expected=frozenset(column.name for name, column in wanted.items() if name in always),
            not_replicated=tuple(column.name for column in wanted.values() if column.name in NOT_REPLICATED),
            memberships=_names(wanted.values(), Role.MEMBERSHIP),
        )

    @staticmethod
    def _column(shape: _Shape, key: str) -> Column:
        """Find out once what an attribute as the server spells it is to us."""
        ranged = _RANGE.fullmatch(key)
        column = shape.wanted.get((ranged[1] if ranged else key).lower(), _OTHER)
        if column.name == "distinguishedName":
            column = _OTHER  # it comes with GUID and SID in front; the entry's own name is used
        elif ranged and (ranged[2], ranged[3]) == ("0", "0"):
            column = column._replace(removed=True)
        shape.columns[key] = column
        return column


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is read of one object type.

    Attributes:
        wanted: by name in lower case. refused: asked for, and kept back by the attribute policy.
        expected: what every such object has. columns: by name as the server spells it, learnt as it comes.
    """

    wanted: dict[str, Column]
    refused: tuple[str, ...]
    expected: frozenset[str]
    not_replicated: tuple[str, ...]
    memberships: tuple[str, ...]
    columns: dict[str, Column] = field(default_factory=dict)


def container(found: Found) -> Container:
    """Read a node of the tree. The head of the domain goes by the domain's name."""
    name, values = dn.extended(found[0]), found[1]
    own = text(values["name"][0]) if values.get("name") else _leaf(name.dn)
    above = parent(values)
    if above is None or b"domainDNS" in (values.get("objectClass") or ()):
        own = ".".join(part.value for part in dn.split(name.dn)) or own
        above = None
    return Container(name.guid or guid(values), above, own)


def tombstone(found: Found, kind: str) -> Tombstone:
    """Read what is left of a deleted entry; its name without the mark of deletion."""
    name, values = dn.extended(found[0]), found[1]
    own = text(values["name"][0]) if values.get("name") else _leaf(name.dn)
    return Tombstone(name.guid or guid(values), _DELETED_NAME.sub("", own), kind)


def is_deleted(values: Attributes) -> bool:
    """Say whether an answer is of a tombstone."""
    return (values.get("isDeleted") or [b""])[0].upper() == b"TRUE"


def was_reanimated(values: Attributes) -> bool:
    """Say whether a DirSync answer tells that a deleted entry came back: `isDeleted` was cleared."""
    return "isDeleted" in values and not values["isDeleted"]


def was_moved(values: Attributes) -> bool:
    """Say whether a DirSync answer tells of a new name or place of an entry that existed before.

    `whenCreated` never changes, so it is in a delta only where the entry is new.
    """
    return bool(values.get("name") or values.get("parentGUID")) and not values.get("whenCreated")


def guid(values: Attributes) -> str:
    """The anchor of an entry, from its objectGUID."""
    return str(UUID(bytes_le=values["objectGUID"][0]))


def anchor_of(found: Found) -> str:
    """The anchor of an entry as sent, from its extended name or its objectGUID."""
    return dn.anchor(found[0]) or guid(found[1])


def parent(values: Attributes) -> str | None:
    """The anchor of the container that an entry lies in; None for the head of the domain."""
    raw = values.get("parentGUID")
    return _dashed(raw[0]) if raw else None


def anchors(names: Iterable[bytes]) -> list[str]:
    """The anchors in extended names; names without one (of another domain's unknown object) are left out."""
    found = []
    for name in names:
        if name[:6] == b"<GUID=" and name[42:43] == b">":
            found.append(name[6:42].decode("ascii").lower())
        elif (anchor := dn.anchor(name.decode(errors="replace"))) is not None:
            found.append(anchor)
    return found


def primary_group_sid(values: Attributes) -> bytes | None:
    """The SID of an account's primary group: its own domain's, with the group's relative id."""
    sid, rid = values.get("objectSid"), values.get("primaryGroupID")
    if not sid or not rid or not rid[0].isdigit():
        return None
    return sid[0][:-4] + int(rid[0]).to_bytes(4, "little")


def with_relative_id(domain: bytes, number: int) -> bytes:
    """The SID of a principal of a domain: MS-DTYP 2.4.2.2, with one more sub-authority than the domain's."""
    return domain[:1] + bytes((domain[1] + 1,)) + domain[2:] + number.to_bytes(4, "little")


@lru_cache(maxsize=4096)
def _dashed(raw: bytes) -> str:
    """A GUID as text. Entries share few parents."""
    return str(UUID(bytes_le=raw))


def _names(columns: Iterable[Column], role: Role) -> tuple[str, ...]:
    return tuple(dict.fromkeys(column.name for column in columns if column.role is role))


def _own_name(name: str, values: Attributes) -> tuple[str, str | None]:
    """The value of an entry's naming attribute, fit to be shown, and what is wrong with it as it stands."""
    raw = values.get("name")
    if not raw:
        return _leaf(name), None
    names, fault = texts(raw[:1])
    return (names[0], None) if fault is None else (text(raw[0]), fault)


def _class_filter(classes: Iterable[str]) -> str:
    alternatives = "".join(f"(objectClass={name})" for name in dict.fromkeys(classes))
    return f"(&(|{alternatives})(!(objectClass=computer)))"


def _is_trust(values: Attributes) -> bool:
    control = (values.get("userAccountControl") or [b""])[0]
    return control.lstrip(b"-").isdigit() and bool(int(control) & _INTERDOMAIN_TRUST)


def _leaf(name: str) -> str:
    parts = dn.split(name)
    return parts[0].value if parts else ""
