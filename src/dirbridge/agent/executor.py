"""What the agent does with a request: reads the directory and makes the pages of the answer.

The set of requests is closed, and so is the list of directories: what is not in this agent's own settings it refuses.
It applies nothing of the service's making; filters, attributes and servers are the connector's and the settings'.
`delivery` carries the pages to the service.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

import msgspec
import zstandard

from dirbridge.agent.tracing import values
from dirbridge.connectors.protocol import Browsed, Replicated, Source
from dirbridge.contract import wire
from dirbridge.contract.entry import ChangePage, Entry
from dirbridge.contract.errors import (
    ConfigurationError,
    CredentialError,
    DirbridgeError,
    TransientError,
    WatermarkExpired,
)

logger = logging.getLogger(__name__)

PART_SIZE = 8 * 1024 * 1024
"""Bytes of a page before compression above which it is cut: so much of it is in memory several times at once."""

_LISTS = ("containers", "entries", "references", "back_references", "deleted", "not_visible")


@runtime_checkable
class HasContainers(Protocol):
    """A source that lists containers by themselves."""

    def containers(self, below: str | None = None) -> AsyncIterator[ChangePage]:
        """Stream the containers below one, or all."""
        ...


@dataclass(frozen=True, slots=True)
class Part:
    """A coded piece of an answer, ready to be posted."""

    body: bytes
    is_last: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """What keeps a domain from being read, since when, until a request to it succeeds."""

    domain: str
    since: datetime
    error: DirbridgeError


class Executor:
    """Answers requests.

    Args:
        sources: by the name of the domain, as in the settings.
        credential_pause: seconds for which a directory that refused the account is left alone.
        stamp: gives, for a domain, what differs once its credentials were changed; it is then tried at once.
        clock: seconds that only grow.
        now: gives the time of day.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        credential_pause: float = 1800,
        stamp: Callable[[str], object] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._sources = sources
        self._credential_pause = credential_pause
        self._stamp = stamp
        self._clock = clock
        self._now = now
        self._troubles: dict[str, Trouble] = {}
        self._refused: dict[str, tuple[float, object, CredentialError]] = {}
        self.last_error: str | None = None

    @property
    def troubles(self) -> list[Trouble]:
        """What keeps domains from being read at present; the oldest first."""
        return sorted(self._troubles.values(), key=lambda trouble: trouble.since)

    async def answer(self, request: wire.Request) -> AsyncGenerator[Part, None]:
        """Give the parts of the answer; the last is marked. An error becomes the last part."""
        try:
            async with contextlib.aclosing(self._parts(request)) as parts:
                async for part in parts:
                    if part.is_last and not isinstance(request, wire.CheckRequest):
                        self._troubles.pop(request.domain, None)
                    yield part
                    if part.is_last:
                        return
            raise TransientError(
                f"Reading {request.domain} ended without saying that it is complete.", code="StreamCut"
            )
        except DirbridgeError as error:
            failure = self._note(request, error)
        except Exception as error:  # whatever a library raises must reach the cycle, not end the agent
            logger.exception("A request to %s failed.", request.domain, extra={"event": "request_crashed"})
            failure = self._note(request, _crash(request, error))
        yield Part(wire.encode(wire.failure_of(failure)), is_last=True)

    async def _parts(self, request: wire.Request) -> AsyncGenerator[Part, None]:
        source = self._source(request.domain)
        match request:
            case wire.ChangesRequest(selection=selection, since=since):
                pages = source.changes(selection, since)
            case wire.ReadRequest(selection=selection, anchors=anchors, replica=replica) if replica and isinstance(
                source, Replicated
            ):
                pages = source.read_at(replica, selection, anchors)
            case wire.ReadRequest(selection=selection, anchors=anchors):
                pages = source.read(selection, anchors)
            case wire.ContainersRequest(below=below) if isinstance(source, HasContainers):
                pages = source.containers(below)
            case wire.LocateRequest(names=names) if len(names) <= wire.LOCATE_NAMES:
                yield Part(wire.encode(wire.Locations(tuple(await source.locate(names)))), is_last=True)
                return
            case wire.BrowseRequest(below=below) if isinstance(source, Browsed):
                yield Part(wire.encode(await source.browse(below)), is_last=True)
                return
            case wire.SearchRequest(text=text, object_types=types, most=most) if (
                isinstance(source, Browsed) and len(types) <= wire.SCHEMA_TYPES and 0 < most <= wire.LISTED
            ):
                yield Part(wire.encode(await source.search(text, types, most)), is_last=True)
                return
            case wire.SchemaRequest(object_types=types) if len(types) <= wire.SCHEMA_TYPES:
                yield Part(wire.encode(wire.LiveSchema(tuple(await source.schema(types)))), is_last=True)
                return
            case wire.CheckRequest():
                yield Part(wire.encode(await source.check()), is_last=True)
                return
            case _:
                raise ConfigurationError(
                    f"The request {type(request).__name__} is not one that the directory {request.domain} answers.",
                    code="RequestNotSupported",
                    recommended_action="Bring agent and service to the same version.",
                )
        closing: Any = pages
        async with contextlib.aclosing(closing):
            async for page in pages:
                values.tell(request.domain, page)
                for part in cut(page):
                    yield part

    def _source(self, domain: str) -> Source:
        source = self._sources.get(domain)
        if source is None:
            raise ConfigurationError(
                f"This agent does not read {domain}: its settings name {', '.join(sorted(self._sources))}.",
                code="DomainNotConfigured",
                recommended_action="Add the domain to the agent's settings, or enrol an agent for it.",
            )
        refusal = self._refused.get(domain)
        if refusal is not None and self._clock() < refusal[0] and self._stamp(domain) == refusal[1]:
            until, _, error = refusal
            raise CredentialError(
                f"{error.reason} It is not tried again for {(until - self._clock()) / 60:.0f} minutes, "
                "lest the account be locked.",
                code=error.code,
                recommended_action=f"{error.recommended_action} A changed password file is tried at once.".strip(),
                details=error.details,
            )
        self._refused.pop(domain, None)
        return source

    def _note(self, request: wire.Request, error: DirbridgeError) -> DirbridgeError:
        if isinstance(error, CredentialError) and request.domain not in self._refused:
            until = self._clock() + self._credential_pause
            self._refused[request.domain] = (until, self._stamp(request.domain), error)
        self.last_error = f"{request.domain}: {error}"
        if not isinstance(error, WatermarkExpired):
            known = self._troubles.get(request.domain)
            since = known.since if known is not None and known.error.code == error.code else self._now()
            self._troubles[request.domain] = Trouble(request.domain, since, error)
        logger.warning(
            "A request to %s failed: %s",
            request.domain,
            error,
            extra={"event": "request_failed", "code": error.code},
            exc_info=error,
        )
        return error


def cut(page: ChangePage) -> Iterator[Part]:
    """Code a page, in several parts where it is too large to travel as one."""
    body = wire.encode(wire.Changes(page))
    size = zstandard.frame_content_size(body)
    items = [(name, item) for name in _LISTS for item in getattr(page, name)]
    if (size <= PART_SIZE and len(body) <= wire.MAX_BODY) or not items:
        yield Part(body, page.last)
        return
    if len(items) == 1:
        yield _single(page, body, size)
        return
    half = len(items) // 2
    yield from cut(_page_of(items[:half], estimate=page.estimate))
    yield from cut(
        _page_of(items[half:], estimate=page.estimate, watermark=page.watermark, idle=page.idle, last=page.last)
    )


def _page_of(items: list[tuple[str, Any]], **rest: Any) -> ChangePage:
    lists: dict[str, Any] = {name: tuple(item for kind, item in items if kind == name) for name in _LISTS}
    return ChangePage(**lists, **rest)


def _single(page: ChangePage, body: bytes, size: int) -> Part:
    """Code a page with one item that is larger than a part should be."""
    if size <= wire.MAX_DECOMPRESSED and len(body) <= wire.MAX_BODY:
        return Part(body, page.last)
    if not page.entries:
        raise TransientError(
            f"One item of {size:,} bytes is larger than the {wire.MAX_DECOMPRESSED:,} that can be carried.",
            code="ItemTooLarge",
        )
    return Part(wire.encode(wire.Changes(msgspec.structs.replace(page, entries=(_slim(page.entries[0]),)))), page.last)


def _slim(entry: Entry) -> Entry:
    """Leave out the values that make an entry too large; each becomes a fault of its attribute."""
    sizes = {name: sum(len(value) for value in values) for name, values in entry.attributes.items()}
    large = {name: size for name, size in sizes.items() if size > wire.PAGE_ENTRIES * 1024}
    faults = {name: f"is {size:,} bytes large, which cannot be carried" for name, size in large.items()}
    attributes = {name: values for name, values in entry.attributes.items() if name not in large}
    return msgspec.structs.replace(entry, attributes=attributes, faults={**entry.faults, **faults})


def _crash(request: wire.Request, error: Exception) -> TransientError:
    """Make an error of one that nobody foresaw, without its text, which may hold values."""
    return TransientError(
        f"The agent met an unexpected {type(error).__name__} while it read {request.domain}.",
        code="AgentFault",
        recommended_action="The agent's log has the details; please report it.",
    )
