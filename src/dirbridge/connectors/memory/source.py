"""Reading the directory in memory, as a source that pages, deltas and tombstones come from.

What a delta names is read again when its page is made, so a change during a cycle shows as it would from a real
directory: mixed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from dirbridge.connectors.memory.directory import ROOT, Directory, Node
from dirbridge.contract.entry import (
    BackReferences,
    ChangePage,
    Container,
    Entry,
    ReferenceDelta,
    Selection,
    Tombstone,
    Watermark,
)
from dirbridge.contract.errors import WatermarkExpired
from dirbridge.contract.schema import AttributeDefinition, ObjectDefinition
from dirbridge.contract.wire import LISTED, CheckReport, Finding, Listing, Located

_ACCOUNTS = ("user", "inetOrgPerson")
_ENTRIES = (*_ACCOUNTS, "group", "contact")


class MemorySource:
    """A source over a `Directory`.

    Args:
        page_entries: entries a page.
        replica: name and incarnation of this copy; a watermark of another is not accepted.
    """

    def __init__(self, directory: Directory, page_entries: int = 3, replica: str = "memory") -> None:
        self.directory = directory
        self.page_entries = page_entries
        self.replica = replica

    async def changes(self, selection: Selection, since: Watermark | None) -> AsyncIterator[ChangePage]:
        """Stream what changed; everything where `since` is None."""
        directory = self.directory
        reached = directory.number
        start = 0
        if since is not None:
            start = int(since.position)
            if since.replica != self.replica or start > reached:
                raise WatermarkExpired(f"The watermark {since.replica}:{start} is not of '{self.replica}'.")
        mark = Watermark(self.replica, str(reached).encode())
        touched = [n for _, n in sorted(directory.nodes.items()) if n.changed > start and not n.hidden]
        containers = [n for n in touched if n.object_type == "container"]
        types = set(selection.object_types).intersection(_ENTRIES)
        wanted = {n.anchor for n in touched if n.object_type in types and (since is not None or not n.deleted)}
        if since is not None:
            for container in containers:
                below = directory.below(container.anchor)
                wanted |= {n.anchor for n in below if n.object_type in types and not n.hidden}
        anchors = sorted(wanted)
        first = tuple(_container(n) for n in containers)
        if not anchors and not first:
            yield ChangePage(watermark=mark, idle=True, last=True)
            return
        for begin in range(0, max(len(anchors), 1), self.page_entries):
            await asyncio.sleep(0)
            batch = anchors[begin : begin + self.page_entries]
            last = begin + self.page_entries >= len(anchors)
            yield self._page(
                batch,
                selection,
                start,
                full=since is None,
                containers=first,
                mark=mark if last else None,
                estimate=len(anchors),
            )
            first = ()

    def _page(
        self,
        anchors: Sequence[str],
        selection: Selection,
        start: int,
        *,
        full: bool,
        containers: tuple[Container, ...],
        mark: Watermark | None,
        estimate: int,
    ) -> ChangePage:
        directory = self.directory
        nodes = [directory.nodes[anchor] for anchor in anchors if not directory.nodes[anchor].hidden]
        live = [node for node in nodes if not node.deleted]
        references: list[ReferenceDelta] = []
        backs: list[BackReferences] = []
        for node in live:
            if node.object_type == "group":
                whole = full or node.restored > start
                references += self._whole(node) if whole else self._delta(node, start)
            if node.restored > start and not full:
                backs += self._backs(node)
        return ChangePage(
            entries=tuple(self._entry(node, selection) for node in live),
            deleted=tuple(Tombstone(node.anchor, node.name, node.object_type) for node in nodes if node.deleted),
            containers=containers,
            references=tuple(references),
            back_references=tuple(backs),
            not_visible=tuple(a for a in anchors if directory.nodes[a].hidden),
            watermark=mark,
            last=mark is not None,
            estimate=estimate,
        )

    def _entry(self, node: Node, selection: Selection) -> Entry:
        wanted = set(selection.attributes.get(node.object_type, ()))
        everything = {
            **node.attributes,
            "cn": (node.name,),
            "objectGUID": (UUID(node.anchor).bytes_le,),
            "distinguishedName": (self.directory.dn(node),),
        }
        references: dict[str, tuple[str, ...]] = {"manager": (node.manager,)} if node.manager else {}
        if node.object_type in _ACCOUNTS:
            references["primaryGroup"] = (node.primary_group,) if node.primary_group else ()
        return Entry(
            anchor=node.anchor,
            object_type=node.object_type,
            name=node.name,
            container=node.container or ROOT,
            attributes={name: values for name, values in everything.items() if name in wanted},
            references=references,
        )

    def _whole(self, group: Node) -> list[ReferenceDelta]:
        members = sorted(group.members)
        parts = [members[i : i + self.page_entries] for i in range(0, len(members), self.page_entries)] or [[]]
        return [
            ReferenceDelta(group.anchor, "member", tuple(part), whole=True, part=number, end=number == len(parts) - 1)
            for number, part in enumerate(parts)
        ]

    def _delta(self, group: Node, start: int) -> list[ReferenceDelta]:
        moved = {
            member: is_added
            for (owner, member), (number, is_added) in self.directory.values.items()
            if owner == group.anchor and number > start
        }
        added = tuple(sorted(member for member, is_added in moved.items() if is_added and member in group.members))
        removed = tuple(sorted(m for m, is_added in moved.items() if not is_added and m not in group.members))
        return [ReferenceDelta(group.anchor, "member", added, removed)] if added or removed else []

    def _backs(self, node: Node) -> list[BackReferences]:
        nodes = self.directory.nodes.values()
        return [
            BackReferences(node.anchor, "member", tuple(sorted(n.anchor for n in nodes if node.anchor in n.members))),
            BackReferences(node.anchor, "manager", tuple(sorted(n.anchor for n in nodes if n.manager == node.anchor))),
        ]

    async def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncIterator[ChangePage]:
        """Read anchors afresh."""
        nodes = self.directory.nodes
        for begin in range(0, len(anchors), self.page_entries):
            await asyncio.sleep(0)
            batch = anchors[begin : begin + self.page_entries]
            known = [nodes[anchor] for anchor in batch if anchor in nodes and not nodes[anchor].hidden]
            containers = tuple(_container(node) for node in known if node.object_type == "container")
            known = [node for node in known if node.object_type != "container"]
            live = [node for node in known if not node.deleted]
            seen = {node.anchor for node in known} | {container.anchor for container in containers}
            yield ChangePage(
                entries=tuple(self._entry(node, selection) for node in live),
                deleted=tuple(Tombstone(n.anchor, n.name, n.object_type) for n in known if n.deleted),
                containers=containers,
                references=tuple(delta for n in live if n.object_type == "group" for delta in self._whole(n)),
                not_visible=tuple(anchor for anchor in batch if anchor not in seen),
                last=begin + self.page_entries >= len(anchors),
            )

    async def locate(self, names: Sequence[str]) -> list[Located]:
        """Find what names stand for: anchor, distinguished name, user principal name or sAMAccountName."""
        return [self._located(name) for name in names]

    def _located(self, name: str) -> Located:
        wanted = name.casefold()
        there = [node for node in self.directory.nodes.values() if not (node.deleted or node.hidden)]
        found = [node for node in there if wanted in self._names(node)]
        if len(found) != 1:
            return Located(name)
        return Located(name, found[0].anchor, found[0].object_type, self.directory.dn(found[0]))

    def _names(self, node: Node) -> set[str]:
        return {str(name).casefold() for name in (node.anchor, self.directory.dn(node), *_account_names(node))}

    async def browse(self, below: str | None) -> Listing:
        """List the containers directly in one."""
        nodes = self.directory.nodes
        if below is not None and (not self.directory.is_live(below) or nodes[below].hidden):
            return Listing((), missing=True)
        wanted = [one for one in self.directory.live("container") if (one.container or None) == below]
        return self._listing(wanted, LISTED)

    async def search(self, text: str, object_types: Sequence[str], most: int) -> Listing:
        """Find entries by a part of their name or account name."""
        there = self.directory.live(*object_types)
        return self._listing(
            [
                one
                for one in there
                if any(text.casefold() in str(name).casefold() for name in (one.name, *_account_names(one)))
            ],
            most,
        )

    def _listing(self, nodes: Sequence[Node], most: int) -> Listing:
        shown = sorted((node for node in nodes if not node.hidden), key=lambda node: node.name.casefold())
        found = [Located(node.name, node.anchor, node.object_type, self.directory.dn(node)) for node in shown[:most]]
        return Listing(tuple(found), more=len(shown) > most)

    async def schema(self, object_types: Sequence[str]) -> list[ObjectDefinition]:
        """Name the attributes that some entry of the type has."""
        nodes = self.directory.nodes.values()
        return [
            ObjectDefinition(kind, tuple(AttributeDefinition(name) for name in sorted(found, key=str.lower)))
            for kind in object_types
            if (found := {name for node in nodes if node.object_type == kind for name in node.attributes})
        ]

    async def check(self) -> CheckReport:
        """Nothing can be wrong with memory."""
        return CheckReport((Finding("memory", "pass", f"{len(self.directory.nodes)} entries."),))


def _account_names(node: Node) -> tuple[str | bytes, ...]:
    return (*node.attributes.get("userPrincipalName", ()), *node.attributes.get("sAMAccountName", ()))


def _container(node: Node) -> Container:
    return Container(node.anchor, node.container or None, node.name, deleted=node.deleted)
