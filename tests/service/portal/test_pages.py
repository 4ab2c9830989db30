"""Pages show what the API shows, to whom the API shows it, and do nothing that it would refuse."""

from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.requests import Request

from dirbridge.service.graph import throttling
from dirbridge.service.graph.throttling import Throttle
from dirbridge.service.portal import rendering
from dirbridge.service.settings import Settings
from tests.service import registered
from tests.service.browsers import Entrance
from tests.service.conftest import BASE_URL
from tests.service.portal.conftest import AGENT, Portal

PAGES = ("/portal", "/portal/agents", "/portal/agents/new", "/portal/configurations", "/portal/logs")


@pytest.mark.parametrize("path", PAGES)
async def test_who_is_not_signed_in_is_sent_to_sign_in(entrance: Entrance, path: str) -> None:
    """And comes back to the page afterwards."""
    answer = await entrance.browser().get(f"{path}?a=b")
    assert answer.status_code == 303
    place = urlsplit(answer.headers["location"])
    assert (place.path, parse_qs(place.query)["continue"]) == ("/sign-in", [f"{path}?a=b"])


async def test_a_piece_of_a_page_leads_the_whole_page_to_sign_in(entrance: Entrance) -> None:
    """Where the session has ended behind the page's back."""
    here = f"{BASE_URL}/portal/agents"
    browser = entrance.browser(**{"HX-Request": "true", "HX-Current-URL": here})
    answer = await browser.get("/portal/agents")
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (401, "/sign-in?continue=%2Fportal%2Fagents")


@pytest.mark.parametrize("path", PAGES)
async def test_pages_let_only_our_own_scripts_run(portal: Portal, path: str) -> None:
    """The policy forbids what is inline, and the page has none."""
    answer = await portal.browser.get(path)
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert "style=" not in answer.text
    assert "onclick" not in answer.text


async def test_the_overview_says_what_needs_somebody(portal: Portal) -> None:
    """A quarantine with its message, an agent that is silent."""
    quarantine = {
        "reason": "EncounteredQuarantineException", "error": {"code": "InvalidCredentials", "message": "No <entry>."},
        "currentBegan": "2026-01-02T03:04:05Z", "nextAttempt": "2026-01-02T04:04:05Z",
        "seriesBegan": "2026-01-02T03:04:05Z", "seriesCount": 2,
        "recommendedAction": "Correct the password.", "counts": {},
    }  # fmt: skip
    await portal.set_job(state="Active", quarantine=quarantine)
    await portal.browser.get("/portal")
    assert "Quarantine contoso.test : No <entry>." in portal.browser.text.replace(" :", " :")
    assert "<entry>" not in portal.browser.page
    assert "Inactive dc-near" in portal.browser.text
    await portal.browser.get(portal.address)
    for said in ("InvalidCredentials", "Correct the password.", "2026-01-02 03:04 UTC", "Clear quarantine"):
        assert said in portal.browser.text


async def test_a_quarantine_is_cleared(portal: Portal) -> None:
    """By the API's own act, with its audit under the person's name."""
    await portal.impose_quarantine()
    await portal.browser.get(portal.address)
    assert "for a look" in portal.browser.text
    answer = await portal.browser.post(f"{portal.address}/act/clear")
    assert answer.headers["location"] == portal.address
    await portal.browser.get(answer.headers["location"])
    assert "The quarantine is being cleared" in portal.browser.text
    assert await portal.entrance.run("select quarantine from jobs where id = %s", [portal.job]) == [(None,)]
    acts = await portal.entrance.run("select actor from audits where activity = 'Clear quarantine'")
    assert acts == [("ada@contoso.test",)]


async def test_a_form_of_another_page_does_nothing(portal: Portal) -> None:
    """Without the token of this browser's own pages."""
    await portal.set_job(state="Active")
    answer = await portal.browser.client.post(f"{portal.address}/act/pause", data={"csrf": "made-up"})
    assert answer.status_code in {400, 403}
    assert await portal.entrance.run("select state from jobs where id = %s", [portal.job]) == [("Active",)]


async def test_who_may_only_read_does_nothing(portal: Portal) -> None:
    """The API refuses, and the page says which role is missing."""
    await portal.set_job(state="Active")
    other = await portal.as_role("Global Reader")
    assert (await other.get(portal.address)).status_code == 200
    assert (await other.post(f"{portal.address}/act/pause")).status_code == 403
    assert "needs one of these roles" in other.text
    assert await portal.entrance.run("select state from jobs where id = %s", [portal.job]) == [("Active",)]


async def test_a_job_is_enabled_paused_and_restarted(portal: Portal) -> None:
    """Restart says how many objects it concerns, and clears what was chosen."""
    await portal.browser.get(portal.address)
    await portal.browser.post(f"{portal.address}/act/start")
    assert await portal.entrance.run("select state from jobs where id = %s", [portal.job]) == [("Active",)]
    await portal.browser.get(f"{portal.address}/restart")
    assert "re-evaluates 0 objects" in portal.browser.text
    assert (await portal.browser.post(f"{portal.address}/act/restart")).status_code == 400
    await portal.browser.get(f"{portal.address}/restart")
    assert (await portal.browser.post(f"{portal.address}/act/restart", escrows="1", watermark="1")).status_code == 303
    audit = await portal.entrance.run(
        "select detail ->> 'resetScope' from audits where activity like '%%restart%%' order by at desc limit 1"
    )
    assert audit == [("Escrows, Watermark",)]
    await portal.browser.get(portal.address)
    await portal.browser.post(f"{portal.address}/act/pause")
    assert await portal.entrance.run("select state from jobs where id = %s", [portal.job]) == [("Paused",)]


async def test_an_agent_is_added_and_another_shut_out(portal: Portal) -> None:
    """The code is shown once; a name that is none is refused where it was typed."""
    await portal.browser.get("/portal/agents/new")
    await portal.browser.post("/portal/agents/new", domains="not a domain!")
    assert "is not the DNS name of a directory" in unescape(portal.browser.page)
    await portal.browser.post("/portal/agents/new", domains="contoso.test, corp.contoso.test")
    assert "dirbridge agent enrol --service https://dirbridge.example:8443 --code dbe1-" in portal.browser.text
    await portal.browser.get(f"/portal/agents/{AGENT}")
    assert "192.0.2.7" in portal.browser.text
    assert (await portal.browser.post(f"/portal/agents/{AGENT}/revoke")).status_code == 303
    await portal.browser.get(f"/portal/agents/{AGENT}")
    assert "Revoked" in portal.browser.text
    assert "Revoke this agent" not in portal.browser.text


@pytest.mark.parametrize("path", ["/portal/agents/none", "/portal/configurations/none", "/portal/logs/none"])
async def test_what_is_not_there_is_said(portal: Portal, path: str) -> None:
    """In the frame of the portal, with the code."""
    answer = await portal.browser.get(path)
    assert answer.status_code in {400, 404}
    assert "This cannot be shown" in portal.browser.text


async def test_nobody_from_outside_is_taken_for_the_portal(entrance: Entrance) -> None:
    """What the portal carries in its scope has no counterpart among headers."""
    client = entrance.browser().client
    answer = await client.get("/beta/dirbridge/jobs", headers={"dirbridge.caller": "x", "X-Dirbridge-Caller": "x"})
    assert answer.status_code == 401


async def test_the_portal_is_not_throttled(portal: Portal) -> None:
    """Pages ask for several people at once, and renew themselves; an application that asks as often waits."""
    settings = Settings(throttle_reports=1)
    portal.entrance.application.state.throttle = Throttle(throttling.limits(settings), lambda: 0.0)
    for _ in range(3):
        assert (await portal.browser.get("/portal/logs")).status_code == 200
        assert "429" not in portal.browser.text
    headers = registered.bearer(portal.entrance.application.state.tokens, "AuditLog.Read.All")
    answers = [await portal.browser.client.get("/v1.0/auditLogs/provisioning", headers=headers) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 429, 429]


async def test_a_long_notice_fits_into_a_cookie(portal: Portal) -> None:
    """Whatever letters it has; browsers drop what is larger, and the notice with it."""
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": []})
    answer = rendering.done(request, "Ж🐘" * 3000, "/portal")
    assert len(answer.headers["set-cookie"].partition(";")[0]) < 4096
    carried = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
    shown = await portal.browser.get("/portal", headers={"Cookie": f"{_session(portal)}; {rendering.NOTICE}={carried}"})
    assert "Ж🐘Ж🐘" in shown.text


def _session(portal: Portal) -> str:
    return "; ".join(f"{name}={value}" for name, value in portal.browser.client.cookies.items())
