"""The directory of a job looked into through the API: its tree, and entries by their names."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from dirbridge.connectors.memory.directory import ROOT, anchor_of
from dirbridge.service.graph import browsing
from tests.service.graph.conftest import code, message
from tests.service.graph.test_ondemand import ANN, TEAM, Office, office

__all__ = ["office"]

UNIT, INNER = anchor_of(50), anchor_of(51)


async def ask(office: Office, act: str, body: dict[str, Any] | None) -> httpx2.Response:
    job = office.path.rpartition("/")[2]
    return await office.world.client.post(f"https://dirbridge.test/beta/dirbridge/jobs/{job}/{act}", json=body)


async def test_the_tree_is_given_level_by_level(office: Office) -> None:
    """From the head, whose body may be empty; each with its present distinguished name."""
    office.directory.create(UNIT, "container", "North")
    office.directory.create(INNER, "container", "City", UNIT)
    head = await ask(office, "browse", None)
    assert head.status_code == 200, head.text
    assert [one["id"] for one in head.json()["value"]] == [ROOT]
    found = (await ask(office, "browse", {"below": ROOT})).json()
    assert found["more"] is False
    assert found["value"] == [
        {
            "id": UNIT,
            "objectType": "container",
            "displayName": "North",
            "distinguishedName": "OU=North,DC=contoso,DC=test",
        }
    ]
    assert [one["displayName"] for one in (await ask(office, "browse", {"below": UNIT})).json()["value"]] == ["City"]
    office.directory.delete(INNER)
    gone = await ask(office, "browse", {"below": INNER})
    assert (gone.status_code, code(gone)) == (404, "Request_ResourceNotFound")


async def test_entries_are_found(office: Office) -> None:
    """Of the types that are asked for; whether there are more is said."""
    found = (await ask(office, "search", {"text": " tea ", "objectTypes": ["group"]})).json()
    assert [one["id"] for one in found["value"]] == [TEAM]
    found = (await ask(office, "search", {"text": "@contoso", "objectTypes": ["user"], "top": 1})).json()
    assert ([one["id"] for one in found["value"]], found["more"]) == ([ANN], True)
    office.directory.create(UNIT, "container", "Antenna")
    found = (await ask(office, "search", {"text": "an"})).json()
    assert [one["objectType"] for one in found["value"]] == ["user"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"text": "a", "objectTypes": ["computer"]}, "found 'computer'"),
        ({"text": "a", "objectTypes": []}, "Expected `array` of length >= 1"),
        ({"text": " ", "objectTypes": ["group"]}, "is empty"),
        ({"text": "a\x00", "objectTypes": ["group"]}, "NUL"),
        ({"text": "a", "objectTypes": ["group"], "top": 1000}, "<= 100"),
    ],
)
async def test_what_cannot_be_searched_is_refused(office: Office, body: dict[str, Any], said: str) -> None:
    """With what is expected."""
    refused = await ask(office, "search", body)
    assert (refused.status_code, code(refused)) == (400, "BadRequest")
    assert said in message(refused)


async def test_nobody_is_kept_waiting_for_an_agent(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks at a page waits for seconds, and learns what to look at."""

    class Silent:
        async def browse(self, below: str | None) -> object:
            return await asyncio.Event().wait()

        async def search(self, text: str, object_types: object, most: int) -> object:
            return await asyncio.Event().wait()

    engine = office.world.app.state.engine
    office.world.app.state.engine = type(engine)(
        engine.database, lambda _: Silent(), engine.target, engine.clock, engine.new_id
    )
    monkeypatch.setattr(browsing, "PATIENCE", timedelta(milliseconds=20))
    for act, body in (("browse", {}), ("search", {"text": "a", "objectTypes": ["group"]})):
        refused = await ask(office, act, body)
        assert (refused.status_code, code(refused)) == (503, "serviceNotAvailable")
        assert "No agent answered" in message(refused)


async def test_a_job_that_is_not_there(office: Office) -> None:
    """As everywhere."""
    answer = await office.world.client.post("https://dirbridge.test/beta/dirbridge/jobs/none/browse", json={})
    assert answer.status_code == 404
