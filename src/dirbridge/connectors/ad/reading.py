"""One call of the source, on one domain controller: what DirSync tells, made whole, page by page.

`source` opens the directory and begins; nothing is kept when the call is over.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import TypeVar

from dirbridge.connectors import paging
from dirbridge.connectors.ad import checking, dirsync, entries, watermark
from dirbridge.connectors.ad.directory import EMPTY_ANSWERS, Directory, Vanished
from dirbridge.connectors.ad.entries import Plan
from dirbridge.connectors.ad.settings import Settings
from dirbridge.connectors.ldap_wire.connection import Found
from dirbridge.connectors.paging import FillingPage
from dirbridge.contract.entry import (
    BackReferences,
    ChangePage,
    Container,
    ReferenceDelta,
    Tombstone,
    Watermark,
)
from dirbridge.contract.errors import TransientError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Reading:
    """One call of the source, on one domain controller."""

    def __init__(self, settings: Settings, plan: Plan, directory: Directory, page_entries: int) -> None:
        self._settings = settings
        self._plan = plan
        self._directory = directory
        self._page_entries = page_entries
        self._page = FillingPage(page_entries)

    async def everything(self) -> AsyncGenerator[ChangePage, None]:
        """A full read: DirSync from the beginning. What was deleted is not part of what is.

        Windows cuts it into answers, and the directory changes between them: what an answer tells of an entry that an
        earlier one showed is told nowhere else.
        """
        plan, page = self._plan, self._page
        # A server may send a group in several entries; only with the answer's end is its list complete.
        owners: dict[tuple[str, str], int] = {}
        left: dict[tuple[str, str], dict[str, None]] = {}
        page.estimate = await self._directory.estimate()
        cookie, later = b"", False
        async with aclosing(self._answers(cookie)) as answers:
            async for found, ending in answers:
                live = [one for one in found if not entries.is_deleted(one[1]) and not plan.hides(one[0])]
                kinds = [plan.kind(one[1]) for one in live]
                groups = await self._primary_groups(live, kinds)
                for one, kind, group in zip(live, kinds, groups, strict=True):
                    if kind == "container":
                        page.contain(entries.container(one))
                    elif kind is not None:
                        page.add(plan.entry(kind, one, group, replicated_only=True), _weight(one))
                    if kind != "container" and (kind is None or plan.memberships_of(kind)):
                        for part in self._first_members(one, kind, owners):
                            page.refer([part])
                            if self._page.is_full:
                                yield page.finish()
                    if self._page.is_full:
                        yield page.finish()
                if later:
                    self._note_members_that_left(live, left)
                    async with aclosing(self._meanwhile(found)) as pages:
                        async for full in pages:
                            yield full
                if ending is not None:
                    cookie, later = ending.cookie, True
        for (owner, attribute), number in owners.items():
            page.refer([ReferenceDelta(owner, attribute, whole=True, part=number)])
            if gone := left.get((owner, attribute)):
                page.refer(paging.parts(owner, attribute, [], list(gone)))
            if len(page.references) >= self._page_entries:
                yield page.finish()
        yield page.finish(watermark=self._watermark(cookie), last=True)

    async def since(self, since: Watermark) -> AsyncGenerator[ChangePage, None]:
        """What changed since a watermark."""
        facts = self._directory.facts
        position = watermark.unpack(since.position)
        watermark.verify(
            position,
            now=facts.now,
            usn=facts.usn,
            same_replica=facts.replica == since.replica,
            digest=self._plan.digest,
            age=facts.tombstone_lifetime / 2,
        )
        if not facts.lists_deleted and not self._settings.allow_without_deleted_objects:
            raise checking.no_right(self._settings)
        idle, cookie = True, position.cookie
        gathered: list[Found] = []
        async with aclosing(self._answers(cookie)) as answers:
            async for found, ending in answers:
                idle = idle and not found
                gathered += found
                while len(gathered) >= self._page_entries or (ending is not None and gathered):
                    some, gathered = gathered[: self._page_entries], gathered[self._page_entries :]
                    async with aclosing(self._changed(some)) as pages:
                        async for page in pages:
                            yield page
                if ending is not None:
                    cookie = ending.cookie
                    if ending.more:
                        yield self._page.finish(watermark=self._watermark(cookie))
        yield self._page.finish(watermark=self._watermark(cookie), idle=idle, last=True)

    async def again(self, anchors: Sequence[str]) -> AsyncGenerator[ChangePage, None]:
        """Anchors read afresh, groups with all of their members."""
        async with aclosing(self._reread(dict.fromkeys(anchors, None), members=True)) as pages:
            async for page in pages:
                yield page
        yield self._page.finish(last=True)

    async def tree(self, below: str | None) -> AsyncGenerator[ChangePage, None]:
        """The containers below one, or all."""
        plan, page = self._plan, self._page
        if below is None:
            async with aclosing(self._answers(b"")) as answers:
                async for found, _ in answers:
                    for one in found:
                        self._contain(one)
                        if self._page.is_full:
                            yield page.finish()
        else:
            async for found in self._directory.below(below, plan.filter, plan.whole):
                for one in found:
                    self._contain(one)
                    if self._page.is_full:
                        yield page.finish()
        yield page.finish(last=True)

    def _contain(self, one: Found) -> None:
        plan = self._plan
        if plan.kind(one[1]) == "container" and not entries.is_deleted(one[1]) and not plan.hides(one[0]):
            self._page.contain(entries.container(one))

    def _watermark(self, cookie: bytes) -> Watermark:
        facts = self._directory.facts
        position = watermark.Position(cookie, facts.now, facts.usn, self._plan.digest)
        return Watermark(facts.replica, watermark.pack(position))

    async def _answers(self, cookie: bytes) -> AsyncGenerator[tuple[list[Found], dirsync.Answer | None], None]:
        """DirSync's answers, one after the other, until it has no more."""
        empty = 0
        while True:
            some = False
            ending: dirsync.Answer | None = None
            async with aclosing(self._directory.answer(cookie, self._plan.filter, self._plan.delta)) as answer:
                async for chunk, ending in answer:
                    some = some or bool(chunk.found)
                    yield chunk.found, ending
            if ending is None or not ending.more:
                return
            empty = 0 if some else empty + 1
            if ending.cookie == cookie or empty >= EMPTY_ANSWERS:
                raise TransientError(
                    f"{self._directory.facts.replica.partition('|')[0]} promises more changes again and again "
                    "and does not get on.",
                    code="NoProgress",
                    recommended_action="Look into the domain controller's log; a restart of the job reads afresh.",
                )
            cookie = ending.cookie

    def _first_members(
        self, one: Found, kind: str | None, owners: dict[tuple[str, str], int]
    ) -> Iterator[ReferenceDelta]:
        """Hand out the members in an entry of a full read, leaving the list's end open."""
        owner = entries.anchor_of(one)
        for attribute in self._plan.memberships_of(kind) if kind is not None else ():
            owners.setdefault((owner, attribute), 0)
        for attribute, added, _ in self._plan.changed_members(one[1]):
            first = owners.get((owner, attribute), 0)
            if not added:
                continue
            for part in paging.whole_parts(owner, attribute, added, first=first, end=False):
                owners[owner, attribute] = part.part + 1
                yield part

    def _note_members_that_left(self, found: Sequence[Found], left: dict[tuple[str, str], dict[str, None]]) -> None:
        """Keep which members a later answer of a full read takes away from what an earlier one gave."""
        for one in found:
            for attribute, added, removed in self._plan.changed_members(one[1]):
                known = left.setdefault((entries.anchor_of(one), attribute), {})
                for anchor in added:
                    known.pop(anchor, None)
                known.update(dict.fromkeys(removed))

    async def _meanwhile(self, found: Sequence[Found]) -> AsyncGenerator[ChangePage, None]:
        """What a later answer of a full read tells of entries that an earlier one showed: deletes and fragments."""
        plan, page = self._plan, self._page
        fragments: dict[str, Found] = {}
        for one in found:
            if entries.is_deleted(one[1]):
                self._deleted(one)
            elif not (one[1].get("objectClass") or plan.only_members_changed(one[1]) or plan.hides(one[0])):
                fragments[entries.anchor_of(one)] = one
            if self._page.is_full:
                yield page.finish()
        moved = []
        # What is not found was deleted since: a later answer, or the next changes, tell of it.
        async for again in self._directory.read(fragments, plan.whole):
            groups = await self._primary_groups(again, [plan.kind(one[1]) for one in again])
            for one, group in zip(again, groups, strict=True):
                kind, anchor = plan.kind(one[1]), entries.anchor_of(one)
                if kind == "container":
                    page.contain(entries.container(one))
                    moved += [anchor] if entries.was_moved(fragments[anchor][1]) else []
                elif kind is not None:
                    page.add(plan.entry(kind, one, group), _weight(one))
                if self._page.is_full:
                    yield page.finish()
        for anchor in moved:
            # Members stand open until the answer's end; a whole list in between would close them.
            async for full in self._descendants(anchor, members=False):
                yield full

    async def _primary_groups(self, found: Sequence[Found], kinds: Sequence[str | None]) -> list[str | None]:
        """The primary group of each entry; None for what has none, or none that can be read."""
        sids = [
            entries.primary_group_sid(one[1]) if kind in entries.PEOPLE else None
            for one, kind in zip(found, kinds, strict=True)
        ]
        groups = await self._directory.primary_groups({sid for sid in sids if sid is not None})
        return [groups.get(sid) if sid is not None else None for sid in sids]

    async def _changed(self, found: Sequence[Found]) -> AsyncGenerator[ChangePage, None]:
        """Some entries of a delta: read again what is not told whole, and hand out the members that came and went."""
        plan, page = self._plan, self._page
        again: dict[str, Found | None] = {}
        gone: dict[str, Found] = {}
        for one in found:
            anchor, values = entries.anchor_of(one), one[1]
            if entries.is_deleted(values):
                gone[anchor] = one
            elif plan.hides(one[0]) and not entries.was_moved(values):
                page.miss(anchor)
            elif not plan.only_members_changed(values):
                again[anchor] = _joined(again.get(anchor), one)
        stream = self._reread(again, gone=gone)
        async with aclosing(stream):
            async for full in stream:
                yield full
        for one in found:
            anchor = entries.anchor_of(one)
            if anchor in gone or plan.hides(one[0]) or entries.was_reanimated(one[1]):
                continue
            for attribute, added, removed in plan.changed_members(one[1]):
                for part in paging.parts(anchor, attribute, added, removed):
                    page.refer([part])
                    if self._page.is_full:
                        yield page.finish()

    async def _reread(
        self,
        anchors: dict[str, Found | None],
        *,
        gone: dict[str, Found] | None = None,
        members: bool = False,
    ) -> AsyncGenerator[ChangePage, None]:
        """Read entries again; what is not found is asked for once more among the deleted.

        Args:
            anchors: what DirSync told of them; None where it told nothing.
            gone: what DirSync reported as deleted. members: hand out the memberships whole.
        """
        plan, page, directory = self._plan, self._page, self._directory
        missing = dict(anchors)
        async for found in directory.read(anchors, plan.whole):
            groups = await self._primary_groups(found, [plan.kind(one[1]) for one in found])
            for one, group in zip(found, groups, strict=True):
                told = missing.pop(entries.anchor_of(one), None)
                stream = self._live(one, told, group, members=members)
                async with aclosing(stream):
                    async for full in stream:
                        yield full
        gone = gone or {}
        unseen = {**dict.fromkeys(missing), **dict.fromkeys(gone)}
        async for found in directory.read(unseen, plan.whole, deleted=True):
            for one in found:
                unseen.pop(entries.anchor_of(one), None)
                if entries.is_deleted(one[1]):
                    self._deleted(one)
                else:  # it came back while we were reading
                    (group,) = await self._primary_groups([one], [plan.kind(one[1])])
                    stream = self._live(one, None, group, members=True, reanimated=True)
                    async with aclosing(stream):
                        async for full in stream:
                            yield full
                if self._page.is_full:
                    yield page.finish()
        for anchor in unseen:
            if anchor in gone:  # DirSync saw its tombstone, which is evidence enough
                self._deleted(gone[anchor])
            else:
                page.miss(anchor)
            if self._page.is_full:
                yield page.finish()

    async def _live(
        self,
        one: Found,
        told: Found | None,
        group: str | None,
        *,
        members: bool,
        reanimated: bool = False,
    ) -> AsyncGenerator[ChangePage, None]:
        """An entry that exists, with whatever its change brings with it."""
        plan, page = self._plan, self._page
        anchor, kind = entries.anchor_of(one), plan.kind(one[1])
        reanimated = reanimated or (told is not None and entries.was_reanimated(told[1]))
        moved = told is not None and entries.was_moved(told[1])
        if kind is None or plan.hides(one[0]):
            # Computers and their like were never ours; hidden ones must not be taken for deleted.
            if told is None or kind is not None:
                page.miss(anchor)
            if kind == "container" and moved:
                async for full in self._descendants(anchor):
                    yield full
            return
        if kind == "container":
            page.contain(entries.container(one))
            if reanimated or moved:
                async for full in self._descendants(anchor):
                    yield full
        else:
            page.add(plan.entry(kind, one, group), _weight(one))
            # What comes out of a container that the agent's own filter keeps back was never told of.
            if members or reanimated or (moved and self._settings.exclude_containers):
                async for full in self._members(anchor, kind):
                    yield full
            if reanimated:
                await self._referrers(anchor)
        if self._page.is_full:
            yield page.finish()

    def _deleted(self, one: Found) -> None:
        kind = self._plan.kind(one[1])
        if kind == "container":
            self._page.contain(Container(entries.anchor_of(one), None, entries.tombstone(one, "").name, deleted=True))
        elif kind is None and one[1].get("objectClass"):
            self._page.miss(entries.anchor_of(one))
        elif self._plan.hid(one[1]):
            # It may have been elsewhere before, so its deletion counts; its name stays here.
            self._page.delete(Tombstone(entries.anchor_of(one), object_type=kind or ""))
        else:
            self._page.delete(entries.tombstone(one, kind or ""))

    async def _descendants(self, anchor: str, *, members: bool = True) -> AsyncGenerator[ChangePage, None]:
        """All entries below a container that was renamed or moved: their own names have changed with it.

        They may have been kept back by the agent's own filter until now; then nothing was told of them, of the
        containers between, or of the groups' `members`.
        """
        plan, page = self._plan, self._page
        owners: list[tuple[str, str]] = []
        async for found in self._while_it_exists(self._directory.below(anchor, plan.filter, plan.whole)):
            kinds = [plan.kind(one[1]) for one in found]
            groups = await self._primary_groups(found, kinds)
            for one, kind, group in zip(found, kinds, groups, strict=True):
                if kind is None:
                    continue
                if plan.hides(one[0]):
                    page.miss(entries.anchor_of(one))
                elif kind == "container":
                    page.contain(entries.container(one))
                else:
                    page.add(plan.entry(kind, one, group), _weight(one))
                    if members and self._settings.exclude_containers and plan.memberships_of(kind):
                        owners.append((entries.anchor_of(one), kind))
                if self._page.is_full:
                    yield page.finish()
        for anchor_of_group, kind in owners:
            async for full in self._members(anchor_of_group, kind):
                yield full

    @staticmethod
    async def _while_it_exists(stream: AsyncIterator[T]) -> AsyncGenerator[T, None]:
        """End a stream quietly when its entry is deleted meanwhile: the next changes tell."""
        try:
            async for one in stream:
                yield one
        except Vanished as error:
            logger.debug("%s", error.reason)

    async def _members(self, anchor: str, kind: str) -> AsyncGenerator[ChangePage, None]:
        """The whole memberships of an entry."""
        for attribute in self._plan.memberships_of(kind):
            number = 0
            async for piece in self._while_it_exists(self._directory.values(anchor, attribute)):
                number = 0 if piece.first else number
                made = list(paging.whole_parts(anchor, attribute, piece.values, first=number, end=piece.end))
                number += len(made)
                self._page.refer(made)
                if self._page.is_full:
                    yield self._page.finish()

    async def _referrers(self, anchor: str) -> None:
        """Who refers to an entry that came back: a deletion took the references along, silently."""
        for attribute in (*self._plan.memberships, *self._plan.references):
            link = entries.BACK_LINKS.get(attribute)
            if link is None:
                continue
            owners: list[str] = []
            async for piece in self._while_it_exists(self._directory.values(anchor, link)):
                owners = piece.values if piece.first else owners + piece.values
            self._page.refer_back(BackReferences(anchor, attribute, tuple(owners)))


def _joined(earlier: Found | None, later: Found) -> Found:
    """What two parts of a delta told of one entry."""
    return later if earlier is None else (later[0], {**earlier[1], **later[1]})


def _weight(one: Found) -> int:
    return sum([len(value) for values in one[1].values() for value in values])
