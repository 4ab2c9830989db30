"""The outbox of notifications: what is to be told of jobs, what was told, and what became of each message.

`engine.finishing` calls `note` in the transaction that ends a cycle, so that a change of state and its notice happen
together or not at all. `service.notify.delivery` does the rest, in any number of processes: rows that one works on are
skipped by the others, and a message whose sender died is due again when its lease ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import class_row

logger = logging.getLogger(__name__)

MOST_OF_A_JOB = 200
"""Notices that are kept of one job; beyond that the oldest go, told or not."""

INTERVALS, LEAST_PATIENCE = 3, timedelta(minutes=5)
"""A job without a success for so many of its intervals, and at least this long, is late."""

_ROUTING = 0x64_69_72_6E


class Kind(StrEnum):
    """What there is to tell."""

    QUARANTINED = "quarantined"
    CHANGED = "quarantineChanged"
    DELETES_HELD = "deletesHeld"
    DISABLED = "disabled"
    LATE = "late"
    RECOVERED = "recovered"
    TEST = "test"


class Notice(msgspec.Struct, frozen=True):
    """A row of `notices`.

    Attributes:
        reason, recommended_action: of the quarantine. code, message: of the error behind it. All empty on recovery.
    """

    id: UUID
    job: str
    kind: Kind
    at: datetime
    reason: str = ""
    code: str = ""
    message: str = ""
    recommended_action: str = ""


class Told(msgspec.Struct, frozen=True):
    """A notice with what names its job."""

    notice: Notice
    domain: str
    service_principal: UUID


class Message(msgspec.Struct, frozen=True):
    """A row of `messages`."""

    tenant: UUID
    id: UUID
    channel: str
    recipient: str
    service_principal: UUID | None
    state: str
    attempts: int
    due: datetime
    answer: str
    created_at: datetime
    settled_at: datetime | None


class Route(msgspec.Struct, frozen=True):
    """To whom a notice goes.

    Attributes:
        service_principal: the configuration whose webhook it is.
        unable: why nothing can be sent this way at all; empty where it can.
    """

    notice: UUID
    channel: str
    recipient: str
    service_principal: UUID | None = None
    unable: str = ""


# What there is to tell ------------------------------------------------------------------------------------------------


async def note(
    conn: AsyncConnection[Any],
    tenant: UUID,
    job: str,
    *,
    after: Mapping[str, Any] | None,
    succeeded: bool,
    now: datetime,
    id: UUID,
    disabled: bool = False,
) -> None:
    """Tell of a job's state where it is news; the job's row must be locked.

    A quarantine is told when it begins, and again when its reason or the code of its error is one that was not told
    since: an error that comes and goes is told once. Recovery is told after the first good cycle, and only where
    something was told before.

    Args:
        after: the job's quarantine from now on, as Graph's synchronizationQuarantine with `recommendedAction`.
        succeeded: the cycle ended without a fault of its own.
        id: for the notice, if there is one.
        disabled: the job was switched off.
    """
    cursor = await conn.execute(
        """select quarantine_told, late_told_at is not null from notification_states
           where tenant = %s and job = %s""",
        (tenant, job),
    )
    told, late = await cursor.fetchone() or ([], False)
    if after is None:
        if succeeded and (told or late):
            await _remember(conn, tenant, job, [])
            await put(conn, [(tenant, Notice(id, job, Kind.RECOVERED, now))])
        return
    error = after.get("error") or {}
    reason, code = str(after.get("reason") or ""), str(error.get("code") or "")
    mark = "disabled" if disabled else f"{reason}/{code}"
    if mark in told:
        return
    kind = Kind.CHANGED if told else Kind.QUARANTINED
    if disabled:
        kind = Kind.DISABLED
    elif reason == "TooManyDeletes":
        kind = Kind.DELETES_HELD
    await _remember(conn, tenant, job, [*told, mark])
    action = str(after.get("recommendedAction") or "")
    message = str(error.get("message") or "").removesuffix(action).rstrip()  # which ends with what is to be done
    await put(conn, [(tenant, Notice(id, job, kind, now, reason, code, message, action))])


async def _remember(conn: AsyncConnection[Any], tenant: UUID, job: str, told: Sequence[str]) -> None:
    """Keep what was told of the quarantine; that the job is late is told no more, either way."""
    await conn.execute(
        """insert into notification_states (tenant, job, quarantine_told) values (%s, %s, %s)
           on conflict (tenant, job) do update set quarantine_told = excluded.quarantine_told, late_told_at = null""",
        (tenant, job, list(told)),
    )


async def put(conn: AsyncConnection[Any], notices: Sequence[tuple[UUID, Notice]]) -> None:
    """Store notices, each with its tenant; of a job that has too many, the oldest go."""
    await conn.execute(
        """insert into notices (tenant, id, job, kind, at, reason, code, message, recommended_action)
           select * from unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::timestamptz[], %s::text[],
                                %s::text[], %s::text[], %s::text[])""",
        (
            [tenant for tenant, _ in notices],
            [notice.id for _, notice in notices],
            [notice.job for _, notice in notices],
            [notice.kind.value for _, notice in notices],
            [notice.at for _, notice in notices],
            [notice.reason for _, notice in notices],
            [notice.code for _, notice in notices],
            [notice.message for _, notice in notices],
            [notice.recommended_action for _, notice in notices],
        ),
    )
    cursor = await conn.execute(
        """with kept as (
             select n.tenant, n.id,
               row_number() over (partition by n.tenant, n.job order by n.at desc, n.id desc) as place
             from notices n
             where (n.tenant, n.job) in (select * from unnest(%s::uuid[], %s::text[])))
           delete from notices n using kept
           where kept.place > %s and n.tenant = kept.tenant and n.id = kept.id
           returning n.job, n.routed_at is null or exists (
             select from message_notices mn join messages m on m.tenant = mn.tenant and m.id = mn.message
             where mn.tenant = n.tenant and mn.notice = n.id and m.state in ('gathering', 'waiting'))""",
        ([tenant for tenant, _ in notices], [notice.job for _, notice in notices], MOST_OF_A_JOB),
    )
    for job in sorted({job for job, untold in await cursor.fetchall() if untold}):
        logger.warning(
            "Job %s has more notifications waiting than are kept; the oldest were dropped.",
            job,
            extra={"event": "notification.dropped", "job": job},
        )


async def watch(conn: AsyncConnection[Any], now: datetime, new_id: Callable[[], UUID]) -> int:
    """Look for active jobs that had no success for `INTERVALS` intervals, of all tenants; each is told once.

    A cycle that is under way and gets on is no reason to worry, and one in quarantine was told of already.

    Returns:
        How many are late now that were not.
    """
    await conn.execute(
        """insert into notification_states as s (tenant, job, watched_since)
           select j.tenant, j.id, %(now)s from jobs j
           left join notification_states s on s.tenant = j.tenant and s.job = j.id
           where j.state = 'Active' and s.watched_since is null
           on conflict (tenant, job) do update set watched_since = excluded.watched_since
           where s.watched_since is null""",
        {"now": now},
    )
    await conn.execute(
        """update notification_states s set watched_since = null from jobs j
           where j.tenant = s.tenant and j.id = s.job and j.state <> 'Active' and s.watched_since is not null"""
    )
    cursor = await conn.execute(
        """with late as (
             update notification_states s set late_told_at = %(now)s from jobs j
             where j.tenant = s.tenant and j.id = s.job and j.state = 'Active' and j.quarantine is null
               and s.late_told_at is null and s.quarantine_told = '{}'
               and greatest(s.watched_since, (j.last_success ->> 'timeEnded')::timestamptz,
                            (j.progress ->> 'progressObservationDateTime')::timestamptz)
                   < %(now)s - greatest(%(intervals)s * j.interval, %(least)s::interval)
             returning j.tenant, j.id, j.last_execution #>> '{error,code}', j.last_execution #>> '{error,message}')
           select * from late order by 1, 2""",
        {"now": now, "intervals": INTERVALS, "least": LEAST_PATIENCE},
    )
    late = await cursor.fetchall()
    if late:
        await put(
            conn,
            [
                (tenant, Notice(new_id(), job, Kind.LATE, now, "", code or "", message or ""))
                for tenant, job, code, message in late
            ],
        )
    return len(late)


# To whom --------------------------------------------------------------------------------------------------------------

_TOLD = """n.id, n.job, n.kind, n.at, n.reason, n.code, n.message, n.recommended_action, j.domain, j.service_principal
           from notices n join jobs j on j.tenant = n.tenant and j.id = n.job"""


def _told(row: tuple[Any, ...]) -> Told:
    id, job, kind, at, *texts, domain, service_principal = row
    return Told(Notice(id, job, Kind(kind), at, *texts), domain, service_principal)


async def unrouted(conn: AsyncConnection[Any], limit: int) -> dict[UUID, list[Told]]:
    """Give notices of which is not known yet to whom they go, the oldest first, by tenant.

    Until the transaction ends nobody else is given any.
    """
    cursor = await conn.execute("select pg_try_advisory_xact_lock(%s)", (_ROUTING,))
    found: dict[UUID, list[Told]] = {}
    if await cursor.fetchone() != (True,):
        return found
    cursor = await conn.execute(
        f"select n.tenant, {_TOLD} where n.routed_at is null order by n.at, n.id limit %s".encode(), (limit,)
    )
    for tenant, *row in await cursor.fetchall():
        found.setdefault(tenant, []).append(_told(tuple(row)))
    return found


async def route(
    conn: AsyncConnection[Any],
    tenant: UUID,
    notices: Sequence[UUID],
    routes: Sequence[Route],
    *,
    now: datetime,
    window: timedelta,
    most_an_hour: int,
    new_id: Callable[[], UUID],
) -> None:
    """Make messages of notices; the lock of `unrouted` must be held.

    Mail joins what is gathering for its mailbox already. A mailbox that got `most_an_hour` mails in the last hour gets
    the next one when that hour is over, with all that came meanwhile.

    Args:
        notices: all that were looked at, those that nobody is told of too.
        window: how long a mail waits for more to tell.
    """
    mails = [each for each in routes if each.channel == "mail" and not each.unable]
    if mails:
        await _gather(conn, tenant, sorted({each.recipient for each in mails}), now, window, most_an_hour, new_id)
        await conn.execute(
            """insert into message_notices (tenant, message, notice)
               select m.tenant, m.id, r.notice from unnest(%s::uuid[], %s::text[]) as r (notice, recipient)
               join messages m on m.tenant = %s and m.recipient = r.recipient and m.state = 'gathering'""",
            ([each.notice for each in mails], [each.recipient for each in mails], tenant),
        )
    others = [(new_id(), each) for each in routes if each.channel != "mail" or each.unable]
    if others:
        await conn.execute(
            """with made as (
                 insert into messages
                   (tenant, id, channel, recipient, service_principal, state, answer, due, created_at, settled_at)
                 select %(tenant)s, o.id, o.channel, o.recipient, o.service_principal,
                   case when o.unable = '' then 'waiting' else 'failed' end, o.unable, %(now)s, %(now)s,
                   case when o.unable = '' then null else %(now)s::timestamptz end
                 from unnest(%(ids)s::uuid[], %(channels)s::text[], %(recipients)s::text[], %(principals)s::uuid[],
                             %(unable)s::text[]) as o (id, channel, recipient, service_principal, unable)
                 returning id)
               insert into message_notices (tenant, message, notice)
               select %(tenant)s, o.id, o.notice from unnest(%(ids)s::uuid[], %(notices)s::uuid[]) as o (id, notice)
               join made on made.id = o.id""",
            {
                "tenant": tenant,
                "now": now,
                "ids": [id for id, _ in others],
                "channels": [each.channel for _, each in others],
                "recipients": [each.recipient for _, each in others],
                "principals": [each.service_principal for _, each in others],
                "unable": [each.unable for _, each in others],
                "notices": [each.notice for _, each in others],
            },
        )
    await conn.execute(
        "update notices set routed_at = %s where tenant = %s and id = any(%s)", (now, tenant, list(notices))
    )


async def _gather(
    conn: AsyncConnection[Any],
    tenant: UUID,
    mailboxes: Sequence[str],
    now: datetime,
    window: timedelta,
    most_an_hour: int,
    new_id: Callable[[], UUID],
) -> None:
    """Begin a mail for each mailbox that has none gathering; all are locked, so that none is sent off meanwhile."""
    await conn.execute(
        """insert into messages (tenant, id, channel, recipient, state, due, created_at)
           select %(tenant)s, r.id, 'mail', r.recipient, 'gathering',
             greatest(%(now)s + %(window)s::interval, (
               select m.created_at + interval '1 hour' from messages m
               where m.tenant = %(tenant)s and m.recipient = r.recipient
                 and m.created_at > %(now)s - interval '1 hour'
               order by m.created_at desc offset %(most)s - 1 limit 1)),
             %(now)s
           from unnest(%(ids)s::uuid[], %(recipients)s::text[]) as r (id, recipient)
           on conflict (tenant, recipient) where state = 'gathering' do update set recipient = excluded.recipient""",
        {
            "tenant": tenant,
            "now": now,
            "window": window,
            "most": most_an_hour,
            "ids": [new_id() for _ in mailboxes],
            "recipients": list(mailboxes),
        },
    )


# Sending --------------------------------------------------------------------------------------------------------------


async def claim(conn: AsyncConnection[Any], now: datetime, lease: timedelta, limit: int) -> list[Message]:
    """Take messages that are due, for an attempt. Who takes one has it until the lease ends; then it is due again."""
    async with conn.cursor(row_factory=class_row(Message)) as cursor:
        await cursor.execute(
            """with chosen as materialized (
                 select tenant, id from messages where state in ('gathering', 'waiting') and due <= %s
                 order by due limit %s for update skip locked)
               update messages m set state = 'waiting', attempts = attempts + 1, due = %s + %s::interval
               from chosen c where m.tenant = c.tenant and m.id = c.id
               returning m.*""",
            (now, limit, now, lease),
        )
        return await cursor.fetchall()


async def contents(conn: AsyncConnection[Any], tenant: UUID, messages: Sequence[UUID]) -> dict[UUID, list[Told]]:
    """Give what messages tell, the oldest first; one whose jobs were all deleted tells nothing."""
    cursor = await conn.execute(
        f"""select mn.message, {_TOLD}
            join message_notices mn on mn.tenant = n.tenant and mn.notice = n.id
            where mn.tenant = %s and mn.message = any(%s) order by n.at, n.id""".encode(),
        (tenant, list(messages)),
    )
    found: dict[UUID, list[Told]] = {message: [] for message in messages}
    for message, *row in await cursor.fetchall():
        found[message].append(_told(tuple(row)))
    return found


async def settle(
    conn: AsyncConnection[Any], message: Message, *, state: str, answer: str, now: datetime, due: datetime | None = None
) -> bool:
    """Note what became of an attempt; False where its lease had ended and another attempt was begun.

    Args:
        state: sent, failed, or waiting for the next attempt.
        due: when that is.
    """
    result = await conn.execute(
        """update messages set state = %s, answer = %s, due = coalesce(%s, due),
             settled_at = case when %s = 'waiting' then null else %s::timestamptz end
           where tenant = %s and id = %s and attempts = %s and state = 'waiting'""",
        (state, answer, due, state, now, message.tenant, message.id, message.attempts),
    )
    return result.rowcount == 1


async def latest(conn: AsyncConnection[Any], tenant: UUID, limit: int) -> list[Message]:
    """Give the newest messages, the last one first."""
    async with conn.cursor(row_factory=class_row(Message)) as cursor:
        await cursor.execute(
            "select * from messages where tenant = %s order by created_at desc, id limit %s", (tenant, limit)
        )
        return await cursor.fetchall()


async def forget(conn: AsyncConnection[Any], tenant: UUID, before: datetime) -> None:
    """Drop what is older, of one tenant: notices, and messages that are settled or have nothing left to tell."""
    await conn.execute("delete from notices where tenant = %s and at < %s", (tenant, before))
    await conn.execute(
        """delete from messages m where m.tenant = %s and m.created_at < %s
           and (m.settled_at is not null or not exists (
             select from message_notices n where n.tenant = m.tenant and n.message = m.id))""",
        (tenant, before),
    )
