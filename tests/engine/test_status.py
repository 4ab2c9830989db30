"""What is told of a cycle afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from dirbridge.connectors.memory.directory import anchor_of
from dirbridge.connectors.memory.source import MemorySource
from dirbridge.contract.entry import ChangePage, Watermark
from dirbridge.contract.errors import ConfigurationError, CredentialError, TransientError
from dirbridge.engine import status
from tests.engine.world import World

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "actionable"),
    [(TransientError("Away."), False), (ConfigurationError("Wrong."), True), (CredentialError("No."), True)],
)
def test_error_document(error: TransientError | ConfigurationError, actionable: bool) -> None:
    """Code, sentence, and whether somebody must act."""
    assert status.error_document(error) == {
        "code": error.code,
        "message": str(error),
        "tenantActionable": actionable,
    }


class Paged(MemorySource):
    """Full reads in pages of three, each with its position, that somebody looks at between them.

    Args:
        seen: is called with the job's progress after every page.
        cut: the page before which it breaks off; None for none.
        estimate: what it says of the whole.
    """

    def __init__(self, world: World, seen: list[dict[str, Any]], cut: int | None, estimate: int | None) -> None:
        super().__init__(world.directory)
        self._world, self._seen, self._cut, self._estimate = world, seen, cut, estimate

    async def changes(self, selection: Any, since: Any) -> AsyncIterator[ChangePage]:
        begin = int(since.position) if since is not None else 0
        anchors = sorted(node.anchor for node in self.directory.live("user"))
        for start in range(begin, len(anchors), 3):
            if start == self._cut:
                raise TransientError("It was cut.", code="StreamCut")
            async for page in self.read(selection, anchors[start : start + 3]):
                mark = Watermark("memory", str(start + 3).encode())
                last = start + 3 >= len(anchors)
                yield msgspec.structs.replace(page, last=last, watermark=mark, estimate=self._estimate)
            await self._look()

    async def _look(self) -> None:
        """The page before the last is written while the next is fetched: what is seen is one behind, or up to date."""
        self._world.clock.forward(seconds=1)
        stored = (await self._world.state()).progress
        if stored is not None:
            self._seen.append(stored)


def _shown(seen: list[dict[str, Any]]) -> set[tuple[int, int, bool, int]]:
    return {(p["completedUnits"], p["totalUnits"], p["isTotalKnown"], p["beganUnits"]) for p in seen}


async def test_progress_of_a_read_that_is_gone_on_with(world: World) -> None:
    """What the cut cycle read counts as done, not as this cycle's speed; the total is the source's word."""
    for n in range(12):
        world.person(anchor_of(n), f"P{n}")
    seen: list[dict[str, Any]] = []
    world.source = lambda: Paged(world, seen, 6, 12)
    await world.cycle()
    assert {p[0] for p in _shown(seen)} <= {3, 6}
    assert {p[1:] for p in _shown(seen)} == {(12, True, 0)}
    seen.clear()
    world.source = lambda: Paged(world, seen, None, 12)
    await world.cycle()
    assert {p[0] for p in _shown(seen)} <= {9, 12}
    assert {p[1:] for p in _shown(seen)} == {(12, True, 6)}
    assert (await world.state()).progress is None


async def test_progress_of_a_source_that_knows_no_total(world: World) -> None:
    """First nothing is known; when all is read again, as many are expected as there were."""
    for n in range(12):
        world.person(anchor_of(n), f"P{n}")
    seen: list[dict[str, Any]] = []
    world.source = lambda: Paged(world, seen, None, None)
    await world.cycle()
    assert {p[2] for p in _shown(seen)} == {False}
    assert all(p["totalUnits"] == p["completedUnits"] for p in seen)
    seen.clear()
    await world.restart()
    await world.cycle()
    assert {p[1:] for p in _shown(seen)} == {(12, True, 0)}
