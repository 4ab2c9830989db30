"""How much of an object a caller sees, by its permissions."""

from typing import Any
from uuid import UUID

import pytest

from tests.service.graph.conftest import World, code, message

PROFILE = {
    "givenName": "Ada", "surname": "Lovelace", "mail": "ada@contoso.test", "jobTitle": "Countess",
    "businessPhones": ["+44 1"], "mobilePhone": "+44 2", "department": "Engines",
}  # fmt: skip


async def filled(world: World) -> tuple[UUID, UUID]:
    """A user in a group; their ids."""
    user = await world.user("Ada", **PROFILE)
    group = await world.put(
        "group", "Engines", description="Those who compute", onPremisesSamAccountName="engines", securityEnabled=True
    )
    await world.refer(group, "members", user)
    return user, group


async def seen(world: World, path: str, *permissions: str) -> dict[str, Any]:
    answer = await world.client.get(path, headers=world.bearer(*permissions))
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document["value"][0] if "value" in document else document


async def test_basic_profile_of_users(world: World) -> None:
    """User.ReadBasic.All shows names and address; the rest is there, and null."""
    user, _ = await filled(world)
    for path in (f"users/{user}", "users", "users/ada@contoso.test"):
        basic = await seen(world, path, "User.ReadBasic.All")
        whole = await seen(world, path, "User.Read.All")
        assert basic.keys() == whole.keys()
        assert (basic["displayName"], basic["surname"], basic["mail"]) == ("Ada", "Lovelace", "ada@contoso.test")
        assert (basic["jobTitle"], basic["mobilePhone"], basic["businessPhones"]) == (None, None, [])
        assert (whole["jobTitle"], whole["mobilePhone"], whole["businessPhones"]) == ("Countess", "+44 2", ["+44 1"])
    asked = await seen(world, f"users/{user}?$select=id,department,givenName", "User.ReadBasic.All")
    assert (asked["department"], asked["givenName"]) == (None, "Ada")


async def test_basic_properties_of_groups(world: World) -> None:
    """Who may read memberships sees what a group is called, not what is known of it at its source."""
    _, group = await filled(world)
    for permission in ("Group.ReadBasic.All", "GroupMember.Read.All"):
        basic = await seen(world, f"groups/{group}", permission)
        assert (basic["displayName"], basic["description"]) == ("Engines", "Those who compute")
        assert basic["onPremisesSamAccountName"] is None
    assert (await seen(world, f"groups/{group}", "Group.Read.All"))["onPremisesSamAccountName"] == "engines"


@pytest.mark.parametrize(
    "path", ["groups/{group}/members", "directoryObjects/{user}", "groups/{group}/members/graph.user"]
)
async def test_objects_of_a_type_that_the_permission_does_not_read(world: World, path: str) -> None:
    """They are there, with their id, and nothing else."""
    user, group = await filled(world)
    address = path.format(user=user, group=group)
    limited = await seen(world, address, "Group.Read.All")
    assert limited["id"] == str(user)
    assert [
        value for name, value in limited.items() if name not in {"id", "@odata.type", "@odata.context"} if value
    ] == []
    assert (await seen(world, address, "Group.Read.All", "User.Read.All"))["jobTitle"] == "Countess"


async def test_objects_by_ids(world: World) -> None:
    """Each type as far as the caller reads it."""
    user, group = await filled(world)
    answer = await world.client.post(
        "directoryObjects/getByIds", json={"ids": [str(user), str(group)]}, headers=world.bearer("User.Read.All")
    )
    found = {each["id"]: each for each in answer.json()["value"]}
    assert (found[str(user)]["displayName"], found[str(group)]["displayName"]) == ("Ada", None)


async def test_expanded_objects(world: World) -> None:
    """`$expand` shows no more than the list of the relation would."""
    user, _ = await filled(world)
    shown = await seen(world, f"users/{user}?$expand=memberOf", "User.Read.All")
    assert [(each["displayName"], each["description"]) for each in shown["memberOf"]] == [(None, None)]


@pytest.mark.parametrize(
    ("path", "permission"),
    [
        ("users?$filter=jobTitle eq 'Countess'", "User.ReadBasic.All"),
        ("users?$filter=startswith(givenName,'A') and department eq 'Engines'", "User.ReadBasic.All"),
        ("users?$orderby=createdDateTime&$count=true", "User.ReadBasic.All"),
        ("users/$count?$filter=city eq 'London'", "User.ReadBasic.All"),
        ("groups?$filter=onPremisesSamAccountName eq 'engines'", "Group.ReadBasic.All"),
        ("groups/{group}/members?$filter=startswith(displayName,'A')&$count=true", "GroupMember.Read.All"),
        ("groups/{group}/members?$orderby=displayName&$count=true", "GroupMember.Read.All"),
    ],
)
async def test_what_is_not_seen_is_not_found_out_by_filters(world: World, path: str, permission: str) -> None:
    """Filtering or sorting by it is refused, with the permission that it takes."""
    _, group = await filled(world)
    headers = {**world.bearer(permission), "ConsistencyLevel": "eventual"}
    answer = await world.client.get(path.format(group=group), headers=headers)
    assert (answer.status_code, code(answer)) == (403, "Authorization_RequestDenied")
    assert ".Read.All" in message(answer)


async def test_what_is_seen_can_be_filtered_by(world: World) -> None:
    """A basic profile is enough to look somebody up; a cast makes a list of one type."""
    user, group = await filled(world)
    await world.user("Bob")
    for path in (
        "users?$filter=startswith(displayName,'A')",
        f"groups/{group}/members/graph.user?$filter=startswith(displayName,'A')&$count=true",
    ):
        headers = {**world.bearer("User.ReadBasic.All", "GroupMember.Read.All"), "ConsistencyLevel": "eventual"}
        answer = await world.client.get(path, headers=headers)
        assert [each["id"] for each in answer.json()["value"]] == [str(user)], answer.text
