"""The settings of one Active Directory domain, as they stand in the agent's TOML file.

Read by the agent at its start, handed to `source`. What may be read is decided here, on the agent's host: no request
of the service widens it.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from dirbridge.connectors.ad import dn, schema
from dirbridge.connectors.password_file import read_password
from dirbridge.contract.errors import ConfigurationError

LDAPS_PORT = 636

# Passwords, keys and recovery secrets: refused whatever the settings and the service ask.
# Source: MS-ADTS 3.1.1.4.4 (secret attributes); LAPS, gMSA and BitLocker schema extensions.
SECRETS = (
    "unicodepwd",
    "dbcspwd",
    "ntpwdhistory",
    "lmpwdhistory",
    "supplementalcredentials",
    "userpassword",
    "unixuserpassword",
    "clearpassword",
    "currentvalue",
    "priorvalue",
    "trustauthincoming",
    "trustauthoutgoing",
    "initialauthincoming",
    "initialauthoutgoing",
    "ms-mcs-admpwd*",
    "mslaps-*",
    "ms-laps-*",
    "msds-managedpassword",
    "msds-managedpasswordid",
    "msds-managedpasswordpreviousid",
    "msds-keycredentiallink*",
    "msfve-recoverypassword",
    "msfve-keypackage",
    "mspki-accountcredentials",
    "mspkiaccountcredentials",
    "mspkidpapimasterkeys",
)

_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*"
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h)")
_UNITS = {"ms": 0.001, "s": 1, "min": 60, "m": 60, "h": 3600}


def _domain_name(value: str) -> str:
    if "." not in value or _HOST.fullmatch(value) is None:
        raise ValueError(f"'{value}' is not the DNS name of a domain, such as contoso.com")
    return value.lower()


def _server(value: str) -> str:
    try:
        url = urlsplit(value)
        port = url.port or LDAPS_PORT
    except ValueError as error:
        raise ValueError(f"'{value}' is not an address of the form ldaps://host:port: {error}") from error
    if url.scheme != "ldaps":
        raise ValueError(f"'{value}' does not begin with ldaps://; a password is sent over TLS only")
    if not url.hostname or url.username or url.path.strip("/") or url.query or url.fragment:
        raise ValueError(f"'{value}' is not an address of the form ldaps://host:port")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"ldaps://{host}:{port}"


def _user(value: str) -> str:
    if "=" in value:
        dn.split(value)
    elif "@" not in value and "\\" not in value:
        raise ValueError(f"'{value}' is neither a user principal name (svc@contoso.com) nor a distinguished name")
    return value


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


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("names no server; one of the form ldaps://host:port is needed")
    return value


Span = Annotated[timedelta, BeforeValidator(_span), AfterValidator(_bounded)]
Pattern = Annotated[str, AfterValidator(_pattern)]


class Settings(BaseModel):
    """One domain that the agent reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_domain_name)] = Field(
        description="DNS name of the domain, such as contoso.com. A server of any other domain is refused."
    )
    servers: Annotated[tuple[Annotated[str, AfterValidator(_server)], ...], AfterValidator(_some)] = Field(
        description="Domain controllers, as ldaps://host:port, in the order in which they are tried."
    )
    ca_file: Annotated[Path, AfterValidator(_ca_file)] = Field(
        description="File with the certificates, in PEM form, of the authority that signed the servers' certificates."
    )
    user: Annotated[str, AfterValidator(_user)] = Field(
        description="Account to read with: its user principal name or its distinguished name."
    )
    password_file: Annotated[Path, AfterValidator(_password_file)] = Field(
        description="File with the account's password in one line; only its owner may read it (mode 0600)."
    )
    include_attributes: tuple[Pattern, ...] = Field(
        default=schema.ATTRIBUTE_NAMES,
        description="Attributes that may leave this host; * and ? stand for characters. The default is what the "
        "default mapping uses. Passwords, keys and recovery secrets are never read, whatever stands here.",
    )
    exclude_attributes: tuple[Pattern, ...] = Field(
        default=(), description="Attributes that may not leave this host although they are included."
    )
    exclude_containers: tuple[Annotated[str, AfterValidator(_container)], ...] = Field(
        default=(),
        description="Distinguished names of containers; nothing in or below them leaves this host.",
    )
    connect_timeout: Span = Field(
        default=timedelta(seconds=10), description="How long connecting and TLS may take, such as 10s."
    )
    answer_timeout: Span = Field(
        default=timedelta(minutes=5),
        description="How long a server may stay silent in the middle of an answer, such as 5min.",
    )
    allow_without_deleted_objects: bool = Field(
        default=False,
        description="Read changes although the account may not list deleted objects. Deletes are then not seen "
        "until the next full read.",
    )

    @property
    def base_dn(self) -> str:
        """The head of the domain's naming context."""
        return ",".join(f"DC={label}" for label in self.name.split("."))

    def allows(self, attribute: str) -> bool:
        """Say whether an attribute may leave this host."""
        found = self._verdicts.get(attribute)
        if found is None:
            found = self._verdicts[attribute] = self._judge(attribute.lower())
        return found

    def hides(self, name: str) -> bool:
        """Say whether an object with this distinguished name lies in an excluded container."""
        return any(dn.below(name, container) for container in self.exclude_containers)

    def password(self) -> str:
        """Read the password afresh, so that a new one is used without a restart.

        Raises:
            ConfigurationError: the file is gone, empty, or readable by others.
        """
        try:
            return read_password(self.password_file)
        except ValueError as error:
            raise ConfigurationError(
                f"The password file of the domain {self.name} cannot be used: {error}.",
                code="PasswordFileUnusable",
                recommended_action=f"Put the password into {self.password_file}, one line, and run chmod 600 on it.",
            ) from error

    @cached_property
    def _verdicts(self) -> dict[str, bool]:
        return {}

    def _judge(self, attribute: str) -> bool:
        # A number (1.2.840…) and a name with an option (name;binary) mean an attribute that goes by another name.
        if schema.NAME.fullmatch(attribute) is None:
            return False
        if _matches(attribute, SECRETS) or _matches(attribute, self.exclude_attributes):
            return False
        return _matches(attribute, self.include_attributes)


def parse(values: Mapping[str, Any]) -> Settings:
    """Read the settings of one domain.

    Raises:
        ConfigurationError: names every fault at once.
    """
    try:
        return Settings.model_validate(values)
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


def _matches(attribute: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(attribute, pattern.lower()) for pattern in patterns)


_WORDS = {"extra_forbidden": "is not a setting", "missing": "is missing"}


def _fault(place: tuple[int | str, ...], message: str) -> str:
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    return f"{path}: {message.removeprefix('Value error, ')}"
