"""A new configuration from nothing to synchronized users, by keyboard where the tree of a real domain is opened."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from dirbridge.cli.demo import company as demo
from dirbridge.cli.demo.domain import Domain
from tests.e2e import company
from tests.e2e.harness import Installation, until
from tests.e2e.portal import screen
from tests.e2e.portal.desks import ADMINISTRATOR, administrator
from tests.e2e.portal.screen import Screen

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(400)]

NEW = "/portal/configurations/new"
TOP = "li[data-name=Contoso] > [role=treeitem]"
LONG = 60_000
"""Milliseconds that a new agent may take to ask for work."""


async def users(installation: Installation) -> set[str]:
    return {
        each["onPremisesSamAccountName"] for each in await installation.objects("users", "onPremisesSamAccountName")
    }


async def they_are(installation: Installation, people: set[str]) -> None:
    """Wait until the users that a job made are these and no others."""

    async def look() -> bool | None:
        return await users(installation) == people or None

    async def describe() -> str:
        return f"{sorted(people ^ await users(installation))} differ.\n{await installation.describe()}"

    await until(look, "the users are those that are wanted", 60, describe)


async def sales_people(domain: Domain) -> set[str]:
    """Who is in the sales people's unit at any depth, as the domain itself has it."""
    with company.reader(domain) as reader:
        found = await reader.search("(objectClass=user)", base=f"{demo.SALES},{domain.base_dn}")
    return {str(each.text("sAMAccountName")) for each in found}


async def step(window: Screen, heading: str) -> None:
    """Wait for a step, and make sure that nothing is wrong with it."""
    await window.page.locator("nav.wizard [aria-current=step]", has_text=heading).wait_for()
    assert await window.faults() == [], heading


async def walk_to_sales(window: Screen) -> None:
    """Open the tree by keyboard down to the sales people's unit, each level read from the domain, and tick it."""
    page = window.page
    await page.locator(TOP).wait_for(timeout=LONG)
    await page.focus("[role=treeitem][tabindex='0']")
    for name in ("Contoso", "People", "Sales"):
        while await page.evaluate("document.activeElement.innerText.trim()") != name:
            await page.keyboard.press(name[0])
        if name == "Sales":
            break
        await page.keyboard.press("ArrowRight")
        opened = page.locator("[role=treeitem][aria-expanded=true]", has_text=re.compile(rf"^\s*{name}\s*$"))
        await opened.wait_for()
    assert await page.evaluate("document.activeElement.getAttribute('aria-level')") == "4"
    await page.keyboard.press("Space")
    assert await page.evaluate("document.activeElement.getAttribute('aria-checked')") == "true"


async def test_from_nothing_to_synchronized_users(place: Path, pristine: Domain) -> None:
    """Domain, scope in the live tree, mapping, a test, enabled; then a filter narrows it."""
    async with (
        await pristine.copy() as domain,
        Installation(place, company.REALM) as installation,
        screen.chromium() as browser,
        screen.window(browser, installation.url) as window,
    ):
        page = window.page
        await window.sign_in(ADMINISTRATOR, await administrator(installation))
        await window.open(NEW)
        await page.get_by_text("No agent serves a domain yet.").wait_for()
        agent = await installation.agent(company.toml(domain, place))
        os.kill(agent.pid, signal.SIGSTOP)
        await window.open(NEW)
        await step(window, "Domain")
        await page.get_by_text("0 of 1 agent healthy").wait_for()  # nobody has heard from it
        await page.click("text=Create and continue")

        await step(window, "Scope")
        await page.check("#taken-chosen")
        await page.get_by_text("It is tried again every 5 seconds.").wait_for()
        assert await window.faults() == []
        os.kill(agent.pid, signal.SIGCONT)
        await walk_to_sales(window)
        assert await window.faults() == []
        await page.fill("#group-text", "no such group")
        await page.get_by_text("No group has “no such group” in its name.").wait_for()
        await page.click("p.acts >> text=Save and continue")

        await step(window, "Mapping")
        await page.click("text=Continue")
        await step(window, "Test")
        await page.fill("#dn", "vera.sales")
        await page.click("#main >> button:text-is('Test')")
        await page.locator("#answer .state", has_text="Created").wait_for(timeout=LONG)
        assert await window.faults() == []
        assert await users(installation) == {"vera.sales"}

        await page.click("text=Continue")
        await step(window, "Enable")
        await page.get_by_text("Who is in this container or group:").wait_for()
        await page.click("#main >> button:text-is('Enable')")
        await page.get_by_text("The configuration is enabled.").wait_for()

        people = await sales_people(domain)
        assert {"vera.sales", "olga.ivanova"} < people
        await they_are(installation, people)
        await _narrow(window, installation, len(people))


async def _narrow(window: Screen, installation: Installation, before: int) -> None:
    """Filter by an attribute: who does not fit leaves."""
    page = window.page
    await page.click("nav.tabs >> text=Scope")
    await page.get_by_text("contoso.test/Contoso/People/Sales").wait_for()
    await page.locator(TOP).wait_for()
    assert await window.faults() == []
    await page.click("text=Add filters")
    await page.click("text=Add a filter")
    await page.fill("[id='attribute.0.0']", "sAMAccountName")
    await page.select_option("[id='operator.0.0']", "REGEX MATCH")
    await page.fill("[id='value.0.0']", "^(vera|olga)")
    assert await window.faults() == []
    await page.click("form.filter-editor p.acts >> text=Review and save")
    await page.get_by_text(f"re-evaluates {before} objects").wait_for()
    assert await window.faults() == []
    await page.click("text=Save filters")
    await page.get_by_text("The filters are saved.").wait_for()

    await they_are(installation, {"vera.sales", "olga.ivanova"})
