"""The provisioning log in a browser: filters, the event by double-click and by keyboard, what comes, files."""

import csv
from pathlib import Path

import pytest

from tests.e2e import company
from tests.e2e.portal.desks import Desk

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(300)]


async def test_the_log_is_filtered_opened_and_taken_along(desk: Desk, tmp_path: Path) -> None:
    """From all events to one person's, into the event, back, and out as a file; a change shows itself."""
    page = desk.screen.page
    await desk.screen.open("/portal/logs?status=success")
    assert await desk.screen.faults() == []
    first = page.locator("tr[data-open]").first
    name = (await first.locator('[data-label="Source"] div').inner_text()).split("\n")[0]
    await page.fill("#source", name.upper())
    await page.click("form.sieve button")
    await page.wait_for_url("**status=success**")
    rows = page.locator("tr[data-open]")
    count = await rows.count()
    assert 1 <= count < 50
    for number in range(count):
        assert name.lower() in (await rows.nth(number).inner_text()).lower()

    await rows.first.dblclick()
    await page.wait_for_selector("#steps")
    assert name in await page.inner_text("h1")
    assert await desk.screen.faults() == []
    await page.click(".path a")
    await page.wait_for_url("**status=success**")
    await rows.first.locator("a").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#properties")
    await page.go_back()

    await page.click("text=Download")
    async with page.expect_download() as waited:
        await page.click("text=Events as CSV")
    saved = tmp_path / "events.csv"
    await (await waited.value).save_as(saved)
    with saved.open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == count

    await desk.screen.open("/portal/logs")
    with company.reader(desk.domain) as administrator:
        (somebody, *_) = await administrator.search("(&(objectCategory=person)(objectClass=user)(mail=*))", ("mail",))
        await administrator.modify(f"dn: {somebody.dn}\nchangetype: modify\nreplace: title\ntitle: Night watch\n-\n")
    await page.click(".fresh a", timeout=60_000)
    await page.wait_for_selector("tr[data-open]")
    assert "Update" in await page.locator("tr[data-open]").first.inner_text()
    assert desk.screen.complaints == []
