"""Answers of a domain controller, read; and the forms that only Windows sends."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from dirbridge.cli.demo.authority import Authority
from dirbridge.connectors import paging
from dirbridge.connectors.ad import dirsync, watermark
from dirbridge.connectors.ad import settings as ad_settings
from dirbridge.connectors.ad.directory import Facts
from dirbridge.connectors.ad.entries import Plan
from dirbridge.connectors.ad.reading import Reading
from dirbridge.connectors.ad.settings import Settings
from dirbridge.connectors.ldap_wire.connection import Chunk, Found
from dirbridge.contract.entry import Container, ReferenceDelta, Selection, Tombstone, Watermark
from dirbridge.contract.errors import ConfigurationError, WatermarkExpired
from tests.connectors.ad.conftest import SELECTION, Seen

HEAD = "00000000-0000-4000-8000-000000000001"
GROUP = "00000000-0000-4000-8000-00000000000a"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    password = tmp_path / "password"
    password.touch(mode=0o600)
    password.write_text("x")
    return ad_settings.parse(
        {
            "name": "contoso.test",
            "servers": ["ldaps://dc1"],
            "ca_file": str(Authority(tmp_path / "tls").ca_file),
            "user": "svc@contoso.test",
            "password_file": str(password),
        }
    )


def member(number: int) -> str:
    return f"00000000-0000-4000-9000-{number:012d}"


def names(numbers: range) -> list[bytes]:
    return [f"<GUID={member(number)}>;CN=m{number},DC=contoso,DC=test".encode() for number in numbers]


def group_entry(**values: list[bytes]) -> Found:
    return (
        f"<GUID={GROUP}>;CN=Group,DC=contoso,DC=test",
        {
            "objectGUID": [UUID(GROUP).bytes_le],
            "objectClass": [b"top", b"group"],
            "name": [b"Group"],
            "parentGUID": [UUID(HEAD).bytes_le],
            "sAMAccountName": [b"group"],
            "groupType": [b"-2147483646"],
            "objectSid": [b"\x01"],
            **values,
        },
    )


def member_entry(key: str, numbers: range) -> Found:
    return (
        f"<GUID={GROUP}>;CN=Group,DC=contoso,DC=test",
        {"objectGUID": [UUID(GROUP).bytes_le], "instanceType": [b"4"], key: names(numbers)},
    )


class Recorded:
    """A domain controller that gives recorded DirSync answers, cookie by cookie."""

    def __init__(self, answers: dict[bytes, tuple[list[Found], dirsync.Answer]]) -> None:
        self.answers = answers
        self.facts = Facts("dc1|1", datetime.now(UTC), 10, timedelta(days=180), lists_deleted=True)

    async def answer(self, cookie: bytes, *_: Any) -> AsyncGenerator[tuple[Chunk, dirsync.Answer | None], None]:
        found, ending = self.answers[cookie]
        yield Chunk(found, False), None
        yield Chunk([], True), ending

    async def estimate(self) -> int | None:
        return None

    async def primary_groups(self, _: set[bytes]) -> dict[bytes, str | None]:
        return {}

    async def read(
        self, anchors: dict[str, Any], _: Any, *, deleted: bool = False
    ) -> AsyncGenerator[list[Found], None]:
        yield [group_entry()] if GROUP in anchors and not deleted else []


async def test_group_in_several_answers_is_complete_only_at_their_end(settings: Settings) -> None:
    """Windows may send a group's members in entries and answers of their own: nothing is removed before the last."""
    answers = {
        b"": ([group_entry(**{"member;range=1-1": names(range(3))})], dirsync.Answer(True, b"1")),
        b"1": ([member_entry("member;range=1-1", range(3, 7000))], dirsync.Answer(True, b"2")),
        b"2": ([member_entry("member;range=1-1", range(7000, 7001))], dirsync.Answer(False, b"3")),
    }
    reading = Reading(settings, Plan(settings, SELECTION), Recorded(answers), 1000)  # type: ignore[arg-type]
    seen = Seen([page async for page in reading.everything()])
    assert seen.whole(GROUP) == {member(number) for number in range(7001)}
    assert [part.end for part in seen.references] == [False] * 4 + [True]
    assert [part.part for part in seen.references] == [0, 1, 2, 3, 4]
    assert seen.pages[-1].watermark is not None
    assert watermark.unpack(seen.pages[-1].watermark.position).cookie == b"3"
    assert all(page.watermark is None for page in seen.pages[:-1])


def user_entry(number: int, *, container: str = HEAD, **values: list[bytes]) -> Found:
    return (
        f"<GUID={member(number)}>;CN=m{number},DC=contoso,DC=test",
        {
            "objectGUID": [UUID(member(number)).bytes_le],
            "objectClass": [b"top", b"person", b"user"],
            "name": [b"m%d" % number],
            "parentGUID": [UUID(container).bytes_le],
            **values,
        },
    )


async def test_what_changes_between_the_answers_of_a_full_read_is_told(settings: Settings) -> None:
    """Windows tells of a delete, a change or a member that left meanwhile in a later answer, and never again."""
    tombstone = (
        f"<GUID={member(1)}>;CN=m1\\0ADEL:{member(1)},CN=Deleted Objects,DC=contoso,DC=test",
        {"objectGUID": [UUID(member(1)).bytes_le], "objectClass": [b"top", b"user"], "isDeleted": [b"TRUE"]},
    )
    fragment = (user_entry(2)[0], {"objectGUID": [UUID(member(2)).bytes_le], "title": [b"Chief"]})
    long_ago = (
        f"<GUID={member(9)}>;CN=m9\\0ADEL:{member(9)},CN=Deleted Objects,DC=contoso,DC=test",
        {"objectGUID": [UUID(member(9)).bytes_le], "objectClass": [b"top", b"user"], "isDeleted": [b"TRUE"]},
    )
    first = [user_entry(1), user_entry(2), group_entry(**{"member;range=1-1": names(range(1, 4))}), long_ago]
    answers = {
        b"": (first, dirsync.Answer(True, b"1")),
        b"1": ([tombstone, fragment, member_entry("member;range=0-0", range(1, 3))], dirsync.Answer(True, b"2")),
        b"2": ([member_entry("member;range=1-1", range(2, 3))], dirsync.Answer(False, b"3")),
    }

    class Changed(Recorded):
        async def read(
            self, anchors: dict[str, Any], _: Any, *, deleted: bool = False
        ) -> AsyncGenerator[list[Found], None]:
            assert set(anchors) <= {member(2)}
            yield [user_entry(2, title=[b"Chief"])] if anchors else []

    reading = Reading(settings, Plan(settings, SELECTION), Changed(answers), 1000)  # type: ignore[arg-type]
    seen = Seen([page async for page in reading.everything()])
    assert set(seen.deleted) == {member(1)}
    assert seen.entries[member(2)].attributes["title"] == ("Chief",)
    assert [part for part in seen.references if not part.whole] == [
        ReferenceDelta(GROUP, "member", removed=(member(1),))
    ]
    assert seen.references[-1].removed == (member(1),)


async def test_tombstone_that_only_the_changes_show_is_read_like_any(settings: Settings) -> None:
    """What garbage collection took before it was read again: a container stays one, a hidden name stays hidden."""

    def gone(number: int, object_class: bytes, parent: bytes) -> Found:
        values = {"objectGUID": [UUID(member(number)).bytes_le]}
        values |= {"objectClass": [b"top", object_class]} if object_class else {}
        values |= {"isDeleted": [b"TRUE"], "lastKnownParent": [parent], "name": [f"m\nDEL:{member(number)}".encode()]}
        return f"<GUID={member(number)}>;CN=m\\0ADEL:{member(number)},CN=Deleted Objects,DC=contoso,DC=test", values

    hidden = settings.model_copy(update={"exclude_containers": ("OU=Secret,DC=contoso,DC=test",)})
    plan = Plan(hidden, SELECTION)
    shown, secret = b"<GUID=%s>;DC=contoso,DC=test", b"<GUID=%s>;OU=Secret,DC=contoso,DC=test"
    head = HEAD.encode()
    found = [
        gone(1, b"user", shown % head),
        gone(2, b"user", secret % head),
        gone(3, b"organizationalUnit", shown % head),
        gone(4, b"", secret % head),
    ]
    recorded = Recorded({b"a": (found, dirsync.Answer(False, b"b"))})
    since = watermark.Position(b"a", recorded.facts.now, 10, plan.digest)
    reading = Reading(hidden, plan, recorded, 1000)  # type: ignore[arg-type]
    seen = Seen([page async for page in reading.since(Watermark("dc1|1", watermark.pack(since)))])
    assert seen.deleted == {
        member(1): Tombstone(member(1), "m", "user"),
        member(2): Tombstone(member(2), "", "user"),
        member(4): Tombstone(member(4), "", ""),
    }
    assert seen.containers == {member(3): Container(member(3), None, "m", deleted=True)}


async def test_pages_of_a_full_read_stay_small_however_large_a_group(settings: Settings) -> None:
    """A group of half a million members in one entry is cut before it fills the memory."""
    many = group_entry(**{"member;range=1-1": names(range(300_000))})
    recorded = Recorded({b"": ([many], dirsync.Answer(False, b"1"))})
    reading = Reading(settings, Plan(settings, SELECTION), recorded, 1000)  # type: ignore[arg-type]
    pages = [page async for page in reading.everything()]
    assert max(sum(len(part.added) for part in page.references) for page in pages) < 120_000
    assert len(Seen(pages).whole(GROUP)) == 300_000


async def test_delta_in_several_answers_has_a_watermark_after_each(settings: Settings) -> None:
    """What was handed out need not be asked for again."""
    answers = {
        b"a": ([member_entry("member;range=1-1", range(1))], dirsync.Answer(True, b"b")),
        b"b": ([group_entry(), member_entry("member;range=0-0", range(1, 2))], dirsync.Answer(False, b"c")),
    }
    plan = Plan(settings, SELECTION)
    recorded = Recorded(answers)
    since = watermark.Position(b"a", recorded.facts.now, 10, plan.digest)
    reading = Reading(settings, plan, recorded, 1000)  # type: ignore[arg-type]
    pages = [page async for page in reading.since(Watermark("dc1|1", watermark.pack(since)))]
    assert [watermark.unpack(page.watermark.position).cookie for page in pages if page.watermark] == [b"b", b"c"]
    assert [page.last for page in pages] == [False, True]
    assert Seen(pages).references == [
        ReferenceDelta(GROUP, "member", added=(member(0),)),
        ReferenceDelta(GROUP, "member", removed=(member(1),)),
    ]
    assert set(Seen(pages).entries) == {GROUP}
    assert not pages[-1].idle


@pytest.mark.parametrize(
    ("added", "removed", "expected"),
    [
        (0, 0, [(0, 0)]),
        (1, 1, [(1, 1)]),
        (5000, 0, [(5000, 0)]),
        (5001, 0, [(5000, 0), (1, 0)]),
        (7000, 1, [(5000, 0), (2000, 1)]),
        (4999, 5002, [(4999, 1), (0, 5000), (0, 1)]),
    ],
)
def test_changed_members_are_cut(added: int, removed: int, expected: list[tuple[int, int]]) -> None:
    """At most 5,000 anchors in a part, none lost, the last one marked."""
    came = [member(number) for number in range(added)]
    went = [member(number) for number in range(20_000, 20_000 + removed)]
    made = list(paging.parts(GROUP, "member", came, went))
    assert [(len(part.added), len(part.removed)) for part in made] == expected
    assert [anchor for part in made for anchor in part.added] == came
    assert [anchor for part in made for anchor in part.removed] == went
    assert [part.part for part in made] == list(range(len(expected)))
    assert [part.end for part in made] == [False] * (len(expected) - 1) + [True]


def test_filter_names_object_classes_only(settings: Settings) -> None:
    """objectCategory or sAMAccountType would lose tombstones."""
    plan = Plan(settings, SELECTION)
    assert plan.filter == (
        "(&(|(objectClass=user)(objectClass=inetOrgPerson)(objectClass=group)(objectClass=organizationalUnit)"
        "(objectClass=container)(objectClass=domainDNS)(objectClass=builtinDomain)(objectClass=lostAndFound))"
        "(!(objectClass=computer)))"
    )
    assert "member" not in plan.whole
    assert "member" in plan.delta


@pytest.mark.parametrize("kind", ["user)(description=a*", "user*", "", "user\0"])
def test_object_type_of_another_form_is_refused(settings: Settings, kind: str) -> None:
    """The service names object types; it does not write filters, which would tell values that are kept back."""
    with pytest.raises(ConfigurationError, match="names no class"):
        Plan(settings, Selection({kind: ("cn",)}))


@pytest.mark.parametrize(
    "name", ["1.2.840.113556.1.4.90", "unicodePwd;binary", "description;range=0-1", "*", "+", "1.1", "description "]
)
def test_attribute_by_another_name_is_refused(settings: Settings, name: str) -> None:
    """An attribute's number, or its name with an option, passes no list of names: it would come past the policy."""
    wide = settings.model_copy(update={"include_attributes": ("*",), "exclude_attributes": ("description",)})
    plan = Plan(wide, Selection({"user": ("cn", name)}))
    assert name not in plan.delta
    assert plan.entry("user", user_entry(1), None).unknown[0] == name


def test_spelling_is_the_selections(settings: Settings) -> None:
    """A server may spell attributes its own way."""
    plan = Plan(settings, SELECTION)
    entry = plan.entry("group", group_entry(DESCRIPTION=[b"text"]), None)
    assert entry.first("description") == "text"
    assert entry.attributes["cn"] == ("Group",)
    assert entry.unknown == ()


def test_trust_accounts_are_nobody(settings: Settings) -> None:
    plan = Plan(settings, SELECTION)
    classes = [b"top", b"person", b"organizationalPerson", b"user"]
    assert plan.kind({"objectClass": classes, "userAccountControl": [b"512"]}) == "user"
    assert plan.kind({"objectClass": classes, "userAccountControl": [b"2080"]}) is None
    assert plan.kind({"objectClass": [*classes, b"computer", b"msDS-GroupManagedServiceAccount"]}) is None
    assert plan.kind({"objectClass": [*classes, b"inetOrgPerson"]}) == "inetOrgPerson"
    assert plan.kind({}) is None


def test_position_is_sealed() -> None:
    """Each changed byte is noticed."""
    position = watermark.Position(b"cookie", datetime(2026, 1, 1, tzinfo=UTC), 5, b"digest")
    packed = watermark.pack(position)
    assert watermark.unpack(packed) == position
    for at in range(len(packed)):
        damaged = bytearray(packed)
        damaged[at] ^= 0x01
        with pytest.raises(WatermarkExpired):
            watermark.unpack(bytes(damaged))
