"""Which way leads to the service: straight, or through an outbound proxy.

Decided once for each client of the service, from the agent's settings: an address there, the environment's variables
where the settings say so, or the configuration file that a Windows agent of cloud sync had. Credentials come from a
file, so that the settings can be read by everybody.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree as ET

from dirbridge.agent import negotiate
from dirbridge.agent.settings import ENVIRONMENT, Common
from dirbridge.connectors.password_file import read_password
from dirbridge.contract.errors import ConfigurationError

_MAX_CONFIG = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Proxy:
    """An outbound proxy.

    Attributes:
        address: http:// or https:// with host and port, without credentials.
        user: empty where it asks for none.
        origin: where the address was found, for messages.
        negotiates: it is told by Kerberos who this is; `user` is then a principal and there is no password.
        keytab: of that principal; None for the tickets that the environment has.
    """

    address: str
    user: str
    password: str
    origin: str
    negotiates: bool = False
    keytab: Path | None = None

    async def authorization(self) -> str | None:
        """Give what a CONNECT of its own says in `Proxy-Authorization`; None where nothing. Good for one connection.

        Raises:
            ConfigurationError: Kerberos gives no ticket.
        """
        if self.negotiates:
            return await negotiate.authorization(urlsplit(self.address).hostname or "", self.user, self.keytab)
        if not self.user:
            return None
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"

    @property
    def url(self) -> str:
        """Its address with the credentials, as HTTP clients take it. Not for any message."""
        if not self.user or self.negotiates:
            return self.address
        scheme, _, rest = self.address.partition("://")
        return f"{scheme}://{quote(self.user, safe='')}:{quote(self.password, safe='')}@{rest}"


def choose(common: Common, service: str, environ: Mapping[str, str] | None = None) -> Proxy | None:
    """Say which proxy leads to the service; None where none is wanted.

    Args:
        service: its URL.
        environ: the environment's variables.

    Raises:
        ConfigurationError: an address, the configuration file or the password's file cannot be used.
    """
    host = urlsplit(service).hostname or ""
    found = _found(common, host, os.environ if environ is None else environ)
    if found is None or _bypasses(common, host):
        return None
    address, origin = found
    return _proxy(common, address, origin)


def _found(common: Common, host: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Give address and origin."""
    if common.proxy == ENVIRONMENT:
        return _of_environment(host, environ)
    if common.proxy is not None:
        return common.proxy, "`proxy` of the agent's settings"
    if common.proxy_config is not None:
        return _of_config(common.proxy_config, host, environ)
    return None


def _of_environment(host: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Read the variables as curl and Python do: lower case before upper case."""
    lowered = {name.lower(): value for name, value in sorted(environ.items()) if value}
    if urllib.request.proxy_bypass_environment(host, {"no": lowered.get("no_proxy", "")}):  # type: ignore[attr-defined]
        return None
    for name in ("https_proxy", "all_proxy"):
        if name in lowered:
            return lowered[name], f"the variable {name} of the environment"
    return None


def _of_config(file: Path, host: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """Read `system.net/defaultProxy` of a .NET configuration file.

    Source: .NET network settings schema, defaultProxy, proxy and bypasslist: the latter holds regular expressions.
    """
    try:
        text = file.read_bytes()[:_MAX_CONFIG]
        root = ET.fromstring(text)  # noqa: S314 - a file of this host's administrator; expat bounds entities
    except (OSError, ET.ParseError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"The proxy's configuration file {file} cannot be read: {why}.",
            code="ProxyConfigUnreadable",
            recommended_action="Correct `proxy_config`, or name the proxy with `proxy` instead.",
        ) from error
    default = root.find("./system.net/defaultProxy")
    if default is None or _is(default, "enabled", "false"):
        return None
    proxy = default.find("./proxy")
    attributes = {} if proxy is None else {name.lower(): value for name, value in proxy.attrib.items()}
    if attributes.get("bypassonlocal", "").lower() == "true" and _is_local(host):
        return None
    for entry in default.iterfind("./bypasslist/add"):
        if _matches(entry.get("address", ""), host, file):
            return None
    address = attributes.get("proxyaddress", "").strip()
    if address:
        return address, str(file)
    return _of_environment(host, environ)  # `usesystemdefault`: what the system says, which here is the environment


def _is(element: ET.Element, name: str, value: str) -> bool:
    return any(each.lower() == name and said.lower() == value for each, said in element.attrib.items())


def _matches(pattern: str, host: str, file: Path) -> bool:
    try:
        return bool(pattern) and re.search(pattern, f"https://{host}", re.IGNORECASE) is not None
    except re.error as error:
        raise ConfigurationError(
            f"The bypass list in {file} has the entry {pattern!r}, which is no regular expression: {error}.",
            code="ProxyConfigUnreadable",
            recommended_action="Correct it there.",
        ) from error


def _bypasses(common: Common, host: str) -> bool:
    if common.proxy_bypass_local and _is_local(host):
        return True
    return any(_is_one_of(host, pattern.lower()) for pattern in common.proxy_bypass)


def _is_one_of(host: str, pattern: str) -> bool:
    """Compare with a name, a pattern with asterisks, or a network."""
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return fnmatchcase(host.lower(), pattern)


def _is_local(host: str) -> bool:
    """Tell whether a host is of this very network: a name without a dot, or this machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return "." not in host


def _proxy(common: Common, address: str, origin: str) -> Proxy:
    """Take an address apart, and put the credentials to it."""
    if "://" not in address:
        address = f"http://{address}"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        shown = address.rpartition("@")[2]
        raise ConfigurationError(
            f"The proxy {shown!r}, from {origin}, is no address of an HTTP proxy.",
            code="ProxyAddressInvalid",
            recommended_action="Write it as http://HOST:PORT.",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    plain = f"{parts.scheme}://{host}:{port or (443 if parts.scheme == 'https' else 80)}"
    if common.proxy_negotiate:
        return Proxy(plain, common.proxy_user or "", "", origin, negotiates=True, keytab=common.proxy_keytab)
    if common.proxy_user is None:
        return Proxy(plain, unquote(parts.username or ""), unquote(parts.password or ""), origin)
    return Proxy(plain, common.proxy_user, _password(common.proxy_password_file), origin)


def _password(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return read_password(file)
    except ValueError as error:
        raise ConfigurationError(
            f"The file of the proxy's password cannot be used: {error}.",
            code="PasswordFileUnusable",
            recommended_action=f"Put the password into {file}, one line, and run chmod 600 on it.",
        ) from error
