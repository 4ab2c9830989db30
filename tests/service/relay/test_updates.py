"""What an administrator says of updates reaches the updater of a host, and what that does is seen at the service."""

import asyncio
import json
import shlex
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

import dirbridge
from dirbridge.agent.updater.home import Home
from tests.agent.updater import made_up
from tests.fixtures.releases import Publisher
from tests.service import registered
from tests.service.relay.harness import DIRBRIDGE, Agent, Service
from tests.service.relay.island import Island
from tests.service.relay.test_outbound_proxy import enrol, proxy, settings
from tests.service.releases.conftest import Administrator

NewAgent = Callable[..., Agent]

__all__ = ["proxy"]  # a fixture

CONFIGURATION = "/beta/onPremisesPublishingProfiles/provisioning/hybridAgentUpdaterConfiguration"


@pytest.fixture
async def administrator(relay: Service) -> AsyncIterator[Administrator]:
    """Who publishes releases, and says when hosts take them."""
    context = ssl.create_default_context(cadata=relay.identity.authority.certificate.decode())
    headers = registered.bearer(
        relay.identity.tokens, "Synchronization.ReadWrite.All", "Directory.ReadWrite.All", "Agents.Read"
    )
    async with httpx2.AsyncClient(base_url=relay.url, verify=context, trust_env=False) as client:
        yield Administrator(client, headers)


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path / "publisher")


def prepare(folder: Path, publisher: Publisher) -> Home:
    """A host whose first version is this installation."""
    home = Home(folder)
    home.adopt(dirbridge.__version__)
    home.switch(dirbridge.__version__)
    (folder / "root.json").write_bytes(publisher.root)
    (folder / "root.json").chmod(0o644)
    return home


async def update(home: Home, agent: Agent, restart: list[str], *before: str) -> tuple[str, str]:
    """Run the updater once; gives what it says: phase and message."""
    places = ["--home", str(home.folder), "--settings", str(agent.settings), "--state", str(agent.state)]
    options = [*places, "--restart", shlex.join(restart), "--patience", "10", "--settle", "0.5", "--once"]
    process = await asyncio.create_subprocess_exec(*before, *DIRBRIDGE, "agent", "updater", *options)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    return made_up.phase(agent.state)


async def until(look: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not await look():
            await asyncio.sleep(0.1)


async def test_configuration_reaches_the_updater(
    relay: Service, new_agent: NewAgent, administrator: Administrator, publisher: Publisher, tmp_path: Path
) -> None:
    """Deferred, the updater waits; let pass, it tries, and the service shows why the release was not taken."""
    agent, home = new_agent(), prepare(tmp_path / "home", publisher)
    await agent.enrol(relay)
    agent.start()
    await agent.logged("agent_started")
    publisher.release("9.0.0")
    await administrator.publish(publisher)

    async def patch(change: dict[str, Any], heard: Callable[[dict[str, Any]], bool]) -> None:
        answer = await administrator.client.patch(CONFIGURATION, json=change, headers=administrator.headers)
        assert answer.status_code == 204, answer.text
        file = agent.state / "updater.json"

        async def look() -> bool:
            return file.exists() and heard(json.loads(file.read_text()))

        await until(look)

    window = {"updateWindowStartTime": "0:00:00", "updateWindowEndTime": "23:59:59.0000000"}
    await patch(
        {"deferUpdate": "2100-08-20T12:00", "updateWindow": window}, lambda said: said["deferUntil"] is not None
    )
    phase, message = await update(home, agent, ["false"])
    assert (phase, "deferred until 2100-08-20" in message) == ("waiting", True), message
    assert home.current() == dirbridge.__version__
    await patch({"allowUpdateConfigurationOverride": True}, lambda said: said["deferUntil"] is None)
    phase, message = await update(home, agent, ["false"])
    assert (phase, "9.0.0 was not taken" in message) == ("failed", True), message
    assert list(home.bad()) == ["9.0.0"]

    async def shown() -> bool:
        answer = await administrator.client.get("/beta/dirbridge/agents", headers=administrator.headers)
        (found,) = answer.json()["value"]
        return "UpdateFailed" in json.dumps(found)

    await until(shown)


async def test_releases_come_through_the_proxy(
    relay: Service,
    new_agent: NewAgent,
    administrator: Administrator,
    publisher: Publisher,
    island: Island,
    proxy: str,
    tmp_path: Path,
) -> None:
    """On a host that only a proxy with a password leads out of, the updater goes the agent's way."""
    agent = new_agent(common=settings(tmp_path, proxy))
    assert (await enrol(island, agent, relay)).returncode == 0
    contents = {name: content.encode() for name, content in made_up.contents("9.0.0").items()}
    publisher.release("9.0.0", contents)
    await administrator.publish(publisher)
    home = prepare(tmp_path / "home", publisher)
    agent.start(*island.inside)
    await agent.logged("agent_started")
    restart = made_up.restart(home.program, agent.state)
    try:
        said = await update(home, agent, restart, *island.inside)
    finally:
        made_up.end(agent.state)
    assert said == ("idle", f"Updated from {dirbridge.__version__} to 9.0.0.")
    assert home.current() == "9.0.0"
    lines = agent.settings.read_text().splitlines(keepends=True)
    agent.settings.write_text("".join(line for line in lines if not line.startswith("proxy")))
    assert (await update(home, agent, restart, *island.inside))[0] == "failed"
