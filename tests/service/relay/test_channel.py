"""A real agent in a process of its own, the real door over HTTPS, a real database between them."""

import asyncio
import contextlib
import itertools
import signal
import time
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from dirbridge.agent import settings as agent_settings
from dirbridge.contract.entry import ChangePage, Selection, Watermark
from dirbridge.contract.errors import ConfigurationError, TransientError, WatermarkExpired
from dirbridge.service.relay import administration
from dirbridge.store.database import Database
from tests.service.relay.harness import DOMAIN, QUICK, SELECTION, Agent, Service, collect, made_up, tls_context
from tests.service.relay.proxy import FAULTS, Proxy

pytestmark = pytest.mark.service

NewAgent = Callable[..., Agent]


async def direct(agent: Agent, since: Watermark | None = None) -> list[ChangePage]:
    """What the agent's own source says, read without a channel."""
    (domain,) = agent_settings.parse(tomllib.loads(agent.settings.read_text()), "test").domains
    unhurried = agent_settings.Domain(domain.kind, domain.name, domain.settings.model_copy(update={"pause": 0}))
    return await collect(unhurried.source().changes(SELECTION, since))  # type: ignore[arg-type]


async def test_answer_equals_direct_read(relay: Service, new_agent: NewAgent) -> None:
    """What a cycle reads through the channel is, page by page, what the source says."""
    agent = new_agent(made_up(5000, 40, 200))
    await agent.enrol(relay)
    agent.start()
    pages = await collect(relay.source().changes(SELECTION, None))
    assert pages == await direct(agent)
    assert await collect(relay.source().changes(SELECTION, pages[-1].watermark)) == await direct(
        agent, pages[-1].watermark
    )
    async with relay.database.connection() as conn:
        assert (await (await conn.execute("select count(*) from agent_requests")).fetchone()) == (0,)
        assert (await (await conn.execute("select count(*) from agent_pages")).fetchone()) == (0,)


async def test_read_containers_and_check(relay: Service, new_agent: NewAgent) -> None:
    """Every kind of request is answered."""
    agent = new_agent()
    await agent.enrol(relay)
    agent.start()
    (first, *_) = await collect(relay.source().changes(Selection({"user": ("cn",)}), None))
    pages = await collect(relay.source().containers())
    assert pages[0].containers == first.containers
    assert pages[-1].last
    everything = await direct(agent)
    wanted = [entry.anchor for entry in everything[1].entries[:3]]
    read = await collect(relay.source().read(SELECTION, [*wanted, "no-such-anchor"]))
    assert read[0].entries == everything[1].entries[:3]
    assert read[0].not_visible == ("no-such-anchor",)
    departments = [node for node in first.containers if node.parent]
    names = ["nobody", *[f"u{number:07d}" for number in range(250)], departments[0].name]
    found = await relay.source().locate(names)
    assert [one.name for one in found] == names
    assert (found[0].anchor, found[1].anchor) == ("", wanted[0])
    assert (found[-1].anchor, found[-1].object_type) == (departments[0].anchor, "container")
    report = await relay.source().check()
    assert [finding.outcome for finding in report.findings] == ["pass"]


async def test_failure_arrives_as_the_error_it_was(relay: Service, new_agent: NewAgent, tmp_path: Path) -> None:
    """An error of the source ends the stream with the same kind, code and words."""
    revision = tmp_path / "revision"
    revision.write_text("no number")
    agent = new_agent(made_up(revision_file=revision))
    await agent.enrol(relay)
    agent.start()
    with pytest.raises(ConfigurationError, match=r"holds 'no number'; a whole number is expected"):
        await collect(relay.source().changes(SELECTION, None))
    revision.write_text("0")
    with pytest.raises(WatermarkExpired):
        await collect(relay.source().changes(SELECTION, Watermark("elsewhere", b"x:1")))


async def test_reader_behind_holds_the_agent_back(relay: Service, new_agent: NewAgent) -> None:
    """However slow the reader, no more than the window's pages wait in the database."""
    agent = new_agent(made_up(30000, 0, 0))
    await agent.enrol(relay)
    agent.start()
    most = 0
    async with contextlib.aclosing(relay.source().changes(SELECTION, None)) as pages:
        numbers = []
        async for page in pages:
            await asyncio.sleep(0.1)
            async with relay.database.connection() as conn:
                row = await (await conn.execute("select count(*) from agent_pages")).fetchone()
            assert row is not None
            most = max(most, row[0])
            numbers += [entry.attributes["employeeID"][0] for entry in page.entries]
    assert numbers == [str(number) for number in range(30000)]
    assert 2 < most <= QUICK.leases.window


async def test_abandoned_stream_frees_the_agent(relay: Service, new_agent: NewAgent) -> None:
    """A reader that leaves in the middle takes its request away; the agent drops it and serves the next."""
    agent = new_agent(made_up(50000, 0, 0), "concurrency = 1")
    await agent.enrol(relay)
    agent.start()
    async with contextlib.aclosing(relay.source().changes(SELECTION, None)) as pages:
        async for page in pages:
            if page.entries:
                break
    async with relay.database.connection() as conn:
        assert (await (await conn.execute("select count(*) from agent_requests")).fetchone()) == (0,)
    report = await asyncio.wait_for(relay.source().check(), 20)
    assert report.findings
    assert "request_gone" in agent.log.read_text()


async def test_killed_agent_is_replaced_before_anything_was_read(relay: Service, new_agent: NewAgent) -> None:
    """A request whose agent died before its first page was read goes to another agent, unnoticed."""
    first, second = new_agent(made_up(pause=0.5)), new_agent()
    await first.enrol(relay)
    await second.enrol(relay)
    first.start()
    reading = asyncio.create_task(collect(relay.source().changes(SELECTION, None)))
    await first.logged("request_taken")
    first.signal(signal.SIGKILL)
    second.start()
    assert await reading == await direct(second)
    assert '"attempt": 2' in second.log.read_text()


async def test_killed_agent_in_mid_answer_is_told_to_the_cycle(relay: Service, new_agent: NewAgent) -> None:
    """Where pages were already read, the read ends as AgentChanged, and a new one through another agent is whole."""
    first, second = new_agent(made_up(20000, pause=0.2)), new_agent(made_up(20000))
    await first.enrol(relay)
    await second.enrol(relay)
    first.start()
    read = 0
    with pytest.raises(TransientError) as raised:
        async with contextlib.aclosing(relay.source().changes(SELECTION, None)) as pages:
            async for _ in pages:
                read += 1
                if read == 3:
                    first.signal(signal.SIGKILL)
                    second.start()
    assert raised.value.code == "AgentChanged"
    assert await collect(relay.source().changes(SELECTION, None)) == await direct(second)


async def test_stopped_agent_gets_410_for_its_later_pages(relay: Service, new_agent: NewAgent) -> None:
    """An agent that slept through its lease is not heard any more when it wakes."""
    # It sleeps before its first page, however late the test hears that it has begun.
    first, second = new_agent(made_up(pause=3)), new_agent()
    await first.enrol(relay)
    await second.enrol(relay)
    first.start()
    reading = asyncio.create_task(collect(relay.source().changes(SELECTION, None)))
    await first.logged("request_taken")
    first.signal(signal.SIGSTOP)
    second.start()
    await second.logged("request_taken")
    pages = await reading
    first.signal(signal.SIGCONT)
    # It is refused, or has noticed by itself that it heard nothing for too long.
    noticing = [asyncio.create_task(first.logged(event)) for event in ("request_gone", "request_dropped")]
    noticed, others = await asyncio.wait(noticing, return_when=asyncio.FIRST_COMPLETED)
    for other in others:
        other.cancel()
    await asyncio.gather(*noticed)
    await asyncio.gather(*others, return_exceptions=True)
    assert pages == await direct(second)


async def test_restarted_agent_takes_up_at_once_what_it_had(
    database: Database, tmp_path: Path, new_agent: NewAgent
) -> None:
    """A new process of the same agent does not wait for the old one's lease to run out."""
    hour = timedelta(hours=1)
    patient = msgspec.structs.replace(QUICK, leases=msgspec.structs.replace(QUICK.leases, silence=hour, offer=hour))
    async with Service(database, tmp_path, patient) as relay:
        agent = new_agent(made_up(pause=0.3))
        await agent.enrol(relay)
        agent.start()
        reading = asyncio.create_task(collect(relay.source().changes(SELECTION, None)))
        await agent.logged("request_taken")
        agent.signal(signal.SIGKILL)
        await agent.wait()
        agent.start()
        assert await asyncio.wait_for(reading, 60) == await direct(agent)


async def test_sigterm_stops_within_seconds_and_hands_back(relay: Service, new_agent: NewAgent) -> None:
    """An agent that is told to stop does so in the middle of an answer, with exit code 0."""
    agent = new_agent(made_up(100000, pause=0.2))
    await agent.enrol(relay)
    agent.start()
    with pytest.raises(TransientError) as raised:
        async with contextlib.aclosing(relay.source().changes(SELECTION, None)) as pages:
            async for number in _count(pages):
                if number == 2:
                    agent.signal(signal.SIGTERM)
                    assert await agent.wait(8) == 0
    assert raised.value.code == "AgentChanged"


async def _count(pages: object) -> object:
    numbers = itertools.count(1)
    async for _ in pages:  # type: ignore[attr-defined]
        yield next(numbers)


async def test_service_restarted_under_a_running_agent(relay: Service, new_agent: NewAgent) -> None:
    """The agent comes back by itself, and meanwhile costs next to nothing."""
    agent = new_agent()
    await agent.enrol(relay)
    agent.start()
    await agent.logged("agent_started")
    await relay.stop()
    await agent.logged("service_lost")
    before = _cpu(agent)
    await asyncio.sleep(3)
    assert _cpu(agent) - before < 3 * 0.1
    await relay.start()
    assert await collect(relay.source().changes(SELECTION, None)) == await direct(agent)
    await agent.logged("service_found")


def _cpu(agent: Agent) -> float:
    assert agent.process is not None
    fields = Path(f"/proc/{agent.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def test_replicas_share_the_work(relay: Service, new_agent: NewAgent, tmp_path: Path) -> None:
    """A request made through one replica is answered by an agent that calls another."""
    (tmp_path / "other").mkdir()
    for name in ("sealing.key", "ca.pem"):
        (tmp_path / "other" / name).write_bytes((tmp_path / name).read_bytes())
        (tmp_path / "other" / name).chmod(0o600)
    other = Service(relay.database, tmp_path / "other", QUICK)
    await other.start(base_url=relay.url)
    try:
        agent = new_agent()
        await agent.enrol(relay, url=other.url)
        agent.start()
        assert await collect(relay.source().changes(SELECTION, None)) == await direct(agent)
    finally:
        await other.stop()


async def test_no_agent_assigned(relay: Service) -> None:
    """Without an agent for the domain the cycle is told so, with what to do."""
    with pytest.raises(TransientError, match=f"No agent is enrolled for {DOMAIN}") as raised:
        await collect(relay.source(agent_grace=timedelta(seconds=0.5)).changes(SELECTION, None))
    assert raised.value.code == "HybridIdentityServiceNoAgentsAssigned"
    assert "dirbridge agent code" in raised.value.recommended_action


async def test_no_agent_connected(relay: Service, new_agent: NewAgent) -> None:
    """An agent that is enrolled and does not run is told apart from none."""
    await new_agent().enrol(relay)
    with pytest.raises(TransientError, match="None of the 1 agents") as raised:
        await collect(relay.source(agent_grace=timedelta(seconds=0.5)).changes(SELECTION, None))
    assert raised.value.code == "HybridIdentityServiceNoActiveAgents"


async def test_agents_that_are_long_gone_are_not_waited_for(relay: Service, new_agent: NewAgent) -> None:
    """A cycle ends at once, so that it holds no worker; one that is away for a moment, or may just return, has time."""
    long_ago = time.monotonic() - 3600

    async def seconds(since: float, grace: float) -> float:
        began = time.monotonic()
        source = relay.source(since=since, agent_grace=timedelta(seconds=grace))
        with pytest.raises(TransientError, match="agent"):
            await collect(source.changes(SELECTION, None))
        return time.monotonic() - began

    assert await seconds(long_ago, 30) < 3  # none was ever enrolled
    await new_agent().enrol(relay)
    assert await seconds(long_ago, 30) < 3  # none was ever heard from
    assert await seconds(time.monotonic(), 1) >= 1  # the service has just begun
    async with relay.database.transaction() as conn:
        await conn.execute("update agents set last_heard = now() - interval '1 hour'")
    assert await seconds(long_ago, 30) < 3
    async with relay.database.transaction() as conn:
        await conn.execute("update agents set last_heard = now() - interval '4.5 seconds'")
    assert await seconds(long_ago, 3) >= 2


async def test_agent_that_delivers_nothing_times_out(relay: Service, new_agent: NewAgent) -> None:
    """An agent that renews and never delivers does not hold the cycle for ever."""
    agent = new_agent(made_up(pause=100))
    await agent.enrol(relay)
    agent.start()
    await agent.logged("agent_started")
    with pytest.raises(TransientError, match="page 0 did not come within 4 seconds") as raised:
        await collect(relay.source(page_limit=timedelta(seconds=4)).changes(SELECTION, None))
    assert raised.value.code == "TimeOut"


async def test_revoked_agent_stops_with_a_plain_error(relay: Service, new_agent: NewAgent) -> None:
    """From its revocation on an agent gets nothing; it stops, says why, and its exit code tells it was refused."""
    agent = new_agent()
    agent_id = await agent.enrol(relay)
    agent.start()
    await agent.logged("agent_started")
    (listed,) = await administration.list_agents(relay.door)
    assert await administration.revoke(relay.door, listed.id, "test")
    assert await agent.wait() == 4
    said = agent.log.read_text()
    assert f"Agent {agent_id} on {listed.machine_name} was revoked at" in said
    assert "Enrol it again" in said


async def test_orphaned_request_is_swept(relay: Service, new_agent: NewAgent) -> None:
    """What a reader that died left behind is taken from its agent when its lease is over."""
    agent = new_agent(made_up(100000, pause=0.1))
    await agent.enrol(relay)
    agent.start()
    pages = relay.source().changes(SELECTION, None)
    await anext(pages)

    async def die() -> None:
        # The reader lives, and says so every few seconds: what is told of its end must not be taken back by that.
        while True:
            async with relay.database.connection() as conn:
                await conn.execute("update agent_requests set read_at = now() - interval '1 hour'")
            await asyncio.sleep(0.05)

    dying = asyncio.create_task(die())
    await agent.logged("request_gone")
    dying.cancel()
    with pytest.raises(TransientError):
        while True:
            await anext(pages)


@pytest.mark.parametrize("seed", range(3))
async def test_bad_line_loses_nothing(relay: Service, new_agent: NewAgent, tmp_path: Path, seed: int) -> None:
    """Cut, truncated, delayed, repeated, overtaken and replayed: what arrives equals the direct read, in order."""
    shown = tls_context(relay.identity.authority, tmp_path)
    async with Proxy(shown, relay.port, relay.identity.authority.certificate, seed) as proxy:
        agent = new_agent(made_up(20000, 100, 100))
        await agent.enrol(relay, url=proxy.url)
        expected = await direct(agent)
        proxy.rate = 0.4
        agent.start()
        complete = 0
        async with asyncio.timeout(90):
            while complete < 2 or sum(proxy.faults.values()) <= 20:
                try:
                    pages = await collect(relay.source().changes(SELECTION, None))
                except TransientError:
                    continue
                assert pages == expected
                complete += 1
        assert set(proxy.faults) <= set(FAULTS)


async def test_cut_line_heals(relay: Service, new_agent: NewAgent, tmp_path: Path) -> None:
    """A line that is dead for longer than the lease costs one read, and nothing after it."""
    shown = tls_context(relay.identity.authority, tmp_path)
    async with Proxy(shown, relay.port, relay.identity.authority.certificate, 0) as proxy:
        agent = new_agent(made_up(20000, pause=0.05))
        await agent.enrol(relay, url=proxy.url)
        agent.start()
        with pytest.raises(TransientError) as raised:
            async with contextlib.aclosing(relay.source().changes(SELECTION, None)) as pages:
                async for page in pages:
                    if page.entries:
                        proxy.is_cut = True
        assert raised.value.code == "AgentChanged"
        proxy.is_cut = False
        assert await collect(relay.source().changes(SELECTION, None)) == await direct(agent)
