"""The provisioning log counted and as files: what fits, all of it, harmless in a spreadsheet."""

import csv
import io
import json
from datetime import timedelta
from typing import Any

import pytest

from dirbridge.contract.event import Detail, ModifiedProperty, Status, Step, StepType
from dirbridge.contract.export import Fault
from dirbridge.service.graph import log_counts, log_exports
from dirbridge.store import event_queries
from dirbridge.store.conditions import EVERYTHING
from tests.service.graph.conftest import BASE, TENANT, World, add_job
from tests.service.graph.test_provisioning_logs import event, ids, write

LOG = f"{BASE}/beta/dirbridge/provisioningLog"
FAILED = "provisioningStatusInfo/status eq 'failure'"


async def lines(world: World, name: str, **options: str) -> list[dict[str, str]]:
    """Read a list as a spreadsheet does."""
    answer = await world.get(f"{LOG}/{name}.csv", **options)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
    assert answer.text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


async def count(world: World, **options: str) -> dict[str, Any]:
    answer = await world.get(f"{LOG}/count", **options)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return {name: found[name] for name in ("value", "isExact")}


def failed(number: int, name: str = "Ada Lovelace") -> Any:
    detail = Detail(
        (Step("EntryExportUpdate", StepType.EXPORT, Status.FAILURE, {"name": name, "type": "User"}),),
        (ModifiedProperty("Mail", None, "=1+1"), ModifiedProperty("City", "Köln", None)),
        Fault("TargetRefused", "The target refused it.", "Correct the mail address.", {"attribute": "mail"}),
    )
    return event(number, status=Status.FAILURE, reason="TargetRefused", source_name=name, detail=detail)


async def test_a_count_is_exact_up_to_its_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the number says that there are at least as many."""
    await write(world, *(event(number) for number in range(3)), failed(3))
    assert await count(world) == {"value": 4, "isExact": True}
    assert await count(world, filter=FAILED) == {"value": 1, "isExact": True}
    monkeypatch.setattr(log_counts, "MOST", 3)
    assert await count(world) == {"value": 3, "isExact": False}
    monkeypatch.setattr(log_counts, "MOST", 4)
    assert await count(world) == {"value": 4, "isExact": True}


async def test_nobody_waits_for_a_count(world: World) -> None:
    """What takes longer than it may has no number, and the connection goes on."""
    rows = [event(number) for number in range(20)]
    await write(world, *rows)
    async with world.database.connection() as conn:
        await conn.execute(
            "create function slow() returns boolean language sql volatile as 'select pg_sleep(1) is null'"
        )
        slow = event_queries.Where(event_queries.sql.SQL("not slow()"))
        assert await event_queries.count(conn, TENANT, slow, 100, timedelta(milliseconds=50)) is None
        assert await event_queries.count(conn, TENANT, EVERYTHING, 100, timedelta(seconds=5)) == 20


async def test_events_as_lines(world: World) -> None:
    """What fits, with the reason in words; formulas of the directory stay text."""
    await add_job(world, "job")
    row = failed(1, name='=HYPERLINK("http://evil.test")')
    await write(world, event(0), row)
    (line,) = await lines(world, "events", filter=FAILED)
    assert line["id"] == str(row.id)
    assert line["activityDateTime"] == "2026-01-31T08:00:01Z"
    assert (line["jobId"], line["servicePrincipal"]) == ("job", "contoso.test")
    assert (line["errorCode"], line["reason"]) == ("TargetRefused", "The target refused it.")
    assert (line["recommendedAction"], line["additionalDetails"]) == ("Correct the mail address.", "attribute: mail")
    assert line["sourceName"] == '\'=HYPERLINK("http://evil.test")'
    assert len(await lines(world, "events")) == 2


async def test_steps_and_properties_as_lines(world: World) -> None:
    """Joined to their event by its id and the change's."""
    row = failed(1)
    await write(world, row)
    (step,) = await lines(world, "steps")
    assert (step["eventId"], step["changeId"], step["number"]) == (str(row.id), str(row.change), "1")
    assert (step["name"], step["status"]) == ("EntryExportUpdate", "failure")
    assert "Ada Lovelace" in step["description"]
    mail, city = await lines(world, "modifiedProperties")
    assert (mail["displayName"], mail["oldValue"], mail["newValue"]) == ("Mail", "", "'=1+1")
    assert (city["displayName"], city["oldValue"], city["newValue"]) == ("City", "Köln", "")


async def test_a_document_has_what_the_pages_have(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """All events in their order, however many pages they were read in; empty where none fits."""
    monkeypatch.setattr(log_exports, "PAGE", 3)
    await write(world, *(event(number) for number in range(7)))
    answer = await world.get(f"{LOG}/events.json")
    found = json.loads(answer.content)["value"]
    assert [each["id"] for each in found] == await ids(world)
    assert found == (await world.get(f"{BASE}/beta/auditLogs/provisioning")).json()["value"]
    assert len(await lines(world, "events")) == 7
    assert (await world.get(f"{LOG}/events.json", filter=FAILED)).json()["value"] == []


@pytest.mark.parametrize("name", ["count", "events.csv", "steps.csv", "modifiedProperties.csv", "events.json"])
async def test_a_filter_that_cannot_be_read_is_refused(world: World, name: str) -> None:
    """Before anything is sent."""
    answer = await world.get(f"{LOG}/{name}", filter="shoeSize eq 1")
    assert answer.status_code == 400
    assert "shoeSize" in answer.text


async def test_the_beginning_of_a_name_is_found_in_any_case(world: World) -> None:
    """An index stands on it; the whole name and its parts keep their case."""
    await write(world, event(0, source_name="Ada Lovelace"), event(1, source_name="Grace Hopper"))
    assert len(await ids(world, filter="startsWith(sourceIdentity/displayName,'ADA l')")) == 1
    assert await ids(world, filter="sourceIdentity/displayName eq 'ada lovelace'") == []
    assert await ids(world, filter="contains(sourceIdentity/displayName,'LOVE')") == []
