"""From code to agent: what works, and in plain words what does not."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization

from dirbridge.agent import enrol as enrolling
from dirbridge.agent import state
from dirbridge.contract import enrolment
from dirbridge.contract.errors import ConfigurationError, DirbridgeError, TransientError
from dirbridge.service.auth.authority import Authority
from dirbridge.service.relay import administration
from dirbridge.store.database import Database
from tests.service.relay.harness import DIRBRIDGE, DOMAIN, QUICK, Agent, Service, tls_context
from tests.service.relay.proxy import Message, Proxy

pytestmark = pytest.mark.service

NewAgent = Callable[..., Agent]


@pytest.fixture
async def proxy(relay: Service, tmp_path: Path) -> AsyncIterator[Proxy]:
    """A line to the service that tells what was asked."""
    shown = tls_context(relay.identity.authority, tmp_path)
    async with Proxy(shown, relay.port, relay.identity.authority.certificate, 0) as running:
        yield running


async def refused(url: str, code: str, folder: Path, **more: object) -> DirbridgeError:
    with pytest.raises(DirbridgeError) as raised:
        await enrolling.enrol(url, code, folder / "state", **more)  # type: ignore[arg-type]
    assert not state.is_enrolled(folder / "state")
    return raised.value


async def test_enrolment(relay: Service, tmp_path: Path) -> None:
    """The service knows the agent's public key and no more; the state folder has what a run needs."""
    identity = await enrolling.enrol(relay.url, await relay.code("a.test", "B.Test"), tmp_path / "state")
    assert identity.domains == ("a.test", "b.test")
    assert identity.issuer == relay.identity.tokens.issuer
    opened = state.load(tmp_path / "state")
    (agent,) = await administration.list_agents(relay.door)
    assert str(agent.id) == identity.agent
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    assert agent.public_key == opened.key.public_key().public_bytes(serialization.Encoding.DER, spki)
    assert opened.trust_file.read_bytes() == relay.identity.authority.certificate


async def test_code_is_good_once(relay: Service, tmp_path: Path) -> None:
    """A second host with the same code is told that it was used, and when."""
    code = await relay.code()
    await enrolling.enrol(relay.url, code, tmp_path / "first")
    error = await refused(relay.url, code, tmp_path)
    assert error.code == "EnrolmentCodeUsed"
    assert "was already used at 20" in error.reason
    assert "dirbridge agent code" in error.recommended_action
    assert len(await administration.list_agents(relay.door)) == 1


async def test_of_two_hosts_at_once_one_gets_in(relay: Service, tmp_path: Path) -> None:
    """A code is used up in one step."""
    code = await relay.code()
    results = await asyncio.gather(
        *(enrolling.enrol(relay.url, code, tmp_path / f"{n}") for n in range(4)), return_exceptions=True
    )
    assert sorted(getattr(result, "code", "enrolled") for result in results) == ["EnrolmentCodeUsed"] * 3 + ["enrolled"]


async def test_expired_code(database: Database, tmp_path: Path) -> None:
    """A code that is too old says so."""
    settings = msgspec.structs.replace(QUICK, code_lifetime=timedelta(seconds=-1))
    async with Service(database, tmp_path, settings) as service:
        error = await refused(service.url, await service.code(), tmp_path)
    assert isinstance(error, ConfigurationError)
    assert error.code == "EnrolmentCodeExpired"
    assert "expired at 20" in error.reason


async def test_unknown_code(relay: Service, tmp_path: Path) -> None:
    """A code that the service never made is told apart from an old one."""
    code = enrolment.parse(await relay.code())
    other = enrolment.render(msgspec.structs.replace(code, secret=bytes(16)))
    assert (await refused(relay.url, other, tmp_path)).code == "EnrolmentCodeUnknown"


async def test_code_for_another_service(relay: Service, proxy: Proxy, tmp_path: Path) -> None:
    """A service with another CA is sent nothing but the wish to see its certificate."""
    code = enrolment.parse(await relay.code())
    stranger, _ = Authority.make(relay.identity.tenant.id, "stranger")
    other = enrolment.render(msgspec.structs.replace(code, fingerprint=stranger.fingerprint))
    error = await refused(proxy.url, other, tmp_path)
    assert isinstance(error, ConfigurationError)
    assert error.code == "ServiceNotTrusted"
    assert relay.identity.authority.fingerprint in error.reason
    assert stranger.fingerprint in error.reason
    assert "--service" in error.recommended_action
    assert proxy.seen == [b"/agents/v1/ca"]


async def test_tls_of_an_unknown_ca(relay: Service, tmp_path: Path) -> None:
    """Who answers with the right CA's certificate but cannot show TLS of that CA gets no secret."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    stranger, _ = Authority.make(relay.identity.tenant.id, "stranger")
    shown = tls_context(stranger, folder)
    async with Proxy(shown, relay.port, relay.identity.authority.certificate, 0) as between:
        error = await refused(between.url, await relay.code(), tmp_path)
        assert error.code == "ServiceNotTrusted"
        assert "not verified" in error.reason
        assert "--ca-file" in error.recommended_action
        assert between.seen == [b"/agents/v1/ca"]
        # With the file of that CA it is what an administrator wants: a proxy that ends TLS.
        (folder / "ca.pem").write_bytes(stranger.certificate)
        identity = await enrolling.enrol(between.url, await relay.code(), tmp_path / "state", ca_file=folder / "ca.pem")
        assert identity.service == between.url


class Adding(Proxy):
    """Adds the certificate of an authority of its own to the one that is asked for."""

    extra = b""

    async def _ask(self, request: Message, body: bytes | None = None) -> Message:
        answer = await super()._ask(request, body)
        return replace(answer, body=answer.body + self.extra) if b"/ca " in request.first else answer


async def test_authority_that_follows_the_right_one(relay: Service, tmp_path: Path) -> None:
    """Only the certificate that the code vouches for is trusted, not what stands behind it in the answer."""
    stranger, _ = Authority.make(relay.identity.tenant.id, "stranger")
    shown = tls_context(stranger, tmp_path)
    async with Adding(shown, relay.port, relay.identity.authority.certificate, 0) as between:
        between.extra = stranger.certificate
        assert (await refused(between.url, await relay.code(), tmp_path)).code == "ServiceNotTrusted"
        assert between.seen == [b"/agents/v1/ca"]


async def test_domain_that_the_code_is_not_good_for(relay: Service, proxy: Proxy, tmp_path: Path) -> None:
    """Settings that name another domain are noticed before the code is spent."""
    error = await refused(proxy.url, await relay.code("a.test"), tmp_path, domains=["a.test", "b.test"])
    assert error.code == "EnrolmentCodeOtherDomain"
    assert "good for a.test, not for b.test" in error.reason
    assert proxy.seen == []


async def test_truncated_code(relay: Service, proxy: Proxy, tmp_path: Path) -> None:
    """A code that lost its end is told as that, without asking the service."""
    error = await refused(proxy.url, (await relay.code())[:-3], tmp_path)
    assert error.code == "EnrolmentCodeDamaged"
    assert proxy.seen == []


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "127.0.0.1:8443", "https://", "https://host/path", "https://h:x"]
)
async def test_url_of_no_service(relay: Service, tmp_path: Path, url: str) -> None:
    """Only https and only a host."""
    assert (await refused(url, await relay.code(), tmp_path)).code == "ServiceUrlInvalid"


async def test_nobody_answers(relay: Service, tmp_path: Path) -> None:
    """A service that is not running is told as unreachable."""
    code = await relay.code()
    await relay.stop()
    error = await refused(relay.url, code, tmp_path)
    assert isinstance(error, TransientError)
    assert error.code == "ServiceUnreachable"
    assert relay.url in error.reason


async def test_enrolled_twice(relay: Service, tmp_path: Path) -> None:
    """An agent in the folder is not overwritten unless that is asked for."""
    await enrolling.enrol(relay.url, await relay.code(), tmp_path / "state")
    code = await relay.code()
    with pytest.raises(ConfigurationError, match="already enrolled"):
        await enrolling.enrol(relay.url, code, tmp_path / "state")
    await enrolling.enrol(relay.url, code, tmp_path / "state", replace=True)


async def test_lost_answer_does_not_burn_the_code(relay: Service, proxy: Proxy, tmp_path: Path) -> None:
    """An enrolment whose answer was lost goes through when it is sent again: the service knows the key."""
    proxy.lose_next(b"/agents/v1/enrol")
    identity = await enrolling.enrol(proxy.url, await relay.code(), tmp_path / "state")
    assert proxy.seen.count(b"/agents/v1/enrol") == 2
    (agent,) = await administration.list_agents(relay.door)
    assert str(agent.id) == identity.agent


def dirbridge(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    whole = {**os.environ, **(env or {})}
    return subprocess.run([*DIRBRIDGE, *arguments], capture_output=True, text=True, timeout=60, check=False, env=whole)


async def test_command_line(relay: Service, new_agent: NewAgent) -> None:
    """The commands enrol, run and tell how the agent is, with the documented exit codes."""
    agent = new_agent()
    places = ["--settings", str(agent.settings), "--state", str(agent.state)]

    async def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(dirbridge, "agent", *arguments, *places)

    code = await relay.code()
    cut = await call("enrol", "--service", relay.url, "--code", code[:-5])
    assert (cut.returncode, cut.stdout) == (3, "")
    assert "is damaged" in cut.stderr
    assert (await call("run")).returncode == 3
    done = await call("enrol", "--service", relay.url, "--code", code, "--json")
    assert done.returncode == 0, done.stderr
    enrolled = json.loads(done.stdout)
    assert enrolled["domains"] == [DOMAIN]
    stopped = await call("status", "--json")
    assert stopped.returncode == 1
    assert json.loads(stopped.stdout)["accepted"] is True
    agent.start()
    await agent.logged("agent_started")
    running = await call("status", "--json")
    assert running.returncode == 0, running.stderr
    assert agent.process is not None
    assert json.loads(running.stdout)["processId"] == agent.process.pid
    second = await call("run")
    assert second.returncode == 3
    assert f"already running as process {agent.process.pid}" in second.stderr
    (agent.state / "key.pem").chmod(0o640)
    exposed = await call("status")
    assert exposed.returncode == 3
    assert "has mode 0640" in exposed.stderr
    (agent.state / "key.pem").chmod(0o600)
    await relay.stop()
    away = await call("status")
    assert away.returncode == 5
    assert "cannot be reached" in away.stdout


async def test_settings_name_a_domain_the_agent_was_not_enrolled_for(relay: Service, new_agent: NewAgent) -> None:
    """An agent does not start with a domain that it would never be asked for."""
    agent = new_agent()
    await agent.enrol(relay, code=await relay.code("other.test"))
    agent.start()
    assert await agent.wait() == 3
    assert f"was enrolled for other.test, not for {DOMAIN}" in agent.log.read_text()


async def test_commands_of_the_administrator(relay: Service, tmp_path: Path) -> None:
    """From a terminal: make a code, use it, see the agent, shut it out."""
    env = {
        "DIRBRIDGE_URL": relay.url,
        "DIRBRIDGE_CA_FILE": str(relay.made.ca_file),
        "DIRBRIDGE_CLIENT_ID": str(relay.made.client_id),
        "DIRBRIDGE_CLIENT_SECRET": str(relay.made.client_secret),
    }

    async def call(*arguments: str) -> str:
        done = await asyncio.to_thread(dirbridge, "agent", *arguments, env=env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    code = (await call("code", "--domain", DOMAIN, "--domain", "other.test")).strip()
    assert enrolment.parse(code).domains == (DOMAIN, "other.test")
    identity = await enrolling.enrol(relay.url, code, tmp_path / "state")
    (shown,) = json.loads(await call("list", "--json"))
    assert (shown["id"], shown["status"]) == (identity.agent, "inactive")
    assert identity.agent in await call("list")
    shown = await call("show", identity.agent)
    assert "has not been run since" in " ".join(shown.split())
    assert "systemctl start dirbridge-agent" in " ".join(shown.split())
    assert json.loads(await call("show", identity.agent, "--json"))["statusReasons"][0]["code"] == "AgentNeverHeard"
    await call("revoke", identity.agent)
    (shown,) = json.loads(await call("list", "--json"))
    assert shown["status"] == "revoked"
