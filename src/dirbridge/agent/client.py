"""The agent's side of the channel: every call to the service, and what its refusals mean.

Only outbound HTTPS, verified with what was pinned at enrolment. Who the agent is, is proved with assertions signed by
its own key. Calls raise

    CredentialError   the agent is not welcome any more: it stops
    TransientError    the service cannot be reached or is busy: wait and try again
    Gone              the request is no longer wanted from this agent: drop it
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from dirbridge import __version__
from dirbridge.agent import proxy
from dirbridge.agent.negotiate import Transport, Tunnels
from dirbridge.agent.settings import Common
from dirbridge.agent.state import State
from dirbridge.contract import wire
from dirbridge.contract.errors import ConfigurationError, CredentialError, TransientError

logger = logging.getLogger(__name__)

PATH = "/agents/v1"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIFETIME = 60
FINAL = frozenset({"AgentRevoked", "AgentUnknown", "AssertionAudience", "CertificateExpired"})
"""Refusals that no waiting changes."""


class Gone(Exception):
    """The service no longer wants this request from this agent."""


class Busy(TransientError):
    """The service asks to come again later."""

    code = "ServiceBusy"


@dataclass(frozen=True, slots=True)
class Advice:
    """How often the service wants to be called, in seconds."""

    wait: float = 25.0
    renew_every: float = 15.0
    heartbeat_every: float = 30.0


class Pauses:
    """Growing pauses between attempts, scattered so that many agents do not come back at the same moment."""

    def __init__(self, longest: float, first: float = 0.2) -> None:
        self._longest = longest
        self._first = first
        self._next = first

    def reset(self) -> None:
        """Begin anew after a success."""
        self._next = self._first

    def next(self) -> float:
        """Give the next pause in seconds."""
        pause, self._next = self._next, min(self._next * 2, self._longest)
        return min(pause, self._longest) * random.uniform(0.5, 1.0)


def tls(trust_file: str, content: bytes | None = None) -> ssl.SSLContext:
    """Trust these certificates and no others.

    Args:
        content: of the file, where it has been read already.

    Raises:
        ConfigurationError: the file holds none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if content is None:
            context.load_verify_locations(cafile=trust_file)
        else:
            context.load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except (OSError, ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"The certificates in {trust_file} cannot be used: {error}.",
            code="TrustUnreadable",
            recommended_action="A file with the service's CA certificate in PEM is expected there.",
        ) from error
    return context


def http(service: str, common: Common, verify: ssl.SSLContext) -> httpx2.AsyncClient:
    """Make a client of the service. The environment decides nothing of its own: neither trust nor proxies.

    Raises:
        ConfigurationError: the settings of the proxy cannot be used.
    """
    way = proxy.choose(common, service)
    limits = httpx2.Limits(max_connections=64, keepalive_expiry=15)
    transport = None
    if way is not None and way.negotiates:
        transport = Transport(verify, limits, Tunnels(way.address, way.user, way.keytab))
    return httpx2.AsyncClient(
        base_url=service,
        verify=verify,
        proxy=way.url if way is not None and transport is None else None,
        transport=transport,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx2.Timeout(common.answer_timeout, connect=common.connect_timeout),
        limits=limits,
        headers={"User-Agent": f"dirbridge-agent/{__version__}"},
    )


def unreachable(service: str, error: httpx2.HTTPError) -> TransientError:
    """Say in words why a call did not come through."""
    said = str(error) or type(error).__name__
    if isinstance(error, httpx2.ProxyError):
        return _not_let_out(service, said)
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return TransientError(
            f"The service at {service} shows a certificate that is not verified: {_inner(said)}.",
            code="ServiceNotTrusted",
            recommended_action="Enrol the agent again if the service's CA has changed; where a proxy ends TLS, enrol "
            "with --ca-file and the file of that proxy's CA.",
        )
    return TransientError(
        f"The service at {service} cannot be reached: {said}.",
        code="ServiceUnreachable",
        recommended_action="See that this host may open HTTPS connections to it, and that it is running.",
    )


def _not_let_out(service: str, said: str) -> TransientError:
    """Say what the proxy said; some answer 401 instead of 407 to credentials that they do not take."""
    if said.startswith(("407", "401")):
        return TransientError(
            f"The proxy does not lead to {service} for who this agent says it is: {said}.",
            code="ProxyAuthentication",
            recommended_action="Set `proxy_user` and `proxy_password_file` in the agent's settings, or "
            "`proxy_negotiate` where it asks for Negotiate.",
        )
    if said.startswith("Kerberos"):
        return TransientError(
            said,
            code="KerberosFailed",
            recommended_action="`dirbridge agent check` says what Kerberos needs; or use `proxy_user` with a password.",
        )
    return TransientError(
        f"The proxy does not lead to {service}: {said}.",
        code="ProxyRefused",
        recommended_action="Have the proxy allow CONNECT to that host and port, or correct `proxy` in the settings.",
    )


def _inner(said: str) -> str:
    """Cut OpenSSL's words out of what Python makes of them."""
    text = said.partition("CERTIFICATE_VERIFY_FAILED]")[2] or said
    return text.partition("(_ssl.c")[0].replace("certificate verify failed:", "").strip().rstrip(".")


class ServiceClient:
    """Calls the service as one enrolled agent.

    Args:
        now: seconds since the epoch, by this host's clock.
    """

    def __init__(self, state: State, common: Common, now: Callable[[], float] = time.time) -> None:
        self._state = state
        self._common = common
        self._now = now
        self._http = http(state.identity.service, common, tls(str(state.trust_file)))
        pem = state.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._key = ECKey.import_key(pem)
        self._token: str | None = None
        self._token_ends = 0.0
        self._asking = asyncio.Lock()
        self._clock_offset = 0.0
        self._called = asyncio.Event()
        self.advice = Advice()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def next_request(self, domains: list[str]) -> wire.Assignment | None:
        """Wait for the next request to one of these domains; None where the time passed without one."""
        response = await self._call(
            "GET",
            "/requests",
            params={"wait": self.advice.wait, "domain": domains},
            timeout=httpx2.Timeout(
                self._common.answer_timeout + self.advice.wait, connect=self._common.connect_timeout
            ),
        )
        if response.headers.get("Dirbridge-Heartbeat") == "now":
            self._called.set()
        if response.status_code == 204:
            return None
        assignment: wire.Assignment = wire.decode(response.content, wire.Assignment)
        return assignment

    async def renew(self, assignment: wire.Assignment) -> None:
        """Say that a request is being worked at."""
        await self._call("POST", f"{_place(assignment)}/renew")

    async def post_page(self, assignment: wire.Assignment, number: int, body: bytes, *, is_last: bool) -> None:
        """Deliver one page; to deliver it twice does no harm.

        Raises:
            Busy: the reader is behind.
        """
        headers = {"Content-Type": wire.MEDIA_TYPE, **_sealed(body, is_last=is_last)}
        await self._call("POST", f"{_place(assignment)}/pages/{number}", content=body, headers=headers)

    async def post_logs(self, collection: str, number: int, body: bytes, *, is_last: bool) -> None:
        """Deliver one part of what was collected of this host."""
        headers = {"Content-Type": "application/octet-stream", **_sealed(body, is_last=is_last)}
        await self._call("POST", f"/logs/{collection}/parts/{number}", content=body, headers=headers)

    async def refuse_logs(self, collection: str, reason: str) -> None:
        """Say that nothing will be delivered, and why."""
        headers = {"Content-Type": "application/json"}
        await self._call(
            "POST", f"/logs/{collection}/failure", content=json.dumps({"reason": reason}).encode(), headers=headers
        )

    async def nudge(self, domain: str, age: float) -> None:
        """Say that a directory changed, so many seconds ago."""
        await self._call(
            "POST",
            "/nudges",
            content=json.dumps({"domain": domain, "age": age}).encode(),
            headers={"Content-Type": "application/json"},
        )

    async def heartbeat(self, report: Mapping[str, Any]) -> Mapping[str, Any]:
        """Say how this agent is, and hear how often to call; gives the whole answer."""
        response = await self._call(
            "POST",
            "/heartbeat",
            content=_coded(report),
            headers={"Content-Type": "application/json"},
            timeout=httpx2.Timeout(self._common.answer_timeout),
        )
        answer = _json(response)
        self.advice = _advice(answer)
        return answer

    async def until_heartbeat(self) -> None:
        """Wait until the next heartbeat is due, or the service has something to say in its answer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.advice.heartbeat_every):
                await self._called.wait()
        self._called.clear()

    async def renew_certificate(self) -> bytes:
        """Have the certificate renewed for the same key."""
        response = await self._call(
            "POST",
            "/certificate",
            content=json.dumps({"csr": csr(self._state.key)}).encode(),
            headers={"Content-Type": "application/json"},
        )
        certificate = str(_json(response).get("certificate", "")).encode()
        try:
            x509.load_pem_x509_certificate(certificate)
        except ValueError as error:
            raise _damaged(response) from error
        return certificate

    async def sign_in(self) -> None:
        """Get a token now."""
        self._token = None
        await self._signed_in()

    async def _call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Call once, and once more with a new token where the old one is refused."""
        for attempt in (1, 2):
            headers = {**options.get("headers", {}), "Authorization": f"Bearer {await self._signed_in()}"}
            began = time.monotonic()
            try:
                response = await self._http.request(method, PATH + path, **{**options, "headers": headers})
            except httpx2.HTTPError as error:
                _tell(method, path, type(error).__name__, began)
                raise unreachable(self._state.identity.service, error) from error
            _tell(method, path, str(response.status_code), began)
            if response.is_success:
                return response
            code, error_of = _refusal(response)
            if response.status_code != 401 or code in FINAL or attempt == 2:
                raise error_of
            self._token = None
        raise AssertionError("not reached")

    async def _signed_in(self) -> str:
        async with self._asking:
            if self._token is None or self._now() > self._token_ends:
                await self._ask_token()
            assert self._token is not None
            return self._token

    async def _ask_token(self) -> None:
        for attempt in (1, 2, 3):
            form = {
                "grant_type": "client_credentials",
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": self._assertion(),
            }
            try:
                response = await self._http.post(PATH + "/token", data=form)
            except httpx2.HTTPError as error:
                raise unreachable(self._state.identity.service, error) from error
            if response.is_success:
                answer = _json(response)
                if not isinstance(answer.get("access_token"), str):
                    raise _damaged(response)
                self._token = answer["access_token"]
                self._token_ends = self._now() + float(answer.get("expires_in", 0)) * 0.9
                return
            code, error_of = _refusal(response)
            if code not in {"AssertionTime", "AssertionReused"} or attempt == 3:
                raise error_of
            if code == "AssertionTime":
                self._set_clock(response)
        raise AssertionError("not reached")

    def _set_clock(self, response: httpx2.Response) -> None:
        """Go by the service's clock where this host's is too far away."""
        server_time = _json(response).get("serverTime")
        if isinstance(server_time, int | float):
            self._clock_offset = float(server_time) - self._now()
            logger.warning(
                "This host's clock is %.0f seconds %s the service's; going by the service's. Set it by NTP.",
                abs(self._clock_offset),
                "behind" if self._clock_offset > 0 else "ahead of",
                extra={"event": "clock_skew"},
            )

    def _assertion(self) -> str:
        at = int(self._now() + self._clock_offset)
        agent = self._state.identity.agent
        claims = {
            "iss": agent,
            "sub": agent,
            "aud": self._state.identity.issuer,
            "jti": uuid4().hex,
            "iat": at,
            "exp": at + ASSERTION_LIFETIME,
        }
        return jwt.encode({"alg": "ES256"}, claims, self._key, algorithms=["ES256"])


def csr(key: ec.EllipticCurvePrivateKey) -> str:
    """Ask for a certificate for a key. Its subject does not count."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _tell(method: str, path: str, outcome: str, began: float) -> None:
    """Leave a line for who traces."""
    seconds = time.monotonic() - began
    logger.debug("%s %s: %s in %.3f s.", method, PATH + path, outcome, seconds, extra={"event": "service_called"})


def _sealed(body: bytes, *, is_last: bool) -> dict[str, str]:
    """Give the headers by which the service sees that a body is whole. Source: RFC 9530 (Content-Digest)."""
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    return {"Content-Digest": f"sha-256=:{digest}:", **({"X-Last": "true"} if is_last else {})}


def _coded(report: Mapping[str, Any]) -> bytes:
    """Write JSON that every reader takes: a file's name may hold half a character, which is no JSON elsewhere."""
    return json.dumps(report, ensure_ascii=False).encode("utf-8", "replace")


def _place(assignment: wire.Assignment) -> str:
    return f"/requests/{assignment.request}/attempts/{assignment.attempt}"


def refused(response: httpx2.Response) -> tuple[str, str, str]:
    """Read a refusal: its code, its message, and what to do."""
    body = _json(response, may_be_other=True)
    error = body.get("error")
    if isinstance(error, Mapping):
        return str(error.get("code", "")), str(error.get("message", "")), str(error.get("recommendedAction", ""))
    if "error_description" in body:
        return str(body.get("code", "")), str(body["error_description"]), str(body.get("recommendedAction", ""))
    said = f"The service answered {response.status_code} {response.reason_phrase} to {response.request.url.path}."
    return "", said, "See what lies between agent and service: this is no answer of dirbridge."


def _refusal(response: httpx2.Response) -> tuple[str, Exception]:
    """Say which error a refusal is."""
    code, message, action = refused(response)
    if code in FINAL:
        return code, CredentialError(message, code=code, recommended_action=action)
    if code == "RequestGone":
        return code, Gone(message)
    if response.status_code == 429:
        return code, Busy(message, code=code or None, recommended_action=action)
    return code, TransientError(message, code=code or "ServiceRefused", recommended_action=action)


def _json(response: httpx2.Response, *, may_be_other: bool = False) -> Mapping[str, Any]:
    try:
        body = response.json()
    except (ValueError, UnicodeDecodeError) as error:
        if may_be_other:
            return {}
        raise _damaged(response) from error
    if isinstance(body, Mapping):
        return body
    if may_be_other:
        return {}
    raise _damaged(response)


def _damaged(response: httpx2.Response) -> TransientError:
    return TransientError(
        f"The service's answer to {response.request.url.path} ({len(response.content)} bytes) cannot be read.",
        code="AnswerDamaged",
        recommended_action="See what lies between agent and service.",
    )


def _advice(answer: Mapping[str, Any]) -> Advice:
    """Take the service's advice within sensible bounds."""
    given = answer.get("poll", {})

    def seconds(name: str, fallback: float, least: float, most: float) -> float:
        value = given.get(name) if isinstance(given, Mapping) else None
        return min(max(float(value), least), most) if isinstance(value, int | float) else fallback

    usual = Advice()
    return Advice(
        seconds("wait", usual.wait, 0.1, 120),
        seconds("renewEvery", usual.renew_every, 0.1, 60),
        seconds("heartbeatEvery", usual.heartbeat_every, 0.1, 300),
    )
