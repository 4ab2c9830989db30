"""Writing the provisioning log: flat columns for what is filtered, the rest as one compressed value."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import zstandard
from psycopg import AsyncConnection, sql

from dirbridge.contract.event import Detail, Event
from dirbridge.store import event_counts

RETENTION = timedelta(days=30)
"""How long events are kept unless configured otherwise."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Detail)
_compressor = zstandard.ZstdCompressor(level=1)
_decompressor = zstandard.ZstdDecompressor()

_COPY = """copy events (tenant, id, at, job, cycle, change, action, status, reason, source_id, source_type, source_name,
           target_id, target_type, target_name, duration, detail) from stdin (format binary)"""
_TYPES = ["uuid", "uuid", "timestamptz", "text", "uuid", "uuid", *["text"] * 9, "int4", "bytea"]


def pack(detail: Detail) -> bytes:
    """Code the part of an event that nobody filters by."""
    return _compressor.compress(_encoder.encode(detail))


def unpack(detail: bytes) -> Detail:
    """Read it back."""
    return _decoder.decode(_decompressor.decompress(detail))


async def write(
    conn: AsyncConnection[Any], tenant: UUID, rows: Sequence[Event], *, latency: timedelta | None = None
) -> None:
    """Store events, and count them.

    Args:
        latency: how long ago what they are about was first heard of, where that is known.
    """
    if not rows:
        return
    async with conn.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for row in rows:
            await copy.write_row(
                (
                    tenant,
                    row.id,
                    row.at,
                    row.job,
                    row.cycle,
                    row.change,
                    row.action.value,
                    row.status.value,
                    row.reason,
                    row.source_id,
                    row.source_type,
                    row.source_name,
                    row.target_id,
                    row.target_type,
                    row.target_name,
                    row.duration,
                    pack(row.detail),
                )
            )
    await event_counts.add(conn, tenant, rows, latency)


async def ensure_partitions(conn: AsyncConnection[Any], today: date, ahead: int = 3) -> list[str]:
    """Create the partitions of today and the next days; gives the names of the new ones.

    A day whose rows already lie in the default partition is left there.
    """
    made = []
    for offset in range(ahead + 1):
        day = today + timedelta(days=offset)
        name = f"events_{day:%Y%m%d}"
        cursor = await conn.execute("select to_regclass(%s) is not null", (name,))
        row = await cursor.fetchone()
        if row and row[0]:
            continue
        first, end = f"{day} 00:00:00+00", f"{day + timedelta(days=1)} 00:00:00+00"
        occupied = await conn.execute("select 1 from events_default where at >= %s and at < %s limit 1", (first, end))
        if await occupied.fetchone():
            continue
        await conn.execute(
            sql.SQL("create table {} partition of events for values from ({}) to ({})").format(
                sql.Identifier(name), sql.Literal(first), sql.Literal(end)
            )
        )
        made.append(name)
    return made


async def expired(conn: AsyncConnection[Any], before: datetime) -> list[str]:
    """Name the partitions whose every row is older, the oldest first."""
    cursor = await conn.execute(
        "select inhrelid::regclass::text from pg_inherits where inhparent = 'events'::regclass order by 1"
    )
    names: list[str] = [name for (name,) in await cursor.fetchall()]
    return [name for name in names if (day := _day(name)) is not None and day + timedelta(days=1) <= before.date()]


def _day(partition: str) -> date | None:
    digits = partition.removeprefix("events_")
    return date.fromisoformat(digits) if digits.isdigit() else None


async def drop(conn: AsyncConnection[Any], partition: str) -> None:
    """Drop a partition. For a moment nobody else reads or writes the log: the caller bounds the wait for that."""
    await conn.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(partition)))


async def prune_default(conn: AsyncConnection[Any], before: datetime, most: int = 10_000) -> int:
    """Delete up to `most` older rows of those whose day had no partition; gives how many."""
    result = await conn.execute(
        "delete from events_default where ctid = any(array(select ctid from events_default where at < %s limit %s))",
        (before, most),
    )
    return result.rowcount
