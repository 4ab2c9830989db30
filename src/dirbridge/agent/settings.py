"""The agent's settings: one TOML file on its host, which alone decides what the agent reads and what leaves it.

Read once at start. Every field has a default, a unit and a sentence; all faults are reported at once. What the service
told the agent when it enrolled is not here but in the state folder (`agent/state`).
"""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dirbridge.connectors import SOURCE_KINDS, build_source, settings_class
from dirbridge.connectors.protocol import Source
from dirbridge.contract.errors import ConfigurationError

ENVIRONMENT = "environment"
"""Written in place of a proxy's address."""


def default_file() -> Path:
    """Where the settings lie unless told otherwise: the system's place for root, the user's for others."""
    root = Path("/etc/dirbridge") if os.geteuid() == 0 else Path("~/.config/dirbridge").expanduser()
    return root / "agent.toml"


class Common(BaseModel):
    """What is not about a single domain. Durations in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    concurrency: int = Field(
        default=4, ge=1, le=32, description="Requests of the service that are worked at at the same time at most."
    )
    pages_under_way: int = Field(
        default=3, ge=1, le=8, description="Pages of one answer that are on their way to the service at the same time."
    )
    proxy: str | None = Field(
        default=None,
        description="HTTP proxy to reach the service through, such as http://proxy.example.com:3128; `environment` "
        "takes what the variables https_proxy, all_proxy and no_proxy say; none if unset.",
    )
    proxy_user: str | None = Field(
        default=None, description="User name that the proxy asks for (Basic), or principal (Negotiate)."
    )
    proxy_password_file: Path | None = Field(
        default=None,
        description="File with that user's password in one line; only its owner may read it (mode 0600).",
    )
    proxy_negotiate: bool = Field(
        default=False,
        description="Tell the proxy by Kerberos who this is (Negotiate); needs the extra `kerberos`.",
    )
    proxy_keytab: Path | None = Field(
        default=None,
        description="Keytab of that user; without it the tickets that the agent's environment has are used.",
    )
    proxy_bypass: tuple[str, ...] = Field(
        default=(),
        description="Hosts that are reached without the proxy: names, * for parts of them, and networks such as "
        "10.0.0.0/8.",
    )
    proxy_bypass_local: bool = Field(
        default=False,
        description="Reach hosts without a dot in their name, and this machine itself, without the proxy.",
    )
    proxy_config: Path | None = Field(
        default=None,
        description="File of the kind AADConnectProvisioningAgent.exe.config, whose system.net/defaultProxy decides "
        "where `proxy` is unset.",
    )
    connect_timeout: float = Field(
        default=10, gt=0, le=300, description="Seconds that connecting to the service may take."
    )
    answer_timeout: float = Field(
        default=30, gt=0, le=600, description="Seconds that the service may take to answer, beyond the time asked for."
    )
    retry_longest: float = Field(
        default=10, ge=0.1, le=3600, description="Longest pause in seconds before the service is tried again."
    )
    give_up_after: float = Field(
        default=300,
        ge=1,
        le=86400,
        description="Seconds after which a request is dropped whose answer the service does not take.",
    )
    credential_pause: float = Field(
        default=1800,
        ge=0,
        le=86400,
        description="Seconds for which a directory that refused the account is not tried again, lest it be locked.",
    )
    stop_timeout: float = Field(
        default=3, ge=0, le=60, description="Seconds that requests under way are given when the agent stops."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged to standard error."
    )
    log_format: Literal["auto", "json", "columns"] = Field(
        default="auto", description="How log lines look: `auto` is columns at a terminal and JSON elsewhere."
    )
    trace_megabytes: int = Field(
        default=100, ge=10, le=10_000, description="Megabytes that a verbose trace may take; the oldest lines go first."
    )
    remote_trace: Literal["off", "on", "values"] = Field(
        default="on",
        description="What the service may ask of this host's traces: nothing, a verbose trace for a time and a copy of "
        "what there is, or that with the values of attributes.",
    )

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, value: str | None) -> str | None:
        if value is not None and value != ENVIRONMENT and not value.startswith(("http://", "https://")):
            raise ValueError("does not begin with http:// or https://")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Common:
        if self.proxy_password_file is not None and self.proxy_user is None:
            raise ValueError("proxy_password_file is given without proxy_user")
        for name in ("proxy_user", "proxy_negotiate"):
            if getattr(self, name) and self.proxy is None and self.proxy_config is None:
                raise ValueError(f"{name} is given without a proxy; set proxy, or proxy_config")
        if self.proxy_keytab is not None and not self.proxy_negotiate:
            raise ValueError("proxy_keytab is given without proxy_negotiate")
        if self.proxy_negotiate and self.proxy_password_file is not None:
            raise ValueError("proxy_negotiate and proxy_password_file exclude each other; Kerberos takes proxy_keytab")
        return self


@dataclass(frozen=True, slots=True)
class Domain:
    """One directory that the agent reads.

    Attributes:
        kind: one of `connectors.SOURCE_KINDS`.
        name: as the service asks for it, in lower case.
        settings: of the kind's own class.
    """

    kind: str
    name: str
    settings: Any

    def source(self) -> Source:
        """Make its source."""
        return build_source(self.kind, self.settings)

    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """Give what differs once one of the files that the settings name, such as the password's, was changed."""
        found = []
        for _, value in self.settings:
            if isinstance(value, Path):
                with contextlib.suppress(OSError):
                    status = value.stat()
                    found.append((str(value), status.st_mtime_ns, status.st_size))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole file; `file` is where it lies, if it does."""

    common: Common
    domains: tuple[Domain, ...]
    file: Path | None = None

    @property
    def names(self) -> list[str]:
        """The names of the domains."""
        return [domain.name for domain in self.domains]


def load(file: Path) -> Settings:
    """Read the settings file.

    Raises:
        ConfigurationError: it cannot be read, or names every fault in it.
    """
    remedy = f"Write the settings to {file}, or name another file with --settings."
    try:
        text = file.read_bytes().decode("utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(
            f"The settings file {file} cannot be read: {error.strerror}.",
            code="SettingsUnreadable",
            recommended_action=remedy,
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"The settings file {file} is not UTF-8 text: byte {error.start + 1} is 0x{error.object[error.start]:02x}.",
            code="SettingsUnreadable",
            recommended_action="Save it as UTF-8.",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            f"The settings file {file} is not TOML: {error}.",
            code="SettingsUnreadable",
            recommended_action="Correct it at that place; text must stand in quotation marks.",
        ) from error
    return replace(parse(values, str(file)), file=file)


def parse(values: Mapping[str, Any], origin: str) -> Settings:
    """Read settings that were TOML.

    Args:
        origin: what messages call them.

    Raises:
        ConfigurationError: names every fault.
    """
    given = dict(values)
    tables = given.pop("domain", [])
    faults: list[str] = []
    try:
        common = Common.model_validate(given)
    except ValidationError as error:
        common = Common()
        faults += [_fault("", fault) for fault in error.errors(include_url=False)]
    domains = _domains(tables, faults)
    if faults:
        count = "a fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise ConfigurationError(
            f"The settings {origin} have {count}:\n" + "\n".join(f"  - {fault}" for fault in faults),
            code="SettingsInvalid",
            recommended_action="Correct these lines and start the agent again.",
            details={str(number): fault for number, fault in enumerate(faults, start=1)},
        )
    return Settings(common, tuple(domains))


def _domains(tables: object, faults: list[str]) -> list[Domain]:
    if not isinstance(tables, Sequence) or isinstance(tables, str) or not tables:
        faults.append("domain is missing; at least one table [[domain]] is expected, one for each directory to read")
        return []
    found: list[Domain] = []
    for number, table in enumerate(tables, start=1):
        domain = _domain(number, table, faults)
        if domain is not None and domain.name in {other.name for other in found}:
            faults.append(
                f"domain {number}: name is {domain.name!r}, which an earlier domain has; take one of them out"
            )
        elif domain is not None:
            found.append(domain)
    return found


def _domain(number: int, table: object, faults: list[str]) -> Domain | None:
    if not isinstance(table, Mapping):
        faults.append(f"domain {number} is {table!r}; a table [[domain]] is expected")
        return None
    given = dict(table)
    kind = given.pop("kind", SOURCE_KINDS[0])
    if kind not in SOURCE_KINDS:
        faults.append(f"domain {number}: kind is {kind!r}; {' or '.join(map(repr, SOURCE_KINDS))} is expected")
        return None
    try:
        settings = settings_class(kind).model_validate(given)
    except ValidationError as error:
        name = f"domain {given['name']}" if isinstance(given.get("name"), str) else f"domain {number}"
        faults += [_fault(f"{name}: ", fault) for fault in error.errors(include_url=False)]
        return None
    return Domain(kind, settings.name.lower(), settings)


def _fault(place: str, fault: Any) -> str:
    """Say which field has which value and what is expected there."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]).lstrip(".")
    said = str(fault["msg"]).removeprefix("Value error, ").rstrip(".")
    said = said[:1].lower() + said[1:]
    match fault["type"]:
        case "missing":
            return f"{place}{path} is missing; it has no default"
        case "extra_forbidden":
            # Its value is not shown: it may be a password in the wrong place.
            return f"{place}{path} is no setting of this version; take it out, or correct its spelling"
        case _ if not path:
            return f"{place}{said}"
        case _:
            return f"{place}{path} is {fault['input']!r}: {said}"
