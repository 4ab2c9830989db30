"""The service as its clients know it, and the marks of the tests that share it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from dirbridge.service.setup import SIGN_IN_CLIENT
from tests.clients import page
from tests.clients.person import Person
from tests.e2e import made_up
from tests.e2e.harness import Installation

PERSON_CLIENT = str(SIGN_IN_CLIENT)

MARKS = [
    pytest.mark.service,
    # One service serves all: it and its tests are in one worker and one event loop.
    pytest.mark.xdist_group("clients"),
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="session"),
]


@dataclass(frozen=True)
class Cloud:
    """The service as its clients know it.

    Attributes:
        values: what the examples of docs/clients.md take from `dirbridge init`.
        configuration: object id of the service principal that the jobs belong to.
    """

    installation: Installation
    directory: made_up.Settings
    values: dict[str, str]
    configuration: str

    def run(self, heading: str, **values: str) -> dict[str, Any]:
        """Run an example of the page against this service."""
        return page.run(heading, **{**self.values, **values})

    async def run_beside(self, heading: str, **values: Any) -> dict[str, Any]:
        """Run an example that waits for a person, in a thread beside this one."""
        return await asyncio.to_thread(page.run, heading, **{**self.values, "PERSON_CLIENT": PERSON_CLIENT, **values})

    @asynccontextmanager
    async def person(self) -> AsyncIterator[Person]:
        """The first administrator, at a browser that knows nobody yet."""
        made, values = self.installation.made, self.values
        async with Person.at_browser(
            values["URL"], values["CA_FILE"], made["adminUser"], made["adminPassword"]
        ) as person:
            yield person

    async def status(self, path: str, token: str) -> int:
        """Ask the API with a token, and give the status of the answer."""
        trust = ssl.create_default_context(cafile=self.values["CA_FILE"])
        async with httpx2.AsyncClient(base_url=f"{self.values['URL']}/v1.0", verify=trust) as client:
            return (await client.get(path, headers={"Authorization": f"Bearer {token}"})).status_code
