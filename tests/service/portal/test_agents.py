"""The pages of agents: what they show of the API, and what they have done."""

from __future__ import annotations

import re
from html import unescape
from uuid import uuid4

import pytest

from dirbridge.store import agent_errors, agents, log_collections
from dirbridge.store.agent_errors import AgentError
from tests.service.portal.conftest import AGENT, Portal

AT = f"/portal/agents/{AGENT}"


async def report(portal: Portal, **said: object) -> None:
    """Have the agent say how it is."""
    told = {"state": "running", "uptime": 5, "queue": 0, "domains": ["contoso.test"], "clockOffset": 0.5, **said}
    async with portal.entrance.database.transaction() as conn:
        await agents.reported(conn, portal.entrance.tenant, AGENT, address="192.0.2.7", version="1.0", report=told)


async def add(portal: Portal, name: str, *domains: str) -> None:
    """Enrol another agent."""
    await portal.entrance.run(
        """insert into agents (tenant, id, machine_name, version, domains, public_key, certificate, expires_at, address)
           select tenant, %s, %s, version, %s, %s, certificate, expires_at, address from agents where id = %s""",
        [uuid4(), name, list(domains), uuid4().bytes, AGENT],
    )


async def seen(portal: Portal, path: str) -> str:
    answer = await portal.browser.get(path)
    assert answer.status_code == 200, answer.text
    return portal.browser.text.replace(" ,", ",").replace(" :", ":")


async def test_agents_are_filtered_and_paged(portal: Portal) -> None:
    """Revoked ones only where they are asked for; the filter is in the address of the next page."""
    for number in range(60):
        await add(portal, f"edge-{number:02}", "edge.test")
    await portal.entrance.run("update agents set revoked_at = now() where machine_name = 'edge-59'")
    first = await seen(portal, "/portal/agents")
    assert ("dc-near" in first, "edge-48" in first, "edge-49" in first) == (True, True, False)
    (link,) = re.findall(r'href="(/portal/agents\?[^"]*after=[^"]*)"', portal.browser.page)
    second = await seen(portal, unescape(link))
    assert ("edge-58" in second, "edge-59" in second, "dc-near" in second) == (True, False, False)
    assert "dc-near" not in await seen(portal, "/portal/agents?domain=EDGE.test")
    found = await seen(portal, "/portal/agents?name=DGE-5&revoked=1")
    assert ("edge-59" in found, "edge-50" in found, "edge-49" in found) == (True, True, False)
    assert "No agent fits" in await seen(portal, "/portal/agents?name=it's")


async def test_one_agent_with_its_checks_and_errors(portal: Portal) -> None:
    """Each check with what was found, what failed with what to do; what it told of before."""
    trouble = {
        "domain": "contoso.test", "code": "InvalidCredentials", "message": "The password is wrong.",
        "recommendedAction": "Correct it.", "since": None,
    }  # fmt: skip
    await report(portal, troubles=[trouble])
    async with portal.entrance.database.transaction() as conn:
        await agent_errors.add(
            conn, portal.entrance.tenant, AGENT, [AgentError("TimeOut", "No answer.", "Look.", None)]
        )
    shown = await seen(portal, AT)
    assert "Reads contoso.test Not well The password is wrong. Correct it. InvalidCredentials" in shown
    assert "Clock Well 0.5 seconds ahead of the service" in shown
    assert "No answer. Look. TimeOut" in shown
    await portal.entrance.run("update agents set last_heard = now() - interval '1 day'")
    assert "Not known Nobody knows while it is away." in await seen(portal, AT)


async def test_what_an_agent_says_breaks_no_page(portal: Portal) -> None:
    """Whatever it says of update and traces, in whatever form."""
    for odd in (
        {"phase": ["?"], "at": "noon", "message": 5},
        {"phase": "failed", "at": None},
        {"values": {}, "until": 7},
    ):
        await report(portal, update=odd, traces=odd, uptime=1e300)
        for page in ("", "/updates", "/traces", "/revoke"):
            await seen(portal, AT + page)


async def test_a_trace_is_begun_and_ended(portal: Portal) -> None:
    """The page says that it is wanted, then that it is on, and what the host refuses."""
    await seen(portal, f"{AT}/traces")
    assert (await portal.browser.post(f"{AT}/traces/start", minutes="30")).headers["location"] == f"{AT}/traces"
    shown = await seen(portal, f"{AT}/traces")
    assert "A verbose trace of 30 minutes begins" in shown
    assert "Wanted It ends" in shown
    await report(
        portal, traces={"until": "2090-01-01T00:00:00Z", "values": True, "by": "service", "refused": "No <b>."}
    )
    shown = await seen(portal, f"{AT}/traces")
    assert "On It ends 2090-01-01 00:00 UTC, and shows values of attributes." in shown
    assert "No <b>." in shown
    assert "<b>." not in portal.browser.page
    await portal.browser.post(f"{AT}/traces/stop")
    assert "Wanted" not in await seen(portal, f"{AT}/traces")
    for wrong in ("", "-1", "ten", "9999999"):
        assert (await portal.browser.post(f"{AT}/traces/start", minutes=wrong)).status_code == 400
        await portal.browser.get(f"{AT}/traces")
    assert (await portal.browser.post(f"{AT}/traces/start", minutes="5000")).status_code == 400


async def test_logs_are_collected_downloaded_and_removed(portal: Portal) -> None:
    """The file that the agent brings is the one that is handed out; before it is there, that is said."""
    await seen(portal, f"{AT}/traces")
    await portal.browser.post(f"{AT}/collections", hours="6")
    assert "Waiting The agent brings it" in await seen(portal, f"{AT}/traces")
    ((id,),) = await portal.entrance.run("select id from log_collections")
    assert (await portal.browser.get(f"{AT}/collections/{id}/download")).status_code == 409
    async with portal.entrance.database.transaction() as conn:
        for number in range(3):
            await log_collections.insert_part(
                conn, portal.entrance.tenant, AGENT, id, number, b"PK%d" % number * 1000, is_last=number == 2
            )
    assert "Ready Download, 8 KB The last 6 hours" in await seen(portal, f"{AT}/traces")
    answer = await portal.browser.client.get(f"{AT}/collections/{id}/download")
    assert answer.content == b"PK0" * 1000 + b"PK1" * 1000 + b"PK2" * 1000
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["x-content-type-options"] == "nosniff"
    await portal.browser.post(f"{AT}/collections/{id}/remove")
    assert "The file was removed." in await seen(portal, f"{AT}/traces")
    assert (await portal.browser.get(f"{AT}/collections/{id}/download")).status_code == 404


async def test_updates_are_ordered(portal: Portal) -> None:
    """Where there is nothing to do, the page says why; a version is chosen among those that are published."""
    assert "No updater runs beside this agent" in await seen(portal, f"{AT}/updates")
    answer = await portal.browser.post(f"{AT}/updates/now")
    assert (answer.status_code, "UpdaterMissing" in portal.browser.text) == (400, True)
    await report(portal, update={"phase": "waiting", "message": "It waits.", "at": "2026-01-01T00:00:00+00:00"})
    tenant = portal.entrance.tenant
    await portal.entrance.run(
        """with archive as (insert into release_archives (tenant, sha256, length) values (%(tenant)s, 'a', 1))
           insert into releases (tenant, name, sha256, version, python, platform, requires, channel)
           values (%(tenant)s, 'n', 'a', '2.0.0', '3.11', 'linux_x86_64', 1, 'stable')""",
        {"tenant": tenant},
    )
    shown = await seen(portal, f"{AT}/updates")
    assert "Waiting It waits. 2026-01-01 00:00 UTC" in shown
    assert (await portal.browser.post(f"{AT}/updates/now")).status_code == 303
    assert "It is told to update itself now" in await seen(portal, f"{AT}/updates")
    await portal.browser.post(f"{AT}/updates/release", version="2.0.0")
    assert "2.0.0, chosen for it" in await seen(portal, f"{AT}/updates")
    assert (await portal.browser.post(f"{AT}/updates/release", version="9.9.9")).status_code == 400
    await seen(portal, f"{AT}/updates")
    await portal.browser.post(f"{AT}/updates/release", version="")
    assert "Is to have the newest Newest published 2.0.0" in await seen(portal, f"{AT}/updates")


async def test_revoking_says_what_stops(portal: Portal) -> None:
    """In numbers: who else serves each domain, and for how many configurations."""
    assert "Stops contoso.test: no other agent is left, and 1 configuration" in await seen(portal, f"{AT}/revoke")
    await add(portal, "second", "contoso.test")
    await add(portal, "elsewhere", "fabrikam.test")
    assert "Goes on contoso.test: 1 other agent serves 1 configuration." in await seen(portal, f"{AT}/revoke")
    assert (await portal.browser.post(f"{AT}/revoke")).status_code == 303
    assert "The agent on dc-near is shut out." in await seen(portal, AT)
    assert "It was revoked" in await seen(portal, f"{AT}/revoke")


async def test_an_agent_that_arrives_turns_the_page_green(portal: Portal) -> None:
    """Waiting, enrolled, healthy; a code that nobody used leads to another one. The code is on one page only."""
    await seen(portal, "/portal/agents/new")
    await portal.browser.post("/portal/agents/new", domains="contoso.test")
    secret = re.findall(r"dbe1-[\w-]+", portal.browser.page)[0]
    (page,) = set(re.findall(r'sse-connect="(/portal/agents/codes/[^/]+)/live"', portal.browser.page))
    assert "Waiting for an agent for contoso.test" in portal.browser.text
    assert "systemctl start dirbridge-agent dirbridge-agent-updater dirbridge agent check" in portal.browser.text
    assert secret not in (await seen(portal, page)) + portal.browser.page
    code = page.rpartition("/")[2]
    await portal.entrance.run("update enrolment_codes set used_at = now(), used_by = %s where id = %s", [AGENT, code])
    assert "It was enrolled" in await seen(portal, page)
    await report(portal)
    assert "Healthy dc-near is here and well." in await seen(portal, page)
    await portal.entrance.run(
        "update enrolment_codes set used_at = null, used_by = null, expires_at = now() where id = %s", [code]
    )
    assert "Expired Nobody used the code." in await seen(portal, page)
    assert 'href="/portal/agents/new?domains=contoso.test"' in portal.browser.page


@pytest.mark.parametrize("path", ["", "/updates", "/traces", "/revoke"])
async def test_an_agent_that_is_not_there(portal: Portal, path: str) -> None:
    """Is said so, on each of its pages."""
    answer = await portal.browser.get(f"/portal/agents/{uuid4()}{path}")
    assert (answer.status_code, "There is no agent" in portal.browser.text) == (404, True)
