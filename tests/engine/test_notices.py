"""Cycles put into the outbox what is news, in the transaction that ends them, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.errors import CredentialError, DirbridgeError, TransientError
from dirbridge.engine import preview
from dirbridge.store import jobs, previews
from tests.engine.test_preview import ask, carry_out
from tests.engine.world import World

PEOPLE = [anchor_of(number) for number in range(40)]
REFUSED = CredentialError("dc1 refused it.", code="InvalidCredentials", recommended_action="Correct the password.")
AWAY = TransientError("No agent answers.", code="HybridIdentityServiceNoActiveAgents")


def broken(world: World, error: DirbridgeError) -> None:
    """From now on reading fails."""

    def source() -> MemorySource:
        raise error

    world.source = source


def repaired(world: World) -> None:
    world.source = lambda: MemorySource(world.directory)


async def told(world: World) -> list[tuple[str, str, str]]:
    rows = await world.rows("select kind, reason, code from notices where tenant = %s order by at, id")
    return [(row[0], row[1], row[2]) for row in rows]


async def test_a_wrong_credential_is_told_within_one_cycle_and_so_is_its_repair(world: World) -> None:
    """With the plain reason and what to do; staying in quarantine is not told again."""
    world.person(PEOPLE[0], "Ann Able")
    await world.cycle()
    assert await told(world) == []
    broken(world, REFUSED)
    for _ in range(3):
        await world.cycle()
    rows = await world.rows("select message, recommended_action from notices where tenant = %s")
    assert (await told(world), rows) == (
        [("quarantined", "EncounteredQuarantineException", "InvalidCredentials")],
        [("dc1 refused it.", "Correct the password.")],
    )
    repaired(world)
    for _ in range(2):
        await world.cycle()
    assert [kind for kind, *_ in await told(world)] == ["quarantined", "recovered"]


async def test_a_fault_that_passes_by_itself_is_not_told(world: World) -> None:
    """Two failed cycles are none; the third is a quarantine."""
    broken(world, AWAY)
    await world.cycle()
    await world.cycle()
    repaired(world)
    await world.cycle()
    assert await told(world) == []
    broken(world, AWAY)
    for _ in range(3):
        await world.cycle()
    assert [code for _, _, code in await told(world)] == ["HybridIdentityServiceNoActiveAgents"]


async def test_a_threshold_is_told_once_and_the_end_of_it(world: World) -> None:
    """Deletes that wait for a person, whatever happens beside; the person's word ends it."""
    for number, anchor in enumerate(PEOPLE):
        world.person(anchor, f"Person {number}")
    await world.cycle()
    for anchor in PEOPLE[:20]:
        world.directory.delete(anchor)
    await world.cycle()
    world.person(anchor_of(99), "New Comer")
    await world.cycle()
    assert await told(world) == [("deletesHeld", "TooManyDeletes", "TooManyDeletes")]
    await world.restart("ForceDeletes")
    await world.cycle()
    assert [kind for kind, *_ in await told(world)] == ["deletesHeld", "recovered"]


async def test_lifting_by_hand_is_no_recovery_until_a_cycle_succeeds(world: World) -> None:
    """And the same fault after it is not told a second time."""
    broken(world, REFUSED)
    await world.cycle()
    async with world.database.transaction() as conn:
        await jobs.start(conn, world.tenant, world.job)
    await world.cycle()
    assert [kind for kind, *_ in await told(world)] == ["quarantined"]


async def test_four_weeks_of_quarantine_tell_that_the_job_is_switched_off(world: World) -> None:
    """Once, with the reason that kept it there."""
    broken(world, REFUSED)
    await world.cycle()
    world.clock.forward(days=29)
    await world.cycle()
    assert [kind for kind, *_ in await told(world)] == ["quarantined", "disabled"]
    assert (await world.state()).state == "Disabled"


async def test_an_idle_cycle_writes_nothing(world: World) -> None:
    """Not even where something was told before."""
    tables = ("notices", "notification_states", "messages", "message_notices")

    async def rows() -> list[list[tuple[object, ...]]]:
        return [await world.rows(f"select ctid::text, xmin::text from {table} where tenant = %s") for table in tables]

    broken(world, REFUSED)
    await world.cycle()
    repaired(world)
    await world.cycle()
    before = await rows()
    assert [len(each) for each in before] == [2, 1, 0, 0]
    await world.cycle()
    assert await rows() == before


async def test_a_cycle_that_was_fenced_tells_nothing(world: World) -> None:
    """Another one has the job; it will tell."""
    world.person(PEOPLE[0], "Ann Able")

    class Fenced(MemorySource):
        async def changes(self, selection, since):  # type: ignore[no-untyped-def]
            await world.restart("Watermark")
            raise REFUSED
            yield

    world.source = lambda: Fenced(world.directory)
    await world.cycle()
    assert await told(world) == []


async def test_a_preview_tells_nobody(world: World) -> None:
    """Neither that it failed nor that deletes would wait."""
    broken(world, REFUSED)
    await ask(world.database, world)
    ended = await carry_out(world.database, world)
    assert ended.state == "Failed"
    async with world.database.connection() as conn:
        cursor = await conn.execute("select count(*) from notices")
        assert await cursor.fetchone() == (0,)


@pytest.mark.parametrize("state", ["Succeeded", "Failed"])
async def test_a_preview_under_way_tells_nobody(world: World, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor while its copy lies in the tables, where a courier could see it."""
    seen: list[int] = []
    drop = previews.drop

    async def look(conn, id):  # type: ignore[no-untyped-def]
        cursor = await conn.execute("select count(*) from notices")
        seen.append((await cursor.fetchone())[0])
        await drop(conn, id)

    monkeypatch.setattr(previews, "drop", look)
    if state == "Failed":
        broken(world, REFUSED)
    await ask(world.database, world)
    async with world.database.transaction() as conn:
        taken = await previews.take(conn)
    assert taken is not None
    await asyncio.wait_for(preview.run(world.context(), taken), 60)
    assert (len(seen) >= 1, set(seen)) == (True, {0})
