"""What an agent knows of itself after it enrolled: a folder that only its own account can read.

Written by `enrol`, read at every start, its certificate replaced when it is renewed. The private key is made on this
host and never leaves it.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dirbridge.agent.replacing import replace
from dirbridge.agent.updater.notes import read_plain
from dirbridge.contract.errors import ConfigurationError

KEY, CERTIFICATE, TRUST, IDENTITY = "key.pem", "certificate.pem", "ca.pem", "agent.json"


def default_folder() -> Path:
    """Where the state lies unless told otherwise: the system's place for root, the user's for others."""
    if os.geteuid() == 0:
        return Path("/var/lib/dirbridge-agent")
    return Path("~/.local/state/dirbridge/agent").expanduser()


@dataclass(frozen=True, slots=True)
class Identity:
    """What the service told an agent when it took it in.

    Attributes:
        service: URL of the service, without a slash at the end.
        issuer: what the agent's assertions must name as their audience.
        domains: the directories it may serve.
    """

    service: str
    agent: str
    tenant: str
    issuer: str
    domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class State:
    """The folder's content, opened."""

    folder: Path
    identity: Identity
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def trust_file(self) -> Path:
        """The certificates that the service's TLS is verified with."""
        return self.folder / TRUST

    @property
    def renew_at(self) -> datetime:
        """When the last third of the certificate's life begins."""
        begins, ends = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        return begins + (ends - begins) * 2 / 3


def is_enrolled(folder: Path) -> bool:
    """Say whether an agent's state lies in a folder."""
    return (folder / IDENTITY).exists()


def load(folder: Path) -> State:
    """Open the state.

    Raises:
        ConfigurationError: there is none, others may read the key, or a file is damaged.
    """
    identity = load_identity(folder)
    key = _load_key(folder / KEY)
    try:
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
        (folder / TRUST).read_bytes()
    except (OSError, ValueError) as error:
        raise _damaged(folder, error) from error
    return State(folder, identity, key, certificate)


def load_identity(folder: Path) -> Identity:
    """Read who the agent is, without its key.

    Raises:
        ConfigurationError: no agent was enrolled, or the file is damaged.
    """
    if not is_enrolled(folder):
        raise ConfigurationError(
            f"No agent has been enrolled in {folder}.",
            code="NotEnrolled",
            recommended_action="Run `dirbridge agent enrol --service URL --code CODE`, or name its folder by --state.",
        )
    try:
        known = json.loads(read_plain(folder / IDENTITY))
        if not all(isinstance(known[name], str) for name in ("service", "agent", "tenant", "issuer")):
            raise TypeError("text is expected")
        return Identity(known["service"], known["agent"], known["tenant"], known["issuer"], tuple(known["domains"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(folder, error) from error


def _damaged(folder: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"The state of the agent in {folder} is damaged: {type(error).__name__}: {error}.",
        code="StateDamaged",
        recommended_action="Put the folder back from a back-up, or enrol the agent again with --replace.",
    )


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make an agent's key: P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def save(folder: Path, identity: Identity, key: ec.EllipticCurvePrivateKey, certificate: bytes, trust: bytes) -> None:
    """Write a new state. The identity comes last: until it is there, nobody takes the folder for enrolled."""
    prepare(folder)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    known: dict[str, Any] = {
        "service": identity.service,
        "agent": identity.agent,
        "tenant": identity.tenant,
        "issuer": identity.issuer,
        "domains": list(identity.domains),
    }
    _write(folder / KEY, pem)
    _write(folder / CERTIFICATE, certificate)
    _write(folder / TRUST, trust)
    _write(folder / IDENTITY, json.dumps(known, indent=2).encode() + b"\n")


def prepare(folder: Path) -> None:
    """Make the folder, for its owner only, and see that it can be written, before a code is spent on it.

    Raises:
        ConfigurationError: it cannot.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".probe.{secrets.token_hex(4)}"
        probe.touch(0o600)
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"The state folder {folder} cannot be written: {error.strerror}.",
            code="StateUnwritable",
            recommended_action="Make it writable for the account that runs the agent, or name another with --state.",
        ) from error


def save_certificate(folder: Path, certificate: bytes) -> None:
    """Replace the certificate by a renewed one."""
    _write(folder / CERTIFICATE, certificate)


def _write(file: Path, content: bytes) -> None:
    """Replace a file that only its owner reads. Where root enrols for another account, that one owns the folder."""
    folder = file.parent.stat()
    replace(file, content, owner=(folder.st_uid, folder.st_gid) if os.geteuid() == 0 else None)


def _load_key(file: Path) -> ec.EllipticCurvePrivateKey:
    try:
        mode = file.stat().st_mode & 0o777
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"The agent's key {file} cannot be read: {error.strerror}.",
            code="KeyUnreadable",
            recommended_action="Run the agent under the account that enrolled it, or enrol it again with --replace.",
        ) from error
    if mode & 0o077:
        raise ConfigurationError(
            f"The agent's key {file} has mode {mode:04o}, so others may read it; 0600 is expected.",
            code="KeyExposed",
            recommended_action=f"Run `chmod 600 {file}`. If others may have read it, revoke the agent and enrol anew.",
        )
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(
            f"The agent's key {file} is damaged.",
            code="KeyUnreadable",
            recommended_action="Put it back from a back-up, or enrol the agent again with --replace.",
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigurationError(
            f"The agent's key {file} is not of an elliptic curve, as the one it enrolled with.",
            code="KeyUnreadable",
            recommended_action="Put it back from a back-up, or enrol the agent again with --replace.",
        )
    return key
