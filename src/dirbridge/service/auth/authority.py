"""The tenant's own certificate authority: it vouches for the service's TLS and for every agent.

Loaded once at start. Its private key lies sealed in the table `keys`; its certificate is what clients and agents are
given to trust, and its fingerprint travels in every enrolment code.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from psycopg import AsyncConnection

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth.sealing import Sealing
from dirbridge.store import identity
from dirbridge.store.database import Database

AUTHORITY_LIFETIME = timedelta(days=3652)
SERVER_LIFETIME = timedelta(days=397)
_SKEW = timedelta(hours=1)  # a client's clock may be behind ours


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What TLS needs: both in PEM, the key unencrypted."""

    certificate: bytes
    key: bytes
    expires_at: datetime


class Authority:
    """Issues certificates.

    Attributes:
        certificate: its own, PEM.
        fingerprint: SHA-256 of its certificate's DER, in hexadecimal.
    """

    def __init__(self, tenant: UUID, certificate: bytes, key: bytes, now: Callable[[], datetime] | None = None) -> None:
        self.tenant = tenant
        self.certificate = certificate
        self._certificate = x509.load_pem_x509_certificate(certificate)
        loaded = serialization.load_pem_private_key(key, password=None)
        if not isinstance(loaded, ec.EllipticCurvePrivateKey):
            raise ConfigurationError("The tenant's certificate authority has a key that is not of an elliptic curve.")
        self._key = loaded
        self._now = now or _now
        self.fingerprint = self._certificate.fingerprint(hashes.SHA256()).hex()

    @classmethod
    def make(cls, tenant: UUID, name: str, now: Callable[[], datetime] | None = None) -> tuple[Authority, bytes]:
        """Make a new authority; gives it and its private key in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COMMON_NAME, f"dirbridge CA of {name}"[:64]),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, str(tenant)),
            ]
        )
        at = (now or _now)()
        certificate = (
            _builder(subject, subject, key.public_key(), at, AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = _private_pem(key)
        return cls(tenant, certificate.public_bytes(serialization.Encoding.PEM), pem, now), pem

    def issue_agent(self, public_key: ec.EllipticCurvePublicKey, agent_id: UUID, days: int = 90) -> bytes:
        """Vouch for an agent's key.

        Args:
            public_key: only this counts of what the agent sent.
            agent_id: becomes the subject, and a URI of the certificate with the tenant.
            days: how long it is good; an agent renews in the last third.

        Returns:
            The certificate in PEM.
        """
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(agent_id))])
        uri = x509.UniformResourceIdentifier(f"urn:dirbridge:{self.tenant}:agent:{agent_id}")
        certificate = self._sign(
            _builder(subject, self._certificate.subject, public_key, self._now(), timedelta(days=days)),
            x509.SubjectAlternativeName([uri]),
            ExtendedKeyUsageOID.CLIENT_AUTH,
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    def issue_server(self, names: Sequence[str]) -> ServerCertificate:
        """Make a key and a certificate for TLS, good for these host names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
        certificate = self._sign(
            _builder(subject, self._certificate.subject, key.public_key(), self._now(), SERVER_LIFETIME),
            x509.SubjectAlternativeName([_general_name(name) for name in names]),
            ExtendedKeyUsageOID.SERVER_AUTH,
        )
        return ServerCertificate(
            certificate.public_bytes(serialization.Encoding.PEM), _private_pem(key), certificate.not_valid_after_utc
        )

    def _sign(
        self, builder: x509.CertificateBuilder, names: x509.SubjectAlternativeName, purpose: x509.ObjectIdentifier
    ) -> x509.Certificate:
        return (
            builder.add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )


async def load(database: Database, tenant: UUID, sealing: Sealing) -> Authority:
    """Open the tenant's authority.

    Raises:
        ConfigurationError: there is none, or the sealing key does not fit.
    """
    async with database.connection() as conn:
        return await open_stored(conn, tenant, sealing)


async def open_stored(conn: AsyncConnection[Any], tenant: UUID, sealing: Sealing) -> Authority:
    """Open the tenant's authority within the caller's transaction, as `load` does."""
    rows = await identity.keys(conn, tenant, "ca")
    if not rows:
        raise ConfigurationError(
            f"Tenant {tenant} has no certificate authority.",
            code="NotInitialised",
            recommended_action="Run `dirbridge init`.",
        )
    row = rows[0]
    return Authority(tenant, row.public, sealing.unseal(row.sealed, identity.key_context(tenant, "ca", row.id)))


async def create(conn: AsyncConnection[Any], tenant: UUID, name: str, sealing: Sealing) -> Authority:
    """Make and store the tenant's authority."""
    authority, key = await asyncio.to_thread(Authority.make, tenant, name)
    sealed = sealing.seal(key, identity.key_context(tenant, "ca", authority.fingerprint))
    await identity.add_key(conn, tenant, "ca", authority.fingerprint, sealed, authority.certificate)
    return authority


async def server_certificate(
    database: Database, authority: Authority, sealing: Sealing, names: Sequence[str], now: datetime
) -> ServerCertificate:
    """Give the TLS certificate for these names: the stored one, or a new one in the last third of its life."""
    wanted = hashlib.sha256("\n".join([authority.fingerprint, *names]).encode()).hexdigest()
    context = identity.key_context(authority.tenant, "tls", wanted)
    async with database.transaction() as conn:
        for row in await identity.keys(conn, authority.tenant, "tls"):
            expires_at = x509.load_pem_x509_certificate(row.public).not_valid_after_utc
            if row.id == wanted and expires_at - now > SERVER_LIFETIME / 3:
                return ServerCertificate(row.public, sealing.unseal(row.sealed, context), expires_at)
        made = authority.issue_server(names)
        await identity.replace_key(
            conn, authority.tenant, "tls", wanted, sealing.seal(made.key, context), made.certificate
        )
    return made


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    at: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - _SKEW)
        .not_valid_after(at + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _now() -> datetime:
    return datetime.now(UTC)
