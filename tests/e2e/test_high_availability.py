"""Several agents for one domain: whatever happens to one, the job goes on, loses nothing and does nothing twice.

The agents are processes of their own, each behind a cable of its own. For two minutes one of them after the other is
killed, frozen, cut off, or half-cut in the middle of what it says or hears, at random, while the directory changes all
the time. A supervisor starts what was killed, as systemd would; nobody else helps.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dirbridge.connectors.generated.directory import GROUP, USER
from dirbridge.connectors.generated.settings import Settings
from tests.e2e import made_up
from tests.e2e.cable import Cable
from tests.e2e.harness import Installation, Process

pytestmark = [pytest.mark.service, pytest.mark.timeout(330)]

CHANGES = 1000
STORM = 120.0
"""Seconds."""
LEASE = 45.0
"""Seconds after which what an agent held goes to another: `store.requests.Leases.silence`."""


@dataclass
class Member:
    """One of the agents."""

    id: str
    process: Process
    cable: Cable

    @property
    def answered(self) -> int:
        """How many requests it has answered."""
        return self.process.logged().count('"request_answered"')

    def hold(self, signum: signal.Signals) -> None:
        os.kill(self.process.pid, signum)


async def killed(member: Member, seconds: float, _: random.Random) -> None:
    await member.process.kill()
    await asyncio.sleep(seconds)
    member.process.start()


async def frozen(member: Member, seconds: float, _: random.Random) -> None:
    member.hold(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    member.hold(signal.SIGCONT)


async def cut_off(member: Member, seconds: float, _: random.Random) -> None:
    member.cable.cut()
    await asyncio.sleep(seconds)
    member.cable.mend()


async def unplugged(member: Member, seconds: float, _: random.Random) -> None:
    member.cable.hold(member.cable.up, member.cable.down)
    await asyncio.sleep(seconds)
    member.cable.mend()


async def half_cut(member: Member, seconds: float, chance: random.Random) -> None:
    """One way carries on; the other stops in the middle of a message, silently or with a reset."""
    way = chance.choice([member.cable.up, member.cable.down])
    if chance.random() < 0.5:
        member.cable.cut_after(way, chance.randint(1, 3000))
    else:
        member.cable.hold(way)
    await asyncio.sleep(seconds)
    member.cable.mend()


FAULTS = (killed, frozen, cut_off, unplugged, half_cut)


@contextlib.asynccontextmanager
async def two_agents(place: Path, given: Settings) -> AsyncIterator[tuple[Installation, list[Member]]]:
    async with contextlib.AsyncExitStack() as stack:
        installation = await stack.enter_async_context(Installation(place, made_up.DOMAIN))
        members = []
        for _ in range(2):
            cable = await stack.enter_async_context(Cable(installation.url))
            before = {row[0] for row in await installation.rows("select id::text from agents")}
            process = await installation.agent(made_up.toml(given), url=cable.url)
            ((id,),) = await installation.rows("select id::text from agents where id::text <> all(%s)", list(before))
            members.append(Member(id, process, cable))
        try:
            yield installation, members
        finally:
            for member in members:
                member.cable.mend()
                with contextlib.suppress(AssertionError, ProcessLookupError):
                    member.hold(signal.SIGCONT)


async def at_work(installation: Installation, members: list[Member]) -> Member | None:
    """Give the agent that answers a request just now."""
    rows = await installation.rows("select agent::text from agent_requests where state = 'taken' limit 1")
    return next((member for member in members if rows and member.id == rows[0][0]), None)


async def change(given: Settings, seconds: float) -> None:
    """Change one user after the other, each once, evenly over the time; every change is a new revision."""
    assert given.revision_file is not None
    began = time.monotonic()
    for number in range(CHANGES):
        await asyncio.sleep(max(0.0, began + number * seconds / CHANGES - time.monotonic()))
        draft = given.revision_file.with_suffix(".new")
        draft.write_text(str(2 * number + 1))
        draft.replace(given.revision_file)


async def outlast_the_lease(installation: Installation, members: list[Member]) -> None:
    """Unplug the agent that is at work for longer than the lease: the other one takes over while it is away."""
    while True:
        busy = await at_work(installation, members)
        if busy is None:
            await asyncio.sleep(0.05)
            continue
        busy.cable.hold(busy.cable.up, busy.cable.down)
        await asyncio.sleep(3)
        if await at_work(installation, members) is busy:
            break
        busy.cable.mend()
    (other,) = (member for member in members if member is not busy)
    before = other.answered
    await asyncio.sleep(LEASE + 2)
    assert other.answered > before, "nobody took over"
    busy.cable.mend()


async def storm(
    installation: Installation, members: list[Member], chance: random.Random, seconds: float
) -> Counter[str]:
    """Hit one agent after the other, mostly the one that is at work; gives what was done how often."""
    done: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends or len(done) < len(FAULTS):
        busy = await at_work(installation, members)
        if busy is None and chance.random() < 0.8:
            await asyncio.sleep(0.05)
            continue
        least = min(done[each.__name__] for each in FAULTS)
        fault = chance.choice([each for each in FAULTS if done[each.__name__] == least])
        await fault(busy or chance.choice(members), chance.choice([0.2, 0.5, 1.0, 3.0]), chance)
        done[fault.__name__] += 1
        await asyncio.sleep(chance.uniform(0.1, 1.0))
    return done


@dataclass
class Witness:
    """What the job's status showed while somebody looked: its words, and the longest time between two good cycles."""

    codes: Counter[str]
    longest: timedelta = timedelta()

    async def watch(self, installation: Installation) -> None:
        last = None
        while True:
            status = await installation.status()
            if status:
                self.codes[status["code"]] += 1
                ended = datetime.fromisoformat(status["lastSuccessfulExecution"]["timeEnded"])
                self.longest = max(self.longest, ended - (last or ended))
                last = ended
            await asyncio.sleep(0.2)


async def test_two_agents_in_a_storm(place: Path) -> None:
    """Two minutes, 1,000 changes: each is in the log once, the tenant is the directory, the job was never stopped."""
    given = made_up.settings(place, users=CHANGES, groups=3, members=0, pause=0.3)
    async with two_agents(place, given) as (installation, members):
        await installation.create_job()
        await installation.settled(90)
        created = await installation.events()
        witness = Witness(Counter())
        watching = asyncio.create_task(witness.watch(installation))
        changing = asyncio.create_task(change(given, STORM))
        await outlast_the_lease(installation, members)
        done = await storm(installation, members, random.Random(6), STORM - LEASE)
        await changing
        await installation.succeeded(datetime.now(UTC), 2 * LEASE)
        watching.cancel()

        await made_up.compare(installation, given)
        held = made_up.directory(given)
        users = {(held.anchor(USER, number), "update") for number in range(CHANGES)}
        updates = await installation.events() - created
        assert updates.pop((held.anchor(GROUP, 0), "update")) > 1
        assert updates == dict.fromkeys(users, 1)
        assert sum(done.values()) >= 2 * len(FAULTS), done
        assert set(witness.codes) == {"Active"}
        assert witness.longest < timedelta(seconds=LEASE + 30), "it noticed more than the hand-over"
        assert all(member.answered for member in members), "they did not share the work"
