"""What clients write of users and groups: which properties, under which precondition, and what is answered."""

from typing import Any

import httpx2
import pytest

from tests.service.graph.conftest import BASE, World, code, message

NEW_USER = {
    "accountEnabled": True,
    "displayName": "Ada",
    "mailNickname": "ada",
    "userPrincipalName": "ada@contoso.test",
    "passwordProfile": {"password": "of no use here"},
}
NEW_GROUP = {"displayName": "Staff", "mailEnabled": False, "mailNickname": "staff", "securityEnabled": True}


async def patch(world: World, path: str, body: Any, **headers: str) -> httpx2.Response:
    return await world.client.patch(path, json=body, headers={n.replace("_", "-"): v for n, v in headers.items()})


@pytest.mark.parametrize(
    ("place", "body", "named"),
    [
        ("users", {"nickname": "x"}, "nickname"),
        ("users", {"id": "x"}, "id"),
        ("users", {"onPremisesSyncEnabled": None}, "onPremisesSyncEnabled"),
        ("users", {"proxyAddresses": ["SMTP:x@contoso.test"]}, "proxyAddresses"),
        ("users", {"department": "x" * 65}, "department"),
        ("users", {"jobTitle": "x" * 129}, "jobTitle"),
        ("users", {"employeeId": "x" * 17}, "employeeId"),
        ("users", {"otherMails": ["x@y.test"] * 251}, "otherMails"),
        ("users", {"usageLocation": "Germany"}, "usageLocation"),
        ("users", {"userType": "Alien"}, "userType"),
        ("users", {"passwordPolicies": "Anything"}, "passwordPolicies"),
        ("users", {"onPremisesImmutableId": "a$b"}, "onPremisesImmutableId"),
        ("users", {"onPremisesExtensionAttributes": {"extensionAttribute16": "x"}}, "onPremisesExtensionAttributes"),
        ("users", {"onPremisesExtensionAttributes": {"extensionAttribute1": "x" * 1025}}, "extensionAttributes"),
        ("users", {"onPremisesExtensionAttributes": {"extensionAttribute1": "\x00"}}, "onPremisesExtensionAttributes"),
        ("groups", {"membershipRule": "x"}, "membershipRule"),
        ("groups", {"members": ["x"]}, "members"),
        ("groups", {"owners@odata.bind": [f"{BASE}/v1.0/users/11111111-2222-3333-4444-555555555555"]}, "owners"),
    ],
)
async def test_what_cannot_be_written_is_named(world: World, place: str, body: dict[str, Any], named: str) -> None:
    """A 400, and nothing is changed by what stands beside it."""
    id = await world.user("Ada") if place == "users" else await world.put("group", "Staff")
    answer = await patch(world, f"{place}/{id}", {"displayName": "Changed", **body})
    assert answer.status_code == 400, answer.text
    assert named.lower() in message(answer).lower()
    assert (await world.get(f"{place}/{id}")).json()["displayName"] != "Changed"


async def test_annotations_are_left_out(world: World) -> None:
    """As clients send them with everything."""
    ada = await world.user("Ada")
    body = {"@odata.type": "#microsoft.graph.user", "department@odata.type": "#String", "department": "Sales"}
    assert (await patch(world, f"users/{ada}", body)).status_code == 204
    assert (await world.get(f"users/{ada}", select="department")).json()["department"] == "Sales"


async def test_extension_attributes_are_written_one_by_one(world: World) -> None:
    """What is not named stays, null clears; a list finds them."""
    ada = await world.user("Ada")
    name = "onPremisesExtensionAttributes"
    for change in (
        {"extensionAttribute1": "one", "extensionAttribute15": "last"},
        {"extensionAttribute1": "two"},
        {"extensionAttribute15": None},
    ):
        assert (await patch(world, f"users/{ada}", {name: change})).status_code == 204
    assert (await world.get(f"users/{ada}", select=name)).json()[name] == {"extensionAttribute1": "two"}
    assert await world.names("users", advanced=True, filter=f"{name}/extensionAttribute1 eq 'two'") == ["Ada"]


async def test_representation_is_given_where_it_is_preferred(world: World) -> None:
    """And left out where that is; the header says that it was heeded."""
    made = await world.client.post("users", json=NEW_USER, headers={"Prefer": "return=minimal"})
    assert (made.status_code, made.content) == (204, b"")
    assert made.headers["Preference-Applied"] == "return=minimal"
    assert made.headers["Location"] == made.headers["OData-EntityId"]
    assert (await world.client.get(made.headers["Location"])).json()["displayName"] == "Ada"
    changed = await patch(world, "users/ada@contoso.test", {"jobTitle": "Countess"}, Prefer="return=representation")
    assert (changed.status_code, changed.json()["jobTitle"]) == (200, "Countess")
    assert changed.headers["Preference-Applied"] == "return=representation"
    assert changed.json()["@odata.context"].endswith("$metadata#users/$entity")
    group = await world.client.post("groups", json=NEW_GROUP, headers={"Prefer": 'return="representation"'})
    assert (group.status_code, group.json()["displayName"]) == (201, "Staff")
    path = f"groups/{group.json()['id']}"
    changed = await patch(world, path, {"theme": "Teal"}, Prefer="return=representation")
    assert (changed.status_code, changed.json()["theme"]) == (200, "Teal")


@pytest.mark.parametrize("place", ["users", "groups"])
async def test_change_of_an_older_version_is_refused(world: World, place: str) -> None:
    """The tag of a read guards change and delete; a star fits any version."""
    id = await world.user("Ada") if place == "users" else await world.put("group", "Ada")
    path = f"{place}/{id}"
    first = (await world.get(path)).headers["ETag"]
    assert first.startswith('W/"')
    changed = await patch(world, path, {"displayName": "Bob"}, If_Match=f'"other", {first}')
    assert changed.status_code == 204, changed.text
    for refused in (
        await patch(world, path, {"displayName": "Cid"}, If_Match=first),
        await world.client.delete(path, headers={"If-Match": first}),
    ):
        assert (refused.status_code, code(refused)) == (412, "resourceModified")
        assert refused.json()["error"]["innerError"]["code"] == "entityTagDoesNotMatch"
    malformed = await patch(world, path, {"displayName": "Cid"}, If_Match="nonsense")
    assert (malformed.status_code, malformed.json()["error"]["innerError"]["code"]) == (400, "malformedEntityTag")
    assert (await world.get(path)).json()["displayName"] == "Bob"
    assert (await patch(world, path, {"displayName": "Cid"}, If_Match="*")).status_code == 204
    last = (await world.get(path)).headers["ETag"]
    assert (await world.client.delete(path, headers={"If-Match": last})).status_code == 204


async def test_known_version_is_not_sent_again(world: World) -> None:
    """304 without a body, until it changes."""
    ada = await world.user("Ada")
    tag = (await world.get(f"users/{ada}")).headers["ETag"]
    known = await world.client.get(f"users/{ada}", headers={"If-None-Match": tag})
    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", tag)
    await patch(world, f"users/{ada}", {"displayName": "Bob"})
    changed = await world.client.get(f"users/{ada}", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["displayName"]) == (200, "Bob")


async def test_group_is_found_by_its_unique_name(world: World) -> None:
    """Whatever its case; another group cannot take it, and it stays."""
    made = await world.client.post("groups", json={**NEW_GROUP, "uniqueName": "Staff-1"})
    assert made.status_code == 201, made.text
    path = "groups(uniqueName='staff-1')"
    assert (await world.get(path)).json()["id"] == made.json()["id"]
    assert (await world.get(f"{path}/members")).json()["value"] == []
    again = await world.client.post("groups", json={**NEW_GROUP, "uniqueName": "STAFF-1"})
    assert (again.status_code, code(again)) == (409, "Request_MultipleObjectsWithSameKeyValue")
    assert (await patch(world, path, {"uniqueName": "other"})).status_code == 400
    assert (await world.get("groups(uniqueName='nobody')")).status_code == 404


async def test_group_is_made_with_owners(world: World) -> None:
    """Named as members are."""
    ada = await world.user("Ada")
    bound = {"owners@odata.bind": [f"{BASE}/v1.0/users/{ada}"]}
    made = await world.client.post("groups", json={**NEW_GROUP, **bound})
    assert made.status_code == 201, made.text
    assert await world.names(f"groups/{made.json()['id']}/owners") == ["Ada"]
