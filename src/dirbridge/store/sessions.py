"""Sessions of browsers: who is signed in where. What the browser carries is known here by its digest only.

Every function takes an open connection and leaves the commit to its caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row


class Session(msgspec.Struct, frozen=True):
    """A row of `sessions`.

    Attributes:
        digest: SHA-256 of what the browser carries.
        id: by which a list names it.
        expires_at: whatever is done with it.
        methods: how the person proved who they are, by RFC 8176.
        address: where from.
        browser: as it named itself.
    """

    digest: bytes
    id: UUID
    administrator: UUID
    signed_in_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    methods: list[str]
    address: str
    browser: str


_SESSION = """select digest, id, administrator, signed_in_at, last_seen_at, expires_at, methods, address, browser
from sessions"""


async def add(conn: AsyncConnection[Any], tenant: UUID, session: Session, proved_at: datetime) -> bool:
    """Store a new session.

    Args:
        proved_at: when the person's proof was begun to be looked at.

    Returns:
        False where the account is gone or disabled, or was given another password or other roles since: whoever ends
        all sessions waits for this row's lock or is seen here.
    """
    added = await conn.execute(
        """insert into sessions (tenant, digest, id, administrator, signed_in_at, last_seen_at, expires_at, methods,
               address, browser)
           select tenant, %(digest)s, %(id)s, id, %(signed_in_at)s, %(last_seen_at)s, %(expires_at)s, %(methods)s,
               %(address)s, %(browser)s
           from administrators
           where tenant = %(tenant)s and id = %(administrator)s and not is_disabled
               and tokens_not_before <= %(proved_at)s
           for no key update""",
        {"tenant": tenant, "proved_at": proved_at, **msgspec.structs.asdict(session)},
    )
    return added.rowcount == 1


async def find(
    conn: AsyncConnection[Any], tenant: UUID, digest: bytes, now: datetime, idle: timedelta
) -> Session | None:
    """Give a session that is still good: neither expired nor left alone for longer than it may be."""
    async with conn.cursor(row_factory=class_row(Session)) as cursor:
        await cursor.execute(
            f"{_SESSION} where tenant = %s and digest = %s and expires_at > %s and last_seen_at > %s",
            [tenant, digest, now, now - idle],
        )
        return await cursor.fetchone()


async def of(
    conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, now: datetime, idle: timedelta
) -> list[Session]:
    """Give an administrator's sessions that are still good, the one seen last first."""
    async with conn.cursor(row_factory=class_row(Session)) as cursor:
        await cursor.execute(
            f"""{_SESSION} where tenant = %s and administrator = %s and expires_at > %s and last_seen_at > %s
                order by last_seen_at desc, id""",
            [tenant, administrator, now, now - idle],
        )
        return await cursor.fetchall()


async def touch(conn: AsyncConnection[Any], tenant: UUID, digest: bytes, at: datetime) -> None:
    """Note that a session is used."""
    await conn.execute(
        "update sessions set last_seen_at = %(at)s where tenant = %(tenant)s and digest = %(digest)s"
        " and last_seen_at < %(at)s",
        {"tenant": tenant, "digest": digest, "at": at},
    )


async def end(conn: AsyncConnection[Any], tenant: UUID, digest: bytes) -> bool:
    """End the session of a browser; False where it had ended."""
    ended = await conn.execute("delete from sessions where tenant = %s and digest = %s", [tenant, digest])
    return ended.rowcount == 1


async def end_one(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, id: UUID) -> bool:
    """End an administrator's session by its id; False where they have none of it."""
    ended = await conn.execute(
        "delete from sessions where tenant = %s and administrator = %s and id = %s", [tenant, administrator, id]
    )
    return ended.rowcount == 1


async def end_all(conn: AsyncConnection[Any], tenant: UUID, administrator: UUID, but: Sequence[bytes] = ()) -> int:
    """End all sessions of an administrator but some; gives how many there were."""
    ended = await conn.execute(
        "delete from sessions where tenant = %s and administrator = %s and digest <> all(%s::bytea[])",
        [tenant, administrator, list(but)],
    )
    return ended.rowcount


async def forget(conn: AsyncConnection[Any], now: datetime) -> None:
    """Remove what has expired, of every tenant."""
    await conn.execute("delete from sessions where expires_at <= %s", [now])
