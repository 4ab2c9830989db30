"""What OpenLDAP does in its own way, against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dirbridge.cli.demo.openldap import SYNCPROV, OpenLdap
from dirbridge.connectors import position as positions
from dirbridge.connectors.ldap import settings as ldap_settings
from dirbridge.connectors.ldap import syncrepl, watermark
from dirbridge.connectors.ldap.source import LdapSource
from dirbridge.connectors.protocol import Replicated
from dirbridge.connectors.source_conformance import Subject
from dirbridge.contract.entry import Selection, Watermark
from dirbridge.contract.errors import ConfigurationError, CredentialError, TransientError, WatermarkExpired
from tests.connectors.ldap.conftest import SELECTION, Admin, at_work, connect, values_for

pytestmark = [pytest.mark.slapd, pytest.mark.xdist_group("slapd")]


@asynccontextmanager
async def another(folder: Path, **how: str) -> AsyncIterator[tuple[OpenLdap, Subject]]:
    """A server of the test's own, with somebody who reads it."""
    async with OpenLdap(**how) as server:
        handle = connect(server.ldaps_url, server.ca_file, server.admin_dn, server.admin_password)
        source = LdapSource(ldap_settings.parse(values_for(server, folder)))
        yield server, Subject(source, at_work(handle, server.base_dn), SELECTION)
        handle.unbind_s()


def admin_of(subject: Subject) -> Admin:
    assert isinstance(subject.edit, Admin)
    return subject.edit


async def test_groups_of_all_classes_show_their_members_alike(subject: Subject, admin: Admin) -> None:
    """By name, by name and bits, and by uid; a uid that two entries have, and a name of nobody, are no members."""
    ann, bob = admin.add_person("Ann", uid="ann-" + admin.ou[3:8]), admin.add_person("Bob", uid="twin-" + admin.ou[3:8])
    admin.add_person("Eve", uid="twin-" + admin.ou[3:8])
    named = admin.add(admin.dn("N"), objectClass="groupOfNames", member=[admin.dn("Ann"), admin.dn("Nobody")])
    unique = admin.add(
        admin.dn("U"), objectClass="groupOfUniqueNames", uniqueMember=[admin.dn("Ann"), f"{admin.dn('Bob')}#'01'B"]
    )
    posix = admin.add(
        admin.dn("P"),
        objectClass="posixGroup",
        gidNumber="7",
        memberUid=["ann-" + admin.ou[3:8], "twin-" + admin.ou[3:8], "nobody"],
    )
    await subject.next()
    members = subject.image.members
    assert {group: members[group] for group in (named, unique, posix)} == {
        named: {ann},
        unique: {ann, bob},
        posix: {ann},
    }
    assert [subject.image.entries[group].object_type for group in (named, unique, posix)] == [
        "groupOfNames",
        "groupOfUniqueNames",
        "posixGroup",
    ]


async def test_somebody_whom_groups_named_before_is_their_member(subject: Subject, admin: Admin) -> None:
    """The group is not changed by it, and yet the membership arrives, and so does the manager of a report."""
    uid = "late-" + admin.ou[3:8]
    team = admin.add_group("Team", "Late")
    posix = admin.add(admin.dn("P"), objectClass="posixGroup", gidNumber="8", memberUid=uid)
    bob = admin.add_person("Bob", manager=admin.dn("Late"))
    await subject.next()
    assert (subject.image.members[team], subject.image.managers[bob]) == (set(), set())
    late = admin.add_person("Late", uid=uid)
    await subject.next()
    assert (subject.image.members[team], subject.image.members[posix]) == ({late}, {late})
    assert subject.image.managers[bob] == {late}


async def test_uid_that_somebody_else_takes_is_nobodys(subject: Subject, admin: Admin) -> None:
    """A delta says what a full read would: neither the newcomer nor who had it before is a member by it any more."""
    uid = "twin-" + admin.ou[3:8]
    ann = admin.add_person("Ann", uid=uid)
    posix = admin.add(admin.dn("P"), objectClass="posixGroup", gidNumber="9", memberUid=uid)
    team = admin.add_group("Team", "Ann")
    await subject.next()
    assert (subject.image.members[posix], subject.image.members[team]) == ({ann}, {ann})
    admin.add_person("Eve", uid=uid)
    await subject.next()
    full = await subject.afresh()
    assert (subject.image.members[posix], subject.image.members[team]) == (set(), {ann})
    assert (full.members[posix], full.members[team]) == (set(), {ann})


async def test_names_that_only_look_alike_are_two(subject: Subject, admin: Admin) -> None:
    """Sharp s and double s are two; an accent is one, written as a letter of its own or not: as the server says."""
    sharp, double = admin.add_person("Weiß"), admin.add_person("Weiss")
    one, two = admin.add_group("One", "Weiß"), admin.add_group("Two", "WEISS")
    bob = admin.add_person("Bob", manager=admin.dn("Weiß"))
    rene = admin.add_person("Ren\u00e9")
    three = admin.add_group("Three", "Rene\u0301", "Nobody")
    await subject.next()
    assert (subject.image.members[one], subject.image.members[two]) == ({sharp}, {double})
    assert subject.image.members[three] == {rene}
    assert subject.image.managers[bob] == {sharp}


async def test_bad_values_fail_their_attribute_alone(subject: Subject, admin: Admin) -> None:
    """Bytes come as bytes, and a text that is none is a fault."""
    ann = admin.add_person("Ann", jpegPhoto=b"\xff\xd8\x00\x01", description="fine")
    await subject.next()
    assert subject.image.entries[ann].attributes["jpegPhoto"] == (b"\xff\xd8\x00\x01",)
    text = Selection({"inetOrgPerson": ("cn", "jpegPhoto", "description")})
    seen = Subject(subject.source, admin, text)
    await seen.next()
    entry = seen.image.entries[ann]
    assert "UTF-8" in entry.faults["jpegPhoto"]
    assert entry.attributes["description"] == ("fine",)


async def test_what_settings_keep_back_does_not_leave(values: dict[str, Any], admin: Admin) -> None:
    """Neither an excluded attribute, nor a password that was asked for, nor an excluded container."""
    ann = admin.add_person("Ann", userPassword="secret", description="x")
    admin.add_unit("Hidden")
    eve = admin.add_person("Eve")
    admin.move("Eve", "Hidden")
    more = {"exclude_attributes": ["description"], "exclude_containers": [f"ou=Hidden,{admin.ou}"]}
    more["include_attributes"] = ["*"]
    source = LdapSource(ldap_settings.parse({**values, **more}))
    asked = Selection({"inetOrgPerson": ("cn", "userPassword", "description")})
    seen = Subject(source, admin, asked)
    await seen.next()
    entry = seen.image.entries[ann]
    assert (entry.attributes.keys(), set(entry.unknown)) == ({"cn"}, {"userPassword", "description"})
    assert eve not in seen.image.entries
    pages = await seen.read_pages(eve)
    assert [page.not_visible for page in pages if page.not_visible] == [(eve,)]
    (located,) = await source.locate([eve])
    assert located.anchor == ""


async def test_changes_wake_who_listens(subject: Subject, admin: Admin) -> None:
    """One item when listening has begun, and one for a change, within a moment."""
    admin.add_person("Ann")
    async with aclosing(subject.source.watch()) as items:  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            await anext(items)
        admin.set("Ann", description="new")
        async with asyncio.timeout(5):
            await anext(items)


async def test_present_phase_is_no_evidence(tmp_path: Path) -> None:
    """Without a session log the server tells what is still there: that leads to a full read and deletes nobody."""
    async with another(tmp_path, overlays=SYNCPROV) as (_, subject):
        admin = admin_of(subject)
        ann, bob = admin.add_person("Ann"), admin.add_person("Bob")
        await subject.next()
        await subject.next()
        admin.delete("Bob")
        deleted = set()
        with pytest.raises(WatermarkExpired) as raised:
            async for page in subject.source.changes(SELECTION, subject.watermark):
                deleted |= {one.anchor for one in page.deleted}
        assert deleted == set()
        assert "still there" in raised.value.reason
        subject.watermark = None
        pages = await subject.next()
        assert ann in {entry.anchor for page in pages for entry in page.entries}
        assert [one.anchor for page in await subject.read_pages(bob) for one in page.deleted] == [bob]


async def test_stale_cookie_expires(tmp_path: Path) -> None:
    """A position of a directory that was made anew leads to a full read, and is not taken for `nothing happened`."""
    async with another(tmp_path) as (_, first):
        admin_of(first).add_person("Ann")
        await first.next()
    async with another(tmp_path) as (_, second):
        admin_of(second).add_person("Bob")
        second.watermark = first.watermark
        seen: set[str] = set()
        with pytest.raises((WatermarkExpired, TransientError)):
            async for page in second.source.changes(SELECTION, second.watermark):
                seen |= {one.anchor for one in page.deleted}
        assert seen == set()


async def test_server_without_syncrepl_is_read_whole(tmp_path: Path) -> None:
    """Every time; it cannot be listened to, and the check warns."""
    async with another(tmp_path, overlays="") as (_, subject):
        ann = admin_of(subject).add_person("Ann")
        await subject.next()
        assert ann in subject.image.entries
        with pytest.raises(WatermarkExpired):
            await subject.next()
        with pytest.raises(ConfigurationError) as raised:
            await anext(subject.source.watch())  # type: ignore[attr-defined]
        assert raised.value.code == "NotificationUnsupported"
        report = await subject.source.check()
        assert [one.outcome for one in report.findings if one.name == "changes"] == ["warn"]


async def test_lost_right_deletes_nobody(tmp_path: Path) -> None:
    """Who may not be seen is not visible, and the check says where the view has gaps."""
    async with another(tmp_path, rules='access to dn.regex=",ou=kept," by * none') as (_, subject):
        admin = admin_of(subject)
        admin.add_unit("Kept")
        ann = admin.add_person("Ann")
        admin.move("Ann", "Kept")
        pages = await subject.read_pages(ann)
        assert [anchor for page in pages for anchor in page.not_visible] == [ann]
        assert [one for page in pages for one in page.deleted] == []
        (finding,) = [one for one in (await subject.source.check()).findings if one.outcome == "fail"]
        assert finding.code == "ViewHasGaps"
        assert "ou=Kept" in finding.finding


async def test_account_that_may_not_search_anchors_finds_nothing_deleted(tmp_path: Path) -> None:
    """A look-up that finds not even the head is a failed read."""
    rule = 'access to attrs=entryUUID by dn.exact="{reader}" =r'
    async with another(tmp_path, rules=rule) as (_, subject):
        ann = admin_of(subject).add_person("Ann")
        with pytest.raises(ConfigurationError) as raised:
            await subject.read_pages(ann)
        assert raised.value.code == "AnchorNotReadable"


async def test_size_limit_is_a_failed_read(tmp_path: Path) -> None:
    """An answer that is cut is none."""
    async with another(tmp_path, limits="size.soft=3 size.hard=3") as (_, subject):
        for number in range(5):
            admin_of(subject).add_person(f"P{number}")
        with pytest.raises(TransientError) as raised:
            await subject.next()
        assert raised.value.code == "ReadCutShort"
        assert "limits" in raised.value.recommended_action


async def test_referral_is_a_failed_read(tmp_path: Path) -> None:
    """A part that lies at another server is not passed over."""
    async with another(tmp_path) as (_, subject):
        admin = admin_of(subject)
        admin.handle.add_s(
            f"ou=away,{admin.ou}",
            [
                ("objectClass", [b"referral", b"extensibleObject"]),
                ("ou", b"away"),
                ("ref", b"ldap://elsewhere.test/ou=away"),
            ],
        )
        with pytest.raises(ConfigurationError) as raised:
            await subject.next()
        assert raised.value.code == "ReferralMet"
        assert "elsewhere.test" in raised.value.reason


async def test_server_that_is_behind_is_not_read(tmp_path: Path) -> None:
    """What it lacks would look like deletes."""
    async with another(tmp_path) as (_, subject):
        ann = admin_of(subject).add_person("Ann")
        await subject.next()
        source = subject.source
        assert isinstance(source, LdapSource)
        assert source._positions
        source._positions = dict.fromkeys(source._positions, "29991231235959.000000Z#000000#000#000000")
        with pytest.raises(TransientError) as raised:
            await subject.read_pages(ann)
        assert raised.value.code == "DirectoryBehind"


async def test_cookie_tells_a_server_that_is_behind(tmp_path: Path) -> None:
    """Whoever read before, with another agent or before a restart: the position itself says how far."""
    async with another(tmp_path) as (_, subject):
        admin_of(subject).add_person("Ann")
        await subject.next()
        assert subject.watermark is not None
        position = positions.unpack(subject.watermark.position, watermark.Position, 1)
        (csn,) = syncrepl.positions(position.cookie).values()
        ahead = position.cookie.replace(csn[:4].encode(), b"2999")
        later = watermark.pack(watermark.Position(ahead, position.digest))
        subject.watermark = Watermark(subject.watermark.replica, later)
        with pytest.raises(TransientError) as raised:
            await subject.next()
        assert raised.value.code == "DirectoryBehind"


async def test_replica_that_shows_no_position_is_behind(tmp_path: Path) -> None:
    """One that is being filled has some entries and no contextCSN; those that it lacks are not deleted."""
    async with another(tmp_path, overlays="") as (_, subject):
        ann = admin_of(subject).add_person("Ann")
        source = subject.source
        assert isinstance(source, LdapSource)
        source._positions = {"000": "20260101000000.000000Z#000000#000#000000"}
        with pytest.raises(TransientError) as raised:
            await subject.read_pages(ann)
        assert raised.value.code == "DirectoryBehind"


async def test_another_server_is_read_where_the_first_is_behind(
    values: dict[str, Any], server: OpenLdap, admin: Admin, tmp_path: Path
) -> None:
    """One whose replication stands still does not stop the job."""
    async with another(tmp_path) as (stale, _):
        both = tmp_path / "both.pem"
        both.write_bytes(stale.ca_file.read_bytes() + server.ca_file.read_bytes())
        admin.add_person("Ann")
        servers = [stale.ldaps_url, server.ldaps_url]
        source = LdapSource(ldap_settings.parse({**values, "servers": servers, "ca_file": str(both)}))
        alone = Subject(LdapSource(ldap_settings.parse(values)), admin, SELECTION)
        await alone.next()
        assert alone.watermark is not None
        pages = [page async for page in source.changes(SELECTION, Watermark(stale.ldaps_url, alone.watermark.position))]
        assert pages[-1].watermark is not None
        assert pages[-1].watermark.replica == server.ldaps_url


async def test_what_another_server_lacks_is_not_deleted(subject: Subject, server: OpenLdap) -> None:
    """Only the server at which the reading stands can be believed that somebody is gone."""
    stranger = "00112233-4455-6677-8899-aabbccddeeff"
    source = subject.source
    assert isinstance(source, Replicated)
    away = [page async for page in source.read_at("ldaps://away.test:636", SELECTION, [stranger])]
    assert [(page.not_visible, page.deleted) for page in away] == [((stranger,), ())]
    here = [page async for page in source.read_at(server.ldaps_url, SELECTION, [stranger])]
    assert [one.anchor for page in here for one in page.deleted] == [stranger]


async def test_tls_may_begin_with_starttls(server: OpenLdap, values: dict[str, Any], admin: Admin) -> None:
    """At the port for plain LDAP nothing is said before TLS."""
    ann = admin.add_person("Ann")
    source = LdapSource(ldap_settings.parse({**values, "servers": [server.ldap_url]}))
    pages = [page async for page in source.read(SELECTION, [ann])]
    assert [entry.anchor for page in pages for entry in page.entries] == [ann]


async def test_wrong_password_is_tried_once(values: dict[str, Any], tmp_path: Path) -> None:
    """The account could be locked by more."""
    Path(values["password_file"]).write_text("wrong\n")
    source = LdapSource(ldap_settings.parse(values))
    for _ in range(2):
        with pytest.raises(CredentialError) as raised:
            await source.schema(["inetOrgPerson"])
        assert raised.value.code == "InvalidCredentials"
    Path(values["password_file"]).write_text("Pass-word.1\n")
    assert await source.schema(["inetOrgPerson"])


async def test_searches_leave_lines_without_names(
    subject: Subject, admin: Admin, source: LdapSource, caplog: pytest.LogCaptureFixture
) -> None:
    """Who traces sees each question with what came of it, and nobody's name or address."""
    admin.add_person("Ann Secretive", mail="ann@secretive.test")
    with caplog.at_level("DEBUG", logger="dirbridge.connectors"):
        await subject.next()
        await source.locate([admin.dn("Ann Secretive"), "ann@secretive.test"])
    told = [record.getMessage() for record in caplog.records if getattr(record, "event", "") == "ldap_search"]
    assert any("(objectClass=" in line for line in told)
    assert any("(mail=…)" in line or "=…)" in line for line in told)
    assert "ecretive" not in caplog.text


async def test_people_look_around(source: LdapSource, admin: Admin) -> None:
    """The tree level by level, groups by any part of their name; what is typed is no filter."""
    (head,) = (await source.browse(None)).found
    first = {one.anchor for one in (await source.browse(head.anchor)).found}
    assert admin.unit in first
    inner, group = admin.add_unit("Inner"), admin.add_group("The (crew*)", admin.dn("Nobody"))
    assert [(one.name, one.anchor) for one in (await source.browse(admin.unit)).found] == [("Inner", inner)]
    found = await source.search("(CREW*", ["groupOfNames"], 5)
    assert [(one.name, one.anchor) for one in found.found] == [("The (crew*)", group)]
    assert (await source.search("*)(cn=*", ["groupOfNames"], 5)).found == ()
    admin.handle.delete_s(f"ou=Inner,{admin.ou}")
    assert (await source.browse(inner)).missing
