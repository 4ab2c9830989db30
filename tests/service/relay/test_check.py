"""`dirbridge agent check` names each fault between a host and the service, every one of them made for real."""

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from dirbridge.agent import check, state
from dirbridge.contract.wire import Finding
from dirbridge.service.auth.authority import Authority
from dirbridge.store import agents
from tests.service.relay.harness import Agent, Service, tls_context
from tests.service.relay.proxy import Proxy

NewAgent = Callable[..., Agent]


async def findings(agent: Agent, now: Callable[[], float] = time.time) -> dict[str, Finding]:
    return {each.name: each async for each in check.examine(agent.settings, agent.state, now=now)}


def failed(found: dict[str, Finding]) -> dict[str, str]:
    return {name: each.code for name, each in found.items() if each.outcome == "fail"}


def point_at(agent: Agent, url: str) -> None:
    """Have an agent look for its service elsewhere."""
    opened = state.load(agent.state)
    known = state.Identity(
        url, opened.identity.agent, opened.identity.tenant, opened.identity.issuer, opened.identity.domains
    )
    certificate = (agent.state / state.CERTIFICATE).read_bytes()
    state.save(agent.state, known, opened.key, certificate, opened.trust_file.read_bytes())


@contextlib.asynccontextmanager
async def speaker(answer: bytes) -> AsyncIterator[int]:
    """Something that gives each caller the same answer; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_host_that_works_passes_everything(relay: Service, new_agent: NewAgent) -> None:
    """Each test passes, and the account is tried as well as the way."""
    agent = new_agent()
    await agent.enrol(relay)
    agent.start()
    await agent.logged("agent_started")
    found = await findings(agent)
    assert failed(found) == {}
    assert {name for name, each in found.items() if each.outcome == "pass"} >= {
        "installation", "settings", "enrolment", "running", "domains", "account", "certificate", "name-resolution",
        "port", "tls", "service", "clock", "sign-in",
    }  # fmt: skip
    assert any(name.startswith("made-up.test: ") for name in found)
    assert "proxy" not in found


async def test_nothing_was_set_up(new_agent: NewAgent, tmp_path: Path) -> None:
    """Without settings and enrolment the check says so, and goes no further."""
    missing = [each async for each in check.examine(tmp_path / "none.toml", tmp_path / "none")]
    assert [(each.name, each.code) for each in missing if each.outcome == "fail"] == [
        ("settings", "SettingsUnreadable"),
        ("enrolment", "NotEnrolled"),
        ("running", "NotRunning"),
    ]
    assert all(each.remedy for each in missing if each.outcome == "fail")


async def test_domain_without_enrolment(relay: Service, new_agent: NewAgent) -> None:
    """A domain of the settings for which the agent was not enrolled is named."""
    agent = new_agent()
    await agent.enrol(relay)
    agent.settings.write_text(agent.settings.read_text() + '\n[[domain]]\nkind = "generated"\nname = "other.test"\n')
    found = await findings(agent)
    assert found["domains"].code == "DomainNotEnrolled"
    assert "other.test" in found["domains"].finding


async def test_frozen_agent_does_not_pass_for_one_that_runs(relay: Service, new_agent: NewAgent) -> None:
    """It holds its lock, and has left no note for longer than it may."""
    agent = new_agent()
    await agent.enrol(relay)
    agent.start()
    await agent.logged("agent_started")
    agent.signal(signal.SIGSTOP)
    assert (await findings(agent))["running"].outcome != "fail"
    later = await findings(agent, lambda: time.time() + 3600)
    assert (later["running"].outcome, later["running"].code) == ("fail", "NotMoving")


async def test_closed_port(relay: Service, new_agent: NewAgent) -> None:
    """Nobody listens: the port is named, and nothing that needs it is tried."""
    agent = new_agent()
    await agent.enrol(relay)
    await relay.stop()
    found = await findings(agent)
    assert failed(found) == {"running": "NotRunning", "port": "PortClosed"}
    assert f"127.0.0.1:{relay.port}: Connection refused" in found["port"].finding
    assert not {"tls", "service", "sign-in"} & found.keys()


async def test_name_without_an_address(relay: Service, new_agent: NewAgent) -> None:
    """The name is what is wrong, not the port."""
    agent = new_agent()
    await agent.enrol(relay)
    point_at(agent, "https://nowhere.invalid")
    found = await findings(agent)
    assert failed(found) == {"running": "NotRunning", "name-resolution": "NameNotResolved"}
    assert "nowhere.invalid" in found["name-resolution"].finding


async def test_certificate_of_another_authority(relay: Service, new_agent: NewAgent, tmp_path: Path) -> None:
    """Something on the way ends TLS with a certificate of its own."""
    agent = new_agent()
    await agent.enrol(relay)
    other, _ = Authority.make(uuid4(), "Inspection")
    async with Proxy(tls_context(other, tmp_path), relay.port, relay.identity.authority.certificate, 1) as between:
        point_at(agent, between.url)
        found = await findings(agent)
    assert failed(found) == {"running": "NotRunning", "tls": "ServiceNotTrusted"}
    assert "--ca-file" in found["tls"].remedy


async def test_certificate_for_another_name(relay: Service, new_agent: NewAgent, tmp_path: Path) -> None:
    """The authority is right and the name is not."""
    agent = new_agent()
    await agent.enrol(relay)
    shown = tls_context(relay.identity.authority, tmp_path, ["dirbridge.contoso.test"])
    async with Proxy(shown, relay.port, relay.identity.authority.certificate, 1) as between:
        point_at(agent, between.url)
        found = await findings(agent)
    assert found["tls"].code == "ServiceNotTrusted"
    assert "--base-url" in found["tls"].remedy


async def test_something_else_answers(relay: Service, new_agent: NewAgent) -> None:
    """A port that is open and speaks no TLS."""
    agent = new_agent()
    await agent.enrol(relay)
    async with speaker(b"HTTP/1.1 200 OK\r\n\r\n") as port:
        point_at(agent, f"https://127.0.0.1:{port}")
        found = await findings(agent)
    assert found["tls"].code == "TlsFailed"


@pytest.mark.parametrize(
    ("answer", "credentials", "code", "said"),
    [
        (b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n\r\n", "", "ProxyAuthentication", "asks for"),
        (b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n", "u:p@", "ProxyAuthentication", "refuses the user"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "", "ProxyRefused", "403 Forbidden"),
        (b"", "", "ProxyUnreachable", "it closed the connection"),
    ],
)
async def test_proxy_that_refuses(
    relay: Service, new_agent: NewAgent, answer: bytes, credentials: str, code: str, said: str
) -> None:
    """Each refusal has its own words; the credentials are never shown."""
    async with speaker(answer) as port:
        agent = new_agent(common=f'proxy = "http://{credentials}127.0.0.1:{port}"')
        opened = new_agent()
        await opened.enrol(relay)
        agent.state = opened.state
        found = await findings(agent)
    assert found["proxy"].outcome == "pass"
    assert found["proxy-tunnel"].code == code
    assert said in found["proxy-tunnel"].finding
    assert "u:p" not in "".join(each.finding + each.remedy for each in found.values())
    assert "service" not in found


async def test_proxy_that_is_not_there(relay: Service, new_agent: NewAgent) -> None:
    """The proxy is named, not the service."""
    agent = new_agent(common='proxy = "http://127.0.0.1:9"')
    opened = new_agent()
    await opened.enrol(relay)
    agent.state = opened.state
    found = await findings(agent)
    assert found["proxy"].code == "ProxyUnreachable"
    assert "port" not in found


async def test_clock_that_is_wrong(relay: Service, new_agent: NewAgent) -> None:
    """A host ten minutes ahead is told so; the agent itself goes by the service's clock."""
    agent = new_agent()
    await agent.enrol(relay)
    found = await findings(agent, lambda: time.time() + 600)
    assert (found["clock"].outcome, found["clock"].code) == ("warn", "ClockSkewed")
    assert "ahead of the service's" in found["clock"].finding
    assert found["sign-in"].outcome == "pass"


async def test_expired_certificate(relay: Service, new_agent: NewAgent) -> None:
    """Both the host and the service say so."""
    agent = new_agent()
    identity = await agent.enrol(relay)
    opened = state.load(agent.state)
    ended = datetime.now(UTC) - timedelta(days=1)
    expired = (
        x509.CertificateBuilder()
        .subject_name(opened.certificate.subject)
        .issuer_name(opened.certificate.issuer)
        .public_key(opened.key.public_key())
        .serial_number(opened.certificate.serial_number)
        .not_valid_before(ended - timedelta(days=90))
        .not_valid_after(ended)
        .sign(opened.key, hashes.SHA256())
    )
    state.save_certificate(agent.state, expired.public_bytes(Encoding.PEM))
    async with relay.database.transaction() as conn:
        await conn.execute("update agents set expires_at = %s where id = %s", [ended, identity])
    found = await findings(agent)
    assert found["certificate"].code == "CertificateExpired"
    assert found["sign-in"].code == "CertificateExpired"
    assert "--replace" in found["certificate"].remedy


async def test_revoked_agent(relay: Service, new_agent: NewAgent) -> None:
    """The way is open, and the service does not take it."""
    agent = new_agent()
    identity = await agent.enrol(relay)
    async with relay.database.transaction() as conn:
        assert await agents.revoke(conn, relay.identity.tenant.id, UUID(identity))
    found = await findings(agent)
    assert found["service"].outcome == "pass"
    assert found["sign-in"].code == "AgentRevoked"


async def account(agent: Agent, program: str) -> list[Finding]:
    """What is found when the agent's files belong to somebody who may do nothing."""
    nobody = pwd.getpwnam("nobody").pw_uid
    for file in agent.state.iterdir():
        os.chown(file, nobody, -1)
    return [each async for each in check.files.examine(agent.settings, None, agent.state, program)]


async def test_account_that_may_not_write_its_folder(relay: Service, new_agent: NewAgent) -> None:
    """Root asks as the account that owns the key, and names what it cannot do."""
    agent = new_agent()
    await agent.enrol(relay)
    found = await account(agent, "/usr/bin/python3")
    assert {each.outcome for each in found} == {"fail"}
    said = "\n".join(each.finding for each in found)
    assert f"nobody, the account that runs the agent, cannot write {agent.state}: Permission denied" in said
    assert "namei" in found[0].remedy


async def test_account_that_may_not_run_the_program(relay: Service, new_agent: NewAgent, tmp_path: Path) -> None:
    """The agent would not even start: that is the one finding."""
    agent = new_agent()
    await agent.enrol(relay)
    program = tmp_path / "python"
    program.symlink_to("/usr/bin/python3")
    tmp_path.chmod(0o700)
    (found,) = await account(agent, str(program))
    assert (found.outcome, found.code) == ("fail", "NotPermitted")
    assert f"cannot run {program}: Permission denied" in found.finding


async def test_command_leaves_with_one_where_something_failed(
    relay: Service, new_agent: NewAgent, tmp_path: Path
) -> None:
    """The command prints the same, as lines and as JSON, and its exit code is for monitoring."""
    agent = new_agent()
    await agent.enrol(relay)
    command = [sys.executable, "-c", "from dirbridge.cli.main import main; main()", "agent", "check"]
    command += ["--settings", str(agent.settings), "--state", str(agent.state)]
    lines = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
    assert lines.returncode == 1
    assert "FAIL  running: No agent runs in" in lines.stdout
    assert "1 of 1" in lines.stdout
    agent.settings.with_suffix(".bad").write_text("concurency = 1\nproxy = 'out.test'\n")
    bad = [*command, "--settings", str(agent.settings.with_suffix(".bad"))]
    lines = await asyncio.to_thread(subprocess.run, bad, capture_output=True, text=True, timeout=60, check=False)
    assert "faults:\n  - proxy is 'out.test'" in lines.stdout
    assert "\N{REPLACEMENT CHARACTER}" not in lines.stdout
    agent.start()
    await agent.logged("agent_started")
    document = await asyncio.to_thread(
        subprocess.run, [*command, "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    assert document.returncode == 0, document.stdout
    assert '"outcome": "fail"' not in document.stdout
