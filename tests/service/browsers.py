"""Browsers in front of the service: with cookies and forms, at a time of the test's own."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI

from dirbridge.service import app
from dirbridge.service.auth import secrets
from dirbridge.service.auth.sign_in import second_factor
from dirbridge.service.auth.sign_in.rules import SignInRules
from dirbridge.service.notify import delivery
from dirbridge.service.settings import Settings
from dirbridge.service.setup import Identity
from dirbridge.store import people
from dirbridge.store.database import Database
from dirbridge.store.listener import Listener
from tests.service.conftest import BASE_URL

ADA = "ada@contoso.test"
PASSWORD = "correct horse battery staple"


@dataclass
class Browser:
    """A browser: it keeps cookies and fills forms in, but follows nothing by itself."""

    client: httpx2.AsyncClient
    page: str = ""

    async def get(self, path: str, **more: Any) -> httpx2.Response:
        answer = await self.client.get(path, **more)
        self.page = answer.text
        return answer

    async def post(self, path: str, **fields: str) -> httpx2.Response:
        """Send a form with the token of the page that is shown."""
        answer = await self.client.post(path, data={"csrf": self.csrf, **fields})
        self.page = answer.text
        return answer

    async def sign_in(self, name: str = ADA, password: str = PASSWORD, continue_to: str = "") -> httpx2.Response:
        await self.get("/sign-in")
        return await self.post("/sign-in", name=name, password=password, **{"continue": continue_to})

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([^"]+)"', self.page)
        return found[1] if found else ""

    @property
    def code(self) -> str:
        """The code of the refusal that the page shows."""
        found = re.search(r'<p class="code">(\w+)</p>', self.page)
        return found[1] if found else ""

    @property
    def text(self) -> str:
        return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", self.page)))

    async def who(self) -> str | None:
        """Who is signed in, by their own page."""
        answer = await self.client.get("/account")
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/sign-in?")
            return None
        found = re.search(r'name="name" autocomplete="username" value="([^"]+)"', answer.text)
        assert found, answer.text
        return unescape(found[1])


@dataclass
class Entrance:
    """The service's pages on a real database, at a time that the test moves."""

    database: Database
    tenant: UUID
    application: FastAPI
    now: datetime
    opened: list[httpx2.AsyncClient] = field(default_factory=list)

    def browser(self, address: str = "192.0.2.1", **headers: str) -> Browser:
        transport = httpx2.ASGITransport(self.application, raise_app_exceptions=False, client=(address, 1234))
        client = httpx2.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)
        self.opened.append(client)
        return Browser(client)

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)

    async def person(self, name: str = ADA, password: str = PASSWORD, *roles: str) -> UUID:
        id = uuid4()
        async with self.database.transaction() as conn:
            hashed = await secrets.hash_password(password)
            assert await people.add(
                conn, self.tenant, id, user_name=name, password_hash=hashed, roles=roles or ["Global Administrator"]
            )
        return id

    async def with_second_factor(self, id: UUID) -> bytes:
        """Turn somebody's second factor on; gives its secret."""
        secret = second_factor.new_secret()
        sealed = self.application.state.sealing.seal(secret, second_factor.context(self.tenant, id))
        await self.run("update administrators set totp_secret = %s, totp_confirmed = true where id = %s", [sealed, id])
        return secret

    async def run(self, statement: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        async with self.database.transaction() as conn:
            cursor = await conn.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []

    async def trail(self) -> list[tuple[str, str]]:
        """Who did what, of what this room leaves, the first act first."""
        rows = await self.run("select actor, activity from audits where detail ? 'address' order by at, id")
        return [(actor, activity) for actor, activity in rows]


@pytest.fixture
async def entrance(database: Database, identity: Identity, settings: Settings) -> AsyncIterator[Entrance]:
    """The service, with Ada as one of its administrators."""
    async with Listener(database, app.CHANNELS) as listener:
        made = Entrance(database, identity.tenant.id, FastAPI(), datetime.now(UTC))
        courier = delivery.courier(database, identity, settings)
        rules = SignInRules(clock=lambda: made.now)
        made.application = app.build(database, identity, listener, courier, rules=rules)
        await made.person()
        yield made
        for client in made.opened:
            await client.aclose()


def code(secret: bytes, at: datetime) -> str:
    """What an authenticator app shows."""
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    return TOTP(secret, 6, SHA1(), 30).generate(int(at.timestamp())).decode()
