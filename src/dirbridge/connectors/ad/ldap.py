"""Connections to domain controllers. The only file that knows python-ldap.

Used by `directory`. python-ldap blocks, so each connection has one thread, in which all of its calls run; answers
stream to the event loop in chunks, one of which is read ahead. Every failure leaves here as one of our errors.

libldap bounds a connect in time, but neither its TLS handshake nor the reading of a TLS record that stops half-way
(seen with 2.5 and GnuTLS). So a handshake of our own goes first, which also says in plain words what is wrong, and
every wait for the thread is bounded; a thread that is caught in libldap is left behind until the other side lets go.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import ldap
from ldap.controls import RequestControl, ResponseControl, SimplePagedResultsControl

from dirbridge.connectors.ad import dirsync
from dirbridge.connectors.ad.settings import Settings
from dirbridge.contract.errors import ConfigurationError, CredentialError, DirbridgeError, TransientError

logger = logging.getLogger(__name__)

BASE, SUBTREE = ldap.SCOPE_BASE, ldap.SCOPE_SUBTREE
CHUNK = 256
"""Entries handed from the thread to the event loop at a time."""
POLL_SECONDS = 1.0
"""How long the thread waits for an answer before it looks whether it shall stop."""

Attributes = dict[str, list[bytes]]
"""Values by attribute, as the server spells it."""
Found = tuple[str, Attributes]
"""An entry as the server sent it: its name, and the values of its attributes."""

T = TypeVar("T")


class Chunk(NamedTuple):
    """A part of an answer. The last one carries what the answer ended with: DirSync's value, the cookie of a page."""

    found: list[Found]
    last: bool
    dirsync: bytes | None = None
    page: bytes = b""


@dataclass(frozen=True, slots=True)
class Search:
    """One question.

    Attributes:
        show_deleted: tombstones too. dirsync: value of the DirSync control, for a question about changes.
        page: entries to ask for at a time, where the answer may be longer than servers give at once.
    """

    base: str
    scope: int
    filter: str = "(objectClass=*)"
    attributes: Sequence[str] = ()
    show_deleted: bool = False
    dirsync: bytes | None = None
    page: int = 0


class _DirSyncResponse(ResponseControl):  # type: ignore[misc]
    """Keeps the value as it is; `dirsync.response` reads it."""

    controlType = dirsync.DIRSYNC  # noqa: N815 - python-ldap's name

    def decodeControlValue(self, encodedControlValue: bytes) -> None:  # noqa: N802, N803
        self.encodedControlValue = encodedControlValue


_RESPONSES = {dirsync.DIRSYNC: _DirSyncResponse, SimplePagedResultsControl.controlType: SimplePagedResultsControl}


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

    def __init__(self, settings: Settings, server: str) -> None:
        self.server = server
        self._settings = settings
        self._connect_seconds = settings.connect_timeout.total_seconds()
        self._answer_seconds = settings.answer_timeout.total_seconds()
        self._worker = _Worker()
        self._stopping = False
        self._handle: Any = None

    @classmethod
    async def open(cls, settings: Settings, server: str) -> Connection:
        """Connect and bind.

        Raises:
            CredentialError: the account was refused; once is enough, another try could lock it.
            ConfigurationError: TLS or the server's rules stand in the way.
            TransientError: nobody answers.
        """
        password = settings.password()
        obstacle = await asyncio.to_thread(probe, settings, server)
        if obstacle is not None:
            raise obstacle
        connection = cls(settings, server)
        try:
            await connection._call(lambda: connection._bind(password))
        except BaseException:
            await connection.close()
            raise
        return connection

    async def search(self, question: Search) -> list[Found]:
        """Ask and collect the whole answer, which must be small."""
        return [found async for chunk in self.stream(question) for found in chunk.found]

    async def stream(self, question: Search) -> AsyncGenerator[Chunk, None]:
        """Ask, and hand out the answer as it comes. Leaving early ends the connection.

        Raises:
            DirbridgeError: anything but a complete answer.
        """
        message = await self._call(lambda: self._ask(question))
        ahead = self._read_ahead(message)
        finished = False
        try:
            while not finished:
                chunk = await self._outcome(ahead, self._answer_seconds + 2 * POLL_SECONDS)
                if chunk.last and chunk.page:
                    cookie = chunk.page
                    message = await self._call(lambda: self._ask(question, cookie))  # noqa: B023 - awaited here
                    chunk = Chunk(chunk.found, False)
                finished = chunk.last
                if not finished:
                    ahead = self._read_ahead(message)
                yield chunk
        finally:
            if not finished:
                self._stopping = True

    async def close(self) -> None:
        """Let go. A thread that waits for an answer notices within a second and ends by itself."""
        self._stopping = True
        self._worker.submit(self._unbind)
        self._worker.finish()

    def _read_ahead(self, message: int) -> Future[Chunk]:
        return self._worker.submit(lambda: self._chunk(message))

    async def _call(self, call: Callable[[], T]) -> T:
        return await self._outcome(self._worker.submit(call), 3 * self._connect_seconds)

    async def _outcome(self, future: Future[T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError as error:
            self._stopping = True
            raise _silent(self.server, {"server": self.server}) from error
        except ldap.LDAPError as error:
            raise await asyncio.to_thread(explain, error, self._settings, self.server) from error

    # What follows runs in the connection's thread.

    def _bind(self, password: str) -> None:
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
        handle.set_option(ldap.OPT_X_TLS_CACERTFILE, str(self._settings.ca_file))
        handle.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
        handle.set_option(ldap.OPT_X_TLS_NEWCTX, 0)  # must come last: it takes what was set before it
        message = handle.simple_bind(self._settings.user, password)
        handle.result3(message, all=1, timeout=self._connect_seconds)

    def _ask(self, question: Search, page: bytes = b"") -> int:
        controls = [RequestControl(dirsync.EXTENDED_DN, True, dirsync.extended_dn())]
        if question.show_deleted:
            controls.append(RequestControl(dirsync.SHOW_DELETED, True))
        if question.dirsync is not None:
            controls.append(RequestControl(dirsync.DIRSYNC, True, question.dirsync))
        if question.page:
            controls.append(SimplePagedResultsControl(True, size=question.page, cookie=page))
        message: int = self._handle.search_ext(
            question.base, question.scope, question.filter, list(question.attributes) or None, serverctrls=controls
        )
        return message

    def _chunk(self, message: int) -> Chunk:
        found: list[Found] = []
        now = time.monotonic()
        until, handed_out = now + self._answer_seconds, now + POLL_SECONDS
        # Who waits for this thread takes it for caught when it shows nothing, so a slow server fills no chunk.
        while len(found) < CHUNK and not (found and time.monotonic() > handed_out):
            try:
                kind, data, _, controls = self._handle.result3(
                    message, all=0, timeout=POLL_SECONDS, resp_ctrl_classes=_RESPONSES
                )
            except ldap.TIMEOUT:
                if self._stopping or time.monotonic() > until:
                    raise
                if found:
                    break
                continue
            # A continuation reference to another naming context has no name: that context is not ours to read.
            found.extend((name, values) for name, values in data if name is not None)
            if kind == ldap.RES_SEARCH_RESULT:
                return Chunk(found, True, *_endings(controls))
        return Chunk(found, False)

    def _unbind(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            try:
                handle.unbind_ext_s()
            except ldap.LDAPError as error:
                logger.debug("Closing the connection to %s: %s", self.server, error)


def _endings(controls: Sequence[Any]) -> tuple[bytes | None, bytes]:
    changes, page = None, b""
    for control in controls:
        if isinstance(control, _DirSyncResponse):
            changes = control.encodedControlValue
        elif isinstance(control, SimplePagedResultsControl):
            page = bytes(control.cookie or b"")
    return changes, page


class _Refusal(NamedTuple):
    code: str
    reason: str
    action: str


# What hides behind error 49: the Windows error in "comment: AcceptSecurityContext error, data 52e".
# Source: MS-ERREF 2.2 (Win32 error codes), in hexadecimal; 80090346 is SEC_E_BAD_BINDINGS.
_REFUSALS = {
    "525": _Refusal("InvalidCredentials", "there is no such account", "Correct the user name"),
    "52e": _Refusal("InvalidCredentials", "the user name or password is wrong", "Correct user name and password"),
    "530": _Refusal(
        "LogonHoursRestricted", "the account may not sign in at this hour", "Lift the account's logon hours"
    ),
    "531": _Refusal(
        "WorkstationRestricted",
        "the account may not sign in from this computer",
        "Lift the account's list of workstations",
    ),
    "532": _Refusal("PasswordExpired", "the account's password has expired", "Set a new password"),
    "533": _Refusal("AccountDisabled", "the account is disabled", "Enable the account"),
    "701": _Refusal("AccountExpired", "the account has expired", "Extend the account"),
    "773": _Refusal(
        "PasswordMustChange", "the account must change its password first", "Clear 'must change password at next logon'"
    ),
    "775": _Refusal(
        "AccountLocked", "the account is locked out", "Unlock the account, or wait until it unlocks itself"
    ),
    "80090346": _Refusal(
        "ChannelBindingRequired",
        "the server requires channel binding, which a simple bind over TLS does not have",
        "Set 'LDAP server channel binding token requirements' to 'When supported' on the domain controller",
    ),
}


def explain(error: ldap.LDAPError, settings: Settings, server: str) -> DirbridgeError:
    """Say in plain words what an LDAP error means and what to do about it. May connect to find out; blocks."""
    told: dict[str, Any] = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    info = str(told.get("info") or told.get("desc") or error)
    details = {"server": server, "ldapError": type(error).__name__, "ldapMessage": info}
    match error:
        case ldap.INVALID_CREDENTIALS():
            return _refused(info, settings, server, details)
        case ldap.SERVER_DOWN() | ldap.CONNECT_ERROR():
            return probe(settings, server) or TransientError(
                f"{server} closed the connection.",
                code="ConnectionLost",
                recommended_action="It is tried again by itself; if it stays, look into the domain controller's log.",
                details=details,
            )
        case ldap.TIMEOUT():
            return _silent(server, details)
        case ldap.STRONG_AUTH_REQUIRED() | ldap.CONFIDENTIALITY_REQUIRED():
            return ConfigurationError(
                f"{server} refuses a simple bind here: it requires signing or encryption ({info}).",
                code="SigningRequired",
                recommended_action="Use an ldaps:// address of the domain controller.",
                details=details,
            )
        case ldap.INSUFFICIENT_ACCESS():
            return ConfigurationError(
                f"The account {settings.user} may not read this in the domain {settings.name}: {info}",
                code="InsufficientRights",
                recommended_action="Give the account read access to the domain.",
                details=details,
            )
        case ldap.NO_SUCH_OBJECT() | ldap.REFERRAL():
            return ConfigurationError(
                f"{server} does not hold what was asked of it for the domain {settings.name} ({settings.base_dn}).",
                code="WrongNamingContext",
                recommended_action="Check that name and servers in the agent's settings belong together.",
                details=details,
            )
        case ldap.SIZELIMIT_EXCEEDED() | ldap.TIMELIMIT_EXCEEDED() | ldap.ADMINLIMIT_EXCEEDED():
            return TransientError(
                f"{server} cut its answer short at a limit of its own: {told.get('desc', info)}.",
                code="ReadCutShort",
                recommended_action="Raise the LDAP query policy of the domain controller, or exclude the account.",
                details=details,
            )
        case _:
            return TransientError(
                f"{server} answered with an error: {told.get('desc', type(error).__name__)}. {info}",
                code="LdapError",
                details=details,
            )


def probe(settings: Settings, server: str) -> DirbridgeError | None:
    """Shake hands, and say what stands in the way: libldap says `SERVER_DOWN` for all of it. Blocks, for so long."""
    url = urlsplit(server)
    host, port = url.hostname or "", url.port or 636
    details = {"server": server, "caFile": str(settings.ca_file)}
    seconds = settings.connect_timeout.total_seconds()
    try:
        trust = ssl.create_default_context(cafile=str(settings.ca_file))
        with (
            socket.create_connection((host, port), timeout=seconds) as plain,
            trust.wrap_socket(plain, server_hostname=host),
        ):
            pass
    except ssl.SSLCertVerificationError as error:
        return _untrusted(error, host, settings, details)
    except socket.gaierror as error:
        return TransientError(
            f"The name {host} of the domain controller cannot be resolved: {error.strerror}.",
            code="HostNotFound",
            recommended_action="Check servers in the agent's settings, and the name service of this host.",
            details=details,
        )
    except ConnectionRefusedError:
        return TransientError(
            f"Nothing listens at {host}:{port}.",
            code="ConnectionRefused",
            recommended_action="Check that the domain controller runs and serves LDAPS at this port.",
            details=details,
        )
    except TimeoutError:
        return TransientError(
            f"{host}:{port} did not answer within {seconds:g} seconds.",
            code="DomainControllerSilent",
            recommended_action="Check the domain controller, and firewalls on the way to it.",
            details=details,
        )
    except (ssl.SSLEOFError, ConnectionResetError):
        return TransientError(
            f"{host}:{port} ended the TLS handshake.",
            code="TlsFailed",
            recommended_action="Check that the port serves LDAPS and that the domain controller has a certificate.",
            details=details,
        )
    except ssl.SSLError as error:
        return ConfigurationError(
            f"{host}:{port} does not speak TLS as expected: {error.reason or error}.",
            code="TlsFailed",
            recommended_action="Check that the port serves LDAPS and that the domain controller has a certificate.",
            details=details,
        )
    except OSError as error:
        return TransientError(
            f"{host}:{port} cannot be reached: {error.strerror or error}.", code="Unreachable", details=details
        )
    return None


def _silent(server: str, details: dict[str, str]) -> TransientError:
    return TransientError(
        f"{server} did not answer in time.",
        code="DomainControllerSilent",
        recommended_action="Look at the load of the domain controller; answer_timeout is how long is waited.",
        details=details,
    )


# Source: OpenSSL x509_vfy.h, X509_V_ERR_*.
_NOT_YET_VALID, _EXPIRED, _WRONG_NAME, _WRONG_ADDRESS = 9, 10, 62, 64


def _untrusted(
    error: ssl.SSLCertVerificationError, host: str, settings: Settings, details: dict[str, str]
) -> DirbridgeError:
    if error.verify_code == _EXPIRED:
        code, reason = "CertificateExpired", "has expired"
        action = "Renew the domain controller's certificate, or correct this host's clock."
    elif error.verify_code == _NOT_YET_VALID:
        code, reason = "CertificateNotYetValid", "is not valid yet"
        action = "Correct the clock of this host or of the domain controller."
    elif error.verify_code in {_WRONG_NAME, _WRONG_ADDRESS}:
        code, reason = "CertificateWrongHost", f"is not made out to {host}"
        action = "Put the name that the certificate carries into servers in the agent's settings."
    else:
        code, reason = "UnknownCertificateAuthority", f"is not signed by an authority in {settings.ca_file}"
        action = "Put the certificate of the authority that signed it into ca_file."
    return ConfigurationError(
        f"The certificate of {host} {reason}.",
        code=code,
        recommended_action=action,
        details={**details, "tls": error.verify_message},
    )


def _refused(info: str, settings: Settings, server: str, details: dict[str, str]) -> DirbridgeError:
    found = re.search(r"data ([0-9a-fA-F]+)", info)
    refusal = _REFUSALS.get(found[1].lower() if found else "", _REFUSALS["52e"])
    return CredentialError(
        f"{server} refused the account {settings.user}: {refusal.reason}.",
        code=refusal.code,
        recommended_action=f"{refusal.action}; the agent does not try again by itself, so as not to lock the account.",
        details=details,
    )
