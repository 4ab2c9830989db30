"""From what a directory server sends to what the contract carries. Nothing here connects to anything.

Used by `source`, which asks the plan what to request, and has it read each answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from dirbridge.connectors import flows, position
from dirbridge.connectors.ldap import schema
from dirbridge.connectors.ldap.settings import Settings
from dirbridge.connectors.ldap_wire import dn
from dirbridge.connectors.ldap_wire.connection import Attributes, Found
from dirbridge.connectors.ldap_wire.values import text, texts
from dirbridge.contract.entry import Container, Entry, Selection, Values
from dirbridge.contract.errors import ConfigurationError

CONTAINER_CLASSES = (
    "organizationalUnit", "organization", "dcObject", "domain", "country", "locality", "container", "nsContainer",
)  # fmt: skip
ENTRY_UUID, NS_UNIQUE_ID = "entryUUID", "nsUniqueId"

# An entry of the class has each of these: where one is missing, the reader may not see it. Source: RFC 2798, RFC 4519.
_ALWAYS_PRESENT = {
    "inetOrgPerson": ("cn", "sn"),
    "groupOfNames": ("cn",),
    "groupOfUniqueNames": ("cn",),
    "posixGroup": ("cn",),
}
# The mark of a lock without end: draft-behera-ldap-password-policy section 5.3.3.
_LOCKED_FOR_GOOD = b"000001010000Z"
# A name in which nothing is escaped, and no blank stands where it does not count.
_PART = r"[^\s,=\\+]+=[^\s,=\\](?:[^,=\\]*[^\s,=\\])?"
_PLAIN = re.compile(rf"{_PART}(?:,{_PART})*")
# Name and optional UID, RFC 4517 section 3.3.21: the bits that follow the name are no part of it.
_BITS = re.compile(r"#'[01]*'B\Z")
_LOCKS = frozenset(name.lower() for name in schema.LOCKS)


class Plan:
    """What is requested for a selection under an attribute policy, and how answers to it are read.

    Attributes:
        filter: names object classes only. attributes: to request.
        memberships: attributes in which groups list their members. references: short references.
        digest: what a watermark of this plan depends on.

    Raises:
        ConfigurationError: a type is no name. The service names types and attributes, it does not write filters.
    """

    def __init__(self, settings: Settings, selection: Selection, anchor: str) -> None:
        self._settings = settings
        self._anchor = anchor
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
        self._containers = frozenset(name.lower().encode() for name in CONTAINER_CLASSES)
        shapes = self._shapes.values()
        members = [name for name in schema.MEMBERSHIPS if settings.allows(name)]
        self.memberships = tuple(members if any(shape.members for shape in shapes) else ())
        self.references = tuple(dict.fromkeys(name for shape in shapes for name in shape.references.values()))
        locks = [name for name in schema.LOCKS if settings.allows(name)]
        uid = ("uid",) if "memberUid" in self.memberships else ()
        plain = [name for shape in shapes for name in shape.wanted.values()]
        self.attributes = tuple(
            dict.fromkeys(("objectClass", anchor, *uid, *locks, *plain, *self.references, *self.memberships))
        )
        self.filter = class_filter((*self.types, *CONTAINER_CLASSES))
        self.digest = position.digest(
            [settings.user, settings.base_dn.lower(), anchor],
            [name.lower() for name in self.attributes],
            *([kind, *shape.wanted, *shape.references] for kind, shape in sorted(self._shapes.items())),
            [container.lower() for container in settings.exclude_containers],
        )

    def kind(self, values: Attributes) -> str | None:
        """Say what an entry is: an object type of the selection, `container`, or None for what is nobody's concern.

        Where an entry is of several types, the first of the selection counts.
        """
        classes = {name.lower() for name in values.get("objectClass", ())}
        for kind in self.types:
            if kind.lower().encode() in classes:
                return kind
        return "container" if classes & self._containers else None

    def entry(self, kind: str, found: Found, parent: str | None, names: Mapping[str, str | None]) -> Entry:
        """Read an entry.

        Args:
            kind: its object type. found: as the server sent it, whole.
            parent: anchor of the entry above it.
            names: anchors by distinguished name, folded; None for one at which there is nothing.
        """
        shape = self._shapes[kind]
        attributes: dict[str, Values] = {}
        references: dict[str, tuple[str, ...]] = {}
        faults: dict[str, str] = {}
        for key, raw in found[1].items():
            name = key.lower().removesuffix(";binary")
            if name in shape.references:
                there = [anchor for one in raw if (anchor := names.get(folded(text(one)))) is not None]
                if there:
                    references[shape.references[name]] = tuple(dict.fromkeys(there))
            elif (spelling := shape.wanted.get(name)) is not None and raw:
                if name in self._binary:
                    attributes[spelling] = tuple(raw)
                    continue
                several, fault = texts(raw)
                if fault is None:
                    attributes[spelling] = several
                else:
                    faults[spelling] = fault
        anchor = self.anchor(found)
        made = {
            schema.ANCHOR: anchor,
            schema.DISTINGUISHED_NAME: found[0],
            schema.DISABLED: str(is_locked(found[1])),
        }
        attributes |= {name: (made[name],) for name in shape.made}
        missing = shape.expected - attributes.keys() - faults.keys()
        return Entry(
            anchor=anchor,
            object_type=kind,
            name=leaf(found[0]),
            container=parent,
            attributes=attributes,
            references=references,
            unknown=(*shape.refused, *sorted(missing)),
            faults=faults,
        )

    def has_members(self, kind: str) -> bool:
        """Say whether the members of this object type are asked for."""
        return self._shapes[kind].members and bool(self.memberships)

    def anchor(self, found: Found) -> str:
        """The anchor of an entry as sent.

        Raises:
            ConfigurationError: the server does not show it to this account.
        """
        raw = value_of(found, self._anchor)
        if raw is None:
            raise no_anchor(self._settings, self._anchor)
        return anchor_of(raw)

    def hides(self, name: str) -> bool:
        """Say whether the agent's own filter keeps this entry back."""
        return bool(self._settings.exclude_containers) and self._settings.hides(name)

    def container(self, found: Found, parent: str | None) -> Container:
        """Read a node of the tree. The head of the directory goes by the name in the settings."""
        own = leaf(found[0]) if parent is not None else self._settings.name
        return Container(self.anchor(found), parent, own)

    def _shape(self, kind: str, selection: Selection) -> _Shape:
        wanted: dict[str, str] = {}
        references: dict[str, str] = {}
        refused: list[str] = []
        asked = selection.attributes.get(kind, ())
        for names, into in ((asked, wanted), (selection.references.get(kind, ()), references)):
            for name in names:
                if name in schema.SYNTHETIC:
                    continue
                if self._settings.allows(name):
                    into[name.lower()] = name
                else:
                    refused.append(name)
        always = {name.lower() for name in _ALWAYS_PRESENT.get(kind, ())}
        return _Shape(
            wanted=wanted,
            references=references,
            members=schema.MEMBER in selection.memberships.get(kind, ()),
            made=tuple(name for name in asked if name in schema.SYNTHETIC),
            refused=tuple(refused),
            expected=frozenset(spelling for name, spelling in wanted.items() if name in always),
        )


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is read of one object type.

    Attributes:
        wanted, references: spelling of the schema document by name in lower case.
        made: what the source makes itself. refused: asked for, and kept back by the attribute policy.
        expected: what every such entry has.
    """

    wanted: dict[str, str]
    references: dict[str, str]
    members: bool
    made: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    expected: frozenset[str] = field(default_factory=frozenset)


def no_anchor(settings: Settings, attribute: str) -> ConfigurationError:
    """The error of an account that may not read what identifies entries."""
    return ConfigurationError(
        f"The account {settings.user} may not read {attribute} of the entries of {settings.name}.",
        code="AnchorNotReadable",
        recommended_action=f"Give it read access to all attributes below {settings.base_dn}, operational ones too.",
    )


def value_of(found: Found, attribute: str) -> bytes | None:
    """The first value of an attribute, however the server spells its name."""
    wanted = attribute.lower()
    return next((raw[0] for key, raw in found[1].items() if raw and key.lower() == wanted), None)


def is_locked(values: Attributes) -> bool:
    """Say whether an account is locked for good: by an administrator, not by wrong passwords for a while."""
    said = {raw.lower() for key, several in values.items() if key.lower() in _LOCKS for raw in several}
    return not said.isdisjoint({b"true", _LOCKED_FOR_GOOD.lower()})


def anchor_of(raw: bytes) -> str:
    """The anchor in an entryUUID, or in an nsUniqueId (four groups of eight digits)."""
    return str(UUID(raw.decode("ascii").replace("-", "")))


def identifier(anchor: str, attribute: str) -> str:
    """Write an anchor as the attribute that identifies entries has it, for a filter."""
    if attribute == ENTRY_UUID:
        return anchor
    digits = anchor.replace("-", "")
    return "-".join(digits[at : at + 8] for at in range(0, 32, 8))


def uids(values: Attributes) -> list[str]:
    """The names by which posixGroups know an entry."""
    return [text(value) for key, several in values.items() if key.lower() == "uid" for value in several]


def member_names(values: Attributes) -> tuple[list[str], list[str]]:
    """The members that a group lists: by distinguished name, and by uid."""
    lowered = {key.lower(): raw for key, raw in values.items()}
    names = [_BITS.sub("", text(one)) for key in ("member", "uniquemember") for one in lowered.get(key, ())]
    return [name for name in names if name], [text(one) for one in lowered.get("memberuid", ())]


def folded(name: str) -> str:
    """A distinguished name in a form in which equal names are equal: case and blanks around parts do not count.

    Lower case it is, and not Unicode's case folding: that makes one of Weiß and Weiss, which are two at a server.
    """
    if _PLAIN.fullmatch(name) is not None:  # nearly every one, many thousand times
        return name.lower()
    try:
        return dn.join(dn.split(name)).lower()
    except ValueError:
        return name.lower()


def above(name: str) -> str:
    """The distinguished name of the entry above."""
    at = 0
    while at < len(name):
        if name[at] == "\\":
            at += 2
        elif name[at] == ",":
            return name[at + 1 :].lstrip(" ")
        else:
            at += 1
    return ""


def leaf(name: str) -> str:
    """The value of an entry's own naming attribute; as it stands where it has several."""
    parts = dn.split(name)
    return parts[0].value if parts else ""


def class_filter(classes: Iterable[str]) -> str:
    """A filter for entries of any of these classes."""
    return f"(|{''.join(f'(objectClass={name})' for name in dict.fromkeys(classes))})"
