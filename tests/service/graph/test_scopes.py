"""Scope by containers and groups through the API: chosen by any name, kept by GUID, shown by present names."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from dirbridge.connectors.memory.directory import ROOT, anchor_of
from dirbridge.contract.errors import TransientError
from dirbridge.engine import cycle
from dirbridge.store import jobs, scope
from tests.service.graph.conftest import TENANT, code, message
from tests.service.graph.test_ondemand import ANN, TEAM, Office, office

__all__ = ["office"]

UNIT = anchor_of(50)
INNER = anchor_of(51)


class Chooser:
    """A job whose scope is chosen."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.client = office.world.client
        self.job = office.path.rpartition("/")[2]
        office.directory.create(UNIT, "container", "North/East")
        office.directory.create(INNER, "container", "City", UNIT)

    async def choose(self, containers: list[str], groups: list[str]) -> httpx2.Response:
        """Store a scope, as Graph's own client does it."""
        rules = (await self.stored())["synchronizationRules"]
        rules[0]["containerFilter"] = {"includedContainers": containers}
        rules[0]["groupFilter"] = {"includedGroups": groups}
        return await self.client.patch(f"{self.office.path}/schema", json={"synchronizationRules": rules})

    async def stored(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.client.get(f"{self.office.path}/schema")).json()
        return found

    async def chosen(self) -> tuple[list[str], list[str]]:
        """What the document holds."""
        (rule,) = (await self.stored())["synchronizationRules"]
        return rule["containerFilter"]["includedContainers"], rule["groupFilter"]["includedGroups"]

    async def shown(self) -> dict[str, Any]:
        """The one rule as the scope's own page shows it."""
        answer = await self.client.get(f"https://dirbridge.test/beta/dirbridge/jobs/{self.job}/scope")
        assert answer.status_code == 200, answer.text
        (rule,) = answer.json()["rules"]
        found: dict[str, Any] = rule
        return found

    async def cycle(self) -> None:
        """Run one cycle."""
        world = self.office.world
        async with world.database.transaction() as conn:
            await jobs.start(conn, TENANT, self.job)
        await cycle.run(world.app.state.engine, TENANT, self.job)

    def dn(self, anchor: str) -> str:
        return self.office.dn(anchor)


@pytest.fixture
async def chooser(office: Office) -> Chooser:
    return Chooser(office)


async def test_names_are_stored_as_guids(chooser: Chooser) -> None:
    """By distinguished name or by GUID in any spelling: what is kept never changes."""
    answer = await chooser.choose([chooser.dn(UNIT), INNER.upper(), UNIT], [chooser.dn(TEAM).lower()])
    assert answer.status_code == 204, answer.text
    assert await chooser.chosen() == ([UNIT, INNER], [TEAM])


async def test_what_is_stored_needs_no_agent(chooser: Chooser) -> None:
    """The same scope can be stored again, or less of it, while nobody can be asked."""
    await chooser.choose([UNIT, INNER], [TEAM])

    class Gone:
        async def locate(self, names: object) -> object:
            raise TransientError("No agent is there.", code="HybridIdentityServiceNoActiveAgents")

    engine = chooser.office.world.app.state.engine
    chooser.office.world.app.state.engine = type(engine)(
        engine.database, lambda _: Gone(), engine.target, engine.clock, engine.new_id
    )
    assert (await chooser.choose([UNIT], [])).status_code == 204
    assert await chooser.chosen() == ([UNIT], [])
    refused = await chooser.choose([UNIT, INNER], [])
    assert (refused.status_code, code(refused)) == (503, "serviceNotAvailable")


@pytest.mark.parametrize(
    ("containers", "groups", "said"),
    [
        (["OU=Nowhere,DC=contoso,DC=test"], [], "contoso.test shows its agent no container 'OU=Nowhere,DC=contoso"),
        ([anchor_of(404)], ["CN=Nobody"], "There is 1 more"),
        ([], ["CN=Nobody"], "includedGroups[0]: contoso.test shows its agent no group 'CN=Nobody'"),
        ([TEAM], [], "is a group. Name a container."),
        ([], [UNIT], "is a container. Name a group."),
        ([], [ANN], "is a user. Name a group."),
        (["Sales"], [], "neither a GUID nor a distinguished name"),
        (["OU=x\x00"], [], "shows its agent no container"),
    ],
)
async def test_what_is_not_there_is_refused(
    chooser: Chooser, containers: list[str], groups: list[str], said: str
) -> None:
    """All that is wrong is named at once, with its place; what was stored stays."""
    await chooser.choose([UNIT], [])
    refused = await chooser.choose(containers, groups)
    assert (refused.status_code, code(refused)) == (400, "InvalidSchema")
    assert said in message(refused)
    assert len(refused.json()["error"]["details"]) == len(containers) + len(groups)
    assert await chooser.chosen() == ([UNIT], [])


async def test_present_names_are_shown(chooser: Chooser) -> None:
    """After a cycle each has its name and path, which follow a rename; before it they are unknown."""
    await chooser.choose([INNER, ROOT], [TEAM])
    before = await chooser.shown()
    assert [each["state"] for each in (*before["containers"], *before["groups"])] == ["unknown"] * 3
    await chooser.cycle()
    chooser.office.directory.rename(INNER, "Town")
    chooser.office.directory.rename(TEAM, "Crew")
    chooser.office.directory.move(TEAM, UNIT)
    await chooser.cycle()
    shown = await chooser.shown()
    assert shown["containers"] == [
        {"id": INNER, "displayName": "Town", "canonicalName": r"contoso.test/North\/East/Town", "state": "present"},
        {"id": ROOT, "displayName": "contoso.test", "canonicalName": "contoso.test", "state": "present"},
    ]
    assert shown["groups"] == [
        {"id": TEAM, "displayName": "Crew", "canonicalName": r"contoso.test/North\/East/Crew", "state": "present"}
    ]


async def test_missing_ones_are_shown(chooser: Chooser) -> None:
    """A deleted container and a deleted group are marked, the group with its reason and since when."""
    await chooser.choose([INNER], [TEAM])
    await chooser.cycle()
    chooser.office.directory.delete(INNER)
    chooser.office.directory.delete(TEAM)
    await chooser.cycle()
    shown = await chooser.shown()
    assert shown["containers"][0]["state"] == "missing"
    (group,) = shown["groups"]
    assert (group["state"], group["reason"], group["displayName"]) == ("missing", scope.DELETED, "Team")
    assert group["since"].endswith("Z")


async def test_a_document_is_checked_with_its_scope(chooser: Chooser) -> None:
    """Asking whether a document is sound looks its names up as storing it would."""
    document = await chooser.stored()
    address = f"https://dirbridge.test/beta/dirbridge/{chooser.office.path}/schema/validate"
    rule = document["synchronizationRules"][0]
    rule["containerFilter"] = {"includedContainers": [chooser.dn(UNIT), "OU=Nowhere"]}
    told = (await chooser.client.post(address, json=document)).json()
    assert [each["target"] for each in told["defects"]] == [
        "synchronizationRules[0].containerFilter.includedContainers[1]"
    ]
    rule["containerFilter"]["includedContainers"].pop()
    document["synchronizationRules"].append({**rule, "id": "another", "groupFilter": {"includedGroups": [TEAM]}})
    rule["groupFilter"] = {"includedGroups": [ANN]}
    told = (await chooser.client.post(address, json=document)).json()
    assert "synchronizationRules[1].groupFilter" in [each["target"] for each in told["defects"]]


async def test_scope_of_no_job(chooser: Chooser) -> None:
    """404, and 403 for who may not read."""
    address = "https://dirbridge.test/beta/dirbridge/jobs/{}/scope"
    assert (await chooser.client.get(address.format("none"))).status_code == 404
    stranger = chooser.office.world.bearer("User.Read.All")
    assert (await chooser.client.get(address.format(chooser.job), headers=stranger)).status_code == 403


async def test_a_preview_looks_names_up_too(chooser: Chooser) -> None:
    """A proposed scope by names is tried as it would be stored; one that is not there is refused."""
    rules = (await chooser.stored())["synchronizationRules"]
    rules[0]["groupFilter"] = {"includedGroups": [chooser.dn(TEAM)]}
    address = f"https://dirbridge.test/beta/dirbridge/jobs/{chooser.job}/previews"
    asked = await chooser.client.post(address, json={"schema": {"synchronizationRules": rules}})
    assert asked.status_code == 202, asked.text
    kept = await chooser.office.world.run("select schema -> 'synchronizationRules' -> 0 from previews")
    assert kept[0][0]["groupFilter"] == {"includedGroups": [TEAM]}
    rules[0]["groupFilter"] = {"includedGroups": ["CN=Nobody"]}
    refused = await chooser.client.post(address, json={"schema": {"synchronizationRules": rules}})
    assert (refused.status_code, code(refused)) == (400, "InvalidSchema")
    assert (await chooser.chosen())[1] == []
