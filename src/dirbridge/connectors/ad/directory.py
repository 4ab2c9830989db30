"""A domain controller while it is being read: who it is, and the questions that are asked of it.

Used by `source`. It opens a second connection to the same domain controller when entries are read again while the
answer about changes still streams on the first.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from dirbridge.connectors.ad import dirsync, dn, entries, notification
from dirbridge.connectors.ad.asking import ask
from dirbridge.connectors.ad.settings import Settings
from dirbridge.connectors.ldap_wire.connection import BASE, ONE_LEVEL, SUBTREE, Chunk, Connection, Found, Search
from dirbridge.connectors.ldap_wire.values import escaped
from dirbridge.contract.errors import (
    ConfigurationError,
    DirbridgeError,
    TransientError,
    WatermarkExpired,
)

logger = logging.getLogger(__name__)

FLAGS = dirsync.Flag.OBJECT_SECURITY | dirsync.Flag.INCREMENTAL_VALUES
MAX_BYTES = 10_000_000
"""Bytes that DirSync is asked to answer with at a time; Samba answers with everything whatever is asked."""
TOGETHER = 50
"""Entries asked for in one search; more are no faster."""
PAGE = 500
RESTARTS = 5
"""How often a list that changes while it is read is read from its beginning."""
EMPTY_ANSWERS = 1000
"""Answers without an entry, one after the other, after which a server that promises more is not believed."""

# Well-known container of the deleted objects: MS-ADTS 6.1.1.4.3.
_DELETED_OBJECTS = "18E2EA80684F11D2B9AA00C04F79F805"
# Where tombstoneLifetime is not set, the schema's default of 60 days holds: MS-ADTS 6.1.1.2.4.1.1.
_TOMBSTONE_LIFETIME = timedelta(days=60)
_ROOT = (
    "configurationNamingContext",
    "currentTime",
    "defaultNamingContext",
    "dnsHostName",
    "dsServiceName",
    "highestCommittedUSN",
    "supportedControl",
)
# Relative ids of groups that read and change everything: MS-DTYP 2.4.2.4.
ADMINISTRATIVE = {
    512: "Domain Admins",
    518: "Schema Admins",
    519: "Enterprise Admins",
    544: "Administrators",
    548: "Account Operators",
    551: "Backup Operators",
}
_FIRST_RELATIVE_ID = 1000  # what lies below is built in: MS-DTYP 2.4.2.4
# Domain Users, Domain Guests: what an account gets.
_USUAL_PRIMARY_GROUPS = (513, 514)
_RANGE = re.compile(r"(.+);range=(\d+)-(\d+|\*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a domain controller says of itself.

    Attributes:
        replica: its name and invocation id; the latter changes when it is restored from a back-up.
        now: its clock. usn: its highest update sequence number.
        ahead: how many seconds that clock was before this host's when it was told; negative where it was behind.
        lists_deleted: the account may list deleted objects.
    """

    replica: str
    now: datetime
    usn: int
    tombstone_lifetime: timedelta
    lists_deleted: bool
    ahead: float = 0.0


class Vanished(TransientError):
    """An entry was deleted while it was being read. Its deletion comes with the next changes."""

    code = "EntryVanished"

    def __init__(self, anchor: str) -> None:
        super().__init__(f"The entry {anchor} was deleted while it was read.")


class Piece(NamedTuple):
    """A run of a long list of references. `first` starts the list, or starts it afresh; `end` completes it."""

    values: list[str]
    first: bool
    end: bool


class Directory:
    """A session with one domain controller."""

    def __init__(self, settings: Settings, connection: Connection, facts: Facts) -> None:
        self.facts = facts
        self._settings = settings
        self._connection = connection
        self._second: Connection | None = None
        self._primary_groups: dict[bytes, str | None] = {}

    @classmethod
    async def open(cls, settings: Settings, server: str) -> Directory:
        """Connect to one of the servers of the settings, and make sure that it serves the domain.

        Raises:
            CredentialError: it refused the account.
            DirbridgeError: it cannot be used.
        """
        connection = await Connection.open(settings, server)
        try:
            directory = cls(settings, connection, await _introduce(settings, connection))
            await directory.learn_groups()
            return directory
        except BaseException:
            await connection.close()
            raise

    async def __aenter__(self) -> Directory:  # noqa: PYI034
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._connection.close()
        if self._second is not None:
            await self._second.close()

    def listen(self) -> AsyncGenerator[bool, None]:
        """Listen to what changes; this session is good for nothing else from then on."""
        return notification.listen(self._connection, self._settings.base_dn, self.facts.usn)

    async def answer(
        self, cookie: bytes, classes: str, attributes: Sequence[str]
    ) -> AsyncGenerator[tuple[Chunk, dirsync.Answer | None], None]:
        """Stream one DirSync answer; with its last chunk comes where it ended.

        Args:
            cookie: where to go on; empty for the beginning.
            classes: the filter, which names object classes only.
            attributes: to request.

        Raises:
            WatermarkExpired: the server does not take the cookie.
        """
        request = dirsync.request(FLAGS, MAX_BYTES, cookie)
        question = ask(self._settings.base_dn, SUBTREE, classes, attributes, changes=request)
        stream = self._connection.stream(question)
        begun = False
        async with aclosing(stream):
            try:
                async for chunk in stream:
                    begun = True
                    yield chunk, self._ending(chunk) if chunk.last else None
            except (ConfigurationError, TransientError) as error:
                if begun or not cookie or not _refuses_cookie(error):
                    raise
                raise WatermarkExpired(
                    f"{self._connection.server} does not take the watermark any more: {error.reason}",
                    details=error.details,
                ) from error

    async def read(
        self, anchors: Iterable[str], attributes: Sequence[str], *, deleted: bool = False
    ) -> AsyncIterator[list[Found]]:
        """Read entries afresh, many in a search; what does not exist is missing from the answer."""
        connection = await self._reader()
        wanted = list(anchors)
        for at in range(0, len(wanted), TOGETHER):
            alternatives = "".join(
                f"(objectGUID={escaped(UUID(anchor).bytes_le)})" for anchor in wanted[at : at + TOGETHER]
            )
            question = ask(self._settings.base_dn, SUBTREE, f"(|{alternatives})", attributes, show_deleted=deleted)
            found = await connection.search(question)
            for one in found:
                await self._complete(one)
            yield found

    async def at(self, name: str) -> Found | None:
        """Give the entry at a distinguished name; None where there is none, or none of this domain."""
        connection = await self._reader()
        try:
            found = await connection.search(ask(name, BASE, attributes=("objectGUID",)))
        except DirbridgeError as error:
            if error.details.get("ldapError") not in _NOWHERE:
                raise
            return None
        return found[0] if found else None

    async def equal(self, attributes: Sequence[str], value: str, classes: str) -> list[str]:
        """Give the anchors of the entries of which one of these attributes has this value."""
        if not attributes:
            return []
        connection = await self._reader()
        text = escaped(value.encode())
        alternatives = "".join(f"({attribute}={text})" for attribute in attributes)
        question = ask(self._settings.base_dn, SUBTREE, f"(&{classes}(|{alternatives}))", ("objectGUID",))
        return [entries.anchor_of(found) for found in await connection.search(question)]

    async def below(self, anchor: str, classes: str, attributes: Sequence[str]) -> AsyncIterator[list[Found]]:
        """Stream what lies below a container, and it itself.

        Raises:
            Vanished: the container is not there any more.
        """
        connection = await self._reader()
        question = ask(f"<GUID={anchor}>", SUBTREE, classes, attributes, page=PAGE)
        later: list[Found] = []
        async with _existing(anchor), aclosing(connection.stream(question)) as stream:
            async for chunk in stream:
                later += [one for one in chunk.found if _cut_short(one)]
                yield [one for one in chunk.found if not _cut_short(one)]
        for one in later:
            await self._complete(one)
            yield [one]

    async def inside(self, anchor: str, query: str, attributes: Sequence[str], most: int) -> list[Found]:
        """Give some of what lies directly in a container.

        Raises:
            Vanished: the container is not there any more.
        """
        connection = await self._reader()
        async with _existing(anchor):
            return await connection.search(
                ask(f"<GUID={anchor}>", ONE_LEVEL, query, attributes, page=most, first_page=True)
            )

    async def some(self, query: str, attributes: Sequence[str], most: int) -> list[Found]:
        """Give some of the domain's entries that a filter finds."""
        connection = await self._reader()
        return await connection.search(
            ask(self._settings.base_dn, SUBTREE, query, attributes, page=most, first_page=True)
        )

    async def schema(self, attributes: Sequence[str]) -> AsyncIterator[list[Found]]:
        """Stream the definitions of the forest's classes and attributes."""
        connection = await self._reader()
        root = _attributes(await connection.search(ask("", BASE, attributes=("schemaNamingContext",))))
        classes = "(|(objectClass=classSchema)(objectClass=attributeSchema))"
        question = ask(root.get("schemaNamingContext", ""), SUBTREE, classes, attributes, page=PAGE)
        async with aclosing(connection.stream(question)) as stream:
            async for chunk in stream:
                yield chunk.found

    async def values(self, anchor: str, attribute: str) -> AsyncIterator[Piece]:
        """Read a list of references whole, however long.

        A server gives some 1,500 values at a time and keeps no place in the list: when a value goes in the meantime,
        the rest moves up. So each request begins with the last value of the one before; when it is not there any
        more, the list is read from its beginning.

        Raises:
            Vanished: the entry is not there any more.
            TransientError: the list never stood still, or the server gave less than it announced.
        """
        for _ in range(RESTARTS):
            start, held = 0, ""
            while True:
                raw, end = await self._values(anchor, attribute, start)
                found = entries.anchors(raw)
                if start and (not found or found[0] != held):
                    break
                yield Piece(found[1:] if start else found, start == 0, end)
                if end:
                    return
                start, held = start + len(found) - 1, found[-1]
        raise TransientError(
            f"The list {attribute} of {anchor} kept changing while it was read, {RESTARTS} times.",
            code="ListKeptChanging",
        )

    async def learn_groups(self) -> None:
        """Find the usual primary groups before anything streams, so that seldom a second connection is needed."""
        head = await self._connection.search(ask(self._settings.base_dn, BASE, attributes=("objectSid",)))
        domain = head[0][1].get("objectSid", [b""])[0] if head else b""
        if domain:
            usual = [entries.with_relative_id(domain, number) for number in _USUAL_PRIMARY_GROUPS]
            await self._learn_groups(self._connection, usual)

    async def primary_groups(self, sids: Iterable[bytes]) -> dict[bytes, str | None]:
        """Find groups by SID; None for one that does not exist or may not be read."""
        missing = [sid for sid in dict.fromkeys(sids) if sid not in self._primary_groups]
        if missing:
            await self._learn_groups(await self._reader(), missing)
        return self._primary_groups

    async def _learn_groups(self, connection: Connection, sids: Sequence[bytes]) -> None:
        for at in range(0, len(sids), TOGETHER):
            some = sids[at : at + TOGETHER]
            alternatives = "".join(f"(objectSid={escaped(sid)})" for sid in some)
            question = ask(
                self._settings.base_dn,
                SUBTREE,
                f"(&(objectClass=group)(|{alternatives}))",
                ("objectSid", "objectGUID"),
            )
            self._primary_groups.update(dict.fromkeys(some))
            for found in await connection.search(question):
                if found[1].get("objectSid"):
                    self._primary_groups[found[1]["objectSid"][0]] = entries.anchor_of(found)

    async def estimate(self) -> int | None:
        """Guess how many entries a full read has: users, groups and computers draw their SIDs from one counter.

        The counter never falls, so the guess is high where many were deleted. None where it may not be read.
        """
        root = _attributes(await self._connection.search(ask("", BASE, attributes=("serverName",))))
        server = _attributes(
            await _optional(self._connection, ask(root.get("serverName", ""), BASE, attributes=("serverReference",)))
        )
        holder = server.get("serverReference")
        if not holder:
            return None
        question = ask(f"CN=RID Set,{holder}", BASE, attributes=("rIDNextRID",))
        following = _attributes(await _optional(self._connection, question)).get("rIDNextRID", "")
        return max(0, int(following) - _FIRST_RELATIVE_ID) if following.isdigit() else None

    async def privileges(self) -> list[str]:
        """The administrative groups that the account belongs to, directly or by nesting."""
        found = await self._connection.search(ask("", BASE, attributes=("tokenGroups",)))
        sids = [sid for one in found for sid in one[1].get("tokenGroups", ())]
        held = {ADMINISTRATIVE.get(int.from_bytes(sid[-4:], "little")) for sid in sids}
        return sorted(name for name in held if name)

    async def _reader(self) -> Connection:
        """The second connection: to the same address, and proven to be the same domain controller."""
        if self._second is None:
            second = await Connection.open(self._settings, self._connection.server)
            try:
                replica = (await _introduce(self._settings, second)).replica
                if replica != self.facts.replica:
                    raise TransientError(
                        f"Two connections to {second.server} reached two domain controllers, "
                        f"{self.facts.replica} and {replica}.",
                        code="AddressIsShared",
                        recommended_action="Name each domain controller in servers, not an address they share.",
                    )
            except BaseException:
                await second.close()
                raise
            self._second = second
        return self._second

    async def _values(self, anchor: str, attribute: str, start: int) -> tuple[list[bytes], bool]:
        connection = await self._reader()
        question = ask(f"<GUID={anchor}>", BASE, attributes=(f"{attribute};range={start}-*",))
        async with _existing(anchor):
            found = await connection.search(question)
        if not found:
            raise Vanished(anchor)
        for key, values in found[0][1].items():
            ranged = _RANGE.fullmatch(key)
            if (ranged[1] if ranged else key).lower() != attribute.lower():
                continue
            if ranged is None or ranged[3] == "*":
                return values, True
            announced = int(ranged[3]) - int(ranged[2]) + 1
            if int(ranged[2]) != start or len(values) != announced:
                raise TransientError(
                    f"{connection.server} announced {announced:,} values of {attribute} of {anchor} from {start:,} on "
                    f"and gave {len(values):,}.",
                    code="ShortRange",
                )
            return values, False
        return [], True

    async def _complete(self, found: Found) -> None:
        """Read on where the server cut a long list of values."""
        for key in _cut_short(found):
            match = _RANGE.fullmatch(key)
            assert match is not None
            name, values = match[1], list(found[1].pop(key))
            while True:
                more, end = await self._values(entries.anchor_of(found), name, len(values))
                if not more and not end:
                    raise TransientError(f"The values of {name} of {found[0]} end too early.", code="ShortRange")
                values += more
                if end:
                    break
            found[1][name] = values

    def _ending(self, chunk: Chunk) -> dirsync.Answer:
        if dirsync.DIRSYNC not in chunk.controls:
            raise TransientError(
                f"{self._connection.server} ended its answer about changes without saying where.",
                code="DirSyncWithoutCookie",
            )
        try:
            return dirsync.response(chunk.controls[dirsync.DIRSYNC])
        except ValueError as error:
            raise TransientError(
                f"{self._connection.server} ended its answer about changes in a form that cannot be read: {error}.",
                code="DirSyncDamaged",
            ) from error


async def _introduce(settings: Settings, connection: Connection) -> Facts:
    """Have the domain controller say who it is, and make sure that it serves the domain."""
    root = _attributes(await connection.search(ask("", BASE, attributes=_ROOT)))
    heard = time.time()
    context = root.get("defaultNamingContext", "")
    if context.lower() != settings.base_dn.lower():
        raise ConfigurationError(
            f"{connection.server} serves {context or 'no domain'}, not {settings.base_dn} "
            f"of the domain {settings.name}.",
            code="WrongNamingContext",
            recommended_action="Correct name or servers in the agent's settings.",
        )
    service, configuration = root.get("dsServiceName", ""), root.get("configurationNamingContext", "")
    own = await connection.search(ask(service, BASE, attributes=("invocationId",)))
    invocation = own[0][1].get("invocationId") if own else None
    lifetime = _attributes(
        await _optional(
            connection,
            ask(
                f"CN=Directory Service,CN=Windows NT,CN=Services,{configuration}",
                BASE,
                attributes=("tombstoneLifetime",),
            ),
        )
    ).get("tombstoneLifetime", "")
    deleted = await _optional(
        connection,
        ask(
            f"<WKGUID={_DELETED_OBJECTS},{settings.base_dn}>",
            BASE,
            attributes=("isDeleted", "name"),
            show_deleted=True,
        ),
    )
    now = datetime.strptime(root["currentTime"][:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    return Facts(
        replica=f"{root.get('dnsHostName', connection.server)}|{UUID(bytes_le=invocation[0]) if invocation else ''}",
        now=now,
        usn=int(root.get("highestCommittedUSN", "0")),
        tombstone_lifetime=timedelta(days=int(lifetime)) if lifetime.isdigit() else _TOMBSTONE_LIFETIME,
        lists_deleted=any(one[1].get("isDeleted") for one in deleted),
        ahead=now.timestamp() - heard,
    )


@asynccontextmanager
async def _existing(anchor: str) -> AsyncIterator[None]:
    """Tell that an entry is gone from that a whole naming context is."""
    try:
        yield
    except ConfigurationError as error:
        if error.details.get("ldapError") != "NO_SUCH_OBJECT":
            raise
        raise Vanished(anchor) from error


async def _optional(connection: Connection, question: Search) -> list[Found]:
    """Ask for what may not exist or not be readable."""
    try:
        return await connection.search(question)
    except ConfigurationError as error:
        if error.code not in {"WrongNamingContext", "InsufficientRights"}:
            raise
        return []


def _attributes(found: list[Found]) -> dict[str, str]:
    """The first value of each attribute of the first entry, as text; names without GUID and SID."""
    if not found:
        return {}
    texts = {key: values[0].decode(errors="replace") for key, values in found[0][1].items() if values}
    return {key: dn.extended(text).dn for key, text in texts.items()}


def _cut_short(found: Found) -> list[str]:
    return [key for key in found[1] if ";" in key and (match := _RANGE.fullmatch(key)) and match[3] != "*"]


# What a server says of a name at which it has nothing: no entry, another server's, or no name at all.
_NOWHERE = frozenset({"NO_SUCH_OBJECT", "REFERRAL", "INVALID_DN_SYNTAX"})
# What says nothing about the cookie: the server is gone, busy or short of time, or the account lacks a right.
_NOT_THE_COOKIE = frozenset(
    {
        "SERVER_DOWN",
        "CONNECT_ERROR",
        "TIMEOUT",
        "BUSY",
        "UNAVAILABLE",
        "TIMELIMIT_EXCEEDED",
        "SIZELIMIT_EXCEEDED",
        "ADMINLIMIT_EXCEEDED",
        "INSUFFICIENT_ACCESS",
        "STRONG_AUTH_REQUIRED",
        "CONFIDENTIALITY_REQUIRED",
        "NO_MEMORY",
        "USER_CANCELLED",
    }
)


def _refuses_cookie(error: DirbridgeError) -> bool:
    return error.details.get("ldapError", "SERVER_DOWN") not in _NOT_THE_COOKIE
