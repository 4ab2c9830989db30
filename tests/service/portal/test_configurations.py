"""The list of configurations, one of them, and what is done with it."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from dirbridge.store import due, links
from dirbridge.store.due import Due
from dirbridge.store.links import Link
from tests.service.portal.conftest import Portal

NOW = datetime.now(UTC)
HOSTILE = "<img src=x>"


def held(reason: str, **more: object) -> dict[str, object]:
    """A quarantine as cycles store it."""
    return {
        "reason": reason, "error": {"code": "InvalidCredentials", "message": f"Nobody signs in as {HOSTILE}. Mend it."},
        "currentBegan": "2026-01-02T03:04:05Z", "nextAttempt": "2026-01-02T04:04:05Z",
        "seriesBegan": "2026-01-01T03:04:05Z", "seriesCount": 3, "recommendedAction": "Mend it.",
        "counts": {"failedCycles": 4, "escrowed": 0},
    } | more  # fmt: skip


async def copies(portal: Portal, number: int) -> None:
    """More jobs like the portal's, whose domains sort behind its own."""
    columns = "service_principal, template_id, schema, settings, interval, state"
    await portal.entrance.run(
        f"""insert into jobs (tenant, id, domain, {columns})
            select tenant, id || '.' || n, 'z' || lpad(n::text, 3, '0') || '.test', {columns}
            from jobs, generate_series(1, %s) as n""",
        [number],
    )


async def fail(portal: Portal, number: int) -> None:
    """Let users fail."""
    anchors = [f"anchor-{each:03}" for each in range(number)]
    async with portal.entrance.database.transaction() as conn:
        tenant = portal.entrance.tenant
        rows = [Link(each, "user", f"{HOSTILE} {each}", None, None, "failed", "", None) for each in anchors]
        await links.put(conn, tenant, portal.job, rows)
        later = NOW + timedelta(hours=6)
        await due.put(conn, tenant, portal.job, [Due(each, "InvalidValue", later, 2, None, NOW) for each in anchors])


async def test_the_list_goes_on_page_by_page(portal: Portal) -> None:
    """Fifty at a time, each once, the worst first."""
    await copies(portal, 60)
    await portal.entrance.run(
        "update jobs set state = 'Active', quarantine = '{\"reason\": \"Unknown\"}' where domain = 'z060.test'"
    )
    await portal.browser.get("/portal/configurations")
    assert portal.browser.page.count('<tr id="row-') == 50
    assert portal.browser.text.index("z060.test") < portal.browser.text.index("of contoso.test")
    following = portal.browser.page.partition("Next page")[0].rpartition('href="')[2].partition('"')[0]
    await portal.browser.get(following.replace("&amp;", "&"))
    assert portal.browser.page.count('<tr id="row-') == 11
    assert "First page" in portal.browser.text


@pytest.mark.parametrize(
    ("query", "number"),
    [("state=attention", 1), ("state=Quarantine", 1), ("domain=Z00", 9), ("domain=z001&state=Quarantine", 0)],
)
async def test_the_list_is_narrowed(portal: Portal, query: str, number: int) -> None:
    """By status and by a part of the domain; what comes live is narrowed as well."""
    await copies(portal, 60)
    await portal.set_job(state="Active", quarantine=held("Unknown"))
    await portal.browser.get(f"/portal/configurations?{query}")
    assert portal.browser.page.count('<tr id="row-') == number
    assert f'sse-connect="/portal/configurations/live?{"&amp;".join(sorted(query.split("&"), reverse=True))}' in (
        portal.browser.page
    )
    assert ("No configuration fits." in portal.browser.text) == (number == 0)


async def test_odd_filters_are_refused_or_find_nothing(portal: Portal) -> None:
    """A quote in a name is text."""
    assert (await portal.browser.get("/portal/configurations?state=odd")).status_code == 400
    assert (await portal.browser.get("/portal/configurations?after=odd")).status_code == 400
    assert (await portal.browser.get("/portal/configurations?domain=o'neil")).status_code == 200
    assert "No configuration fits." in portal.browser.text


async def test_the_menu_has_what_fits_the_state(portal: Portal) -> None:
    """Logs and agents always; for a quarantine its way out."""
    job = quote(portal.job, safe="")
    await portal.set_job(state="Active")
    await portal.browser.get("/portal/configurations")
    assert f'href="/portal/logs?span=all&amp;job={job}"' in portal.browser.page
    assert 'href="/portal/agents?domain=contoso.test"' in portal.browser.page
    assert "Run now" in portal.browser.text
    await portal.set_job(quarantine=held("EncounteredQuarantineException"))
    await portal.browser.get("/portal/configurations")
    assert f'hx-post="{portal.address}/act/clear"' in portal.browser.page
    await portal.set_job(quarantine=held("TooManyDeletes"))
    await portal.browser.get("/portal/configurations")
    assert "Delete threshold exceeded" in portal.browser.text
    assert f'href="{portal.address}/deletes/ask?word=allow-all"' in portal.browser.page
    assert "act/clear" not in portal.browser.page


async def test_a_quarantine_is_shown_with_all_that_is_known(portal: Portal) -> None:
    """What the message says already is not said twice; names stay text."""
    await fail(portal, 7)
    await portal.set_job(state="Active", quarantine=held("EncounteredQuarantineException"))
    await portal.browser.get(portal.address)
    text = portal.browser.text
    for said in (
        "Quarantine: the cycle cannot run", f"Nobody signs in as {HOSTILE}.", "Reason EncounteredQuarantineException",
        "Error code InvalidCredentials", "Since 2026-01-01 03:04 UTC", "Confirmed 2026-01-02 03:04 UTC , 3 times",
        "Next attempt 2026-01-02 04:04 UTC", "Cycles that failed in a row 4", f"Job id {portal.job}",
    ):  # fmt: skip
        assert said in text, said
    assert text.count("Mend it.") == 1
    assert HOSTILE not in portal.browser.page
    assert text.count("Attempts".lower()) == 5
    assert f"/portal/logs?span=all&amp;job={quote(portal.job, safe='')}&amp;source=anchor-000" in portal.browser.page


async def test_all_that_failed_is_listed_and_tried_again(portal: Portal) -> None:
    """Page by page, with when each is tried; at once where somebody says so."""
    await portal.set_job(state="Active")
    await fail(portal, 60)
    await portal.browser.get(f"{portal.address}/escrows")
    assert portal.browser.page.count("<tr>") == 51
    following = portal.browser.page.partition("Next page")[0].rpartition('href="')[2].partition('"')[0]
    await portal.browser.get(following)
    assert portal.browser.page.count("<tr>") == 11
    await portal.browser.post(f"{portal.address}/act/retry")
    assert await portal.entrance.run("select count(*) from due where at > now()") == [(0,)]


async def test_cycles_are_shown_once_under_all_of_their_names(portal: Portal) -> None:
    """With the way to what each of them did."""
    one = {
        "activityIdentifier": "c1", "state": "Succeeded", "timeBegan": "2026-01-02T03:04:05Z", "error": None,
        "timeEnded": "2026-01-02T03:05:05Z", "countImported": 1200, "countExported": 34, "countEscrowed": 0,
    }  # fmt: skip
    two = {**one, "activityIdentifier": "c2", "state": "EntryLevelErrors", "timeEnded": "2026-01-03T03:05:05Z"}
    await portal.set_job(state="Active", last_execution=two, last_success=one, last_success_with_exports=one)
    await portal.browser.get(portal.address)
    assert "Last Objects failed 2026-01-03 03:05 UTC 1,200 34 0" in portal.browser.text
    assert "Last without failures, last that wrote Succeeded 2026-01-02 03:05 UTC" in portal.browser.text
    assert "cycle=c1" in portal.browser.page


@pytest.mark.parametrize("state", ["Disabled", "Paused"])
async def test_what_does_not_run_says_so(portal: Portal, state: str) -> None:
    """And offers to be started."""
    await portal.set_job(state=state)
    await portal.browser.get(portal.address)
    assert f"{state} Start Restart provisioning" in portal.browser.text
    assert "nothing runs until somebody starts" in portal.browser.text.lower()


async def test_an_act_from_a_script_is_answered_in_place(portal: Portal) -> None:
    """With the notice only; the rest of the page comes live."""
    await portal.impose_quarantine()
    await portal.browser.get(portal.address)
    headers = {"HX-Request": "true"}
    form = {"csrf": portal.browser.csrf}
    answer = await portal.browser.client.post(f"{portal.address}/act/clear", data=form, headers=headers)
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (200, "#notices")
    assert "The quarantine is being cleared" in answer.text
    assert "<html" not in answer.text
    assert await portal.entrance.run("select quarantine from jobs") == [(None,)]


@pytest.mark.parametrize(
    ("chosen", "scope"),
    [
        (["escrows"], "Escrows"),
        (["quarantine"], "QuarantineState"),
        (["watermark"], "Watermark"),
        (["links"], "ConnectorDataStore"),
        (["escrows", "quarantine", "watermark", "links"], "ConnectorDataStore, Escrows, QuarantineState, Watermark"),
    ],
)
async def test_a_restart_clears_what_was_chosen(portal: Portal, chosen: list[str], scope: str) -> None:
    """And nothing else."""
    await fail(portal, 3)
    await portal.browser.get(f"{portal.address}/restart")
    assert "Forgets that 3 objects failed." in portal.browser.text
    assert (await portal.browser.post(f"{portal.address}/act/restart", **dict.fromkeys(chosen, "1"))).status_code == 303
    audit = "select detail ->> 'resetScope' from audits where activity like '%%restart%%'"
    assert await portal.entrance.run(audit) == [(scope,)]


async def test_a_restart_of_nothing_is_asked_again(portal: Portal) -> None:
    """On the same page, and nothing is done."""
    await portal.browser.get(f"{portal.address}/restart")
    assert (await portal.browser.post(f"{portal.address}/act/restart")).status_code == 400
    assert "Choose at least one thing" in portal.browser.text
    assert "What the restart clears" in portal.browser.text
    assert await portal.entrance.run("select state from jobs") == [("Disabled",)]


async def test_a_configuration_is_deleted(portal: Portal) -> None:
    """After its numbers were shown; somebody else's page of it then says that it is gone."""
    async with portal.entrance.database.transaction() as conn:
        rows = [Link(each, "user", each, None, None, "provisioned", "", None) for each in "abc"]
        await links.put(conn, portal.entrance.tenant, portal.job, rows)
    await portal.browser.get(f"{portal.address}/delete")
    assert "3 objects stay in the tenant" in portal.browser.text
    token = portal.browser.csrf
    answer = await portal.browser.post(f"{portal.address}/delete")
    assert answer.headers["location"] == "/portal/configurations"
    await portal.browser.get("/portal/configurations")
    assert "The configuration of contoso.test is deleted." in portal.browser.text
    assert "There is no configuration yet." in portal.browser.text
    answer = await portal.browser.client.post(f"{portal.address}/act/run", data={"csrf": token})
    assert answer.status_code == 404


async def test_who_may_only_read_deletes_nothing(portal: Portal) -> None:
    """The page that asks is shown, the API refuses."""
    other = await portal.as_role("Global Reader")
    await other.get(f"{portal.address}/delete")
    assert (await other.post(f"{portal.address}/delete")).status_code == 403
    assert "needs one of these roles" in other.text
    assert await portal.entrance.run("select count(*) from jobs") == [(1,)]
