"""A publisher of releases, and the service that hands them out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dirbridge.service.setup import Identity
from tests.fixtures.releases import Publisher
from tests.service import registered

RELEASES = "/beta/dirbridge/releases"


@dataclass
class Administrator:
    """Who may publish, by the API."""

    client: httpx2.AsyncClient
    headers: dict[str, str]

    async def send(self, file: Path) -> httpx2.Response:
        """Store an archive."""
        body = file.read_bytes()
        address = f"{RELEASES}/archives/{hashlib.sha256(body).hexdigest()}"
        return await self.client.put(address, content=body, headers=self.headers)

    async def sign(self, files: Mapping[str, bytes], **more: Any) -> httpx2.Response:
        """Publish signed files."""
        body = {"files": {name: content.decode() for name, content in files.items()}, **more}
        return await self.client.post(f"{RELEASES}/repository", json=body, headers=self.headers)

    async def publish(self, publisher: Publisher) -> None:
        """Publish all that is signed."""
        for file in publisher.repository.target_files():
            assert (await self.send(file)).status_code == 204
        answer = await self.sign(publisher.repository.files())
        assert answer.status_code == 204, answer.text

    async def choose(self, **choice: Any) -> httpx2.Response:
        """Say which version agents are to have."""
        return await self.client.post(f"{RELEASES}/choose", json=choice, headers=self.headers)

    async def get(self, path: str = "") -> Any:
        """Read below the releases."""
        answer = await self.client.get(RELEASES + path, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    """Who signs releases."""
    return Publisher(tmp_path / "publisher")


@pytest.fixture
def administrator(client: httpx2.AsyncClient, identity: Identity) -> Administrator:
    """Who publishes them."""
    return Administrator(client, registered.bearer(identity.tokens, "Synchronization.ReadWrite.All"))
