"""Organizational contacts through the API."""

from uuid import uuid4

import pytest

from tests.service.graph.conftest import BASE, World, code, message

PAT = {
    "mailNickname": "pat",
    "givenName": "Pat",
    "surname": "Partner",
    "mail": "pat@partner.test",
    "proxyAddresses": ["SMTP:pat@partner.test"],
    "companyName": "Partner Ltd",
    "businessPhones": ["+44 1"],
    "faxNumber": "+44 2",
    "city": "Leeds",
    "country": "United Kingdom",
    "streetAddress": "1 High Street",
    "onPremisesSyncEnabled": True,
    "onPremisesLastSyncDateTime": "2026-03-01T12:00:00Z",
    "onPremisesImmutableId": "aKRAEgNEYEGmWXplOoj1bA==",
    "targetAddress": "SMTP:pat@partner.test",
}


async def test_contact_as_graph_shows_it(world: World) -> None:
    """Exactly the properties of orgContact; address and phones as collections, with what there is."""
    id = await world.put("contact", "Pat Partner", job="job", **PAT)
    shown = (await world.get(f"contacts/{id}")).json()
    assert shown == {
        "@odata.context": f"{BASE}/v1.0/$metadata#contacts/$entity",
        "id": str(id),
        "deletedDateTime": None,
        "addresses": [
            {
                "city": "Leeds",
                "countryOrRegion": "United Kingdom",
                "officeLocation": None,
                "postalCode": None,
                "state": None,
                "street": "1 High Street",
            }
        ],
        "companyName": "Partner Ltd",
        "department": None,
        "displayName": "Pat Partner",
        "givenName": "Pat",
        "jobTitle": None,
        "mail": "pat@partner.test",
        "mailNickname": "pat",
        "onPremisesLastSyncDateTime": "2026-03-01T12:00:00Z",
        "onPremisesProvisioningErrors": [],
        "onPremisesSyncEnabled": True,
        "phones": [{"number": "+44 1", "type": "business"}, {"number": "+44 2", "type": "businessFax"}],
        "proxyAddresses": ["SMTP:pat@partner.test"],
        "serviceProvisioningErrors": [],
        "surname": "Partner",
    }
    assert (await world.client.get(f"{BASE}/beta/contacts/{id}")).json()["displayName"] == "Pat Partner"
    bare = await world.put("contact", "Bare")
    shown = (await world.get(f"contacts/{bare}", select="displayName,phones,addresses")).json()
    assert (shown["phones"], shown["addresses"]) == ([], [])


async def test_list_count_select_and_filter(world: World) -> None:
    """Lists have contacts only, by page, by name and by filter; users' lists have none of them."""
    for name in ("Quin", "Pat", "Rob"):
        await world.put("contact", name, mail=f"{name.lower()}@partner.test", companyName="Partner Ltd")
    await world.user("Ada")
    assert await world.names("contacts") == ["Pat", "Quin", "Rob"]
    assert await world.names("users") == ["Ada"]
    assert (await world.get("contacts/$count", advanced=True)).text == "3"
    assert await world.names("contacts", filter="startsWith(displayName,'q')") == ["Quin"]
    assert await world.names("contacts", filter="mail eq 'ROB@partner.test'") == ["Rob"]
    assert await world.names("contacts", advanced=True, filter="companyName eq 'Partner Ltd'") == ["Pat", "Quin", "Rob"]
    ordered = (await world.get("contacts", orderby="displayName desc", select="displayName")).json()["value"]
    assert ordered == [{"displayName": name} for name in ("Rob", "Quin", "Pat")]
    seen = [each["displayName"] async for page in world.pages("contacts", top="2") for each in page]
    assert sorted(seen) == ["Pat", "Quin", "Rob"]
    for option, value in (("select", "userPrincipalName"), ("filter", "userPrincipalName eq 'x'")):
        answer = await world.get("contacts", **{option: value})
        assert (answer.status_code, code(answer)) == (400, "BadRequest")
        assert "microsoft.graph.orgContact" in message(answer)


async def test_contacts_in_groups_and_above_people(world: World) -> None:
    """A member with its own type, a manager of users and contacts, and each of these the other way round."""
    ada, pat = await world.user("Ada"), await world.put("contact", "Pat")
    quin = await world.put("contact", "Quin")
    inner, outer = await world.put("group", "Inner"), await world.put("group", "Outer")
    await world.refer(inner, "members", ada, pat)
    await world.refer(outer, "members", inner)
    await world.refer(ada, "manager", pat)
    await world.refer(quin, "manager", pat)
    await world.refer(pat, "manager", ada)
    members = (await world.get(f"groups/{inner}/members")).json()["value"]
    assert {(each["@odata.type"], each["displayName"]) for each in members} == {
        ("#microsoft.graph.user", "Ada"),
        ("#microsoft.graph.orgContact", "Pat"),
    }
    assert await world.names(f"groups/{inner}/members/microsoft.graph.orgContact") == ["Pat"]
    assert await world.names(f"groups/{outer}/transitiveMembers/graph.orgContact") == ["Pat"]
    references = (await world.get(f"groups/{inner}/members/$ref")).json()["value"]
    assert f"{BASE}/v1.0/directoryObjects/{pat}/Microsoft.DirectoryServices.Contact" in [
        each["@odata.id"] for each in references
    ]
    assert await world.names(f"contacts/{pat}/memberOf") == ["Inner"]
    assert await world.names(f"contacts/{pat}/transitiveMemberOf") == ["Inner", "Outer"]
    assert await world.names(f"contacts/{pat}/transitiveMemberOf/graph.group") == ["Inner", "Outer"]
    manager = (await world.get(f"users/{ada}/manager")).json()
    assert (manager["@odata.type"], manager["id"]) == ("#microsoft.graph.orgContact", str(pat))
    assert (await world.get(f"users/{ada}/manager", select="companyName,phones")).status_code == 200
    assert (await world.get(f"contacts/{pat}/manager")).json()["userPrincipalName"] == "ada@contoso.test"
    assert (await world.get(f"contacts/{pat}/manager/$ref")).json()["@odata.id"].endswith(f"/directoryObjects/{ada}")
    assert await world.names(f"contacts/{pat}/directReports") == ["Ada", "Quin"]
    assert await world.names(f"contacts/{pat}/directReports/graph.orgContact") == ["Quin"]
    assert (await world.get(f"contacts/{pat}/directReports/$count", advanced=True)).text == "2"


async def test_contact_without_a_manager(world: World) -> None:
    """404, as for a user."""
    pat = await world.put("contact", "Pat")
    for path in ("manager", "manager/$ref"):
        answer = await world.get(f"contacts/{pat}/{path}")
        assert (answer.status_code, code(answer)) == (404, "Request_ResourceNotFound")


async def test_contacts_among_directory_objects(world: World) -> None:
    """By id with their type, and by many ids; a type that is asked for leaves out the others."""
    ada, pat = await world.user("Ada"), await world.put("contact", "Pat")
    assert (await world.get(f"directoryObjects/{pat}")).json()["@odata.type"] == "#microsoft.graph.orgContact"
    for types, wanted in ((None, {ada, pat}), (["orgContact"], {pat}), (["contact"], {pat}), (["user"], {ada})):
        body = {"ids": [str(ada), str(pat)]} | ({"types": types} if types else {})
        found = (await world.client.post("directoryObjects/getByIds", json=body)).json()["value"]
        assert {each["id"] for each in found} == {str(id) for id in wanted}


async def test_contacts_are_only_read(world: World) -> None:
    """Nothing makes, changes or deletes one here, and the recycle bin knows none."""
    pat = await world.put("contact", "Pat")
    assert (await world.client.post("contacts", json={"displayName": "X"})).status_code == 405
    assert (await world.client.patch(f"contacts/{pat}", json={"displayName": "X"})).status_code == 405
    assert (await world.client.delete(f"contacts/{pat}")).status_code == 405
    for path in ("", "/$count"):
        answer = await world.get(f"directory/deletedItems/microsoft.graph.orgContact{path}", advanced=True)
        assert answer.status_code == 400
        assert "deleted for good" in message(answer)


@pytest.mark.parametrize(
    ("key", "status"), [("pat@partner.test", 400), (str(uuid4()), 404)], ids=["no GUID", "unknown"]
)
async def test_unknown_contacts(world: World, key: str, status: int) -> None:
    """A contact's key is a GUID; one that names none is 404, below it too."""
    for below in ("", "/memberOf", "/manager", "/directReports"):
        assert (await world.get(f"contacts/{key}{below}")).status_code == status


async def test_a_user_is_no_contact(world: World) -> None:
    """Nor is a contact a user: ids of another type are not found."""
    ada, pat = await world.user("Ada"), await world.put("contact", "Pat")
    assert (await world.get(f"contacts/{ada}")).status_code == 404
    assert (await world.get(f"users/{pat}")).status_code == 404
