"""Insights show what the API counts, and lead to the events behind it."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from dirbridge.contract.event import Event, Status
from dirbridge.contract.export import Action
from dirbridge.store import events
from tests.service.portal.conftest import Portal
from tests.store.test_events import event

NOW = datetime.now(UTC)


async def write(portal: Portal, *rows: Event, latency: timedelta | None = None) -> None:
    async with portal.entrance.database.transaction() as conn:
        await events.write(conn, portal.entrance.tenant, rows, latency=latency)


@pytest.fixture
async def filled(portal: Portal) -> Portal:
    """Two successes of the portal's job; failures of another, one of them with a code that is hostile text."""
    failed = {"status": Status.FAILURE, "action": Action.UPDATE, "job": "another"}
    await write(portal, event(NOW, job=portal.job), event(NOW, job=portal.job), latency=timedelta(seconds=3))
    await write(
        portal, event(NOW, reason="InvalidCredentials", **failed), event(NOW, reason="<b>Odd&code", **failed),
        event(NOW, reason="RedundantExport", status=Status.SKIPPED, action=Action.OTHER),
    )  # fmt: skip
    return portal


async def test_all_is_summed_up(filled: Portal) -> None:
    """By status and action, in a drawing and in a table; how soon changes came."""
    answer = await filled.browser.get("/portal/insights")
    assert answer.status_code == 200
    for said in ("Failed 2", "Succeeded 2", "Left out 1", "Created 2", "Updated 2", "Nothing to do 1"):
        assert said in filled.browser.text, said
    assert "Of 2 changes, half arrived within 5 seconds and 99 of 100 within 5 seconds." in filled.browser.text
    assert filled.browser.page.count("<rect") >= 6
    assert "<b>Odd" not in filled.browser.page


async def test_causes_lead_to_their_events(filled: Portal) -> None:
    """To the log with the same filter; whatever the code is."""
    await filled.browser.get("/portal/insights?span=24h")
    links = [unescape(found) for found in re.findall(r'href="(/portal/logs\?[^"]*code[^"]*)"', filled.browser.page)]
    asked = [{name: value[0] for name, value in parse_qs(urlsplit(link).query).items()} for link in links]
    assert {"status": "failure", "code": "<b>Odd&code", "span": "all"} in asked
    assert {"status": "skipped", "code": "RedundantExport", "span": "all"} in asked
    for link in links:
        await filled.browser.get(link)
        assert "No event fits" not in filled.browser.text, link


async def test_of_one_configuration(filled: Portal) -> None:
    """By its domain, by its id, or as a page of it."""
    job = quote(filled.job, safe="")
    for path in ("/portal/insights?job=contoso.test", f"/portal/insights?job={job}", f"{filled.address}/insights"):
        answer = await filled.browser.get(path)
        assert answer.status_code == 200
        assert "Succeeded 2" in filled.browser.text
        assert "Failed" not in filled.browser.text.partition("Errors by cause")[0].partition("By day and status")[2]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("span=24h", "By hour and status"),
        ("span=3d", "By hour and action"),
        ("span=90d", "By day and status"),
        ("status=failure", "InvalidCredentials"),
        ("action=delete", "Nothing is in the log for this time and these filters"),
    ],
)
async def test_filters(filled: Portal, query: str, said: str) -> None:
    """Stand in the address, and in the form again."""
    await filled.browser.get(f"/portal/insights?{query}")
    assert said in filled.browser.text
    assert f'value="{query.partition("=")[2]}" selected' in filled.browser.page


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/portal/insights?job=nobody'test", 404, "No configuration has the domain or id “nobody'test”"),
        ("/portal/insights?span=year", 400, "Choose one of the list"),
        ("/portal/insights?status=fine", 400, "Choose one of the list"),
        ("/portal/configurations/none/insights", 404, "This cannot be shown"),
    ],
)
async def test_what_is_not_there_is_said(portal: Portal, path: str, status: int, said: str) -> None:
    """With what to do."""
    assert (await portal.browser.get(path)).status_code == status
    assert said in portal.browser.text


async def test_a_domain_with_several_configurations(portal: Portal) -> None:
    """Lets one choose."""
    await portal.entrance.run(
        """insert into jobs (tenant, id, service_principal, template_id, domain, schema)
           select tenant, 'second', service_principal, template_id, domain, schema from jobs"""
    )
    await portal.browser.get("/portal/insights?job=contoso.test")
    assert "Several configurations read contoso.test" in portal.browser.text
    assert "/portal/insights?job=second&amp;span=7d" in portal.browser.page
