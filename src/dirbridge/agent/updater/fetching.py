"""How releases are fetched: by the agent's own way to the service, its proxy and its authority.

python-tuf asks from its thread; the one HTTP client works in the loop of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Iterator
from typing import IO

import httpx2
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, SlowRetrievalError
from tuf.ngclient import FetcherInterface

CHUNK = 256 * 1024
LONGEST = 1800.0
"""Seconds that one file may take: what trickles in for ever keeps the updater from everything else."""


class Fetcher(FetcherInterface):
    """Gives python-tuf the bytes of a URL, and no more of them than it wants.

    Args:
        loop: the one that the client belongs to; not the thread's that asks.
        longest: seconds that one file may take.
    """

    def __init__(self, client: httpx2.AsyncClient, loop: asyncio.AbstractEventLoop, longest: float = LONGEST) -> None:
        self._client = client
        self._loop = loop
        self._longest = longest

    @contextlib.contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """Give a file with what a URL holds, for as long as it is used.

        Raises:
            DownloadError: of python-tuf; it names the URL.
        """
        with tempfile.TemporaryFile() as file:
            asyncio.run_coroutine_threadsafe(self._download(url, max_length, file), self._loop).result()
            file.seek(0)
            yield file

    def _fetch(self, url: str) -> Iterator[bytes]:
        """Give a URL in parts; python-tuf asks each fetcher to have this, and itself calls the other."""
        with self.download_file(url, 2**63) as file:
            yield from iter(lambda: file.read(CHUNK), b"")

    async def _download(self, url: str, max_length: int, file: IO[bytes]) -> None:
        try:
            async with asyncio.timeout(self._longest):
                await self._copy(url, max_length, file)
        except TimeoutError as error:
            raise SlowRetrievalError(f"{url} took longer than {self._longest:.0f} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise DownloadError(f"{url}: {str(error) or type(error).__name__}") from error

    async def _copy(self, url: str, max_length: int, file: IO[bytes]) -> None:
        size = 0
        # No encoding: lengths and digests are of the file itself, and a small answer must not become a large one here.
        async with self._client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response:
            if response.status_code != 200:
                raise DownloadHTTPError(f"{url} was answered with {response.status_code}", response.status_code)
            async for chunk in response.aiter_raw(CHUNK):
                size += len(chunk)
                if size > max_length:
                    raise DownloadLengthMismatchError(f"{url} holds more than {max_length:,} bytes")
                file.write(chunk)
