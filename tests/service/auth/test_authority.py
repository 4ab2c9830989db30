"""The tenant's CA: its certificates satisfy a strict TLS stack, and last as long as they should."""

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from dirbridge.contract.errors import ConfigurationError
from dirbridge.service.auth import authority
from dirbridge.service.auth.authority import Authority
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.setup import Identity
from dirbridge.store.database import Database

TENANT = UUID("9f2f6c3e-1f3c-4d62-9a3a-3b1a6d2f7a10")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(moment: datetime) -> Authority:
    return Authority.make(TENANT, "Contoso", lambda: moment)[0]


def test_authority_lasts_ten_years_and_may_sign_nothing_below_leaves() -> None:
    """P-256, ten years, no further authorities."""
    made = x509.load_pem_x509_certificate(at(NOW).certificate)
    public_key = made.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert public_key.curve.name == "secp256r1"
    assert made.not_valid_after_utc == NOW + timedelta(days=3652)
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(True, 0)


def test_fingerprint_is_that_of_the_certificate() -> None:
    """It is the SHA-256 of the DER, in hexadecimal."""
    made = at(NOW)
    assert made.fingerprint == x509.load_pem_x509_certificate(made.certificate).fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_strict_client_accepts_the_server_certificate(tmp_path: Path, name: str) -> None:
    """A handshake with RFC 5280 checks succeeds for every name it was issued for."""
    made = at(datetime.now(UTC))
    issued = made.issue_server(["localhost", "127.0.0.1", "::1"])
    pem = tmp_path / "server.pem"
    pem.write_bytes(issued.key + issued.certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    client = ssl.create_default_context(cadata=made.certificate.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()
    with ours, theirs:
        answering = threading.Thread(target=lambda: server.wrap_socket(theirs, server_side=True).close())
        answering.start()
        with client.wrap_socket(ours, server_hostname=name) as connected:
            assert connected.version() == "TLSv1.3"
        answering.join(10)


def test_agent_certificate_names_agent_and_is_good_for_clients_only() -> None:
    """It chains to the CA, for ninety days, as a client."""
    made = at(NOW)
    key, agent = ec.generate_private_key(ec.SECP256R1()), uuid4()
    issued = x509.load_pem_x509_certificate(made.issue_agent(key.public_key(), agent))
    assert issued.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == str(agent)
    assert issued.public_key() == key.public_key()
    assert issued.not_valid_after_utc == NOW + timedelta(days=90)
    purposes = issued.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    store = Store([x509.load_pem_x509_certificate(made.certificate)])
    verified = PolicyBuilder().store(store).time(NOW).build_client_verifier().verify(issued, [])
    assert [str(each.value) for each in verified.subjects or []] == [f"urn:dirbridge:{TENANT}:agent:{agent}"]


async def test_stored_authority_is_the_same_after_a_restart(database: Database, identity: Identity) -> None:
    """Loading opens what was sealed."""
    again = await authority.load(database, identity.tenant.id, identity.sealing)
    assert again.certificate == identity.authority.certificate
    assert again.issue_server(["localhost"]).certificate != b""


async def test_foreign_sealing_key_is_told_from_a_damaged_one(
    database: Database, identity: Identity, tmp_path: Path
) -> None:
    """A key file of another installation is named as such."""
    foreign = Sealing.create(tmp_path / "other.key")
    with pytest.raises(ConfigurationError) as caught:
        await authority.load(database, identity.tenant.id, foreign)
    assert caught.value.code == "SealingKeyWrong"


async def test_tls_certificate_is_kept_and_renewed_in_its_last_third(database: Database, identity: Identity) -> None:
    """The same one comes back until two thirds of its life are over, or another name is wanted."""

    async def given(now: datetime, *names: str) -> bytes:
        found = await authority.server_certificate(database, identity.authority, identity.sealing, names, now)
        return found.certificate

    now = datetime.now(UTC)
    first = await given(now, "localhost")
    assert await given(now + timedelta(days=200), "localhost") == first
    assert await given(now, "localhost", "127.0.0.1") != first
    renewed = await given(now + timedelta(days=300), "localhost")
    assert renewed != first
    assert await given(now + timedelta(hours=1), "localhost") == renewed
