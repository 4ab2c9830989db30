"""One call of the source, on one server: what it reads becomes pages.

Used by `source`. What counts as evidence of a delete: docs/decisions/0031-deletes-of-ldap.md.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing

from dirbridge.connectors import paging
from dirbridge.connectors.ldap import entries, schema, watermark
from dirbridge.connectors.ldap.directory import Directory
from dirbridge.connectors.ldap.entries import Plan
from dirbridge.connectors.ldap.settings import Settings
from dirbridge.connectors.ldap_wire.connection import Found
from dirbridge.connectors.ldap_wire.values import text
from dirbridge.connectors.paging import FillingPage
from dirbridge.contract.entry import BackReferences, ChangePage, Container, Tombstone, Watermark
from dirbridge.contract.errors import ConfigurationError, WatermarkExpired

logger = logging.getLogger(__name__)


class Reading:
    """One call."""

    def __init__(self, settings: Settings, plan: Plan, directory: Directory, page_entries: int) -> None:
        self._settings = settings
        self._plan = plan
        self._directory = directory
        self._page = FillingPage(page_entries)
        self._places: dict[str, str] = {}
        self._sees_all: bool | None = None

    async def everything(self) -> AsyncGenerator[ChangePage, None]:
        """A full read. Groups come with their members at the end, when most names are known."""
        groups: list[str] = []
        cookie = b""
        async with aclosing(self._directory.everything(self._plan.filter, self._plan.attributes)) as stream:
            async for news in stream:
                cookie = news.cookie or cookie
                async for full in self._take(news.found, groups=groups):
                    yield full
        async for found in self._directory.read(groups, self._plan.attributes):
            for one in found:
                async for full in self._members(one):
                    yield full
        yield self._page.finish(watermark=self._watermark(cookie), last=True)

    async def since(self, since: Watermark) -> AsyncGenerator[ChangePage, None]:
        """What changed since a watermark.

        Whoever changed may have another name now, and groups and reports that were there before may name it: who
        refers to it is asked anew. What was deleted is looked up once more.
        """
        position = watermark.unpack(since.position, self._plan.digest)
        facts = self._directory.facts
        if facts.anchor == entries.NS_UNIQUE_ID and facts.replica != since.replica:
            # Each numbers changes by itself, and two that call themselves alike (localhost) take each other's cookies.
            raise WatermarkExpired(f"The watermark is of {since.replica}, and means nothing to {facts.replica}.")
        idle, cookie = True, position.cookie
        gone: dict[str, None] = {}
        stream = self._directory.since(position.cookie, self._plan.filter, self._plan.attributes)
        async with aclosing(stream):
            async for news in stream:
                cookie = news.cookie or cookie
                idle = idle and not news.found and not news.deleted
                gone.update(dict.fromkeys(news.deleted))
                async for full in self._take(news.found, changed=True, asked=True):
                    yield full
        async for full in self._again(list(gone), named=True):
            yield full
        yield self._page.finish(watermark=self._watermark(cookie), idle=idle, last=True)

    async def again(self, anchors: Sequence[str], *, elsewhere: bool = False) -> AsyncGenerator[ChangePage, None]:
        """Anchors read afresh, groups with all of their members.

        Args:
            elsewhere: this is not the server at which the reading of changes stands.
        """
        self._sees_all = False if elsewhere else None
        async for full in self._again(list(dict.fromkeys(anchors)), named=False):
            yield full
        yield self._page.finish(last=True)

    async def tree(self, below: str) -> AsyncGenerator[ChangePage, None]:
        """The containers below one, itself included."""
        async for found in self._directory.read([below], self._plan.attributes):
            for head in found:
                async for some in self._directory.below(head[0], self._plan.filter, self._plan.attributes):
                    async for full in self._take(some):
                        yield full
        yield self._page.finish(last=True)

    def _watermark(self, cookie: bytes) -> Watermark:
        position = watermark.Position(cookie, self._plan.digest)
        return Watermark(self._directory.facts.replica, watermark.pack(position))

    async def _again(self, anchors: Sequence[str], *, named: bool) -> AsyncGenerator[ChangePage, None]:
        """Look anchors up; what is not found is deleted where there is evidence of it.

        Evidence is that the server named it as deleted, or that this account sees the whole directory and the server
        answers questions by anchor: then what it does not give does not exist.

        Args:
            named: the server named these as deleted.
        """
        missing = dict.fromkeys(anchors)
        async for found in self._directory.read(anchors, self._plan.attributes):
            for one in found:
                missing.pop(self._plan.anchor(one), None)
            async for full in self._take(found, changed=named, asked=True):
                yield full
        for anchor in missing:
            if named or await self._sees_everything():
                self._page.delete(Tombstone(anchor))
                self._page.contain(Container(anchor, None, "", deleted=True))
            else:
                self._page.miss(anchor)
            if self._page.is_full:
                yield self._page.finish()

    async def _sees_everything(self) -> bool:
        if self._sees_all is None:
            gaps = await self._directory.gaps()
            self._sees_all = not gaps
            if gaps:
                logger.warning(
                    "%s sees nothing below %s, where there are entries; what it does not find is not called deleted.",
                    self._settings.user,
                    gaps[0],
                    extra={"event": "view_has_gaps"},
                )
        return self._sees_all

    async def _take(
        self, found: Sequence[Found], *, changed: bool = False, asked: bool = False, groups: list[str] | None = None
    ) -> AsyncGenerator[ChangePage, None]:
        """Hand out entries that exist.

        Args:
            changed: they may have changed their names, so that what lies below, and who refers to them, is read too.
            asked: their anchors may be known, so that those kept back are told of as not visible.
            groups: takes those whose members are read later; where it is None, they are handed out now.
        """
        plan, page = self._plan, self._page
        self._directory.learn(found)
        kinds = [(one, plan.kind(one[1])) for one in found]
        names = await self._directory.resolve(self._referred(kinds))
        for one, kind in kinds:
            if kind is None or plan.hides(one[0]):
                if asked:
                    page.miss(plan.anchor(one))
                continue
            is_head = plan.anchor(one) == self._directory.facts.head
            above = None if is_head else await self._place(one[0])
            if above is None and not is_head:
                continue
            if kind == "container":
                self._places[entries.folded(one[0])] = plan.anchor(one)
                page.contain(plan.container(one, above))
                if changed and not is_head:
                    async for full in self._descendants(one):
                        yield full
                continue
            page.add(plan.entry(kind, one, above, names), _weight(one))
            if plan.has_members(kind):
                if groups is not None:
                    groups.append(plan.anchor(one))
                else:
                    async for full in self._members(one):
                        yield full
            if changed:
                await self._referrers(one)
            if page.is_full:
                yield page.finish()

    def _referred(self, kinds: Iterable[tuple[Found, str | None]]) -> list[str]:
        """The names that entries refer to in short references."""
        wanted = {name.lower() for name in self._plan.references}
        return [
            text(value)
            for one, kind in kinds
            if kind not in {None, "container"}
            for key, values in one[1].items()
            if key.lower() in wanted
            for value in values
        ]

    async def _place(self, name: str) -> str | None:
        """The anchor of the entry above, which is handed out as a container; None where the entry itself is gone.

        Raises:
            ConfigurationError: the account sees the entry and not what it lies in.
        """
        parent = entries.above(name)
        key = entries.folded(parent)
        if key in self._places:
            return self._places[key]
        found = await self._directory.at(parent)
        if found is None:
            if await self._directory.at(name) is None:
                return None
            raise ConfigurationError(
                f"The account {self._settings.user} may read {name} and not what it lies in.",
                code="ContainerNotReadable",
                recommended_action=f"Give it read access to the whole of {self._settings.base_dn}.",
            )
        anchor = self._plan.anchor(found)
        above = None if anchor == self._directory.facts.head else await self._place(parent)
        self._places[key] = anchor
        self._page.contain(self._plan.container(found, above))
        return anchor

    async def _descendants(self, container: Found) -> AsyncGenerator[ChangePage, None]:
        """All below a container that changed: it may have another name, and they with it."""
        own = self._plan.anchor(container)
        async for found in self._directory.below(container[0], self._plan.filter, self._plan.attributes):
            below = [one for one in found if self._plan.anchor(one) != own]
            async for full in self._take(below):
                yield full

    async def _members(self, one: Found) -> AsyncGenerator[ChangePage, None]:
        """The whole membership of a group, however it lists it."""
        names, uids = entries.member_names(one[1])
        there = await self._directory.resolve(names)
        accounts = await self._directory.accounts(uids) if uids else {}
        found = [there[entries.folded(name)] for name in names] + [accounts.get(uid) for uid in uids]
        anchors = list(dict.fromkeys(anchor for anchor in found if anchor is not None))
        for part in paging.whole_parts(self._plan.anchor(one), schema.MEMBER, anchors):
            self._page.refer([part])
            if self._page.is_full:
                yield self._page.finish()

    async def _referrers(self, one: Found) -> None:
        """Who refers to an entry now: by a name that may be new, or that was there before the entry was.

        A uid that somebody else has too is nobody's from now on: that is told of who had it before.
        """
        uids = entries.uids(one[1]) if "memberUid" in self._plan.memberships else []
        twins: list[Found] = []
        if uids and await self._directory.referrers([("memberUid", uid) for uid in uids]):
            holders = await self._directory.holders(uids)
            uids = [uid for uid in uids if len(holders.get(uid, {})) < 2]
            own = self._plan.anchor(one)
            others = {anchor: found for some in holders.values() for anchor, found in some.items() if anchor != own}
            twins = [found for found in others.values() if not self._plan.hides(found[0])]
        await self._refer_back(one, uids)
        for twin in twins:
            holders = await self._directory.holders(entries.uids(twin[1]))
            await self._refer_back(twin, [uid for uid, some in holders.items() if len(some) < 2])

    async def _refer_back(self, one: Found, uids: Sequence[str]) -> None:
        """Say who refers to an entry, by its name or by these uids."""
        anchor, plan = self._plan.anchor(one), self._plan
        conditions = [(name, one[0]) for name in plan.memberships if name != "memberUid"]
        conditions += [("memberUid", uid) for uid in uids]
        asked = {schema.MEMBER: conditions} | {name: [(name, one[0])] for name in plan.references}
        for attribute, some in asked.items():
            if some:
                owners = [found for found in await self._directory.referrers(some) if not plan.hides(found[0])]
                self._page.refer_back(BackReferences(anchor, attribute, tuple(map(plan.anchor, owners))))


def _weight(one: Found) -> int:
    return sum([len(value) for values in one[1].values() for value in values])
