"""What the end-to-end tests share: folders that the database's user can enter, and a domain to make copies of."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from dirbridge.cli.demo.domain import Domain
from tests.e2e import company
from tests.fixtures.postgres import open_folder


@pytest.fixture
def place() -> Iterator[Path]:
    """A new folder that the database's user can enter; its path is short enough for a socket's name."""
    made = open_folder("dirbridge-e2e-")
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pristine() -> AsyncIterator[Domain]:
    """A domain with the company in it that nobody changes: tests work on copies."""
    async with Domain(company.REALM) as running:
        await company.fill(running)
        yield running
