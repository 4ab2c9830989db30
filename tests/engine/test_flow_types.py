"""Flow types, flow behaviour, defaults and what a target attribute's definition says, through real cycles."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.contract.export import TargetValue
from dirbridge.store import directory
from dirbridge.tenant import properties
from tests.engine.document import Document, definition, mapping, reshape, row
from tests.engine.world import World, key

ANN, BOB = anchor_of(1), anchor_of(2)


async def user(world: World, anchor: str = ANN) -> dict[str, Any]:
    return (await world.users())[key(anchor)]


async def by_hand(world: World, **attributes: TargetValue) -> None:
    """Change Ann in the tenant, behind the job's back; None clears."""
    id = UUID((await user(world))["id"])
    async with world.database.transaction() as conn:
        one = (await directory.read(conn, world.tenant, [id], lock=True))[id]
        properties.show(one.properties, attributes)
        await directory.update(conn, world.tenant, [one], world.clock())


async def full_cycle(world: World) -> None:
    """A cycle that compares with what the target has."""
    await world.restart()
    await world.cycle()


async def flows(world: World, target: str, **changes: Any) -> None:
    """Change the rows of people for one target attribute."""

    def change(document: Document) -> None:
        for at in (0, 1):
            row(mapping(document, at), target).update(changes)

    await reshape(world, change)


async def settled(world: World) -> None:
    """The next cycle writes nothing."""
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


async def test_object_add_only_flows_on_creation(world: World) -> None:
    """What the source says later does not flow, and what was changed at the target stays."""
    await flows(world, "Title", flowType="ObjectAddOnly")
    world.person(ANN, "Ann Lee", title="Clerk")
    await world.cycle()
    world.directory.set(ANN, "title", "Boss")
    await world.cycle()
    assert (await user(world))["jobTitle"] == "Clerk"
    await by_hand(world, Title=None)
    await full_cycle(world)
    assert "jobTitle" not in await user(world)
    await settled(world)


async def test_attribute_add_only_fills_what_is_empty(world: World) -> None:
    """A value at the target stays, whoever set it; where there is none, the source's flows."""
    await flows(world, "Title", flowType="AttributeAddOnly")
    world.person(ANN, "Ann Lee")
    await world.cycle()
    world.directory.set(ANN, "title", "Clerk")
    await world.cycle()
    assert (await user(world))["jobTitle"] == "Clerk"
    world.directory.set(ANN, "title", "Boss")
    await world.cycle()
    assert (await user(world))["jobTitle"] == "Clerk"
    world.directory.set(ANN, "title")
    await world.cycle()
    assert (await user(world))["jobTitle"] == "Clerk"
    world.directory.set(ANN, "title", "Boss")
    await by_hand(world, Title=None)
    await full_cycle(world)
    assert (await user(world))["jobTitle"] == "Boss"
    await settled(world)


@pytest.mark.parametrize("kind", ["ValueAddOnly", "MultiValueAddOnly"])
async def test_values_are_added_and_never_taken_away(world: World, kind: str) -> None:
    """The target has what it had and what the source has."""
    await flows(world, "OtherMobile", flowType=kind)
    world.person(ANN, "Ann Lee", otherMobile=("1", "2"))
    await world.cycle()
    await by_hand(world, OtherMobile=("1", "2", "7"))
    world.directory.set(ANN, "otherMobile", "2", "3")
    await full_cycle(world)
    assert (await user(world))["otherMobile"] == ["1", "2", "3", "7"]
    world.directory.set(ANN, "otherMobile")
    await world.cycle()
    assert (await user(world))["otherMobile"] == ["1", "2", "3", "7"]
    await settled(world)


async def test_single_value_is_replaced_and_never_cleared(world: World) -> None:
    """ValueAddOnly of one value: another takes its place, none does not."""
    await flows(world, "Title", flowType="ValueAddOnly")
    world.person(ANN, "Ann Lee", title="Clerk")
    await world.cycle()
    world.directory.set(ANN, "title")
    await world.cycle()
    assert (await user(world))["jobTitle"] == "Clerk"
    world.directory.set(ANN, "title", "Boss")
    await world.cycle()
    assert (await user(world))["jobTitle"] == "Boss"
    await settled(world)


async def test_flow_always_writes_what_is_there_already(world: World) -> None:
    """Whenever the source reports the entry the attribute is exported; an idle cycle still writes nothing."""
    await flows(world, "Title", flowBehavior="FlowAlways")
    world.person(ANN, "Ann Lee", title="Clerk")
    await world.cycle()
    await settled(world)
    world.directory.set(ANN, "notMapped", "x")
    await world.cycle()
    (update,) = [e for e in await world.events() if e["action"] == "update"]
    assert [(m.name, m.old, m.new) for m in update["detail"].modified] == [("Title", "Clerk", "Clerk")]
    await by_hand(world, Title="Boss")
    world.directory.set(ANN, "notMapped", "y")
    await world.cycle()
    assert (await user(world))["jobTitle"] == "Clerk"


async def test_default_value_flows_on_creation_only(world: World) -> None:
    """A source that has nothing leaves the default, and whatever took its place, alone."""
    await flows(world, "UsageLocation", defaultValue="DE")
    world.person(ANN, "Ann Lee")
    world.person(BOB, "Bob Ray", msExchUsageLocation="FR")
    await world.cycle()
    assert [(await user(world, who))["usageLocation"] for who in (ANN, BOB)] == ["DE", "FR"]
    world.directory.set(ANN, "title", "Clerk")
    await by_hand(world, UsageLocation="SE")
    await full_cycle(world)
    assert (await user(world))["usageLocation"] == "SE"
    world.directory.set(ANN, "msExchUsageLocation", "NO")
    await world.cycle()
    assert (await user(world))["usageLocation"] == "NO"
    await settled(world)


async def test_mapping_without_a_source_fills_what_is_empty(world: World) -> None:
    """The target attribute is left alone, but for the default where it has no value, on creation and later."""
    await flows(world, "UsageLocation", source=None, defaultValue="DE")
    await flows(world, "Title", source=None)
    world.person(ANN, "Ann Lee", title="Clerk", msExchUsageLocation="FR")
    await world.cycle()
    assert ((await user(world))["usageLocation"], (await user(world)).get("jobTitle")) == ("DE", None)
    await by_hand(world, UsageLocation="SE", Title="Boss")
    await full_cycle(world)
    assert ((await user(world))["usageLocation"], (await user(world))["jobTitle"]) == ("SE", "Boss")
    await by_hand(world, UsageLocation=None)
    await full_cycle(world)
    assert (await user(world))["usageLocation"] == "DE"
    await settled(world)


async def test_case_alone_is_no_change(world: World) -> None:
    """Where caseExact is false, values that differ in case alone are the same, of one and of several."""

    def change(document: Document) -> None:
        for name in ("Title", "OtherMobile"):
            definition(document, name)["caseExact"] = False

    await reshape(world, change)
    world.person(ANN, "Ann Lee", title="clerk", otherMobile=("a", "b"))
    await world.cycle()
    world.directory.set(ANN, "title", "CLERK")
    world.directory.set(ANN, "otherMobile", "B", "A")
    await world.cycle()
    assert ((await user(world))["jobTitle"], (await user(world))["otherMobile"]) == ("clerk", ["a", "b"])
    await settled(world)
    world.directory.set(ANN, "title", "CLERKS")
    await world.cycle()
    assert (await user(world))["jobTitle"] == "CLERKS"


async def failure(world: World) -> Any:
    """The last failed event."""
    return [e for e in await world.events() if e["status"] == "failure"][-1]


async def test_required_attribute(world: World) -> None:
    """Without it nothing is created, and it is not cleared; both are failures of that entry that name it."""

    def change(document: Document) -> None:
        definition(document, "Department")["required"] = True

    await reshape(world, change)
    world.person(ANN, "Ann Lee")
    world.person(BOB, "Bob Ray", department="Sales")
    await world.cycle()
    assert set(await world.users()) == {key(BOB)}
    failed = await failure(world)
    assert (failed["source"], failed["reason"]) == (ANN, "MandatoryFieldsMissing")
    assert failed["detail"].fault.reason == "'Ann Lee' has no value for 'Department', without which there is no User."
    world.directory.set(ANN, "department", "Sales")
    world.directory.set(BOB, "department")
    world.directory.set(BOB, "title", "Clerk")
    await world.cycle()
    assert key(ANN) in await world.users()
    failed = await failure(world)
    assert (failed["source"], failed["reason"]) == (BOB, "MissingValues")
    found = await user(world, BOB)
    assert (found["department"], "jobTitle" in found) == ("Sales", False)
    world.directory.set(BOB, "department", "Sales")
    await world.cycle()
    assert (await user(world, BOB))["jobTitle"] == "Clerk"
    await settled(world)


async def test_required_attribute_has_a_default_of_its_definition(world: World) -> None:
    """Before an entry fails for want of a value, the definition's default is taken."""

    def change(document: Document) -> None:
        definition(document, "Department").update(required=True, defaultValue="None yet")

    await reshape(world, change)
    world.person(ANN, "Ann Lee")
    await world.cycle()
    assert (await user(world))["department"] == "None yet"


async def test_changed_source_anchor_is_a_failure_and_no_new_link(world: World) -> None:
    """The object keeps its anchor and its values; with the old anchor back, what waited flows."""
    world.person(ANN, "Ann Lee", mS_DS_ConsistencyGuid=bytes(16))
    await world.cycle()
    (before,) = (await world.users()).values()
    world.directory.set(ANN, "mS-DS-ConsistencyGuid", bytes(15) + b"\x01")
    world.directory.set(ANN, "title", "Clerk")
    await world.cycle()
    assert list((await world.users()).values()) == [before]
    failed = await failure(world)
    assert (failed["source"], failed["reason"]) == (ANN, "SourceAnchorChanged")
    assert "from 'AAAAAAAAAAAAAAAAAAAAAA==' to 'AAAAAAAAAAAAAAAAAAAAAQ=='" in failed["detail"].fault.reason
    world.directory.set(ANN, "mS-DS-ConsistencyGuid", bytes(16))
    await world.cycle()
    (after,) = (await world.users()).values()
    assert (after["id"], after["jobTitle"]) == (before["id"], "Clerk")
    await settled(world)


async def test_immutable_attribute_is_written_once(world: World) -> None:
    """It may be filled later, and then stays."""

    def change(document: Document) -> None:
        definition(document, "EmployeeId")["mutability"] = "Immutable"

    await reshape(world, change)
    world.person(ANN, "Ann Lee")
    await world.cycle()
    world.directory.set(ANN, "employeeID", "7")
    await world.cycle()
    assert (await user(world))["employeeId"] == "7"
    for values in (("8",), ()):
        world.directory.set(ANN, "employeeID", *values)
        await world.cycle()
        assert (await failure(world))["reason"] == "ImmutableAttributeChanged"
        assert (await user(world))["employeeId"] == "7"


async def test_write_only_attribute_flows_with_every_change(world: World) -> None:
    """What cannot be read cannot be compared: it is written whenever the entry changed."""

    def change(document: Document) -> None:
        definition(document, "EmployeeId")["mutability"] = "WriteOnly"

    await reshape(world, change)
    world.person(ANN, "Ann Lee", employeeID="7")
    await world.cycle()
    world.directory.set(ANN, "notMapped", "x")
    await world.cycle()
    assert [e["action"] for e in await world.events()] == ["create"]
    world.directory.set(ANN, "title", "Clerk")
    await world.cycle()
    update = (await world.events())[-1]
    assert [m.name for m in update["detail"].modified] == ["EmployeeId", "Title"]
