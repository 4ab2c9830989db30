"""A service with a tenant on a database of its own, answering without a network."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from dirbridge.service import app, setup
from dirbridge.service.notify import delivery
from dirbridge.service.settings import Settings, load
from dirbridge.service.setup import Identity, Initialised, Wishes
from dirbridge.store.database import Database
from dirbridge.store.listener import Listener
from tests.service import registered

BASE_URL = "https://dirbridge.example:8443"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a data folder of their own."""
    return load({"data": str(tmp_path), "base_url": BASE_URL}, {})


@pytest.fixture
async def made(database: Database, settings: Settings) -> Initialised:
    """A tenant with a verified domain, made just now."""
    return await setup.initialise(database, settings, Wishes(domains=["contoso.test"]))


@pytest.fixture
async def identity(database: Database, settings: Settings, made: Initialised) -> Identity:
    """Who that tenant's service is."""
    await registered.register(database, made.tenant.id)
    return await setup.load(database, settings)


@pytest.fixture
async def service(database: Database, identity: Identity, settings: Settings) -> AsyncIterator[FastAPI]:
    """The application."""
    async with Listener(database, app.CHANNELS) as listener:
        yield app.build(database, identity, listener, delivery.courier(database, identity, settings))


@pytest.fixture
async def client(service: FastAPI) -> AsyncIterator[httpx2.AsyncClient]:
    """A client that reaches the application without a network; a fault of the application is an answer of 500."""
    transport = httpx2.ASGITransport(app=service, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as opened:
        yield opened
