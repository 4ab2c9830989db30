"""Agents in the portal, before a real one that reads a real domain."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from tests.e2e import company
from tests.e2e.portal.desks import Desk

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(300)]

LONG = 60_000
"""Milliseconds that an agent may take to hear of something and do it."""


async def test_an_agent_is_looked_after(desk: Desk, tmp_path: Path) -> None:
    """Seen well, traced, its logs fetched; a second one is added and turns the page green; the first is shut out."""
    page = desk.screen.page
    await desk.screen.open("/portal/agents")
    await page.click("tbody th a")
    await page.wait_for_selector("text=Reads contoso.test")
    assert await page.locator(".checks .state.good").count() == 6
    assert await desk.screen.faults() == []

    await page.click("text=Traces and logs")
    await page.click("text=Start a trace")
    await page.wait_for_selector(".note.good")
    await page.wait_for_selector(".state.warn:has-text('On')", timeout=LONG)
    await page.click("text=Collect logs")
    await page.wait_for_selector("text=Ready", timeout=LONG)
    async with page.expect_download() as downloaded:
        await page.click("text=Download")
    file = tmp_path / "agent.zip"
    await (await downloaded.value).save_as(file)
    assert any(name.endswith("agent.log") or "check" in name for name in zipfile.ZipFile(file).namelist())
    await page.click("text=Stop it")
    await page.wait_for_selector(".state.idle:has-text('Off')", timeout=LONG)
    assert await desk.screen.faults() == []

    await desk.screen.open("/portal/agents/new")
    await page.fill("#domains", company.REALM)
    await page.click("text=Make a code")
    await page.wait_for_selector("text=Waiting")
    found = re.search(r"--code (\S+)", await page.inner_text("#enrol"))
    assert found is not None
    assert await desk.screen.faults() == []
    await desk.installation.agent(company.toml(desk.domain, desk.place), code=found[1])
    await page.wait_for_selector("text=is here and well.", timeout=LONG)
    assert await desk.screen.faults() == []

    await page.click(".arrival a")
    await page.click("text=Revoke this agent")
    await page.wait_for_selector("text=1 other agent serves 1 configuration")
    await page.click("button:has-text('Revoke')")
    await page.wait_for_selector(".state:has-text('Revoked')")
    assert await desk.screen.faults() == []
