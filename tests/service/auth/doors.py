"""The doors of OAuth 2 for people's applications: what leads to a grant, with the time in the test's hand."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
from fastapi import FastAPI

from dirbridge.service.auth.oauth import grants
from dirbridge.service.setup import SIGN_IN_CLIENT, Identity
from dirbridge.store import identity as identities
from dirbridge.store.database import Database
from dirbridge.store.grants import Code
from dirbridge.store.people import Administrator
from tests.service import registered

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://localhost:8400"
SCOPE = "User.Read Synchronization.ReadWrite.All openid profile offline_access"


@dataclass
class Door:
    """The token endpoint, at a time that the test sets."""

    client: httpx2.AsyncClient
    database: Database
    identity: Identity
    person: Administrator
    clock: list[datetime] = field(default_factory=lambda: [datetime.now(UTC)])
    app: FastAPI | None = None

    @property
    def tenant(self) -> UUID:
        return self.identity.tenant.id

    @property
    def at(self) -> datetime:
        return self.clock[0]

    def wait(self, **for_how_long: float) -> None:
        """Let time pass."""
        self.clock[0] += timedelta(**for_how_long)

    async def post(self, path: str, **form: str) -> httpx2.Response:
        return await self.client.post(
            f"/{self.tenant}/oauth2/v2.0/{path}", data={"client_id": str(SIGN_IN_CLIENT), **form}
        )

    async def code(self, **changed: Any) -> str:
        """A code as the authorization endpoint would give it."""
        carried = grants.new_secret()
        async with self.database.transaction() as conn:
            principal = await identities.service_principal_by_app(conn, self.tenant, SIGN_IN_CLIENT)
            assert principal is not None
            given: dict[str, Any] = {
                "service_principal": principal.id, "administrator": self.person.id, "redirect_uri": REDIRECT,
                "scopes": SCOPE.split(), "asked": SCOPE, "challenge": CHALLENGE, "challenge_method": "S256",
                "nonce": "n-0S6", "methods": ["pwd", "otp"], "signed_in_at": self.at - timedelta(minutes=3),
                "expires_at": self.at + timedelta(minutes=10),
            }  # fmt: skip
            await grants.store.add_code(conn, self.tenant, grants.digest(carried), Code(**{**given, **changed}))
        return carried

    async def redeem(self, code: str, /, **changed: str | None) -> httpx2.Response:
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER,
            **changed,
        }  # fmt: skip
        return await self.post("token", **{name: value for name, value in form.items() if value is not None})

    async def refresh(self, token: str, /, **changed: str) -> httpx2.Response:
        return await self.post("token", **{"grant_type": "refresh_token", "refresh_token": token, **changed})

    async def tokens(self, **changed: Any) -> Mapping[str, Any]:
        """What a new code is exchanged for."""
        answer = await self.redeem(await self.code(**changed))
        assert answer.status_code == 200, answer.text
        found: Mapping[str, Any] = answer.json()
        return found

    async def asks(self, token: str) -> httpx2.Response:
        """A request of the API with an access token."""
        return await self.client.get("/v1.0/organization", headers={"Authorization": f"Bearer {token}"})

    async def register(self, *, is_public: bool = True, permissions: Sequence[str] = ("User.Read",)) -> UUID:
        """Another application; gives its client id."""
        app_id = uuid4()
        async with self.database.transaction() as conn:
            await registered.add(
                conn, self.tenant, uuid4(), app_id=app_id, display_name="another", is_public=is_public,
                redirect_uris=["https://app.example/callback"], delegated_permissions=list(permissions),
            )  # fmt: skip
        return app_id

    async def run(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        async with self.database.transaction() as conn:
            cursor = await conn.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []


Refused = Callable[[httpx2.Response], tuple[int, int, str]]


def refused(answer: httpx2.Response) -> tuple[int, int, str]:
    """Status, number and OAuth's word of a refusal, which says the number in its sentence too."""
    body = answer.json()
    (number,) = body["error_codes"]
    assert body["error_description"].startswith(f"AADSTS{number}: ")
    return answer.status_code, number, body["error"]
