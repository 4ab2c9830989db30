"""Trying things out in a browser on a real domain: one entry on demand, a whole run as a preview."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from dirbridge.cli.demo.reader import Reader
from tests.e2e import company
from tests.e2e.portal.conftest import Desk
from tests.e2e.portal.screen import NARROW

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(300)]

OUTCOME = "#answer h2 .state"


@pytest.fixture
async def administrator(desk: Desk) -> AsyncIterator[Reader]:
    """Somebody who edits the domain; the job is paused, so that only what is tried is written."""
    await desk.installation.api.post(f"{desk.installation.job}/pause")
    with company.reader(desk.domain) as reader:
        yield reader


def page(desk: Desk, name: str) -> str:
    """The path of a page of the one configuration."""
    return f"/portal/configurations/{quote(desk.job, safe='')}/{name}"


async def change(reader: Reader, dn: str, *lines: str) -> None:
    """Change one entry."""
    await reader.modify("\n".join([f"dn: {dn}", "changetype: modify", *lines, "-", ""]))


async def provision(desk: Desk, name: str = "") -> str:
    """Send the form; gives the word of the outcome. Where too many were provisioned just now, it is sent again."""
    shown = desk.screen.page
    if name:
        await shown.fill("#dn", name)
    for _ in range(3):
        await shown.evaluate("for (const one of document.querySelector('#answer').children) one.dataset.old = ''")
        await shown.get_by_role("button", name="Provision", exact=True).click()
        answer = await shown.wait_for_selector("#answer > :not([data-old])", timeout=60_000)
        assert answer is not None
        if "within 10 seconds" not in await answer.inner_text():
            break
        await shown.wait_for_timeout(10_000)
    return await shown.inner_text(OUTCOME)


async def logged(desk: Desk) -> int:
    """How many rows the tenant's own log has."""
    ((count,),) = await desk.installation.rows("select count(*) from events e join tenants t on t.id = e.tenant")
    return int(count)


async def synchronized(desk: Desk) -> set[str]:
    """Account names of the tenant's users."""
    found = await desk.installation.objects("users", "onPremisesSamAccountName")
    return {str(user["onPremisesSamAccountName"]) for user in found}


async def test_one_user_and_one_group_on_demand(desk: Desk, administrator: Reader) -> None:
    """Created, updated, left out, forced; each step opens; a group with its member; a name that is nobody's."""
    shown = desk.screen.page
    dn = await desk.domain.create_user("nova", company.PASSWORD)
    assert "nova" not in await synchronized(desk)
    await desk.screen.open(page(desk, "on-demand"))
    await shown.get_by_label("User or group").press_sequentially("nov")
    await shown.locator("#found").get_by_role("link", name="nova").focus()
    await shown.keyboard.press("Enter")
    assert await shown.input_value("#dn") == dn
    assert await provision(desk) == "Created"
    assert "nova" in await synchronized(desk)
    assert await shown.locator(".stages > li.good").count() == 4
    await shown.locator(".stages summary").first.focus()
    await shown.keyboard.press("Enter")
    assert f"nova@{company.REALM}" in await shown.inner_text(".stages > li:first-child table")
    assert await desk.screen.faults() == []

    await change(administrator, dn, "replace: title", "title: <b>Pilot</b>")
    assert await provision(desk, "nova") == "Updated"
    changed = shown.locator(".stages > li:last-child table")
    assert "<b>Pilot</b>" in await changed.inner_text()
    assert await provision(desk, f"nova@{company.REALM}") == "Skipped"

    await change(administrator, dn, "replace: adminDescription", "adminDescription: User_x")
    assert await provision(desk) == "Skipped"
    assert "adminDescription" in await shown.inner_text(".stages > li:nth-child(2)")
    await shown.get_by_label("Provision it although it is not in scope").check()
    assert await provision(desk) != "Failure"
    assert "regardless=1" in shown.url

    group = f"CN=Crew,CN=Users,{desk.domain.base_dn}"
    mate = await desk.domain.create_user("mate", company.PASSWORD)
    lines = ["objectClass: group", "sAMAccountName: Crew", "groupType: -2147483646", f"member: {mate}"]
    await administrator.modify("\n".join([f"dn: {group}", "changetype: add", *lines, ""]))
    await desk.screen.open(page(desk, f"on-demand?dn={quote(group)}&member=mate"))
    assert await provision(desk) == "Created"
    assert "mate Created" in " ".join((await shown.inner_text(".member summary")).split())
    found = await desk.installation.api.get("/groups?$filter=displayName%20eq%20'Crew'")
    members = await desk.installation.api.get(f"/groups/{found['value'][0]['id']}/members")
    assert [member["displayName"] for member in members["value"]] == ["mate"]

    assert await provision(desk, "nobody") == "Failure"
    assert "EntryNotFound" in await shown.inner_text(".stages > li.bad")
    await shown.set_viewport_size(NARROW)
    assert await desk.screen.faults() == []


async def test_a_preview_from_start_to_file(desk: Desk, administrator: Reader) -> None:
    """It ends before one's eyes; counts lead to the list, the list to its steps; the tenant stays as it was."""
    shown = desk.screen.page
    await desk.domain.create_user("nova", company.PASSWORD)
    gone = (await administrator.search("(&(objectClass=user)(!(objectClass=computer))(mail=*))"))[:2]
    for entry in gone:
        await administrator.modify(f"dn: {entry.dn}\nchangetype: delete\n")
    before = await logged(desk)
    users = await synchronized(desk)

    await desk.screen.open(page(desk, "preview"))
    await shown.get_by_role("button", name="Start preview").click()
    heading = shown.get_by_role("heading", name="What would happen")
    await heading.wait_for()
    assert await desk.screen.faults() == []
    created = shown.get_by_role("row").filter(has_text="Would be created").filter(has_text="User")
    assert "1" in await created.first.inner_text()
    deleted = shown.get_by_role("row").filter(has_text="Would be deleted").filter(has_text="User")
    assert await deleted.first.locator(".count").inner_text() == str(len(gone))

    await deleted.first.get_by_role("link").click()
    await shown.wait_for_url("**action=delete**")
    assert await shown.locator("#changes tbody tr").count() == len(gone)
    async with shown.expect_download() as waiting:
        await shown.get_by_role("link", name="Download CSV").click()
    file = await (await waiting.value).path()
    rows = list(csv.DictReader(file.read_text("utf-8-sig").splitlines()))
    assert [row["action"] for row in rows] == ["delete"] * len(gone)

    await shown.locator("#changes tbody tr").first.dblclick()
    await shown.wait_for_url("**/changes/**")
    assert "Would be deleted" in await shown.inner_text("main")
    assert await desk.screen.faults() == []
    assert await logged(desk) == before
    assert await synchronized(desk) == users

    await shown.go_back()
    await shown.get_by_role("link", name="Forget this preview").click()
    await shown.get_by_role("button", name="Forget it").click()
    await shown.get_by_text("The preview is forgotten.").wait_for()
    assert "There is no preview yet" in await shown.inner_text("main")
