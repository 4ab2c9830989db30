"""The service as its clients know it, and the marks of the tests that share it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.clients import page
from tests.e2e import made_up
from tests.e2e.harness import Installation

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

    async def status(self, path: str, token: str) -> int:
        """Ask the API with a token, and give the status of the answer."""
        trust = ssl.create_default_context(cafile=self.values["CA_FILE"])
        async with httpx2.AsyncClient(base_url=f"{self.values['URL']}/v1.0", verify=trust) as client:
            return (await client.get(path, headers={"Authorization": f"Bearer {token}"})).status_code
