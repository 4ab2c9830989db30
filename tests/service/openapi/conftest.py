"""The real service with a small world in it: people, groups, contacts, a job that ran, agents, administrators."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI

from dirbridge.connectors.memory.directory import Directory, anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.engine import cycle
from dirbridge.engine.run import Context
from dirbridge.service.auth.permissions import PERMISSIONS
from dirbridge.service.setup import Identity
from dirbridge.store import agent_errors, agents, directory, jobs, log_collections, removals
from dirbridge.store.agent_errors import AgentError
from dirbridge.store.database import Database
from dirbridge.store.directory import ObjectRow
from dirbridge.store.identifiers import new_id
from dirbridge.store.removals import Removal
from dirbridge.tenant.target import TenantTarget
from tests.fixtures.releases import Publisher
from tests.service import registered

TEMPLATE = "1a4721b3-e57f-4451-ae87-ef078703ec94"
DOMAIN = "contoso.test"


@dataclass
class SmallWorld:
    """A service, a client that may do everything, and what there is, by the path that leads to it.

    Attributes:
        keys: values of a parameter in a path, by the end of the path up to it.
        schema: the schema document of the job.
        person: the header of a request for a person.
    """

    app: FastAPI
    client: httpx2.AsyncClient
    database: Database
    identity: Identity
    keys: dict[str, str] = field(default_factory=dict)
    schema: Any = None
    person: dict[str, str] = field(default_factory=dict)

    @property
    def tenant(self) -> UUID:
        return self.identity.tenant.id

    async def post(self, path: str, body: Any = None, status: int = 201) -> Any:
        """Make something by the API."""
        answer = await self.client.post(path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def bearer(self, path: str) -> str:
        """Give the token for a path: of an application, but where only a person has an answer."""
        told = self.person if path.endswith(("/me", "/userinfo")) else self.client.headers
        return told["Authorization"]

    def key(self, path: str) -> str:
        """Give a value for the parameter that a path ends with."""
        return self.keys[max((end for end in self.keys if path.endswith(end)), key=len)]


@pytest.fixture
async def small_world(
    service: FastAPI, client: httpx2.AsyncClient, database: Database, identity: Identity, tmp_path: Path
) -> SmallWorld:
    """Everything there is one of, or two."""
    client.headers.update(registered.bearer(identity.tokens, *PERMISSIONS))
    world = SmallWorld(service, client, database, identity)
    world.keys |= {"{tenant}": str(world.tenant), "/organization/{key}": str(world.tenant)}
    world.keys |= {"/onPremisesSynchronization/{key}": str(world.tenant), "/domains/{name}": DOMAIN}
    world.keys |= {"/functions/{name}": "Append", "/filterOperators/{name}": "EQUALS", "{profile}": "provisioning"}
    world.keys |= {"{template}": "AD2AADProvisioning", "/applicationTemplates/{key}": TEMPLATE}
    await _people(world)
    await _job(world)
    await _agents(world)
    await _collected(world)
    await _release(world, Publisher(tmp_path / "publisher"))
    world.keys["{session}"] = str(uuid4())
    made = await world.post(
        "/beta/dirbridge/administrators", {"userName": "ada@contoso.test", "roles": ["Global Reader"]}
    )
    world.keys["/administrators/{key}"] = made["id"]
    world.keys["{kid}"] = (await world.post("/beta/dirbridge/signingKeys", {}))["id"]
    world.person = registered.person(
        identity.tokens, UUID(made["id"]), "ada@contoso.test", ["Global Reader"], ["openid", "profile", "User.Read"]
    )
    return world


async def _collected(world: SmallWorld) -> None:
    """What an agent has brought, ready to be fetched."""
    agent, collection = UUID(world.keys["{agent}"]), uuid4()
    async with world.database.transaction() as conn:
        assert await log_collections.want(conn, world.tenant, agent, collection, 24) is not None
        assert await log_collections.insert_part(conn, world.tenant, agent, collection, 0, b"PK", is_last=True)
    world.keys["{collection}"] = str(collection)


async def _release(world: SmallWorld, publisher: Publisher) -> None:
    """A release that agents are offered."""
    file = publisher.release("1.0.0")
    world.keys["{sha256}"] = file.name.partition(".")[0]
    releases = "/beta/dirbridge/releases"
    stored = await world.client.put(f"{releases}/archives/{world.keys['{sha256}']}", content=file.read_bytes())
    assert stored.status_code == 204, stored.text
    files = {name: content.decode() for name, content in publisher.repository.files().items()}
    published = await world.client.post(f"{releases}/repository", json={"files": files})
    assert published.status_code == 204, published.text


async def _people(world: SmallWorld) -> None:
    """A user with a manager, in a group in a group; a contact; a user and a group in the recycle bin."""
    users = [await _user(world, name) for name in ("ann", "bob", "gone")]
    groups = [await _group(world, name) for name in ("staff", "team", "old")]
    contact = uuid4()
    row = ObjectRow(contact, "contact", None, None, {"displayName": "Carl", "mail": "carl@example.com"}, {})
    async with world.database.transaction() as conn:
        await directory.insert(conn, world.tenant, [row], datetime.now(UTC))
        await directory.refer(conn, world.tenant, [(contact, "manager", UUID(users[0]))])
    await _link(world, "PUT", f"/v1.0/users/{users[1]}/manager/$ref", users[0])
    await _link(world, "POST", f"/v1.0/groups/{groups[1]}/owners/$ref", users[1])
    for owner, member in ((groups[0], groups[1]), (groups[1], users[0]), (groups[1], str(contact))):
        await _link(world, "POST", f"/v1.0/groups/{owner}/members/$ref", member)
    for path in (f"/v1.0/users/{users[2]}", f"/v1.0/groups/{groups[2]}"):
        assert (await world.client.delete(path)).status_code == 204
    world.keys |= {"/users/{key}": users[1], "/groups/{key}": groups[1], "/contacts/{key}": str(contact)}
    world.keys |= {"/directoryObjects/{key}": users[0], "/deletedItems/{key}": users[2], "{member}": users[0]}
    world.keys["{owner}"] = users[1]


async def _user(world: SmallWorld, name: str) -> str:
    body = {
        "accountEnabled": True, "displayName": name.capitalize(), "mailNickname": name,
        "userPrincipalName": f"{name}@{DOMAIN}", "passwordProfile": {"password": "Tr0ub4dor&3"},
        "businessPhones": ["+49 30 1"], "otherMails": [f"{name}@example.com"],
    }  # fmt: skip
    return str((await world.post("/v1.0/users", body))["id"])


async def _group(world: SmallWorld, name: str) -> str:
    body = {"displayName": name, "mailEnabled": name == "old", "mailNickname": name, "securityEnabled": name != "old"}
    body["groupTypes"] = ["Unified"] if name == "old" else []
    return str((await world.post("/v1.0/groups", body))["id"])


async def _link(world: SmallWorld, method: str, path: str, other: str) -> None:
    body = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{other}"}
    answer = await world.client.request(method, path, json=body)
    assert answer.status_code == 204, answer.text


async def _job(world: SmallWorld) -> None:
    """A job that has brought two users and a group, failed with a third, and waits with a delete."""
    made = await world.post(f"/v1.0/applicationTemplates/{TEMPLATE}/instantiate", {"displayName": DOMAIN})
    principal = made["servicePrincipal"]
    tree = f"/v1.0/servicePrincipals/{principal['id']}/synchronization"
    job = (await world.post(f"{tree}/jobs", {"templateId": "AD2AADProvisioning"}))["id"]
    world.app.state.engine = Context(
        database=world.database,
        source=lambda _: MemorySource(_directory()),
        target=TenantTarget(new_id, world.app.state.sealing),
        clock=lambda: datetime.now(UTC),
        new_id=new_id,
    )
    world.app.state.reach = lambda _tenant, _domain: MemorySource(_directory())
    async with world.database.transaction() as conn:
        await jobs.start(conn, world.tenant, job)
    await cycle.run(world.app.state.engine, world.tenant, job)
    preview = await world.post(f"/beta/dirbridge/jobs/{job}/previews", {}, 202)
    async with world.database.transaction() as conn:
        await removals.put(conn, world.tenant, job, [Removal(anchor_of(1), "user", "delete", "Tombstone")])
        await removals.stage(conn, world.tenant, job, [anchor_of(1)], datetime.now(UTC))
    world.schema = schema = (await world.client.get(f"{tree}/jobs/{job}/schema")).json()
    log = (await world.client.get("/v1.0/auditLogs/provisioning")).json()["value"]
    audits = (await world.client.get("/v1.0/auditLogs/directoryAudits")).json()["value"]
    world.keys |= {"/servicePrincipals/{sp}": principal["id"], "/applications/{sp}": made["application"]["id"]}
    world.keys |= {"/servicePrincipals/{key}": principal["id"], "/applications/{key}": made["application"]["id"]}
    world.keys["{assignment}"] = "none"
    world.keys |= {"{job}": job, "{directory}": schema["directories"][0]["id"], "/previews/{key}": preview["id"]}
    world.keys |= {"/provisioning/{key}": log[0]["id"], "/directoryAudits/{key}": audits[0]["id"]}


def _directory() -> Directory:
    found = Directory(DOMAIN)
    for number, name in enumerate(("Dora Lee", "Emil Ray", "Dora Two")):
        account = name.lower().replace(" ", ".") if number < 2 else "dora.lee"
        found.create(
            anchor_of(number), "user", name,
            sAMAccountName=account, userPrincipalName=f"{account}@{DOMAIN}", userAccountControl="512",
        )  # fmt: skip
    found.create(anchor_of(9), "group", "Lab", sAMAccountName="Lab", groupType="-2147483646")
    found.add_member(anchor_of(9), anchor_of(0))
    return found


async def _agents(world: SmallWorld) -> None:
    """An agent in a group that serves a published domain."""
    agent = uuid4()
    async with world.database.transaction() as conn:
        await agents.insert(
            conn, world.tenant, agent, machine_name="server1.contoso.test", version="1", domains=[DOMAIN],
            public_key=b"", certificate=b"", expires_at=datetime.now(UTC) + timedelta(days=1), address="192.0.2.7",
        )  # fmt: skip
    root = "/beta/onPremisesPublishingProfiles/provisioning"
    group = (await world.post(f"{root}/agentGroups", {"displayName": "North"}))["id"]
    resource = (await world.post(f"{root}/publishedResources", {"resourceName": "north.contoso.test"}))["id"]
    for path in (f"{root}/agents/{agent}", f"{root}/publishedResources/{resource}"):
        body = {"@odata.id": f"https://graph.microsoft.com{root}/agentGroups/{group}"}
        answer = await world.client.post(f"{path}/agentGroups/$ref", json=body)
        assert answer.status_code == 204, answer.text
    world.keys |= {"/agents/{key}": str(agent), "{agent}": str(agent), "/agentGroups/{key}": group, "{group}": group}
    world.keys["/publishedResources/{key}"] = resource
    code = await world.post("/beta/dirbridge/enrolmentCodes", {"domains": ["north.contoso.test"]})
    world.keys["/enrolmentCodes/{code}"] = code["id"]
    async with world.database.transaction() as conn:
        await agent_errors.add(conn, world.tenant, agent, [AgentError("TimeOut", "No answer came.")])
