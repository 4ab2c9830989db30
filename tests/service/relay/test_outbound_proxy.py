"""A host that only a proxy leads out of: a network namespace whose one neighbour is a real proxy.

The service listens on this machine's loopback, which the namespace does not see.
"""

import asyncio
import contextlib
import json
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.service.relay.harness import DIRBRIDGE, SELECTION, Agent, Service, collect
from tests.service.relay.island import Island

USER, PASSWORD = "agent", "Out-goes-1t"

NewAgent = Callable[..., Agent]


@pytest.fixture
async def proxy(island: Island, tmp_path: Path) -> AsyncIterator[str]:
    """A tinyproxy that asks for a password; its address."""
    with socket.socket() as probe:
        probe.bind((island.gateway, 0))
        port = probe.getsockname()[1]
    file, log = tmp_path / "tinyproxy.conf", tmp_path / "tinyproxy.log"
    file.write_text(
        f"Port {port}\nListen {island.gateway}\nTimeout 120\nMaxClients 50\nBasicAuth {USER} {PASSWORD}\n"
        f'LogFile "{log}"\nLogLevel Connect\n'
    )
    process = subprocess.Popen(
        ["tinyproxy", "-d", "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(island.gateway, port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield f"http://{island.gateway}:{port}"
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)


def settings(folder: Path, address: str, password: str = PASSWORD) -> str:
    """The lines that lead through the proxy."""
    file = folder / f"proxy-{secrets.token_hex(3)}.password"
    file.touch(0o600)
    file.write_text(password + "\n")
    return f'proxy = "{address}"\nproxy_user = "{USER}"\nproxy_password_file = "{file}"'


async def run(island: Island, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run our command on the island."""
    command = [*island.inside, *DIRBRIDGE, *words]
    return await asyncio.to_thread(
        subprocess.run, command, input=given, capture_output=True, text=True, timeout=60, check=False
    )


async def enrol(island: Island, agent: Agent, service: Service) -> subprocess.CompletedProcess[str]:
    places = ["--settings", str(agent.settings), "--state", str(agent.state)]
    return await run(
        island, "agent", "enrol", "--service", service.url, "--code", "-", *places, given=await service.code()
    )


async def codes(island: Island, agent: Agent) -> dict[str, str]:
    """The failing tests of `agent check`, by name."""
    places = ["--settings", str(agent.settings), "--state", str(agent.state)]
    said = await run(island, "agent", "check", "--json", *places)
    return {each["name"]: each["code"] for each in json.loads(said.stdout)["findings"] if each["outcome"] == "fail"}


async def test_everything_goes_through_the_proxy(
    relay: Service, new_agent: NewAgent, island: Island, proxy: str, tmp_path: Path
) -> None:
    """Enrolling, running, a whole read, and the check; straight on there is no way at all."""
    agent = new_agent(common=settings(tmp_path, proxy))
    enrolled = await enrol(island, agent, relay)
    assert enrolled.returncode == 0, enrolled.stderr
    agent.start(*island.inside)
    await agent.logged("agent_started")
    pages = await asyncio.wait_for(collect(relay.source().changes(SELECTION, None)), 60)
    assert sum(len(page.entries) for page in pages) == 3020
    assert await codes(island, agent) == {}
    assert f"CONNECT 127.0.0.1:{relay.port}" in (tmp_path / "tinyproxy.log").read_text()
    lines = agent.settings.read_text().splitlines(keepends=True)
    agent.settings.write_text("".join(line for line in lines if not line.startswith("proxy")))
    assert await codes(island, agent) == {"port": "PortClosed"}


async def test_wrong_password_is_named_before_a_code_is_spent(
    relay: Service, new_agent: NewAgent, island: Island, proxy: str, tmp_path: Path
) -> None:
    """Enrolling fails without using the code up; the check says whose password it is."""
    agent = new_agent(common=settings(tmp_path, proxy, "wrong"))
    code = await relay.code()
    places = ["--settings", str(agent.settings), "--state", str(agent.state)]
    words = ["agent", "enrol", "--service", relay.url, "--code", "-", *places]
    refused = await run(island, *words, given=code)
    assert refused.returncode == 5
    assert "The proxy does not lead to" in refused.stderr
    assert "proxy_password_file" in refused.stderr
    assert "wrong" not in refused.stderr
    (next(tmp_path.glob("proxy-*.password"))).write_text(PASSWORD + "\n")
    assert (await run(island, *words, given=code)).returncode == 0
    (next(tmp_path.glob("proxy-*.password"))).write_text("wrong again\n")
    assert (await codes(island, agent))["proxy-tunnel"] == "ProxyAuthentication"


async def test_configuration_of_a_windows_agent_leads_out(
    relay: Service, new_agent: NewAgent, island: Island, proxy: str, tmp_path: Path
) -> None:
    """Its file names the proxy; the password stands beside it."""
    file = tmp_path / "AADConnectProvisioningAgent.exe.config"
    file.write_text(
        "<configuration><system.net><defaultProxy enabled='true' useDefaultCredentials='true'>"
        f"<proxy usesystemdefault='true' proxyaddress='{proxy}' bypassonlocal='false'/>"
        "</defaultProxy></system.net></configuration>"
    )
    lines = settings(tmp_path, proxy).replace(f'proxy = "{proxy}"', f'proxy_config = "{file}"')
    agent = new_agent(common=lines)
    enrolled = await enrol(island, agent, relay)
    assert enrolled.returncode == 0, enrolled.stderr
