"""What is measured, one function a line of the table's groups."""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import ldap
from ldap.controls import RequestControl

from bench import openldap
from bench.deployment import Deployment, deployed
from dirbridge.cli.demo.domain import Domain
from dirbridge.connectors.ad import dirsync
from dirbridge.connectors.ad.dirsync import Flag
from dirbridge.connectors.generated.settings import Settings
from dirbridge.contract.entry import Selection
from dirbridge.engine import plan
from dirbridge.service.templates import AD_PROVISIONING, TEMPLATES

MADE_UP = "made-up.test"
CYCLE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: what was measured, the figure with its unit, and how it compares.

    Attributes:
        failed: it is not a matter of speed, and must not be so.
    """

    what: str
    value: str
    compared: str = ""
    goal: str = ""
    failed: bool = False


def _generated(settings: Settings) -> str:
    return (
        f'[[domain]]\nkind = "generated"\nname = "{settings.name}"\nusers = {settings.users}\n'
        f"groups = {settings.groups}\nmembers = {settings.members}\nlargest = {settings.largest}\n"
        f"duplicates = {settings.duplicates}\nemptied_at = {settings.emptied_at}\nleft_at = {settings.left_at}\n"
        'revision_file = "{folder}/revision"\n'
    )


async def initial(users: int, groups: int, members: int) -> AsyncIterator[Figure]:
    """The initial sync of a made-up directory, beside a raw read of the same from OpenLDAP."""
    settings = Settings(name=MADE_UP, users=users, groups=groups, members=members)
    raw = await openldap.measure(settings)
    total = users + groups
    yield Figure(f"raw ldapsearch of {total:,} entries", f"{raw:.2f} s", f"{total / raw:,.0f} entries/s")
    async with deployed(MADE_UP, _generated(settings), {"revision": "0"}) as here:
        seconds = await here.first_cycle()
        yield Figure(
            f"initial sync of {users:,} users and {groups:,} groups of {members}",
            f"{seconds:.1f} s, {total / seconds:,.0f} objects/s",
            f"{seconds / raw:.1f} times the raw read",
            "20 times at most",
        )
        for name, peak in here.memory().items():
            limit = {"agent": "under 200 MB", "service and worker": "worker under 400 MB"}.get(name, "")
            yield Figure(f"peak memory, {name}", f"{peak:.0f} MB", "", limit)
        async for figure in idle(here, f"{total:,} made-up objects"):
            yield figure


async def idle(here: Deployment, of: str) -> AsyncIterator[Figure]:
    """Cycles in which nothing happened."""
    times = [await _cycle(here) for _ in range(7)]
    yield Figure(f"idle delta, {of}", f"{statistics.median(times) * 1000:.0f} ms", "median of 7 cycles")


async def _cycle(here: Deployment, *, exporting: bool = False) -> float:
    """Wait for the next cycle, or the next that exports something; gives its seconds."""
    before = (await here.status())["lastExecution"]["activityIdentifier"]
    until = time.monotonic() + CYCLE_SECONDS
    while time.monotonic() < until:
        last = (await here.status())["lastExecution"]
        if last["activityIdentifier"] != before and (last["countExported"] or not exporting):
            ended, began = (datetime.fromisoformat(last[name]) for name in ("timeEnded", "timeBegan"))
            return (ended - began).total_seconds()
        await asyncio.sleep(0.05)
    raise TimeoutError(f"No such cycle came within {CYCLE_SECONDS} s.")


async def one_member(sizes: tuple[int, ...]) -> AsyncIterator[Figure]:
    """One member joins or leaves a group, small and large."""
    for size in sizes:
        settings = Settings(name=MADE_UP, users=max(sizes) + 10, groups=1, members=1, largest=size)
        async with deployed(MADE_UP, _generated(settings), {"revision": "0"}) as here:
            await here.first_cycle()
            times = []
            for revision in range(2, 16, 2):
                (here.folder / "revision").write_text(str(revision))
                times.append(await _cycle(here, exporting=True))
            yield Figure(
                f"one member in a group of {size:,}",
                f"{statistics.median(times) * 1000:.0f} ms",
                f"one export each, median of {len(times)} cycles",
                "the same at any size",
            )


async def failing(users: int) -> AsyncIterator[Figure]:
    """The initial sync of a directory in which one entry in a hundred fails, beside the same without failures."""
    seconds = {}
    for every in (0, 100):
        settings = Settings(name=MADE_UP, users=users, groups=0, members=0, duplicates=every)
        async with deployed(MADE_UP, _generated(settings), {"revision": "0"}) as here:
            seconds[every] = await here.first_cycle(state="EntryLevelErrors" if every else "Succeeded")
            failed = (await here.status())["lastExecution"]["countEscrowed"]
            yield Figure(
                f"initial sync of {users:,} users, {failed:,} of them failing",
                f"{seconds[every]:.1f} s",
                f"{seconds[every] / seconds[0]:.2f} times the clean one" if every else "",
                "1.2 times at most" if every else "",
            )


async def large_group(size: int) -> AsyncIterator[Figure]:
    """A large group's whole life: it comes, changes by one member, loses all of them, and leaves scope."""
    settings = Settings(name=MADE_UP, users=size, groups=20, members=1, largest=size, emptied_at=10, left_at=20)
    async with deployed(MADE_UP, _generated(settings), {"revision": "0"}) as here:
        # Otherwise so many would wait for a person's word.
        held = {"synchronizationJobSettings": [{"name": "MemberThresholdEnabled", "value": "False"}]}
        await here.api.patch(here.job, held)
        seconds = await here.first_cycle()
        yield Figure(f"initial sync of {size:,} users and a group of all of them", f"{seconds:.1f} s")
        for revision, what in ((2, "one of them leaves"), (10, "all of them leave"), (20, "the group leaves scope")):
            (here.folder / "revision").write_text(str(revision))
            yield Figure(f"group of {size:,}: {what}", f"{await _cycle(here, exporting=True):.2f} s", "one cycle")
        for name, peak in here.memory().items():
            yield Figure(f"peak memory with it, {name}", f"{peak:.0f} MB")


async def samba(users: int) -> AsyncIterator[Figure]:
    """The initial sync of a real domain, beside the raw DirSync read of the same."""
    async with samba_domain(users) as (domain, password):
        raw = await _raw_dirsync(domain, password)
        yield Figure(f"raw DirSync read of {users:,} users from Samba", f"{raw:.2f} s", f"{users / raw:,.0f} entries/s")
        async with deployed(domain.realm, samba_settings(domain), {"password": password}) as here:
            seconds = await here.first_cycle()
            yield Figure(
                f"initial sync of {users:,} users from Samba",
                f"{seconds:.1f} s, {users / seconds:,.0f} objects/s",
                f"{seconds / raw:.1f} times the raw read",
                "4 times at most",
            )
            for name, peak in here.memory().items():
                yield Figure(f"peak memory, {name}, Samba", f"{peak:.0f} MB")
            async for figure in idle(here, f"{users:,} users of Samba"):
                yield figure


@asynccontextmanager
async def samba_domain(users: int) -> AsyncIterator[tuple[Domain, str]]:
    """Run a domain of `p000000`, `p000001` and so on; gives it with the password of the account that reads it."""
    async with Domain("bench.test", "BENCH") as domain:
        await domain.load("\n".join(_people(domain, users)))
        password = f"Aa1-{secrets.token_urlsafe(18)}"
        await domain.create_user("svc-bench", password)
        await domain.grant_deleted_objects("svc-bench")
        yield domain, password


def samba_settings(domain: Domain) -> str:
    """Give the agent's settings for such a domain; the password lies in the file `password`."""
    return (
        f'[[domain]]\nname = "{domain.realm}"\nservers = ["{domain.ldaps_url}"]\nca_file = "{domain.ca_file}"\n'
        f'user = "svc-bench@{domain.realm}"\npassword_file = "{{folder}}/password"\n'
    )


def _people(domain: Domain, users: int) -> list[str]:
    return [
        f"dn: CN=Person {i},CN=Users,{domain.base_dn}\nobjectClass: user\nsAMAccountName: p{i:06d}\n"
        f"userPrincipalName: p{i:06d}@{domain.realm}\ngivenName: Given {i % 700}\nsn: Family {i % 900}\n"
        f"displayName: Person {i}\nmail: p{i:06d}@{domain.realm}\ndepartment: Department {i % 40}\n"
        f"title: Title {i % 90}\ntelephoneNumber: +49 30 {i:07d}\nl: Berlin\nuserAccountControl: 514\n"
        for i in range(users)
    ]


async def _raw_dirsync(domain: Domain, password: str) -> float:
    """Read all pages of a first DirSync and throw them away, in this process, with the job's own attributes."""
    document = TEMPLATES[AD_PROVISIONING]("bench", datetime.now().astimezone())
    selection: Selection = plan.compile_schema(document, {"DomainFQDN": domain.realm, "DomainNetBios": "B"}).selection
    names = sorted({name for names in selection.attributes.values() for name in names})

    def read() -> float:
        connection = ldap.initialize(domain.ldaps_url)
        connection.set_option(ldap.OPT_X_TLS_CACERTFILE, str(domain.ca_file))
        connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
        connection.simple_bind_s(f"svc-bench@{domain.realm}", password)
        control = RequestControl(
            dirsync.DIRSYNC, True, dirsync.request(Flag.OBJECT_SECURITY | Flag.INCREMENTAL_VALUES, 10_000_000, b"")
        )
        began = time.monotonic()
        message = connection.search_ext(
            domain.base_dn, ldap.SCOPE_SUBTREE, "(objectClass=user)", names, serverctrls=[control]
        )
        while True:
            kind, _, _, _ = connection.result3(message, all=0)
            if kind == ldap.RES_SEARCH_RESULT:
                break
        seconds = time.monotonic() - began
        connection.unbind_s()
        return seconds

    await asyncio.to_thread(read)
    return await asyncio.to_thread(read)
