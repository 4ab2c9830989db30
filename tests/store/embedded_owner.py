"""A process that owns an embedded server, to be killed: `python -m tests.store.embedded_owner DATA`."""

import asyncio
import sys
from pathlib import Path

from dirbridge.store.embedded import EmbeddedServer


async def main(data: Path) -> None:
    async with EmbeddedServer(data, durable=False) as server:
        print(server.pid, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
