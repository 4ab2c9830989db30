"""A window before an installation that has read a company out of a real domain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from dirbridge.cli.demo.domain import Domain
from tests.e2e import company
from tests.e2e.portal import screen
from tests.e2e.portal.desks import ADMINISTRATOR, Desk, administrator


@pytest.fixture
async def desk(place: Path, pristine: Domain) -> AsyncIterator[Desk]:
    """A domain of the test's own, in step with the tenant; Ada has signed in."""
    async with AsyncExitStack() as stack:
        domain = await stack.enter_async_context(await pristine.copy())
        installation = await stack.enter_async_context(company.in_step(place, domain))
        browser = await stack.enter_async_context(screen.chromium())
        window = await stack.enter_async_context(screen.window(browser, installation.url))
        await window.sign_in(ADMINISTRATOR, await administrator(installation))
        yield Desk(window, installation, domain, place)
