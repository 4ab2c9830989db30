"""What the service wants collected: whatever goes wrong with it, the agent goes on."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from dirbridge.agent import collecting
from dirbridge.agent.carrying import Carrying


class Service:
    """Hears what is refused."""

    def __init__(self) -> None:
        self.refused: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def refuse_logs(self, collection: str, reason: str) -> None:
        self.refused.put_nowait((collection, reason))


async def test_an_unforeseen_error_ends_one_collection_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is told; the next order is heard. What is no order is passed over."""

    def broken(*_: Any) -> None:
        raise ValueError("ZIP does not support timestamps before 1980")

    monkeypatch.setattr(collecting, "collect", broken)
    service, settings = Service(), SimpleNamespace(common=SimpleNamespace(remote_trace="on"), file=None)
    made: Any = service
    given: Any = settings
    carrying = Carrying(made, given, given)
    running = asyncio.create_task(carrying.run())
    for order in (None, [], {"id": "none"}, {"id": "far", "hours": 10**400}, {"id": "nan", "hours": float("nan")}):
        await carrying.ordered(order)
    for name in ("first", "second"):
        await carrying.ordered({"id": name, "hours": 1})
        async with asyncio.timeout(5):
            assert await service.refused.get() == (name, "Unexpected ValueError; see the agent's log.")
    assert not running.done()
    running.cancel()
