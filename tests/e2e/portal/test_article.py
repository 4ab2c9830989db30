"""What an administrator does when a job stands still, from the first look to the last, by mouse and by keyboard.

A domain controller refuses the agent's account; the portal leads to the cause, and the quarantine is cleared once it is
mended. Then provisioning is restarted with each choice of what a restart clears.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from playwright.async_api import Page, expect

from tests.e2e import company
from tests.e2e.harness import Process
from tests.e2e.portal.desks import Desk

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(300)]

SOON = 30_000
"""Milliseconds until a cycle's outcome must be on the page."""


async def test_from_a_refused_account_back_to_health(desk: Desk) -> None:
    """Agents healthy, job quarantined, status opened, menu, log, event, repaired, cleared, healthy."""
    page = desk.screen.page
    await _agent_is(desk, "Healthy")
    company.password_file(desk.place).write_text("Wrong-word.1")
    await _change(desk, "Title 1")
    await desk.installation.failed("InvalidCredentials")

    # The list moves by itself; the status opens what is behind it.
    await desk.screen.open("/portal/configurations")
    status = _status(page)
    await expect(status).to_contain_text("Quarantine", timeout=SOON)
    assert await desk.screen.faults() == []
    await status.get_by_role("link").click()
    await expect(page.locator("main")).to_contain_text("InvalidCredentials")
    await expect(page.locator("main")).to_contain_text(company.READER)
    assert await desk.screen.faults() == []

    # Right-click on the status: the log of this configuration, and an event of it.
    await _menu(page, "/portal/configurations", "View provisioning logs")
    await expect(page).to_have_url(re.compile(r"/portal/logs\?.*job="))
    row = page.locator("main tbody tr").first
    await row.locator("td").nth(1).dblclick()
    await expect(page).to_have_url(re.compile(r"/portal/logs/[0-9a-f-]+"))
    await expect(page.get_by_role("heading", name="Steps")).to_be_visible()
    assert await desk.screen.faults() == []

    # The agent says the same.
    await _menu(page, "/portal/configurations", "View agent")
    await expect(page.locator("main")).to_contain_text("Degraded", timeout=SOON)

    # The account is repaired. The agent would notice by itself: it is held still until the administrator was faster.
    with _held(desk.installation.agents[0]):
        company.password_file(desk.place).write_text(company.PASSWORD)
        await desk.screen.open("/portal/configurations")
        await page.evaluate("window.sameVisit = true")
        await _choose(page, "Clear quarantine")
        await expect(page.locator("#notices")).to_contain_text("quarantine is being cleared")
    began = datetime.now(UTC)
    await expect(_status(page)).to_contain_text("Healthy", timeout=SOON)
    assert await page.evaluate("window.sameVisit") is True, "the page was loaded anew"
    await desk.installation.succeeded(began)
    assert await desk.screen.faults() == []
    with company.reader(desk.domain) as administrator:
        assert await company.differences(desk.installation, administrator) == []
    await _agent_is(desk, "Healthy")


CHOICES = {
    ("Escrows",): "Escrows",
    ("Quarantine",): "QuarantineState",
    ("Watermark",): "Watermark",
    ("Escrows", "Quarantine", "Watermark"): "Escrows, QuarantineState, Watermark",
}
"""What is ticked, and what the restart clears by it."""


async def test_a_restart_clears_what_was_chosen(desk: Desk) -> None:
    """By keyboard alone; it says how many objects it concerns, and nothing is written that was right."""
    (before,) = await desk.installation.rows("select count(*) from events")
    for boxes, cleared in CHOICES.items():
        ended = await _restart(desk, boxes)
        rows = await desk.installation.rows(
            "select detail ->> 'resetScope' from audits where activity ilike '%%restart%%' order by at desc limit 1"
        )
        assert rows == [(cleared,)]
        assert (ended["countImported"] > 0) == ("Watermark" in boxes)
        assert await desk.installation.rows("select count(*) from events") == [before]
        await expect(desk.screen.page.locator("main")).to_contain_text("Healthy", timeout=SOON)
    assert await desk.screen.faults() == []


async def _restart(desk: Desk, boxes: tuple[str, ...]) -> dict[str, Any]:
    """Restart with some boxes ticked; gives how the cycle after it ended."""
    page = desk.screen.page
    await desk.screen.open(f"/portal/configurations/{quote(desk.job, safe='')}")
    await page.get_by_role("link", name="Restart provisioning").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_contain_text(re.compile(r"re-evaluates \d+ objects"))
    assert await desk.screen.faults() == []
    for name in ("Escrows", "Quarantine", "Watermark"):
        box = page.get_by_role("checkbox", name=name)
        await box.focus()
        if await box.is_checked() != (name in boxes):
            await page.keyboard.press("Space")
    began = datetime.now(UTC)
    await page.get_by_role("button", name="Restart").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#notices")).to_contain_text("Provisioning begins anew")
    return await desk.installation.succeeded(began)


async def _agent_is(desk: Desk, status: str) -> None:
    await desk.screen.open("/portal/agents")
    await expect(desk.screen.page.locator("main tbody tr")).to_contain_text(status, timeout=SOON)


async def _change(desk: Desk, title: str) -> None:
    """Give the directory something that a cycle has to read."""
    with company.reader(desk.domain) as administrator:
        (somebody, *_) = await administrator.search("(sAMAccountName=dora.dietz)")
        await administrator.modify(f"dn: {somebody.dn}\nchangetype: modify\nreplace: title\ntitle: {title}\n-\n")


def _status(page: Page):  # type: ignore[no-untyped-def]
    return page.locator("main tbody tr [data-menu]").first


async def _menu(page: Page, path: str, entry: str) -> None:
    await page.goto(page.url.partition("/portal")[0] + path)
    await _choose(page, entry)


async def _choose(page: Page, entry: str) -> None:
    """Right-click on the status and take an entry of its menu."""
    await _status(page).click(button="right")
    menu = page.locator(".menu:popover-open")
    await expect(menu).to_be_visible()
    for name in ("View provisioning logs", "View agent", "Clear quarantine"):
        await expect(menu).to_contain_text(name)
    await menu.get_by_text(entry).click()


@contextmanager
def _held(process: Process) -> Iterator[None]:
    """Keep a process from doing anything."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)
