"""Previews in the portal: asked for, followed, read, filtered, downloaded, forgotten."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.entry import ChangePage
from dirbridge.contract.errors import TransientError
from dirbridge.service.portal import live
from tests.service.portal.conftest import Portal
from tests.service.portal.office import ANN, HOSTILE, Office


@pytest.fixture
async def office(portal: Portal) -> Office:
    """Two users and a group; the job was never started."""
    return Office(portal)


def previews(office: Office) -> str:
    """The address of the list."""
    return f"{office.portal.address}/preview"


async def begin(office: Office, **fields: str) -> str:
    """Start one by the form; gives its address."""
    await office.browser.get(previews(office))
    answer = await office.browser.post(previews(office), **fields)
    assert answer.status_code == 303, office.page
    return str(answer.headers["location"])


async def follow(office: Office, path: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What a stream sends at once, by the name of the event."""
    monkeypatch.setattr(live, "LONGEST", timedelta(seconds=1))
    monkeypatch.setattr(live, "EVERY", timedelta(seconds=1))
    text = (await office.browser.client.get(f"{path}/live")).text
    events = [event.split("\n") for event in text.split("\n\n") if event.startswith("event: ")]
    return {lines[0].removeprefix("event: "): "\n".join(lines[1:]) for lines in events}


async def test_an_empty_list_says_what_a_preview_is_for(office: Office) -> None:
    """And how many objects it evaluates."""
    await office.browser.get(previews(office))
    assert "evaluates 0 objects that are in sync now" in office.page
    assert "There is no preview yet." in office.page


async def test_from_start_to_what_would_happen(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits, is listed, runs, and tells counts that lead to the list; nothing is written."""
    where = await begin(office)
    await office.browser.get(where)
    assert "You asked for a preview. Nothing of it is written." in office.page
    assert "Waits for a worker" in office.page
    assert f'sse-connect="{where}/live" sse-close="ended"' in office.browser.page
    assert list(await follow(office, where, monkeypatch)) == ["state"]
    await office.browser.get(previews(office))
    assert "Waits for a worker ada@contoso.test Saved settings" in office.page
    await office.work()
    sent = await follow(office, where, monkeypatch)
    assert list(sent) == ["state", "findings", "changes", "ended"]
    assert "Would be created" in sent["findings"]
    await office.browser.get(where)
    assert "sse-connect" not in office.browser.page
    assert "Would be created User 2" in office.page
    assert "3 objects read, 0 would fail." in office.page
    assert "<script>alert" not in office.browser.page
    assert HOSTILE in office.page
    await office.browser.get(f"{where}?type=Group&action=create")
    assert "Team group Would be created" in office.page
    assert "Bob user" not in office.page
    await office.browser.get(f"{where}?name=nobody")
    assert "No change fits these filters." in office.page
    assert await office.users() == []


async def test_one_change_with_its_steps(office: Office) -> None:
    """The four steps, and all that would be written; it leads on to provisioning it."""
    where = await begin(office)
    await office.work()
    ((event,),) = await office.entrance.run("select id from events where source_id = %s", [ANN])
    await office.browser.get(f"{where}/changes/{event}")
    assert "Would be created Previewed: nothing of this was written." in office.page
    assert "Import user Success" in office.page
    assert "UserPrincipalName none ann@contoso.test" in office.page
    assert f"/on-demand?dn={ANN}" in office.browser.page
    for strange in (office.portal.job, "00000000-0000-4000-8000-000000000000", "x' or true"):
        answer = await office.browser.get(f"{where}/changes/{quote(strange, safe='')}")
        assert answer.status_code in {400, 404}, strange


async def test_the_download_has_what_the_filters_leave(office: Office) -> None:
    """Under a name that says of what; not before the list is complete."""
    where = await begin(office)
    assert (await office.browser.get(f"{where}/changes.csv")).status_code == 409
    await office.work()
    answer = await office.browser.client.get(f"{where}/changes.csv")
    assert "filename*=UTF-8''preview-contoso.test-2" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert sorted(row["sourceName"] for row in rows) == ["Ann", "Bob", "Team"]
    answer = await office.browser.client.get(f"{where}/changes.csv?type=Group")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["sourceName"] for row in rows] == ["Team"]


async def test_pages_of_changes_and_of_previews(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each leads to the next, and keeps the filters."""
    monkeypatch.setattr("dirbridge.service.portal.configurations.preview_changes.PAGE", 1)
    monkeypatch.setattr("dirbridge.service.portal.configurations.preview.PAGE", 1)
    first = await begin(office)
    second = await begin(office)
    await office.work()
    seen = []
    where = f"{first}?status=success&type=User"
    while where:
        await office.browser.get(where)
        seen += [name for name in ("Ann", "Bob") if f"{name} user" in office.page]
        where = _link(office, "Next page")
        assert not where or "type=User" in where
    assert sorted(seen) == ["Ann", "Bob"]
    await office.browser.get(previews(office))
    assert second in office.browser.page
    assert first not in office.browser.page
    await office.browser.get(_link(office, "Older"))
    assert first in office.browser.page


def _link(office: Office, words: str) -> str:
    """The address behind words; empty where they are not there."""
    before, found, _ = office.browser.page.partition(f">{words}</a>")
    address = before.rpartition('href="')[2].partition('"')[0] if found else ""
    return address.replace("&amp;", "&")


async def test_other_settings_are_tried_and_not_saved(office: Office) -> None:
    """A schema from a file, a threshold; what cannot be tried is told, and what was typed stays."""
    schema = await _schema(office)
    for mapping in schema["synchronizationRules"][0]["objectMappings"]:
        mapping["enabled"] = mapping["sourceObjectName"] == "group"
    await office.browser.get(previews(office))
    answer = await office.browser.client.post(
        previews(office),
        data={"csrf": office.browser.csrf, "DeleteThresholdValue": "7"},
        files={"schema": ("schema.json", json.dumps(schema).encode(), "application/json")},
    )
    assert answer.status_code == 303, answer.text
    await office.work()
    await office.browser.get(answer.headers["location"])
    assert "Another schema, Delete threshold value 7" in office.page
    assert "Would be created Group 1" in office.page
    assert "Would be created User" not in office.page
    assert (await _schema(office))["synchronizationRules"][0]["objectMappings"][0]["enabled"] is True


async def _schema(office: Office) -> dict[str, Any]:
    ((document,),) = await office.entrance.run("select schema from jobs where id = %s", [office.portal.job])
    return dict(document)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"schema": "{"}, "The schema is not JSON"),
        ({"schema": "[" * 100_000}, "The schema is not JSON"),
        ({"schema": '{"synchronizationRules": [{"id": "x"}]}'}, "synchronizationRules[0].name: It is missing"),
        ({"DeleteThresholdValue": "many"}, "DeleteThresholdValue expects"),
    ],
)
async def test_what_cannot_be_tried_is_told(office: Office, fields: dict[str, str], said: str) -> None:
    """Beside what was typed."""
    await office.browser.get(previews(office))
    answer = await office.browser.post(previews(office), **fields)
    assert answer.status_code == 400
    assert said in office.page
    assert 'value="many"' in office.browser.page or "DeleteThresholdValue" not in fields
    assert "There is no preview yet." in office.page


async def test_a_preview_that_fails_says_why(office: Office) -> None:
    """The directory cannot be read: nothing is known of what would happen."""

    class Away(MemorySource):
        def changes(self, *_: object) -> AsyncIterator[ChangePage]:  # type: ignore[override]
            raise TransientError("No <agent> answers.", code="AgentAway")

    where = await begin(office)
    engine = office.entrance.application.state.engine
    office.entrance.application.state.engine = msgspec.structs.replace(engine, source=lambda _: Away(office.directory))
    await office.work()
    await office.browser.get(where)
    assert "Failed No <agent> answers. AgentAway" in office.page
    assert "the preview ended before it read anything" in office.page


async def test_it_is_stopped_and_forgotten(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """After being asked, with a number; a page that still follows it is told."""
    where = await begin(office)
    await office.work()
    await office.browser.get(f"{where}/delete")
    assert "What it found is deleted: 3 changes" in office.page
    answer = await office.browser.post(f"{where}/delete")
    assert answer.headers["location"] == previews(office)
    assert (await office.browser.get(where)).status_code == 404
    sent = await follow(office, where, monkeypatch)
    assert list(sent) == ["state", "ended"]
    assert "Somebody deleted this preview" in sent["state"]


async def test_who_may_only_read_begins_none(office: Office) -> None:
    """And reads what another one found."""
    where = await begin(office)
    other = await office.portal.as_role("Global Reader")
    assert (await other.get(where)).status_code == 200
    assert (await other.get(previews(office))).status_code == 200
    assert (await other.post(previews(office))).status_code == 403
    await other.get(f"{where}/delete")
    assert (await other.post(f"{where}/delete")).status_code == 403
