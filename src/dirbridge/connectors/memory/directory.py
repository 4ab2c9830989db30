"""The directory itself: entries, containers, links between entries, and a number that rises with each change.

It keeps Active Directory's silences: deleting an entry takes the references to it away without a change of their
owners; moving a container is a change of the container alone.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

ROOT = "00000000-0000-0000-0000-000000000001"


@dataclass(slots=True)
class Node:
    """An entry or container."""

    anchor: str
    object_type: str
    name: str
    container: str
    attributes: dict[str, tuple[str | bytes, ...]] = field(default_factory=dict)
    manager: str | None = None
    primary_group: str | None = None
    members: set[str] = field(default_factory=set)
    changed: int = 0
    restored: int = 0
    deleted: bool = False
    hidden: bool = False
    lost_links: tuple[str | None, frozenset[str], frozenset[str], frozenset[str]] | None = None


class Directory:
    """A small Active Directory.

    Args:
        domain: its name, from which distinguished names are made.
    """

    def __init__(self, domain: str = "contoso.test") -> None:
        self.base = ",".join(f"DC={part}" for part in domain.split("."))
        self.domain = domain
        self.number = 1
        self.nodes: dict[str, Node] = {ROOT: Node(ROOT, "container", domain, "", changed=1)}
        self.values: dict[tuple[str, str], tuple[int, bool]] = {}

    # Changes --------------------------------------------------------------------------------------------------------

    def _touch(self, node: Node) -> None:
        self.number += 1
        node.changed = self.number

    def create(
        self,
        anchor: str,
        object_type: str,
        name: str,
        container: str = ROOT,
        **attributes: str | bytes | tuple[str, ...],
    ) -> Node:
        """Add an entry or container."""
        node = Node(anchor, object_type, name, container)
        self.nodes[anchor] = node
        for key, value in attributes.items():
            node.attributes[key.replace("_", "-")] = value if isinstance(value, tuple) else (value,)
        self._touch(node)
        return node

    def set(self, anchor: str, attribute: str, *values: str | bytes) -> None:
        """Replace an attribute; no value clears it."""
        node = self.nodes[anchor]
        if values:
            node.attributes[attribute] = values
        else:
            node.attributes.pop(attribute, None)
        self._touch(node)

    def rename(self, anchor: str, name: str) -> None:
        """Change an entry's own name; of a container, those below get other distinguished names."""
        node = self.nodes[anchor]
        node.name = name
        self._touch(node)

    def move(self, anchor: str, container: str) -> None:
        """Put an entry or container elsewhere."""
        node = self.nodes[anchor]
        node.container = container
        self._touch(node)

    def set_manager(self, anchor: str, manager: str | None) -> None:
        """Set or clear a manager."""
        self.nodes[anchor].manager = manager
        self._touch(self.nodes[anchor])

    def set_primary_group(self, anchor: str, group: str | None) -> None:
        """Make a user a member of a group that does not list it. A change of the user alone."""
        self.nodes[anchor].primary_group = group
        self._touch(self.nodes[anchor])

    def hide(self, anchor: str) -> None:
        """Take away the reader's right on an entry: it vanishes without a change."""
        self.nodes[anchor].hidden = True

    def show(self, anchor: str) -> None:
        """Give the right back, which is a change of the entry."""
        self.nodes[anchor].hidden = False
        self._touch(self.nodes[anchor])

    def add_member(self, group: str, member: str) -> None:
        """Put an entry into a group."""
        node = self.nodes[group]
        if member not in node.members:
            node.members.add(member)
            self._touch(node)
            self.values[group, member] = (self.number, True)

    def remove_member(self, group: str, member: str) -> None:
        """Take an entry out of a group."""
        node = self.nodes[group]
        if member in node.members:
            node.members.discard(member)
            self._touch(node)
            self.values[group, member] = (self.number, False)

    def delete(self, anchor: str) -> None:
        """Make an entry a tombstone. References to it and from it go, silently."""
        node = self.nodes[anchor]
        groups = frozenset(g.anchor for g in self.nodes.values() if anchor in g.members)
        reports = frozenset(r.anchor for r in self.nodes.values() if r.manager == anchor)
        node.lost_links = (node.manager, frozenset(node.members), groups, reports)
        for group in groups:
            self.nodes[group].members.discard(anchor)
            self.values.pop((group, anchor), None)
        for report in reports:
            self.nodes[report].manager = None
        for other in self.nodes.values():
            if other.primary_group == anchor:
                self.set_primary_group(other.anchor, None)
        for member in node.members:
            self.values.pop((anchor, member), None)
        node.manager, node.members, node.deleted = None, set(), True
        self._touch(node)

    def restore(self, anchor: str, *, with_links: bool) -> None:
        """Reanimate a tombstone, with its references (recycle bin) or without (plain tombstone)."""
        node = self.nodes[anchor]
        node.deleted = False
        self._touch(node)
        node.restored = self.number
        if node.container not in self.nodes or self.nodes[node.container].deleted:
            node.container = ROOT
        manager, members, groups, reports = node.lost_links or (None, frozenset(), frozenset(), frozenset())
        node.lost_links = None
        if not with_links:
            return
        if manager is not None and self.is_live(manager):
            node.manager = manager
        for member in members:
            if self.is_live(member):
                node.members.add(member)
        for group in groups:
            if self.is_live(group):
                self.nodes[group].members.add(anchor)
        for report in reports:
            if self.is_live(report) and self.nodes[report].manager is None:
                self.nodes[report].manager = anchor

    # Looking --------------------------------------------------------------------------------------------------------

    def is_live(self, anchor: str) -> bool:
        """Tell whether an entry is there and no tombstone."""
        node = self.nodes.get(anchor)
        return node is not None and not node.deleted

    def live(self, *object_types: str) -> list[Node]:
        """List what is there, by anchor."""
        return [n for _, n in sorted(self.nodes.items()) if not n.deleted and n.object_type in object_types]

    def dn(self, node: Node) -> str:
        """Give the distinguished name as it is now."""
        parts = []
        while node.anchor != ROOT:
            parts.append(("OU=" if node.object_type == "container" else "CN=") + node.name)
            node = self.nodes[node.container]
        return ",".join([*parts, self.base])

    def below(self, container: str) -> Iterable[Node]:
        """List every live entry below a container, at any depth."""
        for node in self.live("user", "inetOrgPerson", "group", "contact"):
            above = node.container
            while above and above != container:
                above = self.nodes[above].container
            if above == container:
                yield node


def anchor_of(number: int, salt: str = "") -> str:
    """Make an anchor that looks like an objectGUID."""
    return str(UUID(bytes=hashlib.blake2b(f"{salt}{number}".encode(), digest_size=16).digest(), version=4))


def immutable_id(anchor: str) -> str:
    """Give the base64 text that the cloud keeps of an objectGUID."""
    return base64.b64encode(UUID(anchor).bytes_le).decode()
