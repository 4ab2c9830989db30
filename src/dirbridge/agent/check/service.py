"""The way to the service, step by step: name, port, proxy, TLS, answer, clock, and whether it takes this agent.

Each step is walked by itself, because a client that does all of them at once cannot say which one failed. The way is
the agent's own: through its proxy, trusting what it pinned.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx2
import msgspec
from cryptography import x509

from dirbridge.agent import client, proxy
from dirbridge.agent.client import ServiceClient
from dirbridge.agent.proxy import Proxy
from dirbridge.agent.settings import Common
from dirbridge.agent.state import State
from dirbridge.contract.errors import ConfigurationError, DirbridgeError
from dirbridge.contract.wire import Finding

SKEW = 60
"""Seconds between two clocks that are worth a word."""
SOON = timedelta(days=14)
"""How long before its end a certificate is worth a word."""
_HEAD = 16 * 1024


@dataclass(frozen=True, slots=True)
class _Place:
    """A host and port, as people write them."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> _Place:
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.port or 443)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def examine_certificate(state: State, now: float) -> Finding:
    """Say how long the agent's own certificate is good."""
    certificate = state.certificate
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    at = datetime.fromtimestamp(now, UTC)
    if at >= ends:
        return Finding(
            "certificate",
            "fail",
            f"The agent's certificate expired on {ends:%Y-%m-%d %H:%M} UTC; it is {at:%Y-%m-%d %H:%M} by this host's "
            "clock.",
            "If that clock is right, enrol this host again: make a code with `dirbridge agent code`, then `dirbridge "
            "agent enrol --replace`. If not, set it.",
            "CertificateExpired",
        )
    if at < begins - timedelta(minutes=5):
        return Finding(
            "certificate",
            "fail",
            f"The agent's certificate is good from {begins:%Y-%m-%d %H:%M} UTC on; this host's clock says "
            f"{at:%Y-%m-%d %H:%M} UTC.",
            "Set this host's clock, by NTP if it can.",
            "ClockSkewed",
        )
    if at >= state.renew_at + timedelta(days=1):
        return Finding(
            "certificate",
            "warn",
            f"The agent's certificate should have been renewed since {state.renew_at:%Y-%m-%d}; it expires on "
            f"{ends:%Y-%m-%d}.",
            "A running agent renews it by itself: see that it runs and reaches the service.",
            "CertificateNotRenewed",
        )
    return Finding("certificate", "pass", f"The agent's certificate is good until {ends:%Y-%m-%d %H:%M} UTC.")


async def examine(state: State, common: Common, now: Callable[[], float]) -> AsyncIterator[Finding]:
    """Walk the way; it ends with the step that fails."""
    try:
        trust = client.tls(str(state.trust_file))
    except ConfigurationError as error:
        yield Finding("tls", "fail", error.reason, error.recommended_action, error.code)
        return
    try:
        way = proxy.choose(common, state.identity.service)
    except ConfigurationError as error:
        yield Finding("proxy", "fail", error.reason, error.recommended_action, error.code)
        return
    walk = _Walk(_Place.of(state.identity.service), way, trust, common.connect_timeout)
    try:
        for step in (walk.resolve, walk.connect, walk.tunnel, walk.shake_hands):
            finding = await step()
            if finding is not None and walk.met_other_times:
                clock = await _unverified_clock(state.identity.service, common, now)
                if clock is not None:
                    yield clock
            if finding is not None:
                yield finding
                if finding.outcome == "fail":
                    return
    finally:
        walk.close()
    async for finding in _answers(state, common, trust, now):
        yield finding


class _Walk:
    """One connection, as far as it comes.

    Attributes:
        met_other_times: the certificate that was shown is of another time than this host's clock says.
    """

    def __init__(self, service: _Place, way: Proxy | None, trust: ssl.SSLContext, patience: float) -> None:
        self._service = service
        self._proxy = way
        self._first = _Place.of(way.address) if way else service
        self._trust = trust
        self._patience = patience
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.met_other_times = False

    def close(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()

    async def resolve(self) -> Finding:
        """Find the addresses of the host that is connected to."""
        whom = f"The proxy's name {self._first.host}" if self._proxy else f"The service's name {self._first.host}"
        try:
            async with asyncio.timeout(self._patience):
                found = await asyncio.get_running_loop().getaddrinfo(self._first.host, self._first.port)
        except OSError as error:
            return Finding(
                "name-resolution",
                "fail",
                f"{whom} has no address: {error.strerror}.",
                f"Try `getent hosts {self._first.host}`; see /etc/resolv.conf and the name's spelling.",
                "NameNotResolved",
            )
        except TimeoutError:
            return Finding(
                "name-resolution",
                "fail",
                f"{whom} was looked up for {self._patience:g} s without an answer.",
                "See that the name servers in /etc/resolv.conf answer.",
                "NameNotResolved",
            )
        addresses = ", ".join(dict.fromkeys(str(address[4][0]) for address in found))
        return Finding("name-resolution", "pass", f"{whom} is {addresses}.")

    async def connect(self) -> Finding:
        """Open a TCP connection to it."""
        name, whom = ("proxy", "the proxy") if self._proxy else ("port", "the service")
        try:
            async with asyncio.timeout(self._patience):
                self._reader, self._writer = await asyncio.open_connection(self._first.host, self._first.port)
                if self._proxy and self._proxy.address.startswith("https://"):
                    await self._writer.start_tls(ssl.create_default_context(), server_hostname=self._first.host)
        except (OSError, TimeoutError) as error:
            why = _why(error, self._patience)
            return Finding(
                name,
                "fail",
                f"No connection to {whom} at {self._first}: {why}.",
                "See that it runs, that a firewall lets this host through, and that host and port are right."
                + ("" if self._proxy else " Where only a proxy leads out, set `proxy` in the agent's settings."),
                "PortClosed" if name == "port" else "ProxyUnreachable",
            )
        return Finding(name, "pass", f"{whom.capitalize()} at {self._first} accepts connections.")

    async def tunnel(self) -> Finding | None:
        """Ask the proxy for a way to the service; None where there is no proxy."""
        if self._proxy is None:
            return None
        assert self._reader is not None
        assert self._writer is not None
        lines = [f"CONNECT {self._service} HTTP/1.1", f"Host: {self._service}"]
        try:
            said = await self._proxy.authorization()
        except ConfigurationError as error:
            return Finding("proxy-tunnel", "fail", error.reason, error.recommended_action, error.code)
        if said is not None:
            lines.append(f"Proxy-Authorization: {said}")
        try:
            async with asyncio.timeout(self._patience):
                self._writer.write("\r\n".join([*lines, "", ""]).encode())
                head = await self._reader.readuntil(b"\r\n\r\n")
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            return Finding(
                "proxy-tunnel",
                "fail",
                f"{self._first} did not answer as a proxy does: {_why(error, self._patience)}.",
                "See that `proxy` in the agent's settings names an HTTP proxy that allows CONNECT.",
                "ProxyUnreachable",
            )
        return self._proxy_said(head[:_HEAD].decode("latin-1"))

    def _proxy_said(self, head: str) -> Finding:
        first, _, rest = head.partition("\r\n")
        words = first.split(" ", 2)
        status = words[1] if len(words) > 1 and words[1].isdigit() else ""
        if status.startswith("2"):
            return Finding("proxy-tunnel", "pass", f"The proxy leads to {self._service}.")
        if status in {"407", "401"}:  # tinyproxy answers 401 to a wrong password
            assert self._proxy is not None
            asked = [line.partition(":")[2].strip() for line in rest.split("\r\n") if _is(line, "proxy-authenticate")]
            given = "asks for a user name and password"
            if self._proxy.negotiates:
                given = "refuses the Kerberos ticket that it was given"
            elif self._proxy.user:
                given = "refuses the user name and password that it was given"
            return Finding(
                "proxy-tunnel",
                "fail",
                f"The proxy at {self._first} {given} ({status}; asked for: {', '.join(asked) or 'not said'}).",
                _PROXY_WANTS["negotiate" if any(each.lower().startswith("negotiate") for each in asked) else "basic"],
                "ProxyAuthentication",
            )
        return Finding(
            "proxy-tunnel",
            "fail",
            f"The proxy at {self._first} refuses the way to {self._service}: {first[:200]}.",
            f"Have the proxy allow CONNECT to {self._service} from this host.",
            "ProxyRefused",
        )

    async def shake_hands(self) -> Finding:
        """Begin TLS, and look at what the other side shows."""
        assert self._writer is not None
        try:
            async with asyncio.timeout(self._patience):
                await self._writer.start_tls(self._trust, server_hostname=self._service.host)
        except ssl.SSLCertVerificationError as error:
            self.met_other_times = error.verify_code in _OF_ANOTHER_TIME
            return Finding(
                "tls",
                "fail",
                f"The certificate that {self._service} shows is not verified: {_words(error)}.",
                _ADVICE.get(error.verify_code, _UNTRUSTED),
                "ServiceNotTrusted",
            )
        except (OSError, TimeoutError) as error:
            return Finding(
                "tls",
                "fail",
                f"{self._service} does not speak TLS as we do: {_why(error, self._patience)}.",
                "See what answers there: the service needs TLS 1.2 or later.",
                "TlsFailed",
            )
        shown = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        ends = x509.load_der_x509_certificate(shown).not_valid_after_utc
        if ends - datetime.now(UTC) < SOON:
            return Finding(
                "tls",
                "warn",
                f"The certificate of {self._service} is verified, but expires on {ends:%Y-%m-%d %H:%M} UTC.",
                "Have the service's certificate renewed.",
                "ServiceCertificateExpires",
            )
        return Finding("tls", "pass", f"The certificate of {self._service} is verified; good until {ends:%Y-%m-%d}.")


async def _answers(
    state: State, common: Common, trust: ssl.SSLContext, now: Callable[[], float]
) -> AsyncIterator[Finding]:
    """Have the service answer, compare the clocks, and sign in."""
    url = state.identity.service
    async with client.http(url, common, trust) as http:
        try:
            response = await http.get("/healthz")
        except httpx2.HTTPError as error:
            failure = client.unreachable(url, error)
            yield Finding("service", "fail", failure.reason, failure.recommended_action, failure.code)
            return
    if not response.is_success:
        yield Finding(
            "service",
            "fail",
            f"{url} answered {response.status_code} {response.reason_phrase} where the service answers 200.",
            "See that the address is the service's own, and what stands between: a gateway, a portal to sign in to.",
            "NotAService",
        )
        return
    yield Finding("service", "pass", f"{url} answers.")
    clock = _clock(response, now())
    if clock is not None:
        yield clock
    try:
        async with ServiceClient(state, common, now) as signing_in:
            await signing_in.sign_in()
    except DirbridgeError as error:
        yield Finding("sign-in", "fail", error.reason, error.recommended_action, error.code)
        return
    yield Finding("sign-in", "pass", "The service takes this agent and gave it a token.")


async def _unverified_clock(url: str, common: Common, now: Callable[[], float]) -> Finding | None:
    """Ask what time it is there, although nobody vouches for who answers: nothing but the question is sent.

    Returns:
        A finding where the clocks differ; None where they do not, or nobody answers.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with client.http(url, common, context) as http:
            found = _clock(await http.get("/healthz"), now())
    except httpx2.HTTPError:
        return None
    if found is None or found.outcome == "pass":
        return None
    return msgspec.structs.replace(found, outcome="fail")


def _clock(response: httpx2.Response, now: float) -> Finding | None:
    """Compare this host's clock with the service's; None where it does not tell the time."""
    with contextlib.suppress(ValueError, TypeError):
        theirs = parsedate_to_datetime(response.headers.get("date", ""))
        ahead = now - theirs.timestamp()
        if abs(ahead) < SKEW:
            return Finding("clock", "pass", f"The clocks of this host and the service differ by {abs(ahead):.0f} s.")
        return Finding(
            "clock",
            "warn",
            f"This host's clock is {timedelta(seconds=round(abs(ahead)))} {'ahead of' if ahead > 0 else 'behind'} the "
            "service's.",
            "Set it by NTP (`timedatectl set-ntp true`). The agent goes by the service's clock meanwhile; Kerberos "
            "and certificates do not.",
            "ClockSkewed",
        )
    return None


_PROXY_WANTS = {
    "basic": "Set `proxy_user` and `proxy_password_file` in the agent's settings.",
    "negotiate": "Set `proxy_negotiate`, `proxy_user` and `proxy_keytab` in the agent's settings; or `proxy_user` and "
    "`proxy_password_file` where it takes Basic as well.",
}
_UNTRUSTED = (
    "If the service's CA has changed, enrol the agent again. Where something on the way ends TLS, have it leave these "
    "connections alone, or enrol with --ca-file and the file of its CA."
)
_OF_ANOTHER_TIME = {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_ADVICE = {
    10: "The service's certificate has expired by this host's clock: have it renewed there, if the clock is right.",
    9: "Set this host's clock: the certificate is not good yet by it.",  # X509_V_ERR_CERT_NOT_YET_VALID
    62: "Use the name that the certificate was made for: it is the service's --base-url.",  # HOSTNAME_MISMATCH
    64: "Use the name that the certificate was made for: it is the service's --base-url.",  # IP_ADDRESS_MISMATCH
}
"""What to do, by the verifier's number; source: OpenSSL x509_vfy.h."""


def _words(error: ssl.SSLCertVerificationError) -> str:
    return error.verify_message.rstrip(".") or "it is of another authority"


def _why(error: Exception, patience: float) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {patience:g} s"
        case asyncio.IncompleteReadError():
            return "it closed the connection"
        case ssl.SSLError():
            return str(error.reason or error).replace("_", " ").lower()
        case OSError():
            return os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        case _:
            return str(error)


def _is(line: str, header: str) -> bool:
    return line.lower().startswith(f"{header}:")
