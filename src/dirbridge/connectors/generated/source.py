"""Reads a made-up directory, page by page, by the same rules as a real one."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence

from dirbridge.connectors.generated.directory import CONTAINER, GROUP, USER, Directory
from dirbridge.connectors.generated.settings import Settings
from dirbridge.contract.entry import ChangePage, Entry, ReferenceDelta, Selection, Watermark
from dirbridge.contract.errors import ConfigurationError, WatermarkExpired
from dirbridge.contract.schema import AttributeDefinition, ObjectDefinition
from dirbridge.contract.wire import PAGE_ENTRIES, CheckReport, Finding, Listing, Located

LOOK = 0.02
"""Seconds between two looks at whether the revision file was written."""
PART = 5000
"""Members in one part of a membership list."""


class GeneratedSource:
    """A `Source` over a made-up directory."""

    def __init__(self, settings: Settings, page_entries: int = PAGE_ENTRIES) -> None:
        self._settings = settings
        self._page_entries = page_entries
        shape = settings.model_dump_json(
            include={"name", "users", "groups", "members", "largest", "duplicates", "seed"}
        )
        self._shape = hashlib.blake2b(shape.encode(), digest_size=8).hexdigest()

    async def changes(self, selection: Selection, since: Watermark | None) -> AsyncGenerator[ChangePage, None]:
        """Stream the whole directory, or what its revisions changed."""
        directory = self._directory()
        watermark = Watermark(f"generated:{self._settings.name}", f"{self._shape}:{directory.revision}".encode())
        if since is None:
            estimate = self._settings.users + self._settings.groups
            for page in self._everything(directory, selection):
                await asyncio.sleep(self._settings.pause)
                yield _with(page, estimate=estimate)
            yield ChangePage(watermark=watermark, last=True, estimate=estimate)
            return
        revision = self._revision_of(since, directory)
        if revision == directory.revision:
            yield ChangePage(watermark=watermark, idle=True, last=True)
            return
        for page in self._changed(directory, selection, revision):
            await asyncio.sleep(self._settings.pause)
            yield page
        yield ChangePage(watermark=watermark, last=True)

    async def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncGenerator[ChangePage, None]:
        """Read anchors afresh."""
        directory = self._directory()
        for begin in range(0, len(anchors), self._page_entries):
            await asyncio.sleep(self._settings.pause)
            yield self._read(directory, selection, anchors[begin : begin + self._page_entries])
        yield ChangePage(last=True)

    async def containers(self, below: str | None = None) -> AsyncGenerator[ChangePage, None]:
        """List the containers below one, or all."""
        found = self._directory().containers()
        yield ChangePage(containers=tuple(node for node in found if below in {None, node.parent}), last=True)

    async def locate(self, names: Sequence[str]) -> list[Located]:
        """Find what names stand for: an anchor, an account name, a user's sign-in name, a container's own name."""
        directory = self._directory()
        return [directory.locate(name) for name in names]

    async def browse(self, below: str | None) -> Listing:
        """List the containers directly in one."""
        directory = self._directory()
        if below is not None and directory.number(below) is None:
            return Listing((), missing=True)
        found = [node for node in directory.containers() if node.parent == below]
        return Listing(tuple(Located(node.name, node.anchor, CONTAINER, node.name) for node in found))

    async def search(self, text: str, object_types: Sequence[str], most: int) -> Listing:
        """Find entries by a part of their name."""
        found = list(itertools.islice(self._directory().named(text, object_types), most + 1))
        return Listing(tuple(found[:most]), more=len(found) > most)

    async def schema(self, object_types: Sequence[str]) -> list[ObjectDefinition]:
        """Name the attributes that made-up entries have."""
        directory = self._directory()
        return [
            ObjectDefinition(kind, tuple(map(AttributeDefinition, directory.attributes(kind))))
            for kind in object_types
            if kind in {USER, GROUP}
        ]

    async def check(self) -> CheckReport:
        """Say what there is."""
        settings = self._settings
        revision = self._directory().revision
        finding = f"{settings.users:,} users and {settings.groups:,} groups at revision {revision}."
        return CheckReport((Finding("directory", "pass", finding),))

    async def watch(self) -> AsyncGenerator[None, None]:
        """Give one item at the beginning, and one whenever the revision file is written."""
        file = self._settings.revision_file
        if file is None or not self._settings.notifies:
            raise ConfigurationError(
                f"The made-up directory {self._settings.name} does not tell of changes.",
                code="NotificationOff",
                recommended_action="Set `notifies` and `revision_file` where it shall.",
            )
        seen = None
        while True:
            written = file.stat().st_mtime_ns if file.exists() else 0
            if written != seen:
                seen = written
                yield
            await asyncio.sleep(LOOK)

    def _directory(self) -> Directory:
        file = self._settings.revision_file
        if file is None or not file.exists():
            return Directory(self._settings, 0)
        text = file.read_text().strip()
        if not text.isdigit():
            raise ConfigurationError(
                f"The revision file {file} holds {text[:40]!r}; a whole number is expected.",
                recommended_action="Write how many changes have happened so far, such as 0.",
            )
        return Directory(self._settings, int(text))

    def _revision_of(self, since: Watermark, directory: Directory) -> int:
        shape, _, revision = since.position.decode("ascii", "replace").partition(":")
        if shape != self._shape or not revision.isdigit() or int(revision) > directory.revision:
            raise WatermarkExpired(
                f"The position {since.position!r} is not one of this directory, which is at {self._shape}:"
                f"{directory.revision}."
            )
        return int(revision)

    def _everything(self, directory: Directory, selection: Selection) -> Iterator[ChangePage]:
        yield ChangePage(containers=directory.containers())
        if USER in selection.attributes:
            make = directory.maker(USER, selection)
            for begin in range(0, self._settings.users, self._page_entries):
                end = min(begin + self._page_entries, self._settings.users)
                yield ChangePage(entries=tuple(make(number) for number in range(begin, end)))
        if GROUP in selection.attributes:
            make = directory.maker(GROUP, selection)
            numbers = range(self._settings.groups)
            yield from self._groups(directory, selection, ((number, make(number)) for number in numbers))

    def _groups(
        self, directory: Directory, selection: Selection, groups: Iterable[tuple[int, Entry]]
    ) -> Iterator[ChangePage]:
        """Give groups with their members, a page whenever it has enough of either."""
        entries: list[Entry] = []
        references: list[ReferenceDelta] = []
        weight = 0
        for number, entry in groups:
            entries.append(entry)
            for part in _parts(directory, selection, number, entry.anchor):
                references.append(part)
                weight += 1 + len(part.added)
                if weight >= 2 * PART or len(entries) >= self._page_entries:
                    yield ChangePage(entries=tuple(entries), references=tuple(references))
                    entries, references, weight = [], [], 0
        if entries or references:
            yield ChangePage(entries=tuple(entries), references=tuple(references))

    def _changed(self, directory: Directory, selection: Selection, since: int) -> Iterator[ChangePage]:
        if USER in selection.attributes:
            make = directory.maker(USER, selection)
            numbers = directory.retitled(since)
            for begin in range(0, len(numbers), self._page_entries):
                yield ChangePage(entries=tuple(make(number) for number in numbers[begin : begin + self._page_entries]))
        if GROUP in selection.attributes and directory.has_left(directory.revision) and not directory.has_left(since):
            yield ChangePage(entries=(directory.maker(GROUP, selection)(0),))
        if "member" in selection.memberships.get(GROUP, ()):
            yield from self._emptied(directory, since)
            moved = sorted(directory.toggled(since))
            for begin in range(0, len(moved), PART):
                part = [(directory.anchor(USER, n), directory.is_member(n)) for n in moved[begin : begin + PART]]
                delta = ReferenceDelta(
                    directory.anchor(GROUP, 0),
                    "member",
                    added=tuple(anchor for anchor, is_member in part if is_member),
                    removed=tuple(anchor for anchor, is_member in part if not is_member),
                )
                yield ChangePage(references=(delta,))

    def _emptied(self, directory: Directory, since: int) -> Iterator[ChangePage]:
        """Tell that the first group lost all its members."""
        if not directory.is_emptied(directory.revision) or directory.is_emptied(since):
            return
        group, gone = directory.anchor(GROUP, 0), tuple(directory.members(0, whatever=True))
        for begin in range(0, len(gone), PART):
            yield ChangePage(references=(ReferenceDelta(group, "member", removed=gone[begin : begin + PART]),))

    def _read(self, directory: Directory, selection: Selection, anchors: Sequence[str]) -> ChangePage:
        entries: list[Entry] = []
        references: list[ReferenceDelta] = []
        not_visible: list[str] = []
        for anchor in anchors:
            found = directory.number(anchor)
            if found is None or found[0] == CONTAINER or found[0] not in selection.attributes:
                not_visible.append(anchor)
                continue
            kind, number = found
            entries.append(directory.maker(kind, selection)(number))
            if kind == GROUP:
                references.extend(_parts(directory, selection, number, anchor))
        return ChangePage(entries=tuple(entries), references=tuple(references), not_visible=tuple(not_visible))


def _parts(directory: Directory, selection: Selection, number: int, anchor: str) -> Iterator[ReferenceDelta]:
    """Give a group's membership list in parts; one at least, so that an empty list is known to be empty."""
    if "member" not in selection.memberships.get(GROUP, ()):
        return
    members = tuple(directory.members(number))
    count = max(1, -(-len(members) // PART))
    for part in range(count):
        yield ReferenceDelta(
            anchor,
            "member",
            added=members[part * PART : (part + 1) * PART],
            whole=True,
            part=part,
            end=part == count - 1,
        )


def _with(page: ChangePage, *, estimate: int) -> ChangePage:
    return ChangePage(entries=page.entries, references=page.references, containers=page.containers, estimate=estimate)
