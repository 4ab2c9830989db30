"""A service that hands files out on loopback, and can be told to misbehave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Self


class Serving:
    """Answers `GET /agents/v1/releases/...` over plain HTTP.

    Attributes:
        cut: paths of which only the first half is sent.
        endless: paths after which bytes never end.
        slow: paths that come byte by byte.
        refused: paths that are answered with this status.
        asked: every path, in order.
        sent: bytes without end that were sent.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.cut: set[str] = set()
        self.endless: set[str] = set()
        self.slow: set[str] = set()
        self.refused: dict[str, int] = {}
        self.asked: list[str] = []
        self.sent = 0
        self._answering: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                await self._answer(head.split()[1].decode().removeprefix("/agents/v1/releases/"), writer)
        finally:
            self._answering.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        self.asked.append(path)
        content, status = self.files.get(path, b""), self.refused.get(path, 200 if path in self.files else 404)
        length = "" if path in self.endless else f"Content-Length: {len(content)}\r\n"
        writer.write(f"HTTP/1.1 {status} Said\r\n{length}Connection: close\r\n\r\n".encode())
        if path in self.cut:
            content = content[: len(content) // 2]
        if path in self.slow:
            for byte in content:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.01)
            return
        writer.write(content)
        await writer.drain()
        while path in self.endless:
            writer.write(b" " * 65536)
            await writer.drain()
            self.sent += 65536
