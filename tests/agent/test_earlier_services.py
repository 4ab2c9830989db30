"""This agent works with a service of an earlier version: it needs nothing that such a one does not have.

The service is made of what that version answered, recorded in `tests/contract/wire`, and knows no other call.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
import zstandard

from dirbridge.agent import state
from dirbridge.agent.state import Identity
from dirbridge.contract import wire
from dirbridge.contract.entry import Selection
from tests.agent.test_runner import certificate
from tests.contract import samples

HEARTBEAT = {
    "state": str, "version": str, "host": str, "uptime": float, "queue": int, "domains": list,
}  # fmt: skip
"""What an earlier service insists on, and of which type; members that it does not know it passes over."""


class EarlierService:
    """Answers as an earlier version did."""

    def __init__(self) -> None:
        self.beats: list[dict[str, Any]] = []
        self.pages: list[tuple[str, bytes, bool]] = []
        self.version = ""
        self._given = False
        self._answering: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        answering = list(self._answering)
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)
        await asyncio.sleep(0)  # what was closed is let go in the loop's next round

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._converse(reader, writer)
        finally:
            self._answering.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _, lines = (await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines.split("\r\n"))}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = head.split(" ")
        status, content = await self._answer(method, target.partition("?")[0], headers, body)
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode())
        writer.write(content)
        await writer.drain()

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        place = "/agents/v1/requests/r/attempts/2"
        match method, path:
            case "POST", "/agents/v1/token":
                return 200, json.dumps({"access_token": "t", "token_type": "Bearer", "expires_in": 3599}).encode()
            case "POST", "/agents/v1/heartbeat":
                beat = json.loads(body)
                if any(not isinstance(beat.get(name), kind) for name, kind in HEARTBEAT.items()):
                    return 400, b'{"error": {"code": "BadRequest", "message": "The body cannot be read."}}'
                self.beats.append(beat)
                return 200, b'{"poll": {"wait": 0.3, "renewEvery": 0.5, "heartbeatEvery": 0.3}}'
            case "GET", "/agents/v1/requests" if not self._given:
                self._given = True
                return 200, self._request()
            case "GET", "/agents/v1/requests":
                await asyncio.sleep(0.3)
                return 204, b""
            case "POST", renewed if renewed == f"{place}/renew":
                return 204, b""
            case "POST", page if page.startswith(f"{place}/pages/"):
                digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
                assert headers["content-digest"] == f"sha-256=:{digest}:"
                self.pages.append((page, body, headers.get("x-last") == "true"))
                return 202, b""
            case _:
                return 404, b'{"detail": "Not Found"}'

    def _request(self) -> bytes:
        """The recorded request for changes, from the beginning on and of what a made-up directory has."""
        said = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(self.recorded("assignment-changes")))
        said["body"] |= {"since": None, "page_entries": 100}
        selection = Selection({"user": ("sAMAccountName",)}, {}, {}, ())
        said["body"]["selection"] = msgspec.to_builtins(selection)
        return zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(said))

    def recorded(self, name: str) -> bytes:
        return samples.recorded(self.version, name)


@pytest.fixture
async def service() -> AsyncIterator[EarlierService]:
    async with EarlierService() as running:
        yield running


@pytest.mark.parametrize("version", samples.versions())
async def test_agent_answers_an_earlier_service(service: EarlierService, tmp_path: Path, version: str) -> None:
    """It is found, answers the request in pages that such a service can read, and stays."""
    service.version = version
    key = state.new_key()
    trust = certificate(key, datetime.now(UTC))
    known = Identity(service.url, "id", "tenant", service.url, (samples.DOMAIN,))
    state.save(tmp_path / "state", known, key, trust, trust)
    settings = tmp_path / "agent.toml"
    settings.write_text(f'[[domain]]\nkind = "generated"\nname = "{samples.DOMAIN}"\nusers = 250\ngroups = 0\n')
    with (tmp_path / "log").open("wb") as log:
        agent = subprocess.Popen(
            [sys.executable, "-c", "from dirbridge.cli.main import main; main()", "agent", "run",
             "--settings", str(settings), "--state", str(tmp_path / "state")],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        async with asyncio.timeout(30):
            while len(service.beats) < 4 or not any(last for *_, last in service.pages):
                assert agent.poll() is None, (tmp_path / "log").read_text()
                await asyncio.sleep(0.05)
        report = json.loads((tmp_path / "state" / "report.json").read_text())
        assert report["found"] is True
    finally:
        agent.terminate()
        code = await asyncio.to_thread(agent.wait, 20)
    assert code == 0
    assert [beat["state"] for beat in service.beats][:2] == ["starting", "running"]
    assert service.beats[-1]["state"] == "stopping"
    theirs = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(service.recorded("answer-page")))
    entries = 0
    for _, body, _ in service.pages:
        said = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(body))
        assert (said["type"], set(said)) == (theirs["type"], set(theirs))
        entry_parts = {name for entry in said["page"].get("entries", ()) for name in entry}
        assert entry_parts <= set(theirs["page"]["entries"][0])
        page = wire.decode(body, wire.Answer)
        assert isinstance(page, wire.Changes)
        entries += len(page.page.entries)
    assert entries == 250
    assert "lost" not in (tmp_path / "log").read_text()
