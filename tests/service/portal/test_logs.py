"""The provisioning log in the portal: every filter in the address, pages that stand still, events in full, files."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest

from dirbridge.contract.event import Detail, Event, ModifiedProperty, Status, Step, StepType
from dirbridge.contract.export import Action, Fault
from dirbridge.service.portal import spans
from dirbridge.service.portal.logs import columns, listing
from dirbridge.store import events
from tests.service.browsers import Browser
from tests.service.portal.conftest import Portal

NOW = datetime.now(UTC).replace(microsecond=0)
CYCLE = UUID(int=5)


def event(number: int, job: str, **changes: Any) -> Event:
    """An event, `number` minutes ago."""
    values: dict[str, Any] = {
        "id": uuid4(), "at": NOW - timedelta(minutes=number), "job": job, "cycle": UUID(int=1), "change": uuid4(),
        "action": Action.CREATE, "status": Status.SUCCESS, "reason": "", "source_id": f"anchor-{number}",
        "source_type": "user", "source_name": f"Person {number}", "target_id": str(UUID(int=number)),
        "target_type": "User", "target_name": f"Person {number}", "duration": 1200,
        "detail": Detail(
            (Step("EntryImportAdd", StepType.IMPORT, Status.SUCCESS, {"type": "user"}),),
            (ModifiedProperty("DisplayName", None, f"Person {number}"),),
        ),
    }  # fmt: skip
    return Event(**{**values, **changes})


def failure(number: int, job: str, **changes: Any) -> Event:
    detail = Detail(
        (Step("EntryExportAdd", StepType.EXPORT, Status.FAILURE, {"note1": "<script>alert(1)</script>"}),),
        (ModifiedProperty("Description", "x" * 400, "<b>new</b>"),),
        Fault("AttributeValueMustBeUnique", "Another user has it.", "Change the address.", {"attribute": "mail"}),
    )
    values = {"status": Status.FAILURE, "reason": "AttributeValueMustBeUnique", "detail": detail}
    return event(number, job, **{**values, **changes})


async def write(portal: Portal, *rows: Event) -> None:
    async with portal.entrance.database.transaction() as conn:
        await events.write(conn, portal.entrance.tenant, rows)


async def shown(portal: Portal, **asked: str) -> list[str]:
    """The numbers of the people on a page of the log."""
    answer = await portal.browser.get("/portal/logs", params=asked)
    assert answer.status_code == 200, portal.browser.text
    return _people(portal.browser)


def _people(browser: Browser) -> list[str]:
    rows = (
        browser.page.split("<tbody>")[1].split("</tbody>")[0].split("</tr>")[:-1] if "<tbody>" in browser.page else []
    )
    return [row.split('data-label="Source"><div>')[1].partition("<br>")[0].removeprefix("Person ") for row in rows]


def link(browser: Browser, words: str) -> str:
    """Where a link leads."""
    before = browser.page.partition(f">{words}</a>")[0]
    return before.rpartition('href="')[2].partition('"')[0].replace("&amp;", "&")


async def test_every_filter_finds_what_it_says(portal: Portal) -> None:
    """Alone and together; names by their beginning in any case, or by id."""
    await write(
        portal, event(1, portal.job), failure(2, portal.job, action=Action.UPDATE),
        event(3, portal.job, cycle=CYCLE, source_name="O'Neill", target_name="Person 3"), event(60 * 30, portal.job),
        event(5, "gone", action=Action.STAGED_DELETE, status=Status.SKIPPED, reason="NotInScope"),
    )  # fmt: skip
    cases: list[tuple[dict[str, str], list[str]]] = [
        ({}, ["1", "2", "O'Neill", "5"]),
        ({"span": "all"}, ["1", "2", "O'Neill", "5", "1800"]),
        ({"status": "failure"}, ["2"]),
        ({"action": "stagedDelete"}, ["5"]),
        ({"source": "o'NE"}, ["O'Neill"]),
        ({"source": "anchor-2"}, ["2"]),
        ({"target": "person 3"}, ["O'Neill"]),
        ({"target": str(UUID(int=1))}, ["1"]),
        ({"job": portal.job}, ["1", "2", "O'Neill"]),
        ({"job": "contoso"}, ["1", "2", "O'Neill"]),
        ({"job": "gone"}, ["5"]),
        ({"cycle": str(CYCLE)}, ["O'Neill"]),
        ({"code": "NotInScope"}, ["5"]),
        ({"status": "failure", "action": "create"}, []),
        ({"from": f"{NOW - timedelta(minutes=3):%Y-%m-%dT%H:%M:%SZ}"}, ["1", "2", "O'Neill"]),
        ({"to": f"{NOW - timedelta(days=1):%Y-%m-%dT%H:%M}", "span": "custom"}, ["1800"]),
    ]
    for asked, wanted in cases:
        assert await shown(portal, **asked) == [name.replace("'", "&#39;") for name in wanted], asked


async def test_what_is_wrong_stands_at_its_field(portal: Portal) -> None:
    """And nothing is shown as if it had been filtered."""
    await write(portal, event(1, portal.job))
    for asked, said in (
        ({"from": "yesterday"}, "'yesterday' is no time"),
        ({"from": "2026-02-02T00:00", "to": "2026-02-01T00:00"}, "before the time at which the span begins"),
        ({"span": "9y"}, "There is no span '9y'"),
        ({"status": "odd"}, "There is no status 'odd'"),
        ({"cycle": "1"}, "no id of a cycle"),
    ):
        answer = await portal.browser.get("/portal/logs", params=asked)
        assert answer.status_code == 400
        assert said in portal.browser.text
        assert 'aria-invalid="true"' in portal.browser.page
        assert "Person 1" not in portal.browser.text
        refused = await portal.browser.get("/portal/logs/download/events.csv", params=asked)
        assert refused.status_code == 400


async def test_pages_stand_still_while_the_log_grows(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older pages go on where the one before ended, with the same filters and the same beginning."""
    monkeypatch.setattr(listing, "PAGE", 2)
    await write(portal, *(event(number, portal.job) for number in range(1, 6)))
    assert await shown(portal, action="create") == ["1", "2"]
    assert "5 events" in portal.browser.text
    older = link(portal.browser, "Older")
    await write(portal, event(0, portal.job))
    await portal.browser.get(older)
    assert _people(portal.browser) == ["3", "4"]
    assert "sse-connect" not in portal.browser.page
    asked = parse_qs(urlsplit(older).query)
    assert asked["action"] == ["create"]
    assert asked["begin"]
    assert parse_qs(urlsplit(link(portal.browser, "Newest")).query) == {"action": ["create"]}


async def test_what_comes_is_told(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many events have come, also one that is dated before the newest shown; and how many there are by now."""
    await write(portal, event(1, portal.job), event(2, portal.job, status=Status.SKIPPED))
    await portal.browser.get("/portal/logs?status=success")
    where = portal.browser.page.partition('sse-connect="')[2].partition('"')[0].replace("&amp;", "&")
    sent: list[dict[str, str]] = []

    def stream(request: Any, pieces: Any) -> Any:
        async def told() -> AsyncIterator[bytes]:
            sent.append(await pieces())
            late = NOW - timedelta(minutes=1, seconds=20)
            await write(portal, event(0, portal.job), event(1, portal.job, at=late), failure(0, portal.job))
            sent.append(await pieces())
            yield b""

        return listing.StreamingResponse(told())

    monkeypatch.setattr(listing.live, "stream", stream)
    assert (await portal.browser.client.get(where)).status_code == 200
    first, second = sent
    assert (first["total"].strip(), first["fresh"].strip()) == ("1 event", "")
    assert second["total"].strip() == "3 events"
    assert "2 new events: show" in second["fresh"]
    assert 'href="/portal/logs?status=success"' in second["fresh"]


async def test_columns_are_remembered(portal: Portal) -> None:
    """By this browser, for the log as it is filtered."""
    await write(portal, event(1, portal.job))
    await portal.browser.get("/portal/logs?status=success")
    assert "Took" not in portal.browser.text
    form = {"csrf": portal.browser.csrf, "column": ["duration", "sourceId", "none"]}
    answer = await portal.browser.client.post("/portal/logs/columns?status=success", data=form)
    assert answer.headers["location"] == "/portal/logs?status=success"
    await portal.browser.get(answer.headers["location"])
    head = portal.browser.page.partition("<thead>")[2].partition("</thead>")[0]
    assert [each.partition("</th>")[0] for each in head.split('scope="col">')[1:]] == ["Time", "Source id", "Duration"]
    assert "1,200 ms" in portal.browser.text
    assert (await portal.browser.client.post("/portal/logs/columns", data={"column": "code"})).status_code in {400, 403}
    portal.browser.client.cookies.set(columns.COOKIE, "<script>", domain="dirbridge.example")
    await portal.browser.get("/portal/logs")
    assert "<script>" not in portal.browser.page


async def test_an_event_in_full(portal: Portal) -> None:
    """Its steps, what to do, values before and after, the summary; values of the directory stay text."""
    row = failure(1, portal.job, source_name="<img src=x>")
    await write(portal, row)
    await portal.browser.get(f"/portal/logs/{row.id}?status=failure&span=7d")
    said = portal.browser.text
    for part in (
        "Provision the object", "EntryExportAdd", "Change the address.", "Another user has it.", "attribute: mail",
        "400 characters", "<b>new</b>", "1,200 ms", str(row.cycle), "contoso.test", "<script>alert(1)</script>",
    ):  # fmt: skip
        assert part in said or part in portal.browser.page.replace("&lt;", "<").replace("&gt;", ">"), part
    for raw in ("<img src", "<script>alert", "<b>new"):
        assert raw not in portal.browser.page
    back = parse_qs(urlsplit(link(portal.browser, "Provisioning logs")).query)
    assert back in ({"span": ["7d"], "status": ["failure"]}, {})
    assert 'href="/portal/logs?span=7d&amp;status=failure"' in portal.browser.page
    assert f'href="/portal/users/{UUID(int=1)}"' in portal.browser.page


async def test_files_have_all_that_is_filtered(portal: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only the page, and nothing else."""
    monkeypatch.setattr(listing, "PAGE", 1)
    await write(portal, event(1, portal.job), failure(2, portal.job), event(3, portal.job), event(4, "other"))
    await portal.browser.get("/portal/logs", params={"status": "success", "job": "contoso"})
    where = link(portal.browser, "Events as CSV")
    answer = await portal.browser.get(where)
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''provisioning-events.csv"
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row["sourceName"] for row in rows] == ["Person 1", "Person 3"]
    document = (await portal.browser.get(where.replace("events.csv", "events.json"))).json()
    assert [each["id"] for each in document["value"]] == [row["id"] for row in rows]
    steps = (await portal.browser.get(where.replace("events.csv", "steps.csv"))).text
    assert steps.count("EntryImportAdd") == 2
    assert (await portal.browser.get("/portal/logs/download/all.zip")).status_code == 404


async def test_who_may_not_read_the_log_is_refused(portal: Portal) -> None:
    """As the API refuses, also for files."""
    other = await portal.as_role("User Administrator")
    for path in ("/portal/logs", "/portal/logs/download/events.csv"):
        assert (await other.get(path)).status_code == 403
        assert "Person" not in other.text


async def test_an_empty_log_says_what_to_do(portal: Portal) -> None:
    """One without events at all, and one in which none fits."""
    await portal.browser.get("/portal/logs?span=all")
    assert "It fills with the first cycle" in portal.browser.text
    await portal.browser.get("/portal/logs?status=failure")
    assert "Take filters away" in portal.browser.text


async def test_configurations_are_suggested(portal: Portal) -> None:
    """By how their domain begins."""
    await portal.browser.get("/portal/logs/configurations?job=CONT")
    assert '<option value="contoso.test">' in portal.browser.page
    await portal.browser.get("/portal/logs/configurations?job=x'")
    assert "<option" not in portal.browser.page


def test_a_span_of_minutes_holds_its_last_one() -> None:
    """Without seconds the minute that is written counts whole; a zone counts."""
    found = spans.read({"from": "2026-01-31T09:00+01:00", "to": "2026-01-31T08:00"}, NOW)
    assert (found.begin, found.end) == (
        datetime(2026, 1, 31, 8, tzinfo=UTC), datetime(2026, 1, 31, 8, 0, 59, 999_999, tzinfo=UTC)
    )  # fmt: skip
    assert found.faults == {}
