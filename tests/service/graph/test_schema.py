"""The schema document through the API: shown, replaced, merged, reset, checked; and what filters can ask."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.contract.schema import Schema
from dirbridge.service.templates import AD_APPLICATION
from dirbridge.store import jobs
from tests.service.graph.conftest import BASE, TENANT, World, add_job, code, message
from tests.service.graph.test_ondemand import Office

JOB = "AD2AADProvisioning.test"


@pytest.fixture
async def job(world: World) -> dict[str, Any]:
    """A job made through the API."""
    name = {"displayName": "contoso.test"}
    answer = await world.client.post(f"applicationTemplates/{AD_APPLICATION}/instantiate", json=name)
    at = f"servicePrincipals/{answer.json()['servicePrincipal']['id']}/synchronization/jobs"
    made = (await world.client.post(at, json={"templateId": "AD2AADProvisioning"})).json()
    return {"at": f"{at}/{made['id']}", "shown": made}


async def _row(world: World) -> dict[str, Any]:
    async with world.database.connection() as conn:
        (found,) = await jobs.list_all(conn, TENANT)
    return msgspec.structs.asdict(found)


async def test_schema_of_a_new_job(world: World, job: dict[str, Any]) -> None:
    """The default mapping is there as data, both directories inside."""
    shown = (await world.get(job["at"] + "/schema")).json()
    assert shown["id"] == job["shown"]["id"]
    (rule,) = shown["synchronizationRules"]
    assert [mapping["targetObjectName"] for mapping in rule["objectMappings"]] == ["User", "User", "Group", "Contact"]
    names = {rule["sourceDirectoryName"], rule["targetDirectoryName"]}
    assert {directory["name"] for directory in shown["directories"]} == names
    assert msgspec.convert(shown, Schema)


async def test_put_replaces_the_schema_and_reads_everything_again(world: World, job: dict[str, Any]) -> None:
    """A changed mapping is stored with a new version; a running cycle is fenced; the next one is initial."""
    before = await _row(world)
    await world.run("update jobs set full_read_wanted = false")
    document = (await world.get(job["at"] + "/schema")).json()
    mapping = document["synchronizationRules"][0]["objectMappings"][0]
    del mapping["flowTypes"]
    mapping["scope"] = None
    kept = [row for row in mapping["attributeMappings"] if row["targetAttributeName"] != "Title"]
    assert len(kept) < len(mapping["attributeMappings"])
    mapping["attributeMappings"] = kept
    answer = await world.client.put(job["at"] + "/schema", json=document)
    assert (answer.status_code, answer.content) == (204, b""), answer.text
    after = await _row(world)
    assert after["generation"] > before["generation"]
    assert after["full_read_wanted"]
    shown = (await world.get(job["at"] + "/schema")).json()
    stored = shown["synchronizationRules"][0]["objectMappings"][0]
    assert (len(stored["attributeMappings"]), stored["flowTypes"]) == (len(kept), "Add,Update,Delete")
    assert shown["version"] != document["version"]
    assert (await world.client.delete(job["at"] + "/schema")).status_code == 204
    stored = (await world.get(job["at"] + "/schema")).json()["synchronizationRules"][0]["objectMappings"][0]
    assert len(stored["attributeMappings"]) > len(kept)


async def test_patch_replaces_what_the_body_has(world: World, job: dict[str, Any]) -> None:
    """Graph's own client sends PATCH without flags: rules are replaced, directories and flow types stay."""
    document = (await world.get(job["at"] + "/schema")).json()
    rules = document["synchronizationRules"]
    for mapping in rules[0]["objectMappings"]:
        del mapping["flowTypes"]
    rules[0]["objectMappings"][0]["enabled"] = False
    answer = await world.client.patch(
        job["at"] + "/schema",
        json={"@odata.type": "#microsoft.graph.synchronizationSchema", "synchronizationRules": rules},
    )
    assert answer.status_code == 204, answer.text
    shown = (await world.get(job["at"] + "/schema")).json()
    assert shown["directories"] == document["directories"]
    stored = shown["synchronizationRules"][0]["objectMappings"]
    assert [(m["enabled"], m["flowTypes"]) for m in stored] == [
        (flag, "Add,Update,Delete") for flag in (False, True, True, True)
    ]


async def test_patch_keeps_flow_types_by_rule_and_place(world: World, job: dict[str, Any]) -> None:
    """Mappings of the same name, in one rule or in two, keep each its own."""
    at = job["at"] + "/schema"
    document = (await world.get(at)).json()
    rule = document["synchronizationRules"][0]
    off = {**rule["objectMappings"][0], "enabled": False, "flowTypes": "Update"}
    rule["objectMappings"].append(off)
    document["synchronizationRules"].append({
        **rule, "id": "second", "objectMappings": [{**off, "flowTypes": "Add"}],
    })  # fmt: skip
    answer = await world.client.put(at, json=document)
    assert answer.status_code == 204, answer.text
    rules = (await world.get(at)).json()["synchronizationRules"]
    for mapping in [mapping for each in rules for mapping in each["objectMappings"]]:
        del mapping["flowTypes"]
    rules.reverse()
    assert (await world.client.patch(at, json={"synchronizationRules": rules})).status_code == 204
    second, first = (await world.get(at)).json()["synchronizationRules"]
    assert [each["flowTypes"] for each in second["objectMappings"]] == ["Add"]
    assert [each["flowTypes"] for each in first["objectMappings"]] == ["Add,Update,Delete"] * 4 + ["Update"]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_members_that_no_document_has(world: World, job: dict[str, Any], method: str) -> None:
    """They are refused by their path, at the top or below; what Graph shows beside the document may come along."""
    before = await _row(world)
    document = (await world.get(job["at"] + "/schema")).json()
    answer = await world.client.request(method, job["at"] + "/schema", json=document | {"rules": []})
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, "rules")
    document["synchronizationRules"][0]["objectMappings"][0]["attributeMapping"] = []
    answer = await world.client.request(method, job["at"] + "/schema", json=document)
    target = "synchronizationRules[0].objectMappings[0].attributeMapping"
    assert (answer.status_code, code(answer), answer.json()["error"]["target"]) == (400, "InvalidSchema", target)
    assert await _row(world) == before


async def test_what_was_read_can_be_written_back_without_loss(world: World, job: dict[str, Any]) -> None:
    """Nothing changes: neither the document nor its version, and no cycle reads everything again."""
    await world.run("update jobs set full_read_wanted = false")
    before = await _row(world)
    shown = (await world.get(job["at"] + "/schema")).json()
    assert (await world.client.put(job["at"] + "/schema", json=shown)).status_code == 204
    assert (await world.get(job["at"] + "/schema")).json() == shown
    rules = {"synchronizationRules": shown["synchronizationRules"]}
    assert (await world.client.patch(job["at"] + "/schema", json=rules)).status_code == 204
    assert (await world.client.delete(job["at"] + "/schema")).status_code == 204
    assert await _row(world) == before
    assert await world.run("select 1 from audits where activity like 'Update attribute%%'") == []


async def test_everything_that_a_document_can_say_is_kept(world: World, job: dict[str, Any]) -> None:
    """Members that no default document has come back as they were written."""
    unit = anchor_of(50)
    Office(world, job["at"]).directory.create(unit, "container", "Sales")
    document = (await world.get(job["at"] + "/schema")).json()
    rule = document["synchronizationRules"][0]
    rule |= {
        "metadata": [{"key": "supportsProvisionOnDemand", "value": "true"}],
        "containerFilter": {"includedContainers": [unit]},
    }
    users = rule["objectMappings"][0]
    users["scope"]["groups"] = [
        {"name": None, "clauses": [{"sourceOperandName": "department", "operatorName": "Includes",
                                    "targetOperand": {"values": ["Sales"]}}]},
        {"name": "none", "clauses": [{"sourceOperandName": "cn", "operatorName": "IS NULL", "targetOperand": None}]},
    ]  # fmt: skip
    users["scope"]["categoryFilterGroups"] = users["scope"]["groups"]
    row = next(row for row in users["attributeMappings"] if row["targetAttributeName"] == "UsageLocation")
    row |= {"source": None, "defaultValue": "DE", "flowBehavior": "FlowAlways", "flowType": "ObjectAddOnly"}
    title = next(a for a in document["directories"][1]["objects"][0]["attributes"] if a["name"] == "Title")
    title |= {
        "apiExpressions": [{"key": "a", "value": "b"}],
        "metadata": [{"key": "MaximumLength", "value": "64"}],
        "flowNullValues": True,
        "caseExact": False,
    }
    document["directories"][0] |= {"discoveryDateTime": "2026-03-01T12:00:00Z", "version": "7"}
    answer = await world.client.put(job["at"] + "/schema", json=document)
    assert answer.status_code == 204, answer.text
    shown = (await world.get(job["at"] + "/schema")).json()
    assert shown | {"version": document["version"]} == document
    assert shown["version"] != document["version"]


async def test_a_document_of_another_job_can_be_restored(world: World, job: dict[str, Any]) -> None:
    """Its id and version are this job's own."""
    document = (await world.get(job["at"] + "/schema")).json()
    document["synchronizationRules"][0]["objectMappings"][3]["enabled"] = False
    copy = document | {"id": "another job", "version": "7"}
    assert (await world.client.put(job["at"] + "/schema", json=copy)).status_code == 204
    shown = (await world.get(job["at"] + "/schema")).json()
    assert (shown["id"], shown["version"][:5]) == (job["shown"]["id"], "Date:")


def _broken(document: dict[str, Any], what: str) -> Any:
    rule = document["synchronizationRules"][0]
    mapping = rule["objectMappings"][0]
    match what:
        case "directories":
            del document["directories"]
        case "synchronizationRules":
            document["synchronizationRules"] = []
        case "synchronizationRules[0].objectMappings[0].attributeMappings":
            mapping["attributeMappings"] = "all"
        case "synchronizationRules[0].targetDirectoryName":
            rule["targetDirectoryName"] = "Elsewhere"
        case "synchronizationRules[0].objectMappings[0].attributeMappings[0].source":
            mapping["attributeMappings"][0]["source"] = {"type": "Function", "name": "Explode", "parameters": []}
        case "synchronizationRules[0].objectMappings[0].attributeMappings[0].targetAttributeName":
            mapping["attributeMappings"][0]["targetAttributeName"] = "ShoeSize"
        case "directories[1].objects[0].attributes[0].name":
            document["directories"][1]["objects"][0]["attributes"][0]["name"] = "ShoeSize"
        case "synchronizationRules ":
            document["synchronizationRules"] = {"a": 1}
        case "synchronizationRules[0]":
            document["synchronizationRules"] = ["x"]
    return document


@pytest.mark.parametrize(
    "where",
    [
        "directories",
        "synchronizationRules",
        "synchronizationRules ",
        "synchronizationRules[0]",
        "synchronizationRules[0].objectMappings[0].attributeMappings",
        "synchronizationRules[0].targetDirectoryName",
        "synchronizationRules[0].objectMappings[0].attributeMappings[0].source",
        "synchronizationRules[0].objectMappings[0].attributeMappings[0].targetAttributeName",
        "directories[1].objects[0].attributes[0].name",
    ],
)
async def test_a_bad_schema_is_refused_and_changes_nothing(world: World, job: dict[str, Any], where: str) -> None:
    """What the engine could not use is a 400 that names the place, and the job keeps what it has."""
    before = await _row(world)
    document = (await world.get(job["at"] + "/schema")).json()
    answer = await world.client.put(job["at"] + "/schema", json=_broken(document, where))
    assert answer.status_code == 400, answer.text
    if code(answer) != "InvalidSchema":
        assert where.strip() in message(answer)
    else:
        told = answer.json()["error"]
        targets = [each["target"] for each in told["details"]]
        assert where.strip() in targets
        assert told["target"] == targets[0]
        assert all(each["code"] == "InvalidSchema" for each in told["details"])
    assert await _row(world) == before


async def test_all_faults_are_told_at_once(world: World, job: dict[str, Any]) -> None:
    """The first in the message, every one in the details; asked beforehand the answer is the same, and no refusal."""
    document = (await world.get(job["at"] + "/schema")).json()
    mapping = document["synchronizationRules"][0]["objectMappings"][0]
    mapping["flowTypes"] = "Sometimes"
    clause = {"sourceOperandName": "shoeSize", "operatorName": "LIKE", "targetOperand": {"values": ["x"]}}
    mapping["scope"]["groups"] = [{"name": "mine", "clauses": [clause]}]
    answer = await world.client.put(job["at"] + "/schema", json=document)
    details = answer.json()["error"]["details"]
    path = "synchronizationRules[0].objectMappings[0]"
    assert [each["target"] for each in details] == [
        f"{path}.flowTypes",
        f"{path}.scope.groups[0].clauses[0].operatorName",
        f"{path}.scope.groups[0].clauses[0].sourceOperandName",
    ]
    assert message(answer).startswith(f"{path}.flowTypes: 'Sometimes' is no flow type. Use Add, Update and Delete")
    asked = await world.client.post(f"{BASE}/beta/dirbridge/{job['at']}/schema/validate", json=document)
    defects = [{"target": each["target"], "message": each["message"]} for each in details]
    assert (asked.status_code, asked.json()) == (200, {"valid": False, "defects": defects})
    mapping["flowTypes"], mapping["scope"] = "Add", None
    asked = await world.client.post(f"{BASE}/beta/dirbridge/{job['at']}/schema/validate", json=document)
    assert asked.json() == {"valid": True, "defects": []}


async def test_a_rule_that_is_not_editable_stays(world: World, job: dict[str, Any]) -> None:
    """Its change is refused, another's is not."""
    document = (await world.get(job["at"] + "/schema")).json()
    rule = document["synchronizationRules"][0]
    rule["editable"] = False
    assert (await world.client.put(job["at"] + "/schema", json=document)).status_code == 204
    rule["objectMappings"][0]["enabled"] = False
    answer = await world.client.put(job["at"] + "/schema", json=document)
    assert (answer.status_code, "is not editable and was changed" in message(answer)) == (400, True)


async def test_who_knows_an_older_document_changes_nothing(world: World, job: dict[str, Any]) -> None:
    """What somebody else saved meanwhile is not overwritten by a client that asks for that with `If-Match`."""
    at = job["at"] + "/schema"
    read = await world.get(at)
    rules, tag = read.json()["synchronizationRules"], {"If-Match": read.headers["etag"]}
    rules[0]["objectMappings"][0]["enabled"] = False
    assert (await world.client.patch(at, json={"synchronizationRules": rules}, headers=tag)).status_code == 204
    assert (await world.get(at)).headers["etag"] != tag["If-Match"]
    rules[0]["objectMappings"][1]["enabled"] = False
    for answer in (
        await world.client.patch(at, json={"synchronizationRules": rules}, headers=tag),
        await world.client.put(at, json=read.json(), headers=tag),
        await world.client.delete(at, headers=tag),
    ):
        assert (answer.status_code, code(answer)) == (412, "resourceModified")
    assert (await world.client.delete(at, headers={"If-Match": "*"})).status_code == 204
    answer = await world.client.delete(at, headers={"If-Match": "none of mine"})
    assert (answer.status_code, "If-Match expects entity tags" in message(answer)) == (400, True)


async def test_a_document_that_cannot_be_read_can_be_replaced(world: World) -> None:
    """Whatever is stored, the default document puts it right."""
    principal = await add_job(world)
    at = f"servicePrincipals/{principal}/synchronization/jobs/{JOB}/schema"
    assert (await world.client.delete(at)).status_code == 204
    assert msgspec.convert((await world.get(at)).json(), Schema)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', '{"synchronizationRules": ' + "[" * 3000, "\xff"])
async def test_a_schema_that_is_no_document(world: World, job: dict[str, Any], text: str) -> None:
    """What is no JSON object is refused."""
    answer = await world.client.put(job["at"] + "/schema", content=text.encode("latin-1"))
    assert answer.status_code == 400


async def test_a_body_without_end_is_refused(world: World, job: dict[str, Any]) -> None:
    """A body over the limit is refused before it is kept in memory."""
    answer = await world.client.put(job["at"] + "/schema", content=b" " * (9 * 1024 * 1024))
    assert (answer.status_code, code(answer)) == (413, "requestEntityTooLarge")


# Filter operators -----------------------------------------------------------------------------------------------------


async def test_filter_operators(world: World, job: dict[str, Any]) -> None:
    """Each with arity, how several values compare, and types, in every place where clients look for them."""
    shown = (await world.get(job["at"] + "/schema/filterOperators")).json()
    assert shown["@odata.context"].endswith("$metadata#filterOperators")
    found = {each["name"]: each for each in shown["value"]}
    assert list(found) == [
        "EQUALS", "NOT EQUALS", "IS TRUE", "IS FALSE", "IS NULL", "IS NOT NULL", "REGEX MATCH", "NOT REGEX MATCH",
        "GREATER_THAN", "GREATER_THAN_OR_EQUALS", "INCLUDES", "ENDS_WITH", "&", "!&",
    ]  # fmt: skip
    assert found["EQUALS"] == {
        "id": "EQUALS",
        "name": "EQUALS",
        "arity": "Binary",
        "multivaluedComparisonType": "All",
        "supportedAttributeTypes": ["String", "Integer"],
    }
    assert (found["IS NULL"]["arity"], found["INCLUDES"]["multivaluedComparisonType"]) == ("Unary", "Any")
    template = job["at"].partition("/jobs/")[0] + "/templates/{}/schema/filterOperators"
    for at in (job["at"] + "/schema/filterOperators()", template.format("AD2AADProvisioning"), "filterOperators"):
        assert (await world.get(at)).json()["value"] == shown["value"]
    one = (await world.get("filterOperators/NOT EQUALS")).json()
    assert {name: one[name] for name in found["NOT EQUALS"]} == found["NOT EQUALS"]
    for at in ("filterOperators/LIKE", template.format("x"), job["at"] + "x/schema/filterOperators"):
        assert (await world.get(at)).status_code == 404
