"""Previews: a job's state and its tenant's directory, copied under a tenant of their own, in which a cycle can run.

What the cycle does there is what it would do: the same statements, the same rules, other rows. The copy is dropped when
the cycle ends; its events stay until the preview itself goes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection, sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from dirbridge.contract.export import Fault
from dirbridge.contract.schema import Schema
from dirbridge.store import jobs, statistics
from dirbridge.store.timeline import After

KEPT = timedelta(days=1)
"""How long a preview's findings can be read."""

SILENCE = timedelta(seconds=60)
"""A preview under way that nobody has renewed for so long was left behind by its worker."""

ATTEMPTS = 3
"""How often a preview that was left behind is begun afresh."""

_LAST = UUID(int=2**128 - 1)

_INTERRUPTED = Fault(
    "PreviewInterrupted", f"The preview was interrupted {ATTEMPTS} times. The log of the worker says why."
)

OF_TENANT = (
    "domains",
    "service_principals",
    "jobs",
    "directory_objects",
    "directory_references",
    "unique_values",
    "links",
    "synchronization_accounts",
    "synchronization_credentials",
    "tenant_settings",
    "removals",
)
"""Copied whole: what other jobs wrote decides with what this one's entries meet."""

OF_JOB = (
    "containers",
    "entry_references",
    "member_removals",
    "due",
    "scope_groups",
    "scope_members",
    "job_credentials",
    "reference_exports",
    "begun_exports",
)
"""Copied for the one job."""

COUNTS = ("event_counts", "new_event_counts", "link_counts")
"""What is counted of the other tables; taking rows away there is counted too, so they go last."""
FILLED = ("arrivals", "watermarks", "seen", "seen_references", "purged_objects", "removed_references", *COUNTS)
"""Filled by the cycle itself."""

COPIED = (*OF_TENANT, *OF_JOB)


class Preview(msgspec.Struct, frozen=True):
    """One preview.

    Attributes:
        id: also the id of the tenant under which its copy and its events lie.
        state: `Waiting`, `Running`, `Succeeded`, `Failed` or `Canceled`.
        schema: the document to use instead of the stored one. settings: those to use beside the stored ones.
        result: what the cycle came to, once it ended: Graph's synchronizationTaskExecution, the quarantine, and
            `counts` of what it found.
        error: why there is no result.
    """

    tenant: UUID
    id: UUID
    job: str
    state: str
    schema: Any
    settings: dict[str, Any] | None
    requested_by: str
    created_at: datetime
    began_at: datetime | None
    renewed_at: datetime | None
    ended_at: datetime | None
    attempt: int
    result: dict[str, Any] | None
    error: dict[str, Any] | None


async def create(
    conn: AsyncConnection[Any],
    tenant: UUID,
    preview: UUID,
    *,
    job: str,
    schema: Schema | None,
    settings: dict[str, str] | None,
    requested_by: str,
) -> None:
    """Ask for a preview of a job's next whole cycle."""
    await conn.execute(
        """insert into previews (tenant, id, job, schema, settings, requested_by) values (%s, %s, %s, %s, %s, %s)""",
        (
            tenant,
            preview,
            job,
            None if schema is None else Jsonb(msgspec.to_builtins(schema)),
            None if settings is None else Jsonb(settings),
            requested_by,
        ),
    )


async def get(conn: AsyncConnection[Any], tenant: UUID, preview: UUID) -> Preview | None:
    """Give one preview, or None."""
    async with conn.cursor(row_factory=class_row(Preview)) as cursor:
        await cursor.execute("select * from previews where tenant = %s and id = %s", (tenant, preview))
        return await cursor.fetchone()


async def page(conn: AsyncConnection[Any], tenant: UUID, job: str, *, after: After | None, limit: int) -> list[Preview]:
    """Give up to `limit` of a job's previews, newest first, that follow `after`."""
    behind = after or After(datetime.max.replace(tzinfo=UTC), _LAST)
    async with conn.cursor(row_factory=class_row(Preview)) as cursor:
        await cursor.execute(
            """select * from previews where tenant = %s and job = %s and (created_at, id) < (%s, %s)
               order by created_at desc, id desc limit %s""",
            (tenant, job, behind.at, behind.id, limit),
        )
        return await cursor.fetchall()


async def waiting(conn: AsyncConnection[Any], tenant: UUID, job: str) -> int:
    """Count those of a job that wait."""
    cursor = await conn.execute(
        "select count(*) from previews where tenant = %s and job = %s and state = 'Waiting'", (tenant, job)
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def take(conn: AsyncConnection[Any]) -> Preview | None:
    """Take a preview that waits, or was left behind; one at a time runs for a tenant.

    One that was left behind too often fails.
    """
    given_up = await conn.execute(
        """update previews set state = 'Failed', ended_at = now(), error = %s
           where state = 'Running' and renewed_at < now() - %s and attempt >= %s returning id""",
        (
            Jsonb({"code": _INTERRUPTED.code, "message": _INTERRUPTED.reason}),
            SILENCE,
            ATTEMPTS,
        ),
    )
    for (preview,) in await given_up.fetchall():
        await drop(conn, preview)
    async with conn.cursor(row_factory=class_row(Preview)) as cursor:
        await cursor.execute(
            """update previews p set state = 'Running', began_at = now(), renewed_at = now(), attempt = attempt + 1
               where (tenant, id) = (
                 select w.tenant, w.id from previews w
                 where (w.state = 'Waiting' or w.state = 'Running' and w.renewed_at < now() - %s)
                   and not exists (select from previews o where o.tenant = w.tenant and o.id <> w.id
                     and o.state = 'Running' and o.renewed_at >= now() - %s)
                 order by w.created_at, w.id limit 1 for update skip locked)
               returning p.*""",
            (SILENCE, SILENCE),
        )
        return await cursor.fetchone()


async def renew(conn: AsyncConnection[Any], preview: Preview) -> bool:
    """Say that a preview is still being worked at. False where it was cancelled, or begun afresh by another."""
    result = await conn.execute(
        "update previews set renewed_at = now() where tenant = %s and id = %s and state = 'Running' and attempt = %s",
        (preview.tenant, preview.id, preview.attempt),
    )
    return result.rowcount == 1


async def end(
    conn: AsyncConnection[Any],
    preview: Preview,
    *,
    state: str,
    result: dict[str, Any] | None = None,
    error: dict[str, Any] | None = None,
) -> bool:
    """Keep what a preview came to. False where it was cancelled or forgotten, or begun afresh by another.

    What it found is counted now, once: nothing is added to it.
    """
    kept = {**(result or {}), "counts": await counts(conn, preview.id)}
    updated = await conn.execute(
        """update previews set state = %s, ended_at = now(), result = %s, error = %s
           where tenant = %s and id = %s and state = 'Running' and attempt = %s""",
        (
            state,
            Jsonb(kept),
            None if error is None else Jsonb(error),
            preview.tenant,
            preview.id,
            preview.attempt,
        ),
    )
    return updated.rowcount == 1


async def put_back(conn: AsyncConnection[Any], preview: Preview) -> None:
    """Let another worker begin a preview afresh: this one stops."""
    await conn.execute(
        """update previews set state = 'Waiting', attempt = attempt - 1
           where tenant = %s and id = %s and state = 'Running' and attempt = %s""",
        (preview.tenant, preview.id, preview.attempt),
    )


async def cancel(conn: AsyncConnection[Any], tenant: UUID, preview: UUID) -> None:
    """Stop a preview that waits or runs; one that ended stays as it is."""
    await conn.execute(
        """update previews set state = 'Canceled', ended_at = now()
           where tenant = %s and id = %s and state in ('Waiting', 'Running')""",
        (tenant, preview),
    )
    # Whoever works at it notices at the edge of its page.
    await conn.execute("update jobs set generation = generation + 1, state = 'Paused' where tenant = %s", (preview,))


async def clear(conn: AsyncConnection[Any], preview: UUID) -> None:
    """Remove a copy with its events, once a page that is being written there has ended."""
    await drop(conn, preview)
    await conn.execute("delete from events where tenant = %s", (preview,))


async def set_up(conn: AsyncConnection[Any], preview: Preview) -> bool:
    """Copy what a cycle of the job needs, where there is no copy; False where the job is gone.

    The transaction must have done nothing yet.
    """
    await conn.execute("set transaction isolation level repeatable read")
    if await jobs.get(conn, preview.tenant, preview.job) is None:
        return False
    await conn.execute(
        """insert into tenants (id, name, initial_domain, base_url, preview_of)
           select %s, name, initial_domain, base_url, id from tenants where id = %s""",
        (preview.id, preview.tenant),
    )
    for table in OF_TENANT:
        await _copy(conn, table, preview)
    for table in OF_JOB:
        await _copy(conn, table, preview, job=preview.job)
    # Nobody but the preview runs these: the tick takes active jobs only. Generations of two attempts never meet.
    await conn.execute(
        """update jobs set generation = generation + 1000 * %s,
             state = case when id = %s then 'Preview' else 'Disabled' end, next_run = null, cycle = null,
             progress = null, quarantine = null, settings = case when id = %s then settings || %s else settings end,
             schema = case when id = %s then coalesce(%s, schema) else schema end
           where tenant = %s""",
        (
            preview.attempt,
            preview.job,
            preview.job,
            Jsonb(preview.settings or {}),
            preview.job,
            None if preview.schema is None else Jsonb(preview.schema),
            preview.id,
        ),
    )
    await jobs.want_full_read(conn, preview.id, preview.job)
    await statistics.refresh(conn)
    return True


async def _copy(conn: AsyncConnection[Any], table: str, preview: Preview, job: str | None = None) -> None:
    cursor = await conn.execute(
        """select attname from pg_attribute
           where attrelid = %s::regclass and attnum > 0 and not attisdropped and attgenerated = '' order by attnum""",
        (table,),
    )
    columns = [row[0] for row in await cursor.fetchall() if row[0] != "tenant"]
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    await conn.execute(
        sql.SQL("insert into {table} (tenant, {names}) select %s, {names} from {table} where tenant = %s{rest}").format(
            table=sql.Identifier(table),
            names=names,
            rest=sql.SQL("") if job is None else sql.SQL(" and job = {}").format(sql.Literal(job)),
        ),
        (preview.id, preview.tenant),
    )


async def drop(conn: AsyncConnection[Any], preview: UUID) -> None:
    """Remove a copy; the events of its cycle stay."""
    await conn.execute("select from jobs where tenant = %s order by id for update", (preview,))
    for table in (*reversed((*OF_TENANT, *OF_JOB, *FILLED)), *COUNTS):
        await conn.execute(
            sql.SQL("delete from {} where tenant = %s").format(sql.Identifier(table)),
            (preview,),
        )
    await conn.execute("delete from tenants where id = %s and preview_of is not null", (preview,))


async def clear_away(conn: AsyncConnection[Any], preview: Preview) -> None:
    """Remove the copy of a preview that was cancelled or forgotten, unless another worker has begun it afresh."""
    now = await get(conn, preview.tenant, preview.id)
    if now is None or now.attempt == preview.attempt:
        await drop(conn, preview.id)
    if now is None:
        await conn.execute("delete from events where tenant = %s", (preview.id,))


async def remove(conn: AsyncConnection[Any], tenant: UUID, preview: UUID) -> bool:
    """Forget a preview with all that it found. False where there is none."""
    await cancel(conn, tenant, preview)
    result = await conn.execute("delete from previews where tenant = %s and id = %s", (tenant, preview))
    if result.rowcount:
        await clear(conn, preview)
    return result.rowcount == 1


async def prune(conn: AsyncConnection[Any], now: datetime) -> None:
    """Forget old previews, and those of tenants and jobs that are gone."""
    cursor = await conn.execute(
        """select tenant, id from previews p
           where created_at < %s or not exists (select from jobs j where j.tenant = p.tenant and j.id = p.job)""",
        (now - KEPT,),
    )
    for tenant, preview in await cursor.fetchall():
        await remove(conn, tenant, preview)


async def counts(conn: AsyncConnection[Any], preview: UUID) -> list[tuple[str, str, str, str, int]]:
    """Count what a preview found: action, status, type, reason, number."""
    cursor = await conn.execute(
        """select action, status, coalesce(nullif(target_type, ''), source_type), reason, count(*) from events
           where tenant = %s group by 1, 2, 3, 4 order by 1, 2, 3, 4""",
        (preview,),
    )
    return [(row[0], row[1], row[2], row[3], int(row[4])) for row in await cursor.fetchall()]
