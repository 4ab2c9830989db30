"""The doors of sign-in and OAuth, with browsers and clients in front of them."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from fastapi import FastAPI

from dirbridge.service.auth.oauth import endpoints
from dirbridge.service.setup import Identity
from dirbridge.store import people
from dirbridge.store.database import Database
from tests.service.auth.doors import Door
from tests.service.browsers import entrance
from tests.service.conftest import BASE_URL

__all__ = ["entrance"]


@pytest.fixture
async def door(
    client: httpx2.AsyncClient, service: FastAPI, database: Database, identity: Identity
) -> AsyncIterator[Door]:
    """The doors of OAuth 2, with the time in the test's hand."""
    async with database.connection() as conn:
        (person,) = await people.administrators(conn, identity.tenant.id)
    made = Door(client, database, identity, person, app=service)
    app = FastAPI(openapi_url=None)
    app.include_router(endpoints.router(database, identity.tokens, lambda: made.at))
    app.mount("/", service)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as opened:
        made.client = opened
        yield made
