"""Which target object is whose."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import msgspec
import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.contract.entry import Entry
from dirbridge.contract.export import Match, TargetValue
from dirbridge.engine import matching
from dirbridge.engine.mapping import Mapped
from dirbridge.engine.plan import compile_schema
from dirbridge.engine.provision import Inside
from dirbridge.store import links
from dirbridge.store.links import Holder
from dirbridge.tenant import administration
from tests.engine.document import Document, mapping, reshape, row
from tests.engine.world import World, default_schema, key

MACROS = {"DomainFQDN": "contoso.test", "DomainNetBios": "CONTOSO"}
RULE = compile_schema(default_schema("job"), MACROS).rules["user"][0]


def stranger(anchor: str, by: tuple[str, ...] = ("EmployeeId",), **values: TargetValue) -> Inside:
    rule = msgspec.structs.replace(RULE, matching=by)
    return Inside(Entry(anchor, "user", anchor.title()), None, rule, Mapped(values), b"")


def settle(
    *strangers: Inside, holder: Holder | None = None, **matches: Match
) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    found, faults = matching.settle("job", strangers, matches, {"t": holder} if holder else {})
    return found, {anchor: (fault.code, fault.reason) for anchor, fault in faults.items()}


T, SOFT = Match("EmployeeId", ("t",)), Match("UserPrincipalName", ("t",), soft=True)
SAME = "has the same 'EmployeeId' as"


@pytest.mark.parametrize(
    ("holder", "match", "found", "said"),
    [
        (None, T, True, None),
        (None, SOFT, True, None),
        (Holder("job", "ann", "Ann", "provisioned"), T, True, None),
        (Holder("job", "bob", "Bob", "provisioned"), T, False, f"'Ann' {SAME} 'Bob': '7'"),
        (Holder("other", "ann", "Ann", "provisioned"), T, False, f"'Ann' {SAME} 'Ann' of the job 'other': '7'"),
        (Holder("job", "bob", "Bob", "deprovisioned"), T, False, None),
        (Holder("job", "bob", "Bob", "provisioned"), SOFT, False, None),
        (None, Match("EmployeeId", ("t", "u")), False, "'Ann' has '7' for 'EmployeeId', and so have 2 objects"),
    ],
)
def test_one_stranger(holder: Holder | None, match: Match, found: bool, said: str | None) -> None:
    """Nobody gets what another live entry has, and nothing where there are several."""
    got, faults = settle(stranger("ann", EmployeeId="7"), holder=holder, ann=match)
    assert got == ({"ann": "t"} if found else {})
    if said is None:
        assert faults == {}
    else:
        assert faults["ann"][0] == ("DuplicateTargetEntries" if "2 objects" in said else "DuplicateSourceEntries")
        assert faults["ann"][1].startswith(said)


@pytest.mark.parametrize("matches", [{}, {"ann": T, "bob": T}])
def test_two_strangers_with_one_id(matches: dict[str, Match]) -> None:
    """The lowest anchor goes first, whether or not there is an object yet; the other learns whom it met."""
    found, faults = settle(stranger("bob", EmployeeId="A7"), stranger("ann", EmployeeId="a7"), **matches)
    assert found == ({"ann": "t"} if matches else {})
    assert faults.keys() == {"bob"}
    assert faults["bob"][1].startswith(f"'Bob' {SAME} 'Ann': 'A7'")


def test_source_anchors_differ_in_case() -> None:
    """They are base64: what differs in case is another anchor."""
    assert settle(stranger("ann", (), SourceAnchor="YQ=="), stranger("bob", (), SourceAnchor="Yq==")) == ({}, {})
    _, faults = settle(stranger("ann", (), SourceAnchor="YQ=="), stranger("bob", (), SourceAnchor="YQ=="))
    assert faults["bob"][0] == "DuplicateSourceEntries"


def test_two_strangers_with_one_name() -> None:
    """The object is the first one's; the other goes on, and meets the target's own rules."""
    soft = {"ann": SOFT, "bob": SOFT}
    assert settle(stranger("ann", EmployeeId="1"), stranger("bob", EmployeeId="2"), **soft) == ({"ann": "t"}, {})


def test_types_have_ids_of_their_own() -> None:
    """A user and a group may have the same."""
    team = stranger("bob", EmployeeId="7")
    team = msgspec.structs.replace(team, rule=msgspec.structs.replace(team.rule, target_type="Group"))
    assert settle(stranger("ann", EmployeeId="7"), team) == ({}, {})


def test_a_value_for_one_matching_attribute_is_needed() -> None:
    """For any of them; without matching attributes, none."""
    _, faults = settle(stranger("ann", ("EmployeeId", "Mail"), Title="Clerk"))
    assert faults["ann"] == (
        "ImportSkipped",
        "'Ann' has no value for 'EmployeeId' or 'Mail', by which its object is looked for.",
    )
    assert settle(stranger("ann", ("EmployeeId", "Mail"), Mail="a@b.test")) == ({}, {})
    assert settle(stranger("ann", ())) == ({}, {})


# Through cycles -------------------------------------------------------------------------------------------------------

ANN, BOB, CAT = sorted(anchor_of(i) for i in (1, 2, 3))


async def cloud(world: World, name: str, **properties: Any) -> str:
    """A user that was made in the cloud."""
    id = uuid4()
    async with world.database.transaction() as conn:
        told = {"userPrincipalName": f"{name}@contoso.test", "displayName": name, **properties}
        await administration.create_user(conn, world.tenant, id, told, world.clock())
    return str(id)


async def match_by(world: World, *targets: str) -> None:
    """Let people be matched by these attributes, in this order."""

    def change(document: Document) -> None:
        for each in mapping(document)["attributeMappings"]:
            each["matchingPriority"] = 0
        for priority, target in enumerate(targets, 1):
            row(mapping(document), target)["matchingPriority"] = priority

    await reshape(world, change)


async def failures(world: World) -> dict[str, tuple[str, str]]:
    """Code and reason of failed events by source anchor."""
    return {
        e["source"]: (e["reason"], e["detail"].fault.reason) for e in await world.events() if e["status"] == "failure"
    }


async def test_objects_are_taken_over_in_the_order_of_priorities(world: World) -> None:
    """By the first attribute that finds one; who is taken over keeps the id."""
    await match_by(world, "EmployeeId", "Mail")
    seven = await cloud(world, "seven", employeeId="7", mail="other@contoso.test")
    mail = await cloud(world, "mail", mail="ann@contoso.test")
    world.person(ANN, "Ann Lee", employeeID="7", mail="new@contoso.test")
    world.person(BOB, "Bob Ray", mail="ann@contoso.test")
    await world.cycle()
    assert {name: user["id"] for name, user in (await world.users()).items()} == {key(ANN): seven, key(BOB): mail}


async def test_one_guid_for_two_entries_is_told_apart(world: World) -> None:
    """Of two entries with one mS-DS-ConsistencyGuid one is provisioned, in the same page or later; the other fails."""
    world.person(ANN, "Ann Lee", mS_DS_ConsistencyGuid=bytes(16))
    world.person(BOB, "Bob Ray", mS_DS_ConsistencyGuid=bytes(16))
    await world.cycle()
    assert len(await world.users()) == 1
    code, reason = (await failures(world))[BOB]
    assert code == "DuplicateSourceEntries"
    assert reason.startswith("'Bob Ray' has the same 'SourceAnchor' as 'Ann Lee': 'AAAAAAAAAAAAAAAAAAAAAA=='")
    world.person(CAT, "Cat Poe", mS_DS_ConsistencyGuid=bytes(16))
    await world.cycle()
    assert "as 'Ann Lee'" in (await failures(world))[CAT][1]
    world.directory.set(BOB, "mS-DS-ConsistencyGuid", bytes(15) + b"\x01")
    await world.cycle()
    assert {user["displayName"] for user in (await world.users()).values()} == {"Ann Lee", "Bob Ray"}


async def test_several_objects_match(world: World) -> None:
    """None is taken, none is made, and the reason says how many there are."""
    await match_by(world, "EmployeeId")
    for name in ("one", "two"):
        await cloud(world, name, employeeId="7")
    world.person(ANN, "Ann Lee", employeeID="7")
    await world.cycle()
    assert (await failures(world))[ANN][0] == "DuplicateTargetEntries"
    made = "select count(*) from directory_objects where tenant = %s and properties ->> 'employeeId' = '7'"
    assert await world.rows(made) == [(2,)]


async def test_entry_without_a_matching_value_is_left_alone(world: World) -> None:
    """With its reason, once and without an escrow; it is provisioned as soon as it has one."""
    await match_by(world, "EmployeeId")
    world.person(ANN, "Ann Lee")
    await world.cycle()
    await world.restart("Watermark")
    await world.cycle()
    (event,) = await world.events()
    assert (event["action"], event["status"], event["reason"]) == ("other", "skipped", "ImportSkipped")
    assert "'EmployeeId', by which its object is looked for" in event["detail"].fault.reason
    assert [(step.code, step.details.get("SkipReason")) for step in event["detail"].steps] == [
        ("EntryImportAdd", None),
        ("EntrySynchronizationScoping", None),
        ("EntrySynchronizationSkip", "ImportSkipped"),
    ]
    assert await world.rows("select reason from due where tenant = %s") == []
    assert await world.users() == {}
    world.directory.set(ANN, "employeeID", "7")
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    world.directory.set(ANN, "employeeID")
    await world.cycle()
    assert "employeeId" not in (await world.users())[key(ANN)]


async def test_match_that_has_another_source_anchor(world: World) -> None:
    """It belonged to another entry: it is not taken over."""
    await match_by(world, "EmployeeId")
    await cloud(world, "seven", employeeId="7", onPremisesImmutableId="somebody")
    world.person(ANN, "Ann Lee", employeeID="7")
    await world.cycle()
    assert (await failures(world))[ANN][0] == "InvalidSoftMatch"
    (user,) = (await world.users()).values()
    assert (user["onPremisesImmutableId"], user["displayName"]) == ("somebody", "seven")


async def test_objects_of_a_job_that_is_gone_are_found_again(world: World) -> None:
    """Without its link an object is matched by its identifier, and keeps its id."""
    world.person(ANN, "Ann Lee")
    await world.cycle()
    (before,) = (await world.users()).values()
    async with world.database.transaction() as conn:
        await links.forget(conn, world.tenant, world.job, [ANN])
    await world.restart()
    await world.cycle()
    (after,) = (await world.users()).values()
    assert after["id"] == before["id"]
    rows = await world.rows("select state, target::text from links where tenant = %s")
    assert rows == [("provisioned", before["id"])]
