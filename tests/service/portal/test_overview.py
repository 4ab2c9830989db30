"""The first page: what needs somebody and where it is mended, all jobs in pages, the last day."""

from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from dirbridge.contract.event import Status
from dirbridge.service.portal import live
from dirbridge.store import events, links
from dirbridge.store.links import Link
from tests.service.browsers import Entrance
from tests.service.portal.conftest import AGENT, Portal
from tests.store.test_events import event

NOW = datetime.now(UTC)
QUARANTINE = {
    "reason": "EncounteredQuarantineException",
    "error": {"code": "InvalidCredentials", "message": "No <entry>."},
    "currentBegan": "2026-01-02T03:04:05Z",
    "nextAttempt": "2026-01-02T04:04:05Z",
}
ERRORS = {"state": "EntryLevelErrors", "countEscrowed": 1200, "timeEnded": "2026-01-02T03:04:05Z"}
FAILED = {"state": "Failed", "error": {"message": "The directory is away."}}


@pytest.mark.parametrize(
    ("columns", "said", "rest"),
    [
        ({"quarantine": QUARANTINE}, "contoso.test: No <entry>.", "#quarantine"),
        (
            {"quarantine": {**QUARANTINE, "reason": "TooManyDeletes"}},
            "Decide on its deletes",
            "/deletes",
        ),
        (
            {"steady_first": NOW, "successive_failures": 3, "last_execution": FAILED},
            "The last 3 cycles failed. The directory is away.",
            "",
        ),
    ],
)
async def test_what_a_job_needs(portal: Portal, columns: dict[str, Any], said: str, rest: str) -> None:
    """In a sentence, with a link to where it is mended."""
    await portal.set_job(state="Active", **columns)
    await portal.browser.get("/portal")
    text = portal.browser.text.replace(" :", ":")
    assert said in text
    assert f'href="{portal.address}{rest}"' in unescape(portal.browser.page)
    assert "<entry>" not in portal.browser.page


async def test_entries_that_failed_lead_to_the_log(portal: Portal) -> None:
    """Of that job."""
    await portal.set_job(state="Active", steady_first=NOW, last_execution=ERRORS)
    await portal.browser.get("/portal")
    assert "1,200 objects were set aside" in portal.browser.text
    where = f"/portal/logs?job={quote(portal.job, safe='')}&status=failure&span=all"
    assert where in unescape(portal.browser.page)


async def test_without_an_agent_one_is_to_be_added(portal: Portal) -> None:
    """Nobody reads the directory otherwise."""
    await portal.entrance.run("update agents set revoked_at = now()")
    await portal.set_job(state="Active")
    await portal.browser.get("/portal")
    assert "No agent reads this directory." in portal.browser.text
    assert 'href="/portal/agents/new"' in portal.browser.page


async def test_an_agent_that_is_silent(portal: Portal) -> None:
    """With its reason, and a link to its page."""
    await portal.browser.get("/portal")
    assert f'href="/portal/agents/{AGENT}"' in portal.browser.page
    assert "Inactive dc-near" in portal.browser.text


async def test_nothing_is_set_up_yet(entrance: Entrance) -> None:
    """Says what comes first."""
    browser = entrance.browser()
    await browser.sign_in("ada@contoso.test")
    await browser.get("/portal")
    assert "Nothing is set up yet. Add an agent" in browser.text
    assert "Nothing changed in the last 24 hours." in browser.text


async def test_what_is_in_sync_and_what_happened(portal: Portal) -> None:
    """Of all jobs; the last day as a chart with the numbers in a table."""
    async with portal.entrance.database.transaction() as conn:
        rows = [Link(n, "user", "", None, None, "provisioned", "", None, "User") for n in "abc"]
        await links.put(conn, portal.entrance.tenant, portal.job, rows)
        await events.write(
            conn,
            portal.entrance.tenant,
            [event(NOW), event(NOW, status=Status.FAILURE), event(NOW - timedelta(days=3))],
        )
    await portal.browser.get("/portal")
    assert "Users 3" in portal.browser.text
    for said in ("Failed 1", "Succeeded 1", "Events of the last 24 hours by hour"):
        assert said in portal.browser.text


async def test_many_jobs_come_in_pages(portal: Portal) -> None:
    """The worst first; what needs somebody is bounded and says how many more there are."""
    await portal.entrance.run(
        """insert into jobs (tenant, id, service_principal, template_id, domain, schema, state, quarantine)
           select tenant, 'job' || n, service_principal, template_id, 'd' || n || '.test', schema, 'Active',
             case when n <= 15 then '{"reason": "Unknown"}'::jsonb end
           from jobs, generate_series(10, 49) n"""
    )
    await portal.entrance.run("update jobs set quarantine = '{\"reason\": \"Unknown\"}' where id < 'job25'")
    seen: list[str] = []
    path = "/portal"
    while path:
        await portal.browser.get(path)
        section = portal.browser.page.partition('<section sse-swap="jobs"')[2].partition("</section>")[0]
        seen += [part.partition('"')[0] for part in section.split('scope="row"><a href="/portal/configurations/')[1:]]
        path = unescape(section.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0])
        path = path if 'rel="next"' in section else ""
        assert "more configurations" in portal.browser.text
    assert len(seen) == len(set(seen)) == 41
    assert 'sse-connect="/portal/live?after=' in portal.browser.page


async def test_the_open_page_follows(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every section of it is sent."""
    monkeypatch.setattr(live, "LONGEST", live.EVERY)
    text = (await portal.browser.get("/portal/live")).text
    for name in ("attention", "totals", "standing", "activity", "jobs", "agents"):
        assert f"event: {name}\ndata: <h2>" in text, name
    assert "contoso.test" in text
