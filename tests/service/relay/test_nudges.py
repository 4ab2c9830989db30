"""Agents tell that a directory changed: what becomes due by it."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from dirbridge.agent import enrol as enrolling
from dirbridge.agent import state
from dirbridge.agent.client import ServiceClient
from dirbridge.agent.settings import Common
from dirbridge.contract.errors import CredentialError, TransientError
from dirbridge.service.relay import administration
from dirbridge.store import jobs
from dirbridge.store.listener import Bell
from tests.service.relay.harness import DOMAIN, Agent, Service, made_up

pytestmark = pytest.mark.service


@pytest.fixture
async def client(relay: Service, tmp_path: Path) -> AsyncIterator[ServiceClient]:
    """An enrolled agent's client."""
    await enrolling.enrol(relay.url, await relay.code(), tmp_path / "state")
    async with ServiceClient(state.load(tmp_path / "state"), Common()) as opened:
        yield opened


async def make_job(relay: Service) -> None:
    """A healthy job of the agent's domain that would wait for an hour."""
    async with relay.database.transaction() as conn:
        await conn.execute("delete from jobs")
        await conn.execute(
            """insert into jobs (tenant, id, service_principal, template_id, domain, schema, state, next_run)
               select tenant, 'job', id, '', %s, '{}', 'Active', now() + interval '1 hour'
               from service_principals limit 1""",
            (DOMAIN,),
        )


async def wait(relay: Service) -> timedelta:
    """How long the job waits."""
    async with relay.database.connection() as conn:
        row = await (await conn.execute("select next_run - now() from jobs")).fetchone()
    assert row is not None
    assert isinstance(row[0], timedelta)
    return row[0]


async def test_nudge_makes_jobs_due(relay: Service, client: ServiceClient) -> None:
    """And wakes the worker; the domain's case does not count."""
    await make_job(relay)
    with relay.listener.watch((jobs.DUE, "")) as bell:
        await client.nudge(DOMAIN.upper(), 0.2)
        assert await wait(relay) <= timedelta()
        assert await bell.wait(5)


async def test_old_news_wakes_nobody(relay: Service, client: ServiceClient) -> None:
    """A change that was seen before the last cycle began has been read."""
    await make_job(relay)
    async with relay.database.transaction() as conn:
        await conn.execute("update jobs set begun_at = now()")
    with relay.listener.watch((jobs.DUE, "")) as bell:
        await client.nudge(DOMAIN, 60)
        assert await wait(relay) > timedelta(minutes=59)
        assert not await _rang(bell)


async def _rang(bell: Bell) -> bool:
    return await bell.wait(0.3)


async def test_nudges_that_cannot_be_taken(relay: Service, client: ServiceClient) -> None:
    """Of a domain that the agent is not for, of a revoked agent, and what is no nudge."""
    await make_job(relay)
    with pytest.raises(TransientError) as raised:
        await client.nudge("other.test", 0)
    assert raised.value.code == "DomainNotEnrolled"
    for age in (-1, 1e9, float("nan"), float("inf")):
        with pytest.raises(TransientError) as raised:
            await client.nudge(DOMAIN, age)
        assert raised.value.code == "BadRequest"
    for domain in ("", "x" * 256):
        with pytest.raises(TransientError):
            await client.nudge(domain, 0)
    assert await wait(relay) > timedelta(minutes=59)
    (agent,) = await administration.list_agents(relay.door)
    await administration.revoke(relay.door, agent.id, "test")
    with pytest.raises(CredentialError):
        await client.nudge(DOMAIN, 0)


async def test_nobody_nudges_without_a_token(relay: Service) -> None:
    """As at every address behind the door."""
    async with httpx2.AsyncClient(verify=False) as anybody:
        answer = await anybody.post(f"{relay.url}/agents/v1/nudges", json={"domain": DOMAIN})
    assert answer.status_code == 401


async def test_agent_tells_of_changes(relay: Service, new_agent: Callable[..., Agent], tmp_path: Path) -> None:
    """A real agent nudges when its directory changes, and not when it does not."""
    revision = tmp_path / "revision"
    agent = new_agent(made_up(users=10, groups=1, members=1, revision_file=revision) + "\nnotifies = true")
    await agent.enrol(relay)
    await make_job(relay)
    with relay.listener.watch((jobs.DUE, "")) as bell:
        agent.start()
        assert await bell.wait(20)
        await make_job(relay)
        assert not await bell.wait(1.5)
        revision.write_text("1")
        assert await bell.wait(10)
    assert await wait(relay) <= timedelta()
