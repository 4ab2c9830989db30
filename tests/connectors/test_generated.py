"""The made-up directory is the same at every reading, and its deltas lead where a full read would."""

from pathlib import Path

import pytest

from dirbridge.connectors.generated.directory import USER, Directory
from dirbridge.connectors.generated.settings import Settings
from dirbridge.connectors.generated.source import PART, GeneratedSource
from dirbridge.contract.entry import ChangePage, Entry, Selection, Watermark
from dirbridge.contract.errors import WatermarkExpired

SELECTION = Selection(
    {"user": ("cn", "title", "mail"), "group": ("cn",)},
    references={"user": ("manager",)},
    memberships={"group": ("member",)},
)


async def read(source: GeneratedSource, since: Watermark | None = None) -> list[ChangePage]:
    pages = [page async for page in source.changes(SELECTION, since)]
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    return pages


def whole(pages: list[ChangePage]) -> tuple[dict[str, Entry], dict[str, set[str]]]:
    entries = {entry.anchor: entry for page in pages for entry in page.entries}
    members: dict[str, set[str]] = {}
    for page in pages:
        for part in page.references:
            found = members.setdefault(part.owner, set())
            assert not found & set(part.added)
            found |= set(part.added)
    return entries, members


async def test_full_read_is_complete_and_repeatable() -> None:
    """As many users, groups and members as the settings say, each with its own anchor."""
    settings = Settings(name="made-up.test", users=2500, groups=30, members=20, largest=2 * PART // 5)
    pages = await read(GeneratedSource(settings))
    assert pages == await read(GeneratedSource(settings))
    entries, members = whole(pages)
    assert len(entries) == 2530
    assert sorted(map(len, members.values())) == [20] * 29 + [2000]
    assert set().union(*members.values()) <= set(entries)
    assert all(manager in entries for entry in entries.values() for manager in entry.references.get("manager", ()))


async def test_large_group_comes_in_parts() -> None:
    """A membership list larger than a part is numbered, and says where it ends."""
    source = GeneratedSource(Settings(name="made-up.test", users=3 * PART, groups=1, largest=2 * PART + 1))
    parts = [part for page in await read(source) for part in page.references]
    assert [(part.part, part.end, len(part.added)) for part in parts] == [
        (0, False, PART),
        (1, False, PART),
        (2, True, 1),
    ]


async def test_delta_leads_where_a_full_read_leads(tmp_path: Path) -> None:
    """What the revisions changed, applied to the old state, is the new state."""
    revision = tmp_path / "revision"
    revision.write_text("3")
    source = GeneratedSource(Settings(name="made-up.test", users=40, groups=2, members=10, revision_file=revision))
    before = await read(source)
    entries, members = whole(before)
    idle = await read(source, before[-1].watermark)
    assert [page.idle for page in idle] == [True]
    revision.write_text("100")
    for page in await read(source, before[-1].watermark):
        entries.update({entry.anchor: entry for entry in page.entries})
        for part in page.references:
            members[part.owner] = (members[part.owner] | set(part.added)) - set(part.removed)
    assert (entries, members) == whole(await read(source))


async def test_read_by_anchor() -> None:
    """Anchors lead back to their entries; strangers are not visible."""
    source = GeneratedSource(Settings(name="made-up.test", users=50, groups=5, members=10))
    entries, members = whole(await read(source))
    stranger = GeneratedSource(Settings(name="made-up.test", users=50, groups=0, seed=1))
    foreign = next(iter(whole(await read(stranger))[0]))
    pages = [page async for page in source.read(SELECTION, [*entries, foreign, "x"])]
    again = whole(pages)
    assert again == (entries, members)
    assert [anchor for page in pages for anchor in page.not_visible] == [foreign, "x"]


async def test_foreign_watermark_is_refused() -> None:
    """A position of another directory, or of the future, leads to a full read."""
    small = GeneratedSource(Settings(name="made-up.test", users=5, groups=0))
    large = GeneratedSource(Settings(name="made-up.test", users=6, groups=0))
    with pytest.raises(WatermarkExpired):
        await read(large, (await read(small))[-1].watermark)


async def test_the_first_group_is_emptied_and_marked_at_its_revisions(tmp_path: Path) -> None:
    """A delta over such a revision leads where a full read leads; the mark is there from its revision on."""
    revision = tmp_path / "revision"
    revision.write_text("0")
    settings = Settings(
        name="made-up.test", users=2 * PART, groups=2, largest=PART + 3, emptied_at=5, left_at=7, revision_file=revision
    )
    source = GeneratedSource(settings)
    selection = Selection({"user": ("cn",), "group": ("cn", "adminDescription")}, memberships={"group": ("member",)})
    before = [page async for page in source.changes(selection, None)]
    group = next(part.owner for page in before for part in page.references)
    members = {anchor for page in before for part in page.references if part.owner == group for anchor in part.added}
    assert len(members) == PART + 3
    revision.write_text("6")
    emptied = [page async for page in source.changes(selection, before[-1].watermark)]
    for page in emptied:
        for part in page.references:
            members = (members | set(part.added)) - set(part.removed)
    assert members == set()
    assert all("adminDescription" not in entry.attributes for page in emptied for entry in page.entries)
    revision.write_text("7")
    marked = [page async for page in source.changes(selection, emptied[-1].watermark)]
    found = [entry for page in marked for entry in page.entries if entry.anchor == group]
    assert [entry.attributes["adminDescription"] for entry in found] == [("Group_made-up",)]


async def test_duplicates_share_an_address() -> None:
    """Every so-manieth user has the mail of the one before."""
    source = GeneratedSource(Settings(name="made-up.test", users=40, groups=0, members=0, duplicates=10))
    entries, _ = whole(await read(source))
    mails = [entry.attributes["mail"] for entry in entries.values()]
    assert len(mails) - len(set(mails)) == 4


@pytest.mark.parametrize("revision", [0, 2, 7, 40, 41])
@pytest.mark.parametrize("emptied_at", [0, 30])
def test_one_member_is_told_as_all_are(revision: int, emptied_at: int) -> None:
    """Whether somebody is a member of the first group says the same as the list of its members."""
    settings = Settings(name="made.test", users=17, groups=2, members=3, largest=11, emptied_at=emptied_at)
    directory = Directory(settings, revision)
    members = {directory.anchor(USER, n) for n in range(17) if directory.is_member(n)}
    assert members == set(directory.members(0))
