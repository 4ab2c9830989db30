"""A quarter of an hour with a link that fails all the time: does the memory of agent and service stay what it was?

The agent lives in a network namespace with one cable to this machine, where the service listens. The cable is pulled,
goes silent, or carries one direction only, for times shorter and longer than the leases of agent and reader. Meanwhile
the directory changes every second, and everything is read anew every minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from bench.deployment import Deployment, deployed
from bench.measures import Figure
from dirbridge.contract.errors import DirbridgeError

DOMAIN = "made-up.test"
USERS, GROUPS, MEMBERS = 2_000, 20, 100
LOOK_SECONDS = 5
READ_ANEW_SECONDS = 60
UP_SECONDS, DOWN_SECONDS = (2.0, 12.0), (0.5, 8.0)
LONG_SECONDS, LONG_SHARE = 65.0, 1 / 12
"""How many of the interruptions last so long: more than the leases."""
WARM_UP = 1 / 3
"""Part of the time after which memory is expected to be what it will be."""
MORE_PERCENT, MORE_MEGABYTES = 5.0, 5.0
"""Growth that is none, if either is not passed: the allocator's own coming and going."""


@dataclass(frozen=True, slots=True)
class Cable:
    """A namespace and the way to it.

    Attributes:
        name: of the namespace, and of this machine's end.
        here, there: the addresses of both ends.
    """

    name: str
    here: str
    there: str

    @property
    def inside(self) -> tuple[str, ...]:
        """A command that runs commands there."""
        return ("ip", "netns", "exec", self.name)

    def pull(self) -> None:
        """Take the carrier away."""
        _ip("link", "set", self.name, "down")

    def silence(self) -> None:
        """Lose what goes either way, without a word."""
        self.silence_answers()
        _ip("-n", self.name, "neigh", "replace", self.here, "lladdr", _NOBODY, "dev", "eth0", "nud", "permanent")

    def silence_answers(self) -> None:
        """Lose what goes to the agent; the service still hears it."""
        _ip("neigh", "replace", self.there, "lladdr", _NOBODY, "dev", self.name, "nud", "permanent")

    def mend(self) -> None:
        """Make it whole, whatever was done to it."""
        _ip("link", "set", self.name, "up")
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("neigh", "delete", self.there, "dev", self.name)
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("-n", self.name, "neigh", "delete", self.here, "dev", "eth0")


_NOBODY = "02:00:00:00:00:01"
"""A network card that is not there."""


@contextlib.contextmanager
def cable() -> Iterator[Cable]:
    """Lay it; namespace and all are gone afterwards."""
    name = f"dbs{secrets.token_hex(4)}"
    network = f"10.{secrets.randbelow(50) + 200}.{secrets.randbelow(250)}"
    found = Cable(name, f"{network}.1", f"{network}.2")
    with contextlib.ExitStack() as undo:
        _ip("netns", "add", name)
        undo.callback(_ip, "netns", "delete", name)
        _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        _ip("address", "add", f"{found.here}/30", "dev", name)
        _ip("link", "set", name, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "address", "add", f"{found.there}/30", "dev", "eth0")
        _ip("-n", name, "link", "set", "eth0", "up")
        yield found


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=20)


@dataclass(slots=True)
class Seen:
    """What happened: samples of each process as (second, megabytes, files, threads), interruptions, ends of cycles."""

    samples: dict[str, list[tuple[float, float, int, int]]] = field(default_factory=dict)
    interruptions: Counter[str] = field(default_factory=Counter)
    cycles: Counter[str] = field(default_factory=Counter)


async def soak(duration: timedelta) -> AsyncIterator[Figure]:
    """Run it; needs root for the namespace."""
    settings = (
        f'[[domain]]\nkind = "generated"\nname = "{DOMAIN}"\nusers = {USERS}\ngroups = {GROUPS}\n'
        f'members = {MEMBERS}\nrevision_file = "{{folder}}/revision"\n'
    )
    with cable() as link:
        async with deployed(DOMAIN, settings, {"revision": "0"}, address=link.here, agent_inside=link.inside) as here:
            await here.first_cycle()
            seen = Seen()
            await _run(here, link, seen, duration.total_seconds())
            caught_up = await _catch_up(here)
    for figure in _figures(seen, duration):
        yield figure
    yield Figure(
        "after the last interruption",
        f"{caught_up:.1f} s until a cycle succeeded" if caught_up is not None else "no cycle succeeded",
        "",
        "within two minutes",
        failed=caught_up is None,
    )


async def _run(here: Deployment, link: Cable, seen: Seen, seconds: float) -> None:
    loops = [_flap(link, seen), _edit(here), _read_anew(here), _sample(here, seen), _count(here, seen)]
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        link.mend()


async def _flap(link: Cable, seen: Seen) -> None:
    dice = random.Random(15)
    while True:
        await asyncio.sleep(dice.uniform(*UP_SECONDS))
        ways = {"pulled": link.pull, "silent": link.silence, "half-silent": link.silence_answers}
        name = dice.choice(list(ways))
        seen.interruptions[name] += 1
        await asyncio.to_thread(ways[name])
        await asyncio.sleep(LONG_SECONDS if dice.random() < LONG_SHARE else dice.uniform(*DOWN_SECONDS))
        await asyncio.to_thread(link.mend)


async def _edit(here: Deployment) -> None:
    revision = 0
    while True:
        await asyncio.sleep(1)
        revision += 1
        (here.folder / "revision.new").write_text(str(revision))
        (here.folder / "revision.new").replace(here.folder / "revision")


async def _read_anew(here: Deployment) -> None:
    while True:
        await asyncio.sleep(READ_ANEW_SECONDS)
        await here.api.post(f"{here.job}/restart", {"criteria": {"resetScope": "Watermark"}})


async def _count(here: Deployment, seen: Seen) -> None:
    """Count how cycles end. Some may be missed: only the last one is shown."""
    last = ""
    while True:
        await asyncio.sleep(0.5)
        with contextlib.suppress(DirbridgeError):
            execution = (await here.status())["lastExecution"]
            if execution and execution["activityIdentifier"] != last:
                last = execution["activityIdentifier"]
                seen.cycles[execution["state"]] += 1


async def _sample(here: Deployment, seen: Seen) -> None:
    began = time.monotonic()
    while True:
        for name, pid in (("agent", here.agent), ("service and worker", here.service)):
            found = (time.monotonic() - began, _resident(pid), _files(pid), _threads(pid))
            seen.samples.setdefault(name, []).append(found)
        await asyncio.sleep(LOOK_SECONDS)


async def _catch_up(here: Deployment, limit: float = 120.0) -> float | None:
    """Give the seconds until a cycle that began after the end has succeeded."""
    began = time.monotonic()
    before = (await here.status())["lastExecution"]["activityIdentifier"]
    while time.monotonic() - began < limit:
        last = (await here.status())["lastExecution"]
        if last["activityIdentifier"] != before and last["state"] == "Succeeded":
            return time.monotonic() - began
        await asyncio.sleep(0.2)
    return None


def _figures(seen: Seen, duration: timedelta) -> Iterator[Figure]:
    yield Figure(
        f"{duration.total_seconds() / 60:.0f} minutes, {seen.interruptions.total()} interruptions",
        ", ".join(f"{count} {name}" for name, count in sorted(seen.interruptions.items())),
        "cycles: " + ", ".join(f"{count} {state}" for state, count in sorted(seen.cycles.items())),
    )
    for name, samples in seen.samples.items():
        warm = [sample for sample in samples if sample[0] >= WARM_UP * duration.total_seconds()]
        third = max(1, len(warm) // 3)
        first, last = warm[:third], warm[-third:]
        before, after = (statistics.median(sample[1] for sample in part) for part in (first, last))
        files, threads = (tuple(max(sample[column] for sample in part) for part in (first, last)) for column in (2, 3))
        more = after - before
        yield Figure(
            f"memory of {name}, after warming up and at the end",
            f"{before:.1f} MB, {after:.1f} MB: {more:+.1f} MB",
            f"peak {max(sample[1] for sample in samples):.0f} MB; open files at most {files[0]}, {files[1]}; "
            f"threads at most {threads[0]}, {threads[1]}",
            f"flat: at most {MORE_PERCENT:g} % or {MORE_MEGABYTES:g} MB more",
            failed=more > max(MORE_MEGABYTES, before * MORE_PERCENT / 100),
        )


def _resident(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"Process {pid} has ended.")


def _files(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def _threads(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
