"""Settings that every directory read by LDAP has, as they stand in the agent's TOML file: what a value must look like.

Used by the `settings` of each kind.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping, Sequence
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError

from dirbridge.connectors import flows
from dirbridge.connectors.ldap_wire import dn
from dirbridge.connectors.ldap_wire.kerberos import Keytab
from dirbridge.connectors.password_file import read_password, read_private
from dirbridge.contract.errors import ConfigurationError

PORTS = {"ldaps": 636, "ldap": 389}
"""Ports by scheme: with `ldap` TLS begins with StartTLS, before anything else is said."""

Model = TypeVar("Model", bound=BaseModel)

_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*"
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)")
_UNITS = {"ms": 0.001, "s": 1, "min": 60, "m": 60, "h": 3600}


def domain_name(value: str) -> str:
    """Fold the DNS name of a domain; refuses what is none."""
    if "." not in value or _HOST.fullmatch(value) is None:
        raise ValueError(f"'{value}' is not the DNS name of a domain, such as contoso.com")
    return value.lower()


def _server(value: str) -> str:
    try:
        url = urlsplit(value)
        port = url.port or PORTS.get(url.scheme)
    except ValueError as error:
        raise ValueError(f"'{value}' is not an address of the form ldaps://host:port: {error}") from error
    if port is None or url.scheme not in PORTS:
        raise ValueError(
            f"'{value}' does not begin with ldaps://, or with ldap:// for StartTLS; a password is sent over TLS only"
        )
    if not url.hostname or url.username or url.path.strip("/") or url.query or url.fragment:
        raise ValueError(f"'{value}' is not an address of the form ldaps://host:port")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{url.scheme}://{host}:{port}"


def _ca_file(path: Path) -> Path:
    try:
        ssl.create_default_context(cafile=str(path))
    except ssl.SSLError as error:
        raise ValueError(f"{path} holds no certificate in PEM form") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    return path


def _password_file(path: Path) -> Path:
    read_password(path)
    return path


def _keytab_file(path: Path) -> Path:
    read_private(path)
    return path


def _container(value: str) -> str:
    if not dn.split(value):
        raise ValueError("an empty name would exclude nothing or everything; name a container")
    return value


def _pattern(value: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9*?-]+", value) is None:
        raise ValueError(f"'{value}' is not the name of an attribute, in which * and ? may stand for characters")
    return value


def _span(value: object) -> object:
    """Read `10s`, `2min`, `500ms`; a bare number is seconds."""
    if isinstance(value, str):
        found = _SPAN.fullmatch(value.strip())
        if found is None:
            raise ValueError(f"'{value}' is not a length of time such as 500ms, 10s or 2min")
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    return value


def _bounded(value: timedelta) -> timedelta:
    if not timedelta(0) < value <= timedelta(hours=1):
        raise ValueError(f"{value.total_seconds():g} s lies outside of what is sensible: more than 0 s, up to 1 h")
    return value


def _patient(value: timedelta) -> timedelta:
    if not timedelta(0) <= value <= timedelta(days=1):
        raise ValueError(f"{value.total_seconds():g} s lies outside of what is sensible: 0 s to 24 h")
    return value


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("names no server; one of the form ldaps://host:port is needed")
    return value


Span = Annotated[timedelta, BeforeValidator(_span), AfterValidator(_bounded)]
Wait = Annotated[timedelta, BeforeValidator(_span), AfterValidator(_patient)]
Pattern = Annotated[str, AfterValidator(_pattern)]
DomainName = Annotated[str, AfterValidator(domain_name)]
Servers = Annotated[tuple[Annotated[str, AfterValidator(_server)], ...], AfterValidator(_some)]
CaFile = Annotated[Path, AfterValidator(_ca_file)]
KeytabFile = Annotated[Path, AfterValidator(_keytab_file)]
PasswordFile = Annotated[Path, AfterValidator(_password_file)]
Containers = tuple[Annotated[str, AfterValidator(_container)], ...]


def may_leave(attribute: str, secrets: tuple[str, ...], included: tuple[str, ...], excluded: tuple[str, ...]) -> bool:
    """Say whether an attribute may leave this host.

    Args:
        attribute: in lower case. A number (1.2.840…) and a name with an option (name;binary) mean one that goes by
            another name: never.
        secrets: of which none does, whatever is included.
    """
    if flows.NAME.fullmatch(attribute) is None or matches(attribute, secrets) or matches(attribute, excluded):
        return False
    return matches(attribute, included)


def matches(attribute: str, patterns: tuple[str, ...]) -> bool:
    """Say whether an attribute's name, in lower case, fits one of the patterns."""
    return any(fnmatchcase(attribute, pattern.lower()) for pattern in patterns)


def password(name: str, file: Path) -> str:
    """Read the password of an account.

    Raises:
        ConfigurationError: the file is gone, empty, or readable by others.
    """
    try:
        return read_password(file)
    except ValueError as error:
        raise ConfigurationError(
            f"The password file of the domain {name} cannot be used: {error}.",
            code="PasswordFileUnusable",
            recommended_action=f"Put the password into {file}, one line, and run chmod 600 on it.",
        ) from error


def keytab(name: str, file: Path, user: str, servers: Sequence[str]) -> Keytab:
    """Read the keys of an account.

    Raises:
        ConfigurationError: the file is gone, readable by others, no keytab, or has no key of the account.
    """
    try:
        return Keytab.read(file, user, servers)
    except ValueError as error:
        raise ConfigurationError(
            f"The keytab of the domain {name} cannot be used: {error}.",
            code="KeytabUnusable",
            recommended_action=f"Export the keys of {user} into {file} afresh, and run chmod 600 on it.",
        ) from error


def parse(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Read the settings of one domain.

    Raises:
        ConfigurationError: names every fault at once.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        faults = [_fault(found["loc"], _WORDS.get(found["type"], found["msg"])) for found in error.errors()]
        name = values.get("name", "without a name")
        raise ConfigurationError(
            f"The settings of the domain {name} have {len(faults)} fault{'s'[: len(faults) > 1]}: "
            + "; ".join(faults)
            + ".",
            code="InvalidDomainSettings",
            recommended_action="Correct them in the agent's settings file.",
        ) from error


_WORDS = {"extra_forbidden": "is not a setting", "missing": "is missing"}


def _fault(place: tuple[int | str, ...], message: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    words = message.removeprefix("Value error, ")
    return f"{path}: {words}" if path else words
