"""The directories of a schema document, and what an agent tells of the live one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dirbridge.store import jobs
from tests.service.graph.conftest import TENANT, World, code, message
from tests.service.graph.test_ondemand import Office, office

__all__ = ["office"]


async def _directory(office: Office, name: str = "Active Directory") -> dict[str, Any]:
    answer = await office.world.get(f"{office.path}/schema/directories")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = next(each for each in answer.json()["value"] if each["name"] == name)
    return found


async def _row(office: Office) -> dict[str, Any]:
    async with office.world.database.connection() as conn:
        (found,) = await jobs.list_all(conn, TENANT)
    return msgspec.structs.asdict(found)


def _names(directory: dict[str, Any], kind: str = "user") -> set[str]:
    (found,) = [each for each in directory["objects"] if each["name"] == kind]
    return {attribute["name"] for attribute in found["attributes"]}


async def test_both_ends_are_listed(office: Office) -> None:
    """As a list, counted, and each by its id; what is not there is not found."""
    at = f"{office.path}/schema/directories"
    listed = (await office.world.get(at)).json()
    assert [each["name"] for each in listed["value"]] == ["Active Directory", "Azure Active Directory"]
    assert (await office.world.get(at + "/$count")).text == "2"
    one = (await office.world.get(f"{at}/{listed['value'][1]['id']}")).json()
    assert {key: value for key, value in one.items() if key != "@odata.context"} == listed["value"][1]
    missing = await office.world.get(f"{at}/nowhere")
    assert (missing.status_code, code(missing)) == (404, "Request_ResourceNotFound")


async def test_discovery_finds_what_is_there(office: Office) -> None:
    """The answer has what entries have now; the document keeps what it maps, too, and can be written back."""
    office.directory.nodes[next(iter(office.directory.nodes))].attributes.clear()
    for node in office.directory.nodes.values():
        if node.object_type == "user":
            node.attributes["badgeColour"] = ("blue",)
    before, row = await _directory(office), await _row(office)
    answer = await office.world.client.post(f"{office.path}/schema/directories/{before['id']}/discover")
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    assert {"badgeColour", "userPrincipalName", "objectGUID", "accountDisabled"} <= _names(seen)
    assert "mailNickname" not in _names(seen)
    assert seen["version"]
    assert seen["discoveryDateTime"].endswith("Z")
    stored = await _directory(office)
    assert (stored["version"], stored["discoveryDateTime"]) == (seen["version"], seen["discoveryDateTime"])
    assert {"badgeColour", "mailNickname"} <= _names(stored)
    after = await _row(office)
    assert (after["generation"], after["full_read_wanted"]) == (row["generation"], row["full_read_wanted"])
    document = (await office.world.get(f"{office.path}/schema")).json()
    assert document["version"] != row["schema"]["version"]
    written = await office.world.client.put(f"{office.path}/schema", json=document)
    assert written.status_code == 204, written.text
    assert (await _directory(office)) == stored


async def test_the_target_is_not_discovered(office: Office) -> None:
    """What the tenant can hold is fixed."""
    target = await _directory(office, "Azure Active Directory")
    answer = await office.world.client.post(f"{office.path}/schema/directories/{target['id']}/discover")
    assert (answer.status_code, code(answer)) == (400, "BadRequest")
    assert "is fixed" in message(answer)


async def test_discovery_needs_the_directory_right(office: Office, world: World) -> None:
    """The right to steer jobs is not the right to read what a directory is like."""
    source = await _directory(office)
    answer = await world.client.post(
        f"{office.path}/schema/directories/{source['id']}/discover",
        headers=world.bearer("Synchronization.ReadWrite.All"),
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("verb", ["GET", "POST"])
async def test_uploads_are_refused(office: Office, world: World, verb: str) -> None:
    """Entries come from an agent; the refusal says so."""
    headers = world.bearer("SynchronizationData-User.Upload")
    answer = await world.client.request(verb, f"{office.path}/bulkUpload", headers=headers)
    assert (answer.status_code, code(answer)) == (400, "notSupported")
    assert "API2AAD" in message(answer)
