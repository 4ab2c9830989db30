"""What is collected of an agent: all that tells how it is, and no secret, on its host and through the service."""

import asyncio
import io
import json
import os
import signal
import ssl
import subprocess
import zipfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from dirbridge.agent import state
from dirbridge.agent.client import Gone, ServiceClient
from dirbridge.agent.settings import Common
from dirbridge.contract import wire
from dirbridge.store import housekeeping, log_collections
from tests.service import registered
from tests.service.relay.harness import DIRBRIDGE, SELECTION, Agent, Service, collect, made_up

NewAgent = Callable[..., Agent]
SECRET = "Pl4nted-everywhere"


@pytest.fixture
async def api(relay: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """An administrator's client of the agents."""
    trust = ssl.create_default_context(cadata=relay.identity.authority.certificate.decode())
    headers = registered.bearer(relay.identity.tokens, "Synchronization.ReadWrite.All")
    async with httpx2.AsyncClient(
        base_url=f"{relay.url}/beta/dirbridge/agents", verify=trust, headers=headers, timeout=60
    ) as opened:
        yield opened


async def ended(api: httpx2.AsyncClient, path: str, timeout: float = 120) -> dict[str, Any]:
    async with asyncio.timeout(timeout):
        while True:
            found: dict[str, Any] = (await api.get(path)).json()
            if found["status"] != "waiting":
                return found
            await asyncio.sleep(0.2)


def planted(agent: Agent) -> None:
    """Put a secret into every place that is collected, as somebody careless would."""
    password = agent.folder / "proxy.password"
    password.write_text(f"{SECRET}\n")
    password.chmod(0o600)
    agent.settings.write_text(
        f'proxy_config = "{agent.folder}/none.config"\nproxy_user = "agent"\nproxy_password_file = "{password}"\n'
        f"# the password is {SECRET}\n" + agent.settings.read_text()
    )
    (agent.folder / "none.config").write_text(
        '<configuration><system.net><defaultProxy enabled="false"/></system.net></configuration>'
    )
    traces = agent.state / "trace"
    traces.mkdir()
    (traces / "agent.log.1").write_text(f'{{"message": "refused {SECRET}"}}\nhttps://me:{SECRET}@proxy.test\n')
    (traces / "verbose.log.1").write_text("Authorization: Bearer abc.def.ghijkl\n" + agent_key(agent))
    (agent.state / "update.json").write_text(json.dumps({"phase": "idle", "message": SECRET}))
    (traces / "outside.log").symlink_to("/etc/passwd")


def agent_key(agent: Agent) -> str:
    return (agent.state / state.KEY).read_text()


def contents(body: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(body)) as bundle:
        assert bundle.testzip() is None
        return {name: bundle.read(name).decode() for name in bundle.namelist()}


def assert_harmless(found: dict[str, str], agent: Agent) -> None:
    key_line = agent_key(agent).splitlines()[1]
    for name, text in found.items():
        for secret in (SECRET, "abc.def.ghijkl", key_line, "root:x:0"):
            assert secret not in text, name
    assert "refused ***" in found["trace/agent.log.1"]
    assert json.loads(found["state/update.json"])["message"] == "***"
    assert "trace/outside.log" not in found


async def test_collecting_through_the_service(
    relay: Service, new_agent: NewAgent, api: httpx2.AsyncClient, tmp_path: Path
) -> None:
    """The agent brings it at once; it is there for who may change agents, and every step is in the audit trail."""
    agent = new_agent(made_up(100, 2, 2))
    agent_id = await agent.enrol(relay)
    planted(agent)
    agent.start()
    await agent.logged("agent_started")
    await collect(relay.source().changes(SELECTION, None))
    path = f"/{agent_id}/logCollections"
    reader = registered.bearer(relay.identity.tokens, "Synchronization.Read.All")
    assert (await api.post(path, json={}, headers=reader)).status_code == 403
    assert (await api.post(path, json={"hours": 1000})).status_code == 400
    assert (await api.post(f"/{uuid4()}/logCollections", json={})).status_code == 404
    made = await api.post(path, json={"hours": 2})
    assert made.status_code == 201, made.text
    one = f"{path}/{made.json()['id']}"
    found = await ended(api, one)
    assert (found["status"], found["hours"], found["failure"]) == ("ready", 2, None)
    assert (await api.get(f"{one}/content", headers=reader)).status_code == 403
    answer = await api.get(f"{one}/content")
    assert answer.headers["content-type"] == "application/zip"
    assert len(answer.content) == found["sizeInBytes"]
    bundle = contents(answer.content)
    assert_harmless(bundle, agent)
    about = json.loads(bundle["about.json"])
    assert (about["agent"], about["domains"][0]["name"]) == (agent_id, "made-up.test")
    assert any(line.startswith("httpx2 ") for line in about["packages"])
    assert {each["name"]: each["outcome"] for each in json.loads(bundle["check.json"])["findings"]}[
        "enrolment"
    ] == "pass"
    assert [each["id"] for each in (await api.get(path)).json()["value"]] == [found["id"]]
    assert (await api.delete(one)).status_code == 204
    assert (await api.get(one)).status_code == 404
    assert (await api.get(f"{one}/content")).status_code == 404
    async with relay.database.connection() as conn:
        rows = await (await conn.execute("select activity from audits order by at")).fetchall()
        left = await (await conn.execute("select count(*) from log_collection_parts")).fetchone()
    assert [row[0] for row in rows][-3:] == ["Collect agent logs", "Download agent logs", "Remove agent logs"]
    assert left == (0,)


async def test_collecting_on_the_host(relay: Service, new_agent: NewAgent, tmp_path: Path) -> None:
    """Without the service, for its administrator only; what could not be had is named."""
    agent = new_agent(made_up(100, 2, 2))
    await agent.enrol(relay)
    planted(agent)
    file = tmp_path / "agent.zip"
    command = [*DIRBRIDGE, "agent", "trace", "collect", "--output", str(file), "--json"]
    command += ["--settings", str(agent.settings), "--state", str(agent.state)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, timeout=200, check=True)
    assert json.loads(done.stdout)["file"] == str(file)
    assert file.stat().st_mode & 0o777 == 0o600
    bundle = contents(file.read_bytes())
    assert_harmless(bundle, agent)
    assert json.loads(bundle["about.json"])["missing"] == json.loads(done.stdout)["missing"]


async def test_settings_may_forbid_it(relay: Service, new_agent: NewAgent, api: httpx2.AsyncClient) -> None:
    """The agent says so, and nothing leaves its host."""
    agent = new_agent(common='remote_trace = "off"')
    agent_id = await agent.enrol(relay)
    agent.start()
    made = (await api.post(f"/{agent_id}/logCollections", json={})).json()
    found = await ended(api, f"/{agent_id}/logCollections/{made['id']}")
    assert found["status"] == "failed"
    assert found["failure"] == "remote_trace in the settings of this agent is off."
    refused = await api.get(f"/{agent_id}/logCollections/{made['id']}/content")
    assert refused.status_code == 409
    assert "remote_trace" in refused.text


async def test_parts_are_taken_in_order_and_from_the_agent_that_was_asked(
    relay: Service, new_agent: NewAgent, api: httpx2.AsyncClient
) -> None:
    """An agent that was restarted begins afresh; others, gaps and what is not waited for are refused."""
    mine, other = new_agent(), new_agent()
    agent_id = await mine.enrol(relay)
    await other.enrol(relay)
    path = f"/{agent_id}/logCollections"
    made = (await api.post(path, json={"hours": 1})).json()
    again = (await api.post(path, json={"hours": 3})).json()
    assert (again["id"], again["hours"]) == (made["id"], 3)
    async with (
        ServiceClient(state.load(mine.state), Common()) as client,
        ServiceClient(state.load(other.state), Common()) as stranger,
    ):
        with pytest.raises(Gone):
            await stranger.post_logs(made["id"], 0, b"x", is_last=True)
        with pytest.raises(Gone):
            await stranger.refuse_logs(made["id"], "no")
        with pytest.raises(Gone):
            await client.post_logs(made["id"], 1, b"x", is_last=False)
        with pytest.raises(Gone):
            await client.post_logs(made["id"], log_collections.MOST_PARTS, b"x", is_last=False)
        await client.post_logs(made["id"], 0, b"first ", is_last=False)
        await client.post_logs(made["id"], 1, b"try", is_last=False)
        await client.post_logs(made["id"], 0, b"one" * 1000, is_last=False)
        await client.post_logs(made["id"], 1, b"two", is_last=False)
        await client.post_logs(made["id"], 1, b"two", is_last=True)
        with pytest.raises(Gone):
            await client.post_logs(made["id"], 2, b"more", is_last=True)
        with pytest.raises(Exception, match="larger than"):
            await client.post_logs(made["id"], 0, b"x" * (wire.LOG_PART + 1), is_last=True)
    answer = await api.get(f"{path}/{made['id']}/content")
    assert answer.content == b"one" * 1000 + b"two"


async def test_collections_are_kept_for_a_day(relay: Service, new_agent: NewAgent) -> None:
    """Brought or not; housekeeping removes them with their parts."""
    agent_id = UUID(await new_agent().enrol(relay))
    tenant = relay.identity.tenant.id
    async with relay.database.transaction() as conn:
        old = await log_collections.want(conn, tenant, agent_id, uuid4(), 1)
        assert old is not None
        assert await log_collections.insert_part(conn, tenant, agent_id, old.id, 0, b"x", is_last=True)
        young = await log_collections.want(conn, tenant, agent_id, uuid4(), 1)
        await conn.execute(
            "update log_collections set wanted_at = now() - interval '25 hours' where id = %s", (old.id,)
        )
    await housekeeping.tidy(relay.database, datetime.now(UTC) + timedelta(minutes=1))
    async with relay.database.connection() as conn:
        assert await log_collections.list_of(conn, tenant, agent_id) == [young]
        assert await log_collections.part(conn, tenant, old.id, 0) is None


async def test_agent_stops_while_it_collects(
    relay: Service, api: httpx2.AsyncClient, new_agent: NewAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the journal, or a directory that does not answer the check, takes: nobody waits for that."""
    programs, pid = tmp_path / "programs", tmp_path / "pid"
    programs.mkdir()
    (programs / "journalctl").write_text(f"#!/bin/sh\necho $$ > {pid}.new && mv {pid}.new {pid} && exec sleep 50\n")
    (programs / "journalctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    agent = new_agent()
    agent_id = await agent.enrol(relay)
    agent.start()
    await agent.logged("agent_started")
    wanted = (await api.post(f"/{agent_id}/logCollections", json={})).json()
    async with asyncio.timeout(60):
        while not pid.exists():
            await asyncio.sleep(0.1)
    try:
        agent.signal(signal.SIGTERM)
        assert await agent.wait(8) == 0
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    assert (await api.get(f"/{agent_id}/logCollections/{wanted['id']}")).json()["status"] == "waiting"
