"""An agent of an earlier version works with this service: its calls, as it made them, are answered as it expects.

What it sends is recorded in `tests/contract/wire`; what it expects of an answer stands here.
"""

import asyncio
import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard

from dirbridge.agent import state
from dirbridge.agent.client import ServiceClient
from dirbridge.agent.settings import Common
from dirbridge.contract import wire
from dirbridge.contract.entry import ChangePage
from tests.contract import samples
from tests.service.relay.harness import SELECTION, Agent, Service, collect, made_up

HEARTBEATS = {
    "0.1.0": {
        "state": "running", "version": "0.1.0", "host": "dc-side", "uptime": 12.5, "queue": 0,
        "domains": [samples.DOMAIN], "lastError": None,
    },
}  # fmt: skip


class Earlier:
    """An agent of an earlier version: how it calls, with the parts of its calls that are the same as today."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def call(self, method: str, path: str, **options: Any) -> Any:
        return await self._client._call(method, path, **options)

    async def heartbeat(self, report: dict[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        answer = await self.call("POST", "/heartbeat", content=json.dumps(report).encode(), headers=headers)
        said: dict[str, Any] = answer.json()
        return said

    async def post(self, place: str, number: int, body: bytes, *, is_last: bool) -> int:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers = {"Content-Type": wire.MEDIA_TYPE, "Content-Digest": f"sha-256=:{digest}:"}
        headers |= {"X-Last": "true"} if is_last else {}
        answer = await self.call("POST", f"{place}/pages/{number}", content=body, headers=headers)
        return int(answer.status_code)


@pytest.mark.parametrize("version", samples.versions())
async def test_earlier_agent_answers_a_read(relay: Service, tmp_path: Path, version: str) -> None:
    """It beats, takes a request, renews it and delivers two pages; the cycle gets them as they were meant."""
    agent = Agent(tmp_path / "agent", made_up())
    await agent.enrol(relay)
    async with ServiceClient(state.load(agent.state), Common()) as client:
        earlier = Earlier(client)
        for word in ("starting", "running"):
            advice = (await earlier.heartbeat({**HEARTBEATS[version], "state": word}))["poll"]
            assert all(isinstance(advice[name], int | float) for name in ("wait", "renewEvery", "heartbeatEvery"))
        reading = asyncio.create_task(collect(relay.source().changes(SELECTION, None)))
        answer = await earlier.call("GET", "/requests", params={"wait": 20, "domain": [samples.DOMAIN]})
        assert answer.status_code == 200
        said = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(answer.content))
        assert said.keys() >= {"request", "attempt", "body"}
        assert (said["body"]["type"], said["body"]["domain"]) == ("changes", samples.DOMAIN)
        assert said["body"]["selection"].keys() >= {"attributes", "references", "memberships"}
        place = f"/requests/{said['request']}/attempts/{said['attempt']}"
        assert (await earlier.call("POST", f"{place}/renew")).status_code == 204
        first = wire.encode(wire.Changes(ChangePage(not_visible=("z",))))
        assert await earlier.post(place, 0, first, is_last=False) == 202
        assert await earlier.post(place, 1, samples.recorded(version, "answer-page"), is_last=True) == 202
        page = samples.ANSWERS["page"]
        assert isinstance(page, wire.Changes)
        assert (await asyncio.wait_for(reading, 20))[-1] == page.page
        await earlier.heartbeat({**HEARTBEATS[version], "state": "stopping"})
