"""Every screen of the portal in a large tenant, beside the same in an almost empty one, in turn.

Screens are the portal's own routes, so that none is forgotten. A request is what a browser sends for the page itself;
what its session costs is part of it.
"""

from __future__ import annotations

import re
import shutil
import ssl
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import httpx2
from fastapi.routing import APIRoute

from bench.crowd import AGENT, crowd, event_of
from bench.deployment import Service, served
from bench.filling import fill
from bench.measures import MADE_UP, Figure
from dirbridge.service import portal

WARM_UP, ROUNDS = 7, 11
"""A connection prepares a statement when it runs it for the sixth time."""
SLOW = 2.0
"""Seconds; a screen that takes longer, as one that waits for an agent, is asked a few times only."""
MOST = 3
GOAL = f"{MOST} times at most"
FEW_USERS, FEW_EVENTS, FEW_JOBS = 20, 100, 1

FURTHER = (
    "/portal/logs?span=all",
    "/portal/logs?span=all&status=failure",
    "/portal/logs?span=30d&job={job}",
    "/portal/logs?span=30d&code=TargetRefused",
    "/portal/insights?span=24h",
    "/portal/insights?span=90d",
    "/portal/insights?span=30d&job={job}",
)
"""Screens with filters, besides those of the routes."""

_LEFT_OUT = re.compile(r"/live$|\.\w+$|^/$|\{(file|preview|change|collection)\}|^/portal/assets")
"""Streams, downloads, and what there is none of here."""
_KEYS = {"agents": "agent", "configurations": "job", "logs": "event", "users": "user", "groups": "group",
         "objects": "user"}  # fmt: skip
"""What stands for a parameter, by the part of the path before it."""
UNKNOWN = "unknown"
"""What stands for a parameter that this measurement has nothing for."""


async def screens(users: int, log: int, jobs: int) -> AsyncIterator[Figure]:
    """Fill two tenants, then ask both for each screen."""
    async with _tenant(FEW_USERS, FEW_EVENTS, FEW_JOBS) as few, _tenant(users, log, jobs) as many:
        yield Figure(f"{users:,} users, {log:,} events, {jobs} configurations stored", f"{many.seconds:.0f} s")
        worst = 0.0
        for screen in _screens():
            figure, ratio = await _compare(screen, few, many)
            worst = max(worst, ratio)
            yield figure
        yield Figure("the portal's worst screen", f"{worst:.1f} times", "the same in an almost empty tenant", GOAL)


class Tenant:
    """A tenant with a browser in front of it.

    Attributes:
        keys: ids of what is looked at. seconds: that filling it took.
    """

    def __init__(self, browser: httpx2.AsyncClient, keys: Mapping[str, str], seconds: float) -> None:
        self.browser, self.keys, self.seconds = browser, keys, seconds

    async def time(self, screen: str) -> tuple[int, float]:
        """Ask for a screen once; gives status and seconds."""
        path = re.sub(r"\{(\w+)\}", lambda found: quote(self.keys[found[1]], safe=""), screen)
        began = time.perf_counter()
        answer = await self.browser.get(path)
        return answer.status_code, time.perf_counter() - began


async def _compare(screen: str, few: Tenant, many: Tenant) -> tuple[Figure, float]:
    if f"{{{UNKNOWN}}}" in screen:
        return Figure(screen, "not measured", "there is nothing of the kind here"), 0.0
    status, first = await few.time(screen)
    also, _ = await many.time(screen)
    if (status, also) != (200, 200):
        answers = f"answered {status} and {also}"
        return Figure(screen, "not measured", answers, failed=max(status, also) >= 500), 0.0
    warm_up, rounds = (WARM_UP, ROUNDS) if first < SLOW else (0, 2)
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(warm_up + rounds):
        for tenant, found in zip((few, many), times, strict=True):
            _, seconds = await tenant.time(screen)
            if number >= warm_up:
                found.append(seconds)
    small, large = (statistics.median(each) for each in times)
    compared = f"{large / small:.1f} times the {small * 1000:.0f} ms of an almost empty tenant"
    return Figure(screen, f"{large * 1000:.0f} ms", compared, GOAL), large / small


def _screens() -> Iterator[str]:
    """Name them, with what is looked at in braces."""
    routes = (route for router in portal.routers() for route in router.routes if isinstance(route, APIRoute))
    paths = {route.path for route in routes if "GET" in (route.methods or ())}
    yield from (_keyed(path) for path in sorted(paths) if not _LEFT_OUT.search(path))
    yield from FURTHER


def _keyed(path: str) -> str:
    parts = path.split("/")
    for number, part in enumerate(parts):
        if part.startswith("{"):
            parts[number] = "{" + _KEYS.get(parts[number - 1], UNKNOWN) + "}"
    return "/".join(parts)


# A tenant -------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _tenant(users: int, log: int, jobs: int) -> AsyncIterator[Tenant]:
    folder = Path(tempfile.mkdtemp(prefix="dirbridge-bench-"))
    folder.chmod(0o711)
    try:
        async with AsyncExitStack() as stack:
            service = await stack.enter_async_context(served(MADE_UP, folder))
            began = time.monotonic()
            filled = await fill(service, MADE_UP, users, FEW_EVENTS)
            await crowd(service, filled, jobs, log, audits=max(log // 10, 10))
            seconds = time.monotonic() - began
            browser = await stack.enter_async_context(_browser(service))
            yield Tenant(browser, await _keys(service, filled.jobs[0]), seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _keys(service: Service, job: str) -> dict[str, str]:
    """Choose what is looked at: the group with the most members among them."""
    user = (await service.api.get("/users?$top=1&$filter=onPremisesSyncEnabled eq true"))["value"][0]["id"]
    groups = (await service.api.get("/groups?$top=999&$select=id"))["value"]
    group = min(each["id"] for each in groups)
    return {"job": job, "event": str(await event_of(service, job)), "user": user, "group": group, "agent": str(AGENT)}


@asynccontextmanager
async def _browser(service: Service) -> AsyncIterator[httpx2.AsyncClient]:
    """Sign an administrator in."""
    name = f"ada@{MADE_UP}"
    wanted = {"userName": name, "displayName": "Ada", "roles": ["Global Administrator"]}
    made = await service.api.post("/beta/dirbridge/administrators", wanted)
    trust = ssl.create_default_context(cafile=str(service.ca_file))
    async with httpx2.AsyncClient(base_url=service.base_url, verify=trust, timeout=60) as browser:
        page = (await browser.get("/sign-in")).text
        token = re.search(r'name="csrf" value="([^"]+)"', page)
        assert token is not None
        form = {"csrf": token[1], "name": name, "password": made["password"], "continue": ""}
        answer = await browser.post("/sign-in", data=form)
        if answer.status_code != 303:
            raise RuntimeError(f"Signing in was answered {answer.status_code}: {answer.text}")
        yield browser
