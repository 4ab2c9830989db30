"""The Graph application on a real database, with a tenant, tokens signed by a real key, and a client in the process."""

import functools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from joserfc.jwk import RSAKey
from psycopg.types.json import Jsonb

from dirbridge.service import graph
from dirbridge.service.auth.sealing import Sealing
from dirbridge.service.auth.sign_in.rules import SignInRules
from dirbridge.service.auth.tokens import Tokens
from dirbridge.store import directory, identity, unique
from dirbridge.store.database import Database
from dirbridge.store.directory import ObjectRow
from dirbridge.tenant import rules
from tests.service import registered

BASE = "https://dirbridge.test"
TENANT = UUID("11111111-2222-3333-4444-555555555555")
EVERYTHING = ("Directory.ReadWrite.All", "Synchronization.ReadWrite.All", "ProvisioningLog.Read.All")


@functools.cache
def signing_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "test"}, private=True)


@dataclass
class World:
    """A tenant with its API."""

    database: Database
    app: FastAPI
    client: httpx2.AsyncClient
    tokens: Tokens
    made: dict[str, UUID] = field(default_factory=dict)

    def bearer(self, *roles: str) -> dict[str, str]:
        return registered.bearer(self.tokens, *(roles or EVERYTHING))

    async def get(self, path: str, *, advanced: bool = False, **options: str) -> httpx2.Response:
        headers = {"ConsistencyLevel": "eventual"} if advanced else {}
        params = {f"${name}": value for name, value in options.items()}
        if advanced and "count" not in options and not path.endswith("$count"):
            params["$count"] = "true"
        return await self.client.get(path, params=params or None, headers=headers)

    async def names(self, path: str, *, advanced: bool = False, **options: str) -> list[str]:
        """The display names of a list, sorted."""
        answer = await self.get(path, advanced=advanced, **options)
        assert answer.status_code == 200, answer.text
        return sorted(each["displayName"] for each in answer.json()["value"])

    async def put(
        self,
        object_type: str,
        display_name: str | None,
        *,
        id: UUID | None = None,
        deleted: bool = False,
        job: str | None = None,
        **properties: Any,
    ) -> UUID:
        """Store an object as a cycle would."""
        found = id or uuid4()
        document = {
            name: value for name, value in {"displayName": display_name, **properties}.items() if value is not None
        }
        row = ObjectRow(found, object_type, document.get("onPremisesImmutableId"), job, document, {})
        async with self.database.transaction() as conn:
            await directory.insert(conn, TENANT, [row], datetime.now(UTC))
            if deleted:
                await directory.soft_delete(conn, TENANT, [found], datetime.now(UTC))
            else:
                keys = rules.claims(object_type, document)
                assert not await unique.claim(conn, TENANT, {(key, found) for key in keys})
        if display_name:
            self.made[display_name] = found
        return found

    async def user(self, display_name: str, **properties: Any) -> UUID:
        name = display_name.lower().replace(" ", ".")
        return await self.put("user", display_name, **{"userPrincipalName": f"{name}@contoso.test", **properties})

    async def refer(self, owner: UUID, attribute: str, *referenced: UUID) -> None:
        async with self.database.transaction() as conn:
            await directory.refer(conn, TENANT, [(owner, attribute, each) for each in referenced])

    async def run(self, statement: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        async with self.database.transaction() as conn:
            cursor = await conn.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []

    async def graph_id(self) -> str:
        """The object id of Microsoft Graph's own service principal."""
        ((id,),) = await self.run("select id::text from service_principals where built_in = 'graph'")
        return str(id)

    async def pages(self, path: str, *, advanced: bool = False, **options: str) -> AsyncIterator[list[dict[str, Any]]]:
        """Follow a list to its end, page by page."""
        answer = await self.get(path, advanced=advanced, **options)
        headers = {"ConsistencyLevel": "eventual"} if advanced else {}
        while True:
            assert answer.status_code == 200, answer.text
            page = answer.json()
            yield page["value"]
            if "@odata.nextLink" not in page:
                return
            answer = await self.client.get(page["@odata.nextLink"], headers=headers)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with database.transaction() as conn:
        await identity.create_tenant(
            conn, TENANT, name="Contoso", initial_domain="contoso.onmicrosoft.test", base_url=BASE
        )
        await identity.add_domain(conn, TENANT, "contoso.test")
    await registered.register(database, TENANT)
    app = FastAPI(redirect_slashes=False, openapi_url=None)
    app.state.database = database
    app.state.base_url = BASE
    app.state.tokens = Tokens(TENANT, BASE, [signing_key()])
    app.state.sealing = Sealing([bytes(32)])
    app.state.sign_in = SignInRules()
    graph.install(app)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url=f"{BASE}/v1.0/") as client:
        made = World(database, app, client, app.state.tokens)
        client.headers.update(made.bearer())
        yield made


def code(answer: httpx2.Response) -> str:
    """The code of a refusal."""
    found = answer.json()["error"]["code"]
    assert isinstance(found, str)
    return found


def message(answer: httpx2.Response) -> str:
    """The sentence of a refusal."""
    found = answer.json()["error"]["message"]
    assert isinstance(found, str)
    return found


async def add_job(world: World, job: str = "AD2AADProvisioning.test", domain: str = "contoso.test") -> UUID:
    """Store an application and a job with a small schema."""
    principal = uuid4()
    schema = {
        "synchronizationRules": [
            {
                "sourceDirectoryName": "Active Directory",
                "targetDirectoryName": "Azure Active Directory",
                "objectMappings": [{"sourceObjectName": "user", "targetObjectName": "User"}],
            }
        ],
        "directories": [{"id": "source-id", "name": "Active Directory"}],
    }
    async with world.database.transaction() as conn:
        await registered.add(conn, TENANT, principal, app_id=uuid4(), display_name=domain)
        await conn.execute(
            "insert into jobs (tenant, id, service_principal, template_id, domain, schema) values (%s,%s,%s,%s,%s,%s)",
            (TENANT, job, principal, "AD2AADProvisioning", domain, Jsonb(schema)),
        )
    return principal
