"""A user of the domain is found in the portal, and the way leads back to its entry; settings are changed beside it."""

from __future__ import annotations

from uuid import UUID

import pytest
from playwright.async_api import expect

from dirbridge.cli.demo.company import line
from tests.e2e import company
from tests.e2e.portal.desks import Desk

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(400)]


async def test_a_user_leads_back_to_its_source(desk: Desk) -> None:
    """Found while typing, opened by the keyboard, with the entry that it came from, what happens to it, its manager."""
    page, api = desk.screen.page, desk.installation.api
    with company.reader(desk.domain) as administrator:
        (entry,) = await administrator.search("(sAMAccountName=emil.engineer)", ("*",))
        (user,) = (await api.get("/users?$filter=startsWith(userPrincipalName,'emil.engineer')"))["value"]
        await desk.screen.open("/portal/users")
        await page.get_by_role("searchbox").press_sequentially("emil.eng", delay=20)
        await expect(page).to_have_url(f"{desk.screen.url}/portal/users?q=emil.eng")
        link = page.locator(f'#found a[href="/portal/users/{user["id"]}"]')
        await expect(page.locator("#found tbody tr")).to_have_count(1)
        assert await desk.screen.faults() == []
        await link.focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_have_text(str(entry.text("displayName")))
        await expect(page.get_by_text("In sync", exact=True)).to_be_visible()
        await expect(page.get_by_text(entry.dn, exact=True)).to_be_visible()
        await expect(page.get_by_text(str(UUID(bytes_le=entry.values("objectGUID")[0])), exact=True)).to_be_visible()
        assert await desk.screen.faults() == []

        await administrator.modify(
            f"{line('dn', entry.dn)}\nchangetype: modify\nreplace: title\ntitle: Night watch\n-\n"
        )
        happened = page.get_by_role("region", name="Last events").get_by_role("listitem").first
        await expect(happened).to_contain_text("Title", timeout=60_000)
        await page.get_by_role("link", name="Its events", exact=True).click()
        await expect(page.locator("main tbody tr").first).to_contain_text("Update")

        await desk.screen.open(f"/portal/users/{user['id']}")
        await page.get_by_role("link", name="Provision now").click()
        await page.get_by_role("button", name="Provision", exact=True).click()
        await expect(page.locator("#answer h2 .state")).to_have_text("Skipped", timeout=60_000)

    await desk.screen.open(f"/portal/users/{user['id']}/attributes")
    await expect(page.get_by_role("row", name="onPremisesSyncEnabled Yes")).to_be_visible()
    await expect(page.get_by_role("row", name="jobTitle Night watch")).to_be_visible()
    assert await desk.screen.faults() == []
    await desk.screen.open(f"/portal/users/{user['id']}")
    await page.get_by_role("definition").get_by_role("link", name="Vera").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Vera Verkäufer")
    await page.get_by_role("link", name="Direct reports").click()
    await expect(page.get_by_role("row", name=user["displayName"])).to_be_visible()
    assert await desk.screen.faults() == []


async def test_a_group_shows_who_is_in_it(desk: Desk) -> None:
    """All members, each of whom leads on and back to the group."""
    page, api = desk.screen.page, desk.installation.api
    groups = (await api.get("/groups?$top=50"))["value"]
    for group in groups:
        members = (await api.get(f"/groups/{group['id']}/members?$top=50"))["value"]
        if any(member["@odata.type"] == "#microsoft.graph.user" for member in members):
            break
    await desk.screen.open(f"/portal/groups/{group['id']}/members")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(len(members))
    assert await desk.screen.faults() == []
    user = next(member for member in members if member["@odata.type"] == "#microsoft.graph.user")
    await page.locator(f'a[href="/portal/users/{user["id"]}"]').click()
    await page.get_by_role("navigation", name="User").get_by_role("link", name="Groups").click()
    await page.wait_for_url("**/memberships")
    await expect(page.locator(f'main a[href="/portal/groups/{group["id"]}"]')).to_be_visible()
    assert await desk.screen.faults() == []


async def test_who_leaves_the_domain_is_among_the_deleted(desk: Desk) -> None:
    """The page of a user says it, the list of the deleted has them, and a person brings them back."""
    page, api = desk.screen.page, desk.installation.api
    (user,) = (await api.get("/users?$filter=startsWith(userPrincipalName,'dora.dietz')"))["value"]
    with company.reader(desk.domain) as administrator:
        (entry,) = await administrator.search("(sAMAccountName=dora.dietz)")
        await administrator.modify(f"dn: {entry.dn}\nchangetype: delete\n")
    await desk.installation.settled()
    await desk.installation.api.post(f"{desk.installation.job}/pause")
    await desk.screen.open("/portal/users?q=dora.dietz")
    await expect(page.locator("#found")).to_contain_text("Nothing begins with “dora.dietz”.")
    await page.get_by_role("link", name="Deleted").click()
    await page.locator(f'#found a[href="/portal/users/{user["id"]}"]').click()
    await expect(page.locator("main")).to_contain_text("It can be restored until")
    await expect(page.get_by_text("Removed", exact=True)).to_be_visible()
    assert await desk.screen.faults() == []
    await page.get_by_role("link", name="Restore").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Restore Dora Dietz")
    assert await desk.screen.faults() == []
    await page.get_by_role("button", name="Restore").click()
    await expect(page.get_by_role("status")).to_contain_text("'Dora Dietz' is back")
    assert (await api.get(f"/users/{user['id']}?$select=displayName"))["displayName"] == "Dora Dietz"
    assert await desk.screen.faults() == []


async def test_an_application_is_added_and_the_log_kept_shorter(desk: Desk) -> None:
    """By the forms of the settings; no page of them has a fault."""
    page = desk.screen.page
    await desk.screen.open("/portal/settings")
    assert await desk.screen.faults() == []
    await page.locator("main").get_by_role("link", name="Applications").click()
    await page.get_by_role("link", name="Add an application").click()
    await page.get_by_label("Name").fill("Reports")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("'Reports' is registered")
    await page.get_by_label("Permission").select_option("User.Read.All")
    await page.get_by_role("button", name="Grant").click()
    await expect(page.get_by_role("button", name="Take away User.Read.All")).to_be_visible()
    await page.get_by_role("button", name="Make a secret").click()
    await expect(page.locator("code.secret")).to_be_visible()
    assert await desk.screen.faults() == []

    await desk.screen.open("/portal/settings/retention")
    await page.get_by_label("Days").fill("7")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("main")).to_contain_text("0 events older than 7 days go for good")
    assert await desk.screen.faults() == []
    await page.get_by_role("button", name="Remove them").click()
    await expect(page.get_by_role("status")).to_contain_text("The log is kept for 7 days.")
    for name in ("administrators", "administrators/new", "notifications", "tenant", "tenant/keys/rotate"):
        await desk.screen.open(f"/portal/settings/{name}")
        assert await desk.screen.faults() == []
