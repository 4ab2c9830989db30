"""The settings of one LDAP directory, as they stand in the agent's TOML file.

Read by the agent at its start, handed to `source`. What may be read is decided here, on the agent's host: no request
of the service widens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from dirbridge.connectors.ldap import schema
from dirbridge.connectors.ldap.dialect import DIALECT
from dirbridge.connectors.ldap_wire import dn, fields
from dirbridge.connectors.ldap_wire.account import Dialect
from dirbridge.connectors.ldap_wire.fields import CaFile, Containers, DomainName, PasswordFile, Pattern, Servers, Span

# Passwords, keys and their history: refused whatever the settings and the service ask.
# Source: RFC 4519 (userPassword), RFC 3112 (authPassword), the schemas of Samba, Kerberos, ppolicy and 389-DS.
SECRETS = (
    "userpassword",
    "authpassword",
    "pwdhistory",
    "passwordhistory",
    "sambantpassword",
    "sambalmpassword",
    "sambapasswordhistory",
    "krbprincipalkey",
    "krbmkey",
    "krbpwdhistory",
    "krbextradata",
    "ipanthash",
    "ipatokenotpkey",
    "nsds5replicacredentials",
    "nsmultiplexorcredentials",
    "olcrootpw",
    "nsslapd-rootpw",
    "userpkcs12",
    "sshprivatekey",
)


def _base(value: str) -> str:
    if not dn.split(value):
        raise ValueError("is empty; the distinguished name of what is to be read is expected")
    return value


def _name(value: str) -> str:
    if not dn.split(value):
        raise ValueError("is empty; the distinguished name of an account is expected, for no bind is anonymous")
    return value


class Settings(BaseModel):
    """One directory that the agent reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: DomainName = Field(
        description="DNS name under which the directory is known to the service, such as example.com."
    )
    base_dn_: Annotated[str, AfterValidator(_base)] | None = Field(
        default=None,
        alias="base_dn",
        description="Distinguished name below which everything is read; made from name if unset (dc=example,dc=com).",
    )
    servers: Servers = Field(
        description="Servers of the directory, as ldaps://host:port, or ldap://host:port for StartTLS, in the order in "
        "which they are tried."
    )
    ca_file: CaFile = Field(
        description="File with the certificates, in PEM form, of the authority that signed the servers' certificates."
    )
    user: Annotated[str, AfterValidator(_name)] = Field(description="Account to read with, by its distinguished name.")
    password_file: PasswordFile = Field(
        description="File with the account's password in one line; only its owner may read it (mode 0600)."
    )
    include_attributes: tuple[Pattern, ...] = Field(
        default=schema.ATTRIBUTE_NAMES,
        description="Attributes that may leave this host; * and ? stand for characters. The default is what the "
        "default mapping uses. Passwords and keys are never read, whatever stands here.",
    )
    exclude_attributes: tuple[Pattern, ...] = Field(
        default=(), description="Attributes that may not leave this host although they are included."
    )
    exclude_containers: Containers = Field(
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

    @property
    def base_dn(self) -> str:
        """The head of what is read."""
        return self.base_dn_ or ",".join(f"dc={label}" for label in self.name.split("."))

    @property
    def dialect(self) -> Dialect:
        """How such servers are spoken of."""
        return DIALECT

    def allows(self, attribute: str) -> bool:
        """Say whether an attribute may leave this host."""
        found = self._verdicts.get(attribute)
        if found is None:
            found = self._verdicts[attribute] = fields.may_leave(
                attribute.lower(), SECRETS, self.include_attributes, self.exclude_attributes
            )
        return found

    def hides(self, name: str) -> bool:
        """Say whether an object with this distinguished name lies in an excluded container."""
        return any(dn.below(name, container) for container in self.exclude_containers)

    def password(self) -> str:
        """Read the password afresh, so that a new one is used without a restart.

        Raises:
            ConfigurationError: the file is gone, empty, or readable by others.
        """
        return fields.password(self.name, self.password_file)

    @cached_property
    def _verdicts(self) -> dict[str, bool]:
        return {}


def parse(values: Mapping[str, Any]) -> Settings:
    """Read the settings of one directory.

    Raises:
        ConfigurationError: names every fault at once.
    """
    return fields.parse(Settings, values)
