"""How an agent is, as the service shows it."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import msgspec
import pytest

from dirbridge.agent import enrol as enrolling
from dirbridge.agent import state
from dirbridge.agent.client import ServiceClient, http, tls
from dirbridge.agent.settings import Common
from dirbridge.agent.state import State
from dirbridge.contract.errors import ConfigurationError, CredentialError
from dirbridge.service.relay import administration
from dirbridge.store import agents
from dirbridge.store.database import Database
from tests.service import registered
from tests.service.relay.harness import DOMAIN, QUICK, SELECTION, Agent, Service, collect, made_up

pytestmark = pytest.mark.service

BEAT = {"state": "running", "version": "1.2.3", "host": "h", "uptime": 1, "queue": 0, "domains": [DOMAIN]}


@pytest.fixture
async def enrolled(relay: Service, tmp_path: Path) -> State:
    await enrolling.enrol(relay.url, await relay.code(), tmp_path / "state")
    return state.load(tmp_path / "state")


@pytest.fixture
async def client(enrolled: State) -> AsyncIterator[ServiceClient]:
    async with ServiceClient(enrolled, Common()) as opened:
        yield opened


@pytest.fixture
async def graph(relay: Service, enrolled: State) -> AsyncIterator[httpx2.AsyncClient]:
    """An administrator's client."""
    roles = ("Synchronization.ReadWrite.All", "Policy.Read.HybridAuthentication")
    async with http(relay.url, Common(), tls(str(enrolled.trust_file))) as opened:
        opened.headers.update(registered.bearer(relay.identity.tokens, *roles))
        yield opened


async def shown(graph: httpx2.AsyncClient) -> dict[str, Any]:
    (agent,) = (await graph.get("/beta/dirbridge/agents")).json()["value"]
    assert (await graph.get(f"/beta/dirbridge/agents/{agent['id']}")).json() == agent
    found: dict[str, Any] = agent
    return found


def codes(agent: dict[str, Any]) -> list[str]:
    assert all(reason["message"] and reason["recommendedAction"] for reason in agent["statusReasons"]), agent
    return [reason["code"] for reason in agent["statusReasons"]]


async def change(relay: Service, what: str, *values: object) -> None:
    async with relay.database.transaction() as conn:
        await conn.execute(f"update agents set {what}", values)  # type: ignore[arg-type]


async def in_graph(graph: httpx2.AsyncClient) -> str:
    profile = "/beta/onPremisesPublishingProfiles/provisioning"
    (agent,) = (await graph.get(f"{profile}/agents")).json()["value"]
    return str(agent["status"])


async def test_from_enrolment_to_revocation(relay: Service, client: ServiceClient, graph: httpx2.AsyncClient) -> None:
    """Each state in the order of a life, in our words and in Graph's two."""
    told: list[tuple[str, list[str], str]] = []

    async def look() -> None:
        agent = await shown(graph)
        told.append((agent["status"], codes(agent), await in_graph(graph)))

    await look()
    await client.heartbeat({**BEAT, "state": "starting"})
    await look()
    await client.heartbeat(BEAT)
    assert (await shown(graph))["statusReasons"] == []
    await client.heartbeat({**BEAT, "state": "stopping"})
    await look()
    await client.heartbeat(BEAT)
    await change(relay, "last_heard = now() - interval '95 seconds'")
    await look()
    await administration.revoke(relay.door, UUID((await shown(graph))["id"]), "test")
    agent = await shown(graph)
    assert told == [
        ("inactive", ["AgentNeverHeard"], "inactive"),
        ("healthy", [], "active"),
        ("inactive", ["AgentStopped"], "inactive"),
        ("inactive", ["AgentSilent"], "inactive"),
    ]
    assert (agent["status"], codes(agent)) == ("revoked", ["AgentRevoked"])
    assert (await graph.get(f"/beta/dirbridge/agents/{uuid4()}")).status_code == 404


TROUBLE = {
    "domain": DOMAIN,
    "code": "InvalidCredentials",
    "message": "dc1 refuses the account.",
    "recommendedAction": "Correct the password.",
    "since": "2026-01-02T03:04:05+00:00",
}


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"troubles": [TROUBLE]}, "InvalidCredentials"),
        ({"domains": []}, "DomainNotServed"),
        ({"lost": "The service cannot be reached: ReadTimeout."}, "RequestsNotFetched"),
        ({"time": (datetime.now(UTC) - timedelta(hours=1)).isoformat()}, "ClockSkewed"),
        ({"update": {"phase": "rolled-back", "to": "2.0", "message": "It did not start."}}, "UpdateRolledBack"),
        ({"update": {"phase": "failed", "message": "The disk is full."}}, "UpdateFailed"),
        ({"update": {"phase": "installing", "to": "2.0", "at": "2026-01-02T03:04:05+00:00"}}, "UpdateFailed"),
    ],
)
async def test_what_an_agent_says_degrades_it(
    client: ServiceClient, graph: httpx2.AsyncClient, said: dict[str, Any], code: str
) -> None:
    """Each thing that is wrong is named, and gone with the heartbeat that no longer says it."""
    await client.heartbeat({**BEAT, **said})
    agent = await shown(graph)
    assert (agent["status"], codes(agent), await in_graph(graph)) == ("degraded", [code], "active")
    await client.heartbeat({**BEAT, "time": datetime.now(UTC).isoformat()})
    assert (await shown(graph))["status"] == "healthy"


async def test_a_trouble_is_shown_as_it_was_told(client: ServiceClient, graph: httpx2.AsyncClient) -> None:
    await client.heartbeat({**BEAT, "troubles": [TROUBLE]})
    (reason,) = (await shown(graph))["statusReasons"]
    assert reason == {
        "code": "InvalidCredentials",
        "message": "dc1 refuses the account.",
        "recommendedAction": "Correct the password.",
        "domain": DOMAIN,
        "sinceDateTime": "2026-01-02T03:04:05Z",
    }


async def test_what_the_service_sees_degrades_it(
    relay: Service, client: ServiceClient, graph: httpx2.AsyncClient
) -> None:
    """No heartbeat beside its polls, and a certificate that nobody renews."""
    await client.heartbeat(BEAT)
    await change(relay, "reported_at = now() - interval '91 seconds'")
    assert codes(await shown(graph)) == ["HeartbeatMissing"]
    await client.heartbeat(BEAT)
    await change(relay, "expires_at = now() + interval '14 days'")
    assert codes(await shown(graph)) == ["CertificateNotRenewed"]
    await client.renew_certificate()
    assert codes(await shown(graph)) == []


@pytest.mark.parametrize("phase", ["downloading", "installing", "checking"])
async def test_updating(client: ServiceClient, graph: httpx2.AsyncClient, phase: str) -> None:
    """While its updater works an agent is updating, whatever else is wrong."""
    update = {"phase": phase, "from": "1.2.3", "to": "1.3.0"}
    await client.heartbeat({**BEAT, "troubles": [TROUBLE], "update": update})
    agent = await shown(graph)
    assert (agent["status"], agent["update"]) == ("updating", update)
    assert "from version 1.2.3 to 1.3.0" in agent["statusReasons"][0]["message"]
    # It is restarted in the course of it.
    await client.heartbeat({**BEAT, "state": "stopping", "update": {**update, "at": datetime.now(UTC).isoformat()}})
    assert (await shown(graph))["status"] == "updating"
    await client.heartbeat({**BEAT, "update": {**update, "phase": "idle"}})
    assert (await shown(graph))["status"] == "healthy"


async def test_heartbeats_of_other_versions(client: ServiceClient, graph: httpx2.AsyncClient) -> None:
    """Members that this service does not know are passed over; odd values of those it knows do no harm."""
    odd = {"phase": ["?"], "to": "\0", "message": None, "more": {"deep": [1.5, "\0", float("nan")]}}
    answer = await client.heartbeat({**BEAT, "lastError": "a\0b", "update": odd, "new": {"thing": 1}})
    assert set(answer["poll"]) == {"wait", "renewEvery", "heartbeatEvery"}
    agent = await shown(graph)
    assert (agent["status"], agent["lastError"]) == ("healthy", "ab")
    assert agent["update"]["more"] == {"deep": [1.5, "", None]}


@pytest.mark.parametrize(
    "wrong", [{"uptime": float("inf")}, {"troubles": [{"domain": DOMAIN}]}, {"update": "soon"}, {"time": "noon"}]
)
async def test_heartbeat_that_makes_no_sense(relay: Service, enrolled: State, wrong: dict[str, Any]) -> None:
    """It is refused with the place of the fault, and nothing of it is kept."""
    async with ServiceClient(enrolled, Common()) as client:
        with pytest.raises(Exception, match=next(iter(wrong))):
            await client.heartbeat({**BEAT, **wrong})
    (agent,) = await administration.list_agents(relay.door)
    assert agent.report == {}


async def test_checks_say_what_is_well_and_what_is_not(
    relay: Service, client: ServiceClient, graph: httpx2.AsyncClient
) -> None:
    """Each thing that can be wrong by itself; nobody knows of an agent that is away."""

    async def checks() -> dict[str, str]:
        return {each["name"]: each["status"] for each in (await shown(graph))["checks"]}

    names = ("heartbeat", "requests", "domain", "clock", "certificate", "update")
    assert await checks() == {name: "failed" if name == "heartbeat" else "unknown" for name in names}
    await client.heartbeat(BEAT)
    assert await checks() == dict.fromkeys(names, "passed")
    trouble = {"domain": DOMAIN, "code": "InvalidCredentials", "message": "No.", "recommendedAction": "Mend it."}
    await client.heartbeat({**BEAT, "troubles": [trouble], "lost": "cut", "update": {"phase": "failed"}})
    assert {name for name, status in (await checks()).items() if status == "failed"} == {"domain", "requests", "update"}
    (domain,) = [each for each in (await shown(graph))["checks"] if each["name"] == "domain"]
    assert (domain["domain"], domain["reason"]["code"]) == (DOMAIN, "InvalidCredentials")
    await client.heartbeat({**BEAT, "domains": []})
    assert {name for name, status in (await checks()).items() if status == "failed"} == {"domain"}
    await change(relay, "revoked_at = now()")
    assert await checks() == {}


async def test_what_went_wrong_is_remembered(client: ServiceClient, graph: httpx2.AsyncClient) -> None:
    """Once each, also where the agent goes on saying so, and after it says so no more; the newest first, 50 at most."""
    agent = (await shown(graph))["id"]

    async def errors() -> list[tuple[str, str, str | None]]:
        found = (await graph.get(f"/beta/dirbridge/agents/{agent}/errors")).json()["value"]
        return [(each["code"], each["message"], each["domain"]) for each in found]

    assert await errors() == []
    trouble = {"domain": DOMAIN, "code": "InvalidCredentials", "message": "No.", "recommendedAction": "Mend it.",
               "since": "2026-01-01T00:00:00Z"}  # fmt: skip
    bad = {**BEAT, "troubles": [trouble], "lastError": f"{DOMAIN}: No. Mend it."}
    for _ in range(3):
        await client.heartbeat(bad)
    assert await errors() == [("InvalidCredentials", "No.", DOMAIN)]
    await client.heartbeat(BEAT)
    await client.heartbeat({**BEAT, "lastError": "it <b>broke</b>", "lost": "cut"})
    assert await errors() == [
        ("RequestsNotFetched", "cut", None),
        ("RequestFailed", "it <b>broke</b>", None),
        ("InvalidCredentials", "No.", DOMAIN),
    ]
    for number in range(60):
        await client.heartbeat({**BEAT, "lastError": f"number {number}"})
    found = await errors()
    assert (len(found), found[0][1], found[-1][1]) == (50, "number 59", "number 10")
    assert (await graph.get(f"/beta/dirbridge/agents/{uuid4()}/errors")).status_code == 404


# A real agent ---------------------------------------------------------------------------------------------------------


async def until(look: Callable[[], Any], wanted: object, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while (found := await look()) != wanted:
            await asyncio.sleep(0.1)
    assert found == wanted


async def test_a_real_agent_tells_its_trouble(relay: Service, new_agent: Callable[..., Agent], tmp_path: Path) -> None:
    """A domain that cannot be read makes it degraded until it can be read again; killed, it is silent."""
    revision = tmp_path / "revision"
    revision.write_text("no number")
    agent = new_agent(made_up(20, 0, 0, revision_file=revision))
    await agent.enrol(relay)
    agent.start()

    async def state_of() -> list[str]:
        (found,) = await administration.list_agents(relay.door)
        said = administration._shown(relay.door, found)
        return [said["status"], *codes(said)]

    await until(state_of, ["healthy"])
    with pytest.raises(ConfigurationError) as raised:
        await collect(relay.source().changes(SELECTION, None))
    await until(state_of, ["degraded", raised.value.code])
    revision.write_text("0")
    await collect(relay.source().changes(SELECTION, None))
    await until(state_of, ["healthy"])
    agent.signal(signal.SIGKILL)
    await until(state_of, ["inactive", "AgentSilent"])
    await agent.wait()
    agent.start()
    await until(state_of, ["healthy"])
    agent.signal(signal.SIGTERM)
    await until(state_of, ["inactive", "AgentStopped"], 3)


async def test_a_real_agent_renews_its_certificate(
    relay: Service, new_agent: Callable[..., Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the last third of its life, by itself, while it works; the service sees it."""
    agent = new_agent(made_up(20, 0, 0))
    id = UUID(await agent.enrol(relay))
    now = datetime.now(UTC)
    monkeypatch.setattr(relay.identity.authority, "_now", lambda: now - timedelta(days=80))
    old = relay.identity.authority.issue_agent(state.load(agent.state).key.public_key(), id)
    monkeypatch.undo()
    state.save_certificate(agent.state, old)
    async with relay.database.transaction() as conn:
        await agents.renew_certificate(conn, relay.identity.tenant.id, id, old, now + timedelta(days=10))
    (before,) = await administration.list_agents(relay.door)
    agent.start()
    await agent.logged("certificate_renewed")
    (after,) = await administration.list_agents(relay.door)
    assert before.expires_at < now + timedelta(days=11)
    assert after.expires_at > now + timedelta(days=89)
    assert after.certificate == (agent.state / "certificate.pem").read_bytes() != old
    assert (await relay.source().check()).findings


async def test_revocation_reaches_an_agent_that_waits(
    database: Database, tmp_path: Path, new_agent: Callable[..., Agent]
) -> None:
    """In the middle of a long poll, with no heartbeat and no look due for an hour, it is told and stops."""
    hour = timedelta(hours=1)
    patient = msgspec.structs.replace(QUICK, poll_wait=hour, look=hour, heartbeat_every=hour)
    async with Service(database, tmp_path, patient) as relay:
        agent = new_agent()
        id = await agent.enrol(relay)
        agent.start()
        await agent.logged("agent_started")
        await relay.source().check()
        began = time.monotonic()
        await administration.revoke(relay.door, UUID(id), "test")
        assert await agent.wait(10) == 4
        assert time.monotonic() - began < 5
        assert "was revoked at" in agent.log.read_text()


async def test_work_of_a_revoked_agent_is_handed_on(relay: Service, new_agent: Callable[..., Agent]) -> None:
    """What it was answering goes to another agent, and the cycle does not notice."""
    first, second = new_agent(made_up(pause=0.5)), new_agent()
    id = await first.enrol(relay)
    await second.enrol(relay)
    first.start()
    reading = asyncio.create_task(collect(relay.source().changes(SELECTION, None)))
    await first.logged("request_taken")
    second.start()
    await administration.revoke(relay.door, UUID(id), "test")
    assert (await reading)[-1].last
    assert await first.wait(10) == 4
    assert '"attempt": 2' in second.log.read_text()
    async with ServiceClient(state.load(first.state), Common()) as client:
        with pytest.raises(CredentialError):
            await client.sign_in()
