"""Entries that fail, over weeks of cycles: when they are tried again, and what they do to their job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from dirbridge.connectors.memory.cloud import Cloud, Operation, Trouble
from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.entry import ChangePage, Selection, Watermark
from dirbridge.contract.errors import CredentialError, DirbridgeError
from dirbridge.engine import quarantine
from dirbridge.store import audits, jobs
from dirbridge.store.database import Database
from tests.engine.world import World, key

ANN, BOB, CAT = (anchor_of(n) for n in range(3))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
INSTANT = timedelta(seconds=1)
FOR_EVER = 10**6


@pytest.fixture
async def cloudy(database: Database) -> World:
    """A started job that writes an application in memory, and two people."""
    made = World(database, "cloud")
    await made.found()
    made.person(ANN, "Ann")
    made.person(BOB, "Bob")
    return made


def cloud_of(world: World) -> Cloud:
    assert world.cloud is not None
    return world.cloud


def refuse(world: World, anchor: str, status: int = 403) -> None:
    """Let the target refuse one object, whatever is asked for it."""
    writes = frozenset({Operation.CREATE, Operation.UPDATE})
    cloud_of(world).troubles.append(Trouble(status, about=key(anchor), operations=writes, times=FOR_EVER))


async def failures(world: World, anchor: str) -> int:
    """How often the log has the entry failing."""
    return len([e for e in await world.events() if e["source"] == anchor and e["status"] == "failure"])


async def escrow(world: World, anchor: str) -> tuple[datetime, int, datetime] | None:
    """When it is tried again, how often it failed, since when."""
    rows = await world.rows("select at, attempt, since from due where tenant = %s and anchor = %s", anchor)
    assert len(rows) <= 1
    return (rows[0][0], rows[0][1], rows[0][2]) if rows else None


async def at(world: World, moment: datetime) -> None:
    """Run a cycle at a time."""
    world.clock.now = moment
    await world.cycle()


async def reason(world: World) -> str | None:
    record = (await world.state()).quarantine
    return None if record is None else str(record["reason"])


# The clock ------------------------------------------------------------------------------------------------------------


async def test_tried_at_6_12_and_24_hours_then_daily_to_day_28(cloudy: World) -> None:
    """Not a second earlier, once each; then it is given up, and the log and the status say so."""
    refuse(cloudy, BOB)
    await cloudy.cycle()
    first = await escrow(cloudy, BOB)
    assert first is not None
    since = first[2]
    attempts = 1
    for hours in (6, 12, *range(24, 28 * 24 + 1, 24)):
        step = since + timedelta(hours=hours)
        await at(cloudy, step - INSTANT)
        assert await failures(cloudy, BOB) == attempts, hours
        assert await escrow(cloudy, BOB) == (step, attempts, since)
        await at(cloudy, step + INSTANT)
        attempts += 1
        assert await failures(cloudy, BOB) == attempts, hours
    assert attempts == 31
    assert await escrow(cloudy, BOB) is None
    last = (await cloudy.events())[-1]["detail"].steps[-1]
    assert (last.code, last.details["attempts"]) == ("EntryEscrowRemoved", "31")
    assert last.details["since"] == f"{since:%Y-%m-%d %H:%M} UTC"
    assert (await cloudy.state()).escrows_pruned
    await at(cloudy, since + 400 * DAY)
    assert await failures(cloudy, BOB) == attempts
    assert (await cloudy.state()).escrows_pruned


async def test_given_up_it_is_tried_when_it_changes(cloudy: World) -> None:
    """With a clock of its own again."""
    refuse(cloudy, BOB)
    await cloudy.cycle()
    cloudy.clock.forward(days=28, seconds=1)
    await cloudy.cycle()
    assert await escrow(cloudy, BOB) is None
    cloudy.clock.forward(days=50)
    cloudy.directory.set(BOB, "title", "Clerk")
    await cloudy.cycle()
    again = await escrow(cloudy, BOB)
    assert again is not None
    assert (again[0] - again[2], again[1]) == (6 * HOUR, 1)


async def test_given_up_it_is_tried_when_everything_is_read(cloudy: World) -> None:
    """And what is healed by then arrives; nothing is left to tell of."""
    refuse(cloudy, BOB)
    await cloudy.cycle()
    cloudy.clock.forward(days=28, seconds=1)
    await cloudy.cycle()
    assert (await cloudy.state()).escrows_pruned
    cloud_of(cloudy).troubles.clear()
    await cloudy.restart("Watermark")
    await cloudy.cycle()
    assert set(await cloudy.users()) == {key(ANN), key(BOB)}
    assert not (await cloudy.state()).escrows_pruned


async def test_a_change_is_tried_at_once_and_the_clock_goes_on(cloudy: World) -> None:
    """The next attempt by the clock stays where it was; a change that heals ends it."""
    refuse(cloudy, BOB)
    await cloudy.cycle()
    before = await escrow(cloudy, BOB)
    assert before is not None
    cloudy.clock.forward(hours=7)
    cloudy.directory.set(BOB, "title", "Clerk")
    await cloudy.cycle()
    assert await failures(cloudy, BOB) == 2
    assert await escrow(cloudy, BOB) == (before[2] + 12 * HOUR, 2, before[2])
    cloud_of(cloudy).troubles.clear()
    cloudy.directory.set(BOB, "title", "Chief")
    await cloudy.cycle()
    assert await escrow(cloudy, BOB) is None
    assert (await cloudy.users())[key(BOB)]["jobTitle"] == "Chief"


async def test_a_fault_that_passes_is_tried_soon(cloudy: World) -> None:
    """After a minute, two, four …, up to six hours; done, nothing is left."""
    refuse(cloudy, BOB, 500)
    await cloudy.cycle()
    for attempt, minutes in enumerate((1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360), 1):
        found = await escrow(cloudy, BOB)
        assert found is not None
        assert found[1] == attempt
        # The page began a few looks at the clock before now.
        assert abs(found[0] - cloudy.clock.now - timedelta(minutes=minutes)) < INSTANT
        await at(cloudy, found[0] - INSTANT)
        assert await failures(cloudy, BOB) == attempt
        await at(cloudy, found[0])
    cloud_of(cloudy).troubles.clear()
    cloudy.clock.forward(hours=6)
    await cloudy.cycle()
    assert set(await cloudy.users()) == {key(ANN), key(BOB)}
    assert await escrow(cloudy, BOB) is None


async def test_a_freed_value_wakes_who_waits_for_it(world: World) -> None:
    """Two accounts with one name: the second fails, waits six hours by its clock, and follows at once when it may."""
    world.person(ANN, "Ann")
    world.person(BOB, "Bob", userPrincipalName="ann@contoso.test")
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    waits = await escrow(world, BOB)
    assert waits is not None
    assert (waits[0] - waits[2], waits[1]) == (6 * HOUR, 1)
    world.clock.forward(minutes=2)
    await world.cycle()
    assert await failures(world, BOB) == 1
    world.directory.set(ANN, "userPrincipalName", "lee@contoso.test")
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(BOB)}
    assert await escrow(world, BOB) is None


async def test_what_waits_costs_nothing(cloudy: World) -> None:
    """A cycle between two attempts writes nothing and asks the target nothing but whether the credential is good."""
    refuse(cloudy, BOB)
    await cloudy.cycle()
    cloudy.clock.forward(hours=1)
    await cloudy.cycle()
    before, asked = await cloudy.fingerprint(), dict(cloud_of(cloudy).requests)
    cloudy.clock.forward(hours=1)
    await cloudy.cycle()
    asked[Operation.READ] += 1
    assert (await cloudy.fingerprint(), cloud_of(cloudy).requests) == (before, asked)


async def test_execution_tells_of_failed_entries(cloudy: World) -> None:
    """One failed of two: entry level errors, which is no success without errors; then a clean one is."""
    refuse(cloudy, BOB)
    await cloudy.cycle()
    job = await cloudy.state()
    assert job.last_execution is not None
    counted = {name: job.last_execution[name] for name in job.last_execution if name.startswith(("count", "state"))}
    assert counted == {
        "state": "EntryLevelErrors", "countImported": 2, "countImportedDeltas": 0, "countImportedReferenceDeltas": 0,
        "countEntitled": 2, "countEntitledForProvisioning": 2, "countExports": 2, "countExported": 1,
        "countEscrowed": 1, "countEscrowedRaw": 1,
    }  # fmt: skip
    assert (job.last_success, job.successive_failures) == (None, 0)
    assert job.last_success_with_exports == job.last_execution
    assert job.steady_first is not None
    await cloudy.cycle()
    job = await cloudy.state()
    assert (job.last_success == job.last_execution, job.last_success is not None) == (True, True)


# Quarantine -----------------------------------------------------------------------------------------------------------


async def staff(world: World, number: int) -> list[str]:
    """Add people."""
    anchors = [anchor_of(100 + n) for n in range(number)]
    for n, anchor in enumerate(anchors):
        world.person(anchor, f"P{n}")
    return anchors


async def acts(world: World) -> list[tuple[str, str | None]]:
    async with world.database.connection() as conn:
        return [
            (each.activity, each.detail.get("reason")) for each in reversed(await audits.latest(conn, world.tenant))
        ]


async def test_one_bad_object_stopped_everybody(cloudy: World) -> None:
    """Nine that fail are set aside, all else arrives, and the job goes on at its interval."""
    anchors = await staff(cloudy, 9)
    for anchor in anchors:
        refuse(cloudy, anchor)
    await cloudy.cycle()
    assert set(await cloudy.users()) == {key(ANN), key(BOB)}
    assert (await reason(cloudy), await acts(cloudy)) == (None, [])


async def test_most_failed_and_then_it_was_mended(cloudy: World) -> None:
    """Ten of twelve fail: quarantine with the numbers; it stays while nothing is tried, and goes when they succeed."""
    anchors = await staff(cloudy, 10)
    for anchor in anchors:
        refuse(cloudy, anchor)
    await cloudy.cycle()
    record = (await cloudy.state()).quarantine
    assert record is not None
    assert (record["reason"], record["seriesCount"]) == ("EncounteredEscrowProportionThreshold", 1)
    assert record["counts"] == {
        "firstExports": 12, "firstFailures": 10, "exports": 12, "failures": 10, "escrowed": 10,
        "waitingReferences": 0, "staged": 0, "failedCycles": 0,
    }  # fmt: skip
    assert set(await cloudy.users()) == {key(ANN), key(BOB)}
    cloud_of(cloudy).troubles.clear()
    for count in (2, 3):
        cloudy.clock.forward(minutes=10)
        await cloudy.cycle()
        kept = (await cloudy.state()).quarantine
        assert kept is not None
        assert (kept["seriesCount"], kept["seriesBegan"]) == (count, record["seriesBegan"])
    cloudy.clock.forward(hours=6)
    await cloudy.cycle()
    assert await reason(cloudy) is None
    assert len(await cloudy.users()) == 12
    assert await acts(cloudy) == [
        ("Quarantine", "EncounteredEscrowProportionThreshold"),
        ("Quarantine lifted", "EncounteredEscrowProportionThreshold"),
    ]


async def test_entries_that_cannot_be_mapped_do_not_stop_the_job(world: World) -> None:
    """Twenty with a value that nothing can carry fail alone, however many of them there are."""
    for n in range(20):
        world.person(anchor_of(n), f"P{n}", title="Clerk\0")
    await world.cycle()
    job = await world.state()
    assert job.last_execution is not None
    assert (job.last_execution["countEscrowed"], job.quarantine) == (20, None)


async def settings(world: World, **values: str) -> None:
    async with world.database.transaction() as conn:
        await jobs.set_settings(conn, world.tenant, world.job, values)


async def test_references_that_wait_for_failed_entries_count_with_them(cloudy: World) -> None:
    """Three people whose manager failed: with her four, more than three; without references just one."""
    await settings(cloudy, QuarantineFailuresWithReferences="3", QuarantineFailures="1")
    anchors = await staff(cloudy, 3)
    for anchor in anchors[:2]:
        cloudy.directory.set_manager(anchor, BOB)
    refuse(cloudy, BOB)
    await cloudy.cycle()
    assert await reason(cloudy) is None
    cloudy.directory.set_manager(anchors[2], BOB)
    await cloudy.cycle()
    record = (await cloudy.state()).quarantine
    assert record is not None
    assert (record["reason"], record["counts"]["waitingReferences"], record["counts"]["escrowed"]) == (
        "EncounteredTotalEscrowThreshold", 3, 1
    )  # fmt: skip
    # It stays while it is so, also when nothing happens.
    await cloudy.cycle()
    assert await reason(cloudy) == "EncounteredTotalEscrowThreshold"
    cloudy.directory.set_manager(anchors[2], None)
    await cloudy.cycle()
    assert await reason(cloudy) is None


async def test_a_wrong_setting_stops_the_job_with_its_name(cloudy: World) -> None:
    """Stored by whatever means, a value that cannot be is told, not guessed."""
    await settings(cloudy, QuarantineFailureShare="lots")
    await cloudy.cycle()
    record = (await cloudy.state()).quarantine
    assert record is not None
    assert (record["reason"], record["error"]["code"]) == ("EncounteredQuarantineException", "InvalidJobSettings")
    await settings(cloudy, QuarantineFailureShare="0.5")
    await cloudy.cycle()
    assert await reason(cloudy) is None


async def test_wrong_credential_of_the_target(cloudy: World) -> None:
    """Plain reason within one cycle; repaired and cleared, the next delta catches up, and nothing happens twice."""
    await cloudy.cycle()
    cloudy.person(CAT, "Cat")
    cloudy.directory.set(ANN, "title", "Clerk")
    cloud_of(cloudy).troubles.append(Trouble(401, times=FOR_EVER))
    await cloudy.cycle()
    job = await cloudy.state()
    assert job.quarantine is not None
    assert (job.quarantine["reason"], job.quarantine["error"]["code"]) == (
        "EncounteredQuarantineException", "InvalidCredentials"
    )  # fmt: skip
    assert "401" in job.quarantine["error"]["message"]
    assert job.quarantine["recommendedAction"] == "Give the job a credential that is valid at the target."
    cloud_of(cloudy).troubles.clear()
    async with cloudy.database.transaction() as conn:
        assert await jobs.clear_quarantine(conn, cloudy.tenant, cloudy.job, cloudy.clock())
    asked = dict(cloud_of(cloudy).requests)
    await cloudy.cycle()
    job = await cloudy.state()
    assert job.last_execution is not None
    assert (job.quarantine, job.last_execution["state"], job.last_execution["countImported"]) == (None, "Succeeded", 0)
    assert job.last_execution["countImportedDeltas"] == 2
    done = {op: n - asked.get(op, 0) for op, n in cloud_of(cloudy).requests.items() if n > asked.get(op, 0)}
    assert {op: n for op, n in done.items() if op in (Operation.CREATE, Operation.UPDATE)} == {
        Operation.CREATE: 1,
        Operation.UPDATE: 1,
    }
    assert set(await cloudy.users()) == {key(ANN), key(BOB), key(CAT)}
    before = await cloudy.fingerprint()
    await cloudy.cycle()
    assert await cloudy.fingerprint() == before


async def test_cleared_all_that_failed_is_tried_at_once(cloudy: World) -> None:
    """In a delta, hours before its clock; what failed again keeps its clock."""
    anchors = await staff(cloudy, 10)
    for anchor in anchors:
        refuse(cloudy, anchor)
    await cloudy.cycle()
    first = await escrow(cloudy, anchors[0])
    cloud_of(cloudy).troubles.clear()
    refuse(cloudy, anchors[0])
    cloudy.clock.forward(minutes=1)
    async with cloudy.database.transaction() as conn:
        await jobs.clear_quarantine(conn, cloudy.tenant, cloudy.job, cloudy.clock())
    await cloudy.cycle()
    job = await cloudy.state()
    assert job.last_execution is not None
    assert (job.quarantine, job.last_execution["countImported"], job.full_read_wanted) == (None, 0, False)
    assert len(await cloudy.users()) == 11
    again = await escrow(cloudy, anchors[0])
    assert first is not None
    assert again == (first[0], 2, first[2])


class Troubled(MemorySource):
    """A source that does something, then fails as it is told."""

    def __init__(self, world: World, error: DirbridgeError | None, act: Any = None) -> None:
        super().__init__(world.directory)
        self._error, self._act = error, act

    async def changes(self, selection: Selection, since: Watermark | None) -> AsyncIterator[ChangePage]:
        if self._act is not None:
            await self._act()
        if self._error is not None:
            raise self._error
        async for page in super().changes(selection, since):
            yield page


async def test_four_weeks_of_a_refused_bind_disable_the_job(world: World) -> None:
    """Longer and longer between the attempts; then none, with a trace, until a person starts it."""
    world.person(ANN, "Ann")
    world.source = lambda: Troubled(world, CredentialError("The bind was refused."))
    began = world.clock.now
    attempts = 0
    while (job := await world.state()).state == "Active":
        await world.cycle()
        attempts += 1
        record = quarantine.read((await world.state()).quarantine)
        assert record is not None
        assert record.series_count == attempts
        if record.next_attempt is not None:
            world.clock.now = record.next_attempt
    assert (job.state, job.next_run) == ("Disabled", None)
    assert timedelta(days=28) <= world.clock.now - began < timedelta(days=29)
    assert 28 < attempts < 45
    assert await acts(world) == [
        ("Quarantine", "EncounteredQuarantineException"),
        ("Disable provisioning configuration", "28 days in quarantine"),
    ]
    world.source = lambda: MemorySource(world.directory)
    await world.cycle()
    assert await world.users() == {}
    async with world.database.transaction() as conn:
        await jobs.start(conn, world.tenant, world.job)
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    assert await reason(world) is None


async def test_a_quarantine_lifted_while_a_cycle_runs_stays_lifted(world: World) -> None:
    """What the cycle then finds begins a series of its own."""
    world.source = lambda: Troubled(world, CredentialError("The bind was refused."))
    for _ in range(3):
        await world.cycle()

    async def start() -> None:
        async with world.database.transaction() as conn:
            await jobs.start(conn, world.tenant, world.job)

    world.source = lambda: Troubled(world, CredentialError("The bind was refused."), start)
    await world.cycle()
    record = (await world.state()).quarantine
    assert record is not None
    assert record["seriesCount"] == 1


async def test_a_quarantine_imposed_while_a_cycle_runs_stays(world: World) -> None:
    """A clean end does not lift it, nor do clean cycles after it."""

    async def impose() -> None:
        record = quarantine.on_demand(None, "", timedelta(minutes=2), world.clock())
        stored = msgspec.to_builtins(record)
        async with world.database.transaction() as conn:
            await jobs.put_quarantine(conn, world.tenant, world.job, stored, timedelta(minutes=4))

    world.person(ANN, "Ann")
    world.source = lambda: Troubled(world, None, impose)
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    world.source = lambda: MemorySource(world.directory)
    await world.cycle()
    assert await reason(world) == "QuarantinedOnDemand"


async def test_a_clear_fences_the_cycle_that_runs(world: World) -> None:
    """It stops where it is and writes no quarantine over the cleared one."""

    async def clear() -> None:
        async with world.database.transaction() as conn:
            await jobs.clear_quarantine(conn, world.tenant, world.job, world.clock())

    world.source = lambda: Troubled(world, CredentialError("The bind was refused."), clear)
    await world.cycle()
    job = await world.state()
    assert (job.quarantine, job.successive_failures, job.last_execution) == (None, 0, None)
