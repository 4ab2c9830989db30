"""The cable between an agent and the service: a TCP relay that can be pulled, held up or cut in the middle of a byte.

It carries what passes as it is, TLS and all. What is held up in one direction or both is not lost and goes on when the
cable is whole again, as with a cable that was unplugged for a while; what is cut ends with a reset.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit


@dataclass
class Way:
    """One direction. `left` are the bytes that still pass before everything is cut; None is all."""

    passes: asyncio.Event = field(default_factory=asyncio.Event)
    left: int | None = None
    carried: int = 0

    def __post_init__(self) -> None:
        self.passes.set()


class Cable:
    """Listens beside the service, so that the service's certificate is good for it."""

    def __init__(self, service: str) -> None:
        there = urlsplit(service)
        assert there.hostname is not None
        assert there.port is not None
        self._host, self._port = there.hostname, there.port
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.is_cut = False
        self.up, self.down = Way(), Way()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, 0)
        self.url = f"https://{self._host}:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection, and each new one, until it is mended."""
        self.is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def cut_after(self, way: Way, count: int) -> None:
        """Let so many bytes pass one way, and reset in the middle of what they belong to."""
        way.left = count

    def hold(self, *ways: Way) -> None:
        """Let nothing pass, without a word to either end."""
        for way in ways:
            way.passes.clear()

    def mend(self) -> None:
        """Make it whole again."""
        self.is_cut = False
        for way in (self.up, self.down):
            way.left = None
            way.passes.set()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            if not self.is_cut:
                far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
                ends.append(far_writer)
                self._writers.update(ends)
                ways = [
                    asyncio.create_task(self._carry(self.up, reader, far_writer)),
                    asyncio.create_task(self._carry(self.down, far_reader, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the service is away
        finally:
            self._writers.difference_update(ends)
            for end in ends:
                end.transport.abort()

    async def _carry(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(16 * 1024):
                await way.passes.wait()
                if way.left is not None:
                    data, way.left = data[: way.left], way.left - min(way.left, len(data))
                writer.write(data)
                await writer.drain()
                way.carried += len(data)
                if way.left == 0:
                    self.cut()
                    return
            await way.passes.wait()
            # What was written last goes out before the end is passed on.
            writer.write_eof()
            await asyncio.sleep(0.2)
