"""Synchronization jobs: their settings, their generation, and what is known of their last cycles.

A job's generation is raised by whoever takes it over or changes what it does; every page's transaction begins by
checking it under lock, so who holds an old one writes nothing more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row, dict_row
from psycopg.types.json import Jsonb

from dirbridge.contract.entry import Watermark
from dirbridge.contract.errors import ConfigurationError, Fenced
from dirbridge.contract.schema import Schema
from dirbridge.store import accounts, reference_exports, staged

RESET_SCOPES = ("None", "ConnectorDataStore", "Escrows", "Watermark", "QuarantineState", "Full", "ForceDeletes")
"""Graph's synchronizationJobRestartScope."""

PREVIEW = "Preview"
"""State of the copy of a job in which a preview runs: nobody is told of it."""

DUE = "dirbridge_due"
"""Channel of NOTIFY: a directory changed, and with it when a job is due; without payload."""

NUDGE_SPACING = timedelta(seconds=1)
"""Between the beginnings of two cycles that a directory's changes bring about, at least."""

DEFAULT_RESET = frozenset({"QuarantineState", "Watermark", "Escrows"})
"""What a restart without criteria clears."""


class JobOutline(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `jobs` without its schema document. The JSON columns hold Graph's shapes, and are passed on as such."""

    tenant: UUID
    id: str
    service_principal: UUID
    template_id: str
    domain: str
    state: str
    interval: timedelta
    next_run: datetime | None
    generation: int
    settings: dict[str, Any]
    full_read_wanted: bool
    full_read: UUID | None
    full_read_watermarked: bool
    cycle: UUID | None
    progress: dict[str, Any] | None
    quarantine: dict[str, Any] | None
    last_execution: dict[str, Any] | None
    last_success: dict[str, Any] | None
    last_success_with_exports: dict[str, Any] | None
    steady_first: datetime | None
    steady_last: datetime | None
    successive_failures: int
    deletes_allowed: bool
    created_at: datetime
    escrows_pruned: bool
    noticed_at: datetime | None


class Job(JobOutline, frozen=True, kw_only=True):
    """A whole row of `jobs`."""

    schema: Any

    def document(self) -> Schema:
        """Give the schema document.

        Raises:
            ConfigurationError: what is stored is none.
        """
        try:
            return msgspec.convert(self.schema, Schema)
        except msgspec.ValidationError as error:
            raise ConfigurationError(
                f"The schema document that is stored cannot be read: {error}.",
                code="InvalidSchema",
                recommended_action="Replace it, or restore the default schema by DELETE on the job's schema.",
            ) from error


# By name, so that a column which a later release adds is no surprise.
_COLUMNS = ", ".join(f'"{name}"' for name in Job.__struct_fields__)


async def create(
    conn: AsyncConnection[Any],
    tenant: UUID,
    job: str,
    *,
    service_principal: UUID,
    template_id: str,
    domain: str,
    schema: Schema,
    settings: dict[str, Any],
    interval: timedelta = timedelta(minutes=2),
) -> None:
    """Store a new job, disabled until somebody starts it.

    Source: Graph shows the schedule of a job that was just made as `Disabled`; `Paused` is what was running before.
    """
    await conn.execute(
        """insert into jobs (tenant, id, service_principal, template_id, domain, schema, settings, interval, state)
           values (%s, %s, %s, %s, %s, %s, %s, %s, 'Disabled')""",
        (
            tenant,
            job,
            service_principal,
            template_id,
            domain.lower(),
            Jsonb(msgspec.to_builtins(schema)),
            Jsonb(settings),
            interval,
        ),
    )


async def get(conn: AsyncConnection[Any], tenant: UUID, job: str, *, lock: bool = False) -> Job | None:
    """Give one job, or None; with its row locked where it is to be changed by what it is."""
    async with conn.cursor(row_factory=class_row(Job)) as cursor:
        await cursor.execute(
            f"select {_COLUMNS} from jobs where tenant = %s and id = %s" + (" for no key update" if lock else ""),
            (tenant, job),
        )
        return await cursor.fetchone()


async def list_all(conn: AsyncConnection[Any], tenant: UUID, service_principal: UUID | None = None) -> list[Job]:
    """Give all jobs of a tenant, or of one service principal, oldest first."""
    async with conn.cursor(row_factory=class_row(Job)) as cursor:
        await cursor.execute(
            f"""select {_COLUMNS} from jobs where tenant = %s and (%s::uuid is null or service_principal = %s)
               order by created_at, id""",
            (tenant, service_principal, service_principal),
        )
        return await cursor.fetchall()


async def start(conn: AsyncConnection[Any], tenant: UUID, job: str) -> bool:
    """Let a job run, now, also from quarantine or when it was disabled. False where there is none."""
    result = await conn.execute(
        """update jobs set state = 'Active', next_run = now(), quarantine = null, successive_failures = 0
           where tenant = %s and id = %s""",
        (tenant, job),
    )
    return result.rowcount == 1


async def pause(conn: AsyncConnection[Any], tenant: UUID, job: str) -> bool:
    """Stop a job at the next page's edge, keeping all its state. False where there is none."""
    result = await conn.execute(
        """update jobs set state = 'Paused', next_run = null, generation = generation + 1, cycle = null, progress = null
           where tenant = %s and id = %s""",
        (tenant, job),
    )
    return result.rowcount == 1


async def nudge(conn: AsyncConnection[Any], tenant: UUID, job: str) -> bool:
    """Make an active job due now. False where it is not active."""
    result = await conn.execute(
        "update jobs set next_run = now() where tenant = %s and id = %s and state = 'Active'", (tenant, job)
    )
    return result.rowcount == 1


async def changed(conn: AsyncConnection[Any], tenant: UUID, domain: str, age: timedelta) -> int:
    """A directory changed: the jobs that read it are due, at most one cycle each in `NUDGE_SPACING`.

    A job whose cycle is under way is due again when it ends, since it may have read past the change. One that failed,
    or is in quarantine, waits on: the change is no sign that it would go better now.

    Args:
        age: how long ago the change was seen; a cycle that began since has read it, or will.

    Returns:
        How many jobs are due by this, or were already. Workers are woken when the transaction commits.
    """
    result = await conn.execute(
        """with due as (
               update jobs set nudged_at = coalesce(nudged_at, now() - %(age)s),
                 next_run = case when cycle is null and next_run is not null
                                 then least(next_run, greatest(now(), begun_at + %(spacing)s)) else next_run end
               where tenant = %(tenant)s and domain = %(domain)s and state = 'Active' and quarantine is null
                 and successive_failures = 0 and (begun_at is null or begun_at <= now() - %(age)s)
               returning id
           )
           select pg_notify(%(channel)s, '') from due""",
        {"tenant": tenant, "domain": domain, "age": age, "spacing": NUDGE_SPACING, "channel": DUE},
    )
    return result.rowcount


async def wake(
    conn: AsyncConnection[Any], tenant: UUID, *, domains: Collection[str] | None = None, principal: UUID | None = None
) -> list[str]:
    """What jobs failed at may be mended: those that wait longer because they failed are due now.

    Args:
        domains: only jobs that read these. principal: only those of this configuration.

    Returns:
        The ids of the jobs that do not wait any more. One that a person put into quarantine goes on waiting.
    """
    cursor = await conn.execute(
        """update jobs set next_run = now()
           where tenant = %(tenant)s and (%(domains)s::text[] is null or domain = any(%(domains)s))
             and (%(principal)s::uuid is null or service_principal = %(principal)s)
             and state = 'Active' and next_run > now() and (quarantine is not null or successive_failures > 0)
             and quarantine ->> 'reason' is distinct from 'QuarantinedOnDemand'
           returning id""",
        {"tenant": tenant, "domains": None if domains is None else list(domains), "principal": principal},
    )
    return [row[0] for row in await cursor.fetchall()]


async def clear_quarantine(conn: AsyncConnection[Any], tenant: UUID, job: str, at: datetime) -> bool:
    """Lift a quarantine and go on from the last position, with all that is set aside tried again.

    The stored position is one whose changes all have an outcome: it is stored with them. A job that was disabled after
    a long quarantine is active again; one that is paused, or was never started, stays so. False where there is no such
    job.

    Args:
        at: when escrows become due.
    """
    result = await conn.execute(
        """update jobs set generation = generation + 1, quarantine = null, successive_failures = 0, cycle = null,
             progress = null,
             state = case when state = 'Disabled' and quarantine is not null then 'Active' else state end,
             next_run = case when state = 'Active' or (state = 'Disabled' and quarantine is not null) then now() end
           where tenant = %s and id = %s""",
        (tenant, job),
    )
    await conn.execute(
        "update due set at = least(at, %s) where tenant = %s and job = %s and attempt > 0", (at, tenant, job)
    )
    await _hasten(conn, tenant, job)
    return result.rowcount == 1


async def _hasten(conn: AsyncConnection[Any], tenant: UUID, job: str) -> None:
    """What a target outside refused, references and deletes, is tried again at once, as if for the first time."""
    await reference_exports.hasten(conn, tenant, job)
    await conn.execute(
        """update removals set attempt = 0, failing_since = null, retry_at = null
           where tenant = %s and job = %s and attempt > 0""",
        (tenant, job),
    )


async def put_quarantine(
    conn: AsyncConnection[Any], tenant: UUID, job: str, record: dict[str, Any], wait: timedelta
) -> bool:
    """Put a job into quarantine by a person's word. False where there is no such job."""
    result = await conn.execute(
        """update jobs set quarantine = %s, next_run = case when state = 'Active' then now() + %s end
           where tenant = %s and id = %s""",
        (Jsonb(record), wait, tenant, job),
    )
    return result.rowcount == 1


async def set_interval(conn: AsyncConnection[Any], tenant: UUID, job: str, interval: timedelta) -> bool:
    """Change how often a job runs. False where there is none."""
    result = await conn.execute("update jobs set interval = %s where tenant = %s and id = %s", (interval, tenant, job))
    return result.rowcount == 1


async def set_settings(conn: AsyncConnection[Any], tenant: UUID, job: str, changed: Mapping[str, str | None]) -> bool:
    """Set settings by name, None for taking one away; the others stay. False where there is no such job."""
    result = await conn.execute(
        "update jobs set settings = (settings - %s::text[]) || %s where tenant = %s and id = %s",
        (
            [name for name, value in changed.items() if value is None],
            Jsonb({name: value for name, value in changed.items() if value is not None}),
            tenant,
            job,
        ),
    )
    return result.rowcount == 1


async def restart(conn: AsyncConnection[Any], tenant: UUID, job: str, scopes: Collection[str]) -> bool:
    """Clear exactly what is named and make the job due now.

    Args:
        scopes: members of `RESET_SCOPES`; empty means `DEFAULT_RESET`.

    Source: Graph synchronizationJobRestartCriteria; design decisions on each scope.
    """
    chosen = set(scopes) or set(DEFAULT_RESET)
    if "Full" in chosen:
        chosen |= {"ConnectorDataStore", "Escrows", "Watermark", "QuarantineState"}
    key = (tenant, job)
    result = await conn.execute(
        """update jobs set generation = generation + 1, state = 'Active', next_run = now(), cycle = null,
             progress = null
           where tenant = %s and id = %s""",
        key,
    )
    if result.rowcount == 0:
        return False
    if "ForceDeletes" in chosen:
        # Before anything else touches them: what was staged is what the person saw.
        await staged.allow(conn, tenant, job, None)
    if "Watermark" in chosen:
        await want_full_read(conn, tenant, job)
        await staged.reopen(conn, tenant, job)
    if "Escrows" in chosen:
        # Failures only: what is due for another reason was never tried.
        await conn.execute("delete from due where tenant = %s and job = %s and attempt > 0", key)
        await _hasten(conn, tenant, job)
        await conn.execute("update jobs set escrows_pruned = false where tenant = %s and id = %s", key)
    if "QuarantineState" in chosen:
        await conn.execute(
            "update jobs set quarantine = null, successive_failures = 0 where tenant = %s and id = %s", key
        )
    if "ConnectorDataStore" in chosen:
        # References stay as they are: only what is known to be written is taken away when the source ends it.
        await conn.execute("update links set digest = null where tenant = %s and job = %s and digest <> ''", key)
    return True


async def set_definitions(conn: AsyncConnection[Any], tenant: UUID, job: str, schema: Schema) -> None:
    """Keep what was learnt of a job's directories. Nothing flows otherwise because of it, so no cycle is disturbed."""
    await conn.execute(
        "update jobs set schema = %s where tenant = %s and id = %s", (Jsonb(msgspec.to_builtins(schema)), tenant, job)
    )


async def set_schema(conn: AsyncConnection[Any], tenant: UUID, job: str, schema: Schema) -> bool:
    """Replace the schema document; the next cycle reads everything."""
    result = await conn.execute(
        "update jobs set schema = %s, generation = generation + 1 where tenant = %s and id = %s",
        (Jsonb(msgspec.to_builtins(schema)), tenant, job),
    )
    if result.rowcount:
        await want_full_read(conn, tenant, job)
        await nudge(conn, tenant, job)
    return result.rowcount == 1


async def delete(conn: AsyncConnection[Any], tenant: UUID, job: str) -> bool:
    """Drop a job and all its state; what it wrote to its target stays."""
    await accounts.release(conn, tenant, job)
    bulk = (
        "links",
        "entry_references",
        "member_removals",
        "seen",
        "seen_references",
        "due",
        "scope_members",
        "reference_exports",
        "begun_exports",
    )
    for table in bulk:
        await conn.execute(f"delete from {table} where tenant = %s and job = %s".encode(), (tenant, job))
    result = await conn.execute("delete from jobs where tenant = %s and id = %s", (tenant, job))
    return result.rowcount == 1


async def begin(conn: AsyncConnection[Any], tenant: UUID, job: str, cycle: UUID) -> Job | None:
    """Take a job for one cycle: its generation rises, so whoever held it before stops.

    Returns:
        The job with its new generation, or None where it is gone or not active.
    """
    async with conn.cursor(row_factory=class_row(Job)) as cursor:
        await cursor.execute(
            f"""update jobs set generation = generation + 1, cycle = %s, progress = null, next_run = now() + interval,
                 begun_at = now(), noticed_at = coalesce(nudged_at, now()), nudged_at = null
               where tenant = %s and id = %s and state in ('Active', 'Preview') returning {_COLUMNS}""",
            (cycle, tenant, job),
        )
        return await cursor.fetchone()


async def fence(conn: AsyncConnection[Any], tenant: UUID, job: str, generation: int) -> None:
    """Lock the job's row and make sure that it is still ours.

    Raises:
        Fenced: somebody raised the generation, or the job is gone.
    """
    cursor = await conn.execute(
        "select generation from jobs where tenant = %s and id = %s for no key update", (tenant, job)
    )
    row = await cursor.fetchone()
    if row is None or row[0] != generation:
        raise Fenced(f"The job '{job}' was taken over or changed; this cycle stops.")


async def hold(conn: AsyncConnection[Any], tenant: UUID, job: str) -> None:
    """Lock the job's row, whoever runs it: no page is written meanwhile.

    Raises:
        Fenced: the job is gone.
    """
    cursor = await conn.execute("select from jobs where tenant = %s and id = %s for no key update", (tenant, job))
    if await cursor.fetchone() is None:
        raise Fenced(f"The job '{job}' does not exist any more.")


async def fenced(conn: AsyncConnection[Any], tenant: UUID, job: str, generation: int) -> Job:
    """Lock the job's row as `fence` does, and give it as it is now."""
    await fence(conn, tenant, job, generation)
    found = await get(conn, tenant, job)
    assert found is not None
    return found


async def is_current(conn: AsyncConnection[Any], tenant: UUID, job: str, generation: int) -> bool:
    """Tell without a lock whether a generation is still the job's."""
    cursor = await conn.execute("select generation from jobs where tenant = %s and id = %s", (tenant, job))
    row = await cursor.fetchone()
    return row is not None and row[0] == generation


async def want_full_read(conn: AsyncConnection[Any], tenant: UUID, job: str) -> None:
    """Drop every position, so that the next cycle reads everything."""
    key = (tenant, job)
    await conn.execute("delete from watermarks where tenant = %s and job = %s", key)
    await conn.execute("delete from seen where tenant = %s and job = %s", key)
    await conn.execute(
        """update jobs set full_read_wanted = true, full_read = null, full_read_watermarked = false
           where tenant = %s and id = %s""",
        key,
    )


async def begin_full_read(conn: AsyncConnection[Any], tenant: UUID, job: str, full_read: UUID) -> None:
    """Start a full read afresh: nothing has been seen yet."""
    await want_full_read(conn, tenant, job)
    await conn.execute("update jobs set full_read = %s where tenant = %s and id = %s", (full_read, tenant, job))


async def end_full_read(conn: AsyncConnection[Any], tenant: UUID, job: str) -> None:
    """A full read is complete: from here on changes are enough."""
    await conn.execute("delete from seen where tenant = %s and job = %s", (tenant, job))
    await conn.execute(
        """update jobs set full_read_wanted = false, full_read = null, full_read_watermarked = false
           where tenant = %s and id = %s""",
        (tenant, job),
    )


async def full_read_under_way(conn: AsyncConnection[Any], tenant: UUID, job: str) -> tuple[UUID | None, bool]:
    """Give the full read to go on with, if there is one with a position, and whether one is wanted."""
    cursor = await conn.execute(
        """select case when full_read_watermarked then full_read end, full_read_wanted from jobs
           where tenant = %s and id = %s""",
        (tenant, job),
    )
    row = await cursor.fetchone()
    return (None, True) if row is None else (row[0], row[1])


async def watermark(conn: AsyncConnection[Any], tenant: UUID, job: str) -> Watermark | None:
    """Give the newest position, of whichever replica."""
    cursor = await conn.execute(
        "select replica, position from watermarks where tenant = %s and job = %s order by taken_at desc limit 1",
        (tenant, job),
    )
    row = await cursor.fetchone()
    return None if row is None else Watermark(row[0], bytes(row[1]))


async def keep_watermark(
    conn: AsyncConnection[Any], tenant: UUID, job: str, mark: Watermark, *, idle: timedelta | None
) -> None:
    """Store a position. An idle one is stored only when the stored one is older than `idle`."""
    await conn.execute(
        """insert into watermarks as w (tenant, job, replica, position, taken_at)
           values (%s, %s, %s, %s, clock_timestamp())
           on conflict (tenant, job, replica) do update set position = excluded.position, taken_at = excluded.taken_at
           where %s::interval is null or w.taken_at < now() - %s::interval""",
        (tenant, job, mark.replica, mark.position, idle, idle),
    )
    if idle is None:
        await conn.execute(
            """update jobs set full_read_watermarked = true
               where tenant = %s and id = %s and full_read is not null and not full_read_watermarked""",
            (tenant, job),
        )


async def keep_progress(conn: AsyncConnection[Any], tenant: UUID, job: str, progress: dict[str, Any]) -> None:
    """Store how far the cycle under way is, in Graph's synchronizationProgress."""
    await conn.execute("update jobs set progress = %s where tenant = %s and id = %s", (Jsonb(progress), tenant, job))


async def finish(
    conn: AsyncConnection[Any],
    tenant: UUID,
    job: str,
    *,
    execution: dict[str, Any],
    succeeded: bool,
    faultless: bool,
    exported: bool,
    quarantine: dict[str, Any] | None,
    wait: timedelta | None,
    scheduled: datetime | None,
    at: datetime,
    disables: bool = False,
    pruned: bool = False,
    whole: bool = False,
) -> None:
    """Close a cycle: its result, and when the next one is due.

    Args:
        execution: Graph's synchronizationTaskExecution.
        succeeded: it went through: no change is left. faultless: and no entry failed in it.
        disables: it is the last one until a person starts the job.
        pruned: entries were given up. whole: everything was read, and so tried.
        wait: until the next cycle; None keeps to the job's interval.
        scheduled: the next run as `begin` set it. Any other that has passed is a person's nudge that came meanwhile: it
            is kept. The directory's own counts where the cycle went through.
    """
    await conn.execute(
        """update jobs set
             cycle = null, progress = null, last_execution = %(execution)s, quarantine = %(quarantine)s,
             last_success = case when %(succeeded)s and %(faultless)s then %(execution)s else last_success end,
             last_success_with_exports =
                 case when %(succeeded)s and %(exported)s then %(execution)s else last_success_with_exports end,
             steady_first = case when %(succeeded)s then coalesce(steady_first, %(at)s) else steady_first end,
             steady_last = case when %(succeeded)s then %(at)s else steady_last end,
             successive_failures = case when %(succeeded)s then 0 else successive_failures + 1 end,
             escrows_pruned = %(pruned)s or (escrows_pruned and not %(whole)s),
             state = case when %(disables)s and state = 'Active' then 'Disabled' else state end,
             next_run = case when state <> 'Active' or %(disables)s then null
                             when next_run <= clock_timestamp() and next_run is distinct from %(scheduled)s
                             then next_run
                             when nudged_at is not null and %(succeeded)s and %(quarantine)s::jsonb is null
                             then least(now() + interval, greatest(now(), begun_at + %(spacing)s))
                             else now() + coalesce(%(wait)s, interval) end
           where tenant = %(tenant)s and id = %(job)s""",
        {
            "execution": Jsonb(execution),
            "quarantine": None if quarantine is None else Jsonb(quarantine),
            "succeeded": succeeded,
            "faultless": faultless,
            "exported": exported,
            "wait": wait,
            "scheduled": scheduled,
            "at": at,
            "disables": disables,
            "pruned": pruned,
            "whole": whole,
            "spacing": NUDGE_SPACING,
            "tenant": tenant,
            "job": job,
        },
    )


async def counts_by_type(conn: AsyncConnection[Any], tenant: UUID, job: str) -> dict[str, int]:
    """Count the provisioned entries by source object type."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            """select object_type, count(*) as number from links
               where tenant = %s and job = %s and state = 'provisioned' group by object_type order by object_type""",
            (tenant, job),
        )
        return {row["object_type"]: row["number"] for row in await cursor.fetchall()}
