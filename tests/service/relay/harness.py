"""The real service over HTTPS on a port of its own, and real agents as processes of their own."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Self

import msgspec
import uvicorn

from dirbridge.agent import enrol as enrolling
from dirbridge.contract.entry import ChangePage, Selection
from dirbridge.service import app, setup
from dirbridge.service.auth.authority import Authority
from dirbridge.service.notify import delivery
from dirbridge.service.relay import administration
from dirbridge.service.relay.door import Door
from dirbridge.service.relay.remote import RemoteSource
from dirbridge.service.relay.settings import RelaySettings
from dirbridge.service.settings import load
from dirbridge.service.setup import Identity, Wishes
from dirbridge.store.database import Database
from dirbridge.store.listener import Listener
from dirbridge.store.requests import Leases
from tests.service import registered

QUICK = RelaySettings(
    leases=Leases(offer=timedelta(seconds=1), silence=timedelta(seconds=4), reader=timedelta(seconds=8)),
    look=timedelta(seconds=0.2),
    hold=timedelta(seconds=1),
    page_limit=timedelta(seconds=60),
    agent_grace=timedelta(seconds=30),
    heard_within=timedelta(seconds=4),
    renew_every=timedelta(seconds=1),
    heartbeat_every=timedelta(seconds=0.5),
    poll_wait=timedelta(seconds=5),
)
"""As the defaults, in a tenth of the time."""

ATTRIBUTES = (
    "sAMAccountName", "userPrincipalName", "cn", "displayName", "givenName", "sn", "mail", "proxyAddresses",
    "department", "title", "company", "telephoneNumber", "mobile", "streetAddress", "l", "postalCode", "co",
    "employeeID", "userAccountControl", "accountExpires", "objectSid",
)  # fmt: skip
SELECTION = Selection(
    attributes={"user": ATTRIBUTES, "group": ("cn", "displayName", "sAMAccountName", "groupType")},
    references={"user": ("manager",)},
    memberships={"group": ("member",)},
    binary=("objectSid",),
)
DOMAIN = "made-up.test"


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Service:
    """One replica of the service. It can be stopped and started again on the same port."""

    def __init__(self, database: Database, folder: Path, settings: RelaySettings, port: int | None = None) -> None:
        self.database = database
        self.settings = settings
        self._folder = folder
        self._socket = _listen(port or 0)
        self.port = self._socket.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self, base_url: str | None = None) -> None:
        """Answer from now on."""
        given = load({"data": str(self._folder), "base_url": base_url or self.url}, {})
        if not await setup.is_initialised(self.database):
            self.made = await setup.initialise(self.database, given, Wishes(domains=["contoso.test"]))
        self.identity: Identity = await setup.load(self.database, given)
        await registered.register(self.database, self.identity.tenant.id)
        self.listener = await self._stack.enter_async_context(Listener(self.database, app.CHANNELS))
        courier = delivery.courier(self.database, self.identity, given)
        wired = app.build(self.database, self.identity, self.listener, courier)
        wired.state.door = replace(wired.state.door, settings=self.settings)
        self.door: Door = wired.state.door
        context = tls_context(self.identity.authority, self._folder)
        config = uvicorn.Config(
            wired,
            lifespan="off",
            log_config=None,
            access_log=False,
            ssl_context_factory=lambda _config, _default: context,
            timeout_graceful_shutdown=1,
        )
        server = _Server(config)
        if self._socket.fileno() < 0:
            self._socket = _listen(self.port)
        running = asyncio.create_task(server.serve(sockets=[self._socket]))
        self._stack.push_async_callback(_end, server, running)
        while not server.started:
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Answer no more: whoever connects is refused."""
        await self._stack.aclose()
        self._socket.close()

    async def code(self, *domains: str) -> str:
        """Make an enrolment code."""
        made = await administration.create_code(self.door, domains or (DOMAIN,), "test")
        return made.text

    def source(self, domain: str = DOMAIN, *, since: float | None = None, **changed: timedelta) -> RemoteSource:
        """The source that a cycle would read."""
        settings = msgspec.structs.replace(self.settings, **changed)
        return RemoteSource(self.database, self.listener, self.identity.tenant.id, domain, settings, since=since)


async def _end(server: uvicorn.Server, running: asyncio.Task[None]) -> None:
    server.should_exit = True
    server.force_exit = True
    await running


def _listen(port: int) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    return listening


def tls_context(authority: Authority, folder: Path, names: Sequence[str] = ("127.0.0.1",)) -> ssl.SSLContext:
    """What a server shows that an authority vouches for."""
    issued = authority.issue_server(names)
    file = folder / "server.pem"
    file.write_bytes(issued.key + issued.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    file.unlink()
    return context


class Agent:
    """An agent: a folder with its settings and state, and a process that runs it."""

    def __init__(self, folder: Path, domain: str, common: str = "") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.state = folder / "state"
        self.settings = folder / "agent.toml"
        self.settings.write_text(f'retry_longest = 0.5\nstop_timeout = 1\nlog_format = "json"\n{common}\n{domain}\n')
        self.log = folder / "agent.log"
        self.process: subprocess.Popen[bytes] | None = None

    async def enrol(self, service: Service, url: str | None = None, code: str | None = None) -> str:
        """Enrol it; gives its id."""
        identity = await enrolling.enrol(url or service.url, code or await service.code(), self.state)
        return identity.agent

    def start(self, *before: str) -> None:
        """Run it; `before` is a command that runs commands."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*before, *DIRBRIDGE, "agent", "run", "--settings", str(self.settings), "--state", str(self.state)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    async def wait(self, timeout: float = 20) -> int:
        """Wait for its end; gives its exit code."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, timeout)

    async def logged(self, text: str, timeout: float = 30) -> None:
        """Wait until it has logged something."""
        async with asyncio.timeout(timeout):
            while text not in self.log.read_text():
                await asyncio.sleep(0.05)

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)


DIRBRIDGE = [sys.executable, "-c", "from dirbridge.cli.main import main; main()"]


def made_up(users: int = 3000, groups: int = 20, members: int = 50, **more: object) -> str:
    """Settings of a made-up domain."""
    values = {"kind": "generated", "name": DOMAIN, "users": users, "groups": groups, "members": members, **more}
    lines = [
        f"{name} = {value if isinstance(value, int | float) else repr(str(value))}" for name, value in values.items()
    ]
    return "\n".join(["[[domain]]", *lines])


async def collect(pages: AsyncGenerator[ChangePage, None]) -> list[ChangePage]:
    """Read a stream to its end."""
    async with contextlib.aclosing(pages):
        return [page async for page in pages]
