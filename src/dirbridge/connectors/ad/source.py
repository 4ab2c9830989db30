"""Active Directory as a source: the first room of the walk.

Called by the agent's executor, which sends the pages on. It keeps no state between calls but the memory of a refused
account, and of how the servers were (`servers`): everything else stands in the watermark.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from uuid import UUID

from dirbridge.connectors.ad import browsing, checking, live_schema, locating
from dirbridge.connectors.ad.directory import Directory
from dirbridge.connectors.ad.entries import Plan
from dirbridge.connectors.ad.reading import Reading
from dirbridge.connectors.ad.servers import Servers
from dirbridge.connectors.ad.settings import Settings
from dirbridge.connectors.ldap_wire.signing_in import SigningIn
from dirbridge.contract.entry import (
    ChangePage,
    Selection,
    Watermark,
)
from dirbridge.contract.errors import ConfigurationError, DirbridgeError, WatermarkExpired
from dirbridge.contract.schema import ObjectDefinition
from dirbridge.contract.wire import PAGE_ENTRIES, CheckReport, Finding, Listing, Located

logger = logging.getLogger(__name__)

MOVE_AFTER = 600.0
"""Seconds for which changes must have been read at other domain controllers before one of those is listened to."""


class ActiveDirectorySource:
    """A domain, read by DirSync with the rights of an ordinary account.

    Args:
        settings: of the domain.
        page_entries: entries in a page, at most.
        clock: seconds that only ever rise; for the memory of a refused account.
    """

    def __init__(
        self, settings: Settings, *, page_entries: int = PAGE_ENTRIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._page_entries = page_entries
        self._clock = clock
        self._signing_in = SigningIn(settings, clock)
        self._servers = Servers(settings, clock)
        self._read_at: dict[str, float] = {}

    async def changes(self, selection: Selection, since: Watermark | None) -> AsyncGenerator[ChangePage, None]:
        """Stream what changed since a watermark, or everything.

        A full read takes its entries from DirSync's own answer. Of a change DirSync tells fragments only: the entries
        are read again, but for memberships, whose values that came and went are all there is to tell.

        Without the right to list deleted objects a delta would be silent about deletes, so it is refused unless the
        settings allow it; deletes are then found by comparing full reads.

        Raises:
            ConfigurationError: `NoRightOnDeletedObjects` among others.
            WatermarkExpired: only a full read leads on.
        """
        plan = Plan(self._settings, selection)
        if since is None:
            directory = await self._open()
            async with directory, aclosing(self._changes_at(directory, plan).everything()) as stream:
                async for page in stream:
                    yield page
            return
        async with aclosing(self._since(plan, since)) as stream:
            async for page in stream:
                yield page

    async def _since(self, plan: Plan, since: Watermark) -> AsyncGenerator[ChangePage, None]:
        """Read on where the reading stands; at the server that is preferred to it, where that one takes the position.

        One that does not is no reason to read everything: the reading stays where it is.
        """
        preferred = await self._signing_in.open(lambda: self._servers.preferred_to(since.replica))
        if preferred is not None:
            begun = False
            async with preferred, aclosing(self._changes_at(preferred, plan).since(since)) as stream:
                try:
                    async for page in stream:
                        begun = True
                        yield page
                    return
                except WatermarkExpired as error:
                    if begun:
                        raise
                    logger.info("%s is read where it was: %s", self._settings.name, error.reason)
                    self._servers.stay(preferred, since.replica)
        directory = await self._open(since.replica)
        async with directory, aclosing(self._changes_at(directory, plan).since(since)) as stream:
            async for page in stream:
                yield page

    def _changes_at(self, directory: Directory, plan: Plan) -> Reading:
        self._read_at[directory.facts.replica] = self._clock()
        return self._reading(plan, directory)

    def _reading(self, plan: Plan, directory: Directory) -> Reading:
        return Reading(self._settings, plan, directory, self._page_entries)

    async def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncGenerator[ChangePage, None]:
        """Read anchors afresh: each comes back as entry, container, tombstone or not visible; memberships whole."""
        async with aclosing(self.read_at("", selection, anchors)) as stream:
            async for page in stream:
                yield page

    async def read_at(
        self, replica: str, selection: Selection, anchors: Sequence[str]
    ) -> AsyncGenerator[ChangePage, None]:
        """Read anchors afresh at the domain controller at which a reading of changes stands."""
        plan = Plan(self._settings, selection)
        async with await self._open(replica) as directory:
            stream = self._reading(plan, directory).again([str(UUID(anchor)) for anchor in anchors])
            async with aclosing(stream):
                async for page in stream:
                    yield page

    async def containers(self, below: str | None = None) -> AsyncGenerator[ChangePage, None]:
        """List the containers below one, itself included; all of the domain where it is None."""
        plan = Plan(self._settings, Selection({}))
        async with await self._open() as directory:
            stream = self._reading(plan, directory).tree(str(UUID(below)) if below else None)
            async with aclosing(stream):
                async for page in stream:
                    yield page

    async def locate(self, names: Sequence[str]) -> Sequence[Located]:
        """Find what names stand for: distinguished name, user principal name, sAMAccountName or GUID."""
        async with await self._open() as directory:
            return await locating.locate(self._settings, directory, names)

    async def browse(self, below: str | None) -> Listing:
        """List the containers directly in one; the head of the domain where it is None."""
        async with await self._open() as directory:
            return await browsing.browse(self._settings, directory, below)

    async def search(self, text: str, object_types: Sequence[str], most: int) -> Listing:
        """Find entries of these types, or containers, by a part of their name."""
        async with await self._open() as directory:
            return await browsing.search(self._settings, directory, text, object_types, most)

    async def schema(self, object_types: Sequence[str]) -> Sequence[ObjectDefinition]:
        """Give the attributes that entries of these types may have and that may leave this host."""
        async with await self._open() as directory:
            return await live_schema.read(self._settings, directory, object_types)

    async def watch(self) -> AsyncGenerator[None, None]:
        """Listen at the domain controller that jobs read: what another one tells may not have come there yet."""
        if not self._settings.change_notification:
            raise ConfigurationError(
                f"The settings of {self._settings.name} say not to listen for changes.",
                code="NotificationOff",
                recommended_action="Set `change_notification` to true if changes shall come at once.",
            )
        while True:
            patience = MOVE_AFTER if self._read_at else 0.0
            async with await self._open(self._latest()) as directory, aclosing(directory.listen()) as changes:
                began = self._clock()
                async for is_news in changes:
                    if is_news:
                        yield
                    elif self._reads_elsewhere(directory.facts.replica, began, patience):
                        break
                else:
                    return

    def _latest(self) -> str:
        """The domain controller that was read last; empty where none was."""
        return max(self._read_at, key=self._read_at.__getitem__, default="")

    def _reads_elsewhere(self, replica: str, since: float, patience: float) -> bool:
        """Whether changes have been read for so many seconds, and none of them here."""
        here, latest = self._read_at.get(replica, since), self._read_at.get(self._latest(), since)
        return latest - max(here, since) > patience

    async def check(self) -> CheckReport:
        """Prove that the directory can be read, deleted objects included."""
        findings: list[Finding] = []
        try:
            async with await self._open() as directory:
                facts = directory.facts
                findings.append(
                    Finding(
                        "connection",
                        "pass",
                        f"Connected to {facts.replica.partition('|')[0]} as {self._settings.user}.",
                    )
                )
                findings += [one async for one in checking.examine(self._settings, directory)]
        except DirbridgeError as error:
            findings.append(Finding("connection", "fail", error.reason, error.recommended_action, error.code))
        return CheckReport(tuple(findings))

    async def _open(self, replica: str = "") -> Directory:
        servers = self._servers
        return await self._signing_in.open(lambda: servers.of(replica) if replica else servers.any())
