"""The account as which jobs write the tenant: broken by hand, told plainly, repaired, and everything caught up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.harness import until
from tests.e2e.test_faults import made_up_in_step, said

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]


async def test_account_disabled_and_repaired(place: Path) -> None:
    """Disabled through the API: the job says so. Repaired by one command: a delta follows, nothing is made twice."""
    async with made_up_in_step(place) as installation:
        before = {user["id"] for user in await installation.objects("users", "displayName")}
        made = await installation.events()
        account = await installation.api.get("/beta/dirbridge/synchronizationAccount")
        await installation.api.patch(f"/users/{account['id']}", {"accountEnabled": False})
        await said(installation, "AzureActiveDirectoryAuthenticationFailed", "is disabled", "repair-account")
        status = await installation.status()
        assert status["code"] == "Quarantine"
        done = await installation.command("jobs", "repair-account", "--json")
        assert done.code == 0, done.complaint
        repaired = json.loads(done.output)
        assert repaired["repaired"] == ["enabled", "credential"]
        assert repaired["id"] == account["id"]
        assert len(repaired["jobsDueNow"]) == 1

        async def active() -> bool:
            return bool((await installation.status())["code"] == "Active")

        await until(active, "the job is active", 60, installation.describe)
        last = await installation.settled()
        assert (last["state"], last["countImported"]) == ("Succeeded", 0)
        assert {user["id"] for user in await installation.objects("users", "displayName")} == before
        assert await installation.events() == made
