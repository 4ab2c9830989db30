"""A directory server while it is being read: what it can do, and the questions that are asked of it.

Used by `source`. It opens a second connection to the same server when something must be looked up while an answer
still streams on the first.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from types import MappingProxyType
from typing import NamedTuple

from dirbridge.connectors.ldap import entries, introduction, syncrepl
from dirbridge.connectors.ldap.entries import ENTRY_UUID
from dirbridge.connectors.ldap.introduction import Facts
from dirbridge.connectors.ldap.settings import Settings
from dirbridge.connectors.ldap.syncrepl import Mode, State
from dirbridge.connectors.ldap_wire.connection import (
    BASE,
    ONE_LEVEL,
    SUBTREE,
    Connection,
    Control,
    Found,
    Search,
    Told,
)
from dirbridge.connectors.ldap_wire.values import escaped, text
from dirbridge.contract.errors import (
    ConfigurationError,
    CredentialError,
    DirbridgeError,
    TransientError,
    WatermarkExpired,
)

logger = logging.getLogger(__name__)

TOGETHER = 50
"""Entries asked for in one search."""
PAGE = 500
_NONE: Mapping[str, str] = MappingProxyType({})
ANYTHING = "(objectClass=*)"
LATE = 100
"""Changes that a check asks for once more."""
KNOWN_NAMES = 100_000
"""Anchors by name that are remembered at a time, some 250 bytes each; others are asked for."""

# What a server says of a name at which it has nothing: no entry, another server's, or no name at all.
_NOWHERE = frozenset({"NO_SUCH_OBJECT", "REFERRAL", "INVALID_DN_SYNTAX"})


class News(NamedTuple):
    """A part of an answer about changes, or of everything.

    Attributes:
        found: entries as they are now. deleted: anchors of entries that are gone. changed: anchors of those found.
        cookie: with the last part only.
    """

    found: list[Found]
    deleted: list[str]
    changed: list[str]
    cookie: bytes = b""


class Directory:
    """A session with one server."""

    def __init__(self, settings: Settings, connection: Connection, facts: Facts) -> None:
        self.facts = facts
        self._settings = settings
        self._connection = connection
        self._second: Connection | None = None
        self._names: dict[str, str] = {entries.folded(facts.head_name): facts.head}

    @classmethod
    async def open(
        cls,
        settings: Settings,
        prefer: str = "",
        *,
        seen: Mapping[str, str] = _NONE,
        read_to: Mapping[str, str] = _NONE,
    ) -> Directory:
        """Connect to the preferred server, or to the first that answers and is not behind.

        Args:
            seen: change numbers that servers of this directory had; one that shows none does not have them.
            read_to: those of a position, which may be of an account that saw more of the servers.

        Raises:
            CredentialError: one server refused the account; the others are not asked.
            DirbridgeError: none can be used; the error is the first one's.
        """
        failure: DirbridgeError | None = None
        for server in sorted(settings.servers, key=lambda one: one != prefer):
            try:
                connection = await Connection.open(settings, server)
                try:
                    directory = cls(settings, connection, await introduction.introduce(settings, connection))
                    if directory.lacks(seen) or (directory.facts.positions and directory.lacks(read_to)):
                        raise _behind(settings, server)
                    return directory
                except BaseException:
                    await connection.close()
                    raise
            except CredentialError:
                raise
            except DirbridgeError as error:
                failure = failure or error
        assert failure is not None
        raise failure

    async def __aenter__(self) -> Directory:  # noqa: PYI034
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._connection.close()
        if self._second is not None:
            await self._second.close()

    async def everything(self, classes: str, attributes: Sequence[str]) -> AsyncGenerator[News, None]:
        """Stream all entries; by syncrepl where there is one, which ends in a cookie."""
        if self.facts.synchronizes:
            async with aclosing(self._refresh(b"", classes, attributes)) as stream:
                async for news in stream:
                    yield news
            return
        question = Search(self._settings.base_dn, SUBTREE, classes, attributes, page=PAGE)
        async with aclosing(self._connection.stream(question)) as chunks:
            async for chunk in chunks:
                _refuse_referrals(self._connection.server, chunk.elsewhere)
                yield News(chunk.found, [], [])

    async def since(self, cookie: bytes, classes: str, attributes: Sequence[str]) -> AsyncGenerator[News, None]:
        """Stream what changed since a cookie.

        Raises:
            WatermarkExpired: the server does not take the cookie, or tells what is still there and not what is gone.
        """
        if not self.facts.synchronizes:
            raise WatermarkExpired(f"{self._connection.server} has no content synchronization (syncrepl) any more.")
        async with aclosing(self._refresh(cookie, classes, attributes)) as stream:
            async for news in stream:
                yield news if self.facts.anchor == ENTRY_UUID else await self._reread(news, attributes)

    async def told_of_late(self) -> tuple[int, int] | None:
        """Count the latest changes that 389-DS has noted, and how many of them it tells; None where it cannot be asked.

        Its cookies are text, so it can be asked as somebody who has read up to a little while ago.
        """
        root = await _search(self._connection, Search("", BASE, attributes=("firstchangenumber", "lastchangenumber")))
        first, last = (
            text((entries.value_of(root[0], name) if root else None) or b"")
            for name in ("firstchangenumber", "lastchangenumber")
        )
        nothing = "(!(objectClass=*))"
        now = [news.cookie async for news in self._refresh(b"", nothing, ("1.1",))][-1]
        asked = now.rpartition(b"#")[0].replace(f":{nothing}".encode(), f":{ANYTHING}".encode())
        if not (first.isdigit() and last.isdigit() and asked.endswith(ANYTHING.encode())) or int(last) < int(first):
            return None
        before = max(int(first), int(last) - LATE + 1) - 1
        cookie = asked + f"#{before}".encode()
        told = [news async for news in self._refresh(cookie, ANYTHING, ("1.1",))]
        return int(last) - before, sum(len(news.found) + len(news.deleted) for news in told)

    async def listen(self) -> AsyncGenerator[bool, None]:
        """Hear of changes as they happen: False when the server says nothing, True for news. It never ends by itself.

        The first True says that listening has begun.
        """
        control = Control(syncrepl.REQUEST, syncrepl.request(Mode.REFRESH_AND_PERSIST, b""))
        question = Search(
            self._settings.base_dn, SUBTREE, attributes=("1.1",), controls=[control], detailed=True, endless=True
        )
        begun = False
        async with aclosing(self._connection.stream(question)) as chunks:
            async for chunk in chunks:
                if begun:
                    yield bool(chunk.told)
                else:
                    begun = any(_info(one).refreshed for one in chunk.told if one.name is None)
                    yield begun
        raise TransientError(f"{self._connection.server} ended what was to go on for ever.", code="ConnectionLost")

    async def read(self, anchors: Iterable[str], attributes: Sequence[str]) -> AsyncIterator[list[Found]]:
        """Look entries up by what identifies them, many in a search; what does not exist is missing from the answer.

        The entry at the head is asked for every time: a server that does not give it does not answer such questions.

        Raises:
            ConfigurationError: the head was not found.
        """
        connection = await self._reader()
        wanted = list(dict.fromkeys(anchors))
        for at in range(0, len(wanted), TOGETHER):
            some = wanted[at : at + TOGETHER]
            asked = [entries.identifier(one, self.facts.anchor) for one in {self.facts.head, *some}]
            found = await self._equal(connection, self.facts.anchor, asked, attributes)
            seen = {anchor: one for one in found if (anchor := self._anchor(one)) is not None}
            if self.facts.head not in seen:
                raise entries.no_anchor(self._settings, self.facts.anchor)
            yield [seen[anchor] for anchor in some if anchor in seen]

    async def at(self, name: str) -> Found | None:
        """Give the entry at a distinguished name, by class and anchor; None where there is none."""
        connection = await self._reader()
        try:
            found = await _search(connection, Search(name, BASE, attributes=("objectClass", self.facts.anchor)))
        except DirbridgeError as error:
            if error.details.get("ldapError") not in _NOWHERE:
                raise
            return None
        return found[0] if found else None

    async def equal(self, attribute: str, value: str, classes: str) -> list[Found]:
        """Find the entries of these classes that have this value."""
        connection = await self._reader()
        query = f"(&{classes}({attribute}={escaped(value.encode())}))"
        return await _search(connection, Search(self._settings.base_dn, SUBTREE, query, (self.facts.anchor,)))

    async def referrers(self, conditions: Sequence[tuple[str, str]]) -> list[Found]:
        """Find the entries that have any of these values."""
        connection = await self._reader()
        alternatives = "".join(f"({attribute}={escaped(value.encode())})" for attribute, value in conditions)
        question = Search(self._settings.base_dn, SUBTREE, f"(|{alternatives})", (self.facts.anchor,))
        return await _search(connection, question)

    async def below(self, name: str, classes: str, attributes: Sequence[str]) -> AsyncIterator[list[Found]]:
        """Stream what lies below a container, and it itself; nothing where it is gone."""
        connection = await self._reader()
        question = Search(name, SUBTREE, classes, attributes, page=PAGE)
        try:
            async with aclosing(connection.stream(question)) as stream:
                async for chunk in stream:
                    _refuse_referrals(connection.server, chunk.elsewhere)
                    yield chunk.found
        except ConfigurationError as error:
            if error.details.get("ldapError") != "NO_SUCH_OBJECT":
                raise
            logger.debug("A container was renamed while it was read: %s", error.reason)

    async def inside(self, name: str, classes: str, attributes: Sequence[str], most: int) -> list[Found]:
        """Give some of what lies directly in a container."""
        question = Search(name, ONE_LEVEL, classes, attributes, page=most, first_page=True)
        return await _search(await self._reader(), question)

    async def some(self, query: str, attributes: Sequence[str], most: int) -> list[Found]:
        """Give some of the directory's entries that a filter finds."""
        question = Search(self._settings.base_dn, SUBTREE, query, attributes, page=most, first_page=True)
        return await _search(await self._reader(), question)

    async def gaps(self) -> list[str]:
        """Name entries that have others below them of which this account sees none: its view is not whole.

        `hasSubordinates` tells what there is, not what the account may read.
        """
        connection = await self._reader()
        parents = await _search(
            connection, Search(self._settings.base_dn, SUBTREE, "(hasSubordinates=TRUE)", ("1.1",), page=PAGE)
        )
        found = []
        for name, _ in parents:
            question = Search(name, ONE_LEVEL, attributes=("1.1",), page=1, first_page=True)
            if not await _search(connection, question):
                found.append(name)
        return found

    async def schema(self) -> Mapping[str, Sequence[bytes]]:
        """Give the definitions of object classes and attribute types that the server publishes."""
        connection = await self._reader()
        root = await _search(connection, Search("", BASE, attributes=("subschemaSubentry",)))
        where = entries.value_of(root[0], "subschemaSubentry") if root else None
        question = Search(text(where or b"cn=schema"), BASE, attributes=("objectClasses", "attributeTypes"))
        found = await _search(connection, question)
        return found[0][1] if found else {}

    def lacks(self, positions: Mapping[str, str]) -> bool:
        """Say whether this server has not yet what another, or it itself, had up to these change numbers."""
        return any(self.facts.positions.get(id, "") < number for id, number in positions.items())

    def learn(self, found: Iterable[Found]) -> None:
        """Remember the anchors of entries by their names."""
        for one in found:
            if (anchor := self._anchor(one)) is not None:
                if len(self._names) >= KNOWN_NAMES:
                    self._names.pop(next(iter(self._names)))
                self._names[entries.folded(one[0])] = anchor

    async def resolve(self, names: Iterable[str]) -> dict[str, str | None]:
        """Find the anchors of entries by their distinguished names, folded; None where there is nothing."""
        found: dict[str, str | None] = {}
        missing: dict[str, str] = {}
        for name in names:
            key = entries.folded(name)
            known = self._names.get(key)
            if known is not None:
                found[key] = known
            else:
                missing[key] = name
        wanted = list(missing)
        for at in range(0, len(wanted), TOGETHER):
            found |= await self._look_up({key: missing[key] for key in wanted[at : at + TOGETHER]})
        return found

    async def accounts(self, uids: Iterable[str]) -> dict[str, str]:
        """Find the accounts that groups name by uid; one that several have is nobody's."""
        held = await self.holders(uids)
        return {uid: next(iter(some)) for uid, some in held.items() if len(some) == 1}

    async def holders(self, uids: Iterable[str]) -> dict[str, dict[str, Found]]:
        """Find who has these uids: entries with their uids, by anchor."""
        connection = await self._reader()
        wanted = list(dict.fromkeys(uids))
        held: dict[str, dict[str, Found]] = {uid: {} for uid in wanted}
        for at in range(0, len(wanted), TOGETHER):
            for one in await self._equal(connection, "uid", wanted[at : at + TOGETHER], ("uid",)):
                anchor = self._anchor(one)
                for uid in entries.uids(one[1]) if anchor is not None else ():
                    if uid in held:
                        held[uid][str(anchor)] = one
        return held

    async def _look_up(self, names: Mapping[str, str]) -> dict[str, str | None]:
        """Ask for names: together where the server answers that (RFC 5020), else one by one."""
        head = entries.folded(self.facts.head_name)
        there: dict[str, str | None] = {}
        if self.facts.anchor == ENTRY_UUID:
            asked = [*names.values(), self.facts.head_name]
            answer = await self._equal(await self._reader(), "entryDN", asked, ())
            self.learn(answer)
            there = {entries.folded(one[0]): self._anchor(one) for one in answer}
        # What is equal is the server's to say: it may give an entry by a name that is written otherwise.
        if head not in there or there.keys() - names.keys() - {head}:
            for key in names.keys() - there.keys():
                one = await self.at(names[key])
                there[key] = self._anchor(one) if one is not None else None
                self.learn([one] if one is not None else [])
        return {key: there.get(key) for key in names}

    async def _equal(
        self, connection: Connection, attribute: str, values: Sequence[str], attributes: Sequence[str]
    ) -> list[Found]:
        alternatives = "".join(f"({attribute}={escaped(value.encode())})" for value in values)
        asked = tuple(dict.fromkeys((*attributes, self.facts.anchor)))
        return await _search(connection, Search(self._settings.base_dn, SUBTREE, f"(|{alternatives})", asked))

    async def _refresh(self, cookie: bytes, classes: str, attributes: Sequence[str]) -> AsyncGenerator[News, None]:
        control = Control(syncrepl.REQUEST, syncrepl.request(Mode.REFRESH_ONLY, cookie))
        question = Search(self._settings.base_dn, SUBTREE, classes, attributes, controls=[control], detailed=True)
        server, presence = self._connection.server, False
        try:
            async with aclosing(self._connection.stream(question)) as chunks:
                async for chunk in chunks:
                    _refuse_referrals(server, chunk.elsewhere)
                    news, present = _read(chunk.told)
                    presence = presence or present
                    if not chunk.last:
                        yield news
                        continue
                    if syncrepl.DONE not in chunk.controls:
                        raise _damaged(server, "it ends without saying where")
                    ending = syncrepl.done(chunk.controls[syncrepl.DONE])
                    await self._prove_unbroken(cookie)
                    if cookie and (presence or self._was_presence(ending, cookie)):
                        yield news
                        raise WatermarkExpired(
                            f"{server} keeps no list of what was deleted that reaches back far enough, and tells only "
                            "what is still there."
                        )
                    yield news._replace(cookie=ending.cookie or cookie)
        except ValueError as error:
            raise _damaged(server, str(error)) from error
        except (ConfigurationError, TransientError) as error:
            if cookie and error.details.get("ldapResult") == str(syncrepl.REFRESH_REQUIRED):
                raise WatermarkExpired(
                    f"{server} does not take the watermark any more: {error.reason}", details=error.details
                ) from error
            raise

    async def _prove_unbroken(self, cookie: bytes) -> None:
        """Make sure that 389-DS still had all changes since a cookie: it passes over those that it has forgotten.

        Asked once the answer is there, so that nothing can be forgotten in between.

        Source: 389-DS ldap/servers/plugins/sync/sync_util.c, sync_cookie_isvalid ("accept any state request for now").
        """
        read_to = syncrepl.change_number(cookie) if self.facts.anchor != ENTRY_UUID else None
        if read_to is None:
            return
        root = await _search(await self._reader(), Search("", BASE, attributes=("firstchangenumber",)))
        first = text((entries.value_of(root[0], "firstchangenumber") if root else None) or b"")
        if first.isdigit() and int(first) > read_to + 1:
            raise WatermarkExpired(
                f"{self._connection.server} has forgotten changes since the watermark: its retro change log begins "
                f"with change {int(first):,}, and was read to {read_to:,}. Raise nsslapd-changelogmaxage there."
            )

    async def _reread(self, news: News, attributes: Sequence[str]) -> News:
        """Read what changed again: 389-DS tells it without operational attributes, its own nsUniqueId among them."""
        found = [one async for some in self.read(news.changed, attributes) for one in some]
        return news._replace(found=found)

    def _was_presence(self, ending: syncrepl.Done, cookie: bytes) -> bool:
        """Say whether an answer told what is still there, if only by silence.

        Where nothing moved, no list was needed; 389-DS always names what is gone, and does not say so at the end.
        """
        return self.facts.anchor == ENTRY_UUID and not ending.deletes and ending.cookie not in {b"", cookie}

    async def _reader(self) -> Connection:
        """The second connection, to the same address."""
        if self._second is None:
            self._second = await Connection.open(self._settings, self._connection.server)
        return self._second

    def _anchor(self, found: Found) -> str | None:
        raw = entries.value_of(found, self.facts.anchor)
        return entries.anchor_of(raw) if raw is not None else None


def _read(told: Sequence[Told]) -> tuple[News, bool]:
    """Read what came; gives also whether it was of a present phase.

    Raises:
        ValueError: a control is damaged, or an entry came without one.
    """
    news, presence = News([], [], []), False
    for one in told:
        if one.name is None:
            info = _info(one)
            news.deleted.extend(info.deleted)
            presence = presence or bool(info.present) or info.presence
            continue
        if syncrepl.STATE not in one.controls:
            raise ValueError(f"the entry {one.name} came without its state")
        state = syncrepl.state(one.controls[syncrepl.STATE])
        if state.state is State.DELETE:
            news.deleted.append(state.anchor)
        elif state.state is State.PRESENT:
            presence = True
        else:
            news.found.append((one.name, one.attributes))
            news.changed.append(state.anchor)
    return news, presence


def _info(one: Told) -> syncrepl.Info:
    value = one.controls.get(syncrepl.INFO)
    return syncrepl.info(value) if value is not None else syncrepl.Info()


async def _search(connection: Connection, question: Search) -> list[Found]:
    """Ask and collect the whole answer, which must be small; a part that lies elsewhere is a failed read."""
    found: list[Found] = []
    async with aclosing(connection.stream(question)) as chunks:
        async for chunk in chunks:
            _refuse_referrals(connection.server, chunk.elsewhere)
            found += chunk.found
    return found


def _refuse_referrals(server: str, elsewhere: Sequence[str]) -> None:
    if elsewhere:
        raise ConfigurationError(
            f"{server} holds a part of the directory only and refers to another server for the rest: {elsewhere[0]}.",
            code="ReferralMet",
            recommended_action="Name servers that hold all of base_dn, or make base_dn end where the referral is.",
            details={"referral": elsewhere[0]},
        )


def _behind(settings: Settings, server: str) -> TransientError:
    """The error of a server that has not yet what was read before: what it lacks would look like deletes."""
    return TransientError(
        f"{server} lacks changes that {settings.name} had already.",
        code="DirectoryBehind",
        recommended_action="Look at its replication. If the directory was set back on purpose, restart the agent and "
        "then the job.",
        details={"server": server},
    )


def _damaged(server: str, how: str) -> TransientError:
    return TransientError(
        f"The answer of {server} about changes cannot be read: {how}.",
        code="SyncreplDamaged",
        recommended_action="It is tried again by itself; where it stays, look into the server's log.",
    )
