"""People enter the code that a device shows, see who asks for what, and answer."""

import re

import httpx2
import pytest

from dirbridge.service.auth.oauth import device_codes
from dirbridge.service.setup import SIGN_IN_CLIENT
from tests.service.browsers import ADA, Browser, Entrance

SCOPE = "User.Read Synchronization.ReadWrite.All offline_access openid profile"


async def begin(entrance: Entrance) -> dict[str, str]:
    """What a device gets."""
    client = entrance.browser().client
    answer = await client.post(
        "/common/oauth2/v2.0/devicecode", data={"client_id": str(SIGN_IN_CLIENT), "scope": SCOPE}
    )
    found: dict[str, str] = answer.json()
    return found


async def poll(entrance: Entrance, begun: dict[str, str]) -> httpx2.Response:
    form = {
        "grant_type": device_codes.GRANT_TYPE,
        "client_id": str(SIGN_IN_CLIENT),
        "device_code": begun["device_code"],
    }
    return await entrance.browser().client.post("/common/oauth2/v2.0/token", data=form)


async def at_the_page(entrance: Entrance) -> Browser:
    """A browser of Ada's that shows the page."""
    browser = entrance.browser()
    answer = await browser.get("/device")
    assert answer.headers["location"] == "/sign-in?continue=%2Fdevice"
    await browser.sign_in(continue_to="/device")
    await browser.get("/device")
    return browser


async def enter(browser: Browser, user_code: str, **more: str) -> httpx2.Response:
    return await browser.post("/device", user_code=user_code, **more)


async def test_person_approves_a_device(entrance: Entrance) -> None:
    """They see who asks for what, and the device goes on."""
    begun, browser = await begin(entrance), await at_the_page(entrance)
    assert (await enter(browser, begun["user_code"].lower().replace("-", ""))).status_code == 200
    for shown in ("dirbridge command line (sign-in)", "Synchronization.ReadWrite.All", begun["user_code"], ADA):
        assert shown in browser.text
    assert (await poll(entrance, begun)).json()["error"] == "authorization_pending"
    assert "Approved" in (await enter(browser, begun["user_code"], decision="approve")).text
    given = await poll(entrance, begun)
    assert given.status_code == 200, given.text
    trail = await entrance.run("select actor, detail ->> 'application' from audits where activity = 'Approve device'")
    assert trail == [(ADA, "dirbridge command line (sign-in)")]
    assert (await enter(browser, begun["user_code"])).status_code == 403  # the page shows no form any more
    await browser.get("/device")
    assert (await enter(browser, begun["user_code"])).status_code == 400
    assert browser.code == "UserCodeUnknown"


async def test_person_declines_a_device(entrance: Entrance) -> None:
    """The device hears so; an answer that is no approval declines."""
    begun, browser = await begin(entrance), await at_the_page(entrance)
    await enter(browser, begun["user_code"])
    assert "Declined" in (await enter(browser, begun["user_code"], decision="whatever")).text
    assert (await poll(entrance, begun)).json()["error"] == "authorization_declined"


async def test_approval_needs_our_form_and_a_session(entrance: Entrance) -> None:
    """A foreign page's form changes nothing; neither does one after the session's end."""
    begun, browser = await begin(entrance), await at_the_page(entrance)
    form = {"user_code": begun["user_code"], "decision": "approve"}
    assert (await browser.client.post("/device", data={**form, "csrf": "x"})).status_code == 403
    assert (await entrance.browser().client.post("/device", data=form)).status_code == 403
    await entrance.run("delete from sessions")
    assert (await browser.post("/device", **form)).headers["location"] == "/sign-in?continue=%2Fdevice"
    assert (await poll(entrance, begun)).json()["error"] == "authorization_pending"


async def test_guesses_are_bounded(entrance: Entrance) -> None:
    """After a few wrong codes nobody is listened to, right ones and answers included."""
    begun, browser = await begin(entrance), await at_the_page(entrance)
    for _ in range(5):
        assert (await enter(browser, "BBBB-BBBB", decision="approve")).status_code == 400
    answer = await enter(browser, begun["user_code"])
    assert (answer.status_code, browser.code) == (429, "SignInLocked")
    assert int(answer.headers["retry-after"]) > 0
    assert (await enter(browser, begun["user_code"], decision="approve")).status_code == 429
    entrance.later(seconds=31)
    assert (await enter(browser, begun["user_code"])).status_code == 200
    assert await entrance.run("select count(*) from audits where activity = 'Refuse device code'") == [(5,)]


@pytest.mark.parametrize("typed", ["", "<b>x</b>", "é" * 40, "BCDF-GHJK\0"])
async def test_what_is_no_code_is_told_so(entrance: Entrance, typed: str) -> None:
    """And becomes no markup."""
    browser = await at_the_page(entrance)
    assert (await enter(browser, typed)).status_code == 400
    assert "<b>x</b>" not in browser.page


async def test_application_that_was_disabled_meanwhile_is_not_approved(entrance: Entrance) -> None:
    """Its name may have been why."""
    begun, browser = await begin(entrance), await at_the_page(entrance)
    await entrance.run("update service_principals set is_enabled = false")
    assert (await enter(browser, begun["user_code"])).status_code == 400


async def test_name_of_an_application_is_no_markup(entrance: Entrance) -> None:
    """Whoever registers one chooses it."""
    begun, browser = await begin(entrance), await at_the_page(entrance)
    await entrance.run("update service_principals set display_name = '<script>x</script>'")
    await enter(browser, begun["user_code"])
    assert not re.search("<script", browser.page)
    assert "&lt;script&gt;" in browser.page
