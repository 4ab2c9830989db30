"""A tenant for every test of this folder."""

from __future__ import annotations

import pytest

from dirbridge.store.database import Database
from tests.engine.world import World


@pytest.fixture
async def world(database: Database) -> World:
    """A tenant with a started job."""
    made = World(database)
    await made.found()
    return made
