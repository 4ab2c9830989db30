"""Agents, their groups, the domains that they serve, and how they update, as Graph's beta has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from dirbridge.store import agents
from tests.service.graph.conftest import BASE, TENANT, World, code, message

P = f"{BASE}/beta/onPremisesPublishingProfiles/provisioning"
RIGHTS = ("OnPremisesPublishingProfiles.ReadWrite.All", "Directory.ReadWrite.All")


async def enrol(world: World, name: str, *domains: str) -> UUID:
    """Store an agent as enrolment does."""
    made = uuid4()
    async with world.database.transaction() as conn:
        await agents.insert(
            conn,
            TENANT,
            made,
            machine_name=name,
            version="1",
            domains=domains,
            public_key=b"",
            certificate=b"",
            expires_at=datetime.now(UTC) + timedelta(days=1),
            address="192.0.2.7",
        )
    return made


@pytest.fixture
async def publisher(world: World) -> World:
    world.client.headers.update(world.bearer(*RIGHTS))
    return world


async def _get(world: World, path: str = "", **options: str) -> Any:
    answer = await world.get(P + path, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _group(world: World, name: str) -> dict[str, Any]:
    answer = await world.client.post(f"{P}/agentGroups", json={"displayName": name})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_agents_in_no_group_are_in_the_default_one(publisher: World) -> None:
    """An agent as it is listed, with the group that the system gives it."""
    here = await enrol(publisher, "server1.contoso.test", "contoso.test")
    async with publisher.database.transaction() as conn:
        await agents.heard(conn, TENANT, here, "192.0.2.7")
        await agents.revoke(conn, TENANT, await enrol(publisher, "gone.contoso.test", "contoso.test"))
    (default,) = (await _get(publisher, "/agentGroups"))["value"]
    assert default["isDefault"]
    assert (await _get(publisher, "/agents", expand="agentGroups"))["value"] == [
        {
            "id": str(here),
            "machineName": "server1.contoso.test",
            "externalIp": "192.0.2.7",
            "status": "active",
            "supportedPublishingTypes": ["provisioning"],
            "agentGroups": [default],
        }
    ]
    for verb, path in (("PATCH", ""), ("DELETE", "")):
        answer = await publisher.client.request(
            verb, f"{P}/agentGroups/{default['id']}{path}", json={"displayName": "Mine"}
        )
        assert (answer.status_code, code(answer)) == (400, "BadRequest")


@pytest.mark.parametrize("form", ["{}/", "{}", "{}('{}')"])
async def test_groups_are_made_filled_renamed_and_dropped(publisher: World, form: str) -> None:
    """The published sequence, with the address of a group in each of its forms."""
    agent = await enrol(publisher, "server1", "contoso.test")
    group = await _group(publisher, "New Group")
    assert {name: group[name] for name in ("displayName", "publishingType", "isDefault")} == {
        "displayName": "New Group",
        "publishingType": "provisioning",
        "isDefault": False,
    }
    at = f"{P}/agentGroups"
    link = form.format(at, group["id"]) if "('" in form else form.format(f"{at}/{group['id']}")
    answer = await publisher.client.post(f"{P}/agents/{agent}/agentGroups/$ref", json={"@odata.id": link})
    assert answer.status_code == 204, answer.text
    assert [one["displayName"] for one in (await _get(publisher, f"/agents/{agent}/agentGroups"))["value"]] == [
        "New Group"
    ]
    assert (await publisher.client.patch(f"{at}/{group['id']}", json={"displayName": "Old"})).status_code == 204
    shown = await _get(publisher, f"/agentGroups/{group['id']}", expand="agents")
    assert (shown["displayName"], [one["id"] for one in shown["agents"]]) == ("Old", [str(agent)])
    taken = f"{P}/agents/{agent}/agentGroups/{group['id']}/$ref"
    assert (await publisher.client.delete(taken)).status_code == 204
    assert (await publisher.client.delete(taken)).status_code == 404
    assert (await _get(publisher, f"/agents/{agent}/agentGroups"))["value"][0]["isDefault"]
    assert (await publisher.client.delete(f"{at}/{group['id']}")).status_code == 204
    assert (await publisher.get(f"{at}/{group['id']}")).status_code == 404
    assert (await publisher.get(f"{at}/$count")).text == "1"


async def test_domains_are_published(publisher: World) -> None:
    """By an agent's enrolment or by name; a domain stands there once, and is served by groups."""
    await enrol(publisher, "server1", "contoso.test")
    body = {"displayName": "New provisioning", "resourceName": "Domain1.contoso.test"}
    made = await publisher.client.post(f"{P}/publishedResources", json=body)
    assert made.status_code == 201, made.text
    again = await publisher.client.post(f"{P}/publishedResources", json=body)
    assert (again.status_code, code(again)) == (409, "nameAlreadyExists")
    listed = (await _get(publisher, "/publishedResources"))["value"]
    assert [one["resourceName"] for one in listed] == ["domain1.contoso.test", "contoso.test"]
    group = await _group(publisher, "East")
    for one in listed:
        at = f"{P}/publishedResources/{one['id']}"
        link = {"@odata.id": f"{P}/agentGroups/{group['id']}/"}
        assert (await publisher.client.post(f"{at}/agentGroups/$ref", json=link)).status_code == 204
        assert (await publisher.client.patch(at, json={"displayName": "East it is"})).status_code == 204
    shown = await _get(publisher, f"/agentGroups/{group['id']}", expand="publishedResources,agents")
    assert {one["displayName"] for one in shown["publishedResources"]} == {"East it is"}
    first, second = (f"{P}/publishedResources/{one['id']}" for one in listed)
    assert (await publisher.client.delete(f"{first}/agentGroups/{group['id']}/$ref")).status_code == 204
    assert (await publisher.client.delete(first)).status_code == 204
    kept = await publisher.client.delete(second)
    assert (kept.status_code, code(kept)) == (409, "Conflict")


@pytest.mark.parametrize("kind", ["agents", "publishedResources"])
async def test_members_from_the_groups_side(publisher: World, kind: str) -> None:
    """What a group has is put in and taken out under its own address as well, and counted from both sides."""
    agent = await enrol(publisher, "server1", "contoso.test")
    group = await _group(publisher, "East")
    listed = (await _get(publisher, "/publishedResources"))["value"]
    key = str(agent) if kind == "agents" else listed[0]["id"]
    at = f"{P}/agentGroups/{group['id']}/{kind}"
    link = {"@odata.id": f"{P}/{kind}/{key}"}
    for _ in range(2):
        answer = await publisher.client.post(f"{at}/$ref", json=link)
        assert answer.status_code == 204, answer.text
    assert [one["id"] for one in (await _get(publisher, f"/agentGroups/{group['id']}/{kind}"))["value"]] == [key]
    assert (await publisher.get(f"{at}/$count")).text == "1"
    assert (await publisher.get(f"{P}/{kind}/{key}/agentGroups/$count")).text == "1"
    assert (await publisher.client.delete(f"{at}/{key}/$ref")).status_code == 204
    assert (await publisher.get(f"{at}/$count")).text == "0"
    assert (await _get(publisher, f"/{kind}/{key}/agentGroups"))["value"][0]["isDefault"]
    missing = await publisher.client.post(f"{at}/$ref", json={"@odata.id": f"{P}/{kind}/{group['id']}"})
    assert (missing.status_code, code(missing)) == (404, "Request_ResourceNotFound")


async def test_a_domain_has_a_dns_name(publisher: World) -> None:
    """Nothing else is published; one that agents are enrolled for keeps its name."""
    for name in ("not a domain", "contoso", "contoso..test", "-.test"):
        answer = await publisher.client.post(f"{P}/publishedResources", json={"resourceName": name})
        assert (answer.status_code, answer.json()["error"]["target"]) == (400, "resourceName"), name
    await enrol(publisher, "server1", "contoso.test")
    (served,) = (await _get(publisher, "/publishedResources"))["value"]
    at = f"{P}/publishedResources/{served['id']}"
    kept = await publisher.client.patch(at, json={"resourceName": "fabrikam.test"})
    assert (kept.status_code, code(kept)) == (409, "Conflict")
    assert (await publisher.client.patch(at, json={"resourceName": "Contoso.test."})).status_code == 204
    assert [one["resourceName"] for one in (await _get(publisher, "/publishedResources"))["value"]] == ["contoso.test"]


async def test_the_profile_shows_it_all(publisher: World) -> None:
    """Expanded one level or two, and no deeper than allowed."""
    await enrol(publisher, "server1", "contoso.test")
    shown = await _get(publisher, expand="publishedResources,agents,agentGroups($expand=agents)")
    assert shown["id"] == "provisioning"
    assert shown["hybridAgentUpdaterConfiguration"]["allowUpdateConfigurationOverride"] is False
    assert shown["agentGroups"][0]["agents"] == shown["agents"]
    assert "agents" in (await _get(publisher, "/agentGroups", expand="*"))["value"][0]
    (listed,) = (await publisher.get(P.rpartition("/")[0])).json()["value"]
    assert listed["hybridAgentUpdaterConfiguration"] == shown["hybridAgentUpdaterConfiguration"]
    for wrong in ("machines", "agents,", "agents(", "agents($expand=agentGroups($expand=*($expand=*($expand=*))))"):
        answer = await publisher.get(P, expand=wrong)
        assert (answer.status_code, code(answer)) == (400, "Request_UnsupportedQuery"), wrong


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"allowUpdateConfigurationOverride": True}, {"allowUpdateConfigurationOverride": True}),
        ({"deferUpdate": "2030-08-20T12:00"}, {"deferUpdateDateTime": "2030-08-20T12:00:00Z"}),
        ({"deferUpdateDateTime": "2030-08-20T12:00:00.1234567+02:00"}, {"deferUpdateDateTime": "2030-08-20T10:00:00Z"}),
        (
            {"updateWindow": {"updateWindowStartTime": "0:00:00", "updateWindowEndTime": "23:59:00"}},
            {
                "updateWindow": {
                    "updateWindowStartTime": "00:00:00.0000000",
                    "updateWindowEndTime": "23:59:00.0000000",
                }
            },
        ),
        ({"updateWindow": None}, {"updateWindow": None}),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
async def test_updater_is_configured(
    publisher: World, body: dict[str, Any], expected: dict[str, Any], *, whole: bool
) -> None:
    """In every published form, by its own address or with the profile; what is left out stays."""
    at = f"{P}/hybridAgentUpdaterConfiguration"
    before = {"deferUpdateDateTime": "2029-01-01T00:00:00Z"}
    assert (await publisher.client.patch(at, json=before)).status_code == 204
    if whole:
        answer = await publisher.client.patch(P, json={"hybridAgentUpdaterConfiguration": body})
    else:
        answer = await publisher.client.patch(at, json=body)
    assert answer.status_code == 204, answer.text
    shown = await _get(publisher, "/hybridAgentUpdaterConfiguration")
    nothing = {"allowUpdateConfigurationOverride": False, "updateWindow": None}
    assert {name: value for name, value in shown.items() if name[0] != "@"} == nothing | before | expected


@pytest.mark.parametrize(
    "body",
    [
        {"deferUpdateDateTime": "soon"},
        {"deferUpdateDateTime": "0001-01-01T00:00:00+01:00"},
        {"updateWindow": {"updateWindowStartTime": "0:00"}},
        {"updateWindow": {"updateWindowStartTime": "25:00:00", "updateWindowEndTime": "23:59:00"}},
        {"allowUpdateConfigurationOverride": "yes"},
        {"allowUpdateConfigurationOveride": True},
        {"updateWindow": {"start": "0:00:00"}},
    ],
)
async def test_times_that_are_none_are_refused(publisher: World, body: dict[str, Any]) -> None:
    """400, and nothing is kept."""
    answer = await publisher.client.patch(f"{P}/hybridAgentUpdaterConfiguration", json=body)
    assert answer.status_code == 400, answer.text
    shown = await _get(publisher, "/hybridAgentUpdaterConfiguration")
    assert shown["updateWindow"] is None
    assert shown["deferUpdateDateTime"] is None


@pytest.mark.parametrize(
    ("method", "path", "right"),
    [
        ("GET", "/agents", "Policy.Read.HybridAuthentication"),
        ("POST", "/agentGroups", "Policy.ReadWrite.HybridAuthentication"),
        ("GET", "/publishedResources", "OnPremisesPublishingProfiles.ReadWrite.All"),
        ("PATCH", "/hybridAgentUpdaterConfiguration", "Directory.ReadWrite.All"),
    ],
)
async def test_rights(world: World, method: str, path: str, right: str) -> None:
    """Each with the right that Graph names, and without it not."""

    async def ask(granted: str) -> httpx2.Response:
        body = {"POST": {"displayName": "x"}, "PATCH": {"deferUpdateDateTime": None}}.get(method)
        return await world.client.request(method, P + path, json=body, headers=world.bearer(granted))

    assert (await ask(right)).status_code < 300
    refused = await ask("Synchronization.ReadWrite.All")
    assert (refused.status_code, code(refused)) == (403, "Authorization_RequestDenied")


async def test_only_beta_and_only_provisioning(publisher: World) -> None:
    """As in Graph the first version knows nothing of it; other kinds of agents are none of ours."""
    assert (await publisher.get("onPremisesPublishingProfiles/provisioning/agents")).status_code == 400
    other = await publisher.get(P.replace("/provisioning", "/applicationProxy") + "/agents")
    assert other.status_code == 404
    assert "provisioning" in message(other)
