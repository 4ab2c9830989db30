"""A host that only a proxy leads out of, which asks for Kerberos: squid, and a domain controller that gives tickets.

Host and proxy are apart as in test_outbound_proxy.py. The domain controller is reached through a forwarder beside the
proxy, for Samba answers on this machine's loopback.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from dirbridge.cli.demo.domain import Domain
from tests.service.relay.harness import DIRBRIDGE, SELECTION, Agent, Service, collect
from tests.service.relay.island import Island
from tests.service.relay.squid import HELPERS, Squid

pytestmark = [pytest.mark.samba, pytest.mark.xdist_group("negotiate")]

PROXY = "proxy.contoso.test"
PRINCIPAL = f"HTTP/{PROXY}@CONTOSO.TEST"
NEGOTIATE = (
    f"auth_param negotiate program {HELPERS}/negotiate_kerberos_auth -k {{folder}}/squid.keytab -s {PRINCIPAL}\n"
    "auth_param negotiate children 5 startup=1\n"
)

NewAgent = Callable[..., Agent]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def realm() -> AsyncIterator[Domain]:
    """A domain with an account for the proxy and one for the agent."""
    async with Domain() as running:
        await running.create_user("svc-proxy", "Pass-word.1")
        await running.create_user("svc-agent", "Pass-word.1")
        await tool(running, "spn", "add", f"HTTP/{PROXY}", "svc-proxy")
        yield running


async def tool(domain: Domain, *words: str) -> None:
    options = [f"--configfile={domain.configuration}"]
    await asyncio.to_thread(
        subprocess.run, ["samba-tool", *words, *options], check=True, capture_output=True, timeout=60
    )


async def keytab(domain: Domain, file: Path, principal: str) -> Path:
    """Give an account's key to whoever owns the file."""
    await tool(domain, "domain", "exportkeytab", str(file), f"--principal={principal}")
    return file


@contextlib.asynccontextmanager
async def forwarder(address: str, there: str, port: int) -> AsyncIterator[int]:
    """Lead connections to a port of an address to another one; its port."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beyond_reader, beyond_writer = await asyncio.open_connection(there, port)
        await asyncio.gather(carry(reader, beyond_writer), carry(beyond_reader, writer))

    server = await asyncio.start_server(serve, address, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@dataclass
class Company:
    """A proxy that asks for Kerberos, and a host behind it.

    Attributes:
        inside: command that runs commands on that host, where the proxy has a name.
        environment: of its commands.
    """

    squid: Squid
    inside: tuple[str, ...]
    environment: dict[str, str]
    folder: Path
    realm: Domain

    @property
    def address(self) -> str:
        return f"http://{PROXY}:{self.squid.port}"

    async def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run our command on that host."""
        return await asyncio.to_thread(
            subprocess.run,
            [*self.inside, *DIRBRIDGE, *words],
            input=given,
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    async def check(self, agent: Agent) -> dict[str, dict[str, str]]:
        said = await self.run("agent", "check", "--json", *places(agent))
        return {each["name"]: each for each in json.loads(said.stdout)["findings"]}


def places(agent: Agent) -> list[str]:
    return ["--settings", str(agent.settings), "--state", str(agent.state)]


@pytest.fixture
async def company(island: Island, realm: Domain, tmp_path: Path) -> AsyncIterator[Company]:
    async with forwarder(island.gateway, realm.address, 88) as port:
        configuration = tmp_path / "krb5.conf"
        configuration.write_text(
            "[libdefaults]\ndefault_realm = CONTOSO.TEST\ndns_lookup_kdc = false\ndns_lookup_realm = false\n"
            "udp_preference_limit = 1\nrdns = false\ndns_canonicalize_hostname = false\n"
            f"[realms]\nCONTOSO.TEST = {{\n kdc = {island.gateway}:{port}\n}}\n"
            f"[domain_realm]\n.contoso.test = CONTOSO.TEST\n"
        )
        hosts = tmp_path / "hosts"
        hosts.write_text(f"127.0.0.1 localhost\n{island.gateway} {PROXY}\n")
        mounting = ("sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh")
        squid = Squid(island.gateway, NEGOTIATE)
        shutil.chown(await keytab(realm, squid.folder / "squid.keytab", f"HTTP/{PROXY}"), "proxy")
        async with squid:
            environment = {"KRB5_CONFIG": str(configuration)}
            yield Company(squid, (*island.inside, *mounting), environment, tmp_path, realm)


async def test_everything_goes_through_with_a_keytab(relay: Service, new_agent: NewAgent, company: Company) -> None:
    """Enrolling, running, a whole read and the check: each connection shows a ticket of its own, as the account."""
    key = await keytab(company.realm, company.folder / "agent.keytab", "svc-agent")
    agent = new_agent(
        common=f'proxy = "{company.address}"\nproxy_negotiate = true\nproxy_user = "svc-agent@CONTOSO.TEST"\n'
        f'proxy_keytab = "{key}"'
    )
    words = ["agent", "enrol", "--service", relay.url, "--code", "-", *places(agent)]
    enrolled = await company.run(*words, given=await relay.code())
    assert enrolled.returncode == 0, enrolled.stderr
    agent.start(*company.inside, "env", *(f"{name}={value}" for name, value in company.environment.items()))
    await agent.logged("agent_started")
    pages = await asyncio.wait_for(collect(relay.source().changes(SELECTION, None)), 60)
    assert sum(len(page.entries) for page in pages) == 3020
    found = await company.check(agent)
    assert {name for name, each in found.items() if each["outcome"] == "fail"} == set()
    lines = company.squid.log.read_text().splitlines()
    assert sum(f"CONNECT 127.0.0.1:{relay.port} svc-agent@CONTOSO.TEST" in line for line in lines) > 3
    assert not [line for line in lines if "TCP_DENIED" in line]


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ("", "ProxyAuthentication", "asked for: Negotiate"),
        ("proxy_negotiate = true", "KerberosFailed", "No Kerberos credentials available"),
        ('proxy_negotiate = true\nproxy_keytab = "{folder}/old.keytab"', "KerberosFailed", "Preauthentication failed"),
    ],
)
async def test_proxy_is_not_told_who_this_is(
    relay: Service, new_agent: NewAgent, company: Company, lines: str, code: str, said: str
) -> None:
    """Without Negotiate, without a ticket, and with the key that the account had before: the check says which."""
    account = f"svc-{secrets.token_hex(4)}"
    await company.realm.create_user(account, "Pass-word.1")
    old = await keytab(company.realm, company.folder / "old.keytab", account)
    await tool(company.realm, "user", "setpassword", account, "--newpassword=Pass-word.2")
    opened = new_agent()
    await opened.enrol(relay)
    agent = new_agent(common=f'proxy = "{company.address}"\n{lines.format(folder=old.parent)}')
    agent.state = opened.state
    finding = (await company.check(agent))["proxy-tunnel"]
    assert (finding["outcome"], finding["code"]) == ("fail", code), finding
    assert said in finding["finding"]
    assert "proxy_negotiate" in finding["remedy"] or "keytab" in finding["remedy"]


async def test_keys_of_the_proxy_that_changed(relay: Service, new_agent: NewAgent, company: Company) -> None:
    """The proxy cannot read the ticket: the refusal is told as such, also where a host enrols."""
    changed = f"--newpassword=Pass-{secrets.token_hex(6)}.3"
    await tool(company.realm, "user", "setpassword", "svc-proxy", changed)
    key = await keytab(company.realm, company.folder / "agent.keytab", "svc-agent")
    agent = new_agent(common=f'proxy = "{company.address}"\nproxy_negotiate = true\nproxy_keytab = "{key}"')
    words = ["agent", "enrol", "--service", relay.url, "--code", "-", *places(agent)]
    refused = await company.run(*words, given=await relay.code())
    assert refused.returncode == 5
    assert "407" in refused.stderr
    opened = new_agent()
    await opened.enrol(relay)
    agent.state = opened.state
    finding = (await company.check(agent))["proxy-tunnel"]
    assert "refuses the Kerberos ticket" in finding["finding"]
