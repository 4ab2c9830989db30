"""One entry at a person's word: the same steps, each of them shown, and nothing that a cycle would not do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from dirbridge.connectors.memory.directory import ROOT, anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.errors import CredentialError, EntryError
from dirbridge.contract.event import StepType
from dirbridge.contract.schema import ContainerFilter
from dirbridge.engine import ondemand
from dirbridge.engine.ondemand import Shown, Wish
from dirbridge.store import jobs
from tests.engine.world import World, default_schema, key

ANN, BOB, TEAM = (anchor_of(number) for number in range(3))


async def provision(world: World, name: str, **more: Any) -> Shown:
    """Provision one entry."""
    shown = await ondemand.provision_one(world.context(), world.tenant, world.job, Wish(name, **more))
    assert shown is not None
    return shown


def brief(shown: Shown) -> tuple[str, str, str]:
    """What became of it."""
    return shown.event.action.value, shown.event.status.value, shown.event.reason


async def test_one_user_is_created_shown_and_left_alone_by_the_cycle(world: World) -> None:
    """Before any cycle, by its distinguished name; nobody else comes; the first cycle finds nothing to do for it."""
    world.person(ANN, "Ann Lee", department="Sales")
    world.person(BOB, "Bob Ray")
    shown = await provision(world, world.directory.dn(world.directory.nodes[ANN]), object_type="user")
    assert brief(shown) == ("create", "success", "")
    assert list(await world.users()) == [key(ANN)]
    kinds = [step.type for step in shown.event.detail.steps]
    assert kinds == [StepType.IMPORT, StepType.SCOPING, StepType.MATCHING, StepType.EXPORT]
    seen, scoped, *_ = shown.event.detail.steps
    assert seen.details["department"] == "Sales"
    assert scoped.details["Scoping filter evaluation passed"] == "True"
    assert scoped.details["Active in the source system"] == "True"
    assert [event["source"] for event in await world.events()] == [ANN]
    await world.cycle()
    assert [(event["source"], event["action"]) for event in await world.events()] == [(ANN, "create"), (BOB, "create")]


@pytest.mark.parametrize("name", ["ann.lee@contoso.test", "ann.lee", ANN])
async def test_any_name_finds_the_entry(world: World, name: str) -> None:
    """Sign-in name, account name and anchor are as good as the distinguished name."""
    world.person(ANN, "Ann Lee")
    assert brief(await provision(world, name))[0] == "create"


async def test_nothing_to_do_is_said(world: World) -> None:
    """A second time the object is as it should be: skipped, and the log says that somebody asked."""
    world.person(ANN, "Ann Lee")
    await world.cycle()
    shown = await provision(world, ANN)
    assert brief(shown) == ("other", "skipped", "RedundantExport")
    assert shown.event.detail.steps[-1].details["SkipReason"] == "RedundantExport"
    assert [(event["action"], event["reason"]) for event in await world.events()] == [
        ("create", ""),
        ("other", "RedundantExport"),
    ]


async def test_drift_is_repaired(world: World) -> None:
    """It compares with the object as it is, not with what was last written."""
    world.person(ANN, "Ann Lee", department="Sales")
    await world.cycle()
    async with world.database.transaction() as conn:
        await conn.execute(
            """update directory_objects set properties = properties || '{"department": "Golf"}'
               where tenant = %s""",
            (world.tenant,),
        )
    shown = await provision(world, ANN)
    assert brief(shown) == ("update", "success", "")
    assert [(each.name, each.old, each.new) for each in shown.event.detail.modified] == [
        ("Department", "Golf", "Sales")
    ]


async def test_out_of_scope_is_shown_and_provisioned_only_if_wished(world: World) -> None:
    """Scope holds and names its clause; a switch provisions all the same, and says what the next cycle will do."""
    world.person(ANN, "Ann Lee", adminDescription="User_x")
    shown = await provision(world, ANN)
    assert brief(shown)[:2] == ("other", "skipped")
    scoped = next(step for step in shown.event.detail.steps if step.type is StepType.SCOPING)
    assert "adminDescription" in scoped.details["clause"]
    answers = {name: said for name, said in scoped.details.items() if "adminDescription" in name}
    assert list(answers.values()) == ["False: found User_x"]
    assert {said for name, said in scoped.details.items() if "NOT REGEX MATCH" in name} > {"True"}
    assert await world.users() == {}
    shown = await provision(world, ANN, regardless_of_scope=True)
    assert brief(shown) == ("create", "success", "")
    assert "removed" in shown.remark
    assert list(await world.users()) == [key(ANN)]


async def test_containers_above_are_read_for_it(world: World) -> None:
    """Before any cycle, and when one of them moved since the last, it is known whether the entry lies in scope."""
    north, city, south = (anchor_of(number) for number in range(20, 23))
    for anchor, name, parent in ((north, "North", ROOT), (city, "City", north), (south, "South", ROOT)):
        world.directory.create(anchor, "container", name, parent)
    for person, name, place in ((ANN, "Ann Lee", city), (BOB, "Bob Ray", south)):
        world.person(person, name)
        world.directory.move(person, place)
    schema = default_schema(world.job)
    (rule,) = schema.synchronization_rules
    rule = msgspec.structs.replace(rule, container_filter=ContainerFilter((north,)))
    async with world.database.transaction() as conn:
        chosen = msgspec.structs.replace(schema, synchronization_rules=(rule,))
        await jobs.set_schema(conn, world.tenant, world.job, chosen)
    assert brief(await provision(world, BOB)) == ("other", "skipped", "NotInScope")
    assert brief(await provision(world, ANN)) == ("create", "success", "")
    await world.cycle()
    world.directory.move(city, south)
    shown = await provision(world, ANN)
    assert shown.remark.startswith("It was in scope before")
    world.directory.move(city, north)
    world.directory.move(south, city)
    assert brief(await provision(world, BOB)) == ("create", "success", "")


async def test_leaving_scope_waits_for_the_cycle(world: World) -> None:
    """One entry at a person's word never goes round the threshold for deletes."""
    world.person(ANN, "Ann Lee")
    world.person(BOB, "Bob Ray")
    await world.cycle()
    world.directory.set(ANN, "adminDescription", "User_x")
    shown = await provision(world, ANN)
    assert brief(shown)[:2] == ("other", "skipped")
    assert "next cycle removes it" in shown.remark
    assert set(await world.users()) == {key(ANN), key(BOB)}
    await world.cycle()
    assert set(await world.users()) == {key(BOB)}


async def test_a_disable_counts_against_the_threshold(world: World) -> None:
    """It happens at once, since a person asked for it, and is counted with the others of the day."""
    world.person(ANN, "Ann Lee")
    await world.cycle()
    world.directory.set(ANN, "userAccountControl", "514")
    shown = await provision(world, ANN)
    assert brief(shown)[:2] == ("disable", "success")
    assert (await world.users())[key(ANN)]["accountEnabled"] is False
    assert await world.rows("select action, state from removals where tenant = %s") == [("disable", "done")]


async def test_a_group_comes_with_its_members(world: World) -> None:
    """Members that are there are written, those that are not wait and are counted."""
    world.person(ANN, "Ann Lee")
    world.person(BOB, "Bob Ray")
    world.team(TEAM, "Team")
    world.directory.add_member(TEAM, ANN)
    world.directory.add_member(TEAM, BOB)
    await provision(world, ANN)
    shown = await provision(world, "Team", object_type="group")
    assert brief(shown) == ("create", "success", "")
    assert await world.references("members") == {(key(TEAM), key(ANN))}
    resolved = next(step for step in shown.event.detail.steps if step.type is StepType.REFERENCE_RESOLUTION)
    assert (resolved.details["written"], resolved.details["waiting"]) == ("1", "1")
    await world.cycle()
    assert await world.references("members") == {(key(TEAM), key(ANN)), (key(TEAM), key(BOB))}


async def test_a_failure_is_shown_and_set_aside(world: World) -> None:
    """What fails here fails as in a cycle, with its reason and remedy, and is tried again by the cycles."""
    world.person(ANN, "Ann Lee")
    await world.cycle()
    world.person(BOB, "Bob Ray", userPrincipalName="ann.lee@contoso.test")
    shown = await provision(world, BOB)
    assert brief(shown) == ("create", "failure", "AttributeValueMustBeUnique")
    assert shown.event.detail.fault is not None
    assert "ann.lee@contoso.test" in shown.event.detail.fault.reason
    assert await world.rows("select anchor from due where tenant = %s") == [(BOB,)]


async def test_a_paused_job_provisions_on_demand(world: World) -> None:
    """It is how a configuration is tried before it is enabled; position and schedule stay as they are."""
    world.person(ANN, "Ann Lee")
    async with world.database.transaction() as conn:
        await jobs.pause(conn, world.tenant, world.job)
    before = await world.state()
    assert brief(await provision(world, ANN))[0] == "create"
    assert await world.state() == before


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [("nobody", "", "EntryNotFound"), (ROOT, "", "EntryTypeUnexpected"),
     ("Team", "user", "EntryTypeUnexpected")],
)  # fmt: skip
async def test_what_cannot_be_meant_is_refused(world: World, name: str, kind: str, code: str) -> None:
    """A name that stands for nothing, or for something of another type, writes nothing."""
    world.team(TEAM, "Team")
    before = await world.fingerprint()
    with pytest.raises(EntryError) as refused:
        await provision(world, name, object_type=kind)
    assert refused.value.code == code
    assert await world.fingerprint() == before


async def test_a_source_that_fails_is_told_and_writes_nothing(world: World) -> None:
    """The error of the source reaches who asked; the job is not quarantined for it."""
    world.person(ANN, "Ann Lee")

    class Refusing(MemorySource):
        async def read(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
            raise CredentialError("The password is wrong.", code="InvalidCredentials")
            yield

    world.source = lambda: Refusing(world.directory)
    before = await world.fingerprint()
    with pytest.raises(CredentialError):
        await provision(world, ANN)
    assert await world.fingerprint() == before
    assert (await world.state()).quarantine is None


async def test_no_job_no_answer(world: World) -> None:
    """A job that is gone is told by nothing."""
    assert await ondemand.provision_one(world.context(), world.tenant, "none", Wish("x")) is None


async def test_a_cycle_under_way_goes_on(world: World) -> None:
    """Between two pages of a cycle one entry is provisioned; the cycle creates it no second time."""
    for number in range(9):
        world.person(anchor_of(number), f"Person {number}")

    class Interrupted(MemorySource):
        async def changes(self, *arguments: Any, **more: Any) -> AsyncIterator[Any]:
            number = 0
            async for page in super().changes(*arguments, **more):
                number += 1
                if number == 2:
                    world.source = lambda: MemorySource(world.directory)
                    await provision(world, anchor_of(8))
                yield page

    world.source = lambda: Interrupted(world.directory)
    await world.cycle()
    created = [event["source"] for event in await world.events() if event["action"] == "create"]
    assert sorted(created) == sorted(anchor_of(number) for number in range(9))
