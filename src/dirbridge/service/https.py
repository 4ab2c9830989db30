"""One request to a foreign host over HTTPS: to the address that was judged, with its name in TLS, never redirected."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import httpx2

import dirbridge
from dirbridge.service import outgoing
from dirbridge.service.outgoing import Outgoing


@dataclass(frozen=True, slots=True)
class Way:
    """How foreign hosts are reached.

    Attributes:
        timeout: for one request from resolving the name to the end of what is read of its answer; the caller keeps it.
    """

    trust: ssl.SSLContext
    timeout: timedelta
    outgoing: Outgoing


@contextlib.asynccontextmanager
async def call(
    way: Way, method: str, url: httpx2.URL, *, headers: Mapping[str, str], content: bytes | None = None
) -> AsyncIterator[httpx2.Response]:
    """Ask a host, of whose addresses the first counts that takes a connection; gives the answer with its body unread.

    Raises:
        ConfigurationError: the host is not one to connect to.
        TransientError: it cannot be reached.
    """
    host, port = url.raw_host.decode("ascii"), url.port or 443
    common = {"Host": url.netloc.decode("ascii"), "User-Agent": f"dirbridge/{dirbridge.__version__}"}
    last: httpx2.ConnectError | None = None
    async with httpx2.AsyncClient(verify=way.trust, trust_env=False, follow_redirects=False) as client:
        for address in await way.outgoing.resolve(host, port):
            asked = client.build_request(
                method,
                url.copy_with(host=address),
                headers={**common, **headers},
                content=content,
                timeout=way.timeout.total_seconds(),
                extensions={"sni_hostname": host},  # also the name that the certificate must have
            )
            try:
                answer = await client.send(asked, stream=True)
            except httpx2.ConnectError as error:
                if (fault := outgoing.tls_fault(host, error)) is not None:
                    raise fault from error
                last = error
                continue
            except httpx2.TransportError as error:
                raise outgoing.unreachable(host, port, OSError(str(error) or type(error).__name__)) from error
            try:
                yield answer
            finally:
                await answer.aclose()
            return
    raise outgoing.unreachable(host, port, OSError(str(last)))
