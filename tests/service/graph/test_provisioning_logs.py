"""The provisioning log through the API: shape, filters, order, pages."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from dirbridge.contract.codes import CODES
from dirbridge.contract.event import Detail, Event, ModifiedProperty, Status, Step, StepType
from dirbridge.contract.export import Action, Fault
from dirbridge.service.graph import filters, steps
from dirbridge.store import event_queries, events
from dirbridge.store.conditions import compile_condition
from tests.service.graph.conftest import BASE, TENANT, World, add_job, code, message

LOG = "auditLogs/provisioning"
START = datetime(2026, 1, 31, 8, 0, tzinfo=UTC)


def event(number: int = 0, **changes: Any) -> Event:
    """An event, `number` seconds after the start."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "at": START + timedelta(seconds=number),
        "job": "job",
        "cycle": UUID(int=1),
        "change": uuid4(),
        "action": Action.CREATE,
        "status": Status.SUCCESS,
        "reason": "",
        "source_id": f"anchor-{number}",
        "source_type": "user",
        "source_name": "Ada Lovelace",
        "target_id": str(UUID(int=2)),
        "target_type": "User",
        "target_name": "Ada Lovelace",
        "duration": 12,
        "detail": Detail(
            (
                Step("EntryImportAdd", StepType.IMPORT, Status.SUCCESS, {"type": "user"}),
                Step("EntryExportAdd", StepType.EXPORT, Status.SUCCESS, {"note1": "The domain is not verified."}),
            ),
            (ModifiedProperty("DisplayName", None, "Ada Lovelace"),),
        ),
    }
    return Event(**{**values, **changes})


async def write(world: World, *rows: Event) -> None:
    async with world.database.transaction() as conn:
        await events.write(conn, TENANT, rows)


async def ids(world: World, **options: str) -> list[str]:
    answer = await world.get(LOG, **options)
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()["value"]]


async def test_one_event_in_full(world: World) -> None:
    """An event has every member of Graph's type, its steps in words, its systems and application by name."""
    sp = await add_job(world, "job")
    row = event()
    await write(world, row)
    answer = await world.get(LOG)
    ((app_id,),) = await world.run("select app_id from service_principals where id = %s", [sp])
    wanted = {
        "id": str(row.id),
        "activityDateTime": "2026-01-31T08:00:00Z",
        "tenantId": str(TENANT),
        "jobId": "job",
        "cycleId": str(row.cycle),
        "changeId": str(row.change),
        "provisioningAction": "create",
        "durationInMilliseconds": 12,
        "sourceSystem": {"id": "source-id", "displayName": "Active Directory", "details": {}},
        "targetSystem": {
            "id": "",
            "displayName": "Azure Active Directory",
            "details": {
                "ApplicationId": str(app_id),
                "ServicePrincipalId": str(sp),
                "ServicePrincipalDisplayName": "contoso.test",
            },
        },
        "initiatedBy": {"id": "", "displayName": "dirbridge", "initiatorType": "system"},
        "servicePrincipal": {"id": str(sp), "displayName": "contoso.test"},
        "sourceIdentity": {"id": "anchor-0", "displayName": "Ada Lovelace", "identityType": "user", "details": {}},
        "targetIdentity": {
            "id": row.target_id,
            "displayName": "Ada Lovelace",
            "identityType": "User",
            "details": {},
        },
        "provisioningStatusInfo": {"status": "success", "errorInformation": None},
        "provisioningSteps": [
            {
                "name": "EntryImportAdd",
                "provisioningStepType": "import",
                "status": "success",
                "description": "Active Directory reported user 'Ada Lovelace', which was not known before.",
                "details": {"type": "user"},
            },
            {
                "name": "EntryExportAdd",
                "provisioningStepType": "export",
                "status": "success",
                "description": "User 'Ada Lovelace' was created in Azure Active Directory. The domain is not verified.",
                "details": {"note1": "The domain is not verified."},
            },
        ],
        "modifiedProperties": [{"displayName": "DisplayName", "oldValue": None, "newValue": "Ada Lovelace"}],
    }
    assert answer.json() == {"@odata.context": f"{BASE}/v1.0/$metadata#auditLogs/provisioning", "value": [wanted]}
    one = await world.get(f"{LOG}/{row.id}")
    assert one.json() == {"@odata.context": f"{BASE}/v1.0/$metadata#auditLogs/provisioning/$entity", **wanted}
    (beta,) = (await world.client.get(f"{BASE}/beta/{LOG}")).json()["value"]
    assert (beta["action"], beta["statusInfo"]) == ("Create", wanted["provisioningStatusInfo"])


async def test_a_failure_says_why(world: World) -> None:
    """Code, reason, remedy and details of the fault are there, also when the job is gone by now."""
    fault = Fault("AttributeValueMustBeUnique", "It belongs to 'Bert'.", "Change it.", {"holderName": "Bert"})
    await write(world, event(status=Status.FAILURE, reason=fault.code, detail=Detail(fault=fault)))
    (shown,) = (await world.get(LOG)).json()["value"]
    assert shown["provisioningStatusInfo"] == {
        "status": "failure",
        "errorInformation": {
            "errorCode": "AttributeValueMustBeUnique",
            "reason": "It belongs to 'Bert'.",
            "additionalDetails": "holderName: Bert",
            "errorCategory": "nonServiceFailure",
            "recommendedAction": "Change it.",
        },
    }
    assert shown["servicePrincipal"] == {"id": "", "displayName": ""}


async def test_a_skip_says_why_by_its_code(world: World) -> None:
    """Where there is a code only, the table of codes speaks; the clause that was not met stands beside it."""
    scoped = Step(
        "EntrySynchronizationScoping", StepType.SCOPING, Status.SKIPPED, {"passed": "False", "clause": "cn IS NOT NULL"}
    )
    await write(world, event(status=Status.SKIPPED, action=Action.OTHER, reason="NotInScope", detail=Detail((scoped,))))
    (shown,) = (await world.get(LOG)).json()["value"]
    assert shown["provisioningStatusInfo"] == {
        "status": "skipped",
        "errorInformation": {
            "errorCode": "NotInScope",
            "reason": "The entry is left out; the message has the clause that it failed. Not a failure.",
            "additionalDetails": "clause: cn IS NOT NULL",
            "errorCategory": "success",
            "recommendedAction": "None, or change the entry.",
        },
    }


async def test_a_remedy_that_the_error_lacks_comes_from_the_table(world: World) -> None:
    """As does whose affair it is."""
    fault = Fault("TimeOut", "No agent took the request.")
    await write(world, event(status=Status.FAILURE, reason=fault.code, detail=Detail(fault=fault)))
    (shown,) = (await world.get(LOG)).json()["value"]
    said = shown["provisioningStatusInfo"]["errorInformation"]
    assert (said["reason"], said["errorCategory"]) == ("No agent took the request.", "failure")
    assert said["recommendedAction"].startswith("See the agent's log")


async def test_newest_first_and_pages_without_gap(world: World) -> None:
    """The newest comes first; pages under concurrent inserts hold each earlier event once; many share a moment."""
    rows = [event(number // 4) for number in range(30)]
    await write(world, *rows)
    seen: list[str] = []
    times: list[str] = []
    async for page in world.pages(LOG, top="7", select="id,activityDateTime"):
        seen += [each["id"] for each in page]
        times += [each["activityDateTime"] for each in page]
        await write(world, event(100 + len(seen)), event(3))
        assert len(seen) < 200
    assert len(seen) == len(set(seen))
    assert {str(row.id) for row in rows} <= set(seen)
    assert times == sorted(times, reverse=True)


async def test_oldest_first(world: World) -> None:
    """$orderby turns the order round, and pages keep to it."""
    rows = [event(number) for number in range(5)]
    await write(world, *rows)
    found = [each["id"] async for page in world.pages(LOG, top="2", orderby="activityDateTime asc") for each in page]
    assert found == [str(row.id) for row in rows]


async def test_filters(world: World) -> None:
    """Each property that Graph lets filter finds what it should, and nothing else."""
    sp = await add_job(world, "job")
    first = event(0)
    second = event(
        60,
        job="other",
        action=Action.STAGED_DELETE,
        status=Status.SKIPPED,
        reason="NotInScope",
        source_type="group",
        source_name="O'Neill",
        duration=500,
        cycle=UUID(int=9),
    )
    await write(world, first, second)
    one, two = [str(first.id)], [str(second.id)]
    cases = {
        "jobId eq 'job'": one,
        "jobid eq 'JOB'": [],
        "contains(jobId, 'the')": two,
        f"id eq '{first.id}'": one,
        f"changeId eq '{second.change}'": two,
        f"changeId eq {second.change}": two,
        f"contains(changeId, '{str(second.change)[:13]}')": two,
        f"cycleId eq '{first.cycle}'": one,
        "provisioningAction eq 'create'": one,
        "provisioningAction eq 'StagedDelete'": two,
        "contains(provisioningAction,'delete')": two,
        "provisioningStatusInfo/status eq 'Skipped'": two,
        "statusInfo/status eq 'success'": one,
        "provisioningStatusInfo/errorInformation/errorCode eq 'NotInScope'": two,
        "sourceIdentity/id eq 'anchor-60'": two,
        "sourceIdentity/identityType eq 'group'": two,
        "sourceIdentity/displayName eq 'O''Neill'": two,
        "contains(sourceIdentity/displayName,'Love')": one,
        "contains(sourceIdentity/displayName,'love')": [],
        "startsWith(targetIdentity/displayName,'Ada')": two + one,
        "durationInMilliseconds gt 100": two,
        "durationInMilliseconds lt 100 and jobId eq 'job'": one,
        "activityDateTime gt 2026-01-31T08:00:00Z": two,
        "activityDateTime ge 2026-01-31T09:00:00+01:00": two + one,
        "activityDateTime eq 2026-01-31T08:00:00Z": one,
        "activityDateTime lt 2026-01-31T08:00:30Z": one,
        f"servicePrincipal/id eq '{sp}'": one,
        "servicePrincipal/displayName eq 'contoso.test'": one,
        "sourceSystem/displayName eq 'Active Directory'": two + one,
        f"tenantId eq '{TENANT}'": two + one,
        "tenantId eq '00000000-0000-0000-0000-000000000000'": [],
        "not (jobId eq 'job') or durationInMilliseconds in (12, 13)": two + one,
    }
    for text, wanted in cases.items():
        assert await ids(world, filter=text) == wanted, text


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"filter": "shoeSize eq 1"}, "'shoeSize'"),
        ({"filter": "durationInMilliseconds eq 'x'"}, "a number"),
        ({"filter": "activityDateTime gt 'yesterday'"}, "a time such as"),
        ({"filter": "contains(activityDateTime,'2026')"}, "compares text"),
        ({"orderby": "jobId"}, "'jobId'"),
        ({"select": "shoeSize"}, "'shoeSize'"),
        ({"count": "true"}, "'$count' is not supported"),
        ({"top": "0"}, "'0'"),
    ],
)
async def test_bad_options(world: World, options: dict[str, str], part: str) -> None:
    """What the log cannot be asked is a 400 that names it."""
    answer = await world.get(LOG, **options)
    assert (answer.status_code, part in message(answer)) == (400, True), answer.text


@pytest.mark.parametrize("key", ["nonsense", str(UUID(int=5))])
async def test_unknown_events(world: World, key: str) -> None:
    """An id of no event is 404."""
    answer = await world.get(f"{LOG}/{key}")
    assert (answer.status_code, code(answer)) == (404, "Request_ResourceNotFound")


async def test_a_deep_page_reads_by_index(world: World) -> None:
    """First and deep pages, and the events of one source entry, are read in order from an index."""
    await world.run(
        """insert into events (tenant, id, at, job, cycle, change, action, status, reason, source_id, source_type,
             source_name, target_id, target_type, target_name, duration, detail)
           select %s, gen_random_uuid(), timestamptz '2026-01-01' + n * interval '1 second', 'job', %s,
             gen_random_uuid(), 'create', 'success', '', 'anchor-' || n %% 5000, 'user', '', '', '', '', 1, ''
           from generate_series(1, 20000) n""",
        [TENANT, UUID(int=1)],
    )
    await world.run("analyze events")
    where = compile_condition(
        filters.parse("sourceIdentity/id eq 'anchor-7'"), event_queries.PROPERTIES, type_name="event"
    )
    after = event_queries.After(datetime(2026, 1, 1, 3, tzinfo=UTC), UUID(int=0))
    for options, index in (({}, "_pkey"), ({"after": after}, "_pkey"), ({"where": where}, "source_id")):
        statement, parameters = event_queries.page_query(TENANT, limit=101, **options)  # type: ignore[arg-type]
        async with world.database.connection() as conn:
            cursor = await conn.execute("explain " + statement.as_string(conn), parameters)
            plan = "\n".join(row[0] for row in await cursor.fetchall())
        assert index in plan, plan
        assert "Seq Scan" not in plan, plan


SCENE = steps.Scene("user", "Ada", "Active Directory", "User", "Ada L", "the tenant")
SAID = [
    ("EntryImport", "import", "success", {}, "Active Directory reported user 'Ada'."),
    ("EntryImport", "import", "success", {"evidence": "Tombstone"}, "it was deleted there"),
    ("EntryImport", "matching", "success", {"matched": "True"}, "is taken over"),
    ("EntryImportObjectNotFound", "import", "warning", {}, "neither as live nor as deleted"),
    ("EntrySynchronizationScoping", "scoping", "success", {"passed": "True"}, "User 'Ada' is in scope."),
    ("EntrySynchronizationScoping", "scoping", "skipped", {"clause": "cn is null"}, "not in scope: cn is null"),
    ("EntrySynchronizationScoping", "scoping", "warning", {"held": "Deleted"}, "whom it had stays in scope"),
    ("EntrySynchronizationAdd", "matching", "success", {}, "it is to be created"),
    ("EntrySynchronizationError", "processing", "failure", {"reason": "Bad value."}, "could not be mapped. Bad value."),
    (
        "EntrySynchronizationReferences",
        "referenceResolution",
        "warning",
        {"written": "2", "waiting": "3"},
        "2 references",
    ),
    ("EntryExportUpdate", "export", "success", {"restored": "True"}, "restored and updated"),
    ("EntryExportUpdate", "export", "failure", {}, "could not be updated"),
    ("EntryExportDelete", "export", "success", {}, "User 'Ada L' was deleted in the tenant."),
    ("EntryStagedDelete", "export", "warning", {}, "until a person allows"),
    (
        "EntrySynchronizationSkip",
        "export",
        "skipped",
        {"SkipReason": "ImportSkipped", "reason": "It has no 'Mail'."},
        "Nothing is made for user 'Ada' in the tenant. It has no 'Mail'.",
    ),
    ("EntrySynchronizationSkip", "export", "skipped", {"SkipReason": "SkipOutOfScopeDeletions"}, "leaves alone what"),
    ("EntrySynchronizationSkip", "export", "skipped", {"SkipReason": "RedundantExport"}, "Nothing was to be done"),
    ("SomethingNew", "export", "success", {}, "SomethingNew for user 'Ada': success."),
]


@pytest.mark.parametrize(
    ("name", "kind", "status", "details", "part"), SAID, ids=[f"{row[0]} {row[2]}" for row in SAID]
)
def test_steps_in_words(name: str, kind: str, status: str, details: dict[str, str], part: str) -> None:
    """Each step is a sentence that names the entry; one that has no sentence yet is readable all the same."""
    assert part in steps.describe(Step(name, StepType(kind), Status(status), details), SCENE)


def test_every_step_of_the_engine_has_a_sentence() -> None:
    """Of the codes that stand in the source, none is shown as it is."""
    source = Path(__file__).parents[3] / "src/dirbridge/engine"
    text = "\n".join(file.read_text("utf-8") for file in source.glob("*.py"))
    names = set(re.findall(r'"(Entry(?:Import|Export|Synchronization|Escrow|Staged)\w*)"', text)) - set(CODES)
    assert len(names) > 10
    statuses = (Status.SUCCESS, Status.FAILURE)
    shown = {
        (name, status): steps.describe(Step(name, StepType.PROCESSING, status), SCENE)
        for name in names
        for status in statuses
    }
    assert [key for key, said in shown.items() if key[0] in said] == []
