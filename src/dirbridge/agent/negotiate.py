"""The way out through a proxy that wants to know who somebody is by Kerberos: Negotiate.

Used by `client` where the settings say so. A ticket may be shown once only, so each connection gets one of its own, in
the CONNECT that opens it; what waits for the domain controller runs in a thread. Needs the extra `kerberos`.
Source: RFC 4559 (Negotiate), RFC 9110 section 9.3.6 (CONNECT).
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import httpx2

from dirbridge.contract.errors import ConfigurationError

_SPNEGO = (1, 3, 6, 1, 5, 5, 2)
_MOST_HEAD = 64 * 1024


async def authorization(host: str, user: str, keytab: Path | None) -> str:
    """Make what `Proxy-Authorization` says, for one connection.

    Args:
        host: of the proxy; its service is HTTP/host.
        user: the principal; empty for the one of the keytab, or of the environment's tickets.
        keytab: the user's key; None for the tickets that the environment has (KRB5CCNAME).

    Raises:
        ConfigurationError: Kerberos is not installed, or gives no ticket.
    """
    return f"Negotiate {await asyncio.to_thread(_token, host, user, keytab)}"


def _token(host: str, user: str, keytab: Path | None) -> str:
    try:
        import gssapi  # noqa: PLC0415 - an extra that few need
    except ImportError as error:
        raise ConfigurationError(
            "The proxy is to be told who this is by Kerberos, and the Python package gssapi is not installed.",
            code="KerberosMissing",
            recommended_action="Install dirbridge with the extra `kerberos`, or use `proxy_user` with a password.",
        ) from error
    store = {"client_keytab": str(keytab), "ccache": f"MEMORY:{keytab}"} if keytab else None
    token = b""
    # SPNEGO only says that it found no mechanism; Kerberos by itself says why, and its bare token is understood too.
    for mechanism in (gssapi.OID.from_int_seq(_SPNEGO), gssapi.MechType.kerberos):
        try:
            own = gssapi.Name(user, gssapi.NameType.kerberos_principal) if user else None
            credentials = gssapi.Credentials(name=own, usage="initiate", store=store, mechs=[mechanism])
            service = gssapi.Name(f"HTTP@{host}", gssapi.NameType.hostbased_service)
            token = gssapi.SecurityContext(name=service, creds=credentials, mech=mechanism, usage="initiate").step()
            break
        except gssapi.exceptions.GSSError as error:
            if mechanism != gssapi.MechType.kerberos:
                continue
            raise ConfigurationError(
                f"Kerberos gives no ticket for the proxy HTTP/{host}: {_words(error)}.",
                code="KerberosFailed",
                recommended_action="See that krb5.conf finds the domain, that the clocks agree, that the keytab is of "
                "`proxy_user` and current, and that the proxy has the service principal HTTP/its name.",
            ) from error
    return base64.b64encode(token).decode()


def _words(error: Any) -> str:
    """Give what the mechanism said, which says more than GSSAPI's own words."""
    said = error.get_all_statuses(error.min_code, False) or error.get_all_statuses(error.maj_code, True)
    return "; ".join(said).rstrip(".") or str(error)


class Tunnels(httpcore2.AsyncNetworkBackend):
    """Opens connections through the proxy, and says at each who this is."""

    def __init__(self, proxy: str, user: str, keytab: Path | None) -> None:
        parts = urlsplit(proxy)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._user = user
        self._keytab = keytab
        self._direct = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to a host and port as the proxy sees them.

        Raises:
            httpcore2.ProxyError: the proxy does not lead there, or Kerberos gives no ticket for it.
        """
        try:
            said = await authorization(self._host, self._user, self._keytab)
        except ConfigurationError as error:
            raise httpcore2.ProxyError(error.reason) from error
        stream = await self._direct.connect_tcp(self._host, self._port, timeout, local_address, socket_options)
        try:
            if self._tls is not None:
                stream = await stream.start_tls(self._tls, self._host, timeout)
            target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"Proxy-Authorization: {said}", "", ""]
            await stream.write("\r\n".join(lines).encode(), timeout)
            status = await _status(stream, timeout)
            if not status.startswith("2"):
                raise httpcore2.ProxyError(status)
        except BaseException:
            await stream.aclose()
            raise
        return stream

    async def sleep(self, seconds: float) -> None:
        await self._direct.sleep(seconds)


async def _status(stream: httpcore2.AsyncNetworkStream, timeout: float | None) -> str:
    """Read the answer's head and nothing of what follows; gives its status and reason."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # Byte by byte: the other side of the tunnel may begin to speak at once, and what it says is not ours.
        more = await stream.read(1, timeout)
        if not more or len(head) > _MOST_HEAD:
            raise httpcore2.ProxyError("it closed the connection")
        head += more
    return head.split(b"\r\n", 1)[0].partition(b" ")[2].decode("latin-1")


class Transport(httpx2.AsyncHTTPTransport):
    """A transport whose connections are all such tunnels."""

    def __init__(self, verify: ssl.SSLContext, limits: httpx2.Limits, tunnels: Tunnels) -> None:
        super().__init__(verify=verify, limits=limits, trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=tunnels,
        )
