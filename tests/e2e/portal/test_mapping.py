"""The attribute mapping in a browser: an expression written against a real user, saved, and in the tenant."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.async_api import expect

from tests.e2e.harness import until
from tests.e2e.portal.desks import Desk

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.timeout(300)]

EXPRESSION = 'Join(", ", ToUpper([sn]), [givenName])'


async def _somebody(desk: Desk) -> dict[str, Any]:
    """Give a user with both names."""
    query = "$filter=onPremisesSyncEnabled eq true&$top=50&$select=id,userPrincipalName,givenName,surname,displayName"
    users = (await desk.installation.api.get(f"/users?{query}"))["value"]
    found: dict[str, Any] = next(user for user in users if user["givenName"] and user["surname"])
    return found


async def test_an_expression_on_a_real_user_reaches_the_tenant(desk: Desk) -> None:
    """Its fault is underlined where it stands, its result is that user's, and once saved it is everybody's name."""
    page, user = desk.screen.page, await _somebody(desk)
    wanted = f"{user['surname'].upper()}, {user['givenName']}"
    await desk.screen.open(f"/portal/configurations/{desk.job}/mapping")
    assert await desk.screen.faults() == []
    await page.fill("#q", "displayname")
    await expect(page.locator("#rows")).to_contain_text("with “displayname”")
    await page.get_by_role("link", name="DisplayName", exact=True).click()
    await page.fill("#expression", EXPRESSION.replace("ToUpper", "Toupper"))
    await expect(page.locator("#result")).to_contain_text("'Toupper' is no function")
    assert await page.text_content(".echo mark") == "Toupper"
    assert await desk.screen.faults() == []
    await page.fill("#name", user["userPrincipalName"])
    await page.get_by_role("button", name="Read", exact=True).click()
    await expect(page.locator("#values")).to_contain_text("Read now: CN=")
    await page.fill("#expression", EXPRESSION)
    await expect(page.locator("#result .outcome")).to_have_text(wanted)
    assert await page.locator(".echo mark").count() == 0
    assert await desk.screen.faults() == []
    await page.get_by_role("button", name="Apply", exact=True).click()
    await expect(page.locator(".draft")).to_contain_text("1 change is not saved yet.")
    await page.reload()
    await page.get_by_role("link", name="Review and save").click()
    await expect(page.locator("main")).to_contain_text("re-evaluates")
    assert await desk.screen.faults() == []
    await page.get_by_role("button", name="Save schema").click()
    await expect(page.locator("#notices")).to_contain_text("The schema is saved. The next cycle begins now")

    async def renamed() -> bool | None:
        found = await desk.installation.api.get(f"/users/{user['id']}?$select=displayName")
        return True if found["displayName"] == wanted else None

    await until(renamed, "the new display name", 60)


async def test_functions_and_attributes_go_in_by_keyboard(desk: Desk) -> None:
    """They are found by a word, go in where the caret is, and the result follows; values that are typed count."""
    page = desk.screen.page
    await desk.screen.open(f"/portal/configurations/{desk.job}/expression")
    await page.fill("#function-filter", "upper")
    insert = page.get_by_role("button", name="Insert ToUpper")
    await expect(insert).to_be_visible()
    await insert.press("Enter")
    assert await page.input_value("#expression") == "ToUpper()"
    await page.fill("#value-filter", "department")
    await page.fill("[name='value.department']", "sales")
    await page.get_by_role("button", name="Insert department", exact=True).press("Enter")
    assert await page.input_value("#expression") == "ToUpper([department])"
    await expect(page.locator("#result .outcome")).to_have_text("SALES")
    await page.fill("[name='value.department']", "<b>ops</b>")
    await expect(page.locator("#result .outcome")).to_have_text("<B>OPS</B>")
    await page.fill("#name", "nobody-of-this-name")
    await page.press("#name", "Enter")
    await expect(page.locator("#values")).to_contain_text("is not to be found")
    assert await desk.screen.faults() == []


async def test_the_schema_goes_out_and_comes_back(desk: Desk) -> None:
    """Downloaded, broken, refused by the path; mended, reviewed, saved."""
    page = desk.screen.page
    await desk.screen.open(f"/portal/configurations/{desk.job}/schema")
    async with page.expect_download() as waiting:
        await page.get_by_role("link", name="Download").click()
    file = desk.place / "schema.json"
    await (await waiting.value).save_as(file)
    document = json.loads(file.read_text())
    mapping = document["synchronizationRules"][0]["objectMappings"][3]
    mapping["flowTypes"] = "Sometimes"
    file.write_text(json.dumps(document))
    await page.set_input_files("#file", file)
    await page.get_by_role("button", name="Check and review").click()
    await expect(page.locator(".defects")).to_contain_text("synchronizationRules[0].objectMappings[3].flowTypes")
    assert await desk.screen.axe() == []
    mapping["flowTypes"] = "Add,Update"
    file.write_text(json.dumps(document))
    desk.screen.complaints.clear()
    await page.set_input_files("#file", file)
    await page.get_by_role("button", name="Check and review").click()
    await expect(page.locator(".differences tbody tr")).to_have_count(1)
    assert await desk.screen.faults() == []
    await page.get_by_role("button", name="Save schema").click()
    await expect(page.locator("#notices")).to_contain_text("The schema is saved.")
