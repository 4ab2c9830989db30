"""kill -9 of whatever takes part, in mid-sync, at random points: the run ends complete, and nobody helped it.

A supervisor starts again what was killed, as systemd would. The directory is made up and slow, so that there is a
middle to kill in; the seeds are fixed, the machine's own timing does the rest.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from dirbridge.connectors.generated.directory import GROUP, USER
from dirbridge.connectors.generated.settings import Settings
from tests.e2e import made_up
from tests.e2e.harness import Installation, Process, until

pytestmark = [pytest.mark.service, pytest.mark.timeout(180)]

KILLS = 3
"""How often a run is hit."""

Kill = Callable[[random.Random], Awaitable[None]]


async def hit(installation: Installation, seed: int, kill: Kill, *, survived: bool = False) -> None:
    """Kill in mid-sync, again and again, each time while another request is being answered.

    Args:
        kill: kills and starts again.
        survived: a request may outlive it, and be hit once more.
    """
    chance = random.Random(seed)
    hurt = ""
    for number in range(KILLS):

        async def under_way(hurt: str = hurt) -> str | None:
            request = await _reading(installation)
            return request if survived or request != hurt else None

        hurt = await until(under_way, f"a cycle reads, for kill {number}", 90, installation.describe)
        await asyncio.sleep(chance.uniform(0, 1.2))
        assert not (await installation.status()).get("lastSuccessfulExecution"), "there was no middle left to kill in"
        await kill(chance)


async def _reading(installation: Installation) -> str | None:
    """Give the request that an agent is answering and a cycle is waiting for just now, and whose turn it is."""
    try:
        rows = await installation.rows(
            """select id || '/' || attempt from agent_requests
               where state = 'taken' and renewed_at > '-infinity' and read_at > now() - interval '2 seconds'"""
        )
    except psycopg.Error:
        return None
    return rows[0][0] if rows else None


async def complete(installation: Installation, given: Settings, began: datetime) -> None:
    """Wait for the end, and see that all is there once, and that only changes follow."""
    await installation.succeeded(began, 90)
    await made_up.compare(installation, given)
    log = await installation.events()
    assert log == dict.fromkeys(((anchor, "create") for anchor in made_up.anchors(given)), 1)

    # One user gets a new title, another leaves the first group: exactly that is written.
    assert given.revision_file is not None
    given.revision_file.write_text("2")
    await installation.settled()
    await made_up.compare(installation, given)
    held = made_up.directory(given)
    assert await installation.events() - log == {
        (held.anchor(USER, 0), "update"): 1,
        (held.anchor(GROUP, 0), "update"): 1,
    }

    before = await installation.fingerprint()
    await installation.settled()
    assert await installation.fingerprint() == before


async def test_killed_agent(place: Path) -> None:
    """The agent is killed in the middle of its answers, and started again."""
    given = made_up.settings(place)
    async with Installation(place, made_up.DOMAIN) as installation:
        agent = await installation.agent(made_up.toml(given))
        began = datetime.now(UTC)
        await installation.create_job()

        async def kill(chance: random.Random) -> None:
            await agent.kill()
            await asyncio.sleep(chance.uniform(0, 1))
            agent.start()

        await hit(installation, 1, kill)
        await complete(installation, given, began)


async def test_killed_worker(place: Path, empty_database_url: str) -> None:
    """Of two workers the one that runs the cycle is killed: the other takes over, and in its turn is killed."""
    given = made_up.settings(place)
    roles = ("api", "worker", "worker")
    async with Installation(place, made_up.DOMAIN, database_url=empty_database_url, roles=roles) as installation:
        await installation.agent(made_up.toml(given))
        workers = installation.services[1:]
        began = datetime.now(UTC)
        await installation.create_job()

        async def kill(_: random.Random) -> None:
            # The one that began the last cycle; it logs each.
            victim = max(workers, key=_last_cycle)
            await victim.kill()
            victim.start()

        await hit(installation, 2, kill)
        await complete(installation, given, began)


async def test_killed_service(place: Path) -> None:
    """The one process that does everything is killed, its database with it."""
    given = made_up.settings(place)
    async with Installation(place, made_up.DOMAIN) as installation:
        await installation.agent(made_up.toml(given))
        (service,) = installation.services
        began = datetime.now(UTC)
        await installation.create_job()

        async def kill(chance: random.Random) -> None:
            await service.kill()
            await asyncio.sleep(chance.uniform(0, 1))
            service.start()
            await service.ready()

        await hit(installation, 3, kill)
        await complete(installation, given, began)


async def test_killed_database(place: Path) -> None:
    """PostgreSQL is killed: its first process, then one that serves a connection, then the first again."""
    given = made_up.settings(place, pause=1)
    async with Installation(place, made_up.DOMAIN) as installation:
        await installation.agent(made_up.toml(given))
        began = datetime.now(UTC)
        await installation.create_job()
        killed: list[int] = []

        async def kill(chance: random.Random) -> None:
            victim = installation.postmaster()
            if len(killed) == 1:
                rows = await installation.rows(
                    "select pid from pg_stat_activity where application_name = 'dirbridge' order by pid"
                )
                victim = chance.choice(rows)[0]
            killed.append(victim)
            os.kill(victim, signal.SIGKILL)

        await hit(installation, 4, kill, survived=True)
        await complete(installation, given, began)
        assert len(set(killed)) == KILLS
        assert installation.services[0].logged().count('"event": "database.died"') == 2


def _last_cycle(worker: Process) -> str:
    began = [line for line in worker.logged().splitlines() if "cycle.began" in line]
    return began[-1] if began else ""
