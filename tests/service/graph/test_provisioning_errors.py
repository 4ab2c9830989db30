"""`onPremisesProvisioningErrors`: values that an object should have and another one holds, on a real database."""

from uuid import UUID

import pytest

from tests.service.graph.conftest import World, add_job, code

JOB = "AD2AADProvisioning.test"
NAME = "onPremisesProvisioningErrors"


@pytest.fixture
async def waiting(world: World) -> UUID:
    """Ada's entry wants the sign-in name and the address of Bob's object; Bob waits for nothing."""
    await add_job(world, JOB)
    ada, bob = await world.user("Ada"), await world.user("Bob")
    group = await world.put("group", "Staff", job=JOB)
    for anchor, id, waits_for in (
        ("a", ada, "userPrincipalName:bob@contoso.test"),
        ("b", bob, None),
        ("c", group, "address:bob@contoso.test"),
    ):
        await world.run(
            "insert into links (tenant, job, anchor, object_type, name, target, state, reason, digest)"
            " select tenant, %s, %s, object_type, 'x', id, 'provisioned', '', 'x' from directory_objects where id = %s",
            (JOB, anchor, id),
        )
        await world.run(
            "insert into due (tenant, job, anchor, reason, at, attempt, since, waits_for)"
            " select id, %s, %s, 'AttributeValueMustBeUnique', now(), 1, '2026-03-01T12:00:00Z', %s from tenants",
            (JOB, anchor, waits_for),
        )
    return ada


async def test_objects_show_what_they_wait_for(world: World, waiting: UUID) -> None:
    """Users where it is selected, groups by default; who waits for nothing has an empty list."""
    error = {
        "category": "PropertyConflict",
        "occurredDateTime": "2026-03-01T12:00:00Z",
        "propertyCausingError": "UserPrincipalName",
        "value": "bob@contoso.test",
    }
    assert (await world.get(f"users/{waiting}", select=NAME)).json()[NAME] == [error]
    users = (await world.get("users", select=f"displayName,{NAME}")).json()["value"]
    assert {each["displayName"]: each[NAME] for each in users} == {"Ada": [error], "Bob": []}
    groups = (await world.get("groups")).json()["value"]
    assert [each[NAME] for each in groups] == [[{**error, "propertyCausingError": "ProxyAddress"}]]
    assert NAME not in (await world.get(f"users/{waiting}")).json()


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        (f"{NAME}/any(e:e/category eq 'PropertyConflict')", ["Ada"]),
        (f"{NAME}/any(e:e/category eq 'Other')", []),
        (f"{NAME}/any(e:e/propertyCausingError eq 'UserPrincipalName' and e/value eq 'BOB@contoso.test')", ["Ada"]),
        (f"{NAME}/any(e:e/propertyCausingError eq 'ProxyAddress')", []),
        (f"{NAME}/any(e:e/occurredDateTime ge 2026-01-01T00:00:00Z)", ["Ada"]),
        (f"{NAME}/any(e:e/occurredDateTime le 2026-01-01T00:00:00Z)", []),
        (f"{NAME}/any()", ["Ada"]),
    ],
)
async def test_filter_finds_objects_that_wait(world: World, waiting: UUID, asked: str, names: list[str]) -> None:
    """Without an advanced query."""
    assert await world.names("users", filter=asked) == names


async def test_objects_that_do_not_wait_are_an_advanced_query(world: World, waiting: UUID) -> None:
    """As every negation is; what the elements have not is refused."""
    asked = f"not {NAME}/any(e:e/category eq 'PropertyConflict')"
    assert await world.names("users", advanced=True, filter=asked) == ["Bob"]
    refused = await world.get("users", filter=asked)
    assert (refused.status_code, code(refused)) == (400, "Request_UnsupportedQuery")
    for wrong in (f"{NAME}/any(e:e/colour eq 'x')", f"{NAME}/any(e:e eq 'x')", f"{NAME} eq 'x'"):
        assert (await world.get("users", filter=wrong)).status_code == 400
