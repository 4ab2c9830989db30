"""The tenant directory does what every target must."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest

from dirbridge.connectors.conformance import CHECKS, Check, Subject
from dirbridge.store.unit import Unit
from tests.engine.world import DOMAIN, World


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_tenant(check: Check, world: World) -> None:
    """As a target whose writes join the transaction."""

    @contextlib.asynccontextmanager
    async def unit() -> AsyncIterator[Unit]:
        async with world.database.transaction() as conn:
            yield Unit(conn, world.tenant, world.job, world.clock())

    await check(Subject(world.target, unit, DOMAIN))
