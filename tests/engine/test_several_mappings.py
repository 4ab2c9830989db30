"""Several rules and object mappings in one schema document: which of them an entry goes by."""

from __future__ import annotations

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from tests.engine.document import Document, constant, copied, mapping, reshape, row
from tests.engine.world import World, key

ANN, BOB, CAT = (anchor_of(i) for i in range(3))


def category(one: Document, operator: str, value: str) -> None:
    """Let a mapping take the entries whose employeeType says so."""
    clause = {"sourceOperandName": "employeeType", "operatorName": operator, "targetOperand": {"values": [value]}}
    one["scope"]["categoryFilterGroups"] = [{"name": "kind", "clauses": [clause]}]


def by_kind(document: Document) -> None:
    """Contractors get a mapping of their own: with another job title, and without a manager."""
    people, others = mapping(document), copied(mapping(document))
    category(people, "NOT EQUALS", "Contractor")
    category(others, "EQUALS", "Contractor")
    others["name"] = "Provision contractors"
    row(others, "Title")["source"] = constant("External")
    others["attributeMappings"].remove(row(others, "Manager"))
    document["synchronizationRules"][0]["objectMappings"].append(others)


async def titles(world: World) -> dict[str, str | None]:
    return {anchor: user.get("jobTitle") for anchor, user in (await world.users()).items()}


async def test_categories_tell_mappings_of_one_type_apart(world: World) -> None:
    """Each entry goes by the mapping whose category takes it; one without the attribute passes NOT EQUALS."""
    await reshape(world, by_kind)
    world.person(ANN, "Ann Lee", title="Clerk", employeeType="Staff")
    world.person(BOB, "Bob Ray", title="Clerk", employeeType="Contractor")
    world.person(CAT, "Cat Poe", title="Clerk")
    for anchor in (ANN, BOB):
        world.directory.set_manager(anchor, CAT)
    await world.cycle()
    assert await titles(world) == {key(ANN): "Clerk", key(BOB): "External", key(CAT): "Clerk"}
    assert await world.references("manager") == {(key(ANN), key(CAT))}
    world.directory.set(ANN, "employeeType", "Contractor")
    world.directory.set(BOB, "employeeType", "Staff")
    await world.cycle()
    assert await titles(world) == {key(ANN): "External", key(BOB): "Clerk", key(CAT): "Clerk"}
    assert await world.references("manager") == {(key(BOB), key(CAT))}
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


async def test_what_no_category_takes_is_out_of_scope(world: World) -> None:
    """It is not provisioned, and one that leaves every category is removed; the log names the clause."""
    await reshape(world, lambda document: category(mapping(document), "EQUALS", "Staff"))
    world.person(ANN, "Ann Lee", employeeType="Staff")
    world.person(BOB, "Bob Ray", employeeType="Guest")
    for number in range(3, 6):
        world.person(anchor_of(number), f"Staff {number}", employeeType="Staff")
    await world.cycle()
    assert key(BOB) not in await world.users()
    assert len(await world.users()) == 4
    (skip,) = [e for e in await world.events() if e["source"] == BOB]
    assert skip["detail"].steps[-1].details["clause"] == "employeeType EQUALS Staff"
    world.directory.set(ANN, "employeeType", "Guest")
    await world.cycle()
    assert key(ANN) not in await world.users()


@pytest.mark.parametrize(("first", "title"), [(1, "First"), (3, "Second")])
async def test_rules_go_by_priority(world: World, first: int, title: str) -> None:
    """Of two rules that could both take an entry, the one with the lower number does."""

    def change(document: Document) -> None:
        one = document["synchronizationRules"][0]
        other = copied(one)
        one["priority"], other["priority"], other["id"], other["name"] = first, 2, "second", "Second"
        row(mapping(document), "Title")["source"] = constant("First")
        row(other["objectMappings"][0], "Title")["source"] = constant("Second")
        document["synchronizationRules"].append(other)

    await reshape(world, change)
    world.person(ANN, "Ann Lee")
    await world.cycle()
    assert await titles(world) == {key(ANN): title}


async def test_two_mappings_of_one_rule_go_by_order(world: World) -> None:
    """The one that stands first takes the entry; one that is switched off takes none."""

    def change(document: Document) -> None:
        other = copied(mapping(document))
        row(other, "Title")["source"] = constant("Second")
        row(mapping(document), "Title")["source"] = constant("First")
        document["synchronizationRules"][0]["objectMappings"].append(other)

    await reshape(world, change)
    world.person(ANN, "Ann Lee")
    await world.cycle()
    assert await titles(world) == {key(ANN): "First"}
    await reshape(world, lambda document: mapping(document).update(enabled=False))
    await world.cycle()
    assert await titles(world) == {key(ANN): "Second"}


async def test_object_does_not_become_one_of_another_type(world: World) -> None:
    """An entry that another mapping takes, whose objects are of another type, fails with a reason; nothing is lost."""

    def change(document: Document) -> None:
        others = copied(mapping(document, 2))
        others |= {"name": "Provision mailboxes as groups", "sourceObjectName": "user"}
        category(others, "EQUALS", "Mailbox")
        category(mapping(document), "NOT EQUALS", "Mailbox")
        others["scope"]["inputFilterGroups"] = []
        document["synchronizationRules"][0]["objectMappings"].append(others)

    await reshape(world, change)
    world.person(ANN, "Ann Lee", employeeType="Mailbox", groupType="-2147483646")
    world.person(BOB, "Bob Ray", groupType="-2147483646")
    await world.cycle()
    assert set(await world.groups()) == {key(ANN)}
    assert set(await world.users()) == {key(BOB)}
    world.directory.set(BOB, "employeeType", "Mailbox")
    await world.cycle()
    (failure,) = [e for e in await world.events() if e["status"] == "failure"]
    assert (failure["source"], failure["reason"]) == (BOB, "ObjectTypeMismatch")
    assert "is mapped by 'Provision mailboxes as groups' now; its object is a User" in failure["detail"].fault.reason
    assert set(await world.users()) == {key(BOB)}
    world.directory.delete(ANN)
    await world.cycle()
    rows = await world.rows("select target_type from links where tenant = %s and anchor = %s", ANN)
    assert (rows, await world.groups()) == ([("Group",)], {})
