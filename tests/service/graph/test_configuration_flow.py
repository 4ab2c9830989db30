"""Cloud sync is configured through Graph as published, address by address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.service.graph.conftest import BASE, TENANT, World, code, message

TEMPLATE = "1a4721b3-e57f-4451-ae87-ef078703ec94"
BETA = f"{BASE}/beta"


async def test_the_published_steps(world: World) -> None:
    """From the application to a job that runs; what is about password hashes says that there is no such thing."""
    client = world.client
    rights = ("Synchronization.ReadWrite.All", "Application.ReadWrite.All", "Organization.ReadWrite.All")
    client.headers.update(world.bearer(*rights))
    at = f"{BETA}/organization/{TENANT}"
    assert (await client.get(at)).json()["onPremisesSyncEnabled"] is None
    assert (await client.patch(at, json={"onPremisesSyncEnabled": True})).status_code == 204
    assert (await client.get(at)).json()["onPremisesSyncEnabled"] is True
    body: dict[str, Any] = {"displayName": "contoso.test"}
    made = await client.post(f"{BETA}/applicationTemplates/{TEMPLATE}/instantiate", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["@odata.context"] == f"{BETA}/$metadata#microsoft.graph.applicationServicePrincipal"
    principal = made.json()["servicePrincipal"]
    assert principal["objectId"] == principal["id"]
    at = f"{BETA}/servicePrincipals/{principal['id']}/synchronization"

    created = await client.post(f"{at}/jobs", json={"templateId": "AD2AADProvisioning"})
    assert created.status_code == 201, created.text
    job = created.json()["id"]
    assert job.startswith(f"AD2AADProvisioning.{TENANT.hex}")
    hashes = await client.post(f"{at}/jobs", json={"templateId": "AD2AADPasswordHash"})
    assert (hashes.status_code, code(hashes)) == (400, "BadRequest")
    assert "Password hashes are not synchronized" in message(hashes)

    secrets = [
        {"key": "Domain", "value": '{"domain":"contoso.test"}'},
        {"key": "AppKey", "value": '{"appKeyScenario":"AD2AADProvisioning"}'},
    ]
    assert (await client.put(f"{at}/secrets", json={"value": secrets})).status_code == 204
    assert (await client.get(f"{at}/secrets/$count")).text == "2"

    schema = (await client.get(f"{at}/jobs/{job}/schema/")).json()
    mapping = {
        "defaultValue": None,
        "exportMissingReferences": False,
        "flowBehavior": "FlowWhenChanged",
        "flowType": "Always",
        "matchingPriority": 0,
        "targetAttributeName": "CredentialData",
        "source": {"expression": "[PasswordHash]", "name": "PasswordHash", "type": "Attribute", "parameters": []},
    }
    users = schema["synchronizationRules"][0]["objectMappings"][0]
    users["attributeMappings"].append(mapping)
    refused = await client.put(f"{at}/jobs/{job}/schema", json=schema)
    assert refused.status_code == 400
    assert "CredentialData" in message(refused)
    users["attributeMappings"].pop()
    assert (await client.put(f"{at}/jobs/{job}/schema", json=schema)).status_code == 204

    assert (await client.post(f"{at}/jobs/{job}/start")).status_code == 204
    (shown,) = (await client.get(f"{at}/jobs/")).json()["value"]
    kept = await client.patch(f"{BETA}/organization/{TENANT}", json={"onPremisesSyncEnabled": False})
    assert (kept.status_code, code(kept)) == (409, "Conflict")
    assert (shown["schedule"]["state"], shown["status"]["code"]) == ("Active", "NotConfigured")


async def test_templates_and_schema_under_both_trees(world: World) -> None:
    """The application has what its service principal has; enumerations are spelled as the version does."""
    body = {"displayName": "contoso.test"}
    made = (await world.client.post(f"applicationTemplates/{TEMPLATE}/instantiate", json=body)).json()
    trees = [f"servicePrincipals/{made['servicePrincipal']['id']}", f"applications/{made['application']['id']}"]
    answers = []
    for tree in trees:
        at = f"{tree}/synchronization"
        found = {each["id"]: each for each in (await world.get(f"{at}/templates")).json()["value"]}
        assert found.keys() == {"AD2AADProvisioning", "LDAP2AADProvisioning"}
        assert all(each["schema"]["synchronizationRules"] for each in found.values())
        assert (await world.get(f"{at}/templates/$count")).text == "2"
        one = (await world.get(f"{at}/templates/AD2AADProvisioning", expand="schema")).json()
        read = (await world.get(f"{at}/templates/AD2AADProvisioning/schema")).json()
        assert one["schema"]["directories"] == read["directories"]
        beta = (await world.get(f"{BETA}/{at}/templates/AD2AADProvisioning")).json()
        assert {each["key"] for each in one["metadata"]} >= {"IsSynchronizationAgentRequired"}
        assert {each["key"] for each in beta["metadata"]} >= {
            "isSynchronizationAgentRequired",
            "IsSynchronizationAgentAssignmentRequired",
        }
        missing = await world.get(f"{at}/templates/Workday")
        assert (missing.status_code, code(missing)) == (404, "NotFound")
        answers.append((one["id"], one["applicationId"]))
    assert answers[0] == answers[1]
    jobs = f"{trees[1]}/synchronization/jobs"
    job = (await world.client.post(jobs, json={"templateId": "AD2AADProvisioning"})).json()
    assert "schema" not in job
    expanded = (await world.get(f"{jobs}/{job['id']}", expand="schema")).json()
    assert expanded["schema"]["id"] == job["id"]
    wrong = await world.get(jobs, expand="status")
    assert (wrong.status_code, code(wrong)) == (400, "Request_UnsupportedQuery")
    nobody = await world.get("applications/11111111-1111-1111-1111-111111111111/synchronization/jobs")
    assert (nobody.status_code, code(nobody)) == (404, "Request_ResourceNotFound")


async def test_the_root(world: World) -> None:
    """It is shown, takes secrets, and goes with jobs and secrets, but not with the application."""
    body = {"displayName": "contoso.test"}
    made = (await world.client.post(f"applicationTemplates/{TEMPLATE}/instantiate", json=body)).json()
    at = f"servicePrincipals/{made['servicePrincipal']['id']}/synchronization"
    await world.client.post(f"{at}/jobs", json={"templateId": "AD2AADProvisioning"})
    assert (await world.get(at)).json()["id"] == made["servicePrincipal"]["id"]
    secrets = [{"key": "SkipOutOfScopeDeletions", "value": "True"}]
    assert (await world.client.put(at, json={"secrets": secrets})).status_code == 204
    assert (await world.get(f"{at}/secrets")).json()["value"] == secrets
    refused = await world.client.put(at, json={"jobs": [{}]})
    assert (refused.status_code, code(refused)) == (400, "BadRequest")
    for path in (f"{BETA}/{at}/Ping()", f"{BETA}/{at}/microsoft.graph.ping"):
        pinged = (await world.get(path)).json()
        assert pinged["@odata.context"] == f"{BETA}/$metadata#Edm.String"
        assert datetime.now(UTC) - datetime.fromisoformat(pinged["value"]) < timedelta(minutes=5)
    assert (await world.get(f"{at}/Ping()")).status_code == 400
    assert (await world.client.delete(at)).status_code == 204
    assert (await world.get(f"{at}/jobs/$count")).text == "0"
    assert (await world.get(f"{at}/secrets/$count")).text == "0"
