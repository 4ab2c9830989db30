"""What a connection has to know of the directory that it leads to.

The settings of each kind of directory that is read by LDAP are such an `Account`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, Protocol

from dirbridge.connectors.ldap_wire.kerberos import Keytab


class BindRefusal(NamedTuple):
    """Why an account may not sign in: the code of the error, the reason as a clause, and what to do."""

    code: str
    reason: str
    action: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a kind of directory is spoken of, and how it says no.

    Attributes:
        server: what its servers are called. realm: what a whole directory is called.
        silence: code of the error of a server that does not answer.
        limit_remedy: what to do where a server cuts an answer at a limit of its own.
        right_remedy: what to do where the account may not read.
        refusal: reads what the server says with error 49 (invalidCredentials).
    """

    server: str
    realm: str
    silence: str
    limit_remedy: str
    right_remedy: str
    refusal: Callable[[str], BindRefusal]


class Account(Protocol):
    """The settings of a directory, as far as a connection needs them."""

    @property
    def name(self) -> str:
        """What the directory is called in messages."""
        ...

    @property
    def user(self) -> str:
        """Who binds."""
        ...

    @property
    def base_dn(self) -> str:
        """The head of what is read."""
        ...

    @property
    def ca_file(self) -> Path:
        """Certificates, in PEM form, of the authority that signed the servers' certificates."""
        ...

    @property
    def connect_timeout(self) -> timedelta:
        """How long connecting and TLS may take."""
        ...

    @property
    def answer_timeout(self) -> timedelta:
        """How long a server may stay silent in the middle of an answer."""
        ...

    @property
    def dialect(self) -> Dialect:
        """How this kind of directory is spoken of."""
        ...

    def password(self) -> str | Keytab:
        """Read afresh what proves who binds: a password, or the keys that stand for it."""
        ...
