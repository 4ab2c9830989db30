"""A tenant full of users, groups and log events, written through the store's own functions instead of by cycles.

A user has two dozen properties, as after the default mapping of a domain account. An event is the update of a user by
one of three jobs (70, 25 and 5 of a hundred), with its four steps and two modified properties; 6 of a hundred are
skipped and 1 fails. Events lie evenly over the last 30 days, each day in a partition of its own, as in a service that
has run so long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID, uuid4

from bench.deployment import APPLICATION, Service
from dirbridge.connectors.generated.directory import DEPARTMENTS
from dirbridge.contract.event import Detail, Event, ModifiedProperty, Status, Step, StepType
from dirbridge.contract.export import Action, Fault
from dirbridge.store import directory, events, unique
from dirbridge.store.database import Database
from dirbridge.store.directory import ObjectRow
from dirbridge.tenant import rules

DAYS = 30
GROUPS, MEMBERS = 1_000, 20
_PAGE = 5_000
Row = TypeVar("Row")
_GIVEN = ("Anna", "Björn", "Chloé", "Dmitri", "Elif", "Françoise", "Grzegorz", "Håkon", "Iñigo", "Jana", "Kazuo")
_FAMILY = ("Müller", "O'Brien", "Núñez", "Šimek", "van Dijk", "Åberg", "Kowalski", "Sato", "Øster", "D'Amico", "Weiß",
           "Yılmaz", "Nguyễn")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Filled:
    """What lies in the tenant.

    Attributes:
        jobs: ids, the one with the most events first.
        people: source anchors of the users.
        since: when the oldest event happened.
    """

    jobs: tuple[str, ...]
    people: tuple[str, ...]
    since: datetime


async def fill(service: Service, domain: str, users: int, log: int) -> Filled:
    """Fill a new tenant.

    Args:
        users: how many. log: how many events.
    """
    now = datetime.now(UTC)
    since = now - timedelta(days=DAYS)
    jobs = [await _job(service, f"{name}.{domain}") for name in ("north", "south", "west")]
    rows = [_user(number, domain, jobs[0]) for number in range(users)]
    async with Database(service.database_url, most=1) as database:
        await _directory(database, service.tenant, rows, now)
        async with database.transaction() as conn:
            await events.ensure_partitions(conn, since.date(), DAYS)
        for batch in _batches(_events(rows, jobs, log, since)):
            async with database.transaction() as conn:
                await events.write(conn, service.tenant, batch)
        async with database.connection() as conn:
            await conn.execute("vacuum (analyze) events, directory_objects, directory_references, jobs")
    return Filled(tuple(jobs), tuple(str(row.immutable_id) for row in rows), since)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, _PAGE)):
        yield batch


async def _job(service: Service, name: str) -> str:
    """Make an application with a job that is never started."""
    made = await service.api.post(f"/applicationTemplates/{APPLICATION}/instantiate", {"displayName": name})
    jobs = f"/servicePrincipals/{made['servicePrincipal']['id']}/synchronization/jobs"
    return str((await service.api.post(jobs, {"templateId": "AD2AADProvisioning"}))["id"])


async def _directory(database: Database, tenant: UUID, users: list[ObjectRow], now: datetime) -> None:
    for batch in _batches(users):
        async with database.transaction() as conn:
            await directory.insert(conn, tenant, batch, now)
            await unique.claim(
                conn, tenant, {(key, row.id) for row in batch for key in rules.claims("user", row.properties)}
            )
    groups = [_group(number) for number in range(min(GROUPS, len(users)))]
    members = [
        (str(group.id), "members", str(users[(number * MEMBERS + each) % len(users)].id))
        for number, group in enumerate(groups)
        for each in range(MEMBERS)
    ]
    async with database.transaction() as conn:
        await directory.insert(conn, tenant, groups, now)
        await directory.refer(conn, tenant, members)


def _user(number: int, domain: str, job: str) -> ObjectRow:
    given, family = _GIVEN[number % len(_GIVEN)], _FAMILY[number % len(_FAMILY)]
    name, account, anchor = f"{given} {family} {number}", f"u{number:07d}", str(uuid4())
    properties: dict[str, Any] = {
        "accountEnabled": number % 50 != 49,
        "businessPhones": [f"+49 30 {number:07d}"],
        "city": "Zürich" if number % 3 else "Köln",
        "companyName": "Made-up & Sons",
        "country": "Germany",
        "department": DEPARTMENTS[number % len(DEPARTMENTS)],
        "displayName": name,
        "employeeId": str(number),
        "givenName": given,
        "jobTitle": f"Title {number % 90}",
        "mail": f"{account}@{domain}",
        "mailNickname": account,
        "mobilePhone": f"+49 170 {number:07d}",
        "onPremisesDistinguishedName": f"CN={name},OU={DEPARTMENTS[number % len(DEPARTMENTS)]},DC=made-up,DC=test",
        "onPremisesDomainName": domain,
        "onPremisesImmutableId": anchor,
        "onPremisesSamAccountName": account,
        "onPremisesSecurityIdentifier": f"S-1-5-21-1004336348-1177238915-682003330-{number}",
        "onPremisesSyncEnabled": True,
        "onPremisesUserPrincipalName": f"{account}@{domain}",
        "postalCode": f"{10000 + number % 80000}",
        "proxyAddresses": [f"SMTP:{account}@{domain}", f"smtp:alias{number}@{domain}"],
        "streetAddress": f"{number % 200 + 1} High Street",
        "surname": family,
        "usageLocation": "DE",
        "userPrincipalName": f"{account}@{domain}",
        "userType": "Member",
    }
    return ObjectRow(uuid4(), "user", anchor, job, properties, {})


def _group(number: int) -> ObjectRow:
    properties = {
        "displayName": f"Group {number}",
        "description": f"The made-up group {number}",
        "groupTypes": [],
        "mailEnabled": False,
        "mailNickname": f"g{number:06d}",
        "securityEnabled": True,
    }
    return ObjectRow(uuid4(), "group", None, None, properties, {})


def _events(users: list[ObjectRow], jobs: list[str], count: int, since: datetime) -> Iterator[Event]:
    """Make the log, the oldest event first."""
    apart = timedelta(days=DAYS) / count
    cycle = uuid4()
    for number in range(count):
        if number % 500 == 0:
            cycle = uuid4()
        share = number % 100
        user = users[number * 7919 % len(users)]
        yield _event(
            user,
            jobs[0 if share < 70 else 1 if share < 95 else 2],
            Status.FAILURE if share == 41 else Status.SKIPPED if share % 16 == 15 else Status.SUCCESS,
            since + apart * number,
            cycle,
        )


def _event(user: ObjectRow, job: str, status: Status, at: datetime, cycle: UUID) -> Event:
    name = user.properties["displayName"]
    done, there = Status.SUCCESS, {"name": name, "type": "User"}
    steps = (
        Step("EntryImport", StepType.IMPORT, done, {"type": "user", "name": name}),
        Step("EntrySynchronizationScoping", StepType.SCOPING, done, {"type": "user", "passed": "True"}),
        Step("EntryImport", StepType.MATCHING, done, there),
        Step("EntryExportUpdate", StepType.EXPORT, status, there),
    )
    modified = (
        ModifiedProperty("JobTitle", "Title 1", user.properties["jobTitle"]),
        ModifiedProperty("StreetAddress", "1 High Street", user.properties["streetAddress"]),
    )
    failed = status is Status.FAILURE
    fault = Fault("TargetRefused", f"The target refused a value of '{name}'.") if failed else None
    return Event(
        id=uuid4(),
        at=at,
        job=job,
        cycle=cycle,
        change=uuid4(),
        action=Action.OTHER if status is Status.SKIPPED else Action.UPDATE,
        status=status,
        reason={Status.FAILURE: "TargetRefused", Status.SKIPPED: "RedundantExport"}.get(status, ""),
        source_id=str(user.immutable_id),
        source_type="user",
        source_name=name,
        target_id=str(user.id),
        target_type="User",
        target_name=name,
        duration=40,
        detail=Detail(steps, modified, fault),
    )
