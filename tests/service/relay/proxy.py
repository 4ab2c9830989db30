"""Something between agent and service that ends TLS, and handles what it carries as badly as it likes.

It reads whole requests and answers of HTTP/1.1, so what it spoils is still well-formed: a body that was cut is counted
anew. Every decision comes from a seeded generator; `faults` counts what was done.
"""

import asyncio
import contextlib
import random
import ssl
from collections import Counter
from dataclasses import dataclass
from typing import Self

FAULTS = (
    "cut before the service", "cut after the service", "request truncated", "answer truncated", "answer cut",
    "delayed", "repeated", "replayed",
)  # fmt: skip


@dataclass
class Message:
    """A request or an answer."""

    first: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def render(self, body: bytes | None = None) -> bytes:
        """Write it with its length counted anew."""
        content = self.body if body is None else body
        lines = [self.first]
        lines += [
            name + b": " + value
            for name, value in self.headers
            if name.lower() not in {b"content-length", b"connection", b"transfer-encoding"}
        ]
        lines += [b"Content-Length: %d" % len(content), b"Connection: close"]
        return b"\r\n".join(lines) + b"\r\n\r\n" + content


class Proxy:
    """Stands before a service at a port of its own."""

    def __init__(self, shown: ssl.SSLContext, upstream: int, trust: bytes, seed: int, rate: float = 0.0) -> None:
        self._shown = shown
        self._upstream = upstream
        self._trust = ssl.create_default_context(cadata=trust.decode())
        self._random = random.Random(seed)
        self._old_pages: list[Message] = []
        self.rate = rate
        self.faults: Counter[str] = Counter()
        self.is_cut = False
        self.seen: list[bytes] = []
        self._lost: set[bytes] = set()

    def lose_next(self, path: bytes) -> None:
        """Lose the answer to the next request for a path."""
        self._lost.add(path)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._shown)
        self.url = f"https://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._tasks: set[asyncio.Task[None]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, EOFError, ValueError, asyncio.CancelledError):
            request = await _read(reader)
            self.seen.append(request.first.split()[1])
            answer = await self._carry(request)
            if answer:
                writer.write(answer)
                await writer.drain()
        writer.transport.abort() if self.is_cut else writer.close()

    async def _carry(self, request: Message) -> bytes:
        """Carry a request over and give what is sent back; nothing where the connection is cut."""
        fault = self._random.choice(FAULTS) if self._random.random() < self.rate else None
        if self.is_cut:
            return b""
        if b"/pages/" in request.first:
            self._old_pages = [*self._old_pages[-5:], request]
        if fault:
            self.faults[fault] += 1
        match fault:
            case "cut before the service":
                return b""
            case "request truncated" if request.body:
                return (await self._ask(request, request.body[: len(request.body) // 2])).render()
            case "delayed":
                await asyncio.sleep(self._random.uniform(0.05, 0.5))
            case "repeated":
                await self._ask(request)
            case "replayed" if self._old_pages:
                await self._ask(self._random.choice(self._old_pages))
        answer = await self._ask(request)
        if (path := request.first.split()[1]) in self._lost:
            self._lost.remove(path)
            return b""
        if self.is_cut or fault == "cut after the service":
            return b""
        if fault == "answer truncated" and answer.body:
            return answer.render(answer.body[: len(answer.body) // 2])
        whole = answer.render()
        return whole[: len(whole) * 2 // 3] if fault == "answer cut" else whole

    async def _ask(self, request: Message, body: bytes | None = None) -> Message:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream, ssl=self._trust)
        try:
            writer.write(request.render(body))
            await writer.drain()
            return await _read(reader)
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Message:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    headers = []
    for line in lines:
        name, _, value = line.partition(b":")
        headers.append((name, value.strip()))
    length = next((int(value) for name, value in headers if name.lower() == b"content-length"), 0)
    return Message(first, headers, await reader.readexactly(length))
