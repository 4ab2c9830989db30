"""What must not end a running agent."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dirbridge.agent import settings, state
from dirbridge.agent.client import Advice, ServiceClient
from dirbridge.agent.runner import Runner
from dirbridge.agent.state import Identity
from dirbridge.contract.errors import TransientError

IDENTITY = Identity("https://service.test", "id", "tenant", "https://service.test/v2.0", ("made-up.test",))


class Service:
    """Answers heartbeats, and renews the certificate whenever it is asked."""

    advice = Advice(heartbeat_every=0.02)

    def __init__(self, certificate: bytes) -> None:
        self.certificate = certificate
        self.renewed = 0

    async def heartbeat(self, report: dict[str, Any]) -> dict[str, Any]:
        assert report["state"] == "running"
        return {}

    async def until_heartbeat(self) -> None:
        await asyncio.sleep(self.advice.heartbeat_every)

    async def renew_certificate(self) -> bytes:
        self.renewed += 1
        return self.certificate


def certificate(key: ec.EllipticCurvePrivateKey, begins: datetime) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, IDENTITY.agent)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begins).not_valid_after(begins + timedelta(days=90))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def enrolled(folder: Path) -> tuple[state.State, bytes]:
    """An agent whose certificate is in the last third of its life, and the one that follows."""
    key, now = state.new_key(), datetime.now(UTC)
    old = certificate(key, now - timedelta(days=80))
    state.save(folder, IDENTITY, key, old, old)
    return state.load(folder), certificate(key, now)


async def until(fulfilled: Any) -> None:
    async with asyncio.timeout(10):
        while not fulfilled():
            await asyncio.sleep(0.01)


async def test_certificate_that_cannot_be_kept_is_renewed_again(tmp_path: Path) -> None:
    """A full or missing disk on the day of the renewal does not end the agent, and the renewal comes to pass after."""
    folder, away = tmp_path / "state", tmp_path / "away"
    opened, following = enrolled(folder)
    (tmp_path / "agent.toml").write_text('[[domain]]\nkind = "generated"\nname = "made-up.test"\n')
    runner, service = Runner(settings.load(tmp_path / "agent.toml"), opened), Service(following)
    folder.rename(away)
    beating = asyncio.create_task(runner._keep_beating(service))  # type: ignore[arg-type]
    try:
        await until(lambda: service.renewed > 1 or beating.done())
        assert not beating.done()
        away.rename(folder)
        await until(lambda: (folder / "certificate.pem").read_bytes() == following or beating.done())
        renewed = service.renewed
        await asyncio.sleep(0.2)
        assert service.renewed <= renewed + 1
        assert not beating.done()
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)


@pytest.mark.parametrize("call", ["heartbeat", "next_request"])
async def test_gone_in_the_words_of_a_proxy_is_waited_for(tmp_path: Path, call: str) -> None:
    """Only the service says that a request is not wanted any more; 410 of something in between passes."""
    opened, _ = enrolled(tmp_path / "state")

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/token"):
            return httpx2.Response(200, json={"access_token": "t", "expires_in": 3599})
        return httpx2.Response(410, text="<html>Gone</html>")

    client = ServiceClient(opened, settings.Common())
    client._http = httpx2.AsyncClient(base_url="https://service.test", transport=httpx2.MockTransport(answer))
    async with client:
        with pytest.raises(TransientError, match="answered 410"):
            await (client.heartbeat({}) if call == "heartbeat" else client.next_request(["made-up.test"]))
