"""The way out of a quarantine, from the list of configurations: cleared in place, or by a word on staged deletes."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.async_api import expect

from tests.e2e import company
from tests.e2e.portal.desks import Desk

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(300)]

LEAVING = 8
PATIENCE = 60_000
"""Milliseconds until a cycle has told."""


async def test_a_quarantine_is_cleared_without_a_reload(desk: Desk) -> None:
    """By right-click on the status: the notice comes, then the healthy state, on the page that was open before."""
    page = desk.screen.page
    await desk.installation.api.post(
        f"/beta/dirbridge/jobs/{quote(desk.job, safe='')}/quarantine", {"reason": "a look"}
    )
    await desk.screen.open("/portal/configurations")
    await page.evaluate("window.opened = 1")
    status = page.get_by_role("link", name="Quarantine of")
    await status.click(button="right")
    menu = page.locator(".menu:popover-open")
    await expect(menu.get_by_role("link", name="View agents")).to_be_visible()
    assert await desk.screen.faults() == []
    await menu.get_by_role("button", name="Clear quarantine").click()
    await expect(page.locator("#notices")).to_contain_text("The quarantine is being cleared")
    await expect(menu).to_have_count(0)
    await expect(page.get_by_role("link", name="Healthy of")).to_be_visible(timeout=PATIENCE)
    assert await page.evaluate("window.opened") == 1
    await page.get_by_role("link", name="Healthy of").focus()
    await page.keyboard.press("ContextMenu")
    await expect(menu.get_by_role("link").first).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(menu.get_by_role("link", name="View agents")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(menu).to_have_count(0)
    assert await desk.screen.faults() == []
    await page.get_by_role("link", name="Healthy of").click()
    await expect(page.get_by_role("heading", name="Cycles")).to_be_visible()
    other = await page.context.new_page()
    await other.goto(f"{desk.installation.url}/portal/configurations/{quote(desk.job, safe='')}/delete")
    await other.get_by_role("button", name="Delete configuration").click()
    await expect(other.get_by_text("is deleted. What it brought")).to_be_visible()
    await expect(page.get_by_text("This configuration was deleted meanwhile.")).to_be_visible()
    assert await desk.screen.faults() == []


async def test_too_many_deletes_wait_for_a_word(desk: Desk) -> None:
    """The limit is set, people leave, the status says so by itself; some are kept, the others let go."""
    page = desk.screen.page
    await _limit(desk, 5)
    await desk.screen.open(f"/portal/configurations/{quote(desk.job, safe='')}")
    await page.get_by_role("button", name="Pause").click()
    await expect(page.get_by_text("The configuration is paused.")).to_be_visible()
    await expect(page.get_by_role("button", name="Start")).to_be_visible()
    before = {each["id"] for each in await desk.installation.objects("users", "displayName")}
    with company.reader(desk.domain) as administrator:
        found = await administrator.search("(&(objectCategory=person)(objectClass=user)(mail=*))", ("sAMAccountName",))
        leaving = sorted(entry.dn for entry in found)[-LEAVING:]
        await administrator.modify("\n".join(f"dn: {dn}\nchangetype: delete\n" for dn in leaving))
    await desk.screen.open("/portal/configurations")
    await page.get_by_role("button", name="What to do with").click()
    await page.locator(".menu:popover-open").get_by_role("button", name="Start").click()
    await expect(page.get_by_text("Delete threshold exceeded")).to_be_visible(timeout=PATIENCE)
    await page.get_by_role("link", name="Quarantine of").click()
    await expect(page.get_by_role("heading", name="Quarantine: delete threshold exceeded")).to_be_visible()
    assert await desk.screen.faults() == []
    await page.get_by_role("link", name="View staged deletes").click()
    await expect(page.get_by_text(f"{LEAVING} users are deleted")).to_be_visible()
    boxes = page.get_by_role("checkbox", name="Select ")
    await boxes.nth(1).check()
    await boxes.nth(2).check()
    await expect(page.get_by_text("2 selected")).to_be_visible()
    assert await desk.screen.faults() == []
    await page.get_by_role("button", name="Reject selected").click()
    await page.get_by_role("button", name="Reject 2 removals").click()
    await expect(page.get_by_text("Rejected 2 removals.")).to_be_visible()
    await page.get_by_role("button", name="Allow all").click()
    await expect(page.get_by_text(f"{LEAVING - 2} users are deleted")).to_be_visible()
    assert await desk.screen.faults() == []
    await page.get_by_role("button", name=f"Allow {LEAVING - 2} removals").click()
    await expect(page.get_by_text("Nothing waits for a person’s word.")).to_be_visible()
    await page.get_by_role("link", name="Overview", exact=True).last.click()
    await expect(page.get_by_text("Healthy")).to_be_visible(timeout=PATIENCE)
    await desk.installation.settled()
    after = {each["id"] for each in await desk.installation.objects("users", "displayName")}
    assert after < before
    assert len(before - after) == LEAVING - 2
    assert await desk.screen.faults() == []


async def _limit(desk: Desk, number: int) -> None:
    """Set the threshold by its form; a wrong value first, which is said at its field."""
    page = desk.screen.page
    await desk.screen.open(f"/portal/configurations/{quote(desk.job, safe='')}/properties")
    field = page.get_by_label("Accidental deletion threshold")
    await field.fill("few")
    answered = desk.screen.complaints.copy()
    await page.get_by_role("button", name="Save limits").click()
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_text("expects a whole number")).to_be_visible()
    # The browser writes down that a page was answered 400.
    desk.screen.complaints[:] = answered
    await field.fill(str(number))
    await page.get_by_role("button", name="Save limits").click()
    await expect(page.get_by_text("Saved.")).to_be_visible()
    await expect(field).to_have_value(str(number))
    assert await desk.screen.faults() == []
