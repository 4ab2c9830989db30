"""A worker process for the tests of the queue: `python -m tests.store.queue_worker URL SECONDS`.

A cycle here writes a row, takes its time, and writes that it ended.
"""

import asyncio
import os
import sys
from datetime import timedelta

from dirbridge.store.database import Database
from dirbridge.store.queue import Worker


async def main(url: str, seconds: float) -> None:
    async with Database(url, most=5) as database:

        async def run(tenant: str, job: str) -> None:
            async with database.connection() as conn:
                row = await conn.execute(
                    "insert into runs (process, job) values (%s, %s) returning id", (os.getpid(), job)
                )
                (number,) = await row.fetchone() or (None,)
            await asyncio.sleep(seconds)
            async with database.connection() as conn:
                await conn.execute("update runs set ended = clock_timestamp() where id = %s", (number,))

        await Worker(
            database, run, tick=timedelta(seconds=0.1), heartbeat=timedelta(seconds=0.5), silence=timedelta(seconds=2)
        ).run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
