"""The tenant's one object for synchronization from on premises."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.graph.conftest import BASE, TENANT, World, code, message

AT = "directory/onPremisesSynchronization"
RIGHT = "OnPremDirectorySynchronization.ReadWrite.All"


def _nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"x": found}
    return found


@pytest.fixture
async def holder(world: World) -> World:
    world.client.headers.update(world.bearer(RIGHT))
    return world


async def _shown(world: World, version: str = "v1.0") -> dict[str, Any]:
    answer = await world.get(f"{BASE}/{version}/{AT}/{TENANT}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_defaults(holder: World) -> None:
    """As published: guard at 500, four features on; the list has the same object; beta has more of it."""
    shown = await _shown(holder)
    assert shown["configuration"] == {
        "accidentalDeletionPrevention": {"alertThreshold": 500, "synchronizationPreventionType": "enabledForCount"}
    }
    assert {name for name, value in shown["features"].items() if value} == {
        "quarantineUponProxyAddressesConflictEnabled",
        "quarantineUponUpnConflictEnabled",
        "softMatchOnUpnEnabled",
        "synchronizeUpnForManagedUsersEnabled",
    }
    (listed,) = (await holder.get(AT)).json()["value"]
    assert listed == {name: value for name, value in shown.items() if name[0] != "@"}
    assert len((await _shown(holder, "beta"))["configuration"]) == 8
    (one,) = (await holder.get(AT, select="id")).json()["value"]
    assert one == {"id": str(TENANT)}


async def test_changes_are_merged(holder: World) -> None:
    """What a body names is changed, in any case of an enumeration; the rest stays."""
    for body in (
        {"configuration": {"accidentalDeletionPrevention": {"synchronizationPreventionType": "Disabled"}}},
        {"features": {"groupWriteBackEnabled": True, "softMatchOnUpnEnabled": None}},
        {"configuration": {"accidentalDeletionPrevention": {"alertThreshold": 7}}},
    ):
        answer = await holder.client.patch(f"{AT}/{TENANT}", json=body)
        assert answer.status_code == 204, answer.text
    shown = await _shown(holder)
    assert shown["configuration"]["accidentalDeletionPrevention"] == {
        "alertThreshold": 7,
        "synchronizationPreventionType": "disabled",
    }
    assert shown["features"]["groupWriteBackEnabled"]
    assert shown["features"]["softMatchOnUpnEnabled"]


async def test_what_was_read_may_come_back(holder: World) -> None:
    """The whole object, as a client reads and writes it, with annotations."""
    shown = await _shown(holder, "beta")
    shown["configuration"] |= {
        "@odata.type": "#microsoft.graph.onPremisesDirectorySynchronizationConfiguration",
        "customerRequestedSynchronizationInterval": "PT30M",
    }
    answer = await holder.client.patch(f"{BASE}/beta/{AT}/{TENANT}", json=shown)
    assert answer.status_code == 204, answer.text
    del shown["configuration"]["@odata.type"]
    assert await _shown(holder, "beta") == shown


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({"features": {"passwordSyncEnabled": True}}, "password hashes are not synchronized"),
        ({"features": {"sunshine": True}}, "sunshine"),
        ({"features": {"groupWriteBackEnabled": "yes"}}, "true or false"),
        (
            {"configuration": {"accidentalDeletionPrevention": {"synchronizationPreventionType": "some"}}},
            "enabledForPercentage",
        ),
        (
            {
                "configuration": {
                    "accidentalDeletionPrevention": {"synchronizationPreventionType": "enabledForPercentage"}
                }
            },
            "percentage",
        ),
        ({"configuration": {"accidentalDeletionPrevention": {"threshold": 3}}}, "unknown field `threshold`"),
        ({"configuration": {"writebackConfiguration": {"userContainer": "OU=x"}}}, "cannot be changed"),
        ({"configuration": {"customerRequestedSynchronizationInterval": "soon"}}, "such as PT30M"),
        ({"feature": {"softMatchOnUpnEnabled": False}}, "unknown field `feature`"),
        ({"features": _nested(700)}, "nests too deeply"),
    ],
)
async def test_bad_changes_are_refused(holder: World, body: dict[str, Any], part: str) -> None:
    """400 that says what is expected; nothing is kept."""
    before = await _shown(holder)
    answer = await holder.client.patch(f"{AT}/{TENANT}", json=body)
    assert answer.status_code == 400
    assert part in message(answer)
    assert await _shown(holder) == before


async def test_one_object_and_its_rights(holder: World) -> None:
    """Another id is none; reading the list asks for less than the object."""
    assert (await holder.get(f"{AT}/other")).status_code == 404
    reader = holder.bearer("OnPremDirectorySynchronization.Read.All")
    assert (await holder.client.get(AT, headers=reader)).status_code == 200
    refused = await holder.client.get(f"{AT}/{TENANT}", headers=reader)
    assert (refused.status_code, code(refused)) == (403, "Authorization_RequestDenied")
