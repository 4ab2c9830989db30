"""Several domains, a job each, into one tenant: members and managers across them, and values that only one may have."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from dirbridge.connectors.memory.directory import Directory, anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.engine import cycle
from dirbridge.engine.run import Context
from dirbridge.store import jobs
from dirbridge.store.database import Database
from dirbridge.store.identifiers import new_id
from dirbridge.tenant import account
from tests.engine.world import SEALING, World, default_schema, key

ANN, BOB, TEAM = (anchor_of(number) for number in range(3))
OTHERS = [anchor_of(number) for number in range(100, 120)]
EVE = OTHERS[0]


class Two(World):
    """The first domain's world, and a second domain with a job of its own."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.other_job = f"AD2AADProvisioning.{uuid4().hex}"
        self.other = Directory("fabrikam.test")

    async def found(self) -> None:
        await super().found()
        async with self.database.transaction() as conn:
            principal = uuid4()
            await conn.execute(
                "insert into service_principals (tenant, id, app_id, display_name) values (%s, %s, %s, %s)",
                (self.tenant, principal, uuid4(), "fabrikam.test"),
            )
            await jobs.create(
                conn,
                self.tenant,
                self.other_job,
                service_principal=principal,
                template_id="AD2AADProvisioning",
                domain="fabrikam.test",
                schema=default_schema(self.other_job),
                settings={},
            )
            await jobs.start(conn, self.tenant, self.other_job)
            await account.ensure(conn, self.tenant, SEALING, new_id, self.clock())

    def context(self, database: Database | None = None) -> Context:
        first = super().context(database)
        return Context(
            database=first.database,
            source=lambda job: MemorySource(self.directory if job.id == self.job else self.other),
            target=first.target,
            clock=self.clock,
            new_id=new_id,
            sleep=self.clock.sleep,
        )

    async def other_cycle(self) -> None:
        """One cycle of the second job."""
        await cycle.run(self.context(), self.tenant, self.other_job)

    def stranger(self, anchor: str, name: str, **more: str) -> None:
        """Add a user to the second domain."""
        account_name = name.lower().replace(" ", ".")
        attributes = {
            "sAMAccountName": account_name,
            "userPrincipalName": f"{account_name}@fabrikam.test",
            "displayName": name,
            "userAccountControl": "512",
            **more,
        }
        self.other.create(anchor, "user", name, **attributes)

    def crowd(self) -> None:
        """Add people to the second domain, so that one who goes needs nobody's word."""
        for number, anchor in enumerate(OTHERS):
            self.stranger(anchor, f"Other {number}")

    async def is_due(self, job: str) -> bool:
        """Whether a job runs at the next tick."""
        rows = await self.rows("select next_run <= now() from jobs where tenant = %s and id = %s", job)
        return bool(rows[0][0])


@pytest.fixture
async def world(database: Database) -> Two:
    """Two domains, two jobs, one tenant."""
    made = Two(database)
    await made.found()
    return made


async def referring(world: Two) -> None:
    """A group and a user of the first domain that point into the second."""
    world.person(ANN, "Ann Lee")
    world.team(TEAM, "Team")
    world.directory.set_manager(ANN, EVE)
    world.directory.add_member(TEAM, ANN)
    world.directory.add_member(TEAM, EVE)


MEMBERS = {(key(TEAM), key(ANN)), (key(TEAM), key(EVE))}
MANAGERS = {(key(ANN), key(EVE))}


async def test_the_other_end_is_there_already(world: Two) -> None:
    """References to entries that another job brought are written at once."""
    world.crowd()
    await world.other_cycle()
    await referring(world)
    await world.cycle()
    assert await world.references("members") == MEMBERS
    assert await world.references("manager") == MANAGERS


async def test_the_other_end_comes_later_by_another_job(world: Two) -> None:
    """The job that waits is due as soon as the other end is there, and its next cycle writes and logs it."""
    await referring(world)
    await world.cycle()
    assert await world.references("manager") == set()
    assert not await world.is_due(world.job)
    world.crowd()
    await world.other_cycle()
    assert await world.is_due(world.job)
    assert await world.references("manager") == set(), "a job writes its own references only"
    await world.cycle()
    assert await world.references("members") == MEMBERS
    assert await world.references("manager") == MANAGERS
    told = [event["source"] for event in await world.events() if event["action"] == "update"]
    assert sorted(told) == sorted([ANN, TEAM])
    before = await world.fingerprint()
    await world.cycle()
    await world.other_cycle()
    assert await world.fingerprint() == before


async def test_the_other_end_goes_and_comes_back(world: Two) -> None:
    """Deleted in its domain it is nobody's member or manager; restored it is both again, within a cycle of each job."""
    world.crowd()
    await world.other_cycle()
    await referring(world)
    await world.cycle()
    world.other.delete(EVE)
    await world.other_cycle()
    assert await world.references("manager") == set()
    assert await world.references("members") == MEMBERS - {(key(TEAM), key(EVE))}
    world.other.restore(EVE, with_links=True)
    await world.other_cycle()
    assert await world.is_due(world.job)
    await world.cycle()
    assert await world.references("members") == MEMBERS
    assert await world.references("manager") == MANAGERS


async def test_a_reference_to_the_other_domain_ends(world: Two) -> None:
    """What the source no longer says goes, whichever job the other end is of."""
    world.crowd()
    await world.other_cycle()
    await referring(world)
    await world.cycle()
    world.directory.set_manager(ANN, None)
    world.directory.remove_member(TEAM, EVE)
    await world.cycle()
    assert await world.references("manager") == set()
    assert await world.references("members") == MEMBERS - {(key(TEAM), key(EVE))}


async def test_the_other_job_is_deleted(world: Two) -> None:
    """Its objects stay, and so do references to them; the job that is left goes on."""
    world.crowd()
    await world.other_cycle()
    await referring(world)
    await world.cycle()
    async with world.database.transaction() as conn:
        await jobs.delete(conn, world.tenant, world.other_job)
    world.person(BOB, "Bob Ray")
    await world.cycle()
    assert key(BOB) in await world.users()
    assert await world.references("manager") == MANAGERS


async def test_two_jobs_at_once_miss_nothing(world: Two) -> None:
    """Whichever page of either is first: after a cycle more of each, everything is written."""
    world.crowd()
    await referring(world)
    await asyncio.gather(world.cycle(), world.other_cycle())
    await world.cycle()
    await world.other_cycle()
    assert await world.references("members") == MEMBERS
    assert await world.references("manager") == MANAGERS


async def test_a_value_that_another_domain_gives_up(world: Two) -> None:
    """The second who wants an address fails and names the first; freed over there, the job here is due and gets it."""
    world.crowd()
    world.other.set(EVE, "mail", "desk@contoso.test")
    await world.other_cycle()
    world.person(ANN, "Ann Lee", mail="desk@contoso.test")
    await world.cycle()
    failed = (await world.events())[-1]
    assert failed["reason"] == "AttributeValueMustBeUnique"
    assert "belongs to 'desk@contoso.dirbridge.local'" in failed["detail"].fault.reason
    world.other.set(EVE, "mail")
    await world.other_cycle()
    assert await world.is_due(world.job)
    await world.cycle()
    assert (await world.users())[key(ANN)]["mail"] == "desk@contoso.test"
