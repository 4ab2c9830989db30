"""Which version agents are to have, and when: as Graph's configuration and the administrator say."""

from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI

from dirbridge.service.releases import updating
from dirbridge.service.setup import Identity
from dirbridge.store import agents
from dirbridge.store.identifiers import new_id
from tests.fixtures.releases import Publisher
from tests.service import registered
from tests.service.releases.conftest import Administrator

pytestmark = pytest.mark.service

CONFIGURATION = "/beta/onPremisesPublishingProfiles/provisioning/hybridAgentUpdaterConfiguration"
NEWEST = {"channel": "stable", "api": 1, "wanted": None, "deferUntil": None, "window": None}
WINDOW = {"updateWindowStartTime": "22:30:00", "updateWindowEndTime": "4:00:00"}


@pytest.fixture
async def fleet(service: FastAPI, identity: Identity) -> list[UUID]:
    """Two agents."""
    made = [new_id(), new_id()]
    async with service.state.database.transaction() as conn:
        for agent in made:
            await agents.insert(
                conn,
                identity.tenant.id,
                agent,
                machine_name="host",
                version="1.0.0",
                domains=["contoso.test"],
                public_key=b"",
                certificate=b"",
                expires_at=await _in_a_year(conn),
                address="",
            )
    return made


async def _in_a_year(conn: Any) -> Any:
    return (await (await conn.execute("select now() + interval '1 year'")).fetchone())[0]


async def told(service: FastAPI, identity: Identity, agent: UUID) -> dict[str, Any]:
    async with service.state.database.connection() as conn:
        return await updating.told(conn, identity.tenant.id, agent)


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        ({}, {}),
        ({"deferUpdateDateTime": "2030-08-20T12:00:00+02:00"}, {"deferUntil": "2030-08-20T10:00:00Z"}),
        ({"updateWindow": WINDOW}, {"window": {"start": "22:30:00", "end": "04:00:00"}}),
        (
            {"updateWindow": WINDOW, "deferUpdate": "2030-08-20T12:00"},
            {"window": {"start": "22:30:00", "end": "04:00:00"}, "deferUntil": "2030-08-20T12:00:00"},
        ),
        (
            {
                "updateWindow": WINDOW,
                "deferUpdate": "2030-08-20T12:00",
                "allowUpdateConfigurationOverride": True,
            },
            {},
        ),
    ],
)
async def test_configuration_is_acted_on(
    client: httpx2.AsyncClient,
    service: FastAPI,
    identity: Identity,
    fleet: list[UUID],
    configuration: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    """What Graph's client sets is what agents are told; the override comes before everything else."""
    headers = registered.bearer(identity.tokens, "Directory.ReadWrite.All")
    answer = await client.patch(CONFIGURATION, json=configuration, headers=headers)
    assert answer.status_code == 204, answer.text
    assert await told(service, identity, fleet[0]) == NEWEST | expected
    lifted = await client.patch(CONFIGURATION, json={"deferUpdateDateTime": None}, headers=headers)
    assert lifted.status_code == 204
    assert (await told(service, identity, fleet[0]))["deferUntil"] is None


async def test_a_version_is_chosen(
    administrator: Administrator, publisher: Publisher, service: FastAPI, identity: Identity, fleet: list[UUID]
) -> None:
    """For all, for one whatever the others have, and taken back; only among what is released."""
    publisher.release("1.0.0")
    publisher.release("1.1.0")
    await administrator.publish(publisher)

    async def wanted() -> list[str | None]:
        return [(await told(service, identity, agent))["wanted"] for agent in fleet]

    assert (await administrator.choose(version="1.0.0")).status_code == 204
    assert await wanted() == ["1.0.0", "1.0.0"]
    assert (await administrator.choose(version="1.1.0", agentId=str(fleet[1]))).status_code == 204
    assert await wanted() == ["1.0.0", "1.1.0"]
    assert (await administrator.choose(version=None)).status_code == 204
    assert await wanted() == [None, "1.1.0"]
    assert (await administrator.choose(version=None, agentId=str(fleet[1]))).status_code == 204
    assert await wanted() == [None, None]
    unknown = await administrator.choose(version="9.9.9")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "ReleaseUnknown")
    assert (await administrator.choose(version="1.0.0", agentId=str(uuid4()))).status_code == 404
    assert (await administrator.choose()).status_code == 400
