"""One changed user through all rooms, with real parts: `docs/walk.md` is what must happen, in that order."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import ldap
import pytest

from dirbridge.agent import settings as agent_settings
from dirbridge.agent import state
from dirbridge.agent.runner import Runner
from dirbridge.cli.demo.domain import Domain
from dirbridge.contract import wire
from dirbridge.service import templates, worker
from dirbridge.service.notify import delivery
from dirbridge.service.relay.settings import RelaySettings
from dirbridge.service.settings import load
from dirbridge.store.database import Database
from tests.service.relay.harness import Agent, Service
from tests.walk.stations import PAGE, SOURCE, Call, Recorder, Station, listed

pytestmark = [pytest.mark.service, pytest.mark.samba, pytest.mark.xdist_group("samba"), pytest.mark.timeout(180)]

READER, PASSWORD = "svc-walk", "Pass-word.1"
PATIENCE = 60


# The page -------------------------------------------------------------------------------------------------------------


def _names(tree: ast.AST, prefix: str = "") -> Iterator[str]:
    """Give the qualified names of all functions of a module."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _names(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{node.name}"
            yield from _names(node, f"{prefix}{node.name}.<locals>.")
        else:
            yield from _names(node, prefix)


def test_every_station_exists() -> None:
    """Each file and each function that the page lists, and each that it names in passing."""
    stations = listed()
    assert len(stations) > 30
    missing = [
        station
        for station in stations
        if not (SOURCE / station.file).is_file()
        or station.function not in set(_names(ast.parse((SOURCE / station.file).read_text("utf-8"))))
    ]
    assert missing == []


def test_every_path_in_the_text_exists() -> None:
    """Folders and modules named in headings and sentences, such as `engine/removing`."""
    rest = "\n".join(line for line in PAGE.read_text("utf-8").splitlines() if not line.startswith("| `"))
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+(?:\.py)?)`", rest))
    roots = (SOURCE, PAGE.parents[1])
    gone = [
        path for path in named if not any((root / path).exists() or (root / f"{path}.py").exists() for root in roots)
    ]
    assert named
    assert gone == []


def test_rooms_are_walked_forward_only() -> None:
    """The page has eight rooms, numbered in order, and comes back to none of its stations."""
    numbers = [int(number) for number in re.findall(r"^## (\d)\. ", PAGE.read_text("utf-8"), re.MULTILINE)]
    assert numbers == list(range(1, 9))
    assert all(earlier != later for earlier, later in pairwise(listed()))


# The walk -------------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """A domain, a service with its worker, an agent, and a job between them."""

    domain: Domain
    directory: Any
    service: Service
    api: httpx2.AsyncClient
    tenant: str
    ada: str = ""
    dn: str = ""

    async def change(self, **values: str) -> None:
        """Change Ada in the directory, as any tool would."""
        changes = [(ldap.MOD_REPLACE, name, [value.encode()]) for name, value in values.items()]
        await asyncio.to_thread(self.directory.modify_s, self.dn, changes)

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        answer = await self.api.get(path, params={f"${name}": value for name, value in query.items()} or None)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def events(self) -> list[dict[str, Any]]:
        """Ada's events, the newest first."""
        found = await self.get("auditLogs/provisioning", filter=f"sourceIdentity/id eq '{self.ada}'")
        value: list[dict[str, Any]] = found["value"]
        return value


async def _until(check: Any, what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while True:
        found = await check()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE} seconds"
        await asyncio.sleep(0.1)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """All of it runs in this process, but for domain controller and database."""
    async with contextlib.AsyncExitStack() as stack:
        domain = await stack.enter_async_context(Domain())
        await domain.create_user(READER, PASSWORD)
        await domain.grant_deleted_objects(READER)
        (tmp_path / "service").mkdir()
        service = await stack.enter_async_context(Service(database, tmp_path / "service", RelaySettings()))
        await _run_agent(stack, service, domain, tmp_path / "agent")
        await _run_worker(stack, service, tmp_path / "service")
        api = await stack.enter_async_context(_client(service))
        handle = _bind(domain)
        stack.callback(handle.unbind_s)
        made = World(domain, handle, service, api, str(service.identity.tenant.id))
        made.dn = f"CN=Ada Lovelace,CN=Users,{domain.base_dn}"
        await asyncio.to_thread(_hire, made)
        yield made


def _bind(domain: Domain) -> Any:
    handle = ldap.initialize(domain.ldaps_url)
    handle.set_option(ldap.OPT_X_TLS_CACERTFILE, str(domain.ca_file))
    handle.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
    handle.simple_bind_s(domain.admin_dn, domain.admin_password)
    return handle


def _hire(world: World) -> None:
    """Add Ada and her manager."""
    boss = f"CN=Charles Babbage,CN=Users,{world.domain.base_dn}"
    people = {boss: {"sAMAccountName": "babbage"}, world.dn: {"sAMAccountName": "ada", "manager": boss}}
    for dn, more in people.items():
        values = {
            "objectClass": "user",
            "userPrincipalName": f"{more['sAMAccountName']}@{world.domain.realm}",
            "title": "Analyst",
            **more,
        }
        world.directory.add_s(dn, [(name, [value.encode()]) for name, value in values.items()])
    (found,) = world.directory.search_s(world.dn, ldap.SCOPE_BASE, attrlist=["objectGUID"])
    world.ada = str(UUID(bytes_le=found[1]["objectGUID"][0]))


async def _run_agent(stack: contextlib.AsyncExitStack, service: Service, domain: Domain, folder: Path) -> None:
    password = folder.parent / "password"
    password.touch(0o600)
    password.write_text(PASSWORD)
    values = {
        "name": domain.realm,
        "servers": [domain.ldaps_url],
        "ca_file": str(domain.ca_file),
        "user": f"{READER}@{domain.realm}",
        "password_file": str(password),
    }
    table = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    agent = Agent(folder, f"[[domain]]\n{table}")
    await agent.enrol(service, code=await service.code(domain.realm))
    runner = Runner(agent_settings.load(agent.settings), state.load(agent.state))
    await _run(stack, runner.run)


async def _run_worker(stack: contextlib.AsyncExitStack, service: Service, folder: Path) -> None:
    settings = load({"data": str(folder), "tick_interval": "0.1", "stop_timeout": "2"}, {})
    sealing, courier = service.identity.sealing, delivery.courier(service.database, service.identity, settings)
    await _run(stack, partial(worker.work, settings, service.database, sealing, service.listener, courier))


async def _run(stack: contextlib.AsyncExitStack, work: Any) -> None:
    """Run something until the end of the test; what it raises is raised there."""
    stop = asyncio.Event()
    running = asyncio.create_task(work(stop))

    async def end() -> None:
        stop.set()
        await asyncio.wait_for(running, 30)

    stack.push_async_callback(end)


@contextlib.asynccontextmanager
async def _client(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the API with a token of its own, over HTTPS."""
    context = ssl.create_default_context(cadata=service.identity.authority.certificate.decode())
    async with httpx2.AsyncClient(
        base_url=f"{service.url}/v1.0/", verify=context, trust_env=False, timeout=30
    ) as client:
        form = {
            "grant_type": "client_credentials",
            "client_id": str(service.made.client_id),
            "client_secret": str(service.made.client_secret),
            "scope": "https://graph.microsoft.com/.default",
        }
        answer = await client.post(f"{service.url}/{service.identity.tenant.id}/oauth2/v2.0/token", data=form)
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


async def _start_job(world: World) -> str:
    """Make a job that runs every second, and wait for its first cycle."""
    template = next(iter(templates.APPLICATIONS))
    made = await world.api.post(
        f"applicationTemplates/{template}/instantiate", json={"displayName": world.domain.realm}
    )
    jobs = f"servicePrincipals/{made.json()['servicePrincipal']['id']}/synchronization/jobs"
    job = f"{jobs}/{(await world.api.post(jobs, json={'templateId': 'AD2AADProvisioning'})).json()['id']}"
    await world.api.patch(job, json={"schedule": {"interval": "PT1S"}})
    await world.api.post(f"{job}/start")

    async def steady() -> bool:
        status = (await world.get(job))["status"]
        assert status["quarantine"] is None, status["quarantine"]
        return status["lastSuccessfulExecution"] is not None

    await _until(steady, "the first cycle")
    return job


def _walked(calls: list[Call], stations: list[Station]) -> list[Station]:
    """Give the stations that were met in their order, up to the first that was not."""
    left = iter([call.station for call in calls])
    met: list[Station] = []
    for station in stations:
        if station not in left:  # goes on from the last one that was met
            break
        met.append(station)
    return met


def _given(calls: list[Call], function: str, file: str) -> list[dict[str, Any]]:
    return [call.given for call in calls if call.station == Station(file, function)]


async def test_one_changed_user_walks_through_all_rooms(world: World) -> None:
    """A title changed in the directory passes every station of the page in order, and arrives in tenant and log."""
    await _start_job(world)
    (created,) = await world.events()
    before = await _remembered(world)
    stations = listed()
    began = time.monotonic()
    with Recorder(set(stations)) as recorder:
        await world.change(title="Countess of Computing")

        async def arrived() -> bool:
            return len(await world.events()) == 2

        await _until(arrived, "the event of the change")
        await _until(partial(_has_finished, recorder), "the end of the cycle")
        event, _ = await world.events()  # the last room, once more after the end of the cycle
    assert _walked(recorder.calls, stations) == stations, f"after {time.monotonic() - began:.1f} s"

    # The same change in each room, as it was handed from one to the next.
    calls = recorder.calls
    posted = _given(calls, "ServiceClient.post_page", "agent/client.py")
    pages = [wire.decode(given["body"], wire.Answer).page for given in posted]
    (carried,) = [entry for page in pages for entry in page.entries if entry.anchor == world.ada]
    assert carried.attributes["title"] == ("Countess of Computing",)
    judged = [given["entry"] for given in _given(calls, "judge", "engine/provision.py")]
    assert [entry for entry in judged if entry.anchor == world.ada] == [carried]
    (exported,) = _given(calls, "TenantTarget.export", "tenant/target.py")
    assert [export.wanted for export in exported["batch"]] == [{"Title": "Countess of Computing"}]
    (written,) = _given(calls, "write", "store/events.py")
    assert [str(row.id) for row in written["rows"]] == [event["id"]]

    # Where it arrived.
    user = await world.get(f"users/{created['targetIdentity']['id']}", select="jobTitle,displayName")
    assert (user["jobTitle"], user["displayName"]) == ("Countess of Computing", "Ada Lovelace")
    assert (event["provisioningAction"], event["provisioningStatusInfo"]["status"]) == ("update", "success")
    assert event["sourceIdentity"]["id"] == world.ada
    assert event["targetIdentity"]["id"] == created["targetIdentity"]["id"]
    assert [(each["displayName"], each["oldValue"], each["newValue"]) for each in event["modifiedProperties"]] == [
        ("Title", "Analyst", "Countess of Computing")
    ]
    after = await _remembered(world)
    assert before["target"] == after["target"]
    assert before["digest"] != after["digest"]
    assert before["position"] != after["position"]


async def _has_finished(recorder: Recorder) -> bool:
    """Tell whether a cycle has ended that began before the event was shown: the last but one room."""
    names = [call.station.function for call in recorder.calls]
    return "keep_watermark" in names and "finish" in names[names.index("write") :]


async def _remembered(world: World) -> dict[str, Any]:
    """Ada's link, and the position of her job."""
    async with world.service.database.connection() as conn:
        cursor = await conn.execute(
            """select l.target, l.digest, w.position from links l join watermarks w using (tenant, job)
               where l.tenant = %s and l.anchor = %s""",
            (world.tenant, world.ada),
        )
        (row,) = await cursor.fetchall()
    return dict(zip(("target", "digest", "position"), row, strict=True))
