"""How much an application may ask: called by `access` once a caller is known, before anything else is done for it.

Each request has a cost, and each of the limits that it falls under has a bucket that fills again with time. A request
that finds one empty is refused with the time after which it passes. Buckets belong to the process.

Source: Graph's throttling guide and its limits of identity and access, reports and provisioning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from fastapi import Request

from dirbridge.service.auth.access import Caller
from dirbridge.service.graph.context import database
from dirbridge.service.graph.errors import GraphError
from dirbridge.service.settings import Settings
from dirbridge.store import directory_queries

SMALL, LARGE = 50, 500
"""Users below which a tenant is small, and above which it is large."""
UNITS = (3_500, 5_000, 8_000)
"""Resource units in ten seconds, of an application in a small, a middling and a large tenant."""
SIZE_GOOD_FOR = timedelta(minutes=10).total_seconds()
SWEEP = timedelta(minutes=1).total_seconds()
NEARLY = 0.8
"""Share of a limit from which on answers tell it."""
MOST_SHARE = 1.8

_DIRECTORY = frozenset({
    "applications", "contacts", "directory", "directoryObjects", "directoryRoles", "domains", "groups", "me",
    "organization", "roleManagement", "servicePrincipals", "users",
})  # fmt: skip
_READING_POSTS = frozenset({
    "checkMemberGroups", "checkMemberObjects", "getByIds", "getMemberGroups", "getMemberObjects", "validateProperties",
})  # fmt: skip
_MEMBERS = frozenset({"members", "transitiveMembers"})
_UNITS = "resource units"
_OPTION = re.compile(rb"(?:^|&)(?:\$|%24)?(select|expand|top)=(\d*)", re.IGNORECASE)


class Kind(StrEnum):
    """What a request is, as far as limits are concerned."""

    READ = "read"
    WRITE = "write"
    REPORT = "report"
    ON_DEMAND = "provision on demand"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request takes: resource units where it reads the directory, else one request."""

    kind: Kind
    units: int = 1

    @property
    def of_directory(self) -> bool:
        """Whether its answer tells the units."""
        return self.kind in {Kind.READ, Kind.WRITE}


def cost(method: str, path: str, query: bytes) -> Cost | None:
    """Say what a request takes; None where it is free, as `$batch` is: what is in it is counted by itself.

    Args:
        path: in the gate's form, with its version. query: as it came.
    """
    first, *below = path.split("/")[2:] or [""]
    last = below[-1] if below else first
    if last == "$batch":
        return None
    if first == "auditLogs":
        return Cost(Kind.REPORT)
    if last == "provisionOnDemand":
        return Cost(Kind.ON_DEMAND)
    if first not in _DIRECTORY or "synchronization" in below:
        return Cost(Kind.OTHER)
    if method != "GET" and last not in _READING_POSTS:
        return Cost(Kind.WRITE)
    units = 1
    if first == "users" and not below:
        units = 2
    elif first == "groups" and not _MEMBERS.isdisjoint(below[1:2]):
        units = 3
    return Cost(Kind.READ, max(1, units + _of_options(query)))


def _of_options(query: bytes) -> int:
    change = 0
    for name, number in _OPTION.findall(query):
        match name.lower():
            case b"select":
                change -= 1
            case b"expand":
                change += 1
            case _:
                change -= number.isdigit() and int(number[:9]) < 20
    return change


@dataclass(frozen=True, slots=True, eq=False)
class Limit:
    """What is allowed in a time. Each is itself only, so that a bucket is found by it in no time.

    Attributes:
        scope: who shares it: `Tenant_Application`, `Application` or `Tenant`.
        acts: which requests it counts: `Read`, `Write` or `ReadWrite`.
        what: it counts, for people.
        most: units or requests; None goes by the tenant's size.
        period: seconds.
    """

    scope: str
    acts: str
    what: str
    most: int | None
    period: int

    def key(self, caller: Caller) -> Key:
        """Name the caller's bucket."""
        app = None if self.scope == "Tenant" else caller.app_id
        return self, app, None if self.scope == "Application" else caller.tenant


Key = tuple[Limit, UUID | None, UUID | None]
Limits = Mapping[Kind, tuple[Limit, ...]]


def limits(settings: Settings) -> Limits:
    """Give the limits of each kind of request."""
    both, app, tenant = "Tenant_Application", "Application", "Tenant"
    every = Limit(app, "ReadWrite", "requests", settings.throttle_requests, 1)
    return {
        Kind.READ: (
            Limit(both, "Read", _UNITS, settings.throttle_units, 10),
            Limit(app, "Read", _UNITS, settings.throttle_application_units, 20),
            every,
        ),
        Kind.WRITE: (
            Limit(both, "Write", "writes", settings.throttle_writes, 150),
            Limit(app, "Write", "writes", settings.throttle_application_writes, 300),
            Limit(tenant, "Write", "writes", settings.throttle_tenant_writes, 300),
            every,
        ),
        Kind.REPORT: (Limit(both, "Read", "requests for reports", settings.throttle_reports, 10), every),
        Kind.ON_DEMAND: (Limit(both, "Write", "provisions on demand", settings.throttle_on_demand, 10), every),
        Kind.OTHER: (every,),
    }


@dataclass(slots=True)
class Verdict:
    """What became of one request.

    Attributes:
        share: of the limit that is nearest to its end, this request included.
        wait: seconds until the request passes; 0 where it did.
        limit: the one that is nearest to its end, or that makes it wait longest.
    """

    share: float
    wait: float
    limit: Limit
    most: int


class Throttle:
    """The buckets of this process.

    Args:
        limits: of each kind of request.
        clock: seconds that only grow.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._full_at: dict[Key, float] = {}  # when a bucket is full again; one that is full is not in here
        self._sweep_at = -math.inf
        self._sizes: dict[UUID, tuple[float, int]] = {}

    @property
    def size(self) -> int:
        """How many buckets are remembered."""
        return len(self._full_at)

    async def admit(self, request: Request, caller: Caller) -> None:
        """Count a request of the API, once.

        Raises:
            GraphError: 429, where a limit is reached.
        """
        scope = request.scope
        told: dict[str, str] | None = scope.get("graph_headers")
        if told is None or "graph_counted" in scope:
            return
        scope["graph_counted"] = True
        price = cost(request.method, scope["path"], scope["query_string"])
        if price is None:
            return
        units = await self._units(request, caller.tenant) if price.kind is Kind.READ else 0
        verdict = self.take(price, caller, units)
        if price.of_directory:
            told["x-ms-resource-unit"] = str(price.units)
        if verdict.share > NEARLY:
            told["x-ms-throttle-limit-percentage"] = f"{min(verdict.share, MOST_SHARE):.2f}"
        if verdict.wait:
            raise _refusal(verdict, caller)

    def take(self, price: Cost, caller: Caller, units: int = UNITS[0]) -> Verdict:
        """Take a request's cost out of all its buckets, or of none where one has too little.

        Args:
            units: of an application in this tenant, where no setting says it.
        """
        now = self._clock()
        if now >= self._sweep_at:
            self._full_at = {key: at for key, at in self._full_at.items() if at > now}
            self._sweep_at = now + SWEEP
        nearest: tuple[float, float, Limit, int] | None = None  # wait and share come first
        after: dict[Key, float] = {}
        for limit in self._limits[price.kind]:
            most = units if limit.most is None else limit.most
            key = limit.key(caller)
            taken = min(price.units, most) if limit.what is _UNITS else 1
            full_at = max(self._full_at.get(key, now), now) + taken * limit.period / most
            # A bucket holds what it regains in a period; the millionth is for sums that do not come out even.
            wait = max(full_at - now - limit.period - 1e-6, 0.0)
            share = (full_at - now) / limit.period
            if nearest is None or (wait, share) > nearest[:2]:
                nearest = (wait, share, limit, most)
            after[key] = full_at
        assert nearest is not None
        wait, share, limit, most = nearest
        if not wait:
            self._full_at |= after
        return Verdict(share, wait, limit, most)

    async def _units(self, request: Request, tenant: UUID) -> int:
        """Give what an application may take, by the number of the tenant's users, which is looked up now and then."""
        if self._limits[Kind.READ][0].most is not None:
            return 0
        now = self._clock()
        until, units = self._sizes.get(tenant, (-math.inf, 0))
        if now >= until:
            async with database(request).connection() as conn:
                users = await directory_queries.users_up_to(conn, tenant, LARGE + 1)
            units = UNITS[0] if users < SMALL else UNITS[1] if users <= LARGE else UNITS[2]
            self._sizes[tenant] = (now + SIZE_GOOD_FOR, units)
        return units


def _refusal(verdict: Verdict, caller: Caller) -> GraphError:
    limit, seconds = verdict.limit, math.ceil(verdict.wait)
    who = "The tenant" if limit.scope == "Tenant" else f"The application '{caller.app_id}'"
    counted = "WriteLimitExceeded" if limit.acts == "Write" else "ResourceUnitLimitExceeded"
    return GraphError(
        429,
        "TooManyRequests",
        f"{who} has used the {verdict.most:,} {limit.what} that it is given in {limit.period} seconds. Ask again in"
        f" {seconds} seconds.",
        inner="throttledRequest",
        headers={
            "Retry-After": str(seconds),
            "x-ms-throttle-scope": f"{limit.scope}/{limit.acts}/{caller.app_id}/{caller.tenant}",
            "x-ms-throttle-information": counted,
        },
    )
