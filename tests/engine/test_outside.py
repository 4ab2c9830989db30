"""A target outside the transaction: its faults, and that nothing is lost or made twice."""

from __future__ import annotations

import pytest

from dirbridge.connectors.memory.cloud import Cloud, Operation, Trouble
from dirbridge.connectors.memory.target import MemoryTarget
from dirbridge.store import jobs
from dirbridge.store.database import Database
from tests.engine.world import DOMAIN, World, key

ANN, BOB, EVE = (f"00000000-0000-4000-8000-00000000000{n}" for n in "123")


@pytest.fixture
async def world(database: Database) -> World:
    """A started job that writes an application in memory, and three people."""
    made = World(database, "cloud")
    await made.found()
    for anchor, name in ((ANN, "Ann"), (BOB, "Bob"), (EVE, "Eve")):
        made.person(anchor, name)
    return made


def cloud_of(world: World) -> Cloud:
    assert world.cloud is not None
    return world.cloud


async def result(world: World) -> tuple[str, int]:
    last = (await world.state()).last_execution
    assert last is not None
    return last["state"], last["countExported"]


async def happened(world: World) -> list[tuple[str, str, str, str]]:
    return [(e["source"], e["action"], e["status"], e["reason"]) for e in await world.events()]


async def test_second_run_writes_nothing(world: World) -> None:
    """A first cycle makes everybody; the second asks only whether it is still known, and writes nothing."""
    await world.cycle()
    assert set(await world.users()) == {key(a) for a in (ANN, BOB, EVE)}
    asked, before = dict(cloud_of(world).requests), await world.fingerprint()
    await world.cycle()
    assert cloud_of(world).requests == {**asked, Operation.READ: asked[Operation.READ] + 1}
    assert await world.fingerprint() == before


async def test_delta_compares_with_what_was_written(world: World) -> None:
    """A change is one request: what was last written is known, so the target is not read."""
    await world.cycle()
    world.directory.set(ANN, "department", "Sales")
    asked = dict(cloud_of(world).requests)
    await world.cycle()
    assert cloud_of(world).requests == {**asked, Operation.READ: asked[Operation.READ] + 1, Operation.UPDATE: 1}
    assert (await world.users())[key(ANN)]["department"] == "Sales"
    changed = (await world.events())[-1]["detail"].modified
    assert [(c.name, c.old, c.new) for c in changed] == [("Department", None, "Sales")]


async def test_timeout_after_the_write(world: World) -> None:
    """Created, but the answer was lost: the object is found and linked, never created twice."""
    cloud_of(world).troubles = [Trouble(0, done=1, about=key(BOB), operations=frozenset({Operation.CREATE}))]
    await world.cycle()
    assert await result(world) == ("EntryLevelErrors", 2)
    world.clock.forward(minutes=2)
    await world.cycle()
    assert await result(world) == ("Succeeded", 1)
    assert set(await world.users()) == {key(a) for a in (ANN, BOB, EVE)}
    assert len(cloud_of(world).records) == 3
    assert [e for e in await happened(world) if e[0] == BOB] == [
        (BOB, "create", "failure", "Timeout"),
        (BOB, "update", "success", ""),
    ]


async def test_lost_answer_of_an_update_does_not_hide_it(world: World) -> None:
    """An update that was carried out unknown to us is seen when the source turns back."""
    await world.cycle()
    world.directory.set(ANN, "department", "Sales")
    cloud_of(world).troubles = [Trouble(0, done=1, operations=frozenset({Operation.UPDATE}))]
    await world.cycle()
    assert (await world.users())[key(ANN)]["department"] == "Sales"
    world.directory.set(ANN, "department")
    await world.cycle()
    assert "department" not in (await world.users())[key(ANN)]


async def test_429_and_then_409(world: World) -> None:
    """A throttled create is repeated after the pause that was asked for; that it is there by then is no failure."""
    cloud_of(world).troubles = [
        Trouble(429, done=1, retry_after=30, operations=frozenset({Operation.CREATE}), about=key(BOB))
    ]
    before = world.clock.now
    await world.cycle()
    assert await result(world) == ("Succeeded", 3)
    assert len(cloud_of(world).records) == 3
    assert cloud_of(world).impatient == 0
    assert (world.clock.now - before).total_seconds() >= 30
    assert {status for _, _, status, _ in await happened(world)} == {"success"}


@pytest.mark.parametrize("as_date", [False, True])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("operation", [Operation.CREATE, Operation.FIND])
async def test_retry_after_is_heeded(world: World, status: int, as_date: bool, operation: Operation) -> None:
    """Told in seconds or as a date, by 429 or 503, for a write or a question: nobody asks again too early."""
    cloud_of(world).troubles = [
        Trouble(status, retry_after=90, as_date=as_date, operations=frozenset({operation}), times=2)
    ]
    await world.cycle()
    assert await result(world) == ("Succeeded", 3)
    assert cloud_of(world).impatient == 0


async def test_throttled_without_a_time(world: World) -> None:
    """Without Retry-After the pauses double, and a target that never gets on ends the cycle; nothing is lost."""
    cloud_of(world).troubles = [Trouble(429, operations=frozenset({Operation.CREATE}), about=key(BOB), times=100)]
    before = world.clock.now
    await world.cycle()
    assert (await result(world))[0] == "Failed"
    assert (world.clock.now - before).total_seconds() >= 1 + 2 + 4 + 8 + 16 + 32
    last = (await world.state()).last_execution
    assert last is not None
    assert last["error"]["code"] == "TooManyRequests"
    cloud_of(world).troubles = []
    await world.cycle()
    assert await result(world) == ("Succeeded", 2)
    assert len(cloud_of(world).records) == 3


@pytest.mark.parametrize("status", [400, 403, 422])
async def test_one_object_is_refused(world: World, status: int) -> None:
    """One bad object fails alone, with the target's own words; the rest go on."""
    cloud_of(world).troubles = [Trouble(status, about=key(BOB))]
    await world.cycle()
    assert await result(world) == ("EntryLevelErrors", 2)
    event = next(e for e in await world.events() if e["source"] == BOB)
    assert event["reason"] == ("InsufficientRights" if status == 403 else "UnprocessableEntity")
    assert event["detail"].fault.reason == f"The target answered {status}: Trouble."


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_5xx_is_tried_again_soon(world: World, status: int) -> None:
    """A fault of the target's own is tried again within minutes, and only that object."""
    cloud_of(world).troubles = [Trouble(status, about=key(BOB))]
    await world.cycle()
    assert await result(world) == ("EntryLevelErrors", 2)
    world.clock.forward(minutes=2)
    await world.cycle()
    assert await result(world) == ("Succeeded", 1)


async def test_credential_refused_in_the_middle(world: World) -> None:
    """What was written before the refusal is recorded, the job is in quarantine at once, and nothing is repeated."""
    cloud_of(world).chance = lambda request: _refuse_after_one(world)
    await world.cycle()
    job = await world.state()
    assert job.quarantine is not None
    assert job.quarantine["error"]["code"] == "InvalidCredentials"
    assert len(cloud_of(world).records) == 1
    assert [e[2] for e in await happened(world)] == ["success"]
    cloud_of(world).chance = lambda request: None
    cloud_of(world).accepts = True
    await world.cycle()
    assert (await world.state()).quarantine is None
    assert await result(world) == ("Succeeded", 2)
    assert sorted(e[:3] for e in await happened(world)) == [(a, "create", "success") for a in (ANN, BOB, EVE)]


def _refuse_after_one(world: World) -> Trouble | None:
    cloud = cloud_of(world)
    return Trouble(401) if len(cloud.live("User")) == 1 else None


async def test_unreachable_target(world: World) -> None:
    """Nobody there: the cycle fails, the position stays, and the next one does it all."""
    cloud_of(world).reachable = False
    await world.cycle()
    last = (await world.state()).last_execution
    assert last is not None
    assert last["error"]["code"] == "TargetUnreachable"
    cloud_of(world).reachable = True
    await world.cycle()
    assert await result(world) == ("Succeeded", 3)


@pytest.mark.parametrize("done", [0, 0.5, 1])
async def test_half_of_a_batch_done(world: World, done: float) -> None:
    """A request of many exports whose answer is lost: what was made is found, what was not is made."""
    world.target = MemoryTarget(cloud_of(world), world.clock, in_batches=True)
    for number in range(4, 10):
        world.person(ANN[:-1] + str(number), f"N{number}")
    world.source = lambda: _large(world)
    cloud_of(world).troubles = [Trouble(0, done=done, operations=frozenset({Operation.BATCH}))]
    await world.cycle()
    world.clock.forward(minutes=2)
    await world.cycle()
    assert await result(world) == ("Succeeded", 9)
    assert len(cloud_of(world).records) == 9


def _large(world: World):  # type: ignore[no-untyped-def]
    from dirbridge.connectors.memory.source import MemorySource

    return MemorySource(world.directory, page_entries=1000)


async def test_object_is_there_already(world: World) -> None:
    """What the target has by the same sign-in name is linked, not made twice."""
    there = cloud_of(world).create("User", {"UserPrincipalName": f"BOB@{DOMAIN}", "DisplayName": "Robert"})
    await world.cycle()
    assert len(cloud_of(world).records) == 3
    assert (await world.users())[key(BOB)]["id"] == there.id
    assert (await world.users())[key(BOB)]["displayName"] == "Bob"


async def test_object_was_deleted_at_the_target(world: World) -> None:
    """What somebody purged there is made anew with the next change; what lies in the bin comes back with its id."""
    await world.cycle()
    ids = {name: shown["id"] for name, shown in (await world.users()).items()}
    cloud_of(world).purge(ids[key(ANN)])
    cloud_of(world).delete(ids[key(BOB)])
    world.directory.set(ANN, "department", "Sales")
    world.directory.set(BOB, "department", "Staff")
    await world.cycle()
    assert await result(world) == ("Succeeded", 2)
    users = await world.users()
    assert users[key(ANN)]["id"] != ids[key(ANN)]
    assert users[key(BOB)]["id"] == ids[key(BOB)]
    assert {users[key(a)]["department"] for a in (ANN, BOB)} == {"Sales", "Staff"}
    world.directory.set(BOB, "department", "Golf")
    await world.cycle()
    assert "restored" not in (await world.events())[-1]["detail"].steps[-1].details


async def test_drift_is_mended_by_a_full_read(world: World) -> None:
    """What somebody changed at the target is put right when everything is read."""
    await world.cycle()
    id = (await world.users())[key(ANN)]["id"]
    cloud_of(world).update(id, {"DisplayName": "Mallory"})
    await world.cycle()
    assert (await world.users())[key(ANN)]["displayName"] == "Mallory"
    await world.restart()
    await world.cycle()
    assert (await world.users())[key(ANN)]["displayName"] == "Ann"


async def test_outcomes_are_recorded_every_two_seconds(world: World) -> None:
    """A slow target: no batch goes on for longer, and what it did is recorded before the next begins."""
    for number in range(4, 10):
        world.person(ANN[:-1] + str(number), f"N{number}")
    world.source = lambda: _large(world)
    seen: list[int] = []

    def slow(request):  # type: ignore[no-untyped-def]
        if request.operation is Operation.CREATE:
            world.clock.forward(seconds=1)
            seen.append(len(cloud_of(world).records))

    cloud_of(world).chance = slow
    await world.cycle()
    rows = await world.rows("select changed_at from links where tenant = %s")
    assert len(seen) == 9
    assert sorted(rows.count(one) for one in set(rows)) == [1, 2, 2, 2, 2]


async def test_no_batch_is_larger_than_a_hundred(world: World) -> None:
    """However quick the target, outcomes are recorded a hundred at a time."""
    for number in range(250):
        world.person(f"10000000-0000-4000-8000-{number:012}", f"N{number}")
    world.source = lambda: _large(world)
    await world.cycle()
    rows = await world.rows("select changed_at from links where tenant = %s")
    assert sorted(rows.count(one) for one in set(rows)) == [53, 100, 100]


async def test_contact_is_deleted_for_good(world: World) -> None:
    """What the target keeps of no contact is not looked for: one that comes back is made anew."""
    pat, quin = "00000000-0000-4000-8000-000000000007", "00000000-0000-4000-8000-000000000008"
    world.partner(pat, "Pat")
    world.partner(quin, "Quin")
    world.directory.set_manager(pat, ANN)
    await world.cycle()
    before = (await world.contacts())[key(pat)]["id"]
    world.directory.delete(pat)
    await world.cycle()
    assert before not in cloud_of(world).records
    world.directory.restore(pat, with_links=True)
    await world.cycle()
    assert (await world.contacts())[key(pat)]["id"] != before
    assert await world.references("manager") == {(key(pat), key(ANN))}
    assert [action for source, action, status, _ in await happened(world) if source == pat and status == "success"] == [
        "create",
        "update",  # its manager, written when all entries are through
        "delete",
        "create",
        "update",
    ]


# References -----------------------------------------------------------------------------------------------------------

TEAM, CREW = (f"00000000-0000-4000-8000-0000000000a{n}" for n in "12")
MANY = [f"20000000-0000-4000-8000-{number:012}" for number in range(50)]
REFER = frozenset({Operation.REFER})


async def members(world: World) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {key(TEAM): set(), key(CREW): set()}
    for group, member in await world.references("members"):
        found[group].add(member)
    return found


def teams(world: World) -> None:
    """Two groups with everybody, and a manager."""
    for number, anchor in enumerate(MANY):
        world.person(anchor, f"N{number}")
    for team, name in ((TEAM, "Team"), (CREW, "Crew")):
        world.team(team, name)
        for anchor in (ANN, BOB, EVE, *MANY):
            world.directory.add_member(team, anchor)
    world.directory.set_manager(ANN, BOB)


def everybody() -> set[str]:
    return {key(anchor) for anchor in (ANN, BOB, EVE, *MANY)}


async def test_more_members_than_a_request_takes(world: World) -> None:
    """53 members go in requests of 20, a manager is replaced in one, and what the source ends is taken away."""
    teams(world)
    await world.cycle()
    assert await result(world) == ("Succeeded", 55 + 3)
    assert await members(world) == {key(TEAM): everybody(), key(CREW): everybody()}
    assert await world.references("manager") == {(key(ANN), key(BOB))}
    assert cloud_of(world).requests[Operation.REFER] == 3 + 3 + 1
    world.directory.set_manager(ANN, EVE)
    world.directory.remove_member(TEAM, BOB)
    await world.cycle()
    assert cloud_of(world).requests[Operation.REFER] == 7 + 2
    assert await world.references("manager") == {(key(ANN), key(EVE))}
    assert (await members(world))[key(TEAM)] == everybody() - {key(BOB)}
    changed = {e["source"]: e["detail"].modified for e in (await world.events())[-2:]}
    ids = {name: shown["id"] for name, shown in (await world.users()).items()}
    assert [(c.name, c.old, c.new) for c in changed[ANN]] == [
        ("Manager", f"Bob ({ids[key(BOB)]})", f"Eve ({ids[key(EVE)]})")
    ]
    assert [(c.name, c.old, c.new) for c in changed[TEAM]] == [("Member", f"Bob ({ids[key(BOB)]})", None)]
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


async def test_one_refused_group_does_not_stop_the_others(world: World) -> None:
    """Its members wait, with the reason in the log; all else is written, and it follows when it may."""
    teams(world)
    cloud_of(world).troubles = [Trouble(403, operations=REFER, about="Crew", times=10**6)]
    await world.cycle()
    assert await members(world) == {key(TEAM): everybody(), key(CREW): set()}
    assert await world.references("manager") == {(key(ANN), key(BOB))}
    failed = [(e["source"], e["action"], e["reason"]) for e in await world.events() if e["status"] == "failure"]
    assert set(failed) == {(CREW, "update", "InsufficientRights")}
    cloud_of(world).troubles = []
    asked = cloud_of(world).requests[Operation.REFER]
    await world.cycle()
    assert cloud_of(world).requests[Operation.REFER] == asked, "not before its time"
    world.clock.forward(hours=7)
    await world.cycle()
    assert await members(world) == {key(TEAM): everybody(), key(CREW): everybody()}
    assert await world.rows("select owner from reference_exports where tenant = %s") == []


async def test_created_then_the_membership_call_failed(world: World) -> None:
    """The group is there, the answer about its members was lost: they follow within minutes, nothing is made twice."""
    teams(world)
    cloud_of(world).troubles = [Trouble(0, done=1, operations=REFER), Trouble(500, operations=REFER)]
    await world.cycle()
    assert len(cloud_of(world).live("Group")) == 2
    assert (await result(world))[0] == "EntryLevelErrors"
    world.clock.forward(minutes=2)
    await world.cycle()
    assert await members(world) == {key(TEAM): everybody(), key(CREW): everybody()}
    assert len(cloud_of(world).live("Group")) == 2


async def test_one_member_that_is_refused(world: World) -> None:
    """The target takes all but one: halved until that one stands alone, the others are written."""
    teams(world)
    cloud_of(world).chance = lambda request: (
        Trouble(422) if request.operation is Operation.REFER and {"Team", "N7"} <= request.about else None
    )
    await world.cycle()
    assert await members(world) == {key(TEAM): everybody() - {key(MANY[7])}, key(CREW): everybody()}
    waiting = await world.rows("select owner, referenced from reference_exports where tenant = %s")
    assert waiting == [(TEAM, MANY[7])]


async def test_a_member_or_a_group_that_somebody_purged_there(world: World) -> None:
    """What is gone there is found out when it is referred to, made anew, and gets its references back."""
    teams(world)
    await world.cycle()
    users, groups = await world.users(), await world.groups()
    cloud_of(world).purge(users[key(BOB)]["id"])
    cloud_of(world).purge(groups[key(CREW)]["id"])
    world.person(EVE[:-1] + "9", "Zoe")
    world.directory.set_manager(EVE, BOB)
    world.directory.add_member(CREW, EVE[:-1] + "9")
    await world.cycle()
    await world.cycle()
    assert await world.references("manager") == {(key(ANN), key(BOB)), (key(EVE), key(BOB))}
    assert await members(world) == {key(TEAM): everybody(), key(CREW): everybody() | {key(EVE[:-1] + "9")}}
    assert len(cloud_of(world).live("User")) == 54


async def test_throttled_in_the_middle_of_members(world: World) -> None:
    """429 for a request about members: the pause is kept, and it goes on with the next request."""
    teams(world)
    cloud_of(world).troubles = [Trouble(429, retry_after=60, operations=REFER, about="Team")]
    await world.cycle()
    assert (await result(world))[0] == "Succeeded"
    assert cloud_of(world).impatient == 0
    assert cloud_of(world).requests[Operation.REFER] == 7
    assert await members(world) == {key(TEAM): everybody(), key(CREW): everybody()}


# Deletes --------------------------------------------------------------------------------------------------------------

DELETE = frozenset({Operation.DELETE})


async def test_deletes_that_fail_are_tried_again(world: World) -> None:
    """One is refused, one lost its answer, one was gone already: each ends right, and nobody is deleted twice."""
    world.person(MANY[0], "Zoe")
    await world.cycle()
    ids = {name: shown["id"] for name, shown in (await world.users()).items()}
    for anchor in (ANN, BOB, EVE):
        world.directory.delete(anchor)
    cloud_of(world).purge(ids[key(EVE)])
    cloud_of(world).troubles = [
        Trouble(403, operations=DELETE, about="Ann"),
        Trouble(0, done=1, operations=DELETE, about="Bob"),
    ]
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(MANY[0])}
    deletes = [(e["source"], e["status"], e["reason"]) for e in await world.events() if e["action"] == "delete"]
    assert sorted(deletes) == [
        (ANN, "failure", "InsufficientRights"),
        (BOB, "failure", "Timeout"),
        (EVE, "success", ""),
    ]
    await world.cycle()
    assert set(await world.users()) == {key(ANN), key(MANY[0])}, "not before its time"
    world.clock.forward(minutes=2)
    await world.cycle()
    world.clock.forward(hours=7)
    await world.cycle()
    assert set(await world.users()) == {key(MANY[0])}
    deletes = [(e["source"], e["status"]) for e in await world.events() if e["action"] == "delete"][3:]
    assert deletes == [(BOB, "success"), (ANN, "success")]
    rows = await world.rows("select distinct state, attempt, retry_at from removals where tenant = %s")
    assert rows == [("done", 0, None)]


async def test_deletes_that_wait_for_a_retry_are_hastened_by_clear(world: World) -> None:
    """Whoever clears the quarantine need not wait for the clock."""
    await world.cycle()
    world.directory.delete(ANN)
    cloud_of(world).troubles = [Trouble(403, operations=DELETE)]
    await world.cycle()
    async with world.database.transaction() as conn:
        await jobs.clear_quarantine(conn, world.tenant, world.job, world.clock())
    await world.cycle()
    assert set(await world.users()) == {key(BOB), key(EVE)}


async def test_credential_refused_among_deletes(world: World) -> None:
    """What was deleted before is recorded; the rest goes when the credential is good again."""
    for number, anchor in enumerate(MANY):
        world.person(anchor, f"N{number}")
    await world.cycle()
    for anchor in MANY[:8]:
        world.directory.delete(anchor)
    cloud_of(world).chance = lambda request: Trouble(401) if len(cloud_of(world).live("User")) == 50 else None
    await world.cycle()
    assert (await world.state()).quarantine is not None
    assert len(cloud_of(world).live("User")) == 50
    assert len([e for e in await world.events() if e["action"] == "delete"]) == 3
    cloud_of(world).chance = lambda _request: None
    await world.cycle()
    assert len(cloud_of(world).live("User")) == 45
    assert len([e for e in await world.events() if e["action"] == "delete"]) == 8
    assert (await world.state()).quarantine is None


async def test_returning_user_keeps_its_id(world: World) -> None:
    """Restored from the target's bin, with its memberships."""
    teams(world)
    await world.cycle()
    before = (await world.users())[key(EVE)]["id"]
    world.directory.delete(EVE)
    await world.cycle()
    assert key(EVE) not in await world.users()
    world.directory.restore(EVE, with_links=True)
    await world.cycle()
    assert (await world.users())[key(EVE)]["id"] == before
    assert await members(world) == {key(TEAM): everybody(), key(CREW): everybody()}
