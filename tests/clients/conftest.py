"""A running service with its worker, an agent and a directory that was read, for clients that nobody here wrote."""

from __future__ import annotations

import base64
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from dirbridge.store.embedded import EmbeddedServer
from tests.clients.cloud import Cloud
from tests.e2e import made_up
from tests.e2e.harness import Installation
from tests.fixtures.postgres import _new_database, open_folder

USERS, GROUPS, MEMBERS = 60, 4, 20

SETTINGS = {"DIRBRIDGE_THROTTLE_REPORTS": "1000"}
"""Logs are read more often here than Graph allows. Other limits are Graph's: clients wait where they meet one."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cloud(postgres: EmbeddedServer, template_database: str) -> AsyncIterator[Cloud]:
    """A made-up directory of 60 users and 4 groups in the tenant, by a real cycle."""
    place = open_folder("dirbridge-clients-")
    directory = made_up.settings(place, users=USERS, groups=GROUPS, members=MEMBERS, pause=0)
    try:
        with _database(postgres, template_database) as url:
            async with Installation(place, made_up.DOMAIN, database_url=url, settings=SETTINGS) as installation:
                await installation.agent(made_up.toml(directory))
                await installation.create_job()
                await installation.settled()
                values = {
                    "URL": installation.url,
                    "TENANT": installation.made["tenantId"],
                    "CLIENT_ID": installation.made["clientId"],
                    "CLIENT_SECRET": installation.made["clientSecret"],
                    "CA_FILE": str(installation.data / "ca.pem"),
                    **await _registered(installation),
                }
                yield Cloud(installation, directory, values, installation.job.split("/")[2])
    finally:
        shutil.rmtree(place)


@contextmanager
def _database(postgres: EmbeddedServer, template: str) -> Iterator[str]:
    yield from _new_database(postgres, template)


@dataclass(frozen=True)
class Made:
    """A certificate, as DER and as the examples take it with its key."""

    der: bytes
    values: dict[str, str]


def new_certificate(file: Path) -> Made:
    """Make a key and a certificate for it, and write both to a file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private, public = key.private_bytes(*pem).decode(), certificate.public_bytes(pem[0]).decode()
    file.write_text(private + public)
    values = {"PRIVATE_KEY": private, "CERTIFICATE": public, "CERTIFICATE_FILE": str(file)}
    return Made(certificate.public_bytes(serialization.Encoding.DER), values)


async def _registered(installation: Installation) -> dict[str, str]:
    """Register a certificate with the application that `dirbridge init` made."""
    made = new_certificate(installation.folder / "client.pem")
    key = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.b64encode(made.der).decode()}
    await installation.api.patch(f"/applications(appId='{installation.made['clientId']}')", {"keyCredentials": [key]})
    return made.values


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def sdk(cloud: Cloud) -> AsyncIterator[dict[str, Any]]:
    """What the example for msgraph-sdk leaves: `graph`, `adapter`, `http_client`."""
    left = cloud.run("msgraph-sdk for Python")
    yield left
    await left["http_client"]._transport.transport.aclose()  # the SDK's own does not pass it on


@pytest.fixture(scope="session")
def graph(sdk: dict[str, Any]) -> Any:
    """The client of msgraph-sdk."""
    return sdk["graph"]
