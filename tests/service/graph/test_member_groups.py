"""The ids of the groups that an object is in, on a real database."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from dirbridge.service.graph import member_groups
from tests.service.graph.conftest import World, code, message


@dataclass
class House:
    """Ada is in an inner group, which is in an outer one that has no rights, and both lie in a circle."""

    ada: UUID
    inner: UUID
    outer: UUID
    other: UUID


@pytest.fixture
async def house(world: World) -> House:
    ada = await world.user("Ada")
    inner = await world.put("group", "Inner", securityEnabled=True)
    outer = await world.put("group", "Outer", securityEnabled=False)
    other = await world.put("group", "Other", securityEnabled=True)
    await world.refer(inner, "members", ada)
    await world.refer(outer, "members", inner)
    await world.refer(inner, "members", outer)
    return House(ada, inner, outer, other)


async def ask(world: World, path: str, body: Any) -> httpx2.Response:
    return await world.client.post(path, json=body)


@pytest.mark.parametrize("function", ["getMemberGroups", "getMemberObjects", "microsoft.graph.getMemberGroups"])
async def test_groups_of_groups_count(world: World, house: House, function: str) -> None:
    """All of them, or those with rights."""
    answer = await ask(world, f"users/{house.ada}/{function}", {"securityEnabledOnly": False})
    assert answer.status_code == 200, answer.text
    assert answer.json()["@odata.context"].endswith("$metadata#Collection(Edm.String)")
    assert answer.json()["value"] == sorted([str(house.inner), str(house.outer)])
    answer = await ask(world, f"users/ada@contoso.test/{function}", {"securityEnabledOnly": True})
    assert answer.json()["value"] == [str(house.inner)]


async def test_groups_and_contacts_are_asked_alike(world: World, house: House) -> None:
    """Under their own place and under that of all objects."""
    contact = await world.put("contact", "Cid")
    await world.refer(house.other, "members", contact)
    for place, id, expected in (
        ("groups", house.other, []),
        ("groups", house.inner, sorted([str(house.inner), str(house.outer)])),
        ("contacts", contact, [str(house.other)]),
        ("directoryObjects", contact, [str(house.other)]),
    ):
        answer = await ask(world, f"{place}/{id}/getMemberGroups", {"securityEnabledOnly": False})
        assert (answer.status_code, answer.json()["value"]) == (200, expected)


@pytest.mark.parametrize(("function", "name"), [("checkMemberGroups", "groupIds"), ("checkMemberObjects", "ids")])
async def test_some_groups_are_checked(world: World, house: House, function: str, name: str) -> None:
    """Those that the object is in, through others too; unknown ids are none."""
    asked = [str(house.outer), str(house.other), str(uuid4())]
    answer = await ask(world, f"users/{house.ada}/{function}", {name: asked})
    assert (answer.status_code, answer.json()["value"]) == (200, [str(house.outer)])
    for wrong in ([*asked[:1], "x"], [str(uuid4()) for _ in range(21)], "x"):
        answer = await ask(world, f"users/{house.ada}/{function}", {name: wrong})
        assert answer.status_code == 400
        assert name in message(answer)


@pytest.mark.parametrize("place", ["users", "contacts", "directoryObjects", "groups"])
async def test_who_is_not_there_is_in_no_group(world: World, place: str) -> None:
    """404, not an empty list."""
    answer = await ask(world, f"{place}/{uuid4()}/checkMemberGroups", {"groupIds": []})
    assert (answer.status_code, code(answer)) == (404, "Request_ResourceNotFound")


async def test_rights_are_asked_of_users_only(world: World, house: House) -> None:
    """As in Graph; and members are not shown to who may read users only."""
    answer = await ask(world, f"groups/{house.inner}/getMemberGroups", {"securityEnabledOnly": True})
    assert (answer.status_code, code(answer)) == (400, "Request_BadRequest")
    world.client.headers.update(world.bearer("User.Read.All"))
    assert (await ask(world, f"users/{house.ada}/getMemberGroups", {})).status_code == 403


async def test_too_many_groups_are_refused(world: World, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the way to read them all."""
    monkeypatch.setattr(member_groups, "MOST_GIVEN", 1)
    answer = await ask(world, f"users/{house.ada}/getMemberGroups", {"securityEnabledOnly": False})
    assert (answer.status_code, code(answer)) == (400, "Directory_ResultSizeLimitExceeded")
    assert "transitiveMemberOf" in message(answer)
