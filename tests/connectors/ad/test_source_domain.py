"""Reading a real domain controller: everything that DirSync tells, and what it does not tell."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dirbridge.cli.demo.domain import Domain
from dirbridge.connectors.ad import directory as ad_directory
from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.source import ActiveDirectorySource
from dirbridge.connectors.protocol import Source
from dirbridge.contract.entry import BackReferences, Container, ReferenceDelta, Tombstone
from dirbridge.contract.errors import WatermarkExpired
from tests.connectors.ad.conftest import SELECTION, Admin, Follower, Seen, filetime, rdn, values_for

pytestmark = pytest.mark.samba


async def test_full_read_gives_entries_whole(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """Attributes, references by anchor, own name, place and DN come from DirSync's own answer."""
    boss = admin.user(ou, "Boss")
    photo = bytes(range(256))
    ann = admin.user(
        ou,
        "Ann Lee",
        displayName="Ánn Lée",
        manager=rdn("Boss", ou),
        proxyAddresses=["SMTP:ann@contoso.test", "smtp:lee@contoso.test"],
        thumbnailPhoto=photo,
        accountExpires="134000000000000000",
    )
    seen = await Follower(source).next()
    entry = seen.entries[ann]
    assert entry.object_type == "user"
    assert entry.name == "Ann Lee"
    assert entry.container == admin.anchor(ou)
    assert entry.first("displayName") == "Ánn Lée"
    assert entry.first("cn") == "Ann Lee"
    assert entry.first("distinguishedName") == f"CN=Ann Lee,{ou}"
    assert entry.first("objectGUID") == UUID(ann).bytes_le
    assert entry.first("objectSid") == admin.value(rdn("Ann Lee", ou), "objectSid")
    assert entry.first("thumbnailPhoto") == photo
    assert entry.first("accountExpires") == "134000000000000000"
    assert set(entry.attributes["proxyAddresses"]) == {"SMTP:ann@contoso.test", "smtp:lee@contoso.test"}
    assert entry.references["manager"] == (boss,)
    assert "title" not in entry.attributes
    assert entry.unknown == ()
    assert entry.faults == {}


async def test_source_satisfies_the_protocol(source: ActiveDirectorySource) -> None:
    """The engine may use it as any other source."""
    any_source: Source = source
    assert (await any_source.check()).findings


async def test_full_read_gives_the_tree(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """Containers come with their parents; the head goes by the domain's name and has none."""
    inner = admin.unit(ou, "Inner")
    seen = await Follower(source).next()
    head = admin.anchor(admin.base)
    assert seen.containers[inner] == Container(inner, admin.anchor(ou), "Inner")
    assert seen.containers[admin.anchor(ou)].parent == head
    assert seen.containers[head] == Container(head, None, "contoso.test")
    assert admin.anchor(f"CN=Users,{admin.base}") in seen.containers


async def test_full_read_leaves_out_what_was_deleted(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """An initial answer holds tombstones too; they are no part of what is."""
    gone = admin.user(ou, "Gone")
    admin.delete(rdn("Gone", ou))
    seen = await Follower(source).next()
    assert gone not in seen.entries
    assert gone not in seen.deleted


async def test_full_read_leaves_out_computers(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """A computer is a user to the directory and nobody to the cloud; a trust's account is neither."""
    computer = admin.add(rdn("PC1", ou), objectClass="computer", sAMAccountName="PC1TEST$")
    seen = await Follower(source).next()
    names = {entry.name for entry in seen.entries.values()}
    assert computer not in seen.entries
    assert {"Administrator", "krbtgt"} <= names
    assert "DC1" not in names
    assert (await Follower(source).read(computer)).not_visible == {computer}


async def test_inet_org_person_is_a_type_of_its_own(follower: Follower, admin: Admin, ou: str) -> None:
    """Full read, delta and delete call it inetOrgPerson, although it is a user too."""
    person = admin.add(rdn("Ines", ou), objectClass="inetOrgPerson", sAMAccountName="ines", sn="Ines")
    assert (await Follower(follower.source).next()).entries[person].object_type == "inetOrgPerson"
    assert (await follower.next()).entries[person].object_type == "inetOrgPerson"
    admin.delete(rdn("Ines", ou))
    assert (await follower.next()).deleted[person] == Tombstone(person, "Ines", "inetOrgPerson")


async def test_idle_delta_tells_nothing(follower: Follower) -> None:
    """Nothing moved: one page with a watermark that differs in form only."""
    seen = await follower.next()
    assert seen.idle
    assert len(seen.pages) == 1
    assert seen.nothing_but_watermark()


async def test_changed_entry_comes_whole(follower: Follower, admin: Admin, ou: str) -> None:
    """DirSync tells the changed attribute; the entry handed on has all of them, and not the cleared ones."""
    ann = admin.user(ou, "Ann", title="Clerk", description="first")
    await follower.next()
    admin.replace(rdn("Ann", ou), title="Boss", description=[])
    seen = await follower.next()
    assert not seen.idle
    assert list(seen.entries) == [ann]
    assert seen.entries[ann].first("title") == "Boss"
    assert "description" not in seen.entries[ann].attributes
    assert seen.entries[ann].first("sAMAccountName") is not None
    assert seen.entries[ann].first("cn") == "Ann"
    assert (await follower.next()).idle


async def test_change_of_an_attribute_nobody_asked_for_is_silent(follower: Follower, admin: Admin, ou: str) -> None:
    """Only what is selected is a change."""
    admin.user(ou, "Ann")
    await follower.next()
    admin.replace(rdn("Ann", ou), comment="anything")
    assert (await follower.next()).idle


async def test_member_added_and_removed_is_one_value(follower: Follower, admin: Admin, ou: str) -> None:
    """The group itself is not read again: one value came, one went."""
    ann, bob = admin.user(ou, "Ann"), admin.user(ou, "Bob")
    group = admin.group(ou, "Group", [rdn("Ann", ou)])
    await follower.next()
    admin.join(rdn("Group", ou), rdn("Bob", ou))
    admin.leave(rdn("Group", ou), rdn("Ann", ou))
    seen = await follower.next()
    assert seen.references == [ReferenceDelta(group, "member", added=(bob,), removed=(ann,))]
    assert seen.entries == {}


async def test_new_group_brings_its_members(follower: Follower, admin: Admin, ou: str) -> None:
    """A group made since the watermark comes with entry and members."""
    ann = admin.user(ou, "Ann")
    group = admin.group(ou, "Group", [rdn("Ann", ou)])
    seen = await follower.next()
    assert seen.entries[group].object_type == "group"
    assert seen.references == [ReferenceDelta(group, "member", added=(ann,))]


async def test_clearing_all_members_tells_each(follower: Follower, admin: Admin, ou: str) -> None:
    anchors = {admin.user(ou, f"User {number}") for number in range(5)}
    group = admin.group(ou, "Group", [rdn(f"User {number}", ou) for number in range(5)])
    await follower.next()
    admin.replace(rdn("Group", ou), member=[])
    (delta,) = (await follower.next()).references
    assert (delta.owner, set(delta.removed), delta.added) == (group, anchors, ())


async def test_reference_set_and_cleared_reads_the_owner_again(follower: Follower, admin: Admin, ou: str) -> None:
    """A manager comes and goes as a value of a link; the entry handed on has the present one."""
    boss, ann = admin.user(ou, "Boss"), admin.user(ou, "Ann")
    await follower.next()
    admin.replace(rdn("Ann", ou), manager=rdn("Boss", ou))
    assert (await follower.next()).entries[ann].references["manager"] == (boss,)
    admin.replace(rdn("Ann", ou), manager=[])
    assert "manager" not in (await follower.next()).entries[ann].references


async def test_renamed_unit_reports_all_below(follower: Follower, admin: Admin, ou: str) -> None:
    """DirSync returns the renamed unit alone; everybody below has a new DN and is handed out too."""
    admin.unit(ou, "Outer")
    admin.unit(f"OU=Outer,{ou}", "Inner")
    ann = admin.user(f"OU=Outer,{ou}", "Ann")
    bob = admin.user(f"OU=Inner,OU=Outer,{ou}", "Bob")
    group = admin.group(f"OU=Inner,OU=Outer,{ou}", "Group", [rdn("Ann", f"OU=Outer,{ou}")])
    outside = admin.user(ou, "Outside")
    await follower.next()
    admin.rename(f"OU=Outer,{ou}", "OU=Renamed")
    seen = await follower.next()
    assert set(seen.entries) == {ann, bob, group}
    assert outside not in seen.entries
    assert seen.entries[bob].first("distinguishedName") == f"CN=Bob,OU=Inner,OU=Renamed,{ou}"
    assert seen.containers[admin.anchor(f"OU=Renamed,{ou}")].name == "Renamed"
    assert (await follower.next()).idle


async def test_moved_unit_reports_all_below(follower: Follower, admin: Admin, ou: str) -> None:
    moved, target = admin.unit(ou, "Moved"), admin.unit(ou, "Target")
    ann = admin.user(f"OU=Moved,{ou}", "Ann")
    await follower.next()
    admin.rename(f"OU=Moved,{ou}", "OU=Moved", f"OU=Target,{ou}")
    seen = await follower.next()
    assert seen.containers[moved] == Container(moved, target, "Moved")
    assert seen.entries[ann].first("distinguishedName") == f"CN=Ann,OU=Moved,OU=Target,{ou}"


async def test_more_entries_below_than_a_page_of_the_server(
    domain: Domain, follower: Follower, admin: Admin, ou: str
) -> None:
    """The search below a moved unit goes on from page to page of the server's."""
    admin.unit(ou, "Many")
    count = ad_directory.PAGE * 2 + 1
    await domain.load(
        "\n".join(
            f"dn: CN=Many {number},OU=Many,{ou}\nobjectClass: group\nsAMAccountName: many{number}-{ou[3:9]}\n"
            for number in range(count)
        )
    )
    assert len((await follower.next()).entries) == count
    admin.rename(f"OU=Many,{ou}", "OU=More")
    seen = await follower.next()
    assert len(seen.entries) == count
    assert all(f"OU=More,{ou}" in str(entry.first("distinguishedName")) for entry in seen.entries.values())
    assert len(seen.pages) > 1


async def test_new_unit_reports_itself_only(follower: Follower, admin: Admin, ou: str, monkeypatch: Any) -> None:
    """A unit made since the watermark has no one below who is not reported anyway: nothing is searched."""
    asked: list[str] = []
    monkeypatch.setattr(ad_directory.Directory, "below", lambda _, anchor, *rest: asked.append(anchor))
    unit = admin.unit(ou, "New")
    ann = admin.user(f"OU=New,{ou}", "Ann")
    seen = await follower.next()
    assert seen.containers == {unit: Container(unit, admin.anchor(ou), "New")}
    assert set(seen.entries) == {ann}
    assert asked == []


async def test_moved_and_renamed_user_has_its_new_place(follower: Follower, admin: Admin, ou: str) -> None:
    unit, ann = admin.unit(ou, "Target"), admin.user(ou, "Ann")
    await follower.next()
    admin.rename(rdn("Ann", ou), "CN=Ann Bell", f"OU=Target,{ou}")
    entry = (await follower.next()).entries[ann]
    assert (entry.name, entry.container) == ("Ann Bell", unit)
    assert entry.first("distinguishedName") == f"CN=Ann Bell,OU=Target,{ou}"


async def test_deleted_user_takes_its_references_along_silently(follower: Follower, admin: Admin, ou: str) -> None:
    """Neither its groups nor those it managed are told of: the tombstone has to do for all."""
    boss = admin.user(ou, "Boss")
    admin.user(ou, "Ann", manager=rdn("Boss", ou))
    admin.group(ou, "Group", [rdn("Boss", ou), rdn("Ann", ou)])
    await follower.next()
    admin.delete(rdn("Boss", ou))
    seen = await follower.next()
    assert seen.deleted == {boss: Tombstone(boss, "Boss", "user")}
    assert seen.entries == {}
    assert seen.references == []


async def test_deleted_group_and_unit_are_told_by_kind(follower: Follower, admin: Admin, ou: str) -> None:
    """A unit goes as a container, with everybody in it as a tombstone each."""
    unit = admin.unit(ou, "Unit")
    ann = admin.user(f"OU=Unit,{ou}", "Ann, the first")
    group = admin.group(ou, "Group")
    await follower.next()
    admin.delete(f"OU=Unit,{ou}")
    admin.delete(rdn("Group", ou))
    seen = await follower.next()
    assert seen.deleted == {
        ann: Tombstone(ann, "Ann, the first", "user"),
        group: Tombstone(group, "Group", "group"),
    }
    assert seen.containers == {unit: Container(unit, None, "Unit", deleted=True)}


async def test_deleted_computer_is_not_told(follower: Follower, admin: Admin, ou: str) -> None:
    admin.add(rdn("PC2", ou), objectClass="computer", sAMAccountName="PC2TEST$")
    await follower.next()
    admin.delete(rdn("PC2", ou))
    seen = await follower.next()
    assert seen.deleted == {}
    assert seen.containers == {}


async def test_reanimated_user_comes_whole_with_who_refers_to_it(follower: Follower, admin: Admin, ou: str) -> None:
    """What was restored with it need not be in the delta; who refers to it now is read from its back links."""
    boss, ann = admin.user(ou, "Boss", title="Chief"), admin.user(ou, "Ann", manager=rdn("Boss", ou))
    group = admin.group(ou, "Group", [rdn("Boss", ou)])
    await follower.next()
    admin.delete(rdn("Boss", ou))
    assert set((await follower.next()).deleted) == {boss}
    admin.reanimate(boss, rdn("Boss", ou))
    seen = await follower.next()
    assert seen.deleted == {}
    assert seen.entries[boss].first("distinguishedName") == rdn("Boss", ou)
    assert seen.entries[boss].container == admin.anchor(ou)
    backs = {back.attribute: back for back in seen.back_references}
    assert backs["member"] == BackReferences(boss, "member", ())
    assert backs["manager"] == BackReferences(boss, "manager", ())

    admin.delete(rdn("Boss", ou))
    await follower.next()
    admin.reanimate(boss, rdn("Boss", ou))
    admin.join(rdn("Group", ou), rdn("Boss", ou))
    admin.replace(rdn("Ann", ou), manager=rdn("Boss", ou))
    seen = await follower.next()
    backs = {back.attribute: back for back in seen.back_references}
    assert backs["member"].owners == (group,)
    assert backs["manager"].owners == (ann,)


async def test_reanimated_group_comes_with_its_whole_member_list(follower: Follower, admin: Admin, ou: str) -> None:
    ann = admin.user(ou, "Ann")
    group = admin.group(ou, "Group", [rdn("Ann", ou)])
    await follower.next()
    admin.delete(rdn("Group", ou))
    assert set((await follower.next()).deleted) == {group}
    admin.reanimate(group, rdn("Group", ou))
    seen = await follower.next()
    assert seen.entries[group].name == "Group"
    assert seen.whole(group) == set()
    admin.delete(rdn("Group", ou))
    await follower.next()
    admin.reanimate(group, rdn("Group", ou))
    admin.join(rdn("Group", ou), rdn("Ann", ou))
    assert (await follower.next()).whole(group) == {ann}


async def test_deleted_and_reanimated_between_two_reads(follower: Follower, admin: Admin, ou: str) -> None:
    """It was gone and is back: never a tombstone, and who refers to it is told."""
    ann = admin.user(ou, "Ann")
    group = admin.group(ou, "Group", [rdn("Ann", ou)])
    await follower.next()
    admin.delete(rdn("Ann", ou))
    admin.reanimate(ann, rdn("Ann", ou))
    seen = await follower.next()
    assert seen.deleted == {}
    assert ann in seen.entries
    assert BackReferences(ann, "member", ()) in seen.back_references
    assert group not in {back.referenced for back in seen.back_references}


async def test_primary_group_is_a_reference(follower: Follower, admin: Admin, ou: str) -> None:
    """No `member` lists the primary group's users; its change comes with the user."""
    ann = admin.user(ou, "Ann")
    group = admin.group(ou, "Primary", [rdn("Ann", ou)])
    users = admin.anchor(f"CN=Domain Users,CN=Users,{admin.base}")
    assert (await follower.next()).entries[ann].references["primaryGroup"] == (users,)
    sid = admin.value(rdn("Primary", ou), "objectSid")
    admin.replace(rdn("Ann", ou), primaryGroupID=str(int.from_bytes(sid[-4:], "little")))
    seen = await follower.next()
    assert seen.entries[ann].references["primaryGroup"] == (group,)
    full = await Follower(follower.source).next()
    assert full.entries[ann].references["primaryGroup"] == (group,)
    assert full.entries[admin.anchor(f"CN=Guest,CN=Users,{admin.base}")].references["primaryGroup"] == (
        admin.anchor(f"CN=Domain Guests,CN=Users,{admin.base}"),
    )


NAMES = (
    "Lee, Ann",
    "a+b",
    "#first",
    " lead",
    "trail ",
    "sl/ash",
    "back\\slash",
    'quo"te',
    "semi;colon",
    "eq=ual",
    "<angle>",
    "line\nfeed",
    "Zoë 😀 Łódź",
)


async def test_names_are_exact(follower: Follower, admin: Admin, ou: str) -> None:
    """Comma, plus, hash, spaces, slash, quotes, emoji: as they are, in full read, delta, member list and tombstone."""
    anchors = {admin.user(ou, name): name for name in NAMES}
    group = admin.group(ou, "Group", [rdn(name, ou) for name in NAMES])
    delta, full = await follower.next(), await Follower(follower.source).next()
    for anchor, name in anchors.items():
        for seen in (delta, full):
            entry = seen.entries[anchor]
            assert (entry.name, entry.first("cn")) == (name, name)
        assert delta.entries[anchor].first("distinguishedName") == full.entries[anchor].first("distinguishedName")
    assert full.whole(group) == set(anchors)
    for name in NAMES:
        admin.delete(rdn(name, ou))
    gone = await follower.next()
    assert {anchor: tombstone.name for anchor, tombstone in gone.deleted.items()} == anchors


async def test_value_that_cannot_be_carried_faults_that_attribute_alone(
    follower: Follower, admin: Admin, ou: str
) -> None:
    """A domain controller keeps NUL and half surrogates; the entry goes on without them, with the reason."""
    ann = admin.user(ou, "Ann", title="fine")
    admin.replace(rdn("Ann", ou), displayName=b"n\x00ul", description=b"half \xed\xa0\x80", info="two\r\nlines")
    for seen in (await follower.next(), await Follower(follower.source).next()):
        entry = seen.entries[ann]
        assert set(entry.faults) == {"displayName", "description"}
        assert "NUL" in entry.faults["displayName"]
        assert "UTF-8" in entry.faults["description"]
        assert not entry.attributes.keys() & entry.faults.keys()
        assert entry.first("title") == "fine"
        assert entry.first("info") == "two\r\nlines"


@pytest.fixture
async def crowd(domain: Domain, admin: Admin, ou: str) -> dict[str, str]:
    """5,000 entries that can be members: anchors by DN."""
    count = 5000
    unit = f"OU=Crowd,{ou}"
    records = [f"dn: {unit}\nobjectClass: organizationalUnit\n"]
    records += [f"dn: CN=M{number},{unit}\nobjectClass: contact\n" for number in range(count)]
    await domain.load("\n".join(records))
    found = {}
    for name, values in admin.handle.search_s(unit, 1, "(objectClass=contact)", ["objectGUID"]):
        found[name] = str(UUID(bytes_le=values["objectGUID"][0]))
    assert len(found) == count
    return found


@pytest.mark.timeout(300)
async def test_groups_of_every_size_are_exact(
    domain: Domain, follower: Follower, admin: Admin, ou: str, crowd: dict[str, str]
) -> None:
    """Around the server's limit of 1,500 values: full read, read by anchor, delta and changed primary attributes."""
    sizes = (0, 1, 1499, 1500, 1501, 5000)
    names, groups = list(crowd), {}
    for size in sizes:
        groups[admin.group(ou, f"Group {size}", names[:size])] = size
    full, again, delta = await Follower(follower.source).next(), await follower.read(*groups), await follower.next()
    for group, size in groups.items():
        expected = {crowd[name] for name in names[:size]}
        assert full.whole(group) == expected
        assert again.whole(group) == expected
        told = [one for one in delta.references if one.owner == group]
        assert {anchor for one in told for anchor in one.added} == expected
    large = next(group for group, size in groups.items() if size == 5000)
    admin.leave(rdn("Group 5000", ou), names[0])
    assert (await follower.next()).references == [ReferenceDelta(large, "member", removed=(crowd[names[0]],))]
    admin.replace(rdn("Group 5000", ou), description="described")
    seen = await follower.next()
    assert seen.entries[large].first("description") == "described"
    assert seen.references == []
    admin.delete(rdn("Group 5000", ou))
    await follower.next()
    admin.reanimate(large, rdn("Group 5000", ou))
    admin.join(rdn("Group 5000", ou), *names[:2000])
    assert (await follower.next()).whole(large) == {crowd[name] for name in names[:2000]}


async def test_long_list_of_plain_values_is_read_to_its_end(follower: Follower, admin: Admin, ou: str) -> None:
    """An ordinary attribute of 1,200 values, about as many as a directory takes, is whole when read again."""
    addresses = [f"smtp:a{number}@contoso.test" for number in range(1200)]
    ann = admin.user(ou, "Ann", proxyAddresses=addresses)
    assert set((await follower.next()).entries[ann].attributes["proxyAddresses"]) == set(addresses)


async def test_read_gives_each_anchor_an_answer(follower: Follower, admin: Admin, ou: str) -> None:
    """Live, deleted, a container, unknown: each is told for what it is."""
    ann, gone = admin.user(ou, "Ann"), admin.user(ou, "Gone")
    admin.delete(rdn("Gone", ou))
    unknown = "00000000-0000-4000-8000-000000000000"
    seen = await follower.read(ann, gone, unknown, admin.anchor(ou), ann)
    assert set(seen.entries) == {ann}
    assert seen.deleted == {gone: Tombstone(gone, "Gone", "user")}
    assert seen.not_visible == {unknown}
    assert set(seen.containers) == {admin.anchor(ou)}


async def test_more_anchors_than_fit_one_search(follower: Follower, admin: Admin, ou: str) -> None:
    """120 anchors in searches of 50, in pages of 50."""
    anchors = {admin.group(ou, f"G{number}") for number in range(120)}
    source = ActiveDirectorySource(follower.source._settings, page_entries=50)
    seen = await Follower(source).read(*anchors)
    assert set(seen.entries) == anchors
    assert max(len(page.entries) for page in seen.pages) <= 50


async def test_entry_deleted_between_delta_and_reading_again(
    follower: Follower, admin: Admin, ou: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for once more among the deleted, and is a tombstone, not a gap."""
    ann, bob = admin.user(ou, "Ann"), admin.user(ou, "Bob")
    read = ad_directory.Directory.read

    def delete_first(self: Any, *arguments: Any, deleted: bool = False) -> Any:
        if not deleted:
            admin.delete(rdn("Ann", ou))
        return read(self, *arguments, deleted=deleted)

    monkeypatch.setattr(ad_directory.Directory, "read", delete_first)
    seen = await follower.next()
    monkeypatch.undo()
    assert set(seen.entries) == {bob}
    assert seen.deleted == {ann: Tombstone(ann, "Ann", "user")}


async def test_unreadable_unit_hides_and_deletes_nothing(
    domain: Domain, follower: Follower, admin: Admin, ou: str
) -> None:
    """An account that lost its right on a unit sees less in a full read; asked for, the entries are not visible."""
    admin.unit(ou, "Closed")
    ann = admin.user(f"OU=Closed,{ou}", "Ann")
    await follower.next()
    await _deny(domain, admin, f"OU=Closed,{ou}", "(D;CIOI;RPLCLORC;;;{sid})")
    full = await Follower(follower.source).next()
    assert ann not in full.entries
    again = await follower.read(ann)
    assert again.not_visible == {ann}
    assert again.deleted == {}


async def test_unreadable_attribute_is_unknown(domain: Domain, follower: Follower, admin: Admin, ou: str) -> None:
    """Every account has control flags: where they are missing, they may not be read, and clear nothing."""
    ann = admin.user(ou, "Ann")
    # User-Account-Restrictions (userAccountControl, accountExpires, pwdLastSet), a property set.
    await _deny(domain, admin, rdn("Ann", ou), "(OD;;RP;4c164200-20c0-11d0-a768-00aa006e0529;;{sid})")
    for seen in (await follower.next(), await Follower(follower.source).next()):
        entry = seen.entries[ann]
        assert {"userAccountControl", "accountExpires"} <= set(entry.unknown)
        assert "userAccountControl" not in entry.attributes


async def test_attribute_kept_back_by_the_agent_is_unknown(values: dict[str, Any], admin: Admin, ou: str) -> None:
    """The agent's policy decides, whatever is asked: not read, and not taken for cleared. Secrets never."""
    admin.user(ou, "Boss")
    ann = admin.user(ou, "Ann", title="Chief", department="Sales", manager=rdn("Boss", ou))
    values |= {"exclude_attributes": ["title", "manager"]}
    source = ActiveDirectorySource(ad_settings.parse(values))
    selection = SELECTION.__class__(
        {"user": (*SELECTION.attributes["user"], "unicodePwd", "supplementalCredentials")},
        {"user": ("manager",)},
        binary=("unicodePwd", "supplementalCredentials", "objectGUID", "objectSid"),
    )
    entry = (await Follower(source, selection).next()).entries[ann]
    assert set(entry.unknown) == {"title", "manager", "unicodePwd", "supplementalCredentials"}
    assert entry.first("department") == "Sales"
    assert "manager" not in entry.references


async def test_excluded_container_leaves_nothing_of_itself(values: dict[str, Any], admin: Admin, ou: str) -> None:
    """The agent's own filter: nothing below is sent; who moves there is not visible, never deleted."""
    admin.unit(ou, "Secret")
    values |= {"exclude_containers": [f"ou=secret,{ou}"]}
    follower = Follower(ActiveDirectorySource(ad_settings.parse(values)))
    hidden, ann = admin.user(f"OU=Secret,{ou}", "Hidden"), admin.user(ou, "Ann")
    full = await follower.next()
    assert ann in full.entries
    assert hidden not in full.entries
    assert admin.anchor(f"OU=Secret,{ou}") not in full.containers
    admin.rename(rdn("Ann", ou), "CN=Ann", f"OU=Secret,{ou}")
    admin.replace(rdn("Hidden", f"OU=Secret,{ou}"), title="new")
    seen = await follower.next()
    assert seen.entries == {}
    assert seen.not_visible == {ann, hidden}
    assert (await follower.read(hidden)).not_visible == {hidden}
    admin.delete(rdn("Ann", f"OU=Secret,{ou}"))
    assert (await follower.next()).deleted == {ann: Tombstone(ann, "", "user")}


async def test_what_leaves_an_excluded_container_comes_whole(values: dict[str, Any], admin: Admin, ou: str) -> None:
    """Nothing was told of a hidden group's members or of containers within; when they come out, all of it is."""
    admin.unit(ou, "Secret")
    admin.unit(f"OU=Secret,{ou}", "Team")
    inner = admin.unit(f"OU=Team,OU=Secret,{ou}", "Inner")
    ann = admin.user(ou, "Ann")
    alone = admin.group(f"OU=Secret,{ou}", "Alone", [rdn("Ann", ou)])
    below = admin.group(f"OU=Inner,OU=Team,OU=Secret,{ou}", "Below", [rdn("Ann", ou)])
    values |= {"exclude_containers": [f"ou=secret,{ou}"]}
    follower = Follower(ActiveDirectorySource(ad_settings.parse(values)))
    assert not {alone, below} & set((await follower.next()).entries)
    admin.rename(rdn("Alone", f"OU=Secret,{ou}"), "CN=Alone", ou)
    admin.rename(f"OU=Team,OU=Secret,{ou}", "OU=Team", ou)
    seen = await follower.next()
    assert {alone, below} <= set(seen.entries)
    assert seen.containers[inner].parent == admin.anchor(f"OU=Team,{ou}")
    assert seen.whole(alone) == seen.whole(below) == {ann}
    admin.rename(f"OU=Team,{ou}", "OU=Team", f"OU=Secret,{ou}")
    seen = await follower.next()
    assert below in seen.not_visible
    assert below not in seen.entries


async def test_pages_are_cut(values: dict[str, Any], admin: Admin, ou: str) -> None:
    """No page has more entries than asked for, and only the last one a watermark."""
    asked = 10
    for number in range(25):
        admin.group(ou, f"G{number}")
    follower = Follower(ActiveDirectorySource(ad_settings.parse(values), page_entries=asked))
    seen = await follower.next()
    assert len(seen.pages) > 3
    for page in seen.pages:
        assert len(page.entries) + len(page.containers) <= asked
    assert [page.watermark is not None for page in seen.pages] == [False] * (len(seen.pages) - 1) + [True]


async def test_full_read_says_how_much_is_to_come(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """An ordinary account can tell, roughly: never less than what is there and not built in."""
    made = {admin.group(ou, f"G{number}") for number in range(20)}
    seen = await Follower(source).next()
    estimate = seen.pages[0].estimate
    assert estimate is not None
    own = [entry for entry in seen.entries.values() if int.from_bytes(_sid(admin, entry.anchor)[-4:], "little") >= 1000]
    assert len(own) >= len(made)
    assert estimate >= len(own)
    assert estimate < 2 * len(seen.entries) + 2000


def _sid(admin: Admin, anchor: str) -> bytes:
    return admin.value(f"<GUID={anchor}>", "objectSid")


async def test_large_values_cut_pages(values: dict[str, Any], admin: Admin, ou: str) -> None:
    """Photos of 90 KB: a page stays below what the wire takes."""
    for number in range(60):
        admin.user(ou, f"U{number}", thumbnailPhoto=bytes(90_000))
    seen = await Follower(ActiveDirectorySource(ad_settings.parse(values))).next()
    sizes = [sum(len(entry.first("thumbnailPhoto") or b"") for entry in page.entries) for page in seen.pages]
    assert sum(sizes) >= 60 * 90_000
    assert max(sizes) < 5 * 1024 * 1024


async def test_containers_are_listed(source: ActiveDirectorySource, admin: Admin, ou: str) -> None:
    """All of the domain, or a part of the tree with its root."""
    inner = admin.unit(ou, "Inner")
    every = Seen([page async for page in source.containers()])
    part = Seen([page async for page in source.containers(admin.anchor(ou))])
    assert inner in every.containers
    assert admin.anchor(admin.base) in every.containers
    assert set(part.containers) == {inner, admin.anchor(ou)}
    assert part.pages[-1].last


async def test_leaving_a_stream_early_ends_it(source: ActiveDirectorySource) -> None:
    """Who has enough is not kept waiting, and the next read works."""
    began = time.monotonic()
    async with aclosing(ActiveDirectorySource(source._settings, page_entries=5).changes(SELECTION, None)) as stream:
        async for _ in stream:
            break
    assert time.monotonic() - began < 5
    assert (await Follower(source).next()).entries


async def test_lagging_copy_of_a_domain_controller_is_noticed(
    domain: Domain, follower: Follower, admin: Admin, ou: str, tmp_path: Path
) -> None:
    """Set back to an earlier state it reuses update numbers: only a full read leads on, and it deletes nothing."""
    async with await domain.copy() as twin:
        ann = admin.user(ou, "Ann")
        await follower.next()
        lagging = Follower(ActiveDirectorySource(ad_settings.parse(values_for(twin, tmp_path))))
        lagging.watermark = follower.watermark
        with pytest.raises(WatermarkExpired, match="earlier state"):
            await lagging.next()
        lagging.watermark = None
        full = await lagging.next()
        assert ann not in full.entries
        assert full.deleted == {}
        assert (await lagging.read(ann)).not_visible == {ann}


async def test_second_server_is_used_where_the_first_is_gone(
    domain: Domain, values: dict[str, Any], admin: Admin
) -> None:
    """Servers are tried in their order."""
    values["servers"] = ["ldaps://127.255.255.1:1", *values["servers"]]
    assert (await Follower(ActiveDirectorySource(ad_settings.parse(values))).next()).entries


async def test_expired_account_is_told_as_a_number(follower: Follower, admin: Admin, ou: str) -> None:
    ann = admin.user(ou, "Ann")
    admin.replace(rdn("Ann", ou), accountExpires=filetime(-1))
    value = (await follower.next()).entries[ann].first("accountExpires")
    assert isinstance(value, str)
    assert value.isdigit()


async def test_two_reads_side_by_side(source: ActiveDirectorySource) -> None:
    """One source serves several streams at once, each with connections of its own."""
    first, second = await asyncio.gather(Follower(source).next(), Follower(source).next())
    assert set(first.entries) == set(second.entries)


async def _deny(domain: Domain, admin: Admin, dn: str, rule: str) -> None:
    sid = admin.value(f"CN=svc-sync,CN=Users,{admin.base}", "objectSid")
    count = sid[1]
    parts = [int.from_bytes(sid[8 + 4 * at : 12 + 4 * at], "little") for at in range(count)]
    text = f"S-{sid[0]}-{int.from_bytes(sid[2:8], 'big')}-" + "-".join(map(str, parts))
    await domain.grant(dn, rule.format(sid=text))
