"""Signing in by Kerberos (SASL GSSAPI) with the keys of an account in a keytab.

Used by `connection`. The exchange is ours and not the SASL library's: python-ldap holds all Python threads while that
one talks to servers, so a single frozen server would freeze the agent, and it takes keytab and tickets from the
environment of the process, which two directories cannot share. Needs the extra `kerberos`.

No krb5.conf of the host is needed: the servers of the settings give the tickets. Where there is one, it adds to ours.
Source: RFC 4752 (GSSAPI mechanism), RFC 4513 section 5.2.1 (SASL in LDAP).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from dirbridge.connectors.password_file import read_private
from dirbridge.contract.errors import ConfigurationError

_VERSION = b"\x05\x02"
_HOST_CONFIGURATION = "/etc/krb5.conf"
_CONFIGURATION = "KRB5_CONFIG"
_NO_LAYER = 1
"""The security layer that is none: RFC 4752 section 3.3."""

RENEW_BEFORE = 600
"""Seconds before its end when a ticket is replaced."""

_turn = threading.Lock()
_tickets: dict[str, Any] = {}
_numbers = itertools.count()
_files: dict[bytes, int] = {}
_files_turn = threading.Lock()


class GssFailure(Exception):
    """Kerberos said no; the text is libkrb5's own."""


class _Key(NamedTuple):
    principal: str
    record: bytes


@dataclass(frozen=True, slots=True)
class Keytab:
    """The keys of an account.

    Attributes:
        principal: whose, as `name@REALM`. keys: those records of the file that are its.
        servers: the domain controllers, which give tickets.
    """

    principal: str
    keys: bytes
    servers: Sequence[str]

    @classmethod
    def read(cls, file: Path, user: str, servers: Sequence[str]) -> Keytab:
        """Read a keytab file, which only its owner may read.

        Raises:
            ValueError: says what is wrong with the file.
        """
        keys = list(_keys(read_private(file), file))
        own = [key for key in keys if key.principal.lower() == user.lower()]
        if not own:
            others = ", ".join(sorted({key.principal for key in keys})) or "nobody"
            raise ValueError(f"{file} has no key of {user}; it has keys of {others}")
        return cls(own[0].principal, _VERSION + b"".join(key.record for key in own), tuple(servers))

    @property
    def fingerprint(self) -> str:
        """Something that differs when the keys do, and tells nothing of them."""
        return hashlib.blake2b(self.keys, digest_size=16).hexdigest()

    def configuration(self, server: str) -> str:
        """Write what libkrb5 would else read of the host or ask DNS for, which an attacker may answer."""
        realm = self.principal.partition("@")[2]
        hosts = dict.fromkeys(urlsplit(each).hostname or "" for each in (server, *self.servers))
        givers = "".join(f"  kdc = {_bracketed(host)}\n" for host in hosts)
        return (
            f"[libdefaults]\n default_realm = {realm}\n dns_canonicalize_hostname = false\n rdns = false\n"
            f" dns_lookup_realm = false\n udp_preference_limit = 1\n[realms]\n {realm} = {{\n{givers} }}\n"
        )


def sign_in(handle: Any, keytab: Keytab, server: str) -> None:
    """Bind a connection of python-ldap that TLS protects. Blocks.

    Tickets are kept in memory from one time to the next, and fetched again when they have expired.

    Raises:
        GssFailure: Kerberos has no ticket for this server.
        ConfigurationError: `KerberosMissing`.
        ldap.LDAPError: the server's answer.
    """
    gssapi = _library()
    realm = keytab.principal.partition("@")[2]
    try:
        with _configured(keytab.configuration(server)):
            service = gssapi.Name(f"ldap/{urlsplit(server).hostname}@{realm}", gssapi.NameType.kerberos_principal)
            context = gssapi.SecurityContext(
                name=service,
                creds=_credentials(gssapi, keytab),
                usage="initiate",
                mech=gssapi.MechType.kerberos,
                flags=[gssapi.RequirementFlag.mutual_authentication, gssapi.RequirementFlag.integrity],
            )
            token = context.step()
        while not context.complete:
            token = context.step(_say(handle, token)) or b""
        offered = context.unwrap(_say(handle, token)).message
        # TLS protects what is said. Another layer inside of it is what domain controllers refuse.
        if not offered or not offered[0] & _NO_LAYER:
            raise GssFailure("Sign or Seal are required")
        _say(handle, context.wrap(bytes([_NO_LAYER, 0, 0, 0]), False).message)
    except gssapi.exceptions.GSSError as error:
        _tickets.pop(keytab.fingerprint, None)
        said = error.get_all_statuses(error.min_code, False) or error.get_all_statuses(error.maj_code, True)
        raise GssFailure("; ".join(said)) from error


def _credentials(gssapi: Any, keytab: Keytab) -> Any:
    """Give the account's ticket, a new one where there is none that lasts.

    Each lies in memory, in a place of its own: libkrb5 goes by what it finds in a place that was used before.
    """
    held = _tickets.get(keytab.fingerprint)
    try:
        if held is not None and (held.lifetime is None or held.lifetime > RENEW_BEFORE):
            return held
    except gssapi.exceptions.GSSError:
        pass  # it has expired
    account = gssapi.Name(keytab.principal, gssapi.NameType.kerberos_principal)
    store = {
        "client_keytab": f"FILE:{_in_memory(keytab.keys)}",
        "ccache": f"MEMORY:dirbridge-{next(_numbers)}",
    }
    _tickets[keytab.fingerprint] = gssapi.Credentials(name=account, usage="initiate", store=store)
    return _tickets[keytab.fingerprint]


def _say(handle: Any, token: bytes) -> bytes:
    answer = handle.sasl_bind_s("", "GSSAPI", token)
    return answer if isinstance(answer, bytes) else b""


def _library() -> Any:
    try:
        import gssapi  # noqa: PLC0415 - an extra that few need
    except ImportError as error:
        raise ConfigurationError(
            "An account is to sign in by Kerberos, and the Python package gssapi is not installed.",
            code="KerberosMissing",
            recommended_action="Install dirbridge with the extra `kerberos`, or use `password_file`.",
        ) from error
    return gssapi


@contextmanager
def _configured(text: str) -> Iterator[None]:
    """Have libkrb5 read this configuration, then the host's. One after the other: the environment is everybody's."""
    mine = _in_memory(text.encode())
    with _turn:
        before = os.environ.get(_CONFIGURATION)
        theirs = before or _HOST_CONFIGURATION
        os.environ[_CONFIGURATION] = f"{mine}:{theirs}" if Path(theirs).exists() else mine
        try:
            yield
        finally:
            if before is None:
                del os.environ[_CONFIGURATION]
            else:
                os.environ[_CONFIGURATION] = before


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _in_memory(content: bytes) -> str:
    """Give the path of a file that exists in this process only."""
    with _files_turn:
        if content not in _files:
            number = os.memfd_create("kerberos")
            with open(number, "wb", closefd=False) as file:
                file.write(content)
            _files[content] = number
        return f"/proc/self/fd/{_files[content]}"


def _keys(data: bytes, file: Path) -> Iterator[_Key]:
    """Take a keytab apart: records of a length each; a negative one is a hole.

    Source: MIT krb5, doc/formats/keytab_file_format.rst, version 2.
    """
    if data[:2] != _VERSION:
        raise ValueError(f"{file} is no keytab")
    at = len(_VERSION)
    try:
        while at < len(data):
            (length,) = struct.unpack_from(">i", data, at)
            end = at + 4 + abs(length)
            if end > len(data) or not length:
                raise ValueError(f"{file} is cut short")
            if length > 0:
                yield _Key(_principal(data, at + 4), data[at:end])
            at = end
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is damaged") from error


def _principal(data: bytes, at: int) -> str:
    (number,) = struct.unpack_from(">H", data, at)
    at += 2
    texts: list[str] = []
    for _ in range(number + 1):
        (length,) = struct.unpack_from(">H", data, at)
        texts.append(data[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return f"{'/'.join(texts[1:])}@{texts[0]}"
