"""An entry read through the agent, to try expressions on."""

from __future__ import annotations

import base64
from uuid import UUID

import httpx2

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.service.graph import entries
from tests.service.graph.conftest import BASE, World, code, message
from tests.service.graph.test_ondemand import ANN, BOB, TEAM, Office, office

__all__ = ["office"]


async def _read(office: Office, name: str, **more: str) -> httpx2.Response:
    job = office.path.rpartition("/")[2]
    body = {"name": name, **more}
    return await office.world.client.post(f"{BASE}/beta/dirbridge/jobs/{job}/readEntry", json=body)


async def test_all_that_a_mapping_is_given(office: Office) -> None:
    """Values of every attribute, bytes as base64, references as anchors, and what the engine makes itself."""
    office.directory.nodes[ANN].attributes |= {"mail": (" ann@x",), "accountExpires": ("1",)}
    office.directory.nodes[ANN].manager = BOB
    for name in ("ann.lee@contoso.test", "ann.lee", office.dn(ANN), ANN):
        shown = (await _read(office, name)).json()
        assert (shown["id"], shown["objectTypeName"], shown["displayName"]) == (ANN, "user", "Ann Lee")
        assert shown["distinguishedName"] == office.dn(ANN)
        values = {each["key"]: each["value"] for each in shown["properties"]}
        assert values["mail"] == [" ann@x"]
        assert values["manager"] == [BOB]
        assert values["accountExpired"] == ["True"]
        assert values["objectGUID"] == [base64.b64encode(UUID(ANN).bytes_le).decode()]
        assert "givenName" not in values


async def test_what_is_read_can_be_tried(office: Office) -> None:
    """The properties are a test object as they are."""
    properties = (await _read(office, "bob.ray")).json()["properties"]
    body = {"expression": "ToUpper([sAMAccountName])", "testInputObject": {"properties": properties}}
    answer = await office.world.client.post(f"{office.path}/schema/parseExpression", json=body)
    assert answer.json()["evaluationResult"] == ["BOB.RAY"]


async def test_groups_come_without_their_members(office: Office) -> None:
    """There may be any number of them, and no expression can ask for them."""
    shown = (await _read(office, "Team")).json()
    assert (shown["id"], shown["objectTypeName"]) == (TEAM, "group")
    assert "member" not in {each["key"] for each in shown["properties"]}


async def test_names_that_stand_for_nothing(office: Office) -> None:
    """Or for something else than was asked for."""
    answer = await _read(office, "nobody")
    assert (answer.status_code, code(answer)) == (400, "EntryNotFound")
    answer = await _read(office, "ann.lee", objectTypeName="group")
    assert (answer.status_code, code(answer)) == (400, "EntryTypeUnexpected")
    assert "is of type 'user'; group is expected" in message(answer)
    assert (await _read(office, "")).status_code == 400


async def test_a_job_that_is_not_there(world: World, office: Office) -> None:
    """404, as everywhere."""
    answer = await world.client.post(f"{BASE}/beta/dirbridge/jobs/none/readEntry", json={"name": anchor_of(1)})
    assert answer.status_code == 404


async def test_reading_is_audited_and_throttled(world: World, office: Office) -> None:
    """Somebody looks at a person's data: that is remembered, and cannot be done to the whole company at once."""
    for _ in range(entries.MOST):
        assert (await _read(office, "ann.lee")).status_code == 200
    answer = await _read(office, "ann.lee")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "10")
    rows = await world.run("select detail ->> 'name' from audits where activity = %s", ["Read entry"])
    assert rows == [("ann.lee",)] * entries.MOST


async def test_functions_are_explained(world: World) -> None:
    """With what docs/expressions.md says."""
    found = (await world.client.get(f"{BASE}/beta/dirbridge/functions")).json()["value"]
    shown = next(each for each in found if each["name"] == "Join")
    assert (shown["category"], shown["signature"]) == ("Several values", "Join(separator, source…)")
    assert shown["description"].endswith(".")
    assert shown["example"].startswith("Join(")
