"""The tenant directory as a target, on real PostgreSQL."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from dirbridge.contract.export import Action, Export, Outcome, Reference, TargetValue
from dirbridge.store import directory, tenant_settings, unique
from dirbridge.store.database import ValueRejected, savepoint
from dirbridge.store.unit import Unit
from dirbridge.tenant import administration, rules
from dirbridge.tenant.target import TenantTarget
from tests.engine.world import SEALING, World

TARGET = TenantTarget(uuid4, SEALING)
Values = dict[str, TargetValue]


def person(name: str, **more: TargetValue) -> Values:
    return {
        "UserPrincipalName": f"{name}@contoso.test",
        "DisplayName": name.title(),
        "SourceAnchor": f"anchor-{name}",
        "AccountEnabled": True,
        **more,
    }


def create(anchor: str, values: Values, object_type: str = "User") -> Export:
    return Export(anchor, object_type, Action.CREATE, None, values)


def update(anchor: str, target: str | None, *, restore: bool = False, **changes: TargetValue) -> Export:
    return Export(anchor, "User", Action.UPDATE, target, changes, restore=restore)


def delete(anchor: str, target: str | None) -> Export:
    return Export(anchor, "User", Action.DELETE, target, {})


async def export(world: World, *batch: Export) -> list[Outcome]:
    async with world.database.transaction() as conn:
        return await TARGET.export(Unit(conn, world.tenant, world.job, world.clock()), batch)


async def read(world: World, *targets: str | None) -> dict[str, Any]:
    async with world.database.transaction() as conn:
        unit = Unit(conn, world.tenant, world.job, world.clock())
        return {k: dict(v) for k, v in (await TARGET.read(unit, [t for t in targets if t])).items()}


async def find(
    world: World, *wanted: tuple[str, Values], object_type: str = "User", by: tuple[str, ...] = ()
) -> dict[str, str]:
    """What was found for each; of several, their anchors with commas between."""
    async with world.database.transaction() as conn:
        unit = Unit(conn, world.tenant, world.job, world.clock())
        matches = await TARGET.find(unit, object_type, wanted, by)
    return {anchor: ",".join(match.targets) for anchor, match in matches.items()}


async def held(world: World) -> set[tuple[str, str, str]]:
    return set(
        await world.rows(
            """select kind, value, owner::text from unique_values
               where tenant = %s and owner not in (select id from synchronization_accounts)"""
        )
    )


async def made(world: World, name: str, **more: TargetValue) -> str:
    (outcome,) = await export(world, create(f"e-{name}", person(name, **more)))
    assert outcome.error is None
    return str(outcome.target)


async def test_create_reads_back_as_it_was_asked(world: World) -> None:
    """What was written is what is read, so that the next comparison finds nothing."""
    values = person("ann", Title="Clerk", ProxyAddresses=("SMTP:ann@contoso.test",), Alias="ann.lee")
    (outcome,) = await export(world, create("e1", values))
    assert (outcome.anchor, outcome.error, outcome.notes, outcome.freed) == ("e1", None, (), ())
    assert await read(world, outcome.target) == {outcome.target: values}
    user = (await world.users())["anchor-ann"]
    assert user["jobTitle"] == "Clerk"
    assert user["onPremisesSyncEnabled"] is True
    assert await held(world) == {
        ("userPrincipalName", "ann@contoso.test", outcome.target),
        ("address", "ann@contoso.test", outcome.target),
    }


async def test_update_and_clear(world: World) -> None:
    """Only what is named changes; None clears."""
    ann = await made(world, "ann", Title="Clerk", City="Rome", Mail="ann@contoso.test")
    (outcome,) = await export(world, update("e", ann, Title="Boss", City=None, Mail="lee@contoso.test"))
    assert outcome.freed == ("address:ann@contoso.test",)
    assert (await read(world, ann))[ann] == person("ann", Title="Boss", Mail="lee@contoso.test")
    assert ("address", "lee@contoso.test", ann) in await held(world)


async def test_object_of_another_tenant_is_out_of_reach(world: World) -> None:
    """Neither read nor matched nor changed."""
    ann = await made(world, "ann")
    other = World(world.database)
    async with world.database.transaction() as conn:
        await conn.execute(
            "insert into tenants (id, name, initial_domain, base_url) values (%s, 'Other', 'other.test', 'x')",
            (other.tenant,),
        )
    assert await read(other, ann) == {}
    assert await find(other, ("e", person("ann"))) == {}


async def test_delete_and_restore_keep_the_id(world: World) -> None:
    """In the recycle bin an object holds nothing and is told as deleted; it comes back as it was asked."""
    ann, bob = await made(world, "ann"), await made(world, "bob")
    async with world.database.transaction() as conn:
        unit = Unit(conn, world.tenant, world.job, world.clock())
        await TARGET.refer(unit, [Reference(ann, "Manager", bob), Reference(bob, "Manager", ann)], [])
    (outcome,) = await export(world, delete("e", ann))
    assert outcome.freed == ("userPrincipalName:ann@contoso.test",)
    assert await world.references("manager") == set()
    assert {owner for _, _, owner in await held(world)} == {bob}
    assert (await read(world, ann))[ann] == person("ann", IsSoftDeleted=True)
    assert await find(world, ("e", person("ann"))) == {"e": ann}
    (outcome,) = await export(world, update("e", ann, restore=True, Title="Clerk"))
    assert outcome.target == ann
    assert (await read(world, ann))[ann] == person("ann", Title="Clerk")
    assert ("userPrincipalName", "ann@contoso.test", ann) in await held(world)
    again = await export(world, delete("e", ann), delete("e2", bob))
    assert [one.error for one in again] == [None, None]
    again = await export(world, delete("e", ann))
    assert again[0].error is None
    assert await held(world) == set()


async def test_restore_whose_name_was_taken_fails_and_stays_deleted(world: World) -> None:
    """The reason names who has it now."""
    ann = await made(world, "ann")
    await export(world, delete("e", ann))
    await export(world, create("e2", person("ann", SourceAnchor="another", DisplayName="New Ann")))
    (outcome,) = await export(world, update("e", ann, restore=True))
    assert outcome.error is not None
    assert outcome.collision == "userPrincipalName:ann@contoso.test"
    assert (await read(world, ann))[ann]["IsSoftDeleted"] is True


# Matching -------------------------------------------------------------------------------------------------------------


async def _cloud(world: World, kind: str = "user", **properties: Any) -> str:
    """An object that was made in the cloud."""
    id = uuid4()
    async with world.database.transaction() as conn:
        if kind == "user":
            await administration.create_user(conn, world.tenant, id, properties, world.clock())
        else:
            await administration.create_group(conn, world.tenant, id, properties, world.clock())
    return str(id)


async def test_hard_match(world: World) -> None:
    """By source anchor, whoever made the object."""
    cloud = await _cloud(world, userPrincipalName="old@contoso.test", onPremisesImmutableId="anchor-ann")
    assert await find(world, ("e", person("ann"))) == {"e": cloud}
    assert await find(world, ("e", person("ann")), object_type="Group") == {}


async def test_hard_match_prefers_the_live_object(world: World) -> None:
    """Over one of the same anchor in the recycle bin."""
    gone = await made(world, "ann")
    await export(world, delete("e", gone))
    live = await made(world, "ann")
    assert await find(world, ("e", person("ann"))) == {"e": live}


@pytest.mark.parametrize(
    ("properties", "values"),
    [
        ({"userPrincipalName": "Ann@contoso.test"}, {}),
        (
            {"userPrincipalName": "x@contoso.test", "mail": "office@contoso.test"},
            {"ProxyAddresses": ("SMTP:Office@contoso.test",)},
        ),
        (
            {"userPrincipalName": "x@contoso.test", "proxyAddresses": ["smtp:office@contoso.test"]},
            {"ProxyAddresses": ("smtp:b@contoso.test", "SMTP:office@contoso.test")},
        ),
    ],
)
async def test_soft_match(world: World, properties: dict[str, Any], values: Values) -> None:
    """By sign-in name or primary address, and the object becomes ours."""
    cloud = await _cloud(world, **properties)
    wanted = person("ann", **values)
    assert await find(world, ("e", wanted)) == {"e": cloud}
    (outcome,) = await export(world, update("e", cloud, **wanted))
    assert outcome.error is None
    assert (await read(world, cloud))[cloud].items() >= wanted.items()
    assert await find(world, ("e", wanted)) == {"e": cloud}


async def test_no_soft_match(world: World) -> None:
    """Not by a secondary address, not with a synchronized object, not with one of another kind, not twice."""
    await _cloud(world, userPrincipalName="x@contoso.test", mail="office@contoso.test")
    assert await find(world, ("e", person("ann", ProxyAddresses=("smtp:office@contoso.test",)))) == {}
    await made(world, "bob")
    assert await find(world, ("e", person("bob", SourceAnchor="another"))) == {}
    group = await _cloud(world, "group", displayName="Team", mail="team@contoso.test")
    team: Values = {"DisplayName": "Team", "SourceAnchor": "t", "ProxyAddresses": ("SMTP:team@contoso.test",)}
    assert await find(world, ("e", {**person("cat"), "ProxyAddresses": ("SMTP:team@contoso.test",)})) == {}
    assert await find(world, ("e", team), object_type="Group") == {"e": group}
    cloud = await _cloud(world, userPrincipalName="dan@contoso.test", mail="dan.office@contoso.test")
    found = await find(
        world,
        ("e1", person("dan")),
        ("e2", person("eve", ProxyAddresses=("SMTP:dan.office@contoso.test",))),
    )
    assert found == {"e1": cloud, "e2": cloud}


async def _switch(world: World, feature: str, on: bool) -> None:
    async with world.database.transaction() as conn:
        document = {"features": {feature: on}}
        await tenant_settings.put(conn, world.tenant, tenant_settings.ON_PREMISES, document)


async def test_soft_match_that_is_switched_off(world: World) -> None:
    """Not by sign-in name only, or not at all; what is synchronized is found by its anchor as ever."""
    by_name = await _cloud(world, userPrincipalName="ann@contoso.test")
    by_address = await _cloud(world, userPrincipalName="x@contoso.test", mail="bob.office@contoso.test")
    ours = await made(world, "cat")
    wanted = (
        ("a", person("ann")),
        ("b", person("bob", ProxyAddresses=("SMTP:bob.office@contoso.test",))),
        ("c", person("cat")),
    )
    assert await find(world, *wanted) == {"a": by_name, "b": by_address, "c": ours}
    await _switch(world, "softMatchOnUpnEnabled", on=False)
    assert await find(world, *wanted) == {"b": by_address, "c": ours}
    await _switch(world, "blockSoftMatchEnabled", on=True)
    assert await find(world, *wanted) == {"c": ours}


async def test_hard_match_that_is_switched_off(world: World) -> None:
    """An object of the cloud is not taken over by its anchor, also not in the bin; a synchronized one still is."""
    await _cloud(world, userPrincipalName="old@contoso.test", onPremisesImmutableId="anchor-ann")
    await _switch(world, "blockCloudObjectTakeoverThroughHardMatchEnabled", on=True)
    ours = await made(world, "bob")
    wanted = (("a", person("ann", UserPrincipalName="new@contoso.test")), ("b", person("bob")))
    assert await find(world, *wanted) == {"b": ours}
    await export(world, delete("b", ours))
    assert await find(world, *wanted) == {"b": ours}


async def test_matching_attributes(world: World) -> None:
    """Each is asked in its order, by whatever property shows it; the first that finds anything decides."""
    one = await _cloud(world, userPrincipalName="one@contoso.test", employeeId="7", businessPhones=["+1 (2)"])
    two = await _cloud(world, userPrincipalName="two@contoso.test", employeeId="Ab", countryCode=276, mail="o@b.test")
    more = {"onPremisesExtensionAttributes": {"extensionAttribute3": "Ümlaut"}, "jobTitle": "Clerk"}
    six = await _cloud(world, userPrincipalName="six@contoso.test", onPremisesImmutableId="guid-six", **more)
    twin = await _cloud(world, userPrincipalName="twin@contoso.test", jobTitle="CLERK")
    ann = person("ann")
    for by, values, found in (
        (("EmployeeId",), {"EmployeeId": "7"}, one),
        (("EmployeeId",), {"EmployeeId": "aB"}, two),
        (("EmployeeId",), {"EmployeeId": "8"}, None),
        (("EmployeeId",), {}, None),
        (("EmployeeId", "Title"), {"EmployeeId": "8", "Title": "clerk"}, ",".join(sorted([six, twin]))),
        (("EmployeeId", "Title"), {"EmployeeId": "7", "Title": "clerk"}, one),
        (("TelephoneNumber",), {"TelephoneNumber": "+1 (2)"}, one),
        (("CountryCode",), {"CountryCode": 276}, two),
        (("Mail",), {"Mail": "O@b.test"}, two),
        (("UserPrincipalName",), {"UserPrincipalName": "Two@contoso.test"}, two),
        (("ExtensionAttribute3",), {"ExtensionAttribute3": "ümlaut"}, six),
        (("onPremisesObjectIdentifier",), {"onPremisesObjectIdentifier": "guid-six"}, six),
        (("onPremisesObjectIdentifier",), {"onPremisesObjectIdentifier": "GUID-six"}, None),
        (("SourceAnchor",), {"SourceAnchor": "guid-six"}, six),
        (("EmployeeId",), {"EmployeeId": "8", "SourceAnchor": "guid-six"}, six),
    ):
        wanted: Values = {**ann, **values}
        assert await find(world, ("e", wanted), by=by) == ({} if found is None else {"e": found}), (by, values)
    await export(world, delete("e", one))
    assert await find(world, ("e", {**ann, "EmployeeId": "7"}), by=("EmployeeId",)) == {}


# Names ----------------------------------------------------------------------------------------------------------------


async def test_unverified_domain_is_shown_otherwise_and_remembered(world: World) -> None:
    """The user signs in by nickname and initial domain; the next comparison sees what was asked."""
    wanted = {**person("ann"), "UserPrincipalName": "ann@fabrikam.test"}
    (outcome,) = await export(world, create("e", wanted))
    assert len(outcome.notes) == 1
    assert "'fabrikam.test'" in outcome.notes[0]
    user = (await world.users())["anchor-ann"]
    assert user["userPrincipalName"] == "ann@contoso.dirbridge.local"
    assert (await read(world, outcome.target))[str(outcome.target)] == wanted
    # Another change leaves the name alone; one to a verified domain shows it.
    (again,) = await export(world, update("e", outcome.target, Title="Clerk"))
    assert again.notes == ()
    assert (await world.users())["anchor-ann"]["userPrincipalName"] == "ann@contoso.dirbridge.local"
    await export(world, update("e", outcome.target, UserPrincipalName="ann@contoso.test"))
    assert (await world.users())["anchor-ann"]["userPrincipalName"] == "ann@contoso.test"
    assert await held(world) == {("userPrincipalName", "ann@contoso.test", outcome.target)}


async def test_nickname_is_made_once(world: World) -> None:
    """It follows the first name, keeps to it, and gives way to one from the source."""
    ann = await made(world, "ann")
    assert (await world.users())["anchor-ann"]["mailNickname"] == "ann"
    assert "Alias" not in (await read(world, ann))[ann]
    await export(world, update("e", ann, UserPrincipalName="lee@contoso.test"))
    assert (await world.users())["anchor-ann"]["mailNickname"] == "ann"
    await export(world, update("e", ann, Alias="al"))
    assert (await world.users())["anchor-ann"]["mailNickname"] == "al"
    assert (await read(world, ann))[ann]["Alias"] == "al"
    await export(world, update("e", ann, Alias=None))
    assert (await world.users())["anchor-ann"]["mailNickname"] == "lee"
    assert "Alias" not in (await read(world, ann))[ann]


# Values that only one may have ----------------------------------------------------------------------------------------


async def test_taken_value_fails_its_export_alone(world: World) -> None:
    """The holder keeps it and is named; the others of the batch go on."""
    ann = await made(world, "ann", Mail="office@contoso.test")
    outcomes = await export(world, create("e2", person("bob", Mail="OFFICE@contoso.test")), create("e3", person("cat")))
    lost, created = outcomes
    assert created.error is None
    assert lost.error is not None
    assert (lost.error.code, lost.collision) == ("AttributeValueMustBeUnique", "address:office@contoso.test")
    assert lost.error.details == {
        "attribute": "address", "value": "office@contoso.test", "holder": ann, "holderName": "ann@contoso.test",
    }  # fmt: skip
    assert set(await world.users()) == {"anchor-ann", "anchor-cat"}


async def test_lowest_anchor_wins_whatever_the_order(world: World) -> None:
    """Of two newcomers in one batch; the other learns its name."""
    outcomes = await export(
        world,
        create("e9", person("bob", Mail="office@contoso.test")),
        create("e1", person("ann", Mail="office@contoso.test")),
    )
    assert [one.error is None for one in outcomes] == [False, True]
    assert outcomes[0].error is not None
    assert "'ann@contoso.test'" in outcomes[0].error.reason


async def test_values_change_hands_in_a_ring(world: World) -> None:
    """Three users pass their addresses on, in one batch."""
    names = ["ann", "bob", "cat"]
    ids = [await made(world, name, Mail=f"{name}@contoso.test") for name in names]
    outcomes = await export(world, *(update(f"e{i}", ids[i], Mail=f"{names[i - 1]}@contoso.test") for i in range(3)))
    assert [one.error for one in outcomes] == [None] * 3
    assert {(v, o) for k, v, o in await held(world) if k == "address"} == {
        (f"{names[i - 1]}@contoso.test", ids[i]) for i in range(3)
    }


async def test_loser_of_an_update_keeps_what_it_had(world: World) -> None:
    """Nothing of the failed export is written."""
    await made(world, "ann", Mail="ann@contoso.test")
    bob = await made(world, "bob", Mail="bob@contoso.test", Title="Clerk")
    (outcome,) = await export(world, update("e", bob, Mail="ann@contoso.test", Title="Boss"))
    assert outcome.error is not None
    assert (await read(world, bob))[bob] == person("bob", Mail="bob@contoso.test", Title="Clerk")
    assert ("address", "bob@contoso.test", bob) in await held(world)


async def test_values_that_the_records_have_wrong_are_put_right(world: World) -> None:
    """A value that is recorded for its owner already, or for nobody, is neither lost nor waited for."""
    ann, bob = await made(world, "ann", Mail="ann@contoso.test"), await made(world, "bob")
    async with world.database.transaction() as conn:
        await conn.execute("delete from unique_values where tenant = %s and kind = 'address'", (world.tenant,))
        await conn.execute(
            "insert into unique_values (tenant, kind, value, owner) values (%s, 'address', 'new@contoso.test', %s)",
            (world.tenant, UUID(bob)),
        )
    outcomes = await export(
        world,
        update("e1", ann, ProxyAddresses=("smtp:more@contoso.test",)),
        update("e2", bob, Mail="new@contoso.test"),
    )
    assert [one.error for one in outcomes] == [None, None]
    assert {(v, o) for k, v, o in await held(world) if k == "address"} == {
        ("ann@contoso.test", ann), ("more@contoso.test", ann), ("new@contoso.test", bob),
    }  # fmt: skip


async def test_value_that_the_database_refuses_is_named_and_undone(world: World) -> None:
    """It fails its savepoint; what was written before stays."""
    incompressible = "".join(chr(0x4E00 + i * 7) for i in range(2900))
    async with world.database.transaction() as conn:
        unit = Unit(conn, world.tenant, world.job, world.clock())
        await TARGET.export(unit, [create("e1", person("ann"))])
        with pytest.raises(ValueRejected):
            async with savepoint(conn):
                await TARGET.export(unit, [create("e2", person("bob", DisplayName=incompressible))])
        await TARGET.export(unit, [create("e3", person("cat"))])
    assert set(await world.users()) == {"anchor-ann", "anchor-cat"}
    assert len(await held(world)) == 2


async def test_target_that_is_gone_is_made_anew(world: World) -> None:
    """An update of an object that was removed for good creates one."""
    (outcome,) = await export(world, update("e", str(uuid4()), **person("ann")))
    assert outcome.error is None
    assert (await world.users())["anchor-ann"]["id"] == outcome.target


async def test_groups_have_what_every_group_has(world: World) -> None:
    """Mail-enabled where it has an address; no sign-in name, whatever it is called."""
    (outcome,) = await export(
        world,
        create(
            "g",
            {"DisplayName": "Sales", "SourceAnchor": "g", "Mail": "s@contoso.test", "SecurityEnabled": False},
            "Group",
        ),
    )
    group = (await world.groups())["g"]
    shown = {name: group[name] for name in ("displayName", "mailEnabled", "securityEnabled", "groupTypes")}
    assert shown == {"displayName": "Sales", "mailEnabled": True, "securityEnabled": False, "groupTypes": []}
    assert await held(world) == {("address", "s@contoso.test", outcome.target)}


async def test_references_are_added_and_taken_away_by_sets(world: World) -> None:
    """Twice is as good as once, in both directions."""
    ann, bob = await made(world, "ann"), await made(world, "bob")
    reference = Reference(ann, "Member", bob)
    async with world.database.transaction() as conn:
        unit = Unit(conn, world.tenant, world.job, world.clock())
        await TARGET.refer(unit, [reference, reference], [])
        await TARGET.refer(unit, [reference], [reference])
    assert await world.references("members") == {("anchor-ann", "anchor-bob")}
    async with world.database.transaction() as conn:
        unit = Unit(conn, world.tenant, world.job, world.clock())
        await TARGET.refer(unit, [], [reference, reference])
        assert await directory.verified_domains(conn, world.tenant) == (
            frozenset({"contoso.test", "contoso.dirbridge.local"}),
            "contoso.dirbridge.local",
        )
    assert await world.references("members") == set()


# Contacts -------------------------------------------------------------------------------------------------------------

PAT: Values = {
    "DisplayName": "Pat",
    "SourceAnchor": "anchor-pat",
    "Alias": "pat",
    "Mail": "pat@partner.test",
    "ProxyAddresses": ("SMTP:pat@partner.test",),
    "TelephoneNumber": "+44 1",
    "MSExchHideFromAddressLists": False,
}


async def test_contact_reads_back_as_it_was_asked(world: World) -> None:
    """Nothing is made up for it, nothing is lost; no sign-in name, and its address is its own in any domain."""
    (outcome,) = await export(world, create("c", PAT, "Contact"))
    assert (outcome.error, outcome.notes) == (None, ())
    assert await read(world, outcome.target) == {outcome.target: PAT}
    assert await held(world) == {("address", "pat@partner.test", outcome.target)}
    assert await find(world, ("c", PAT), object_type="Contact") == {"c": outcome.target}
    assert await find(world, ("c", PAT)) == {}


async def test_deleted_contact_is_gone_with_all_it_had(world: World) -> None:
    """No row, no value, no reference on either side; what it held is free at once. Again is no fault."""
    ann = await made(world, "ann")
    (outcome,) = await export(world, create("c", PAT, "Contact"))
    pat = str(outcome.target)
    async with world.database.transaction() as conn:
        unit = Unit(conn, world.tenant, world.job, world.clock())
        await TARGET.refer(unit, [Reference(ann, "Manager", pat), Reference(pat, "Manager", ann)], [])
    gone = Export("c", "Contact", Action.DELETE, pat, {})
    (outcome,) = await export(world, gone)
    assert (outcome.error, outcome.freed) == (None, ("address:pat@partner.test",))
    assert await read(world, pat) == {}
    assert await find(world, ("c", PAT), object_type="Contact") == {}
    assert await world.rows("select owner from directory_references where tenant = %s") == []
    assert await held(world) == {("userPrincipalName", "ann@contoso.test", ann)}
    (outcome,) = await export(world, gone)
    assert outcome.error is None
    (outcome,) = await export(world, create("e", person("bob", Mail="pat@partner.test")))
    assert outcome.error is None


async def test_delete_of_several_types_at_once(world: World) -> None:
    """Each goes as its type does: users and groups to the recycle bin, contacts for good."""
    ann = await made(world, "ann")
    team, pat = await export(
        world, create("g", {"DisplayName": "Team", "SourceAnchor": "t"}, "Group"), create("c", PAT, "Contact")
    )
    targets = {"User": ann, "Group": str(team.target), "Contact": str(pat.target)}
    await export(world, *(Export(kind, kind, Action.DELETE, id, {}) for kind, id in targets.items()))
    left = await read(world, *targets.values())
    assert {id: values["IsSoftDeleted"] for id, values in left.items()} == {ann: True, str(team.target): True}


async def test_contact_made_in_the_cloud_is_matched_by_its_primary_address_only(world: World) -> None:
    """Neither by mail nor by a secondary address, and never with a user or group of that address."""
    cloud, properties = uuid4(), {"displayName": "Pat", "mail": "pat@partner.test"}
    async with world.database.transaction() as conn:
        row = directory.ObjectRow(cloud, "contact", None, None, properties, {})
        await directory.insert(conn, world.tenant, [row], world.clock())
        await unique.claim(conn, world.tenant, {(key, cloud) for key in rules.claims("contact", properties)})
    await _cloud(world, userPrincipalName="x@contoso.test", mail="office@contoso.test")
    for address, matched in (
        ("SMTP:Pat@partner.test", True),
        ("smtp:pat@partner.test", False),
        ("SMTP:office@contoso.test", False),
    ):
        wanted: Values = {"SourceAnchor": "p", "Mail": "pat@partner.test", "ProxyAddresses": (address,)}
        assert await find(world, ("c", wanted), object_type="Contact") == ({"c": str(cloud)} if matched else {})
