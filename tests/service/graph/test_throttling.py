"""Limits of the API: costs, buckets, what is refused and when it passes again."""

from dataclasses import dataclass
from time import perf_counter
from typing import Any
from uuid import UUID

import httpx2
import pytest

from dirbridge.service.auth.access import Caller
from dirbridge.service.graph import throttling
from dirbridge.service.graph.throttling import Kind, Throttle
from dirbridge.service.settings import load
from dirbridge.store import directory_queries
from tests.service.graph.conftest import TENANT, World, code, message


@dataclass
class Clock:
    """Time that goes on when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def throttle(clock: Clock, **settings: Any) -> Throttle:
    return Throttle(throttling.limits(load(settings, {})), clock)


def limit(world: World, clock: Clock, **settings: Any) -> None:
    """Let a world throttle."""
    world.app.state.throttle = throttle(clock, **settings)


def caller(app: int = 1, tenant: UUID = TENANT) -> Caller:
    return Caller(tenant, UUID(int=app), UUID(int=app), frozenset())


@pytest.mark.parametrize(
    ("method", "address", "kind", "units"),
    [
        ("GET", "/users", Kind.READ, 2),
        ("GET", "/users?$select=id", Kind.READ, 1),
        ("GET", "/users?%24select=id&$top=5", Kind.READ, 1),
        ("GET", "/users?$expand=manager", Kind.READ, 3),
        ("GET", "/users?$top=20", Kind.READ, 2),
        ("GET", "/users?$top=19", Kind.READ, 1),
        ("GET", "/users?$filter=department eq 'select=1'", Kind.READ, 2),
        ("GET", "/users/ada", Kind.READ, 1),
        ("GET", "/users/delta", Kind.READ, 1),
        ("GET", "/groups/x/members", Kind.READ, 3),
        ("GET", "/groups/x/members/$ref?top=5&select=id", Kind.READ, 1),
        ("GET", "/groups/x/transitiveMembers/graph.user", Kind.READ, 3),
        ("GET", "/groups/members", Kind.READ, 1),
        ("POST", "/directoryObjects/getByIds", Kind.READ, 1),
        ("POST", "/users/x/checkMemberGroups", Kind.READ, 1),
        ("POST", "/users", Kind.WRITE, 1),
        ("DELETE", "/groups/x/members/y/$ref", Kind.WRITE, 1),
        ("GET", "/auditLogs/provisioning", Kind.REPORT, 1),
        ("POST", "/servicePrincipals/x/synchronization/jobs/y/provisionOnDemand", Kind.ON_DEMAND, 1),
        ("GET", "/servicePrincipals/x/synchronization/jobs", Kind.OTHER, 1),
        ("GET", "/servicePrincipals/x", Kind.READ, 1),
        ("GET", "/dirbridge/jobs/x/scope", Kind.OTHER, 1),
    ],
)
def test_request_costs_what_the_reference_says(method: str, address: str, kind: Kind, units: int) -> None:
    """By its path and its options."""
    path, _, query = address.partition("?")
    assert throttling.cost(method, f"/v1.0{path}", query.encode()) == throttling.Cost(kind, units)


def test_batch_is_free() -> None:
    """What is in it pays by itself."""
    assert throttling.cost("POST", "/v1.0/$batch", b"") is None


def test_limits_are_the_published_ones() -> None:
    """Unless a setting says otherwise."""
    found = {
        (kind.name, each.scope, each.acts, each.most, each.period)
        for kind, limits in throttling.limits(load({}, {})).items()
        for each in limits
    }
    assert {
        ("READ", "Tenant_Application", "Read", None, 10),
        ("READ", "Application", "Read", 150_000, 20),
        ("WRITE", "Tenant_Application", "Write", 3_000, 150),
        ("WRITE", "Application", "Write", 70_000, 300),
        ("WRITE", "Tenant", "Write", 18_000, 300),
        ("REPORT", "Tenant_Application", "Read", 5, 10),
        ("ON_DEMAND", "Tenant_Application", "Write", 5, 10),
    } | {(kind.name, "Application", "ReadWrite", 2_000, 1) for kind in Kind} == found
    assert throttling.UNITS == (3_500, 5_000, 8_000)


@pytest.mark.parametrize("kind", list(Kind))
def test_request_passes_after_the_wait_and_not_before(kind: Kind) -> None:
    """Whatever the limit; what was refused took nothing."""
    clock = Clock()
    buckets = throttle(clock, throttle_units=10, throttle_writes=7, throttle_requests=9)
    price = throttling.Cost(kind, 3 if kind is Kind.READ else 1)
    passed = 0
    while not (verdict := buckets.take(price, caller())).wait:
        passed += 1
    assert passed == {Kind.READ: 3, Kind.WRITE: 7, Kind.REPORT: 5, Kind.ON_DEMAND: 5, Kind.OTHER: 9}[kind]
    assert verdict.share > 1
    assert buckets.take(price, caller()).wait == verdict.wait
    clock.now += verdict.wait * 0.99
    assert buckets.take(price, caller()).wait > 0
    clock.now += verdict.wait * 0.02
    assert buckets.take(price, caller()).wait == 0


def test_bucket_fills_as_fast_as_the_limit_says() -> None:
    """Over a long time an application gets what it is given, not more."""
    clock = Clock()
    buckets = throttle(clock, throttle_reports=5)
    passed = 0
    for _ in range(10_000):
        clock.now += 0.1
        passed += not buckets.take(throttling.Cost(Kind.REPORT), caller()).wait
    assert 500 <= passed <= 505


def test_applications_do_not_take_from_each_other_but_for_the_tenants_writes() -> None:
    """Each has buckets of its own; the writes of a tenant are counted together as well."""
    buckets = throttle(Clock(), throttle_writes=2, throttle_tenant_writes=3, throttle_reports=1)
    write, report = throttling.Cost(Kind.WRITE), throttling.Cost(Kind.REPORT)
    assert [buckets.take(report, caller(app)).wait > 0 for app in (1, 2, 1)] == [False, False, True]
    verdicts = [buckets.take(write, caller(app)) for app in (1, 1, 1, 2, 2)]
    assert [verdict.wait > 0 for verdict in verdicts] == [False, False, True, False, True]
    assert (verdicts[2].limit.scope, verdicts[4].limit.scope) == ("Tenant_Application", "Tenant")
    elsewhere = caller(2, UUID(int=99))
    assert not buckets.take(write, elsewhere).wait


def test_full_buckets_are_forgotten() -> None:
    """Memory is that of who asked lately, not of who ever asked."""
    clock = Clock()
    buckets = throttle(clock)
    for app in range(2_000):
        buckets.take(throttling.Cost(Kind.REPORT), caller(app))
        clock.now += 1
    assert buckets.size < 200


@pytest.mark.parametrize(("users", "units"), [(49, 3_500), (50, 5_000), (500, 5_000), (501, 8_000)])
async def test_units_go_by_the_tenants_users(
    world: World, monkeypatch: pytest.MonkeyPatch, users: int, units: int
) -> None:
    """Counted once, and again after a while."""
    counted = []

    async def users_up_to(conn: Any, tenant: UUID, most: int) -> int:
        counted.append(most)
        return users

    monkeypatch.setattr(directory_queries, "users_up_to", users_up_to)
    clock = Clock()
    limit(world, clock)
    for _ in range(3):
        assert (await world.get("users")).status_code == 200
    assert counted == [501]
    others = throttling.Cost(Kind.READ, units - 7)
    assert not world.app.state.throttle.take(others, registered_caller(world), units).wait
    refused = await world.get("users")
    assert (refused.status_code, f"{units:,} resource units" in message(refused)) == (429, True)
    clock.now += 601
    assert (await world.get("users")).status_code == 200
    assert counted == [501, 501]


def registered_caller(world: World) -> Caller:
    """Whom the world's requests come from."""
    claims = world.tokens.verify_graph(world.client.headers["authorization"].partition(" ")[2])
    return caller(UUID(claims["appid"]).int)


async def test_users_are_counted_no_further_than_needed(world: World) -> None:
    """Live ones, up to a number."""
    for name in ("Ada", "Bob", "Cid"):
        await world.user(name)
    await world.put("user", "Gone", deleted=True)
    async with world.database.connection() as conn:
        assert await directory_queries.users_up_to(conn, TENANT, 10) == 3
        assert await directory_queries.users_up_to(conn, TENANT, 2) == 2


async def test_refusal_says_what_was_reached_and_when_to_come_back(world: World) -> None:
    """After exactly that many seconds the same request passes."""
    clock = Clock()
    limit(world, clock, throttle_units=10)
    answers = [await world.get("users") for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert [answer.headers.get("x-ms-throttle-limit-percentage") for answer in answers] == [
        None, None, None, None, "1.00", "1.20",
    ]  # fmt: skip
    refused = answers[-1]
    assert (code(refused), refused.json()["error"]["innerError"]["code"]) == ("TooManyRequests", "throttledRequest")
    app = registered_caller(world).app_id
    assert refused.headers["x-ms-throttle-scope"] == f"Tenant_Application/Read/{app}/{TENANT}"
    assert refused.headers["x-ms-throttle-information"] == "ResourceUnitLimitExceeded"
    assert refused.headers["x-ms-resource-unit"] == "2"
    assert refused.headers["request-id"]
    seconds = int(refused.headers["Retry-After"])
    assert seconds == 2
    clock.now += seconds - 0.01
    assert (await world.get("users")).status_code == 429
    clock.now += 0.01
    assert (await world.get("users")).status_code == 200


async def test_writes_and_reads_are_apart(world: World) -> None:
    """Who has written enough may still read."""
    limit(world, Clock(), throttle_writes=1)
    assert (await world.client.post("users", json={})).status_code == 400
    refused = await world.client.post("users", json={})
    assert (refused.status_code, refused.headers["x-ms-throttle-information"]) == (429, "WriteLimitExceeded")
    assert (await world.get("users")).status_code == 200


async def test_answers_of_the_directory_tell_their_units(world: World) -> None:
    """Of the directory only, refusals included."""
    limit(world, Clock())
    assert (await world.get("users", select="id")).headers["x-ms-resource-unit"] == "1"
    assert (await world.get("users", expand="manager")).headers["x-ms-resource-unit"] == "3"
    assert (await world.get("users/nobody")).headers["x-ms-resource-unit"] == "1"
    assert "x-ms-resource-unit" not in (await world.get("auditLogs/provisioning")).headers


async def test_who_is_unknown_is_not_counted(world: World) -> None:
    """A wrong token takes nothing from anybody."""
    limit(world, Clock())
    answer = await world.client.get("users", headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401
    assert "x-ms-resource-unit" not in answer.headers
    assert world.app.state.throttle.size == 0


async def test_requests_of_a_batch_are_refused_one_by_one(world: World) -> None:
    """The batch itself is answered, and each refused request says when to come back."""
    limit(world, Clock(), throttle_reports=2)
    wanted = [{"id": str(each), "method": "GET", "url": "/auditLogs/provisioning"} for each in range(3)]
    wanted.append({"id": "other", "method": "GET", "url": "/users"})
    answer: httpx2.Response = await world.client.post("$batch", json={"requests": wanted})
    assert answer.status_code == 200
    found = {each["id"]: each for each in answer.json()["responses"]}
    assert sorted(each["status"] for each in found.values()) == [200, 200, 200, 429]
    refused = next(each for each in found.values() if each["status"] == 429)
    assert {name.lower(): value for name, value in refused["headers"].items()}["retry-after"] == "5"
    assert found["other"]["status"] == 200


def test_counting_a_request_costs_microseconds() -> None:
    """Far less than anything else that a request takes."""
    buckets = throttle(Clock(), throttle_units=10**9, throttle_requests=10**9, throttle_application_units=10**9)
    known = caller()
    began = perf_counter()
    for _ in range(1_000):
        price = throttling.cost("GET", "/v1.0/groups/x/members", b"$select=id,displayName&$top=100")
        assert price is not None
        buckets.take(price, known, 3_500)
    assert perf_counter() - began < 0.2
