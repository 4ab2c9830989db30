"""The provisioning log: written in sets, kept by days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from dirbridge.contract.event import Detail, Event, ModifiedProperty, Status, Step, StepType
from dirbridge.contract.export import Action, Fault
from dirbridge.store import events
from tests.engine.world import World

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
DETAIL = Detail(
    (Step("EntryImport", StepType.IMPORT, Status.SUCCESS, {"name": "Zoë 🎉"}),),
    (ModifiedProperty("Title", None, "Clerk"), ModifiedProperty("City", "x" * 100_000, None)),
    Fault("EntryFailed", "No.", "Mend it.", {"a": "b"}),
)


def event(at: datetime = NOW, **more: Any) -> Event:
    values: dict[str, Any] = {
        "id": uuid4(), "at": at, "job": "job", "cycle": uuid4(), "change": uuid4(), "action": Action.CREATE,
        "status": Status.SUCCESS, "reason": "", "source_id": "a", "source_type": "user", "source_name": "Zoë",
        "target_id": "t", "target_type": "User", "target_name": "Zoë 🎉", "duration": 7, "detail": DETAIL, **more,
    }  # fmt: skip
    return Event(**values)


def test_detail_comes_back_as_it_went() -> None:
    """And takes little room."""
    packed = events.pack(DETAIL)
    assert events.unpack(packed) == DETAIL
    assert len(packed) < 1000


async def test_written_as_told(world: World) -> None:
    """Every column."""
    one = event()
    async with world.database.transaction() as conn:
        await events.write(conn, world.tenant, [])
        await events.write(conn, world.tenant, [one, event(source_id="b")])
    rows = await world.rows(
        """select id, at, job, cycle, change, action, status, reason, source_id, source_type, source_name, target_id,
             target_type, target_name, duration, detail from events where tenant = %s and source_id = 'a'"""
    )
    (row,) = rows
    assert Event(*row[:-1], events.unpack(bytes(row[-1]))) == one  # type: ignore[arg-type]


async def partitions(world: World) -> list[str]:
    async with world.database.connection() as conn:
        cursor = await conn.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = 'events'::regclass order by 1"
        )
        return [row[0] for row in await cursor.fetchall()]


async def test_partitions_are_made_ahead_and_expire_by_age(world: World) -> None:
    """A day expires once all of it is old; one whose rows came before its partition has none."""
    async with world.database.transaction() as conn:
        await events.write(conn, world.tenant, [event(NOW + timedelta(days=1))])  # before its partition is made
        made = await events.ensure_partitions(conn, NOW.date(), ahead=2)
        assert made == ["events_20260315", "events_20260317"]
        assert await events.ensure_partitions(conn, NOW.date(), ahead=2) == []
        await events.write(conn, world.tenant, [event(NOW), event(NOW + timedelta(days=2))])
    assert await partitions(world) == ["events_20260315", "events_20260317", "events_default"]
    async with world.database.connection() as conn:
        assert await events.expired(conn, datetime(2026, 3, 15, 23, 59, tzinfo=UTC)) == []
        assert await events.expired(conn, datetime(2026, 3, 16, tzinfo=UTC)) == ["events_20260315"]
        assert await events.expired(conn, NOW + timedelta(days=9)) == ["events_20260315", "events_20260317"]


async def test_nul_is_refused_before_anything_is_written(world: World) -> None:
    """The database takes no NUL in text; whoever makes events must not let one through."""
    async with world.database.connection() as conn:
        with pytest.raises(psycopg.DataError):
            async with conn.transaction():
                await events.write(conn, world.tenant, [event(), event(source_name="a\x00b")])
    assert await world.rows("select id from events where tenant = %s") == []
