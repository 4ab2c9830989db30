"""What every source that reads a real directory must do, as checks that a test runs against each of them.

A check gets a `Subject` and raises `AssertionError` with a sentence where the source does otherwise. The directory may
hold anything else besides; each check works in an organizational unit of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol
from uuid import uuid4

from dirbridge.connectors.protocol import Source
from dirbridge.contract.entry import ChangePage, Container, Entry, Selection, Values, Watermark
from dirbridge.contract.errors import WatermarkExpired

MEMBER, MANAGER, NOTE = "member", "manager", "description"


class Editor(Protocol):
    """Changes the directory as any tool would. Names are common names, unescaped; everything lies in one unit.

    Attributes:
        person, group: object types of what it makes.
        unit: anchor of the unit that everything lies in.
    """

    @property
    def person(self) -> str: ...

    @property
    def group(self) -> str: ...

    @property
    def unit(self) -> str: ...

    def add_person(self, name: str, **values: str) -> str:
        """Make a person in the unit and give its anchor."""
        ...

    def add_group(self, name: str, *members: str) -> str:
        """Make a group in the unit and give its anchor."""
        ...

    def add_unit(self, name: str) -> str:
        """Make a unit in the unit and give its anchor."""
        ...

    def set(self, name: str, **values: str) -> None:
        """Replace values of an entry of the unit; an empty one takes the attribute away."""
        ...

    def manage(self, name: str, manager: str) -> None:
        """Set somebody's manager."""
        ...

    def join(self, group: str, *members: str) -> None: ...

    def leave(self, group: str, *members: str) -> None: ...

    def rename(self, name: str, new: str) -> None: ...

    def move(self, name: str, unit: str) -> None:
        """Move an entry of the unit into a unit in it."""
        ...

    def rename_unit(self, name: str, new: str) -> None: ...

    def delete(self, name: str) -> None: ...


@dataclass(slots=True)
class Image:
    """What a reader of pages holds, by the contract's rules."""

    entries: dict[str, Entry] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    managers: dict[str, set[str]] = field(default_factory=dict)

    def take(self, page: ChangePage) -> None:
        """Bring a page in: entries first, then references, deletes last."""
        for entry in page.entries:
            self.entries[entry.anchor] = entry
            self.managers[entry.anchor] = set(entry.references.get(MANAGER, ()))
        for container in page.containers:
            if container.deleted:
                self.containers.pop(container.anchor, None)
            else:
                self.containers[container.anchor] = container
        for delta in page.references:
            if delta.whole and delta.part == 0:
                self.members[delta.owner] = set()
            held = self.members.setdefault(delta.owner, set())
            held |= set(delta.added)
            held -= set(delta.removed)
        for back in page.back_references:
            held_by = {MEMBER: self.members, MANAGER: self.managers}.get(back.attribute, {})
            for owner, referenced in held_by.items():
                if owner not in back.owners:
                    referenced.discard(back.referenced)
            for owner in back.owners:
                held_by.setdefault(owner, set()).add(back.referenced)
        for tombstone in page.deleted:
            self._forget(tombstone.anchor)

    def _forget(self, anchor: str) -> None:
        self.entries.pop(anchor, None)
        for held_by in (self.members, self.managers):
            held_by.pop(anchor, None)
            for referenced in held_by.values():
                referenced.discard(anchor)

    def below(self, unit: str) -> dict[str, tuple[str, str | None, Values, frozenset[str], frozenset[str]]]:
        """What can be compared of the entries below a unit, by anchor."""
        return {
            anchor: (
                entry.name,
                entry.container,
                entry.attributes.get(NOTE, ()),
                frozenset(self.managers.get(anchor, ())),
                frozenset(self.members.get(anchor, ())),
            )
            for anchor, entry in self.entries.items()
            if unit in self.ancestors(entry.container)
        }

    def ancestors(self, container: str | None) -> list[str]:
        """The anchors of a container and of those that it lies in, up to the head."""
        found: list[str] = []
        while container is not None and container not in found:
            found.append(container)
            node = self.containers.get(container)
            assert node is not None, f"the container {container} was never told of"
            container = node.parent
        return found


@dataclass(slots=True)
class Subject:
    """A source on trial, with somebody who reads it as a job does.

    Attributes:
        selection: with `description` and `manager` of people, and `member` of groups.
    """

    source: Source
    edit: Editor
    selection: Selection
    image: Image = field(default_factory=Image)
    watermark: Watermark | None = None

    async def next(self) -> list[ChangePage]:
        """Read what changed, or everything the first time."""
        pages = [page async for page in self.source.changes(self.selection, self.watermark)]
        assert pages, "a stream without a page"
        assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True], "not the last page alone is last"
        assert pages[-1].watermark is not None, "the last page has no watermark"
        self.watermark = pages[-1].watermark
        for page in pages:
            self.image.take(page)
        return pages

    async def read(self, *anchors: str) -> Image:
        """Read anchors afresh."""
        image = Image()
        for page in await self.read_pages(*anchors):
            image.take(page)
        return image

    async def read_pages(self, *anchors: str) -> list[ChangePage]:
        """Read anchors afresh, and give the pages."""
        pages = [page async for page in self.source.read(self.selection, anchors)]
        assert pages[-1].last, "a reading by anchors has no last page"
        return pages

    async def afresh(self) -> Image:
        """Read everything once more, as somebody who knows nothing."""
        other = Subject(self.source, self.edit, self.selection)
        await other.next()
        return other.image


Check = Callable[[Subject], Awaitable[None]]


def told(pages: Iterable[ChangePage]) -> set[str]:
    """The anchors that pages tell anything of but containers."""
    found: set[str] = set()
    for page in pages:
        found |= {entry.anchor for entry in page.entries} | {one.anchor for one in page.deleted} | {*page.not_visible}
        found |= {delta.owner for delta in page.references} | {back.referenced for back in page.back_references}
    return found


async def all_that_is_there_is_told(subject: Subject) -> None:
    """A full read tells people, groups, who is in them, who manages whom, and where everything lies."""
    edit = subject.edit
    ann, bob = edit.add_person("Ann", description="First"), edit.add_person("Bob")
    edit.manage("Bob", "Ann")
    team = edit.add_group("Team", "Ann", "Bob")
    await subject.next()
    entries = subject.image.entries
    assert {entries[anchor].object_type for anchor in (ann, bob)} == {edit.person}, "people have another type"
    assert entries[team].object_type == edit.group, "the group has another type"
    assert (entries[ann].name, entries[ann].attributes[NOTE]) == ("Ann", ("First",)), "a value was told otherwise"
    assert NOTE not in entries[bob].attributes, "an absent attribute has a key"
    assert entries[bob].references == {**entries[bob].references, MANAGER: (ann,)}, "the manager is another"
    assert subject.image.members[team] == {ann, bob}, "the members are others"
    assert edit.unit in subject.image.ancestors(entries[ann].container), "it lies elsewhere"


async def where_nothing_changed_nothing_is_told(subject: Subject) -> None:
    """The second reading is idle, and so is the third: an answer that has nothing to tell has no end of its own."""
    subject.edit.add_person("Ann")
    await subject.next()
    await subject.next()
    for _ in range(2):
        pages = await subject.next()
        assert told(pages) == set(), "something was told though nothing happened"
        assert pages[-1].idle, "a reading without news is not called idle"


async def a_changed_entry_is_whole(subject: Subject) -> None:
    """Of a changed entry everything is told, not the change alone; a cleared value has no key."""
    edit = subject.edit
    ann = edit.add_person("Ann", description="First", title="Clerk")
    edit.add_person("Bob")
    edit.manage("Ann", "Bob")
    await subject.next()
    edit.set("Ann", description="Second")
    await subject.next()
    entry = subject.image.entries[ann]
    assert (entry.attributes[NOTE], entry.attributes["title"]) == (("Second",), ("Clerk",)), "a part was told"
    assert entry.references.get(MANAGER), "the manager was left out"
    edit.set("Ann", description="")
    await subject.next()
    entry = subject.image.entries[ann]
    assert NOTE not in entry.attributes, "a cleared value is still there"
    assert NOTE not in entry.unknown, "a cleared value is called unknown"


async def a_new_entry_is_told(subject: Subject) -> None:
    """What is made after the first reading comes with the next, with its place and its memberships."""
    edit = subject.edit
    ann = edit.add_person("Ann")
    await subject.next()
    bob = edit.add_person("Bob")
    team = edit.add_group("Team", "Ann", "Bob")
    pages = await subject.next()
    assert {bob, team} <= told(pages), "something new was left out"
    assert subject.image.members[team] == {ann, bob}, "the new group has other members"
    assert edit.unit in subject.image.ancestors(subject.image.entries[bob].container), "it lies elsewhere"


async def a_deletion_has_evidence(subject: Subject) -> None:
    """What is deleted comes as a tombstone with the next changes, and when it is looked up; the others stay."""
    edit = subject.edit
    ann, bob = edit.add_person("Ann"), edit.add_person("Bob")
    team = edit.add_group("Team", "Ann", "Bob")
    await subject.next()
    edit.delete("Bob")
    pages = await subject.next()
    deleted = {one.anchor for page in pages for one in page.deleted}
    assert deleted & {ann, bob, team} == {bob}, f"deleted are {deleted}"
    assert (await subject.read(team)).members[team] == {ann}, "the group still has it"
    looked_up = await subject.read_pages(ann, bob)
    assert [one.anchor for page in looked_up for one in page.deleted] == [bob], "looked up, it is no tombstone"
    assert [entry.anchor for page in looked_up for entry in page.entries] == [ann], "looked up, another is gone"
    assert told(await subject.next()) & {ann, bob} == set(), "it was told twice"


async def what_never_was_is_no_entry(subject: Subject) -> None:
    """A reading by anchors answers each anchor, be it a stranger's."""
    ann, stranger = subject.edit.add_person("Ann"), str(uuid4())
    pages = await subject.read_pages(stranger, ann)
    assert [entry.anchor for page in pages for entry in page.entries] == [ann], "a stranger is an entry"
    answered = {anchor for page in pages for anchor in page.not_visible}
    answered |= {one.anchor for page in pages for one in page.deleted}
    assert answered == {stranger}, "a stranger got no answer"


async def a_rename_keeps_the_anchor(subject: Subject) -> None:
    """Another name is another name and nothing else: group and report keep whom they name."""
    edit = subject.edit
    ann = edit.add_person("Ann")
    edit.add_person("Bob")
    edit.manage("Bob", "Ann")
    team = edit.add_group("Team", "Ann")
    await subject.next()
    edit.rename("Ann", "Anna")
    await subject.next()
    assert subject.image.entries[ann].name == "Anna", "the new name was not told"
    assert subject.image.members[team] == {ann}, "the group lost its member"
    assert subject.image.below(edit.unit) == (await subject.afresh()).below(edit.unit), "a full read says otherwise"


async def a_move_is_told(subject: Subject) -> None:
    """An entry in another unit lies there, and is the same."""
    edit = subject.edit
    ann, away = edit.add_person("Ann"), edit.add_unit("Away")
    await subject.next()
    edit.move("Ann", "Away")
    await subject.next()
    assert subject.image.entries[ann].container == away, "it lies where it lay"


async def a_renamed_unit_brings_all_below(subject: Subject) -> None:
    """The unit keeps its anchor; what lies in it has another distinguished name and is told."""
    edit = subject.edit
    away, ann = edit.add_unit("Away"), edit.add_person("Ann")
    edit.move("Ann", "Away")
    await subject.next()
    edit.rename_unit("Away", "Far Away")
    pages = await subject.next()
    assert subject.image.containers[away].name == "Far Away", "the unit has its old name"
    assert ann in told(pages), "who lies in it was not told"
    assert subject.image.entries[ann].container == away, "it lies elsewhere"


async def members_come_and_go(subject: Subject) -> None:
    """However memberships are told, those who read the changes know the same as those who read everything."""
    edit = subject.edit
    people = {name: edit.add_person(name) for name in ("Ann", "Bob", "Eve")}
    team = edit.add_group("Team", "Ann")
    await subject.next()
    edit.join("Team", "Bob", "Eve")
    await subject.next()
    assert subject.image.members[team] == set(people.values()), "somebody who joined is missing"
    edit.leave("Team", "Ann")
    await subject.next()
    assert subject.image.members[team] == {people["Bob"], people["Eve"]}, "somebody who left is there"
    assert (await subject.read(team)).members[team] == {people["Bob"], people["Eve"]}, "read afresh, it has others"


async def odd_names_are_exact(subject: Subject) -> None:
    """Characters that a distinguished name escapes come back as they are, and references find their way."""
    edit = subject.edit
    names = (
        "Möller, Jürgen",
        "Smith + Sons (Reception)",
        "#1 Helpdesk",
        'Robert "Bob"; <Jr.>',
        "Back\\slash",
        "山田 🎻",
    )
    anchors = {name: edit.add_person(name) for name in names}
    team = edit.add_group("All, of them", *names)
    await subject.next()
    assert {name: subject.image.entries[anchor].name for name, anchor in anchors.items()} == {n: n for n in names}
    assert subject.image.members[team] == set(anchors.values()), "a member with an odd name was lost"


async def changes_lead_where_a_full_read_leads(subject: Subject) -> None:
    """After many edits, some of them between two readings, the image of the changes is the image of everything."""
    edit = subject.edit
    edit.add_unit("Inner")
    for number in range(6):
        edit.add_person(f"P{number}", description=str(number))
    edit.add_group("Odd", "P1", "P3", "P5")
    edit.add_group("Even", "P0", "P2", "P4")
    await subject.next()
    edit.manage("P1", "P0")
    edit.move("P5", "Inner")
    edit.leave("Even", "P2")
    await subject.next()
    edit.join("Odd", "P2")
    edit.rename("P3", "P3 née X")
    edit.delete("P4")
    edit.rename_unit("Inner", "Outer")
    edit.set("P0", description="")
    edit.add_person("P6", description="late")
    edit.join("Even", "P6")
    await subject.next()
    await subject.next()
    assert subject.image.below(edit.unit) == (await subject.afresh()).below(edit.unit), "a full read says otherwise"


async def a_reading_that_was_cut_is_made_again(subject: Subject) -> None:
    """Who leaves a stream early and comes back with the old watermark misses nothing."""
    ann = subject.edit.add_person("Ann")
    await subject.next()
    subject.edit.set("Ann", description="Second")
    stream = subject.source.changes(subject.selection, subject.watermark)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]  # an async generator, as all sources have them
    await subject.next()
    assert subject.image.entries[ann].attributes[NOTE] == ("Second",), "a change was lost"


async def a_position_that_does_not_hold_is_refused(subject: Subject) -> None:
    """A damaged watermark, and one of another selection, lead to a full read and not to silence."""
    await subject.next()
    assert subject.watermark is not None
    position = subject.watermark.position
    damaged = Watermark(subject.watermark.replica, position[:-3] + bytes((position[-3] ^ 1,)) + position[-2:])
    other = Selection({subject.edit.person: ("cn", "title")})
    for selection, watermark in ((subject.selection, damaged), (other, subject.watermark)):
        try:
            async for _ in subject.source.changes(selection, watermark):
                pass
        except WatermarkExpired:
            continue
        raise AssertionError("a position that does not hold was taken")


async def names_lead_to_entries(subject: Subject) -> None:
    """An anchor is located with its type and its distinguished name, which leads back; nonsense to nothing."""
    ann = subject.edit.add_person("Ann")
    (located,) = await subject.source.locate([ann])
    assert (located.anchor, located.object_type) == (ann, subject.edit.person), "the anchor led elsewhere"
    by_name, nothing = await subject.source.locate([located.shown, f"nobody-{uuid4()}"])
    assert (by_name.anchor, nothing.anchor) == (ann, ""), "the name led elsewhere"


async def types_are_described(subject: Subject) -> None:
    """The live schema names the attributes of a type, and leaves out a type that the directory does not know."""
    found = await subject.source.schema([subject.edit.person, "dirbridgeNoSuchClass", subject.edit.group])
    assert [kind.name for kind in found] == [subject.edit.person, subject.edit.group], "types are others"
    attributes = {one.name: one.type for kind in found for one in kind.attributes}
    assert {NOTE, MANAGER, MEMBER} <= attributes.keys(), "an attribute is missing"
    assert attributes[MEMBER] == "Reference", "members are no references"


async def the_check_finds_nothing_amiss(subject: Subject) -> None:
    """With the rights that the documentation names, no finding is a failure."""
    report = await subject.source.check()
    failed = [finding for finding in report.findings if finding.outcome == "fail"]
    assert report.findings, "nothing was looked at"
    assert not failed, f"the check found {failed}"


CHECKS: tuple[Check, ...] = (
    all_that_is_there_is_told,
    where_nothing_changed_nothing_is_told,
    a_changed_entry_is_whole,
    a_new_entry_is_told,
    a_deletion_has_evidence,
    what_never_was_is_no_entry,
    a_rename_keeps_the_anchor,
    a_move_is_told,
    a_renamed_unit_brings_all_below,
    members_come_and_go,
    odd_names_are_exact,
    changes_lead_where_a_full_read_leads,
    a_reading_that_was_cut_is_made_again,
    a_position_that_does_not_hold_is_refused,
    names_lead_to_entries,
    types_are_described,
    the_check_finds_nothing_amiss,
)
