"""Traces of an agent that runs: on its host by the command, through a crash, and on a full disk."""

import asyncio
import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import msgspec
import pytest

from dirbridge.service.relay import administration
from dirbridge.store.database import Database
from tests.service import registered
from tests.service.relay.harness import DIRBRIDGE, DOMAIN, QUICK, SELECTION, Agent, Service, collect, made_up

NewAgent = Callable[..., Agent]


def trace(agent: Agent, *words: str) -> dict[str, Any]:
    """Run `dirbridge agent trace` for it."""
    command = [*DIRBRIDGE, "agent", "trace", *words, "--state", str(agent.state), "--json"]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return found


def verbose(agent: Agent) -> str:
    file = agent.state / "trace" / "verbose.log"
    return file.read_text() if file.exists() else ""


async def until(fulfilled: Callable[[], bool], timeout: float = 20) -> None:
    async with asyncio.timeout(timeout):
        while not fulfilled():
            await asyncio.sleep(0.05)


async def test_trace_of_a_running_agent(relay: Service, new_agent: NewAgent) -> None:
    """It begins and ends without a restart, has what the agent does meanwhile, and is off by itself after a crash."""
    agent = new_agent()
    await agent.enrol(relay)
    agent.start()
    await agent.logged("agent_started")
    assert trace(agent, "status")["verbose"] is False
    begun = trace(agent, "start", "--minutes", "5")
    assert (begun["verbose"], begun["values"], begun["by"]) == (True, False, "host")
    await until(lambda: "verbose_on" in verbose(agent))
    await collect(relay.source().changes(SELECTION, None))
    await until(lambda: "request_answered" in verbose(agent))
    assert trace(agent, "stop")["verbose"] is False
    await until(lambda: "verbose_off" in verbose(agent))
    assert '"service_called"' in verbose(agent)
    assert "Bearer" not in verbose(agent)

    trace(agent, "start", "--minutes", "0.25")
    await until(lambda: verbose(agent).count("verbose_on") == 2)
    agent.signal(signal.SIGKILL)
    await agent.wait()
    agent.start()
    await until(lambda: verbose(agent).count("verbose_on") == 3)
    await until(lambda: verbose(agent).count("its time is over") == 1)
    agent.signal(signal.SIGKILL)
    await agent.wait()
    size = len(verbose(agent))
    agent.start()
    await until(lambda: agent.log.read_text().count("agent_started") == 3)
    await collect(relay.source().changes(SELECTION, None))
    found = trace(agent, "status")
    assert (found["verbose"], found["until"], len(verbose(agent))) == (False, None, size)
    assert "verbose.log" in [file["name"] for file in found["files"]]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    folder = tmp_path / "agent-0" / "state"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs", str(folder)], check=True, timeout=20)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=20)


async def test_full_disk_costs_lines_and_no_answer(relay: Service, new_agent: NewAgent, small_disk: Path) -> None:
    """The agent answers all the while, a trace that is wanted ends, and with room again the lines go on."""
    agent = new_agent(made_up(200, 5, 5))
    assert agent.state == small_disk
    await agent.enrol(relay)
    trace(agent, "start", "--minutes", "5")
    filler = os.open(small_disk / "filler", os.O_WRONLY | os.O_CREAT)
    for size in (4096, 512, 1):
        try:
            while True:
                os.write(filler, b"x" * size)
        except OSError:
            continue
    agent.start()
    await agent.logged("trace_not_written")
    for _ in range(3):
        assert (await collect(relay.source().changes(SELECTION, None)))[-1].last
    assert verbose(agent) == ""
    os.ftruncate(filler, 0)
    os.close(filler)

    await asyncio.sleep(5.1)  # as long as a file that cannot be written is left alone
    await collect(relay.source().changes(SELECTION, None))
    await until(lambda: "request_answered" in verbose(agent))
    lines = [json.loads(line) for line in verbose(agent).splitlines()]
    assert lines[0]["lost"] > 3
    assert trace(agent, "stop")["verbose"] is False
    agent.signal(signal.SIGTERM)
    assert await agent.wait() == 0


async def test_trace_that_is_wanted_while_nothing_runs_waits(relay: Service, new_agent: NewAgent) -> None:
    """For a start that fails; a host that is not enrolled has nothing to trace."""
    agent = new_agent(made_up(100, 2, 2))
    command = [*DIRBRIDGE, "agent", "trace", "start", "--state", str(agent.state), "--json"]
    refused = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=60, check=False)
    assert json.loads(refused.stderr)["error"]["code"] == "NotEnrolled"
    await agent.enrol(relay)
    began = time.time()
    assert trace(agent, "start", "--values")["processId"] is None
    agent.start()
    await until(lambda: "verbose_on" in verbose(agent))
    first = json.loads(verbose(agent).splitlines()[0])
    assert "with values of attributes" in first["message"]
    assert time.time() - began < 60
    await collect(relay.source(DOMAIN).changes(SELECTION, None))
    await until(lambda: '"entry_read"' in verbose(agent))


@pytest.fixture
async def rarely(database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    """A service that wants a heartbeat every five minutes only."""
    settings = msgspec.structs.replace(QUICK, heartbeat_every=timedelta(minutes=5), poll_wait=timedelta(seconds=60))
    async with Service(database, tmp_path, settings) as running:
        yield running


async def test_trace_by_the_service(rarely: Service, new_agent: NewAgent) -> None:
    """An agent that waits for requests begins at once, whatever its next heartbeat; it says so, and ends when told."""
    agent = new_agent(common='remote_trace = "on"')
    agent_id = await agent.enrol(rarely)
    agent.start()
    await agent.logged("agent_started")
    headers = registered.bearer(rarely.identity.tokens, "Synchronization.ReadWrite.All")
    reader = registered.bearer(rarely.identity.tokens, "Synchronization.Read.All")
    trust = ssl.create_default_context(cadata=rarely.identity.authority.certificate.decode())
    async with httpx2.AsyncClient(base_url=f"{rarely.url}/beta/dirbridge/agents", verify=trust) as api:
        path = f"/{agent_id}"
        assert (await api.post(f"{path}/startTrace", json={}, headers=reader)).status_code == 403
        assert (await api.post(f"{path}/startTrace", json={"minutes": 2000}, headers=headers)).status_code == 400
        assert (await api.post(f"/{uuid4()}/startTrace", json={}, headers=headers)).status_code == 404
        assert (await api.get(f"/{uuid4()}/trace", headers=reader)).status_code == 404
        assert (await api.get(f"{path}/trace", headers=reader)).json() == {"wanted": None, "reported": None}
        began = await api.post(f"{path}/startTrace", json={"minutes": 5, "values": True}, headers=headers)
        assert began.status_code == 200, began.text
        await until(lambda: "verbose_on" in verbose(agent), 5)
        assert (await api.get(f"{path}/trace", headers=reader)).json()["wanted"] == began.json()
        assert '"by": "service"' in verbose(agent)
        assert "without values" in verbose(agent)
        assert (await api.post(f"{path}/stopTrace", headers=headers)).status_code == 204
        await until(lambda: "verbose_off" in verbose(agent), 5)
        after = (await api.get(f"{path}/trace", headers=reader)).json()
        assert after["wanted"] is None
        assert after["reported"]["refused"].startswith("remote_trace in the settings of this agent does not allow")
        await administration.revoke(rarely.door, UUID(agent_id), "test")
        assert (await api.post(f"{path}/startTrace", json={}, headers=headers)).status_code == 404
