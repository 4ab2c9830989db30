"""Pages as they fill, and memberships cut into parts: how a source hands out what it read.

Used by the sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dirbridge.contract.entry import (
    BackReferences,
    ChangePage,
    Container,
    Entry,
    ReferenceDelta,
    Tombstone,
    Watermark,
)

PAGE_BYTES = 4 * 1024 * 1024
"""A page is cut when its values exceed this, so that photos do not make it too large to carry."""
PART_VALUES = 5000
"""Anchors in one part of a membership, at most."""


@dataclass(slots=True)
class FillingPage:
    """A page as it fills. An entry appears once, as what was last seen of it.

    Attributes:
        most: entries that it may have.
    """

    most: int
    entries: dict[str, Entry] = field(default_factory=dict)
    deleted: dict[str, Tombstone] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    references: list[ReferenceDelta] = field(default_factory=list)
    back_references: list[BackReferences] = field(default_factory=list)
    not_visible: dict[str, None] = field(default_factory=dict)
    estimate: int | None = None
    size: int = 0
    weight: int = 0

    @property
    def is_full(self) -> bool:
        """It is to be handed out before more is put in."""
        return self.size >= self.most or self.weight >= PAGE_BYTES

    def add(self, entry: Entry, weight: int) -> None:
        self.deleted.pop(entry.anchor, None)
        self.not_visible.pop(entry.anchor, None)
        self.entries[entry.anchor] = entry
        self.size += 1
        self.weight += weight

    def delete(self, tombstone: Tombstone) -> None:
        self.entries.pop(tombstone.anchor, None)
        self.deleted[tombstone.anchor] = tombstone
        self.size += 1

    def contain(self, container: Container) -> None:
        self.containers[container.anchor] = container
        self.size += 1

    def miss(self, anchor: str) -> None:
        self.not_visible[anchor] = None
        self.size += 1

    def refer(self, parts: Iterable[ReferenceDelta]) -> None:
        for part in parts:
            self.references.append(part)
            self.weight += 64 + 37 * (len(part.added) + len(part.removed))

    def refer_back(self, references: BackReferences) -> None:
        self.back_references.append(references)
        self.weight += 64 + 37 * len(references.owners)

    def finish(self, *, watermark: Watermark | None = None, idle: bool = False, last: bool = False) -> ChangePage:
        """Close this page and begin an empty one."""
        page = ChangePage(
            entries=tuple(self.entries.values()),
            deleted=tuple(self.deleted.values()),
            containers=tuple(self.containers.values()),
            references=tuple(self.references),
            back_references=tuple(self.back_references),
            not_visible=tuple(self.not_visible),
            watermark=watermark,
            idle=idle,
            last=last,
            estimate=self.estimate,
        )
        self.entries, self.deleted, self.containers = {}, {}, {}
        self.references, self.back_references, self.not_visible = [], [], {}
        self.size = self.weight = 0
        return page


def parts(owner: str, attribute: str, added: Sequence[str], removed: Sequence[str]) -> Iterator[ReferenceDelta]:
    """Cut values that came and went into parts."""
    at, number = 0, 0
    total = len(added) + len(removed)
    while at < total or number == 0:
        end = at + PART_VALUES
        start_removed = max(0, at - len(added))
        yield ReferenceDelta(
            owner,
            attribute,
            added=tuple(added[at:end]),
            removed=tuple(removed[start_removed : max(0, end - len(added))]),
            part=number,
            end=end >= total,
        )
        at, number = end, number + 1


def whole_parts(
    owner: str, attribute: str, values: Sequence[str], *, first: int = 0, end: bool = True
) -> Iterator[ReferenceDelta]:
    """Cut a list, or a piece of one, into parts that together are the whole."""
    at, number = 0, first
    while at < len(values) or number == first:
        following = at + PART_VALUES
        last = following >= len(values)
        yield ReferenceDelta(
            owner, attribute, added=tuple(values[at:following]), whole=True, part=number, end=end and last
        )
        at, number = following, number + 1
