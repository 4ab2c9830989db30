"""The settings of one Active Directory domain, as they stand in the agent's TOML file.

Read by the agent at its start, handed to `source`. What may be read is decided here, on the agent's host: no request
of the service widens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from dirbridge.connectors.ad import dn, schema
from dirbridge.connectors.ad.dialect import DIALECT
from dirbridge.connectors.ldap_wire import fields
from dirbridge.connectors.ldap_wire.account import Dialect
from dirbridge.connectors.ldap_wire.fields import (
    CaFile,
    Containers,
    DomainName,
    KeytabFile,
    PasswordFile,
    Pattern,
    Servers,
    Span,
    Wait,
)
from dirbridge.connectors.ldap_wire.kerberos import Keytab

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


def _user(value: str) -> str:
    if "=" in value:
        dn.split(value)
    elif "@" not in value and "\\" not in value:
        raise ValueError(f"'{value}' is neither a user principal name (svc@contoso.com) nor a distinguished name")
    return value


class Settings(BaseModel):
    """One domain that the agent reads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: DomainName = Field(
        description="DNS name of the domain, such as contoso.com. A server of any other domain is refused."
    )
    servers: Servers = Field(
        description="Domain controllers, the preferred one first, as ldaps://host:port, or as ldap://host:port where "
        "TLS shall begin with StartTLS."
    )
    switch_after: Wait = Field(
        default=timedelta(minutes=10),
        description="How long the domain controller that was read until now may be away before another one takes its "
        "place, and how long a preferred one must be well before it is gone back to, such as 10min; 0s means at once.",
    )
    ca_file: CaFile = Field(
        description="File with the certificates, in PEM form, of the authority that signed the servers' certificates."
    )
    user: Annotated[str, AfterValidator(_user)] = Field(
        description="Account to read with: its user principal name or its distinguished name; for Kerberos name@REALM."
    )
    password_file: PasswordFile | None = Field(
        default=None,
        description="File with the account's password in one line; only its owner may read it (mode 0600).",
    )
    keytab_file: KeytabFile | None = Field(
        default=None,
        description="In place of a password file: file with the account's Kerberos keys; only its owner may read it "
        "(mode 0600).",
    )
    include_attributes: tuple[Pattern, ...] = Field(
        default=schema.ATTRIBUTE_NAMES,
        description="Attributes that may leave this host; * and ? stand for characters. The default is what the "
        "default mapping uses. Passwords, keys and recovery secrets are never read, whatever stands here.",
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
    allow_without_deleted_objects: bool = Field(
        default=False,
        description="Read changes although the account may not list deleted objects. Deletes are then not seen "
        "until the next full read.",
    )
    change_notification: bool = Field(
        default=True,
        description="Listen at a domain controller, which tells of changes as they happen, on a connection of its own. "
        "Without it changes wait for the job's interval.",
    )

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        if (self.password_file is None) is (self.keytab_file is None):
            raise ValueError("give either password_file or keytab_file")
        if self.keytab_file is not None:
            Keytab.read(self.keytab_file, self.user, self.servers)
        return self

    @property
    def base_dn(self) -> str:
        """The head of the domain's naming context."""
        return ",".join(f"DC={label}" for label in self.name.split("."))

    @property
    def dialect(self) -> Dialect:
        """How domain controllers are spoken of."""
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

    def password(self) -> str | Keytab:
        """Read the password or the keys afresh, so that new ones are used without a restart.

        Raises:
            ConfigurationError: the file is gone, empty, or readable by others.
        """
        if self.keytab_file is not None:
            return fields.keytab(self.name, self.keytab_file, self.user, self.servers)
        assert self.password_file is not None
        return fields.password(self.name, self.password_file)

    @cached_property
    def _verdicts(self) -> dict[str, bool]:
        return {}


def parse(values: Mapping[str, Any]) -> Settings:
    """Read the settings of one domain.

    Raises:
        ConfigurationError: names every fault at once.
    """
    return fields.parse(Settings, values)
