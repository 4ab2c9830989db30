"""The audit trail through the API: shape, filters, order, pages, who may read it."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from psycopg.types.json import Jsonb

from dirbridge.store import audits
from tests.service.graph.conftest import TENANT, World, code, message

AUDITS = "auditLogs/directoryAudits"
START = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)


async def write(world: World, *activities: str, actor: str = "admin@contoso.test") -> None:
    """Store acts, a second apart."""
    for number, activity in enumerate(activities):
        await world.run(
            "insert into audits (tenant, id, at, actor, activity, target, detail) values (%s, %s, %s, %s, %s, %s, %s)",
            [TENANT, uuid4(), START + timedelta(seconds=number), actor, activity, f"target-{number}", Jsonb({})],
        )


async def names(world: World, **options: str) -> list[str]:
    answer = await world.get(AUDITS, **options)
    assert answer.status_code == 200, answer.text
    return [each["activityDisplayName"] for each in answer.json()["value"]]


async def test_an_act_of_an_application_in_full(world: World) -> None:
    """An act names its application, its target and its details; the newest comes first."""
    app_id, principal = uuid4(), uuid4()
    await world.run(
        "insert into service_principals (tenant, id, app_id, display_name) values (%s, %s, %s, 'Reporting')",
        [TENANT, principal, app_id],
    )
    async with world.database.transaction() as conn:
        await audits.record(
            conn, TENANT, actor=f"application {app_id}", activity="Update user", target="user-1",
            detail={"properties": ["city", "state"], "note": "moved"},
        )  # fmt: skip
    (shown,) = (await world.get(AUDITS)).json()["value"]
    assert shown | {"id": "", "correlationId": "", "activityDateTime": ""} == {
        "id": "",
        "category": "UserManagement",
        "correlationId": "",
        "result": "success",
        "resultReason": "",
        "activityDisplayName": "Update user",
        "activityDateTime": "",
        "loggedByService": "dirbridge",
        "operationType": "Update",
        "initiatedBy": {
            "user": None,
            "app": {
                "appId": str(app_id),
                "displayName": "Reporting",
                "servicePrincipalId": str(principal),
                "servicePrincipalName": None,
            },
        },
        "targetResources": [{"id": "user-1", "displayName": None, "type": "User", "modifiedProperties": []}],
        "additionalDetails": [
            {"key": "note", "value": "moved"},
            {"key": "properties", "value": '["city", "state"]'},
        ],
    }
    one = await world.get(f"{AUDITS}/{shown['id']}", select="activityDisplayName,result")
    assert one.json()["activityDisplayName"] == "Update user"
    assert "category" not in one.json()


async def test_an_act_through_the_api_is_in_the_trail(world: World) -> None:
    """Deleting a user through the API is told with the caller's application and the user's id."""
    user = await world.user("Ada")
    assert (await world.client.delete(f"users/{user}")).status_code == 204
    (shown,) = (await world.get(AUDITS, filter=f"targetResources/id eq '{user}'")).json()["value"]
    assert (shown["activityDisplayName"], shown["operationType"]) == ("Delete user", "Delete")
    assert shown["initiatedBy"]["app"]["appId"]


@pytest.mark.parametrize(
    ("activity", "result"),
    [
        ("Refuse sign-in", "failure"),
        ("Lock out", "failure"),
        ("Sign in", "success"),
        ("Unlock administrator", "success"),
    ],
)
async def test_what_was_refused_is_a_failure(world: World, activity: str, result: str) -> None:
    """With its reason, where one was noted."""
    await write(world, activity)
    await world.run("update audits set detail = %s", [Jsonb({"reason": "wrong password"})])
    (shown,) = (await world.get(AUDITS)).json()["value"]
    assert (shown["result"], shown["resultReason"]) == (result, "wrong password" if result == "failure" else "")


@pytest.mark.parametrize(
    ("activity", "category"),
    [
        ("Add user", "UserManagement"),
        ("Update group", "GroupManagement"),
        ("Add client secret", "ApplicationManagement"),
        ("Add verified domain", "DirectoryManagement"),
        ("Restart job", "ProvisioningManagement"),
        ("Revoke agent", "ProvisioningManagement"),
        ("Sign in", "Authentication"),
        ("Reset second factor of administrator", "Authentication"),
        ("Something else", "Other"),
    ],
)
async def test_the_category_follows_from_the_activity(world: World, activity: str, category: str) -> None:
    """What an act was done to decides its category, which a filter finds."""
    await write(world, activity)
    assert await names(world, filter=f"category eq '{category}'") == [activity]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("activityDisplayName eq 'Add user'", ["Add user"]),
        ("startsWith(activityDisplayName, 'Add')", ["Add group", "Add user"]),
        ("activityDateTime ge 2026-01-31T08:00:01Z", ["Delete user", "Add group"]),
        ("activityDateTime le 2026-01-31T08:00:00Z", ["Add user"]),
        ("initiatedBy/user/userPrincipalName eq 'admin@contoso.test' and operationType eq 'Delete'", ["Delete user"]),
        ("initiatedBy/app/appId eq '11111111-1111-1111-1111-111111111111'", []),
        ("loggedByService eq 'Core Directory'", []),
    ],
)
async def test_filters(world: World, wanted: str, found: list[str]) -> None:
    """The documented filters, each answered by the database."""
    await write(world, "Add user", "Add group", "Delete user")
    assert await names(world, filter=wanted) == found


async def test_pages_stay_stable_while_acts_are_added(world: World) -> None:
    """Following pages gives each act once, whatever is added meanwhile; ascending order too."""
    await write(world, *[f"Update user {number}" for number in range(7)])
    seen: list[str] = []
    async for page in world.pages(AUDITS, top="3"):
        seen += [each["activityDisplayName"] for each in page]
        await world.run(
            "insert into audits (tenant, id, actor, activity) values (%s, %s, 'x', 'New')", [TENANT, uuid4()]
        )
    assert seen == [f"Update user {number}" for number in reversed(range(7))]
    assert (await names(world, orderby="activityDateTime asc", top="2")) == ["Update user 0", "Update user 1"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"filter": "secret eq 'x'"}, "Could not find a property named 'secret'"),
        ({"orderby": "category"}, "Sorting by 'category' is not supported"),
        ({"select": "nothing"}, "Could not find a property named 'nothing'"),
        ({"expand": "user"}, "$expand"),
    ],
)
async def test_what_is_not_supported_is_refused(world: World, options: dict[str, str], words: str) -> None:
    """A bad option is a 400 that names it."""
    answer = await world.get(AUDITS, **options)
    assert answer.status_code == 400
    assert words in message(answer)


async def test_who_may_read_it(world: World) -> None:
    """The permission for provisioning logs is not enough; an unknown act is a 404."""
    refused = await world.client.get(AUDITS, headers=world.bearer("ProvisioningLog.Read.All"))
    assert (refused.status_code, code(refused)) == (403, "Authorization_RequestDenied")
    assert (await world.client.get(AUDITS, headers=world.bearer("AuditLog.Read.All"))).status_code == 200
    assert (await world.get(f"{AUDITS}/{uuid4()}")).status_code == 404
    assert (await world.get(f"{AUDITS}/nobody")).status_code == 404
