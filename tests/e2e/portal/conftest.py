"""A window before an installation that has read a company out of a real domain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from dirbridge.cli.demo.domain import Domain
from tests.e2e import company
from tests.e2e.harness import Installation
from tests.e2e.portal import screen
from tests.e2e.portal.screen import Screen

ADMINISTRATOR = f"ada@{company.REALM}"


@dataclass
class Desk:
    """What an administrator has: the portal in a window, and the domain beside it."""

    screen: Screen
    installation: Installation
    domain: Domain
    place: Path

    @property
    def job(self) -> str:
        """The id of the one job."""
        return self.installation.job.rpartition("/")[2]


async def administrator(installation: Installation, name: str = ADMINISTRATOR) -> str:
    """Make an administrator; gives the password."""
    made = await installation.api.post(
        "/beta/dirbridge/administrators",
        {"userName": name, "displayName": "Ada Lovelace", "roles": ["Global Administrator"]},
    )
    return str(made["password"])


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
