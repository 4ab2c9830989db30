"""No page lets anything in: a strict policy, forms of ours only, nobody who is not signed in or may not."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

import pytest

from tests.service.browsers import ADA, Entrance
from tests.service.portal import walk
from tests.service.portal.conftest import AGENT, Portal

STRICT = {
    "default-src": "'none'",
    "script-src": "'self'",
    "connect-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}


def _known(portal: Portal) -> dict[str, str]:
    return {"agents": str(AGENT), "configurations": portal.job, "act": "start"}


def _cookies(portal: Portal) -> dict[str, str]:
    return dict(portal.browser.client.cookies)


async def _audits(entrance: Entrance, actor: str = ADA) -> list[tuple[str]]:
    """What somebody did, besides coming in."""
    return await entrance.run("select activity from audits where actor = %s and activity <> 'Sign in'", [actor])


def _policy(headers: Mapping[str, str]) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in headers.get("content-security-policy", "").split(";"))
    return {name: value for name, _, value in parts}


async def test_the_walk_meets_what_is_there(portal: Portal) -> None:
    """Or the tests below would say nothing."""
    application = portal.entrance.application
    assert {"/portal", "/portal/agents/{agent}", "/portal/logs"} <= set(walk.routes(application, "GET"))
    assert "/portal/agents/{agent}/revoke" in walk.routes(application, "POST")
    odd = walk.read('<p onclick="x">a<script>b</script><a href="javascript:c">d</a><form method="post"></form>')
    assert len(odd.faults) == 5


async def test_every_page_is_kept_to_itself(portal: Portal) -> None:
    """It runs scripts of ours only, is framed by nobody, kept by nobody, and has nothing inline; so is a refusal."""
    application, cookies = portal.entrance.application, _cookies(portal)
    paths = [walk.filled(path, known) for path in walk.routes(application, "GET") for known in (_known(portal), {})]
    before = await _audits(portal.entrance)
    pages = 0
    for path in dict.fromkeys(paths):
        answer = await walk.ask(application, "GET", path, cookies)
        assert answer.status < 500, f"{path}: {answer.text[:500]}"
        if 300 <= answer.status < 400:
            assert answer.headers["location"].startswith("/portal"), path
            continue
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "no-store" in answer.headers["cache-control"], path
        if not answer.is_page:
            continue
        assert _policy(answer.headers) == STRICT, path
        assert answer.headers["x-frame-options"] == "DENY", path
        assert answer.headers["referrer-policy"] == "same-origin", path
        assert walk.read(answer.text).faults == [], path
        pages += 1
    assert pages > 5
    assert await _audits(portal.entrance) == before, "looking at pages changed something"


async def test_nobody_sees_a_page_who_is_not_signed_in(entrance: Entrance) -> None:
    """Neither a page nor a stream nor a download; nor does anybody act."""
    for method in ("GET", "POST"):
        for path in walk.routes(entrance.application, method):
            answer = await walk.ask(entrance.application, method, walk.filled(path, {}), {}, {"a": "b"})
            assert answer.status == 303, f"{method} {path}: {answer.status}"
            assert answer.headers["location"].startswith("/sign-in?continue="), path


@pytest.mark.parametrize("token", ["", "made-up", "of another session"])
async def test_a_form_of_a_foreign_page_does_nothing(portal: Portal, token: str) -> None:
    """Whatever it posts to, with whatever it can know."""
    application, cookies = portal.entrance.application, _cookies(portal)
    if token == "of another session":
        other = portal.entrance.browser()
        await other.sign_in()
        await other.get("/portal/agents/new")
        assert other.csrf not in {"", portal.browser.csrf}
        token = other.csrf
    before = await _audits(portal.entrance)
    for path in walk.routes(application, "POST"):
        answer = await walk.ask(
            application, "POST", walk.filled(path, _known(portal)), cookies, {"csrf": token, "domains": "contoso.test"}
        )
        assert answer.status == 403, f"{path}: {answer.status}"
        assert "FormExpired" in answer.text, path
    assert await _audits(portal.entrance) == before


async def test_who_may_only_read_changes_nothing(portal: Portal) -> None:
    """By the form of any page, with a token of their own: the API refuses, and the page says so."""
    reader = await portal.as_role("Global Reader")
    await reader.get("/portal/agents/new")
    application, cookies = portal.entrance.application, dict(reader.client.cookies)
    refused = 0
    for path in walk.routes(application, "POST"):
        answer = await walk.ask(
            application, "POST", walk.filled(path, _known(portal)), cookies, {"csrf": reader.csrf, "all": "1"}
        )
        assert answer.status < 500, f"{path}: {answer.text[:500]}"
        refused += answer.status == 403
    assert refused >= 3
    assert await _audits(portal.entrance, "bob@contoso.test") == []


async def test_who_has_no_role_sees_nothing_of_the_tenant(portal: Portal) -> None:
    """Each page says which roles it takes."""
    await portal.entrance.run("update agents set machine_name = 'hidden-from-them'")
    other = await portal.as_role("Groups Administrator")
    application, cookies = portal.entrance.application, dict(other.client.cookies)
    for path in ("/portal/agents", f"/portal/agents/{AGENT}", "/portal/agents/live"):
        answer = await walk.ask(application, "GET", path, cookies)
        assert "hidden-from-them" not in answer.text, path
        assert answer.status == 403 or path.endswith("/live"), path


async def test_the_session_that_was_ended_is_no_good(portal: Portal) -> None:
    """From the next request on, on every page."""
    application, cookies = portal.entrance.application, _cookies(portal)
    assert (await walk.ask(application, "GET", "/portal/agents", cookies)).status == 200
    await portal.entrance.run("delete from sessions where administrator is distinct from %s", [UUID(int=0)])
    for path in walk.routes(application, "GET"):
        answer = await walk.ask(application, "GET", walk.filled(path, _known(portal)), cookies)
        assert (answer.status, answer.headers["location"][:9]) == (303, "/sign-in?"), path
