"""Calls out of the service: a host's name is resolved once, judged, and connected to at just that address.

Whoever may configure a mail server or a webhook could otherwise reach what only this machine or its network can. A
name is judged by its address, and the address judged is the one connected to: a name that means another place a moment
later gains nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

from dirbridge.contract.errors import ConfigurationError, TransientError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MOST_ADDRESSES = 4
"""Of a name's addresses, how many are tried."""

_NAT64 = IPv6Network("64:ff9b::/96")


def networks(text: str) -> tuple[Network, ...]:
    """Read networks that are separated by commas or blanks.

    Raises:
        ValueError: a part is none.
    """
    return tuple(ip_network(part) for part in text.replace(",", " ").split())


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Where the service may connect to: everywhere in public, and in these networks.

    Attributes:
        allowed: private networks, or loopback, that may be reached all the same.
    """

    allowed: tuple[Network, ...] = ()

    async def resolve(self, host: str, port: int) -> list[str]:
        """Give a host's addresses, all of which may be connected to.

        Raises:
            ConfigurationError: an address is not one to connect to.
            TransientError: the name has no address.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise TransientError(
                f"The name '{host}' cannot be resolved: {getattr(error, 'strerror', None) or error}.",
                code="HostNotFound",
                recommended_action="Correct the name, or the name service of the host that dirbridge runs on.",
            ) from error
        addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))[:MOST_ADDRESSES]
        for address in addresses:
            self._judge(host, address)
        return addresses

    def _judge(self, host: str, text: str) -> None:
        address = _meant(ip_address(text.partition("%")[0]))
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            raise _refused(host, address, "such addresses are never connected to", "Name another host.")
        allowed = any(address in network for network in self.allowed if network.version == address.version)
        if not allowed and not address.is_global:
            kind = "this machine's own" if address.is_loopback else "a private one"
            raise _refused(
                host, address, f"which is {kind}", "If it is meant, add its network to DIRBRIDGE_OUTGOING_NETWORKS."
            )

    async def connect(self, host: str, port: int) -> socket.socket:
        """Connect to a host; the caller bounds the time.

        Raises:
            ConfigurationError: it is not one to connect to.
            TransientError: it cannot be reached.
        """
        last: OSError | None = None
        for address in await self.resolve(host, port):
            try:
                return await _connected(address, port)
            except OSError as error:
                last = error
        raise unreachable(host, port, last)


def unreachable(host: str, port: int, error: OSError | None) -> TransientError:
    """Give the error for a host that cannot be reached."""
    return TransientError(
        f"{host}, port {port}, cannot be reached: {error.strerror or error if error else 'no address'}.",
        code="HostUnreachable",
        recommended_action="See that it runs, and that this host may open connections to it.",
    )


async def _connected(address: str, port: int) -> socket.socket:
    opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    with contextlib.ExitStack() as undo:
        undo.callback(opened.close)
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, (address, port))
        undo.pop_all()
    return opened


def _meant(address: Address) -> Address:
    """Give the address that packets to this one end at: IPv6 has several ways to write an IPv4 address."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def _refused(host: str, address: Address, why: str, remedy: str) -> ConfigurationError:
    shown = host if host == str(address) else f"{host} has the address {address}"
    return ConfigurationError(
        f"{shown}: {why}." if host == str(address) else f"{shown}, {why}.",
        code="AddressNotAllowed",
        recommended_action=remedy,
    )


def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Give what a server must show: a certificate of its name, of the authorities in a file or else of the machine.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"The CA file {ca_file} cannot be used: {error}.",
            code="InvalidCaFile",
            recommended_action="Give a file with the authority's certificate in PEM.",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def tls_fault(host: str, error: BaseException) -> TransientError | None:
    """Say what was wrong with a host's TLS; None where an error is not of TLS."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    if isinstance(cause, ssl.SSLCertVerificationError):
        said, remedy = cause.verify_message, "Use the name of the certificate, and name its authority's file."
    else:
        said, remedy = cause.reason or str(cause), "See that the port serves TLS of version 1.2 or later."
    return TransientError(f"TLS with {host} failed: {said.rstrip('.')}.", code="TlsFailed", recommended_action=remedy)
