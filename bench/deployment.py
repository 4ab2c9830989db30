"""A service with its embedded PostgreSQL, an agent and a job, as processes of their own, for one measurement."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from dirbridge.cli.demo import children
from dirbridge.cli.demo.api import Api
from dirbridge.cli.demo.children import Child
from dirbridge.store.embedded import EmbeddedServer

LIMIT_SECONDS = 1200
_GENEROUS = {f"DIRBRIDGE_THROTTLE_{name}": "10000000" for name in ("UNITS", "APPLICATION_UNITS", "REPORTS", "REQUESTS")}
"""Limits that are looked at with every request and never reached."""
APPLICATION = "1a4721b3-e57f-4451-ae87-ef078703ec94"


@dataclass(slots=True)
class Deployment:
    """What runs.

    Attributes:
        folder: holds everything, and goes in the end.
        job: path of the job below `/v1.0`.
    """

    folder: Path
    api: Api
    job: str
    job_id: str
    service: int
    agent: int

    async def start(self) -> None:
        """Start the job."""
        await self.api.post(f"{self.job}/start")

    async def status(self) -> dict[str, Any]:
        """Give the job's status."""
        return (await self.api.get(self.job))["status"]

    async def first_cycle(self, state: str = "Succeeded") -> float:
        """Start the job and wait until its first cycle is through; gives the seconds that the cycle took.

        Args:
            state: how it must end.
        """
        began = time.monotonic()
        await self.start()
        while True:
            status = await self.status()
            last = status.get("lastExecution")
            if last is not None:
                if last["state"] != state:
                    raise RuntimeError(f"The initial cycle ended as {last['state']}: {last['error']}")
                return time.monotonic() - began
            if time.monotonic() - began > LIMIT_SECONDS:
                raise TimeoutError(f"The initial cycle was not through after {LIMIT_SECONDS} s.")
            await asyncio.sleep(0.2)

    def memory(self) -> dict[str, float]:
        """Give the peak of resident memory of service and agent, and of the largest PostgreSQL process, in MB."""
        servers = [_peak(pid) for pid in _below(self.service) if _name(pid) == "postgres"]
        return {
            "service and worker": _peak(self.service),
            "agent": _peak(self.agent),
            "largest PostgreSQL process": max(servers, default=0.0),
        }


@dataclass(frozen=True, slots=True)
class Service:
    """A service that answers, with its embedded PostgreSQL.

    Attributes:
        database_url: for libpq.
    """

    api: Api
    base_url: str
    ca_file: Path
    tenant: UUID
    client_id: UUID
    database_url: str
    pid: int


@asynccontextmanager
async def served(
    domain: str, folder: Path, environment: Mapping[str, str] | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[Service]:
    """Make a tenant with one domain in a folder, and start its service.

    Args:
        environment: settings of the service.
        address: of this machine, where it listens.
    """
    data = folder / "data"
    made = json.loads(
        await children.command(["init", "--data", str(data), "--domain", domain, "--json"], {}, folder / "init.log")
    )
    service = Child(
        "service",
        ["serve", "--data", str(data), "--listen", f"{address}:0", "--json"],
        folder / "service.log",
        {**_GENEROUS, **(environment or {})},
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(service.stop)
        await service.start()
        said = json.loads(await asyncio.wait_for(service.first_line(), 120))
        ca_file = Path(said["caFile"])
        api = await stack.enter_async_context(
            Api.open(said["baseUrl"], ca_file, made["tenantId"], made["clientId"], made["clientSecret"])
        )
        yield Service(
            api,
            said["baseUrl"],
            ca_file,
            UUID(made["tenantId"]),
            UUID(made["clientId"]),
            EmbeddedServer(data).url(),
            service.pid,
        )


@asynccontextmanager
async def deployed(
    domain: str,
    settings: str,
    secrets: dict[str, str] | None = None,
    *,
    address: str = "127.0.0.1",
    agent_inside: Sequence[str] = (),
    tick: float = 0.1,
) -> AsyncIterator[Deployment]:
    """Start everything for one domain.

    Args:
        settings: the agent's TOML for the domain; `{folder}` stands for the folder.
        secrets: files to be put there, by name.
        address: of this machine, where the service listens.
        agent_inside: a command that runs the agent where it shall be.
        tick: seconds between two looks at what is due; as it comes, it is 1.
    """
    folder = Path(tempfile.mkdtemp(prefix="dirbridge-bench-"))
    folder.chmod(0o711)
    try:
        for name, text in (secrets or {}).items():
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(text)
        async with AsyncExitStack() as stack:
            environment = {"DIRBRIDGE_TICK_INTERVAL": str(tick)}
            service = await stack.enter_async_context(served(domain, folder, environment, address))
            api = service.api
            toml = folder / "agent.toml"
            toml.write_text(settings.replace("{folder}", str(folder)))
            places = ("--settings", str(toml), "--state", str(folder / "agent"))
            code = (await api.post("/beta/dirbridge/enrolmentCodes", {"domains": [domain]}))["code"]
            enrol = ["agent", "enrol", "--service", service.base_url, "--code", code, *places, "--json"]
            await children.command(enrol, {}, folder / "commands.log")
            agent = Child("agent", ["agent", "run", *places], folder / "agent.log", {}, agent_inside)
            stack.push_async_callback(agent.stop)
            await agent.start()
            application = await api.post(f"/applicationTemplates/{APPLICATION}/instantiate", {"displayName": domain})
            jobs = f"/servicePrincipals/{application['servicePrincipal']['id']}/synchronization/jobs"
            job = (await api.post(jobs, {"templateId": "AD2AADProvisioning"}))["id"]
            await api.patch(f"{jobs}/{job}", {"schedule": {"interval": "PT1S"}})
            yield Deployment(folder, api, f"{jobs}/{job}", job, service.pid, agent.pid)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _below(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    found, seen = [pid], {pid}
    for one in found:
        for child in [c for c, parent in parents.items() if parent == one and c not in seen]:
            seen.add(child)
            found.append(child)
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _peak(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        return 0.0
    return 0.0


def processors() -> int:
    """How many processors there are for all of it."""
    return len(os.sched_getaffinity(0))
