"""Cycles end between two pages when the process stops."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from dirbridge.connectors.protocol import Source
from dirbridge.contract.entry import ChangePage, Selection, Watermark
from dirbridge.contract.schema import ObjectDefinition
from dirbridge.contract.wire import CheckReport, Located
from dirbridge.service.contexts import Stoppable

PAGES = [ChangePage(not_visible=(name,)) for name in ("a", "b", "c")]


class Pages:
    """A source that hands out three pages, then waits for ever or ends."""

    def __init__(self, *, ends: bool) -> None:
        self.ends = ends
        self.closed = False

    async def changes(self, selection: Selection, since: Watermark | None) -> AsyncIterator[ChangePage]:
        try:
            for page in PAGES:
                yield page
            if not self.ends:
                await asyncio.Event().wait()
        finally:
            self.closed = True

    def read(self, selection: Selection, anchors: Sequence[str]) -> AsyncIterator[ChangePage]:
        return self.changes(selection, None)

    async def locate(self, names: Sequence[str]) -> Sequence[Located]:
        return [Located(name, f"anchor of {name}") for name in names]

    async def schema(self, object_types: Sequence[str]) -> Sequence[ObjectDefinition]:
        raise NotImplementedError

    async def check(self) -> CheckReport:
        raise NotImplementedError


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


async def read(source: Source, stop: asyncio.Event, stop_after: int | None) -> list[ChangePage]:
    found: list[ChangePage] = []
    async for page in source.changes(Selection({}), None):
        found.append(page)
        if len(found) == stop_after:
            stop.set()
    return found


async def test_stream_is_handed_through_whole(stop: asyncio.Event) -> None:
    """Every page, and the end."""
    inner = Pages(ends=True)
    assert await read(Stoppable(inner, stop), stop, None) == PAGES
    assert inner.closed


async def test_names_are_handed_through(stop: asyncio.Event) -> None:
    """What the source finds for them, in their order."""
    found = await Stoppable(Pages(ends=True), stop).locate(["a", "b"])
    assert found == [Located("a", "anchor of a"), Located("b", "anchor of b")]


@pytest.mark.parametrize("after", [1, 2])
async def test_stream_is_cut_after_the_page_that_was_handed_out(stop: asyncio.Event, after: int) -> None:
    """The next one is not."""
    inner = Pages(ends=True)
    reading = asyncio.create_task(read(Stoppable(inner, stop), stop, after))
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert inner.closed


async def test_stream_that_waits_for_an_agent_is_cut_at_once(stop: asyncio.Event) -> None:
    """A stop is not held up by a page that does not come."""
    inner = Pages(ends=False)
    reading = asyncio.create_task(read(Stoppable(inner, stop), stop, None))
    done, _ = await asyncio.wait({reading}, timeout=0.05)
    assert not done
    stop.set()
    async with asyncio.timeout(2):
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert inner.closed
