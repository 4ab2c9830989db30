"""An LDAP directory as a source: the first room of the walk.

Called by the agent's executor, which sends the pages on. It keeps no state between calls but the memory of a refused
account, and how far it has seen the directory: everything else stands in the watermark.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from uuid import UUID

from dirbridge.connectors.ldap import browsing, checking, live_schema, locating, syncrepl, watermark
from dirbridge.connectors.ldap.directory import Directory
from dirbridge.connectors.ldap.entries import Plan
from dirbridge.connectors.ldap.reading import Reading
from dirbridge.connectors.ldap.settings import Settings
from dirbridge.connectors.ldap_wire.signing_in import SigningIn
from dirbridge.contract.entry import ChangePage, Selection, Watermark
from dirbridge.contract.errors import ConfigurationError, DirbridgeError
from dirbridge.contract.schema import ObjectDefinition
from dirbridge.contract.wire import PAGE_ENTRIES, CheckReport, Finding, Listing, Located


class LdapSource:
    """A directory, read by syncrepl with the rights of an ordinary account.

    Args:
        settings: of the directory.
        page_entries: entries in a page, at most.
        clock: seconds that only ever rise; for the memory of a refused account.
    """

    def __init__(
        self, settings: Settings, *, page_entries: int = PAGE_ENTRIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._page_entries = page_entries
        self._signing_in = SigningIn(settings, clock)
        self._positions: dict[str, str] = {}

    async def changes(self, selection: Selection, since: Watermark | None) -> AsyncGenerator[ChangePage, None]:
        """Stream what changed since a watermark, or everything.

        Raises:
            WatermarkExpired: only a full read leads on; always so where the server has no syncrepl.
            TransientError: `DirectoryBehind` where the server has not yet what was read before.
        """
        async with await self._open(since.replica if since else "", since) as directory:
            reading = self._reading(directory, selection)
            stream = reading.everything() if since is None else reading.since(since)
            async with aclosing(stream):
                async for page in stream:
                    yield page

    async def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncGenerator[ChangePage, None]:
        """Read anchors afresh: each comes back as entry, container, tombstone or not visible; memberships whole."""
        async with aclosing(self.read_at("", selection, anchors)) as stream:
            async for page in stream:
                yield page

    async def read_at(
        self, replica: str, selection: Selection, anchors: Sequence[str]
    ) -> AsyncGenerator[ChangePage, None]:
        """Read anchors afresh at the server at which a reading of changes stands.

        Where another one answers in its place, what that one does not find is not visible: it may not have it yet.
        """
        async with await self._open(replica) as directory:
            elsewhere = replica not in {"", directory.facts.replica}
            stream = self._reading(directory, selection).again(
                [str(UUID(anchor)) for anchor in anchors], elsewhere=elsewhere
            )
            async with aclosing(stream):
                async for page in stream:
                    yield page

    async def containers(self, below: str | None = None) -> AsyncGenerator[ChangePage, None]:
        """List the containers below one, itself included; all of the directory where it is None."""
        async with await self._open() as directory:
            head = str(UUID(below)) if below else directory.facts.head
            stream = self._reading(directory, Selection({})).tree(head)
            async with aclosing(stream):
                async for page in stream:
                    yield page

    async def locate(self, names: Sequence[str]) -> Sequence[Located]:
        """Find what names stand for: distinguished name, uid, mail, cn or entryUUID."""
        async with await self._open() as directory:
            return await locating.locate(self._settings, directory, names)

    async def browse(self, below: str | None) -> Listing:
        """List the containers directly in one; the head of the directory where it is None."""
        async with await self._open() as directory:
            return await browsing.browse(self._settings, directory, below)

    async def search(self, text: str, object_types: Sequence[str], most: int) -> Listing:
        """Find entries of these types, or containers, by a part of their name."""
        async with await self._open() as directory:
            return await browsing.search(self._settings, directory, text, object_types, most)

    async def schema(self, object_types: Sequence[str]) -> Sequence[ObjectDefinition]:
        """Give the attributes that entries of these types may have and that may leave this host."""
        async with await self._open() as directory:
            return live_schema.define(self._settings, await directory.schema(), object_types)

    async def check(self) -> CheckReport:
        """Prove that the directory can be read, changes included, and that the account sees all of it."""
        try:
            async with await self._open() as directory:
                return CheckReport(tuple(await checking.findings(self._settings, directory)))
        except DirbridgeError as error:
            return CheckReport((Finding("connection", "fail", error.reason, error.recommended_action, error.code),))

    async def watch(self) -> AsyncGenerator[None, None]:
        """Listen by syncrepl's refreshAndPersist on a connection of its own.

        Raises:
            ConfigurationError: `NotificationUnsupported` where the server has no syncrepl.
        """
        async with await self._open() as directory:
            if not directory.facts.synchronizes:
                raise ConfigurationError(
                    f"{directory.facts.replica} has no content synchronization (syncrepl), so it tells of no changes.",
                    code="NotificationUnsupported",
                    recommended_action="Nothing has to be done: changes are looked for at the job's interval.",
                )
            async with aclosing(directory.listen()) as news:
                async for is_news in news:
                    if is_news:
                        yield

    def _reading(self, directory: Directory, selection: Selection) -> Reading:
        plan = Plan(self._settings, selection, directory.facts.anchor)
        return Reading(self._settings, plan, directory, self._page_entries)

    async def _open(self, prefer: str = "", since: Watermark | None = None) -> Directory:
        """Connect, to a server that is not behind what was seen before: what it lacks would look like deletes."""
        read_to = syncrepl.positions(watermark.cookie(since.position)) if since is not None else {}
        directory = await self._signing_in.open(
            lambda: Directory.open(self._settings, prefer, seen=self._positions, read_to=read_to)
        )
        for id, number in directory.facts.positions.items():
            self._positions[id] = max(number, self._positions.get(id, ""))
        return directory
