"""Limits, interval and who is told: changed by form, what the API refuses at its field, others' changes kept."""

import json
import re
from html import unescape
from typing import Any

import pytest

from dirbridge.service.portal.configurations.properties import SETTINGS
from tests.service import registered
from tests.service.portal.conftest import Portal


def fields(portal: Portal, action: str) -> dict[str, str]:
    """Fill in the form of the page that is shown as a browser does."""
    form = portal.browser.page.split(f'{action}">', 1)[1].split("</form>")[0]
    found: dict[str, str] = {}
    for tag in re.findall(r"<input [^>]*>", form):
        name, value = (re.search(rf' {each}="([^"]*)"', tag) for each in ("name", "value"))
        assert name, tag
        assert value, tag
        if 'type="checkbox"' not in tag or " checked" in tag:
            found[name[1]] = unescape(value[1])
    chosen = re.search(r'<option value="(\w+)" selected', form)
    return found | ({"unit": chosen[1]} if chosen else {})


async def opened(portal: Portal, action: str) -> dict[str, str]:
    """Open the page; gives the form with that action."""
    assert (await portal.browser.get(f"{portal.address}/properties")).status_code == 200
    return fields(portal, action)


async def save(portal: Portal, action: str, form: dict[str, str]) -> int:
    """Send a form, and look at what comes then."""
    answer = await portal.browser.client.post(f"{portal.address}/properties/{action}", data=form)
    portal.browser.page = answer.text
    if answer.status_code == 303:
        await portal.browser.get(answer.headers["location"])
    return answer.status_code


async def stored(portal: Portal) -> dict[str, Any]:
    """The job's settings."""
    ((found,),) = await portal.entrance.run("select settings from jobs where id = %s", [portal.job])
    return dict(found)


async def secrets(portal: Portal, put: dict[str, str] | None = None) -> dict[str, str]:
    """The configuration's secrets as the API shows them; replaced first where others are given."""
    headers = registered.bearer(
        portal.entrance.application.state.tokens, "Synchronization.ReadWrite.All", "Application.Read.All"
    )
    client = portal.browser.client
    ((principal,),) = await portal.entrance.run("select service_principal from jobs where id = %s", [portal.job])
    where = f"/v1.0/servicePrincipals/{principal}/synchronization/secrets"
    if put is not None:
        body = {"value": [{"key": key, "value": value} for key, value in put.items()]}
        answer = await client.put(where, json=body, headers=headers)
        assert answer.status_code == 204, answer.text
    return {each["key"]: each["value"] for each in (await client.get(where, headers=headers)).json()["value"]}


async def test_only_what_changes_is_changed(portal: Portal) -> None:
    """Under the person's name; what is not set keeps its default."""
    form = await opened(portal, "limits")
    form |= {"every": "10", "unit": "M", "DeleteThresholdValue": "1,200", "SkipOutOfScopeDeletions": "True"}
    assert await save(portal, "limits", form) == 303
    assert "Saved." in portal.browser.text
    kept = {name: value for name, value in (await stored(portal)).items() if name in SETTINGS}
    assert kept == {"DeleteThresholdValue": "1200", "SkipOutOfScopeDeletions": "True"}
    assert await portal.entrance.run("select extract(epoch from interval)::int from jobs") == [(600,)]
    acts = await portal.entrance.run("select actor from audits where activity = 'Update provisioning configuration'")
    assert acts == [("ada@contoso.test",)] * 2


async def test_nothing_changed_leaves_no_trace(portal: Portal) -> None:
    """Neither in the job nor in the trail; a day is shown as 24 hours and stays a day."""
    await portal.entrance.run("update jobs set interval = '1 day'")
    form = await opened(portal, "limits")
    assert (form["every"], form["unit"]) == ("24", "H")
    assert await save(portal, "limits", form) == 303
    assert await portal.entrance.run("select count(*) from audits where activity like 'Update%%'") == [(0,)]


async def test_what_is_wrong_is_said_at_its_field(portal: Portal) -> None:
    """With what was typed still there, and nothing saved."""
    form = await opened(portal, "limits")
    form |= {"DeleteThresholdValue": "many", "QuarantineFailureShare": "7"}
    assert await save(portal, "limits", form) == 400
    page = unescape(portal.browser.page)
    assert "DeleteThresholdValue expects a whole number from 1 to 1000000000; found 'many'.</p>" in page
    assert 'id="fault-DeleteThresholdValue"' in page
    assert 'id="fault-QuarantineFailureShare"' in page
    assert 'value="many"' in page
    assert "DeleteThresholdValue" not in await stored(portal)
    form = await opened(portal, "limits")
    assert await save(portal, "limits", form | {"every": "40", "unit": "H"}) == 400
    assert 'id="fault-every"' in portal.browser.page


async def test_two_who_change_at_once(portal: Portal) -> None:
    """Different fields both hold; the same field is not overwritten unseen."""
    mine = await opened(portal, "limits")
    theirs = dict(mine)
    assert await save(portal, "limits", theirs | {"MemberThresholdValue": "20"}) == 303
    assert await save(portal, "limits", mine | {"DeleteThresholdValue": "30"}) == 303
    assert await save(portal, "limits", mine | {"MemberThresholdValue": "99"}) == 409
    assert "Somebody else changed these settings meanwhile" in portal.browser.text
    found = await stored(portal)
    assert (found["MemberThresholdValue"], found["DeleteThresholdValue"]) == ("20", "30")


async def test_who_is_told_changes_nothing_else(portal: Portal) -> None:
    """Other secrets stay, and so do limits that the job got after the secrets said others."""
    wish = {"Enabled": False, "DeleteThresholdEnabled": True, "DeleteThresholdValue": 70}
    await secrets(portal, {"SyncNotificationSettings": json.dumps(wish), "UserName": "svc", "Password": "hidden"})
    form = await opened(portal, "limits")
    assert form["DeleteThresholdValue"] == "70"
    assert await save(portal, "limits", form | {"DeleteThresholdValue": "80"}) == 303
    form = await opened(portal, "notifications")
    form |= {"notify": "True", "recipients": "ops@contoso.test", "url": "https://hooks.contoso.test/x"}
    assert await save(portal, "notifications", form | {"secret": "0123456789abcdef" * 4}) == 303
    found = await secrets(portal)
    assert set(found) == {"SyncNotificationSettings", "UserName", "Password", "WebhookUrl", "WebhookSecret"}
    wish |= {"Enabled": True, "Recipients": "ops@contoso.test", "DeleteThresholdValue": 80}
    assert json.loads(found["SyncNotificationSettings"]) == wish
    assert (await stored(portal))["DeleteThresholdValue"] == "80"
    form = await opened(portal, "notifications")
    assert "One is stored" in portal.browser.text
    assert await save(portal, "notifications", form | {"url": ""}) == 303
    assert "WebhookSecret" not in await secrets(portal)


@pytest.mark.parametrize(
    ("typed", "at"),
    [
        ({"notify": "True"}, "recipients"),
        ({"recipients": "nobody"}, "recipients"),
        ({"url": "http://hooks.contoso.test", "secret": "0123456789abcdef" * 4}, "url"),
        ({"url": "https://hooks.contoso.test"}, "secret"),
    ],
)
async def test_what_is_wrong_with_who_is_told(portal: Portal, typed: dict[str, str], at: str) -> None:
    """Stands at the field, and nothing is saved."""
    form = await opened(portal, "notifications")
    assert await save(portal, "notifications", form | typed) == 400
    assert f'id="fault-{at}"' in portal.browser.page
    assert await secrets(portal) == {}


async def test_who_is_told_by_two_at_once(portal: Portal) -> None:
    """The second sees what the first made of it."""
    form = await opened(portal, "notifications")
    assert await save(portal, "notifications", form | {"recipients": "one@contoso.test"}) == 303
    assert await save(portal, "notifications", form | {"recipients": "two@contoso.test"}) == 409
    assert 'value="one@contoso.test"' in portal.browser.page


async def test_who_may_only_read_sees_limits_and_changes_none(portal: Portal) -> None:
    """Who is told is not shown to them: the API does not either."""
    form = await opened(portal, "limits")
    other = await portal.as_role("Global Reader")
    await other.get(f"{portal.address}/properties")
    assert "Accidental deletion threshold" in other.text
    assert "needs one of these roles" in other.text
    portal.browser = other
    assert await save(portal, "limits", form | {"csrf": other.csrf, "DeleteThresholdValue": "1"}) == 403
    assert "DeleteThresholdValue" not in await stored(portal)
