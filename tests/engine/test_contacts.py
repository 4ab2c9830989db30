"""Contacts: who is of use to the cloud, what becomes of one that goes, and what it shares with people."""

from __future__ import annotations

from typing import Any

import pytest

from dirbridge.connectors.memory.directory import anchor_of
from tests.engine import model
from tests.engine.world import World, key

ANN, PAT, QUIN, TEAM, STAYS = (anchor_of(number) for number in range(5))


@pytest.fixture
async def world(world: World) -> World:
    """With a contact that stays: the last one of a type never goes without a person's word."""
    world.partner(STAYS, "Stays")
    await world.cycle()
    return world


async def contacts(world: World) -> dict[str, str]:
    """The ids of the contacts that are not there all the time."""
    return {immutable: found["id"] for immutable, found in (await world.contacts()).items() if immutable != key(STAYS)}


async def log(world: World, anchor: str) -> list[dict[str, Any]]:
    return [event for event in await world.events() if event["source"] == anchor]


async def settled(world: World) -> None:
    """The tenant is the directory, and a further cycle writes nothing."""
    world.ever_gone = {ANN, PAT, QUIN}  # type: ignore[attr-defined]
    await model.check(world)
    before = await world.fingerprint()
    await world.cycle()
    assert await world.fingerprint() == before


async def test_contact_is_created_with_what_it_has(world: World) -> None:
    """Names, addresses and phones as a person has them; a nickname even without one; nothing of an account."""
    world.partner(
        PAT,
        "Pat Partner",
        givenName="Pat",
        sn="Partner",
        company="Partner Ltd",
        telephoneNumber="+44 1",
        proxyAddresses=("SMTP:pat@partner.test", "smtp:p@partner.test"),
        mail="pat@partner.test",
    )
    await world.cycle()
    found = (await world.contacts())[key(PAT)]
    for name in ("id", "onPremisesLastSyncDateTime"):
        found.pop(name)
    assert found == {
        "onPremisesObjectIdentifier": key(PAT),
        "onPremisesImmutableId": key(PAT),
        "onPremisesSyncEnabled": True,
        "commonName": "Pat Partner",
        "displayName": "Pat Partner",
        "mailNickname": "Pat Partner",
        "givenName": "Pat",
        "surname": "Partner",
        "companyName": "Partner Ltd",
        "businessPhones": ["+44 1"],
        "mail": "pat@partner.test",
        "proxyAddresses": ["SMTP:pat@partner.test", "smtp:p@partner.test"],
        "targetAddress": "SMTP:pat.partner@partner.test",
    }
    assert await world.users() == {}
    await settled(world)


@pytest.mark.parametrize(
    ("attributes", "comes"),
    [
        ({"mail": "pat@partner.test"}, True),
        ({"proxyAddresses": "smtp:pat@partner.test"}, True),
        ({"mail": ()}, False),
        ({"mail": "pat"}, False),
        ({"mail": (), "proxyAddresses": "X400:c=US;a= ;p=Partner"}, False),
        ({"mail": (), "proxyAddresses": "sip:pat@partner.test"}, False),
        ({"isCriticalSystemObject": "TRUE"}, False),
        ({"mailNickname": "CAS_{4f1c}"}, False),
        ({"mailNickname": "CAS_pat"}, True),
        ({"displayName": "Pat (MSOL)", "msExchHideFromAddressLists": "TRUE"}, False),
        ({"displayName": "Pat (MSOL)"}, True),
        ({"msExchHideFromAddressLists": "TRUE"}, True),
    ],
)
async def test_contact_must_be_one_that_can_be_written_to(
    world: World, attributes: dict[str, str | tuple[str, ...]], comes: bool
) -> None:
    """A mail address, in either attribute; and none of the default exclusions."""
    world.partner(PAT, "Pat", **attributes)
    if attributes.get("mail") == ():
        world.directory.set(PAT, "mail")
    await world.cycle()
    assert set(await contacts(world)) == ({key(PAT)} if comes else set())
    (event,) = await log(world, PAT)
    assert (event["action"], event["status"]) == (("create", "success") if comes else ("other", "skipped"))


async def test_replication_victim_stays(world: World) -> None:
    """The loser of a naming conflict is no contact of its own."""
    world.partner(PAT, "Pat\\0ACNF:342da973-89ec-4db4-84f7-51f07a4899f7")
    await world.cycle()
    assert await contacts(world) == {}


async def test_deleted_contact_leaves_nothing(world: World) -> None:
    """No recycle bin, no unique value, no link: the log says that it is for good; a new one may have its address."""
    world.partner(PAT, "Pat")
    await world.cycle()
    target = (await contacts(world))[key(PAT)]
    world.directory.delete(PAT)
    world.partner(QUIN, "Quin", mail="pat@partner.test")
    await world.cycle()
    assert set(await contacts(world)) == {key(QUIN)}
    assert await world.rows("select id from directory_objects where tenant = %s and id = %s", target) == []
    assert await world.rows("select anchor from links where tenant = %s and anchor = %s", PAT) == []
    (gone,) = [event for event in await log(world, PAT) if event["action"] == "delete"]
    assert (gone["source"], gone["target"], gone["status"]) == (PAT, target, "success")
    assert gone["detail"].steps[-1].details == {"name": "Pat", "type": "Contact", "permanent": "True"}
    await settled(world)


async def test_contact_that_comes_back_is_a_new_one_with_its_references(world: World) -> None:
    """Restored at the source: another id, in the same groups, with its manager and under it whom it managed."""
    world.person(ANN, "Ann Lee")
    world.partner(PAT, "Pat")
    world.partner(QUIN, "Quin")
    world.team(TEAM, "Team")
    world.directory.add_member(TEAM, PAT)
    world.directory.add_member(TEAM, ANN)
    world.directory.set_manager(PAT, ANN)
    world.directory.set_manager(QUIN, PAT)
    await world.cycle()
    assert await world.references("members") == {(key(TEAM), key(PAT)), (key(TEAM), key(ANN))}
    assert await world.references("manager") == {(key(PAT), key(ANN)), (key(QUIN), key(PAT))}
    before = (await contacts(world))[key(PAT)]
    world.directory.delete(PAT)
    await world.cycle()
    assert await world.references("members") == {(key(TEAM), key(ANN))}
    world.directory.restore(PAT, with_links=True)
    await world.cycle()
    assert (await contacts(world))[key(PAT)] != before
    assert await world.references("members") == {(key(TEAM), key(PAT)), (key(TEAM), key(ANN))}
    assert await world.references("manager") == {(key(PAT), key(ANN)), (key(QUIN), key(PAT))}
    await settled(world)


async def test_contact_that_left_scope_comes_back_as_a_new_one(world: World) -> None:
    """Without an address it is deleted and stays known; with one it is made anew, memberships included."""
    world.partner(PAT, "Pat")
    world.team(TEAM, "Team")
    world.directory.add_member(TEAM, PAT)
    await world.cycle()
    before = (await contacts(world))[key(PAT)]
    world.directory.set(PAT, "mail")
    await world.cycle()
    assert await contacts(world) == {}
    assert await world.rows("select state, target from links where tenant = %s and anchor = %s", PAT) == [
        ("deprovisioned", None)
    ]
    await settled(world)
    await world.restart("Full")
    await world.cycle()
    assert await contacts(world) == {}
    world.directory.set(PAT, "mail", "pat@partner.test")
    await world.cycle()
    assert (await contacts(world))[key(PAT)] != before
    assert await world.references("members") == {(key(TEAM), key(PAT))}
    assert [event["action"] for event in await log(world, PAT)] == ["create", "delete", "create"]
    await settled(world)


async def test_contact_out_of_scope_and_deleted_is_forgotten(world: World) -> None:
    """There is nothing left to delete: no event, no link."""
    world.partner(PAT, "Pat")
    await world.cycle()
    world.directory.set(PAT, "mail")
    await world.cycle()
    world.directory.delete(PAT)
    await world.cycle()
    assert await world.rows("select anchor from links where tenant = %s and anchor = %s", PAT) == []
    assert [event["action"] for event in await log(world, PAT)] == ["create", "delete"]
    await settled(world)


async def test_address_of_a_person_is_none_for_a_contact(world: World) -> None:
    """People and contacts share one space of addresses: the second fails and is told who has it."""
    world.person(ANN, "Ann Lee", mail="ann@contoso.test")
    await world.cycle()
    world.partner(
        PAT, "Pat", mail="pat@partner.test", proxyAddresses=("SMTP:pat@partner.test", "smtp:Ann@contoso.test")
    )
    await world.cycle()
    assert await contacts(world) == {}
    (failed,) = await log(world, PAT)
    assert (failed["status"], failed["reason"]) == ("failure", "AttributeValueMustBeUnique")
    assert failed["detail"].fault.reason == "The mail address 'ann@contoso.test' belongs to 'ann.lee@contoso.test'."
    world.directory.set(ANN, "mail", "lee@contoso.test")
    await world.cycle()
    assert set(await contacts(world)) == {key(PAT)}
    await settled(world)


async def test_address_of_a_contact_is_none_for_a_person(world: World) -> None:
    """The other way round as well: the contact, which holds the address, is named."""
    world.partner(PAT, "Pat", mail="shared@contoso.test")
    await world.cycle()
    world.person(ANN, "Ann Lee", mail="shared@contoso.test")
    await world.cycle()
    assert await world.users() == {}
    (failed,) = await log(world, ANN)
    assert failed["detail"].fault.details["holderName"] == "Pat"
    world.directory.delete(PAT)
    await world.cycle()
    assert set(await world.users()) == {key(ANN)}
    await settled(world)


async def test_links_lost_are_found_again(world: World) -> None:
    """With the links forgotten a contact is recognised by its source anchor, and nothing is made twice."""
    world.partner(PAT, "Pat")
    await world.cycle()
    before = await contacts(world)
    await world.restart("ConnectorDataStore")
    await world.cycle()
    assert await contacts(world) == before


async def test_many_contacts_wait_for_a_person(world: World) -> None:
    """The threshold counts contacts by themselves: eleven of twenty are staged, whatever people do."""
    partners = [anchor_of(number) for number in range(100, 120)]
    for number, anchor in enumerate(partners):
        world.partner(anchor, f"Partner {number}")
    world.person(ANN, "Ann Lee")
    await world.cycle()
    for anchor in partners[:11]:
        world.directory.delete(anchor)
    await world.cycle()
    assert len(await contacts(world)) == 20
    quarantine = (await world.state()).quarantine
    assert quarantine is not None
    assert quarantine["reason"] == "TooManyDeletes"
    await world.restart("ForceDeletes")
    await world.cycle()
    assert len(await contacts(world)) == 9


async def test_contact_that_became_a_person_keeps_its_object(world: World) -> None:
    """A contact's object cannot become a user: that entry fails with a reason, and nothing is deleted."""
    world.partner(PAT, "Pat")
    await world.cycle()
    before = await contacts(world)
    world.directory.nodes[PAT].object_type = "user"
    world.directory.set(PAT, "sAMAccountName", "pat")
    await world.cycle()
    assert await contacts(world) == before
    assert await world.users() == {}
    assert [(event["status"], event["reason"]) for event in await log(world, PAT)] == [
        ("success", ""),
        ("failure", "ObjectTypeMismatch"),
    ]


async def test_person_that_became_an_inet_org_person_stays_the_same(world: World) -> None:
    """Both are users of the tenant: same object, same groups, and the counts go by the new type."""
    world.person(ANN, "Ann Lee")
    world.team(TEAM, "Team")
    world.directory.add_member(TEAM, ANN)
    await world.cycle()
    before = (await world.users())[key(ANN)]["id"]
    world.directory.nodes[ANN].object_type = "inetOrgPerson"
    world.directory.set(ANN, "title", "Clerk")
    await world.cycle()
    found = (await world.users())[key(ANN)]
    assert (found["id"], found["jobTitle"]) == (before, "Clerk")
    assert await world.references("members") == {(key(TEAM), key(ANN))}
    assert await world.rows("select object_type, target_type from links where tenant = %s and anchor = %s", ANN) == [
        ("inetOrgPerson", "User")
    ]
    await settled(world)


async def test_member_that_nobody_knows_waits(world: World) -> None:
    """Of another domain or a trusted one: the group is written without it, its event says so, and nothing repeats."""
    world.person(ANN, "Ann Lee")
    world.team(TEAM, "Team")
    world.directory.add_member(TEAM, ANN)
    world.directory.add_member(TEAM, "11111111-2222-4333-8444-555555555555")
    await world.cycle()
    assert await world.references("members") == {(key(TEAM), key(ANN))}
    (event,) = await log(world, TEAM)
    (resolved,) = [step for step in event["detail"].steps if step.code == "EntrySynchronizationReferences"]
    assert resolved.details == {"written": "1", "waiting": "1"}
    await settled(world)
