"""Releases of the agent: the signed files of their repository, the archives, and which agent is to have which.

`service/releases` calls these. What stands here has been checked before; agents check it again. Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

from dirbridge.contract.release import Release
from dirbridge.store import tenant_settings

PIECE = 1024 * 1024
"""Bytes of an archive that are read and written at a time."""
KEEP_UPLOADS = timedelta(days=1)
"""How long an archive waits to be named by a signed list."""
_WANTED = "wantedRelease"


class ReleaseRow(msgspec.Struct, frozen=True):
    """A release that agents are offered.

    Attributes:
        agents: how many agents last said that they run this version, revoked ones left out.
    """

    name: str
    sha256: str
    length: int
    version: str
    python: str
    platform: str
    requires: int
    channel: str
    published_at: datetime
    agents: int


class Offer(msgspec.Struct, frozen=True):
    """A row to store: a release with its archive."""

    name: str
    sha256: str
    release: Release


async def lock(conn: AsyncConnection[Any], tenant: UUID) -> None:
    """Let nobody else publish before this transaction ends."""
    await conn.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"{tenant}/releases",))


async def files(conn: AsyncConnection[Any], tenant: UUID) -> dict[str, bytes]:
    """Give the signed files by name."""
    cursor = await conn.execute("select name, body from release_files where tenant = %s", (tenant,))
    return {name: bytes(body) for name, body in await cursor.fetchall()}


async def file(conn: AsyncConnection[Any], tenant: UUID, name: str) -> bytes | None:
    """Give one signed file."""
    cursor = await conn.execute("select body from release_files where tenant = %s and name = %s", (tenant, name))
    row = await cursor.fetchone()
    return None if row is None else bytes(row[0])


async def store_archive(
    conn: AsyncConnection[Any], tenant: UUID, sha256: str, length: int, pieces: Iterable[bytes]
) -> None:
    """Store an archive, in pieces of `PIECE` bytes; one that is there waits for another day."""
    cursor = await conn.execute(
        """insert into release_archives (tenant, sha256, length) values (%s, %s, %s)
           on conflict (tenant, sha256) do update set stored_at = now() returning xmax = 0""",
        (tenant, sha256, length),
    )
    row = await cursor.fetchone()
    assert row is not None
    if not row[0]:
        return
    for number, piece in enumerate(pieces):
        await conn.execute(
            "insert into release_pieces (tenant, sha256, number, body) values (%s, %s, %s, %s)",
            (tenant, sha256, number, piece),
        )


async def archives(conn: AsyncConnection[Any], tenant: UUID, wanted: Collection[str] | None = None) -> dict[str, int]:
    """Give the lengths of stored archives by hash.

    Args:
        wanted: these only.
    """
    cursor = await conn.execute(
        "select sha256, length from release_archives where tenant = %s and (%s::text[] is null or sha256 = any(%s))",
        (tenant, None if wanted is None else list(wanted), [] if wanted is None else list(wanted)),
    )
    return dict(await cursor.fetchall())


async def offered(conn: AsyncConnection[Any], tenant: UUID, name: str, sha256: str) -> int | None:
    """Give the length of an archive that agents are offered under this name; None where they are not."""
    cursor = await conn.execute(
        """select archives.length from releases
           join release_archives archives using (tenant, sha256)
           where releases.tenant = %s and releases.name = %s and releases.sha256 = %s""",
        (tenant, name, sha256),
    )
    row = await cursor.fetchone()
    return None if row is None else int(row[0])


async def piece(conn: AsyncConnection[Any], tenant: UUID, sha256: str, number: int) -> bytes | None:
    """Give a piece of an archive."""
    cursor = await conn.execute(
        "select body from release_pieces where tenant = %s and sha256 = %s and number = %s", (tenant, sha256, number)
    )
    row = await cursor.fetchone()
    return None if row is None else bytes(row[0])


async def publish(
    conn: AsyncConnection[Any], tenant: UUID, signed: Mapping[str, bytes], offers: Collection[Offer]
) -> None:
    """Put signed files and what they list in the place of those before; forget archives that nobody names."""
    await conn.execute("delete from release_files where tenant = %s and name <> all(%s)", (tenant, list(signed)))
    await conn.execute(
        """insert into release_files (tenant, name, body) select %s, * from unnest(%s::text[], %s::bytea[])
           on conflict (tenant, name) do update set body = excluded.body where release_files.body <> excluded.body""",
        (tenant, list(signed), list(signed.values())),
    )
    await conn.execute(
        "delete from releases where tenant = %s and name <> all(%s)", (tenant, [offer.name for offer in offers])
    )
    said = [offer.release for offer in offers]
    await conn.execute(
        """insert into releases (tenant, name, sha256, version, python, platform, requires, channel)
           select %s, * from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::text[])
           on conflict (tenant, name) do update
           set sha256 = excluded.sha256, requires = excluded.requires, channel = excluded.channel""",
        (
            tenant,
            [offer.name for offer in offers],
            [offer.sha256 for offer in offers],
            [release.version for release in said],
            [release.python for release in said],
            [release.platform for release in said],
            [release.requires for release in said],
            [release.channel for release in said],
        ),
    )
    await conn.execute(
        """delete from release_archives archives where tenant = %s and stored_at < now() - %s::interval
           and not exists (select from releases
                           where releases.tenant = archives.tenant and releases.sha256 = archives.sha256)""",
        (tenant, KEEP_UPLOADS),
    )


async def list_all(conn: AsyncConnection[Any], tenant: UUID) -> list[ReleaseRow]:
    """Give the releases that agents are offered."""
    async with conn.cursor(row_factory=class_row(ReleaseRow)) as cursor:
        await cursor.execute(
            """select name, sha256, archives.length, version, python, platform, requires, channel, published_at,
                      (select count(*) from agents where agents.tenant = releases.tenant and revoked_at is null
                         and agents.version = releases.version) as agents
               from releases join release_archives archives using (tenant, sha256)
               where tenant = %s order by published_at, name""",
            (tenant,),
        )
        return await cursor.fetchall()


async def versions(conn: AsyncConnection[Any], tenant: UUID) -> set[str]:
    """Give the versions among the releases, for whatever host."""
    cursor = await conn.execute("select distinct version from releases where tenant = %s", (tenant,))
    return {row[0] for row in await cursor.fetchall()}


async def want(conn: AsyncConnection[Any], tenant: UUID, version: str | None, agent: UUID | None) -> None:
    """Say which version agents are to have: the newest where it is None.

    Args:
        agent: this one only; None for all that have none of their own.
    """
    if agent is None:
        await tenant_settings.put(conn, tenant, _WANTED, {} if version is None else {"version": version})
    elif version is None:
        await conn.execute("delete from wanted_releases where tenant = %s and agent = %s", (tenant, agent))
    else:
        await conn.execute(
            """insert into wanted_releases (tenant, agent, version) values (%s, %s, %s)
               on conflict (tenant, agent) do update set version = excluded.version""",
            (tenant, agent, version),
        )


async def own(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> str | None:
    """Give the version that was chosen for an agent by itself; None where it goes with all others."""
    cursor = await conn.execute("select version from wanted_releases where tenant = %s and agent = %s", (tenant, agent))
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def wanted(conn: AsyncConnection[Any], tenant: UUID, agent: UUID) -> str | None:
    """Give the version that an agent is to have; None for the newest."""
    cursor = await conn.execute(
        """select coalesce(
               (select version from wanted_releases where tenant = %(tenant)s and agent = %(agent)s),
               (select document ->> 'version' from tenant_settings where tenant = %(tenant)s and name = %(name)s))""",
        {"tenant": tenant, "agent": agent, "name": _WANTED},
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]
