"""Previews through the API: asked for, followed, read, downloaded, forgotten."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from dirbridge.connectors.memory.directory import Directory, anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.engine import preview
from dirbridge.engine.run import Context
from dirbridge.store import previews
from dirbridge.store.identifiers import new_id
from dirbridge.tenant import account
from dirbridge.tenant.target import TenantTarget
from tests.service.graph.conftest import BASE, World, code, message

TEMPLATE = "1a4721b3-e57f-4451-ae87-ef078703ec94"


class Office:
    """A job of the API with a directory in memory behind it, and a worker that is told when to work."""

    def __init__(self, world: World, job: str) -> None:
        self.world = world
        self.job = job
        self.path = f"{BASE}/beta/dirbridge/jobs/{job}/previews"
        self.directory = Directory("contoso.test")

    def person(self, number: int, name: str, **more: str) -> None:
        """Add a user."""
        sam = name.lower().replace(" ", ".")
        self.directory.create(
            anchor_of(number),
            "user",
            name,
            sAMAccountName=sam,
            userPrincipalName=f"{sam}@contoso.test",
            userAccountControl="512",
            **more,
        )

    async def work(self) -> None:
        """Carry out the preview that waits."""
        context = Context(
            database=self.world.database,
            source=lambda _: MemorySource(self.directory),
            target=TenantTarget(new_id, self.world.app.state.sealing),
            clock=lambda: datetime.now(UTC),
            new_id=new_id,
        )
        async with self.world.database.transaction() as conn:
            taken = await previews.take(conn)
        assert taken is not None
        await preview.run(context, taken)

    async def ask(self, body: Any = None) -> str:
        """Ask for a preview; gives its address."""
        answer = await self.world.client.post(self.path, json=body or {})
        assert answer.status_code == 202, answer.text
        assert answer.headers["Location"] == f"{self.path}/{answer.json()['id']}"
        return str(answer.headers["Location"])

    async def get(self, path: str) -> Any:
        """Read an address."""
        answer = await self.world.client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def office(world: World) -> Office:
    """A new job."""
    made = await world.client.post(f"applicationTemplates/{TEMPLATE}/instantiate", json={"displayName": "contoso.test"})
    jobs = f"servicePrincipals/{made.json()['servicePrincipal']['id']}/synchronization/jobs"
    answer = await world.client.post(jobs, json={"templateId": "AD2AADProvisioning"})
    return Office(world, answer.json()["id"])


async def test_preview_from_asking_to_csv(world: World, office: Office) -> None:
    """It waits, runs, and tells counts and list; the CSV has every row, and no value that a spreadsheet would run."""
    office.person(1, "Ann Lee", displayName="=HYPERLINK(1)")
    office.person(2, "Bob Ray")
    where = await office.ask()
    shown = await office.get(where)
    assert (shown["status"], shown["counts"], shown["requestedBy"] != "") == ("waiting", [], True)
    await office.work()
    shown = await office.get(where)
    assert shown["status"] == "succeeded"
    assert shown["counts"] == [{"action": "create", "status": "success", "type": "User", "reason": "", "number": 2}]
    assert shown["execution"]["countExported"] == 2
    changes = await office.get(f"{where}/changes?$top=1")
    assert len(changes["value"]) == 1
    rest = await office.get(changes["@odata.nextLink"])
    assert {each["sourceIdentity"]["displayName"] for each in changes["value"] + rest["value"]} == {
        "Ann Lee",
        "Bob Ray",
    }
    backwards = await office.get(f"{where}/changes?$orderby=activityDateTime desc&$select=id")
    assert [list(each) for each in backwards["value"]] == [["id"], ["id"]]
    assert [each["id"] for each in backwards["value"]] == [each["id"] for each in rest["value"] + changes["value"]]
    for refused in ("$select=nothing", "$count=true", "$orderby=jobId"):
        assert (await world.client.get(f"{where}/changes?{refused}")).status_code == 400
    one = await office.get(f"{where}/changes?$filter=sourceIdentity/displayName eq 'Bob Ray'")
    assert [each["provisioningAction"] for each in one["value"]] == ["create"]
    text = await world.client.get(f"{where}/changes.csv")
    assert text.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(text.content.decode("utf-8-sig"))))
    assert sorted(row["sourceName"] for row in rows) == ["Ann Lee", "Bob Ray"]
    assert [row["targetName"] for row in rows if row["sourceName"] == "Ann Lee"] == ["'=HYPERLINK(1)"]
    text = await world.client.get(f"{where}/changes.csv", params={"$filter": "sourceIdentity/displayName eq 'Bob Ray'"})
    assert [row["sourceName"] for row in csv.DictReader(io.StringIO(text.content.decode("utf-8-sig")))] == ["Bob Ray"]
    assert (await world.client.get(f"{where}/changes.csv?$filter=nothing eq 1")).status_code == 400
    assert [each["id"] for each in (await office.get(office.path))["value"]] == [shown["id"]]
    # The provisioning log and the tenant know nothing of it.
    assert (await office.get("auditLogs/provisioning"))["value"] == []
    assert await world.names("users") == [account.DISPLAY_NAME]


async def test_previews_in_pages_and_only_what_is_selected(world: World, office: Office) -> None:
    """The newest first; what was not asked for is not counted either."""
    asked = [(await office.ask()).rpartition("/")[2] for _ in range(3)]
    first = await office.get(f"{office.path}?$top=2&$select=id,status")
    assert first["value"] == [{"id": id, "status": "waiting"} for id in (asked[2], asked[1])]
    rest = await office.get(first["@odata.nextLink"])
    assert rest["value"] == [{"id": asked[0], "status": "waiting"}]
    assert "@odata.nextLink" not in rest
    one = await office.get(f"{office.path}/{asked[0]}?$select=progress")
    assert {name: one[name] for name in one if name[0] != "@"} == {"progress": []}
    assert (await world.client.get(f"{office.path}?$select=nothing")).status_code == 400


async def test_counts_are_kept_when_a_preview_ends(world: World, office: Office) -> None:
    """They are not counted again whenever somebody looks."""
    office.person(1, "Ann Lee")
    where = await office.ask()
    await office.work()
    counts = (await office.get(where))["counts"]
    await world.run("delete from events")
    assert (await office.get(where))["counts"] == counts != []


async def test_preview_with_a_proposed_schema_and_settings(office: Office) -> None:
    """What is proposed is used and not stored."""
    office.person(1, "Ann Lee")
    office.person(2, "Bob Ray", department="Sales")
    address = f"{BASE}/v1.0/{await _schema(office)}"
    stored = await office.get(address)
    rules = (await office.get(address))["synchronizationRules"]
    for mapping in rules[0]["objectMappings"]:
        if mapping["sourceObjectName"] == "user":
            clause = {
                "sourceOperandName": "department",
                "operatorName": "EQUALS",
                "targetOperand": {"values": ["Sales"]},
            }
            mapping["scope"]["groups"] = [{"name": "Sales", "clauses": [clause]}]
    where = await office.ask({"schema": {"synchronizationRules": rules}, "settings": {"DeleteThresholdValue": "7"}})
    await office.work()
    shown = await office.get(where)
    assert (shown["status"], shown["withProposedSchema"]) == ("succeeded", True)
    assert shown["proposedSettings"] == {"DeleteThresholdValue": "7"}
    assert {(row["action"], row["number"]) for row in shown["counts"]} == {("create", 1), ("other", 1)}
    assert await office.get(address) == stored


async def _schema(office: Office) -> str:
    ((principal,),) = await office.world.run("select service_principal from jobs where id = %s", [office.job])
    return f"servicePrincipals/{principal}/synchronization/jobs/{office.job}/schema"


async def test_preview_refuses_what_it_cannot_try(world: World, office: Office) -> None:
    """A schema or setting that a job could not have is refused at once, and nothing waits."""
    for body, said in (
        ({"schema": {"synchronizationRules": [{"id": "x"}]}}, "synchronizationRules[0].name: It is missing"),
        ({"settings": {"DeleteThresholdValue": "many"}}, "DeleteThresholdValue expects"),
        ({"settings": {"Colour": "red"}}, "no setting 'Colour'"),
    ):
        answer = await world.client.post(office.path, json=body)
        assert answer.status_code == 400, body
        assert said in message(answer)
    assert (await office.get(office.path))["value"] == []
    answer = await world.client.post(office.path.replace(office.job, "none"), json={})
    assert answer.status_code == 404


async def test_preview_is_stopped_and_forgotten(world: World, office: Office) -> None:
    """What is deleted is gone, the list with it; a list that is not complete is not handed out as one."""
    office.person(1, "Ann Lee")
    where = await office.ask()
    answer = await world.client.get(f"{where}/changes.csv")
    assert (answer.status_code, code(answer)) == (409, "Conflict")
    await office.work()
    assert (await world.client.delete(where)).status_code == 204
    assert (await world.client.get(where)).status_code == 404
    assert (await world.client.delete(where)).status_code == 404
    assert (await world.client.get(f"{where}/changes")).status_code == 404


async def test_only_so_many_previews_wait(world: World, office: Office) -> None:
    """The queue has a bound."""
    for _ in range(10):
        await office.ask()
    answer = await world.client.post(office.path, json={})
    assert answer.status_code == 429


async def test_who_may_only_read_cannot_ask(world: World, office: Office) -> None:
    """Asking needs the right to write synchronization, reading that to read it."""
    where = await office.ask()
    reader = world.bearer("Synchronization.Read.All")
    assert (await world.client.get(where, headers=reader)).status_code == 200
    assert (await world.client.post(office.path, json={}, headers=reader)).status_code == 403
    assert (await world.client.delete(where, headers=reader)).status_code == 403
    stranger = world.bearer("User.Read.All")
    assert (await world.client.get(where, headers=stranger)).status_code == 403
    assert (await world.client.get(f"{office.path}/{uuid4()}")).status_code == 404
