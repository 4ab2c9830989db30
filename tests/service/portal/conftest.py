"""The portal with somebody signed in, a job and an agent."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from dirbridge.store import agents
from tests.service import registered
from tests.service.browsers import ADA, PASSWORD, Browser, Entrance, entrance

__all__ = ["entrance"]

AGENT = UUID("a9e17000-0000-4000-8000-000000000001")


@dataclass
class Portal:
    """Who looks, and at what."""

    entrance: Entrance
    browser: Browser
    job: str

    @property
    def address(self) -> str:
        """Of the job's page."""
        return f"/portal/configurations/{quote(self.job, safe='')}"

    async def set_job(self, **columns: Any) -> None:
        """Bring the job's row into a state that cycles bring it into."""
        for name, value in columns.items():
            stored = Jsonb(value) if isinstance(value, dict) else value
            await self.entrance.run(f"update jobs set {name} = %s where id = %s", [stored, self.job])

    async def impose_quarantine(self) -> None:
        """Put the job into quarantine by hand."""
        await self.set_job(state="Active")
        headers = registered.bearer(self.entrance.application.state.tokens, "Synchronization.ReadWrite.All")
        where = f"/beta/dirbridge/jobs/{quote(self.job, safe='')}/quarantine"
        answer = await self.browser.client.post(where, json={"reason": "for a look"}, headers=headers)
        assert answer.status_code == 204, answer.text

    async def as_role(self, role: str) -> Browser:
        """Give the browser of another administrator, who has one role."""
        await self.entrance.person("bob@contoso.test", PASSWORD, role)
        other = self.entrance.browser("192.0.2.9")
        assert (await other.sign_in("bob@contoso.test")).status_code == 303
        return other


@pytest.fixture
async def portal(entrance: Entrance) -> Portal:
    """Ada before a job of contoso.test, which one agent serves."""
    headers = registered.bearer(
        entrance.application.state.tokens, "Synchronization.ReadWrite.All", "Application.ReadWrite.All"
    )
    client = entrance.browser().client
    template = "/v1.0/applicationTemplates/1a4721b3-e57f-4451-ae87-ef078703ec94/instantiate"
    made = await client.post(template, json={"displayName": "contoso.test"}, headers=headers)
    principal = made.json()["servicePrincipal"]["id"]
    jobs = f"/v1.0/servicePrincipals/{principal}/synchronization/jobs"
    job = (await client.post(jobs, json={"templateId": "AD2AADProvisioning"}, headers=headers)).json()["id"]
    async with entrance.database.transaction() as conn:
        await agents.insert(
            conn, entrance.tenant, AGENT, machine_name="dc-near", version="1.0", domains=["contoso.test"],
            public_key=uuid4().bytes, certificate=b"", expires_at=datetime.now(UTC) + timedelta(days=80),
            address="192.0.2.7",
        )  # fmt: skip
    browser = entrance.browser()
    assert (await browser.sign_in(ADA)).status_code == 303
    return Portal(entrance, browser, job)
