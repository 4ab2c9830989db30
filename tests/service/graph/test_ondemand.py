"""Provision on demand, as Graph's clients ask for it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from dirbridge.connectors.memory.directory import Directory, anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.engine.run import Context
from dirbridge.store import audits
from dirbridge.store.identifiers import new_id
from dirbridge.tenant.target import TenantTarget
from tests.service.graph.conftest import TENANT, World, code, message

TEMPLATE = "1a4721b3-e57f-4451-ae87-ef078703ec94"
RULE = "6c409270-f78a-4bc6-af23-7cf3ab6482fe"
ANN, BOB, TEAM = (anchor_of(number) for number in range(3))


class Office:
    """A job of the API with a directory in memory behind it."""

    def __init__(self, world: World, path: str) -> None:
        self.world = world
        self.path = path
        self.directory = Directory("contoso.test")
        world.app.state.engine = Context(
            database=world.database,
            source=lambda _: MemorySource(self.directory),
            target=TenantTarget(new_id, world.app.state.sealing),
            clock=lambda: datetime.now(UTC),
            new_id=new_id,
        )
        for anchor, name in ((ANN, "Ann Lee"), (BOB, "Bob Ray")):
            account = name.lower().replace(" ", ".")
            self.directory.create(
                anchor,
                "user",
                name,
                sAMAccountName=account,
                userPrincipalName=f"{account}@contoso.test",
                userAccountControl="512",
            )
        self.directory.create(TEAM, "group", "Team", sAMAccountName="Team", groupType="-2147483646")
        self.directory.add_member(TEAM, ANN)

    async def post(self, name: str, kind: str = "user", **more: Any) -> httpx2.Response:
        """Ask for one entry."""
        subject = {"objectId": name, "objectTypeName": kind, **more.pop("subject", {})}
        body = {"parameters": [{"ruleId": RULE, "subjects": [subject]}], **more}
        return await self.world.client.post(f"{self.path}/provisionOnDemand", json=body)

    async def provision(self, name: str, kind: str = "user", **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The two documents of the answer."""
        answer = await self.post(name, kind, **more)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        assert shown["@odata.context"].endswith("$metadata#microsoft.graph.stringKeyStringValuePair")
        return json.loads(shown["key"]), json.loads(shown["value"])

    def dn(self, anchor: str) -> str:
        """A distinguished name."""
        return self.directory.dn(self.directory.nodes[anchor])


@pytest.fixture
async def office(world: World) -> Office:
    """A new job, never started."""
    made = await world.client.post(f"applicationTemplates/{TEMPLATE}/instantiate", json={"displayName": "contoso.test"})
    jobs = f"servicePrincipals/{made.json()['servicePrincipal']['id']}/synchronization/jobs"
    answer = await world.client.post(jobs, json={"templateId": "AD2AADProvisioning"})
    return Office(world, f"{jobs}/{answer.json()['id']}")


async def test_answer_has_the_shape_that_clients_read(world: World, office: Office) -> None:
    """Two documents as text; steps, identities and systems in Graph's words; the user is there afterwards."""
    outcome, document = await office.provision(office.dn(ANN))
    assert outcome == {"result": "Success", "details": {}}
    assert document["action"] == "Create"
    assert [(step["type"], step["status"]) for step in document["provisioningSteps"]] == [
        ("Import", "Success"),
        ("Scoping", "Success"),
        ("Matching", "Success"),
        ("Export", "Success"),
    ]
    assert document["provisioningSteps"][0]["details"]["userPrincipalName"] == "ann.lee@contoso.test"
    assert document["sourceIdentity"] == {"id": ANN, "type": "user", "displayName": "Ann Lee", "details": {}}
    assert document["sourceSystem"]["name"] == "Active Directory"
    assert document["statusInfo"]["status"] == "Success"
    assert await world.names("users", filter="onPremisesSyncEnabled eq true") == ["Ann Lee"]
    log = (await world.get("auditLogs/provisioning")).json()["value"]
    assert [each["changeId"] for each in log] == [document["changeId"]]


async def test_second_time_is_skipped_with_a_reason(office: Office) -> None:
    """RedundantExport, with a sentence."""
    await office.provision(ANN)
    outcome, document = await office.provision(ANN)
    assert outcome["result"] == "Skipped"
    assert outcome["details"]["errorCode"] == "RedundantExport"
    assert "Nothing was to be done" in outcome["details"]["errorMessage"]
    assert document["statusInfo"]["errorCode"] == "RedundantExport"


async def test_failure_has_code_message_and_remedy(office: Office) -> None:
    """A value that another object has."""
    await office.provision(ANN)
    office.directory.set(BOB, "userPrincipalName", "ann.lee@contoso.test")
    outcome, document = await office.provision(BOB)
    assert outcome["result"] == "Failure"
    assert outcome["details"]["errorCode"] == "AttributeValueMustBeUnique"
    assert document["statusInfo"]["errorCategory"] == "NonServiceFailure"
    assert document["statusInfo"]["recommendedAction"]


async def test_group_with_named_members(world: World, office: Office) -> None:
    """The members come first, so that the group has them."""
    members = {"links": {"members": [{"objectId": office.dn(ANN), "objectTypeName": "user"}]}}
    outcome, document = await office.provision(office.dn(TEAM), "group", subject=members)
    assert (outcome["result"], document["action"]) == ("Success", "Create")
    (told,) = document["links"]["members"]
    assert (told["result"], told["action"], told["sourceIdentity"]["displayName"]) == ("Success", "Create", "Ann Lee")
    assert [step["type"] for step in told["provisioningSteps"]] == ["Import", "Scoping", "Matching", "Export"]
    group = (await world.get("groups")).json()["value"][0]["id"]
    assert await world.names(f"groups/{group}/members") == ["Ann Lee"]


async def test_nulls_are_as_good_as_nothing(world: World, office: Office) -> None:
    """Clients in other languages write every member, null where they have nothing for it."""
    nothing = {"members": None, "manager": None, "owners": None}
    subject = {"objectId": office.dn(ANN), "objectTypeName": None, "links": nothing}
    body = {"parameters": [{"ruleId": None, "subjects": [subject]}]}
    answer = await world.client.post(f"{office.path}/provisionOnDemand", json=body)
    assert answer.status_code == 200, answer.text
    assert '"result":"Success"' in answer.json()["key"]


async def test_out_of_scope_only_if_wished(world: World, office: Office) -> None:
    """The clause that it failed is told; the switch is an addition to Graph's body."""
    office.directory.set(ANN, "adminDescription", "User_x")
    outcome, document = await office.provision(ANN)
    assert outcome["result"] == "Skipped"
    assert "adminDescription" in document["provisioningSteps"][1]["description"]
    assert await world.names("users", filter="onPremisesSyncEnabled eq true") == []
    outcome, document = await office.provision(ANN, regardlessOfScope=True)
    assert outcome["result"] == "Success"
    assert "not in scope" in document["remark"]
    assert await world.names("users", filter="onPremisesSyncEnabled eq true") == ["Ann Lee"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "parameters"),
        ({"parameters": []}, "found 0"),
        ({"parameters": [{"subjects": [{"objectId": "a"}, {"objectId": "b"}]}]}, "found 2"),
        ({"parameters": [{"ruleId": "x", "subjects": [{"objectId": "a"}]}]}, "ruleId expects"),
        ({"parameters": [{"subjects": [{"objectId": ""}]}]}, "objectId"),
        ({"parameters": [{"subjects": [{"objectId": "nobody"}]}]}, "not to be found"),
        ({"parameters": [{"subjects": [{"objectId": "a", "links": {"members": [{"objectId": "b"}] * 6}}]}]}, "found 6"),
        ({"parameters": [{"subjects": [{"objectId": "a", "links": {"manager": {"objectId": "b"}}}]}]}, "members only"),
    ],
)
async def test_bad_bodies_are_refused(world: World, office: Office, body: dict[str, Any], said: str) -> None:
    """Each with what was expected; nothing is written."""
    answer = await world.client.post(f"{office.path}/provisionOnDemand", json=body)
    assert answer.status_code == 400, answer.text
    assert said in message(answer)
    assert await world.names("users", filter="onPremisesSyncEnabled eq true") == []


async def test_only_so_many_within_a_time_and_each_is_audited(world: World, office: Office) -> None:
    """Five in ten seconds; the sixth is told when to come again."""
    for _ in range(5):
        await office.provision(ANN)
    answer = await office.post(ANN)
    assert (answer.status_code, code(answer), answer.headers["Retry-After"]) == (429, "TooManyRequests", "10")
    async with world.database.connection() as conn:
        acts = [act.activity for act in await audits.latest(conn, TENANT)]
    assert acts.count("Provision on demand") == 5


async def test_who_may_only_read_is_refused(world: World, office: Office) -> None:
    """It writes, so it needs the right to."""
    body = {"parameters": [{"subjects": [{"objectId": ANN}]}]}
    answer = await world.client.post(
        f"{office.path}/provisionOnDemand", json=body, headers=world.bearer("Synchronization.Read.All")
    )
    assert answer.status_code == 403
