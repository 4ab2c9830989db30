"""Templates through the API: the schema document that new jobs of an application begin with."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from dirbridge.service.templates import AD_APPLICATION
from tests.service.graph.conftest import World, code, message

TEMPLATE = "AD2AADProvisioning"


@pytest.fixture
async def made(world: World) -> dict[str, Any]:
    """An application with its addresses, under both trees."""
    name = {"displayName": "contoso.test"}
    answer = (await world.client.post(f"applicationTemplates/{AD_APPLICATION}/instantiate", json=name)).json()
    return {
        "application": f"applications/{answer['application']['id']}/synchronization",
        "principal": f"servicePrincipals/{answer['servicePrincipal']['id']}/synchronization",
    }


async def _get(world: World, at: str, **options: str) -> dict[str, Any]:
    answer = await world.get(at, **options)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _switched_off(document: dict[str, Any]) -> dict[str, Any]:
    """Contacts are not brought."""
    document["synchronizationRules"][0]["objectMappings"][3]["enabled"] = False
    return document


def _contacts(document: dict[str, Any]) -> bool:
    found = document["synchronizationRules"][0]["objectMappings"][3]["enabled"]
    assert isinstance(found, bool)
    return found


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_changed_template(world: World, made: dict[str, str], method: str) -> None:
    """New jobs begin with its document, jobs that are reset go back to it; those that there are keep theirs."""
    jobs = made["principal"] + "/jobs"
    old = (await world.client.post(jobs, json={"templateId": TEMPLATE})).json()["id"]
    template = await _get(world, f"{made['application']}/templates/{TEMPLATE}", expand="schema")
    _switched_off(template["schema"])
    answer = await world.client.request(method, f"{made['application']}/templates/{TEMPLATE}", json=template)
    assert (answer.status_code, answer.content) == (204, b""), answer.text
    for at in made.values():
        listed, _ = (await _get(world, f"{at}/templates"))["value"]
        assert not _contacts(listed["schema"])
    new = (await world.client.post(jobs, json={"templateId": TEMPLATE})).json()["id"]
    schema = await _get(world, f"{jobs}/{new}/schema")
    assert (_contacts(schema), schema["id"]) == (False, new)
    assert _contacts(await _get(world, f"{jobs}/{old}/schema"))
    assert (await world.client.delete(f"{jobs}/{old}/schema")).status_code == 204
    assert not _contacts(await _get(world, f"{jobs}/{old}/schema"))


async def test_the_schema_of_a_template(world: World, made: dict[str, str]) -> None:
    """Replaced, merged as Graph's own client sends it, restored; written back as read, it stays as it is."""
    at = f"{made['application']}/templates/{TEMPLATE}/schema"
    own = await _get(world, at)
    assert (await world.client.put(at, json=own)).status_code == 204
    assert await _get(world, at) == own
    assert await world.run("select from template_schemas") == []
    assert (await world.client.put(at, json=_switched_off(own))).status_code == 204
    changed = await _get(world, at)
    assert (_contacts(changed), changed["id"]) == (False, TEMPLATE)
    rules = changed["synchronizationRules"]
    for mapping in rules[0]["objectMappings"]:
        del mapping["flowTypes"]
    rules[0]["objectMappings"][3]["enabled"] = True
    assert (await world.client.patch(at, json={"synchronizationRules": rules})).status_code == 204
    merged = await _get(world, at)
    assert (_contacts(merged), merged["directories"]) == (True, own["directories"])
    assert (await world.client.delete(at)).status_code == 204
    assert (await world.client.delete(at)).status_code == 204
    restored = await _get(world, at)
    assert (_contacts(restored), restored["version"]) == (True, own["version"])
    told = await world.run("select detail from audits where activity = 'Update synchronization template' order by at")
    assert [row[0]["reset"] for row in told] == [False, False, True]


@pytest.mark.parametrize(
    ("body", "target"),
    [
        ({"description": "Mine", "schema": {}}, "description"),
        ({"factoryTag": "Workday", "schema": {}}, "factoryTag"),
        ({"schemas": {}}, "schemas"),
        ({"id": TEMPLATE}, "schema"),
        ({"schema": "all"}, "schema"),
    ],
)
async def test_what_cannot_be_changed(world: World, made: dict[str, str], body: dict[str, Any], target: str) -> None:
    """Only the schema document can, and it must be there: what is left out is not erased without a word."""
    answer = await world.client.patch(f"{made['application']}/templates/{TEMPLATE}", json=body)
    assert (answer.status_code, code(answer), answer.json()["error"]["target"]) == (400, "BadRequest", target)
    assert await world.run("select from template_schemas") == []


async def test_a_document_that_is_no_good(world: World, made: dict[str, str]) -> None:
    """Defects are told by path; containers and groups are chosen for jobs, not for templates."""
    at = f"{made['application']}/templates/{TEMPLATE}/schema"
    document = await _get(world, at)
    rule = document["synchronizationRules"][0]
    rule["containerFilter"] = {"includedContainers": ["OU=Sales,DC=contoso,DC=test"]}
    answer = await world.client.put(at, json=document)
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, "synchronizationRules[0]")
    rule |= {"containerFilter": None, "objectMapping": []}
    answer = await world.client.put(at, json=document)
    assert (answer.status_code, answer.json()["error"]["target"]) == (400, "synchronizationRules[0].objectMapping")
    for method in ("PUT", "PATCH", "DELETE"):
        missing = await world.client.request(method, at.replace(TEMPLATE, "Workday"), json={})
        assert (missing.status_code, code(missing)) == (404, "NotFound")


async def test_a_kept_document_that_cannot_be_read(world: World, made: dict[str, str]) -> None:
    """No job begins with it; the template's own can be restored."""
    at = f"{made['application']}/templates/{TEMPLATE}/schema"
    assert (await world.client.put(at, json=_switched_off(await _get(world, at)))).status_code == 204
    await world.run("update template_schemas set schema = %s", [Jsonb({"id": "x"})])
    jobs = made["principal"] + "/jobs"
    refused = await world.client.post(jobs, json={"templateId": TEMPLATE})
    assert (refused.status_code, "Restore the template's own" in message(refused)) == (400, True)
    assert (await world.client.delete(at)).status_code == 204
    assert (await world.client.post(jobs, json={"templateId": TEMPLATE})).status_code == 201


async def test_a_configuration_that_is_dropped(world: World, made: dict[str, str]) -> None:
    """Its changed templates go with it."""
    at = f"{made['application']}/templates/{TEMPLATE}/schema"
    assert (await world.client.put(at, json=_switched_off(await _get(world, at)))).status_code == 204
    assert (await world.client.delete(made["principal"])).status_code == 204
    assert _contacts(await _get(world, at))


async def test_job_of_an_ldap_directory_begins_with_its_own_mapping(made: dict[str, Any], world: World) -> None:
    """People and groups by their classes, to users and groups; the other template stays what is taken by default."""
    listed = (await _get(world, f"{made['principal']}/templates"))["value"]
    assert {one["id"]: one["default"] for one in listed} == {TEMPLATE: True, "LDAP2AADProvisioning": False}
    answer = await world.client.post(f"{made['principal']}/jobs", json={"templateId": "LDAP2AADProvisioning"})
    assert answer.status_code == 201, answer.text
    schema = await _get(world, f"{made['principal']}/jobs/{answer.json()['id']}/schema")
    (rule,) = schema["synchronizationRules"]
    assert {one["sourceObjectName"]: one["targetObjectName"] for one in rule["objectMappings"]} == {
        "inetOrgPerson": "User",
        "groupOfNames": "Group",
        "groupOfUniqueNames": "Group",
        "posixGroup": "Group",
    }
    assert [one["name"] for one in schema["directories"]] == ["LDAP directory", "Azure Active Directory"]
