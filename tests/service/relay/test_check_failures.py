"""Each failure between a host and its service, produced for real: `dirbridge agent check` names it.

Those of directories are in tests/connectors/ad/test_agent_check.py.
"""

import asyncio
import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from dirbridge.service.auth.authority import Authority
from tests.service.relay.harness import DIRBRIDGE, Agent, Service, tls_context
from tests.service.relay.proxy import Proxy
from tests.service.relay.squid import PASSWORD, USER, Squid
from tests.service.relay.test_check import point_at

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"

NewAgent = Callable[..., Agent]
Found = dict[str, dict[str, str]]


@dataclass
class Host:
    """A host with an agent that is enrolled, and what its commands find in the environment."""

    service: Service
    agent: Agent
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    async def check(self) -> Found:
        """The findings of the command, by name in their order."""
        command = [*DIRBRIDGE, "agent", "check", "--json"]
        command += ["--settings", str(self.agent.settings), "--state", str(self.agent.state)]
        said = await asyncio.to_thread(
            subprocess.run,
            command,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found = {each["name"]: each for each in json.loads(said.stdout)["findings"]}
        assert said.returncode == any(each["outcome"] == "fail" for each in found.values()), said.stderr
        return found

    def configure(self, lines: str) -> None:
        """Put lines before what the settings say."""
        self.agent.settings.write_text(lines + "\n" + self.agent.settings.read_text())

    def password_file(self, password: str) -> Path:
        file = self.folder / "proxy.password"
        file.touch(0o600)
        file.write_text(password + "\n")
        return file


@pytest.fixture
async def host(relay: Service, new_agent: NewAgent, tmp_path: Path) -> Host:
    agent = new_agent()
    await agent.enrol(relay)
    return Host(relay, agent, tmp_path)


@contextlib.asynccontextmanager
async def closed_port(host: Host) -> AsyncIterator[None]:
    """The service has ended."""
    await host.service.stop()
    yield


@contextlib.asynccontextmanager
async def wrong_authority(host: Host) -> AsyncIterator[None]:
    """Something on the way ends TLS with a certificate of its own."""
    other, _ = Authority.make(uuid4(), "Inspection")
    trust = host.service.identity.authority.certificate
    async with Proxy(tls_context(other, host.folder), host.service.port, trust, 1) as between:
        point_at(host.agent, between.url)
        yield


@contextlib.asynccontextmanager
async def expired_certificate_of_the_service(host: Host) -> AsyncIterator[None]:
    """The service's own authority issued it 400 days ago."""
    authority = host.service.identity.authority
    authority._now = lambda: datetime.now(UTC) - timedelta(days=400)
    context = tls_context(authority, host.folder)
    async with Proxy(context, host.service.port, authority.certificate, 1) as between:
        point_at(host.agent, between.url)
        yield


@contextlib.asynccontextmanager
async def expired_certificate_of_the_agent(host: Host) -> AsyncIterator[None]:
    """The service issued it 91 days ago."""
    host.service.identity.authority._now = lambda: datetime.now(UTC) - timedelta(days=91)
    for file in host.agent.state.iterdir():
        file.unlink()
    await host.agent.enrol(host.service)
    yield


@contextlib.asynccontextmanager
async def clock_ahead(host: Host) -> AsyncIterator[None]:
    """The host lives ten minutes in the future, the service does not."""
    host.environment = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+10m", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    yield


@contextlib.asynccontextmanager
async def clock_of_another_year(host: Host) -> AsyncIterator[None]:
    """So far ahead that every certificate has expired there."""
    host.environment = {"LD_PRELOAD": FAKETIME, "FAKETIME": "+800d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    yield


@contextlib.asynccontextmanager
async def proxy_without_credentials(host: Host) -> AsyncIterator[None]:
    """It wants to know who somebody is, and the settings say nothing of it."""
    async with Squid() as squid:
        host.configure(f'proxy = "{squid.url}"')
        yield


@contextlib.asynccontextmanager
async def proxy_with_a_wrong_password(host: Host) -> AsyncIterator[None]:
    """The password is another one."""
    async with Squid() as squid:
        file = host.password_file("wrong")
        host.configure(f'proxy = "{squid.url}"\nproxy_user = "{USER}"\nproxy_password_file = "{file}"')
        yield


@contextlib.asynccontextmanager
async def proxy_that_forbids(host: Host) -> AsyncIterator[None]:
    """It knows the account, and leads nobody to that port."""
    async with Squid(closed=host.service.port) as squid:
        file = host.password_file(PASSWORD)
        host.configure(f'proxy = "{squid.url}"\nproxy_user = "{USER}"\nproxy_password_file = "{file}"')
        yield


@contextlib.asynccontextmanager
async def proxy_that_ended(host: Host) -> AsyncIterator[None]:
    """There was one at that address."""
    async with Squid() as squid:
        host.configure(f'proxy = "{squid.url}"')
    yield


Fault = Callable[[Host], AbstractAsyncContextManager[None]]


@pytest.mark.parametrize(
    ("fault", "name", "outcome", "code", "said"),
    [
        (closed_port, "port", "fail", "PortClosed", "Connection refused"),
        (wrong_authority, "tls", "fail", "ServiceNotTrusted", "unable to get local issuer certificate"),
        (expired_certificate_of_the_service, "tls", "fail", "ServiceNotTrusted", "certificate has expired"),
        (expired_certificate_of_the_agent, "certificate", "fail", "CertificateExpired", "expired on"),
        (clock_ahead, "clock", "warn", "ClockSkewed", "is 0:10:0"),
        (clock_of_another_year, "clock", "fail", "ClockSkewed", "is 800 days, 0:0"),
        (proxy_without_credentials, "proxy-tunnel", "fail", "ProxyAuthentication", "asks for a user name"),
        (proxy_with_a_wrong_password, "proxy-tunnel", "fail", "ProxyAuthentication", "refuses the user name"),
        (proxy_that_forbids, "proxy-tunnel", "fail", "ProxyRefused", "403 Forbidden"),
        (proxy_that_ended, "proxy", "fail", "ProxyUnreachable", "Connection refused"),
    ],
)
async def test_failure_is_named(host: Host, fault: Fault, name: str, outcome: str, code: str, said: str) -> None:
    """The finding has its own code, the words of what happened and a remedy; nothing before it fails on its way."""
    async with fault(host):
        found = await host.check()
    finding = found[name]
    assert (finding["outcome"], finding["code"]) == (outcome, code), found
    assert said in finding["finding"]
    assert finding["remedy"]
    names = list(found)
    earlier = {each for each in names[: names.index(name)] if found[each]["outcome"] == "fail"}
    assert earlier <= ({"running", "certificate"} if fault is clock_of_another_year else {"running"})  # none runs


async def test_way_through_squid_passes(host: Host) -> None:
    """With the right password the same proxy leads to the service, and the check passes through it."""
    async with Squid() as squid:
        file = host.password_file(PASSWORD)
        host.configure(f'proxy = "{squid.url}"\nproxy_user = "{USER}"\nproxy_password_file = "{file}"')
        found = await host.check()
        assert f"CONNECT 127.0.0.1:{host.service.port} {USER}" in squid.log.read_text()
    assert {name for name, each in found.items() if each["outcome"] == "fail"} == {"running"}
    assert {"proxy", "proxy-tunnel", "sign-in"} <= found.keys()
