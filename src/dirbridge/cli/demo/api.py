"""The tenant as a client of its API sees it.

Small on purpose, and apart from the client of the command line: what is verified with it is verified independently.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

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

    @property
    def token(self) -> str:
        """The access token that it holds."""
        return self._token

    async def get(self, path: str) -> dict[str, Any]:
        """Read a path below `/v1.0`, or a whole link; what is not there is empty.

        Raises:
            DirbridgeError: the service refused it. TransientError: it could not be reached.
        """
        answer = await self._authorized("GET", path)
        if answer.status_code == httpx2.codes.NOT_FOUND:
            return {}
        return _content("GET", path, answer)

    async def post(self, path: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        """Do something; gives the answer, empty where it has no content."""
        return _content("POST", path, await self._authorized("POST", path, json=content or {}))

    async def patch(self, path: str, content: dict[str, Any]) -> None:
        """Change something."""
        _content("PATCH", path, await self._authorized("PATCH", path, json=content))

    async def _authorized(self, method: str, path: str, **content: Any) -> httpx2.Response:
        url = path if path.startswith(("https://", "/beta/")) else f"/v1.0{path}"
        answer = await self._send(method, url, headers={"Authorization": f"Bearer {self._token}"}, **content)
        if answer.status_code == httpx2.codes.UNAUTHORIZED:  # the token's hour is over
            await self._sign_in()
            answer = await self._send(method, url, headers={"Authorization": f"Bearer {self._token}"}, **content)
        return answer

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


def _content(method: str, path: str, answer: httpx2.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise DirbridgeError(
            f"{method} {path} was answered {answer.status_code}: {answer.text[:400]}", code="ApiRefused"
        )
    found: dict[str, Any] = answer.json() if answer.content else {}
    return found
