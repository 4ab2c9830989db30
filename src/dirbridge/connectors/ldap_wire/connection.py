"""Connections to directory servers.

Used by the `directory` of each kind that is read by LDAP. python-ldap blocks, so each connection has one thread, in
which all of its calls run; answers stream to the event loop in chunks, one of which is read ahead. Every failure leaves
here as one of our errors.

libldap bounds a connect in time, but neither its TLS handshake nor the reading of a TLS record that stops half-way
(seen with 2.5 and GnuTLS). So a handshake of our own goes first, which also says in plain words what is wrong, and
every wait for the thread is bounded; a thread that is caught in libldap is left behind until the other side lets go.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

import ldap
from ldap.controls import RequestControl, ResponseControl, SimplePagedResultsControl

from dirbridge.connectors.ldap_wire import kerberos, kerberos_failures, shown
from dirbridge.connectors.ldap_wire.account import Account
from dirbridge.connectors.ldap_wire.failures import explain, silent
from dirbridge.connectors.ldap_wire.handshake import probe
from dirbridge.connectors.ldap_wire.kerberos import GssFailure, Keytab
from dirbridge.contract.errors import DirbridgeError

logger = logging.getLogger(__name__)

BASE, ONE_LEVEL, SUBTREE = ldap.SCOPE_BASE, ldap.SCOPE_ONELEVEL, ldap.SCOPE_SUBTREE
CHUNK = 256
"""Entries handed from the thread to the event loop at a time."""
POLL_SECONDS = 1.0
"""How long the thread waits for an answer before it looks whether it shall stop."""
AT_ONCE_SECONDS = 0.001
"""How long is waited for more of what is there already."""

Attributes = dict[str, list[bytes]]
"""Values by attribute, as the server spells it."""
Found = tuple[str, Attributes]
"""An entry as the server sent it: its name, and the values of its attributes."""

T = TypeVar("T")


class Control(NamedTuple):
    """A control of a question: its OID, and its value, coded. A server that does not know it refuses the question."""

    oid: str
    value: bytes | None = None


class Told(NamedTuple):
    """An entry with the controls that came along, or an intermediate message: then `name` is None.

    Attributes:
        controls: values by OID; of an intermediate message its own.
    """

    name: str | None
    attributes: Attributes
    controls: Mapping[str, bytes]


class Chunk(NamedTuple):
    """A part of an answer.

    Attributes:
        found: entries; none where the question was `detailed`. told: what came, where it was.
        elsewhere: continuation references: parts of the tree that are to be asked for at other servers.
        controls: values by OID of the controls that the answer ended with. page: the cookie that it ended with.
    """

    found: list[Found]
    last: bool
    controls: Mapping[str, bytes] = MappingProxyType({})
    page: bytes = b""
    told: Sequence[Told] = ()
    elsewhere: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """One question.

    Attributes:
        controls: that go along.
        page: entries to ask for at a time, where the answer may be longer than servers give at once.
        first_page: the first page is enough.
        detailed: give what comes as `Told`, with controls and intermediate messages.
        endless: the answer goes on as the directory changes, and silence says nothing. At least every
            `POLL_SECONDS` a chunk is handed out, be it empty.
    """

    base: str
    scope: int
    filter: str = "(objectClass=*)"
    attributes: Sequence[str] = ()
    controls: Sequence[Control] = ()
    page: int = 0
    first_page: bool = False
    detailed: bool = False
    endless: bool = False


class _Raw(ResponseControl):  # type: ignore[misc]
    """Keeps the value as it is; who asked reads it."""

    def decodeControlValue(self, encodedControlValue: bytes | None) -> None:  # noqa: N802, N803
        self.encodedControlValue = encodedControlValue


class _Responses(dict[str, type[ResponseControl]]):
    def __missing__(self, oid: str) -> type[ResponseControl]:
        return _Raw


_RESPONSES = _Responses({SimplePagedResultsControl.controlType: SimplePagedResultsControl})


class _Worker:
    """A thread that runs what it is given, in order. It does not keep the process from ending."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="ldap", daemon=True).start()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._queue.put((future, call))
        return future

    def finish(self) -> None:
        self._queue.put(None)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            future, call = work
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:  # noqa: BLE001 - it is raised again where the outcome is awaited
                    future.set_exception(error)


class Connection:
    """A connection that is bound. One question at a time."""

    def __init__(self, account: Account, server: str) -> None:
        self.server = server
        self._account = account
        self._connect_seconds = account.connect_timeout.total_seconds()
        self._answer_seconds = account.answer_timeout.total_seconds()
        self._worker = _Worker()
        self._stopping = False
        self._handle: Any = None

    @classmethod
    async def open(cls, account: Account, server: str) -> Connection:
        """Connect and bind.

        Raises:
            CredentialError: the account was refused; once is enough, another try could lock it.
            ConfigurationError: TLS or the server's rules stand in the way.
            TransientError: nobody answers.
        """
        secret = account.password()
        obstacle = await asyncio.to_thread(probe, account, server)
        if obstacle is not None:
            raise obstacle
        connection = cls(account, server)
        try:
            await connection._call(lambda: connection._bind(secret))
        except BaseException:
            await connection.close()
            raise
        logger.debug("Signed in to %s.", server, extra={"event": "ldap_bound"})
        return connection

    async def search(self, question: Search) -> list[Found]:
        """Ask and collect the whole answer, which must be small."""
        return [found async for chunk in self.stream(question) for found in chunk.found]

    async def stream(self, question: Search) -> AsyncGenerator[Chunk, None]:
        """Ask, and hand out the answer as it comes. Leaving early ends the connection.

        Raises:
            DirbridgeError: anything but a complete answer.
        """
        began, count = time.monotonic(), 0
        message = await self._call(lambda: self._ask(question))
        ahead = self._read_ahead(message, question)
        finished = False
        try:
            while not finished:
                try:
                    chunk = await self._outcome(ahead, self._answer_seconds + 2 * POLL_SECONDS)
                except DirbridgeError:
                    finished = True  # an error is an answer too: the connection is as good as before
                    raise
                if chunk.last and chunk.page and not question.first_page:
                    cookie = chunk.page
                    message = await self._call(lambda: self._ask(question, cookie))  # noqa: B023 - awaited here
                    chunk = chunk._replace(last=False)
                finished = chunk.last
                count += len(chunk.found)
                if not finished:
                    ahead = self._read_ahead(message, question)
                yield chunk
        finally:
            if not finished:
                self._stopping = True
            self._tell(question, count, time.monotonic() - began)

    async def modify(
        self,
        dn: str,
        change: Literal["add", "delete", "replace"],
        attribute: str,
        values: Sequence[bytes],
        controls: Sequence[Control] = (),
    ) -> None:
        """Change one attribute of an entry.

        Raises:
            DirbridgeError: it was refused, or nobody knows whether it was done.
        """
        await self._call(lambda: self._modify(dn, change, attribute, values, controls))

    def _tell(self, question: Search, count: int, seconds: float) -> None:
        """Leave a line for who traces: what was asked, and how much came."""
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "Searched %s below %s for %s: %d entries in %.3f s.",
                self.server,
                shown.place(question.base),
                shown.asked(question.filter),
                count,
                seconds,
                extra={"event": "ldap_search", "controls": [control.oid for control in question.controls]},
            )

    async def close(self) -> None:
        """Let go. A thread that waits for an answer notices within a second and ends by itself."""
        self._stopping = True
        self._worker.submit(self._unbind)
        self._worker.finish()

    def _read_ahead(self, message: int, question: Search) -> Future[Chunk]:
        return self._worker.submit(lambda: self._chunk(message, question))

    async def _call(self, call: Callable[[], T]) -> T:
        return await self._outcome(self._worker.submit(call), 3 * self._connect_seconds)

    async def _outcome(self, future: Future[T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            self._stopping = True
            raise silent(self._account, self.server, {"server": self.server}) from error
        except ldap.LDAPError as error:
            raise await asyncio.to_thread(explain, error, self._account, self.server) from error
        except GssFailure as error:
            raise kerberos_failures.explain(self._account, self.server, str(error)) from error

    # What follows runs in the connection's thread.

    def _bind(self, secret: str | Keytab) -> None:
        handle = ldap.initialize(self.server)
        self._handle = handle
        handle.set_option(ldap.OPT_PROTOCOL_VERSION, ldap.VERSION3)
        handle.set_option(ldap.OPT_REFERRALS, 0)
        handle.set_option(ldap.OPT_DEREF, ldap.DEREF_NEVER)
        handle.set_option(ldap.OPT_NETWORK_TIMEOUT, self._connect_seconds)
        handle.set_option(ldap.OPT_TIMEOUT, self._connect_seconds)
        handle.set_option(ldap.OPT_X_KEEPALIVE_IDLE, 30)
        handle.set_option(ldap.OPT_X_KEEPALIVE_INTERVAL, 10)
        handle.set_option(ldap.OPT_X_KEEPALIVE_PROBES, 3)
        handle.set_option(ldap.OPT_X_TLS_CACERTFILE, str(self._account.ca_file))
        handle.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
        handle.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # must come last: it takes what was set before it
        if urlsplit(self.server).scheme == "ldap":
            handle.start_tls_s()
        if isinstance(secret, Keytab):
            kerberos.sign_in(handle, secret, self.server)
        else:
            message = handle.simple_bind(self._account.user, secret)
            handle.result3(message, all=1, timeout=self._connect_seconds)

    def _ask(self, question: Search, page: bytes = b"") -> int:
        controls = [RequestControl(control.oid, True, control.value) for control in question.controls]
        if question.page:
            controls.append(SimplePagedResultsControl(True, size=question.page, cookie=page))
        message: int = self._handle.search_ext(
            question.base, question.scope, question.filter, list(question.attributes) or None, serverctrls=controls
        )
        return message

    def _modify(
        self, dn: str, change: str, attribute: str, values: Sequence[bytes], controls: Sequence[Control]
    ) -> None:
        kinds = {"add": ldap.MOD_ADD, "delete": ldap.MOD_DELETE, "replace": ldap.MOD_REPLACE}
        self._handle.modify_ext_s(
            dn,
            [(kinds[change], attribute, list(values))],
            serverctrls=[RequestControl(control.oid, True, control.value) for control in controls],
        )

    def _chunk(self, message: int, question: Search) -> Chunk:
        found: list[Found] = []
        told: list[Told] = []
        elsewhere: list[str] = []
        now = time.monotonic()
        until, handed_out = now + self._answer_seconds, now + POLL_SECONDS
        # Who waits for this thread takes it for caught when it shows nothing, so a slow server fills no chunk.
        while len(found) + len(told) < CHUNK and not ((found or told) and time.monotonic() > handed_out):
            # What an endless answer brings is handed out at once; an ordinary one goes on anyway.
            patience = AT_ONCE_SECONDS if question.endless and (found or told) else POLL_SECONDS
            try:
                kind, data, controls = self._result(message, question, patience)
            except ldap.TIMEOUT:
                if self._stopping or (time.monotonic() > until and not question.endless):
                    raise
                if found or told or question.endless:
                    break
                continue
            if question.detailed:
                told += [_told(*one) for one in data if not (kind == ldap.RES_SEARCH_REFERENCE and one[0] is None)]
            else:
                found += [one for one in data if one[0] is not None]
            if kind == ldap.RES_SEARCH_REFERENCE:
                elsewhere += [url for one in data for url in one[1]]
            if kind == ldap.RES_SEARCH_RESULT:
                return Chunk(found, True, *_endings(controls), told, elsewhere)
        return Chunk(found, False, told=told, elsewhere=elsewhere)

    def _result(self, message: int, question: Search, patience: float) -> tuple[int, list[Any], Sequence[Any]]:
        if question.detailed:
            kind, data, _, controls, _, _ = self._handle.result4(
                message,
                all=0,
                timeout=patience,
                add_ctrls=1,
                add_intermediates=1,
                resp_ctrl_classes=_RESPONSES,
            )
        else:
            kind, data, _, controls = self._handle.result3(
                message, all=0, timeout=patience, resp_ctrl_classes=_RESPONSES
            )
        return kind, data, controls

    def _unbind(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            try:
                handle.unbind_ext_s()
            except ldap.LDAPError as error:
                logger.debug("Closing the connection to %s: %s", self.server, error)


def _told(name: str, values: Any, controls: Sequence[Any]) -> Told:
    """Read what libldap gave in detail: of an intermediate message its OID stands where an entry's name does."""
    if isinstance(values, dict):
        return Told(name, values, _values(controls))
    return Told(None, {}, {name: values or b""})


def _endings(controls: Sequence[Any]) -> tuple[Mapping[str, bytes], bytes]:
    pages = [control for control in controls if isinstance(control, SimplePagedResultsControl)]
    return _values(controls), bytes(pages[0].cookie or b"") if pages else b""


def _values(controls: Sequence[Any]) -> dict[str, bytes]:
    return {one.controlType: one.encodedControlValue or b"" for one in controls if isinstance(one, _Raw)}
