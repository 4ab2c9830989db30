"""A page that is open says so when what it shows is no longer new, and goes on by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e import company
from tests.e2e.harness import Installation
from tests.e2e.portal import screen
from tests.e2e.portal.desks import ADMINISTRATOR, administrator

pytestmark = [pytest.mark.service, pytest.mark.timeout(300)]

LONG = 60_000


async def test_a_page_outlives_the_service_and_its_session(place: Path) -> None:
    """The service is killed and comes back; then the session is ended elsewhere."""
    async with (
        Installation(place, company.REALM) as installation,
        screen.chromium() as browser,
        screen.window(browser, installation.url) as window,
    ):
        page = window.page
        await window.sign_in(ADMINISTRATOR, await administrator(installation))
        await expect(page.locator("main")).to_contain_text("Overview")
        await page.evaluate("window.sameVisit = true")
        (service,) = installation.services

        await service.kill()
        await expect(page.get_by_text("The service has not answered since")).to_be_visible(timeout=LONG)
        service.start()
        await service.ready()
        await expect(page.get_by_text("The service has not answered since")).to_have_count(0, timeout=LONG)

        assert await page.evaluate("window.sameVisit") is True

        (ada,) = [
            each
            for each in (await installation.api.get("/beta/dirbridge/administrators"))["value"]
            if each["userName"] == ADMINISTRATOR
        ]
        await installation.api.post(f"/beta/dirbridge/administrators/{ada['id']}/revokeSignInSessions")
        await expect(page).to_have_url(f"{installation.url}/sign-in?continue=%2Fportal", timeout=LONG)


HIDE = """hidden => {
    Object.defineProperty(document, "visibilityState", {value: hidden ? "hidden" : "visible", configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


async def test_pages_in_other_tabs_leave_connections_to_the_one_that_is_seen(place: Path) -> None:
    """A browser keeps six to a service: pages that nobody sees keep none, and go on when they are seen again."""
    async with (
        Installation(place, company.REALM) as installation,
        screen.chromium() as browser,
        screen.window(browser, installation.url) as window,
    ):
        page = window.page
        await window.sign_in(ADMINISTRATOR, await administrator(installation))
        for _ in range(7):
            other = await page.context.new_page()
            async with other.expect_response(lambda answer: answer.url.endswith("/portal/live")):
                await other.goto(f"{installation.url}/portal")
            await other.evaluate(HIDE, True)
        await page.reload()
        await expect(page.locator("main")).to_contain_text("Overview")
        async with other.expect_response(lambda answer: answer.url.endswith("/portal/live")):
            await other.evaluate(HIDE, False)
        await other.evaluate("document.querySelector('[sse-swap=totals]').replaceChildren()")
        await other.evaluate(HIDE, True)
        await other.evaluate(HIDE, False)
        await expect(other.locator("[sse-swap=totals]")).not_to_be_empty(timeout=LONG)
