"""Requests become parts of an answer: whole pages, or an error in their place, and nothing that was not allowed."""

from collections.abc import AsyncGenerator, Sequence

import msgspec
import pytest
import zstandard

from dirbridge.agent import executor
from dirbridge.agent.executor import Executor, Part
from dirbridge.connectors.generated.settings import Settings
from dirbridge.connectors.generated.source import GeneratedSource
from dirbridge.contract import wire
from dirbridge.contract.entry import (
    ChangePage,
    Container,
    Entry,
    ReferenceDelta,
    Selection,
    Tombstone,
    Watermark,
)
from dirbridge.contract.errors import CredentialError, TransientError
from dirbridge.contract.schema import AttributeDefinition, ObjectDefinition

SELECTION = Selection({"user": ("cn", "mail"), "group": ("cn",)}, memberships={"group": ("member",)})
DOMAIN = "made-up.test"


class Scripted:
    """A source that does what a test wants it to."""

    def __init__(self, *steps: ChangePage | Exception) -> None:
        self.steps = steps
        self.calls = 0
        self.is_closed = False

    async def changes(self, selection: Selection, since: Watermark | None) -> AsyncGenerator[ChangePage, None]:
        self.calls += 1
        try:
            for step in self.steps:
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.is_closed = True

    def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncGenerator[ChangePage, None]:
        return self.changes(selection, None)

    async def locate(self, names: Sequence[str]) -> Sequence[wire.Located]:
        self.calls += 1
        return [wire.Located(name) for name in names]

    async def schema(self, object_types: Sequence[str]) -> Sequence[ObjectDefinition]:
        return [ObjectDefinition(kind, (AttributeDefinition("mail"),)) for kind in object_types]

    async def check(self) -> wire.CheckReport:
        return wire.CheckReport(())


async def answers(working: Executor, request: wire.Request) -> list[wire.Answer]:
    parts = [part async for part in working.answer(request)]
    assert [part.is_last for part in parts] == [False] * (len(parts) - 1) + [True]
    return [wire.decode(part.body, wire.Answer) for part in parts]


async def test_pages_are_those_of_the_source() -> None:
    """A change stream travels page by page as it is."""
    source = GeneratedSource(Settings(name=DOMAIN, users=2500, groups=3, members=10))
    expected = [page async for page in source.changes(SELECTION, None)]
    found = await answers(Executor({DOMAIN: source}), wire.ChangesRequest(DOMAIN, SELECTION))
    assert found == [wire.Changes(page) for page in expected]


class Copied(Scripted):
    """A source whose directory has several copies."""

    replica = ""

    def read_at(self, replica: str, selection: Selection, anchors: Sequence[str]) -> AsyncGenerator[ChangePage, None]:
        self.replica = replica
        return self.changes(selection, None)


async def test_entries_are_read_in_the_copy_that_is_asked_for() -> None:
    """Where there are several, and where one is named; else wherever the source likes."""
    page = ChangePage(last=True)
    for source, replica in ((Copied(page), "dc2|id"), (Copied(page), ""), (Scripted(page), "dc2|id")):
        request = wire.ReadRequest(DOMAIN, SELECTION, ("a",), replica=replica)
        assert await answers(Executor({DOMAIN: source}), request) == [wire.Changes(page)]
        assert getattr(source, "replica", "") == (replica if isinstance(source, Copied) else "")


async def test_domain_that_is_not_configured_is_refused() -> None:
    """The service cannot make an agent read what its settings do not name."""
    source = Scripted(ChangePage(last=True))
    (found,) = await answers(Executor({DOMAIN: source}), wire.ChangesRequest("other.test", SELECTION))
    assert isinstance(found, wire.Failure)
    assert (found.kind, found.code) == ("configuration", "DomainNotConfigured")
    assert source.calls == 0


async def test_request_outside_the_closed_set_is_refused() -> None:
    """A body that is none of the known requests does not even decode; one the source lacks is refused."""
    with pytest.raises(TransientError, match="Invalid value 'delete-everything'"):
        wire.decode(
            zstandard.ZstdCompressor().compress(
                msgspec.msgpack.encode({"type": "delete-everything", "domain": DOMAIN})
            ),
            wire.Request,
        )
    (found,) = await answers(Executor({DOMAIN: Scripted()}), wire.ContainersRequest(DOMAIN))
    assert isinstance(found, wire.Failure)
    assert found.code == "RequestNotSupported"


async def test_names_are_looked_up() -> None:
    """One answer has all names, in their order, the unknown ones without an anchor."""
    source = GeneratedSource(Settings(name=DOMAIN, users=10, groups=2, members=3))
    names = ("g000001", "nobody", f"u0000007@{DOMAIN}", "Sales", f"u0000007@other.{DOMAIN}")
    (found,) = await answers(Executor({DOMAIN: source}), wire.LocateRequest(DOMAIN, names))
    assert isinstance(found, wire.Locations)
    assert [(one.name, one.object_type) for one in found.found] == [
        ("g000001", "group"),
        ("nobody", ""),
        (f"u0000007@{DOMAIN}", "user"),
        ("Sales", "container"),
        (f"u0000007@other.{DOMAIN}", ""),
    ]
    everything = [page async for page in source.changes(SELECTION, None)]
    known = {entry.anchor for page in everything for entry in page.entries}
    known |= {container.anchor for page in everything for container in page.containers}
    assert {one.anchor for one in found.found if one.object_type} <= known
    by_anchor = await source.locate([one.anchor for one in found.found if one.anchor])
    assert [one.object_type for one in by_anchor] == ["group", "user", "container"]


async def test_too_many_names_are_refused() -> None:
    """A request may ask for a hundred names; the source is not even asked for one more."""
    source = Scripted()
    names = tuple(f"name {number}" for number in range(wire.LOCATE_NAMES + 1))
    (found,) = await answers(Executor({DOMAIN: source}), wire.LocateRequest(DOMAIN, names))
    assert isinstance(found, wire.Failure)
    assert found.code == "RequestNotSupported"
    assert source.calls == 0
    (found,) = await answers(Executor({DOMAIN: source}), wire.LocateRequest(DOMAIN, names[1:]))
    assert isinstance(found, wire.Locations)
    assert len(found.found) == wire.LOCATE_NAMES


async def test_attributes_are_told_by_type() -> None:
    """A schema request is answered for the types that are there, and refused for more than it may name."""
    working = Executor({DOMAIN: GeneratedSource(Settings(name=DOMAIN, users=1, groups=1, members=1))})
    (found,) = await answers(working, wire.SchemaRequest(DOMAIN, ("user", "group", "printer")))
    assert isinstance(found, wire.LiveSchema)
    assert [one.name for one in found.objects] == ["user", "group"]
    assert {"userPrincipalName", "company"} <= {attribute.name for attribute in found.objects[0].attributes}
    types = tuple(f"type{number}" for number in range(wire.SCHEMA_TYPES + 1))
    (refused,) = await answers(working, wire.SchemaRequest(DOMAIN, types))
    assert isinstance(refused, wire.Failure)
    assert refused.code == "RequestNotSupported"


async def test_stream_without_an_end_is_a_failure() -> None:
    """A source that stops without saying that it is complete was cut off, whatever it has shown."""
    entry = Entry("a", "user", "A")
    found = await answers(
        Executor({DOMAIN: Scripted(ChangePage(entries=(entry,)))}), wire.ChangesRequest(DOMAIN, SELECTION)
    )
    assert found[0] == wire.Changes(ChangePage(entries=(entry,)))
    assert isinstance(found[1], wire.Failure)
    assert (found[1].kind, found[1].code) == ("transient", "StreamCut")


async def test_crash_of_a_connector_gives_no_value_away() -> None:
    """An error that nobody foresaw reaches the cycle as transient, without its text."""
    source = Scripted(ChangePage(), ValueError("hunter2"))
    found = await answers(Executor({DOMAIN: source}), wire.ChangesRequest(DOMAIN, SELECTION))
    failure = found[-1]
    assert isinstance(failure, wire.Failure)
    assert (failure.kind, failure.code) == ("transient", "AgentFault")
    assert "ValueError" in failure.reason
    assert "hunter2" not in failure.reason + failure.recommended_action


async def test_refused_account_is_left_alone() -> None:
    """After a refused bind the directory is not asked again for a while: one attempt, then none."""
    now, password = 0.0, "old"
    source = Scripted(CredentialError("The account is refused.", code="InvalidCredentials"))
    working = Executor({DOMAIN: source}, credential_pause=1800, stamp=lambda _: password, clock=lambda: now)
    for _ in range(3):
        (found,) = await answers(working, wire.ChangesRequest(DOMAIN, SELECTION))
        assert isinstance(found, wire.Failure)
        assert (found.kind, found.code) == ("credential", "InvalidCredentials")
    assert source.calls == 1
    assert "not tried again for 30 minutes" in found.reason
    now = 1801.0
    await answers(working, wire.ChangesRequest(DOMAIN, SELECTION))
    assert source.calls == 2
    password = "new"
    for _ in range(2):
        await answers(working, wire.ChangesRequest(DOMAIN, SELECTION))
    assert source.calls == 3


async def test_source_is_closed_when_nobody_reads_on() -> None:
    """Leaving an answer in the middle ends the reading of the directory."""
    source = Scripted(ChangePage(), ChangePage(), ChangePage(last=True))
    parts = Executor({DOMAIN: source}).answer(wire.ChangesRequest(DOMAIN, SELECTION))
    await anext(parts)
    await parts.aclose()
    assert source.is_closed


def pages_of(parts: Sequence[Part]) -> list[ChangePage]:
    return [wire.decode(part.body, wire.Changes).page for part in parts]


def test_large_page_is_cut_and_loses_nothing() -> None:
    """A page too large to travel becomes several; only the last has the watermark and the end."""
    entries = tuple(
        Entry(f"{n}", "user", "x", attributes={"thumbnailPhoto": (bytes([n]) * 300_000,)}) for n in range(90)
    )
    page = ChangePage(
        entries=entries,
        deleted=(Tombstone("t"),),
        containers=(Container("c", None, "C"),),
        references=(ReferenceDelta("g", "member", added=("1", "2"), whole=True),),
        not_visible=("n",),
        watermark=Watermark("dc", b"1"),
        last=True,
        estimate=90,
    )
    parts = list(executor.cut(page))
    assert len(parts) > 2
    assert all(zstandard.frame_content_size(part.body) <= executor.PART_SIZE for part in parts)
    found = pages_of(parts)
    assert tuple(entry for piece in found for entry in piece.entries) == entries
    for name in ("deleted", "containers", "references", "not_visible"):
        assert tuple(item for piece in found for item in getattr(piece, name)) == getattr(page, name)
    assert [piece.last for piece in found] == [False] * (len(found) - 1) + [True]
    assert [piece.watermark for piece in found] == [None] * (len(found) - 1) + [page.watermark]
    assert found[0].containers


def test_entry_too_large_for_the_wire_keeps_its_other_attributes() -> None:
    """One enormous value becomes a fault of its attribute, not of the read."""
    huge = Entry("a", "user", "A", attributes={"cn": ("A",), "jpegPhoto": (b"x" * (wire.MAX_DECOMPRESSED + 1),)})
    (part,) = executor.cut(ChangePage(entries=(huge,), last=True))
    (entry,) = pages_of([part])[0].entries
    assert entry.attributes == {"cn": ("A",)}
    assert "cannot be carried" in entry.faults["jpegPhoto"]
