"""Which version agents are to have, and when: as Graph's configuration and the administrator say."""

from datetime import UTC, datetime, timedelta
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
NEWEST = {"channel": "stable", "api": 1, "newest": None, "wanted": None, "deferUntil": None, "window": None}
WINDOW = {"updateWindowStartTime": "22:30:00", "updateWindowEndTime": "4:00:00"}


@pytest.fixture
async def fleet(service: FastAPI, identity: Identity) -> list[UUID]:
    """Two agents of one domain, and one of another."""
    made = [new_id(), new_id(), new_id()]
    async with service.state.database.transaction() as conn:
        for agent, domain in zip(made, ("contoso.test", "contoso.test", "fabrikam.test"), strict=True):
            await agents.insert(
                conn,
                identity.tenant.id,
                agent,
                machine_name="host",
                version="1.0.0",
                domains=[domain],
                public_key=b"",
                certificate=b"",
                expires_at=datetime.now(UTC) + timedelta(days=90),
                address="",
            )
            await agents.reported(conn, identity.tenant.id, agent, address="", version="1.0.0", report={})
    return made


class Heard:
    """What agents are told when they say how they are."""

    def __init__(self, service: FastAPI, tenant: UUID) -> None:
        self.database = service.state.database
        self.tenant = tenant

    async def __call__(
        self, agent: UUID, phase: Any = "idle", version: str = "1.0.0", to: Any = None, at: str | None = None
    ) -> dict[str, Any]:
        async with self.database.transaction() as conn:
            known = await agents.get(conn, self.tenant, agent)
            assert known is not None
            return await updating.told(conn, self.tenant, known, version, {"phase": phase, "to": to, "at": at})

    async def waits(self, agent: UUID, phase: Any = "idle", version: str = "1.0.0", to: Any = None) -> bool:
        """Whether it has to let others go first."""
        return (await self(agent, phase, version, to))["deferUntil"] is not None

    async def later(self, by: timedelta) -> None:
        """Let time pass."""
        async with self.database.transaction() as conn:
            await conn.execute("update update_turns set until = until - %s", (by,))


@pytest.fixture
def told(service: FastAPI, identity: Identity) -> Heard:
    """What an agent is told."""
    return Heard(service, identity.tenant.id)


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
    identity: Identity,
    told: Heard,
    fleet: list[UUID],
    configuration: dict[str, Any],
    expected: dict[str, Any],
) -> None:
    """What Graph's client sets is what agents are told; the override comes before everything else."""
    headers = registered.bearer(identity.tokens, "Directory.ReadWrite.All")
    answer = await client.patch(CONFIGURATION, json=configuration, headers=headers)
    assert answer.status_code == 204, answer.text
    assert await told(fleet[0]) == NEWEST | expected
    lifted = await client.patch(CONFIGURATION, json={"deferUpdateDateTime": None}, headers=headers)
    assert lifted.status_code == 204
    assert (await told(fleet[0]))["deferUntil"] is None


async def test_a_version_is_chosen(
    administrator: Administrator, publisher: Publisher, told: Heard, fleet: list[UUID]
) -> None:
    """For all, for one whatever the others have, and taken back; only among what is released."""
    publisher.release("1.0.0")
    publisher.release("1.1.0")
    await administrator.publish(publisher)

    async def wanted() -> list[str | None]:
        return [(await told(agent, "failed"))["wanted"] for agent in fleet[:2]]

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


@pytest.fixture
async def behind(administrator: Administrator, publisher: Publisher, fleet: list[UUID]) -> list[UUID]:
    """The fleet, once there is a newer release."""
    publisher.release("1.1.0")
    await administrator.publish(publisher)
    return fleet


async def test_one_agent_of_a_domain_at_a_time(told: Heard, behind: list[UUID]) -> None:
    """The other one waits until the first has the release; an agent of another domain need not."""
    first, second, elsewhere = behind
    assert [await told.waits(agent) for agent in (first, second, elsewhere)] == [False, True, False]
    assert [await told.waits(agent, "checking") for agent in (first, second)] == [False, True]
    assert not await told.waits(first, version="1.1.0")
    assert [await told.waits(second), await told.waits(first, version="1.1.0")] == [False, False]
    assert (await told(first))["newest"] == "1.1.0"


async def test_what_waits_is_told_the_same_time_again(told: Heard, behind: list[UUID]) -> None:
    """Each other one would have its updater look again; the wait ends with the turn, or is prolonged by its work."""
    first, second, _ = behind
    await told(first)
    until = (await told(second))["deferUntil"]
    await told.later(timedelta(minutes=1))
    await told(first, "downloading")
    after = (await told(second))["deferUntil"]
    assert datetime.fromisoformat(until) - datetime.fromisoformat(after) == timedelta(minutes=1)
    await told.later(timedelta(minutes=5))
    await told(first, "downloading")
    assert datetime.fromisoformat((await told(second))["deferUntil"]) > datetime.fromisoformat(after)


async def test_a_turn_that_passes_is_another_ones(told: Heard, behind: list[UUID]) -> None:
    """An agent that does nothing with it, for its window perhaps, lets the others go first for a while."""
    first, second, _ = behind
    assert [await told.waits(agent) for agent in (first, second)] == [False, True]
    await told.later(timedelta(minutes=10))
    assert [await told.waits(agent) for agent in (first, second, first)] == [True, False, True]
    await told.later(timedelta(minutes=13))
    assert [await told.waits(agent) for agent in (first, second)] == [False, True]


async def test_a_failed_update_holds_nobody_up(told: Heard, behind: list[UUID]) -> None:
    """Neither where it went back nor where it could not be made."""
    first, second, _ = behind
    for phase in ("rolled-back", "failed"):
        assert [await told.waits(agent) for agent in (first, second)] == [False, True]
        await told(first, phase, to="1.1.0")
        assert not await told.waits(second)
        await told(second, version="1.1.0")


async def test_an_updater_that_ended_in_the_middle_keeps_no_turn(told: Heard, behind: list[UUID]) -> None:
    """Its agent goes on saying what it said last: nothing new for hours."""
    first, second, _ = behind
    for begun, passes, keeps in ((timedelta(minutes=5), 6, True), (timedelta(hours=3), 5, False)):
        at = (datetime.now(UTC) - begun).isoformat()
        await told(first, "downloading", at=at)
        await told.later(timedelta(minutes=passes))
        await told(first, "downloading", at=at)
        await told.later(timedelta(minutes=passes))
        assert await told.waits(second) == keeps


async def test_a_version_that_is_gone_takes_no_turn(
    administrator: Administrator, publisher: Publisher, told: Heard, behind: list[UUID]
) -> None:
    """Who is to have a release that was withdrawn has nothing to do, and holds nobody up."""
    publisher.release("1.2.0")
    await administrator.publish(publisher)
    assert (await administrator.choose(version="1.2.0", agentId=str(behind[0]))).status_code == 204
    publisher.repository.withdraw("1.2.0")
    publisher.sign()
    await administrator.publish(publisher)
    assert (await told(behind[0]))["wanted"] == "1.2.0"
    assert not await told.waits(behind[1])


async def test_nobody_waits_for_agents_that_are_gone(told: Heard, behind: list[UUID]) -> None:
    """Silent for a while, or shut out."""
    first, second, _ = behind
    assert [await told.waits(agent) for agent in (first, second)] == [False, True]
    async with told.database.transaction() as conn:
        await agents.revoke(conn, told.tenant, first)
    assert not await told.waits(second)


async def test_an_agent_may_say_anything_of_its_updater(told: Heard, behind: list[UUID]) -> None:
    """What makes no sense is no fault of the service."""
    for phase, to in ((["odd"], {}), ({}, ["1.1.0"]), (None, None), ("rolled-back", {"a": 1})):
        assert "deferUntil" in await told(behind[0], phase, "unknown", to)


async def test_the_later_of_deferral_and_turn_counts(
    told: Heard, behind: list[UUID], client: httpx2.AsyncClient, identity: Identity
) -> None:
    """A wait of minutes does not lift a deferral of months."""
    headers = registered.bearer(identity.tokens, "Directory.ReadWrite.All")
    for given, shown in (("2099-01-01T00:00:00Z", "2099-01-01T00:00:00Z"), ("2099-01-01T00:00", "2099-01-01T00:00:00")):
        answer = await client.patch(CONFIGURATION, json={"deferUpdateDateTime": given}, headers=headers)
        assert answer.status_code == 204
        assert [(await told(agent))["deferUntil"] for agent in behind] == [shown] * 3


async def test_an_agent_is_updated_at_once(
    identity: Identity, told: Heard, behind: list[UUID], administrator: Administrator
) -> None:
    """In spite of hour and date, until it is done or an hour has passed; still one by one; nobody else hears of it."""
    one, other, elsewhere = behind
    client, headers = administrator.client, administrator.headers
    directory = registered.bearer(identity.tokens, "Directory.ReadWrite.All")
    await client.patch(CONFIGURATION, json={"deferUpdateDateTime": "2090-01-01T00:00:00Z"}, headers=directory)

    async def order(agent: UUID) -> int:
        return (await client.post(f"/beta/dirbridge/agents/{agent}/updateNow", headers=headers)).status_code

    async def shown(agent: UUID) -> dict[str, Any]:
        answer = await client.get(f"/beta/dirbridge/agents/{agent}/update", headers=headers)
        found: dict[str, Any] = answer.json()
        return found

    assert await order(one) == 400
    async with told.database.transaction() as conn:
        await conn.execute("""update agents set report = '{"update": {"phase": "waiting"}}'""")
    assert await order(one) == 204
    assert (await shown(one))["orderedUntilDateTime"] is not None
    said = await told(one)
    assert (said["deferUntil"], said["window"]) == (None, None)
    assert (await told(one))["now"] == said["now"]
    assert ((await told(elsewhere)).get("now"), await told.waits(elsewhere)) == (None, True)
    assert await order(other) == 204
    assert await told.waits(other)
    assert await order(one) == 204
    assert (await told(one))["now"] != said["now"]
    assert "now" in await told(one, version="1.1.0")
    assert "now" not in await told(one, version="1.1.0")
    assert await order(uuid4()) == 404
    async with told.database.transaction() as conn:
        await conn.execute("update agents set version = '1.1.0' where id = %s", (one,))
        await conn.execute("update update_orders set until = now()")
    assert "now" not in await told(other)
    nothing = await client.post(f"/beta/dirbridge/agents/{one}/updateNow", headers=headers)
    assert nothing.json()["error"]["code"] == "UpdateNotOffered"
    found = await shown(one)
    assert (found["isBehind"], found["offeredVersions"], found["wantedVersion"]) == (False, ["1.1.0"], None)
    await administrator.choose(version="1.1.0", agentId=str(other))
    found = await shown(other)
    assert (found["isBehind"], found["wantedVersion"], found["isChosenForAgent"]) == (True, "1.1.0", True)
