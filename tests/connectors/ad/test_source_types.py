"""Entries other than people and groups: contacts, and members that are of no type that is read."""

from __future__ import annotations

import uuid

import pytest

from dirbridge.cli.demo.domain import Domain
from dirbridge.connectors.ad import schema
from dirbridge.connectors.ad.entries import NOT_REPLICATED
from dirbridge.connectors.ad.source import ActiveDirectorySource
from dirbridge.contract.entry import BackReferences, ReferenceDelta, Selection, Tombstone
from tests.connectors.ad.conftest import SELECTION, Admin, Follower, rdn

pytestmark = pytest.mark.samba

CONTACT = ("cn", "displayName", "distinguishedName", "mail", "objectGUID", "proxyAddresses", "telephoneNumber")
WITH_CONTACTS = Selection(
    attributes={**SELECTION.attributes, "contact": CONTACT},
    references={**SELECTION.references, "contact": ("manager",)},
    memberships=SELECTION.memberships,
    binary=SELECTION.binary,
)


@pytest.fixture
async def follower(source: ActiveDirectorySource, ou: str) -> Follower:
    """A job that has read everything, contacts too."""
    following = Follower(source, WITH_CONTACTS)
    await following.next()
    return following


def partner(admin: Admin, ou: str, name: str, **attributes: str | list[str]) -> str:
    mail = f"{uuid.uuid4().hex[:10]}@partner.test"
    return admin.add(rdn(name, ou), objectClass="contact", mail=mail, **attributes)


async def test_contact_is_read_whole(follower: Follower, admin: Admin, ou: str) -> None:
    """Full read, delta and read by anchor give the same: attributes, manager, place; and no account's attribute."""
    boss = admin.user(ou, "Boss")
    pat = partner(
        admin,
        ou,
        "Pat, Partner",
        displayName="Pát",
        proxyAddresses=["SMTP:pat@partner.test", "smtp:p@partner.test"],
        manager=rdn("Boss", ou),
    )
    delta, full = await follower.next(), await Follower(follower.source, WITH_CONTACTS).next()
    for seen in (delta, full, await follower.read(pat)):
        entry = seen.entries[pat]
        assert (entry.object_type, entry.name, entry.container) == ("contact", "Pat, Partner", admin.anchor(ou))
        assert entry.first("displayName") == "Pát"
        assert entry.first("cn") == "Pat, Partner"
        assert entry.first("distinguishedName") == f"CN=Pat\\, Partner,{ou}"
        assert set(entry.attributes["proxyAddresses"]) == {"SMTP:pat@partner.test", "smtp:p@partner.test"}
        assert "telephoneNumber" not in entry.attributes
        assert entry.references == {"manager": (boss,)}
        assert (entry.unknown, entry.faults) == ((), {})


async def test_contact_changes_moves_and_goes(follower: Follower, admin: Admin, ou: str) -> None:
    """Each is told as of a user: whole after a change, with its new name after a rename, a tombstone after a delete."""
    pat = partner(admin, ou, "Pat")
    group = admin.group(ou, "Group", [rdn("Pat", ou)])
    admin.user(ou, "Report", manager=rdn("Pat", ou))
    seen = await follower.next()
    assert ReferenceDelta(group, "member", added=(pat,)) in seen.references
    admin.replace(rdn("Pat", ou), telephoneNumber="+44 1")
    entry = (await follower.next()).entries[pat]
    assert (entry.first("telephoneNumber"), entry.first("cn")) == ("+44 1", "Pat")
    inner = admin.unit(ou, "Inner")
    admin.rename(rdn("Pat", ou), "CN=Pat Partner", f"OU=Inner,{ou}")
    entry = (await follower.next()).entries[pat]
    assert (entry.name, entry.container) == ("Pat Partner", inner)
    admin.delete(rdn("Pat Partner", f"OU=Inner,{ou}"))
    assert (await follower.next()).deleted == {pat: Tombstone(pat, "Pat Partner", "contact")}


async def test_reanimated_contact_comes_with_who_refers_to_it(follower: Follower, admin: Admin, ou: str) -> None:
    """A deletion took its places in groups along; what was given back since is read from the back links."""
    pat = partner(admin, ou, "Pat")
    group = admin.group(ou, "Group", [rdn("Pat", ou)])
    await follower.next()
    admin.delete(rdn("Pat", ou))
    await follower.next()
    admin.reanimate(pat, rdn("Pat", ou))
    admin.join(rdn("Group", ou), rdn("Pat", ou))
    seen = await follower.next()
    assert seen.entries[pat].object_type == "contact"
    assert BackReferences(pat, "member", (group,)) in seen.back_references


async def test_everything_that_the_schema_defines_can_be_asked_of_a_contact(
    source: ActiveDirectorySource, admin: Admin, ou: str
) -> None:
    """Attributes that this domain's own schema lacks, as Exchange's here, are absent and neither unknown nor faults."""
    (definition,) = [kind for kind in schema.directory().objects if kind.name == "contact"]
    kinds = {one.name: one.type for one in definition.attributes if one.name not in NOT_REPLICATED}
    selection = Selection(
        attributes={"contact": tuple(name for name, kind in kinds.items() if kind != "Reference")},
        references={"contact": tuple(name for name, kind in kinds.items() if kind == "Reference")},
        binary=tuple(name for name, kind in kinds.items() if kind == "Binary"),
    )
    given = {"telephoneNumber": "+44 1", "l": "Leeds", "streetAddress": "1 High Street", "company": "Partner Ltd"}
    pat = partner(admin, ou, "Pat", **given)
    for seen in (await Follower(source, selection).next(), await Follower(source, selection).read(pat)):
        entry = seen.entries[pat]
        assert (entry.unknown, entry.faults) == ((), {})
        assert {name: entry.first(name) for name in given} == given
        assert not {"sAMAccountName", "objectSid", "userAccountControl"} & entry.attributes.keys()


async def test_member_from_a_trusted_domain_is_an_anchor_that_nobody_has(
    follower: Follower, admin: Admin, ou: str
) -> None:
    """Its place is held by a foreign security principal: a member among others, and when asked for not visible."""
    ann = admin.user(ou, "Ann")
    group = admin.group(ou, "Group", [rdn("Ann", ou)])
    sid = f"S-1-5-21-1111111111-2222222222-3333333333-{1000 + uuid.uuid4().int % 100_000}"
    admin.join(rdn("Group", ou), f"<SID={sid}>")
    foreign = admin.anchor(f"CN={sid},CN=ForeignSecurityPrincipals,{admin.base}")
    full, delta = await Follower(follower.source, WITH_CONTACTS).next(), await follower.next()
    assert full.whole(group) == {ann, foreign}
    assert {anchor for one in delta.references if one.owner == group for anchor in one.added} == {ann, foreign}
    again = await follower.read(group, foreign)
    assert again.whole(group) == {ann, foreign}
    assert again.not_visible == {foreign}
    assert foreign not in {**full.entries, **delta.entries}


async def test_member_from_another_domain_of_the_forest_comes_as_its_guid(
    follower: Follower, domain: Domain, admin: Admin, ou: str
) -> None:
    """A domain controller keeps name and objectGUID of what lies in a domain that it does not hold."""
    ann, there = admin.user(ou, "Ann"), str(uuid.uuid4())
    group = admin.group(ou, "Group", [rdn("Ann", ou)])
    await domain.modify(
        f"dn: {rdn('Group', ou)}\nchangetype: modify\nadd: member\n"
        f"member: <GUID={there}>;CN=Far,CN=Users,DC=child,{admin.base}\n",
        "relax:0",  # a directory of one domain would not let anybody write it
    )
    full, delta = await Follower(follower.source, WITH_CONTACTS).next(), await follower.next()
    assert full.whole(group) == {ann, there}
    assert {anchor for one in delta.references if one.owner == group for anchor in one.added} == {ann, there}
    assert (await follower.read(group)).whole(group) == {ann, there}
    admin.leave(rdn("Group", ou), rdn("Ann", ou))
    assert (await follower.next()).references == [ReferenceDelta(group, "member", removed=(ann,))]
