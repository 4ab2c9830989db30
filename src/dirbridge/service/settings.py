"""The service's settings: every one with its default, its unit and a sentence.

They come from options of the command line, else from environment variables `DIRBRIDGE_<NAME>`, else from here. All
faults are reported at once. Only `cli` reads them from outside; the rest of the service gets the finished object.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from socket import getfqdn
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service import outgoing
from dirbridge.service.notify import webhook

PREFIX = "DIRBRIDGE_"
PAIRS = (
    ("tls_cert", "tls_key"), ("smtp_server", "mail_from"), ("smtp_user", "smtp_password"),
    ("webhook_url", "webhook_secret"), ("oidc_issuer", "oidc_client_id"),
)  # fmt: skip
"""Settings of which one is nothing without the other."""
MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@(?=.{1,253}$)[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
"""A mailbox: the common part of what RFC 5321 section 4.1.2 allows."""
Role = Literal["all", "api", "worker"]


def default_data() -> Path:
    """Where data lies unless told otherwise: the system's place for root, the user's for others."""
    return Path("/var/lib/dirbridge") if os.geteuid() == 0 else Path("~/.local/share/dirbridge").expanduser()


class Settings(BaseModel):
    """What an operator decides. Durations in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    data: Path = Field(
        default_factory=default_data,
        description="Folder of the embedded database, the sealing key and the CA's certificate.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL to use, as postgresql://user:password@host/name; without it the embedded one runs.",
    )
    sealing_key_file: Path | None = Field(
        default=None,
        description="File with the key that seals secrets in the database; `sealing.key` in the data folder if unset.",
    )
    listen: str = Field(
        default="127.0.0.1:8443", description="Address and port the service accepts connections at, as HOST:PORT."
    )
    base_url: str | None = Field(
        default=None,
        description="Where clients and agents reach the service from outside, https and without a path; follows "
        "`listen` if unset.",
    )
    tls_cert: Path | None = Field(
        default=None,
        description="Certificate chain for TLS in PEM; the tenant's own CA issues one if unset.",
    )
    tls_key: Path | None = Field(default=None, description="Private key that belongs to `tls_cert`, in PEM.")
    role: Role = Field(
        default="all", description="What this process does: answer requests (api), run jobs (worker), or both (all)."
    )
    database_connections: int = Field(
        default=20, ge=4, le=500, description="Connections this process keeps open to the database at most."
    )
    worker_concurrency: int = Field(
        default=4, ge=1, le=100, description="Cycles this process runs at the same time at most."
    )
    tick_interval: float = Field(
        default=1.0,
        ge=0.1,
        le=60,
        description="Seconds between two looks at which jobs are due, where nothing tells of one before.",
    )
    stalled_after: float = Field(
        default=30.0,
        ge=5,
        le=3600,
        description="Seconds without a sign of life after which a worker's jobs are taken over.",
    )
    housekeeping_interval: float = Field(
        default=300.0, ge=1, le=86400, description="Seconds between two rounds of housekeeping in the database."
    )
    stop_timeout: float = Field(
        default=10.0, ge=1, le=300, description="Seconds that requests and cycles under way are given when stopping."
    )
    throttling: bool = Field(
        default=True, description="Whether applications that ask the API too much are answered 429 for a while."
    )
    throttle_units: int | None = Field(
        default=None,
        ge=10,
        description="Resource units of the directory that an application may read in 10 seconds; by the tenant's users "
        "if unset: 3500 under 50, 5000 to 500, 8000 above.",
    )
    throttle_application_units: int = Field(
        default=150_000, ge=10, description="Resource units that an application may read in 20 seconds, in all tenants."
    )
    throttle_writes: int = Field(
        default=3_000, ge=1, description="Writes of an application to the directory in 150 seconds."
    )
    throttle_application_writes: int = Field(
        default=70_000, ge=1, description="Writes of an application in 5 minutes, in all tenants."
    )
    throttle_tenant_writes: int = Field(
        default=18_000, ge=1, description="Writes of all applications together in 5 minutes."
    )
    throttle_reports: int = Field(
        default=5, ge=1, description="Requests of an application for provisioning log and audit trail in 10 seconds."
    )
    throttle_on_demand: int = Field(
        default=5, ge=1, description="Provisions on demand of an application in 10 seconds."
    )
    throttle_requests: int = Field(
        default=2_000, ge=1, description="Requests of an application in a second, whatever they ask."
    )
    log_retention: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="Days for which the provisioning log and notifications are kept, where nobody chose others.",
    )
    smtp_server: str | None = Field(
        default=None,
        description="Mail server for notifications, as HOST or HOST:PORT; no mail is sent without it.",
    )
    smtp_security: Literal["starttls", "tls"] = Field(
        default="starttls",
        description="How mail is encrypted: by STARTTLS (port 587 unless given) or by TLS from the start (port 465).",
    )
    smtp_user: str | None = Field(default=None, description="User at the mail server, where it asks for one.")
    smtp_password: SecretStr | None = Field(default=None, description="That user's password.")
    smtp_ca_file: Path | None = Field(
        default=None,
        description="Certificates, in PEM, that verify the mail server; those that the machine trusts if unset.",
    )
    mail_from: str | None = Field(default=None, description="Mailbox that notifications come from.")
    webhook_url: SecretStr | None = Field(
        default=None, description="Address, https, that is told of every job by signed webhook calls."
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="Key that signs them: text of at least 24 characters, or whsec_ and base64."
    )
    webhook_ca_file: Path | None = Field(
        default=None,
        description="Certificates, in PEM, that verify webhooks; those that the machine trusts if unset.",
    )
    outgoing_networks: str = Field(
        default="",
        description="Private networks that the mail server and webhooks may be in, such as 10.1.0.0/16, 127.0.0.1/32, "
        "separated by commas; public addresses always may.",
    )
    outgoing_timeout: float = Field(
        default=20.0, ge=1, le=25, description="Seconds that a mail or a webhook call may take in all."
    )
    session_idle: float = Field(
        default=28800.0,
        ge=60,
        le=604800,
        description="Seconds after which a browser's session ends that nobody uses; a page that is only left open does "
        "not count.",
    )
    session_lifetime: float = Field(
        default=86400.0, ge=60, le=2592000, description="Seconds after which every browser's session ends."
    )
    trusted_proxies: str = Field(
        default="",
        description="Networks of the reverse proxies whose X-Forwarded-For is believed, such as 10.1.2.3/32, separated "
        "by commas; nobody's if empty.",
    )
    oidc_issuer: str | None = Field(
        default=None,
        description="Issuer of an OpenID Connect provider that administrators may sign in with, https.",
    )
    oidc_client_id: str | None = Field(default=None, description="Id that the provider gave this service.")
    oidc_client_secret_file: Path | None = Field(
        default=None,
        description="File with the secret that the provider gave this service; none for a public client.",
    )
    oidc_label: str = Field(
        default="your organization", max_length=60, description="What the sign-in page calls the provider."
    )
    oidc_name: Literal["email", "preferred_username"] = Field(
        default="email",
        description="Claim by which the provider says, once, which administrator somebody is: a mail address that it "
        "verified, or the name that it gave them, which must not be one that people choose there.",
    )
    oidc_ca_file: Path | None = Field(
        default=None,
        description="Certificates, in PEM, that verify the provider; those that the machine trusts if unset.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severity that is logged; only `debug` shows attribute values."
    )
    log_format: Literal["auto", "json", "columns"] = Field(
        default="auto", description="How log lines look: `auto` is columns at a terminal and JSON elsewhere."
    )

    @field_validator(
        "data", "sealing_key_file", "tls_cert", "tls_key", "smtp_ca_file", "webhook_ca_file", "oidc_client_secret_file",
        "oidc_ca_file",
    )  # fmt: skip
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None

    @field_validator("database_url")
    @classmethod
    def _postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        scheme = urlsplit(value.get_secret_value()).scheme if value is not None else "postgresql"
        if scheme not in {"postgresql", "postgres"}:
            raise ValueError(f"begins with {scheme + ':' if scheme else 'no scheme'}, postgresql:// is expected")
        return value

    @field_validator("listen")
    @classmethod
    def _address(cls, value: str) -> str:
        _split_address(value)
        return value

    @field_validator("base_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
            raise ValueError(f"is '{value}', https://HOST or https://HOST:PORT is expected")
        if parts.path.strip("/"):
            raise ValueError(f"has the path '{parts.path}'; the service must be at the root of its host")
        _ = parts.port  # raises ValueError when it is no number
        return f"https://{parts.netloc.lower()}"

    @field_validator("smtp_server")
    @classmethod
    def _mail_server(cls, value: str | None) -> str | None:
        if value is not None:
            _split_server(value, 0)
        return value

    @field_validator("mail_from")
    @classmethod
    def _mailbox(cls, value: str | None) -> str | None:
        if value is not None and not MAILBOX.fullmatch(value):
            raise ValueError(f"is '{value}', a mailbox such as dirbridge@contoso.example is expected")
        return value

    @field_validator("webhook_url")
    @classmethod
    def _webhook(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parts = urlsplit(value.get_secret_value())
            if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.port == 0:
                raise ValueError("is no address such as https://host/path, without user and password")
        return value

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme != "https" or not parts.hostname or parts.username is not None or parts.query:
                raise ValueError(f"is '{value}', an issuer such as https://login.contoso.example is expected")
            _ = parts.port  # raises ValueError when it is no number
        return value

    @field_validator("webhook_secret")
    @classmethod
    def _key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            webhook.key(value.get_secret_value())
        return value

    @field_validator("outgoing_networks", "trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        outgoing.networks(value)
        return value

    @model_validator(mode="after")
    def _pairs(self) -> Self:
        for one, other in PAIRS:
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(_lonely(one, other, one if getattr(self, one) is None else other))
        return self

    @property
    def host(self) -> str:
        """The address to listen at."""
        return _split_address(self.listen)[0]

    @property
    def port(self) -> int:
        """The port to listen at; 0 takes any free one."""
        return _split_address(self.listen)[1]

    @property
    def smtp_address(self) -> tuple[str, int] | None:
        """Host and port of the mail server."""
        port = 465 if self.smtp_security == "tls" else 587
        return _split_server(self.smtp_server, port) if self.smtp_server is not None else None

    @property
    def sealing_key(self) -> Path:
        """The sealing key's file."""
        return self.sealing_key_file or self.data / "sealing.key"

    @property
    def ca_file(self) -> Path:
        """Where the CA's certificate is laid for clients."""
        return self.data / "ca.pem"

    @property
    def stop_within(self) -> timedelta:
        """`stop_timeout` as a duration."""
        return timedelta(seconds=self.stop_timeout)

    def derived_base_url(self, port: int | None = None) -> str:
        """Give the base URL that follows from where the service listens; on every address, from this host's name."""
        try:
            everywhere = ip_address(self.host).is_unspecified
        except ValueError:
            everywhere = False
        host = getfqdn() if everywhere else self.host
        shown = f"[{host}]" if ":" in host else host
        used = self.port if port is None else port
        return f"https://{shown}" if used == 443 else f"https://{shown}:{used}"


def load(given: Mapping[str, object | None], environment: Mapping[str, str] | None = None) -> Settings:
    """Join options and environment into settings.

    Args:
        given: options of the command line by setting name; None where not given.
        environment: the variables to read; those of the process if not given.

    Raises:
        ConfigurationError: names every fault found, not only the first.
    """
    variables = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name in Settings.model_fields:
        variable = PREFIX + name.upper()
        if given.get(name) is not None:
            values[name], origins[name] = given[name], "--" + name.replace("_", "-")
        elif variables.get(variable):
            values[name], origins[name] = variables[variable], variable
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = [_fault(dict(fault), origins) for fault in error.errors(include_url=False)]
    for pair in PAIRS:
        lonely = set(pair) - values.keys()
        if len(lonely) == 1 and not any(fault.startswith(" and ".join(pair)) for fault in faults):
            faults.append(_lonely(*pair, *lonely) + ".")  # pydantic stops before it, or at the first
    raise ConfigurationError(
        "The settings have a fault: " + faults[0]
        if len(faults) == 1
        else "The settings have {} faults:\n{}".format(len(faults), "\n".join(f"  - {fault}" for fault in faults)),
        code="InvalidSettings",
        recommended_action="Correct the option or the environment variable named.",
        details={str(number): fault for number, fault in enumerate(faults, start=1)},
    )


def _fault(fault: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    name = str(fault["loc"][0]) if fault["loc"] else ""
    said = str(fault["msg"]).removeprefix("Value error, ").rstrip(".")
    if not name:
        return f"{said}."
    secret = name in {"database_url", "smtp_password", "webhook_url", "webhook_secret"}
    shown = "" if secret or fault["type"] == "value_error" else f" (value: {fault['input']!r})"
    return f"{origins.get(name, name)} {said[0].lower()}{said[1:]}{shown}."


def _lonely(one: str, other: str, missing: str) -> str:
    return f"{one} and {other} belong together, {missing} is missing"


def _split_server(value: str, port: int) -> tuple[str, int]:
    """Split HOST, HOST:PORT, [ADDRESS] or [ADDRESS]:PORT."""
    try:
        parts = urlsplit(f"//{value}")
        if parts.hostname and parts.netloc == value and parts.username is None and parts.port != 0:
            return parts.hostname, parts.port or port
    except ValueError:
        pass
    raise ValueError(f"is '{value}', HOST or HOST:PORT is expected, such as mail.contoso.example:587")


def _split_address(value: str) -> tuple[str, int]:
    host, separator, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"is '{value}', HOST:PORT is expected, such as 127.0.0.1:8443 or [::1]:8443")
    return host, int(port)
