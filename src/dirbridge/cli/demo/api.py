"""The tenant as a client of its API sees it: a token, and then nothing but GET.

Small on purpose, and apart from the client of the command line: what is verified with it is verified independently.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx2

from dirbridge.contract.errors import DirbridgeError, TransientError

TIMEOUT_SECONDS = 30


class Api:
    """A client with application permissions."""

    def __init__(self, client: httpx2.AsyncClient, tenant: str, client_id: str, secret: str) -> None:
        self._client = client
        self._tenant = tenant
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        self._token = ""

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, ca_file: Path, tenant: str, client_id: str, secret: str) -> AsyncIterator[Self]:
        """Connect, trusting only the service's own CA."""
        trust = ssl.create_default_context(cafile=str(ca_file))
        async with httpx2.AsyncClient(base_url=url, verify=trust, timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            api = cls(client, tenant, client_id, secret)
            await api._sign_in()
            yield api

    async def get(self, path: str) -> dict[str, Any]:
        """Read a path below `/v1.0`, or a whole link; what is not there is empty.

        Raises:
            DirbridgeError: the service refused it. TransientError: it could not be reached.
        """
        url = path if path.startswith("https://") else f"/v1.0{path}"
        answer = await self._send("GET", url, headers={"Authorization": f"Bearer {self._token}"})
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            await self._sign_in()
            answer = await self._send("GET", url, headers={"Authorization": f"Bearer {self._token}"})
        if answer.status_code == httpx2.codes.NOT_FOUND:
            return {}
        if answer.status_code != httpx2.codes.OK:
            raise DirbridgeError(
                f"GET {path} was answered {answer.status_code}: {answer.text[:400]}", code="ApiRefused"
            )
        found: dict[str, Any] = answer.json()
        return found

    async def job(self, job: str) -> dict[str, Any]:
        """Read a synchronization job.

        Raises:
            DirbridgeError: there is none.
        """
        for principal in (await self.get("/servicePrincipals"))["value"]:
            found = await self.get(f"/servicePrincipals/{principal['id']}/synchronization/jobs/{quote(job)}")
            if found:
                return found
        raise DirbridgeError(f"The tenant has no job {job}.", code="JobMissing")

    async def _sign_in(self) -> None:
        scope = f"{self._client.base_url}/.default".replace("//.default", "/.default")
        answer = await self._send("POST", f"/{self._tenant}/oauth2/v2.0/token", data={**self._form, "scope": scope})
        if answer.status_code != httpx2.codes.OK:
            raise DirbridgeError(f"The service gave no token: {answer.text[:400]}", code="TokenRefused")
        self._token = answer.json()["access_token"]

    async def _send(self, method: str, url: str, **content: Any) -> httpx2.Response:
        try:
            return await self._client.request(method, url, **content)
        except httpx2.RequestError as error:
            raise TransientError(f"The service at {self._client.base_url} cannot be reached: {error}.") from error
