"""One cycle after the other: what an administrator's everyday changes become."""

from collections.abc import AsyncIterator

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.store import jobs
from dirbridge.store.database import Database
from dirbridge.store.identifiers import new_id
from tests.engine.world import World, key

ANN, BOB, CAT, DAN = (anchor_of(i) for i in range(4))
SALES, STAFF = anchor_of(100), anchor_of(101)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    """A tenant with a started job and an empty directory."""
    made = World(database)
    await made.found()
    return made


async def _settled(world: World) -> None:
    """The next cycle writes nothing."""
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


async def test_initial_cycle_creates_users_groups_and_references(world: World) -> None:
    """Everything in scope arrives, whole, once."""
    world.person(ANN, "Ann Lee", mail="ann@contoso.test", title=" Director ")
    world.person(BOB, "Bob Ray")
    world.directory.set_manager(BOB, ANN)
    world.team(SALES, "Sales")
    world.directory.add_member(SALES, ANN)
    world.directory.add_member(SALES, BOB)
    await world.cycle()
    users, groups = await world.users(), await world.groups()
    assert users[key(ANN)]["displayName"] == "Ann Lee"
    assert users[key(ANN)]["jobTitle"] == "Director"
    assert users[key(ANN)]["accountEnabled"] is True
    assert users[key(ANN)]["onPremisesDistinguishedName"] == "CN=Ann Lee,DC=contoso,DC=test"
    assert users[key(ANN)]["onPremisesDomainName"] == "contoso.test"
    assert groups[key(SALES)]["displayName"] == "Sales"
    assert groups[key(SALES)]["securityEnabled"] is True
    assert await world.references("members") == {(key(SALES), key(ANN)), (key(SALES), key(BOB))}
    assert await world.references("manager") == {(key(BOB), key(ANN))}
    created = [e for e in await world.events() if e["action"] == "create"]
    assert sorted(e["source"] for e in created) == sorted([ANN, BOB, SALES])
    job = await world.state()
    assert job.last_execution is not None
    assert job.last_execution["state"] == "Succeeded", job.last_execution
    await _settled(world)


async def test_update_and_clear(world: World) -> None:
    """A change is one update with old and new value; an absent value clears."""
    world.person(ANN, "Ann Lee", title="Director")
    await world.cycle()
    world.directory.set(ANN, "title")
    world.directory.set(ANN, "department", "Sales")
    await world.cycle()
    user = (await world.users())[key(ANN)]
    assert "jobTitle" not in user
    assert user["department"] == "Sales"
    event = (await world.events())[-1]
    assert (event["action"], event["status"]) == ("update", "success")
    assert [(p.name, p.old, p.new) for p in event["detail"].modified] == [
        ("Department", None, "Sales"),
        ("Title", "Director", None),
    ]
    await _settled(world)


async def test_delete_and_restore_keep_id_and_memberships(world: World) -> None:
    """A deleted user is soft-deleted; restored, it has its id and memberships back."""
    for anchor, name in ((ANN, "Ann Lee"), (BOB, "Bob Ray"), (CAT, "Cat Poe")):
        world.person(anchor, name)
    world.team(SALES, "Sales")
    world.directory.add_member(SALES, ANN)
    world.directory.set_manager(BOB, ANN)
    await world.cycle()
    before = (await world.users())[key(ANN)]["id"]
    world.directory.delete(ANN)
    await world.cycle()
    assert key(ANN) not in await world.users()
    assert await world.references("members") == set()
    await _settled(world)
    world.directory.restore(ANN, with_links=True)
    await world.cycle()
    assert (await world.users())[key(ANN)]["id"] == before
    assert await world.references("members") == {(key(SALES), key(ANN))}
    assert await world.references("manager") == {(key(BOB), key(ANN))}
    await _settled(world)


async def test_restore_without_links_invents_none(world: World) -> None:
    """A tombstone brought back without its references does not get them from our memory."""
    for anchor, name in ((ANN, "Ann Lee"), (BOB, "Bob Ray")):
        world.person(anchor, name)
    world.team(SALES, "Sales")
    world.directory.add_member(SALES, ANN)
    await world.cycle()
    world.directory.delete(ANN)
    await world.cycle()
    world.directory.restore(ANN, with_links=False)
    await world.cycle()
    assert key(ANN) in await world.users()
    assert await world.references("members") == set()


async def test_mail_swap_between_two_users(world: World) -> None:
    """Two users swap their addresses: both end right, in one cycle."""
    for number, name in enumerate(["Ann Lee", "Bob Ray", "Cat Poe", "Dan Orr", "Eve Fox", "Fay Gil"]):
        world.person(anchor_of(number), name, mail=f"{name.split()[0].lower()}@contoso.test")
    await world.cycle()
    one, other = min(anchor_of(i) for i in range(6)), max(anchor_of(i) for i in range(6))
    mails = {a: world.directory.nodes[a].attributes["mail"] for a in (one, other)}
    world.directory.set(one, "mail", *mails[other])
    world.directory.set(other, "mail", *mails[one])
    for anchor in (anchor_of(i) for i in range(6)):
        world.directory.set(anchor, "title", "Clerk")
    await world.cycle()
    users = await world.users()
    assert (users[key(one)]["mail"], users[key(other)]["mail"]) == (mails[other][0], mails[one][0])
    assert [e for e in await world.events() if e["status"] == "failure"] == []
    await _settled(world)


async def test_duplicate_value_fails_the_second_and_names_the_first(world: World) -> None:
    """The holder keeps its address; the other fails with the holder's name, and follows when it is freed."""
    world.person(ANN, "Ann Lee", mail="office@contoso.test")
    await world.cycle()
    world.person(BOB, "Bob Ray", mail="office@contoso.test")
    await world.cycle()
    assert key(BOB) not in await world.users()
    failure = (await world.events())[-1]
    assert failure["status"] == "failure"
    assert "ann.lee@contoso.test" in failure["detail"].fault.reason
    await _settled(world)
    world.directory.set(ANN, "mail", "ann@contoso.test")
    await world.cycle()
    assert (await world.users())[key(BOB)]["mail"] == "office@contoso.test"
    await _settled(world)


async def test_another_manager_is_one_change(world: World) -> None:
    """The log shows the old and the new manager as one change."""
    for anchor, name in ((ANN, "Ann Lee"), (BOB, "Bob Ray"), (CAT, "Cat Poe")):
        world.person(anchor, name)
    world.directory.set_manager(CAT, ANN)
    await world.cycle()
    world.directory.set_manager(CAT, BOB)
    await world.cycle()
    ((name, old, new),) = [(p.name, p.old, p.new) for p in (await world.events())[-1]["detail"].modified]
    assert name == "Manager"
    assert (old or "").startswith("Ann Lee")
    assert (new or "").startswith("Bob Ray")


async def test_late_manager(world: World) -> None:
    """A manager who arrives later is set within the cycle that brings it."""
    world.person(BOB, "Bob Ray")
    world.directory.nodes[BOB].manager = ANN
    await world.cycle()
    world.person(ANN, "Ann Lee")
    await world.cycle()
    assert await world.references("manager") == {(key(BOB), key(ANN))}
    await _settled(world)


async def test_account_expires_without_any_change(world: World) -> None:
    """An account is disabled when its expiry passes, although nothing changes at the source."""
    ticks = int((world.clock.now.timestamp() + 3600 + 11644473600) * 10_000_000)
    world.person(ANN, "Ann Lee", accountExpires=str(ticks))
    world.person(BOB, "Bob Ray")
    await world.cycle()
    assert (await world.users())[key(ANN)]["accountEnabled"] is True
    world.clock.forward(hours=2)
    await world.cycle()
    assert (await world.users())[key(ANN)]["accountEnabled"] is False
    assert [e["action"] for e in await world.events()][-1] == "disable"
    await _settled(world)


async def test_hidden_entry_is_held(world: World) -> None:
    """A full read that does not show an entry deletes nothing; it is held as not visible."""
    world.person(ANN, "Ann Lee")
    world.person(BOB, "Bob Ray")
    await world.cycle()
    world.directory.nodes[ANN].hidden = True
    await world.restart()
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(BOB)}
    assert [e["reason"] for e in await world.events()][-1] == "NotVisibleInSource"
    rows = await world.rows("select anchor, reason from due where tenant = %s")
    assert rows == [(ANN, "NotVisibleInSource")]


async def test_too_many_deletes_are_staged_until_allowed(world: World) -> None:
    """Over the threshold nothing is deleted, creates go on, and a person's word lets the deletes go."""
    people = [anchor_of(i) for i in range(30)]
    for number, anchor in enumerate(people):
        world.person(anchor, f"Person {number}")
    await world.cycle()
    for anchor in people[:12]:
        world.directory.delete(anchor)
    world.person(anchor_of(50), "New One")
    await world.cycle()
    assert len(await world.users()) == 31
    job = await world.state()
    assert job.quarantine is not None
    assert job.quarantine["reason"] == "TooManyDeletes"
    assert [e["action"] for e in await world.events()].count("stagedDelete") == 12
    await _settled(world)
    await world.restart("ForceDeletes")
    await world.cycle()
    assert len(await world.users()) == 19
    assert (await world.state()).quarantine is None
    await _settled(world)


async def test_one_bad_row_does_not_stop_the_others(world: World) -> None:
    """NUL in an attribute, and a name too long for its index, fail their entries alone."""
    world.person(ANN, "Ann Lee", title="bad\x00title")
    world.person(BOB, "Bob Ray", displayName="x" * 9000 + "".join(chr(0x4E00 + i * 7) for i in range(2900)))
    world.person(CAT, "Cat Poe")
    await world.cycle()
    assert set(await world.users()) == {key(CAT)}
    failures = {e["source"]: e["detail"].fault.reason for e in await world.events() if e["status"] == "failure"}
    assert "NUL" in failures[ANN]
    assert "index" in failures[BOB]


async def test_unforeseen_error_is_shown_and_does_not_last(world: World) -> None:
    """A fault of our own is raised for the log, told in the job's status without its text, and gone with its cause."""
    world.person(ANN, "Ann Able")
    working = world.source

    def broken() -> MemorySource:
        raise RuntimeError("secret")

    world.source = broken
    with pytest.raises(RuntimeError):
        await world.cycle()
    job = await world.state()
    assert job.last_execution is not None
    assert job.last_execution["error"]["code"] == "InternalError"
    assert "RuntimeError" in job.last_execution["error"]["message"]
    assert "secret" not in job.last_execution["error"]["message"]
    assert job.successive_failures == 1
    world.source = working
    await world.cycle()
    assert len(await world.users()) == 1
    assert (await world.state()).successive_failures == 0


async def test_a_paused_job_shows_no_cycle_under_way(world: World) -> None:
    """What a cycle had reached when it was stopped is not shown as if it went on."""
    async with world.database.transaction() as conn:
        job = await jobs.begin(conn, world.tenant, world.job, new_id())
        assert job is not None
        await jobs.keep_progress(conn, world.tenant, world.job, {"completedUnits": 1, "totalUnits": 2})
        assert await jobs.pause(conn, world.tenant, world.job)
    paused = await world.state()
    assert (paused.cycle, paused.progress, paused.state) == (None, None, "Paused")
