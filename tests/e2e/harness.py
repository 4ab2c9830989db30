"""A whole installation as an administrator has it: the service, its database and agents, each a process of its own.

Processes are killed and started again here as a supervisor would; nothing else is done to help them.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote

import psycopg

from dirbridge.agent import enrol as enrolling
from dirbridge.cli.demo import verify
from dirbridge.cli.demo.api import Api
from dirbridge.cli.demo.children import clean_environment
from dirbridge.contract.errors import DirbridgeError, TransientError
from tests.engine.world import TABLES

COMMAND = (sys.executable, "-c", "from dirbridge.cli.main import main; main()")
LOOK = 0.05
"""Seconds between two looks at what is waited for."""

Found = TypeVar("Found")


class Process:
    """One `dirbridge` process under a supervisor. It ends with this one, however that ends."""

    def __init__(self, name: str, folder: Path, arguments: Sequence[str], environment: dict[str, str]) -> None:
        self.log = folder / f"{name}.log"
        self.said = folder / f"{name}.out"
        self._arguments = tuple(arguments)
        self._environment = environment
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._running is not None, "it does not run"
        return self._running.pid

    def start(self) -> None:
        with self.log.open("ab") as log, self.said.open("wb") as said:
            self._running = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *COMMAND, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=log,
                env={**clean_environment(), **self._environment},
                start_new_session=True,
            )

    async def ready(self) -> dict[str, Any]:
        """Wait for what it prints once it is ready."""

        async def first_line() -> str | None:
            assert self._running is not None
            assert self._running.poll() is None, f"it ended with {self._running.poll()}: {self.logged()[-2000:]}"
            line, end, _ = self.said.read_text().partition("\n")
            return line if end else None

        said: dict[str, Any] = json.loads(await until(first_line, "the process is ready", 60))
        return said

    async def end(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; gives the exit code."""
        running, self._running = self._running, None
        if running is None:
            return 0
        running.send_signal(by)
        return await asyncio.to_thread(running.wait, 30)

    async def kill(self) -> None:
        await self.end(signal.SIGKILL)

    def logged(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@dataclass(frozen=True)
class Done:
    """A command that has come to its end."""

    code: int
    output: str
    complaint: str

    @property
    def error(self) -> dict[str, Any]:
        """What it complained of with `--json`."""
        said: dict[str, Any] = json.loads(self.complaint.splitlines()[-1])["error"]
        return said


class Installation:
    """A service with its database, and the agents and jobs that belong to it.

    Args:
        folder: for everything; the database's user can enter it.
        domain: the one domain that is synchronized.
        database_url: an empty database to use; None for the embedded one.
        roles: one process of the service for each.
        settings: further settings of the service, by their environment variables.
    """

    def __init__(
        self,
        folder: Path,
        domain: str,
        *,
        database_url: str | None = None,
        roles: Sequence[str] = ("all",),
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.domain = domain
        self.data = folder / "data"
        self.url = ""
        self.made: dict[str, Any] = {}
        self.job = ""
        self.agents: list[Process] = []
        self.services: list[Process] = []
        self._database_url = database_url
        self._roles = roles
        self._settings = settings or {}
        # An address of its own: a process that is started again finds its port free.
        self._host = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(2, 254)}"
        self._stack = AsyncExitStack()
        self._api: Api | None = None

    @property
    def database_url(self) -> str:
        return (
            self._database_url
            or f"postgresql:///dirbridge?host={quote(str(self.data / 'run'), safe='')}&user=dirbridge"
        )

    @property
    def api(self) -> Api:
        assert self._api is not None
        return self._api

    @property
    def environment(self) -> dict[str, str]:
        """What the other commands need to find the service."""
        return {
            "DIRBRIDGE_URL": self.url,
            "DIRBRIDGE_CA_FILE": str(self.data / "ca.pem"),
            "DIRBRIDGE_TENANT": self.made["tenantId"],
            "DIRBRIDGE_CLIENT_ID": self.made["clientId"],
            "DIRBRIDGE_CLIENT_SECRET": self.made["clientSecret"],
        }

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _start(self) -> None:
        place = ["--data", str(self.data), *(["--database-url", self._database_url] if self._database_url else [])]
        done = await self.command("init", *place, "--domain", self.domain, "--json", environment={})
        assert done.code == 0, done.complaint
        self.made = json.loads(done.output)
        settings = {
            "DIRBRIDGE_TICK_INTERVAL": "0.1",
            "DIRBRIDGE_STALLED_AFTER": "5",
            "DIRBRIDGE_LOG_FORMAT": "json",
            **self._settings,
        }
        for number, role in enumerate(self._roles):
            port = self.url.rpartition(":")[2] or "0"
            arguments = ["serve", *place, "--json", "--role", role, "--listen", f"{self._host}:{port}"]
            service = Process(f"service-{number}-{role}", self.folder, arguments, settings)
            self.services.append(service)
            service.start()
            ready = await service.ready()
            if not self.url:
                self.url = ready["baseUrl"]
                service._arguments = (*arguments[:-1], self.url.removeprefix("https://"))
        self._api = await self._stack.enter_async_context(
            Api.open(
                self.url, self.data / "ca.pem", self.made["tenantId"], self.made["clientId"], self.made["clientSecret"]
            )
        )

    async def _stop(self) -> None:
        await self._stack.aclose()
        for process in [*self.agents, *reversed(self.services)]:
            try:
                await process.end(signal.SIGTERM)
            except subprocess.TimeoutExpired:
                await process.kill()

    async def command(self, *arguments: str, environment: dict[str, str] | None = None, text: str = "") -> Done:
        """Run a `dirbridge` command to its end."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**clean_environment(), **(self.environment if environment is None else environment), "COLUMNS": "200"},
        )
        try:
            output, errors = await asyncio.wait_for(process.communicate(text.encode()), 90)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Done(process.returncode, output.decode(), errors.decode())

    # Agents -----------------------------------------------------------------------------------------------------------

    async def code(self) -> str:
        """Make an enrolment code."""
        made = await self.api.post("/beta/dirbridge/enrolmentCodes", {"domains": [self.domain]})
        return str(made["code"])

    async def agent(self, domain: str, common: str = "", url: str | None = None, code: str | None = None) -> Process:
        """Enrol an agent with these settings, and run it.

        Args:
            url: where it finds the service; at the service's own address, if None.
            code: to enrol with; a new one, if None.
        """
        number = len(self.agents)
        state = self.folder / f"agent-{number}"
        self.settings(number).write_text(f'retry_longest = 0.5\nlog_format = "json"\n{common}\n{domain}\n')
        await enrolling.enrol(url or self.url, code or await self.code(), state)
        places = ("--settings", str(self.settings(number)), "--state", str(state))
        process = Process(f"agent-{number}", self.folder, ("agent", "run", *places), {})
        self.agents.append(process)
        process.start()
        return process

    def settings(self, number: int = 0) -> Path:
        """Give the file with an agent's settings."""
        return self.folder / f"agent-{number}.toml"

    # Jobs -------------------------------------------------------------------------------------------------------------

    async def create_job(self, interval: int = 1, *, start: bool = True) -> None:
        """Make a job that looks often, and start it."""
        done = await self.command("jobs", "create", "--domain", self.domain, "--json")
        assert done.code == 0, done.complaint
        made = json.loads(done.output)
        self.job = f"/servicePrincipals/{made['servicePrincipalId']}/synchronization/jobs/{made['id']}"
        await self.api.patch(self.job, {"schedule": {"interval": f"PT{interval}S"}})
        if start:
            await self.api.post(f"{self.job}/start")

    async def status(self) -> dict[str, Any]:
        """Give the job's status; empty while nobody answers."""
        try:
            return dict((await self.api.get(self.job)).get("status") or {})
        except DirbridgeError:
            return {}

    async def succeeded(self, after: datetime, seconds: float = 60) -> dict[str, Any]:
        """Wait for a cycle without fault that began after a moment; gives how it ended."""

        async def look() -> dict[str, Any] | None:
            status = await self.status()
            last = status.get("lastSuccessfulExecution")
            return last if last and datetime.fromisoformat(last["timeBegan"]) > after else None

        return await until(look, "a cycle succeeds", seconds, self.describe)

    async def settled(self, seconds: float = 60) -> dict[str, Any]:
        """Wait for a cycle without fault that begins from now on."""
        return await self.succeeded(datetime.now(UTC), seconds)

    async def failed(self, code: str, seconds: float = 60) -> dict[str, Any]:
        """Wait for a cycle to fail with a certain code; gives the error that the job shows."""

        async def look() -> dict[str, Any] | None:
            error = ((await self.status()).get("lastExecution") or {}).get("error") or {}
            return error if error.get("code") == code else None

        return await until(look, f"a cycle fails with {code}", seconds, self.describe)

    async def describe(self) -> str:
        logs = [
            f"{process.log.name}:\n" + "\n".join(line[:400] for line in process.logged().splitlines()[-10:])
            for process in [*self.services, *self.agents]
        ]
        return "\n".join([json.dumps(await self.status(), indent=1), *logs])

    # What came of it --------------------------------------------------------------------------------------------------

    async def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database, apart from the service."""
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            cursor = await connection.execute(query, parameters)  # type: ignore[arg-type]
            return list(await cursor.fetchall())

    async def events(self) -> Counter[tuple[str, str]]:
        """Count the log's rows by source and action."""
        rows = await self.rows("select source_id, action from events")
        return Counter((str(source), str(action)) for source, action in rows)

    async def fingerprint(self) -> dict[str, str]:
        """Tell any write to the tables that an idle cycle leaves alone, even one that changes nothing."""
        found = {}
        for table in TABLES:
            ((found[table],),) = await self.rows(
                f"""select coalesce(md5(string_agg(row, ',' order by row)), '') from (
                      select t.tableoid::text || t.ctid::text || t.xmin::text as row from {table} t) as found"""
            )
        return found

    async def objects(self, kind: str, *fields: str) -> list[dict[str, Any]]:
        """Read all users or groups through the API; of users those that a job made."""
        only = "$filter=onPremisesSyncEnabled%20eq%20true&" if kind == "users" else ""
        return await verify.items(self.api.get, f"/{kind}?{only}$select=id,{','.join(fields)}&$top=999")

    async def references(self, attribute: str) -> set[tuple[str, str]]:
        """Give the references between live objects, as ids."""
        rows = await self.rows(
            """select owner::text, referenced::text from directory_references r
               join directory_objects o on (o.tenant, o.id) = (r.tenant, r.owner) and o.deleted_at is null
               join directory_objects t on (t.tenant, t.id) = (r.tenant, r.referenced) and t.deleted_at is null
               where attribute = %s""",
            attribute,
        )
        return {(owner, referenced) for owner, referenced in rows}

    def postmaster(self) -> int:
        """Give the process id of the embedded PostgreSQL."""
        return int((self.data / "postgres" / "postmaster.pid").read_text().split()[0])


async def until(
    look: Callable[[], Awaitable[Found | None]],
    what: str,
    seconds: float = 30,
    describe: Callable[[], Awaitable[str]] | None = None,
) -> Found:
    """Look again and again until something is found."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds} seconds: {what}.\n{await describe() if describe else ''}")
        await asyncio.sleep(LOOK)


def is_plain(message: str) -> bool:
    """Whether a message is whole sentences for people, without anything of the code's insides."""
    return message.endswith((".", "'")) and not re.search(r"Traceback|Error\(|<class|0x[0-9a-f]{8}", message)


__all__ = ["Done", "Installation", "Process", "TransientError", "is_plain", "until"]
