"""Pages of a large tenant over HTTPS, beside the bare SQL that each needs.

A request's options are read by the service's own functions, which give the very statements and parameters that the
service runs; psycopg runs these in turn with the requests and fetches the rows. So a ratio is what everything else
costs: TLS, HTTP, the token, and JSON. Plans are read from EXPLAIN of the same
statements.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit
from uuid import UUID

import msgspec
import psycopg
from fastapi import Request
from psycopg import sql

from bench import plans
from bench.deployment import Service, served
from bench.filling import Filled, fill
from bench.measures import MADE_UP, Figure
from dirbridge.service.graph import odata
from dirbridge.store import applications, directory_properties, directory_queries, event_queries, feed

ROUNDS, WARM_UP = 60, 40
"""A connection prepares a statement when it runs it for the sixth time, and the service has several."""
GOAL = "3 times its SQL at most"
CHANGED = 20
"""Users that change before an incremental delta query."""

Statement = tuple[str, plans.Parameters]


@dataclass(frozen=True, slots=True)
class Page:
    """A request, and the SQL that its answer needs.

    Attributes:
        target: path and query. entries: how many the answer must hold.
    """

    what: str
    target: str
    statements: Sequence[Statement]
    entries: int
    headers: Mapping[str, str] = field(default_factory=dict)


async def pages(users: int, log: int) -> AsyncIterator[Figure]:
    """Fill a tenant, then time its pages."""
    folder = Path(tempfile.mkdtemp(prefix="dirbridge-bench-"))
    folder.chmod(0o711)
    try:
        async with served(MADE_UP, folder) as service:
            began = time.monotonic()
            filled = await fill(service, MADE_UP, users, log)
            yield Figure(f"{users:,} users and {log:,} events stored", f"{time.monotonic() - began:.0f} s")
            with psycopg.connect(service.database_url, autocommit=True) as conn, Client.to(service) as client:
                for figure in await asyncio.to_thread(lambda: list(_measured(service, filled, conn, client))):
                    yield figure
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _measured(service: Service, filled: Filled, conn: psycopg.Connection[Any], client: Client) -> Iterator[Figure]:
    found = Asked(service, filled, conn, client)
    for first, last in found.whole_pairs():
        opening = _time(first, conn, client)
        yield opening.figure()
        if last is not None:
            closing = _time(last, conn, client)
            yield closing.figure()
            yield Figure(
                f"{first.what}: the last page beside the first",
                f"{closing.answer / opening.answer:.2f} times",
                f"its SQL {closing.bare / opening.bare:.2f} times",
                "1.3 times at most",
            )
        for each in (first, last):
            yield from _planned(each, conn) if each is not None else ()


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians, in seconds."""

    page: Page
    answer: float
    bare: float

    def figure(self) -> Figure:
        """Say it as a line of the table."""
        return Figure(
            self.page.what,
            f"{self.answer * 1000:.2f} ms",
            f"{self.answer / self.bare:.2f} times its SQL, {self.bare * 1000:.2f} ms",
            GOAL,
        )


def _time(page: Page, conn: psycopg.Connection[Any], client: Client) -> Timing:
    """Send a request and run its SQL in turn, so that both meet the same load of the machine."""
    found = len(msgspec.json.decode(client.get(page.target, page.headers))["value"])
    if found != page.entries:
        raise RuntimeError(f"{page.target} has {found} entries in place of {page.entries}.")
    answers, bare = [], []
    for number in range(WARM_UP + ROUNDS):
        began = time.perf_counter()
        client.get(page.target, page.headers)
        between = time.perf_counter()
        for text, parameters in page.statements:
            conn.execute(text, parameters).fetchall()
        ended = time.perf_counter()
        if number >= WARM_UP:
            answers.append(between - began)
            bare.append(ended - between)
    return Timing(page, statistics.median(answers), statistics.median(bare))


def _planned(page: Page, conn: psycopg.Connection[Any]) -> Iterator[Figure]:
    for text, parameters in page.statements:
        faults = plans.faults(conn, text, parameters)
        if faults:
            yield Figure(f"{page.what}: its plan", "no index", "; ".join(faults), "an index", failed=True)


class Asked:
    """The requests that are timed, each with its statements."""

    def __init__(self, service: Service, filled: Filled, conn: psycopg.Connection[Any], client: Client) -> None:
        self._tenant = service.tenant
        self._standing = applications.standing_query(service.tenant, service.client_id)
        self._filled = filled
        self._conn = conn
        self._client = client

    def whole_pairs(self) -> Iterator[tuple[Page, Page | None]]:
        """Give first and last page of each, with the look-up of the caller that every request begins with."""

        def whole(page: Page) -> Page:
            return replace(page, statements=[self._standing, *page.statements])

        for first, last in self._pairs():
            yield whole(first), whole(last) if last is not None else None

    def _pairs(self) -> Iterator[tuple[Page, Page | None]]:
        yield self._users("/users", "")
        yield self._users("/users, $top=999", "$top=999")
        yield self._users(
            "/users, filtered and sorted",
            "$count=true&$orderby=displayName desc&$filter=startsWith(displayName,'Jana') and department eq 'Sales'",
        )
        yield self._enumeration()
        yield self._increment(), None
        early = f"activityDateTime gt {self._filled.since + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
        for share, job in zip((70, 25, 5), self._filled.jobs, strict=True):
            yield self._log(f"log of a job with {share} of 100 events", f"jobId eq '{job}' and {early}")
        yield self._log("log of failures", f"provisioningStatusInfo/status eq 'failure' and {early}")
        yield self._log("log of one entry", f"sourceIdentity/id eq '{self._filled.people[0]}'")

    def _users(self, what: str, options: str) -> tuple[Page, Page]:
        advanced = {"ConsistencyLevel": "eventual"} if "$count" in options else {}
        query = _query(options, advanced)
        collection = directory_queries.live(self._tenant, "user")
        where = query.where(directory_properties.USER, "microsoft.graph.user")
        name, descending = query.order or ("id", False)
        order = directory_queries.Order(name)

        def statement(after: directory_queries.After | None, *, backward: bool = False) -> Statement:
            return self._text(
                *directory_queries.page_query(
                    collection, where=where, order=order, descending=descending != backward, after=after,
                    limit=query.top + 1,
                )
            )  # fmt: skip

        row = self._last(statement(None, backward=True))
        after = directory_queries.After(row[0], row[-1])
        counting = [self._text(*directory_queries.count_query(collection, where))] if query.advanced else []
        return self._ends(
            f"GET {what}", "/users", options, query, ([statement(None), *counting], [statement(after)]), after
        )

    def _log(self, what: str, condition: str) -> tuple[Page, Page | None]:
        options = f"$filter={condition}&$orderby=activityDateTime desc"
        query = _query(options)
        where = query.where(event_queries.PROPERTIES, "microsoft.graph.provisioningObjectSummary", advanced=True)

        def statement(after: event_queries.After | None, *, backward: bool = False) -> Statement:
            return self._text(
                *event_queries.page_query(
                    self._tenant, where=where, after=after, ascending=backward, limit=query.top + 1
                )
            )

        rows = self._rows(statement(None, backward=True))
        names = event_queries.job_names_query(self._tenant, {row[2] for row in rows})
        if len(rows) <= query.top:
            return Page(what, _target("/auditLogs/provisioning", options), [statement(None), names], len(rows)), None
        after = event_queries.After(rows[-1][1], rows[-1][0])
        texts = ([statement(None), names], [statement(after), names])
        return self._ends(what, "/auditLogs/provisioning", options, query, texts, after)

    def _ends(
        self,
        what: str,
        path: str,
        options: str,
        query: odata.Query,
        texts: tuple[Sequence[Statement], Sequence[Statement]],
        after: msgspec.Struct,
    ) -> tuple[Page, Page]:
        """Give the first page, and the last one, which is as long."""
        headers = {"ConsistencyLevel": "eventual"} if query.eventual else {}
        first = _target(path, options)
        last = f"{first}{'&' if options else '?'}$skiptoken={odata.token(query, after)}"
        return (
            Page(f"{what}, first page", first, texts[0], query.top, headers),
            Page(f"{what}, last page", last, texts[1], query.top, headers),
        )

    def _enumeration(self) -> tuple[Page, Page]:
        """The first round of a delta query, whose pages hold the token of the next one."""
        first = target = "/v1.0/users/delta"
        left, id, size = len(self._filled.people), None, 100
        while left > size:
            answer = self._get(target, {"Prefer": f"odata.maxpagesize={min(999, left - size)}"})
            left -= len(answer["value"])
            id = UUID(answer["value"][-1]["id"])
            target = _path(answer["@odata.nextLink"])
        what = "GET /users/delta, first round"
        sized = {"Prefer": f"odata.maxpagesize={size}"}
        return (
            Page(f"{what}, first page", first, self._changes(None, None, size), size, sized),
            Page(f"{what}, last page", target, self._changes(None, id, size), left, sized),
        )

    def _increment(self) -> Page:
        since = self._now()
        target = _path(self._get("/v1.0/users/delta?$deltatoken=latest")["@odata.deltaLink"])
        self._conn.execute(
            "update directory_objects set changed = pg_current_xact_id() where tenant = %s and id = any(%s)",
            [self._tenant, [UUID(each["id"]) for each in self._get(f"/v1.0/users?$top={CHANGED}")["value"]]],
        )
        statements = self._changes(since, None, 100)
        return Page(f"GET /users/delta after {CHANGED} users changed", target, statements, CHANGED)

    def _changes(self, since: feed.Moment | None, after: UUID | None, size: int) -> list[Statement]:
        place = None if after is None else (0, after)
        query = feed.objects_query(self._tenant, ["user"], since=since, until=self._now(), after=place, limit=size + 1)
        return [(feed.NOW, {}), self._text(*query)]

    def _now(self) -> feed.Moment:
        epoch, snapshot = self._last((feed.NOW, {}))
        return feed.Moment(epoch, snapshot)

    def _rows(self, statement: Statement) -> list[tuple[Any, ...]]:
        return self._conn.execute(*statement).fetchall()

    def _last(self, statement: Statement) -> tuple[Any, ...]:
        return self._rows(statement)[-1]

    def _text(self, statement: sql.Composed, parameters: Mapping[str, Any]) -> Statement:
        return statement.as_string(self._conn), parameters

    def _get(self, target: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self._client.get(target, headers or {}))
        return found


def _query(options: str, headers: Mapping[str, str] | None = None) -> odata.Query:
    """Read options as the service does."""
    written = [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()]
    return odata.read(
        Request({"type": "http", "query_string": quote(options, safe="$=&").encode(), "headers": written})
    )


def _target(path: str, options: str) -> str:
    return f"/v1.0{path}" + (f"?{quote(options, safe='$=&')}" if options else "")


def _path(link: str) -> str:
    split = urlsplit(link)
    return f"{split.path}?{split.query}"


class Client:
    """One connection with nothing on it but HTTP/1.1, so that it is the service that is timed."""

    def __init__(self, connection: socket.socket, host: str, token: str) -> None:
        self._connection = connection
        self._common = f"Host: {host}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"

    @classmethod
    def to(cls, service: Service) -> Client:
        """Connect, trusting the service's own CA."""
        url = urlsplit(service.base_url)
        plain = socket.create_connection((url.hostname, url.port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        trust = ssl.create_default_context(cafile=str(service.ca_file))
        return cls(trust.wrap_socket(plain, server_hostname=url.hostname), url.netloc, service.api.token)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, target: str, headers: Mapping[str, str]) -> bytes:
        """Give the body of an answer."""
        own = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._connection.sendall(f"GET {target} HTTP/1.1\r\n{self._common}{own}\r\n".encode())
        received = bytearray()
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._more()
        head = received[:end].decode("latin-1").split("\r\n")
        length = next(int(line[15:]) for line in head if line.lower().startswith("content-length:"))
        while len(received) < end + 4 + length:
            received += self._more()
        if " 200 " not in head[0]:
            raise RuntimeError(f"GET {target} was answered {head[0]}: {received[end + 4 :].decode()}")
        return bytes(received[end + 4 :])

    def _more(self) -> bytes:
        found = self._connection.recv(262_144)
        if not found:
            raise ConnectionError("The service closed the connection.")
        return found
